"""Errors through the google-genai SDK."""

import pytest
from google.genai import errors
from manners import Fault, each_speaker_of, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("gemini", *wanted, **kw)  # noqa: E731


def test_wrong_key(stranger):
    with pytest.raises(errors.ClientError) as refused:
        stranger.models.generate_content(model="gemini-model", contents="hello")
    assert refused.value.code in (400, 401) and refused.value.status in ("UNAUTHENTICATED", "INVALID_ARGUMENT")


@through_gateway
def test_unknown_model(client):
    with pytest.raises(errors.ClientError, match="gemini-model") as refused:
        client.models.generate_content(model="gemini-modle", contents="hello")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")


@each_model()
def test_bad_requests(client, model):
    with pytest.raises(errors.ClientError) as refused:
        client._api_client.request("post", f"models/{model.name}:generateContent", {"contents": 7})
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")


@through_gateway
@each_model(without=("sandbox",))
def test_upstream_faults(client, model):
    with pytest.raises(errors.ClientError) as busy:
        client.models.generate_content(model=model.faulty, contents=Fault.BUSY)
    assert (busy.value.code, busy.value.status) == (429, "RESOURCE_EXHAUSTED")
    for fault in (Fault.BROKEN, Fault.DEAD_KEY, *Fault.RUBBISH):
        with pytest.raises(errors.ServerError) as broken:
            client.models.generate_content(model=model.faulty, contents=fault)
        assert broken.value.code in (502, 503)


@through_gateway
@each_model(without=("sandbox",))
@pytest.mark.parametrize("fault", Fault.STREAMS)
def test_broken_streams_raise(client, model, fault):
    reasons = []
    with pytest.raises(errors.APIError):
        for chunk in client.models.generate_content_stream(model=model.faulty, contents=fault):
            reasons += [candidate.finish_reason for candidate in chunk.candidates or [] if candidate.finish_reason]
    assert not reasons or fault not in (Fault.CUT, Fault.IN_BAND)


@each_model(without=("sandbox",))
@pytest.mark.parametrize("spelling", Fault.LEGAL)
def test_legal_streams(client, model, spelling):
    unread = ("sse-comments", "sse-bom", "sse-no-space", "sse-fields")
    if model.dialect == "gemini" and any(name in spelling for name in unread):
        pytest.skip("the same dialect passes byte for byte, and this SDK reads only plain `data: ` lines")
    stream = client.models.generate_content_stream(model=model.faulty, contents=spelling)
    assert "".join(chunk.text or "" for chunk in stream) == Fault.LEGAL_TEXT
