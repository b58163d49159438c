"""Errors through boto3."""

import pytest
from botocore.exceptions import ClientError, EventStreamError
from manners import Fault, each_speaker_of, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("bedrock", *wanted, **kw)  # noqa: E731


def ask(text):
    return [{"role": "user", "content": [{"text": text}]}]


def refusal(call, *args, **kwargs):
    """(status, code, message) of the error that a call raises."""
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    response = refused.value.response
    assert response["ResponseMetadata"]["RequestId"]
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def test_wrong_key(stranger):
    status, code, _ = refusal(stranger.converse, modelId="bedrock-model", messages=ask("hello"))
    assert status in (401, 403) and code in ("UnrecognizedClientException", "AccessDeniedException")


@through_gateway
def test_unknown_model(client):
    status, code, message = refusal(client.converse, modelId="bedrock-modle", messages=ask("hello"))
    assert (status, code) == (404, "ResourceNotFoundException") and "bedrock-model" in message


@each_model()
def test_bad_requests(client, model):
    status, code, _ = refusal(client.converse, modelId=model.name, messages=[{"role": "user", "content": []}])
    assert (status, code) == (400, "ValidationException")


@through_gateway
@each_model(without=("sandbox",))
def test_upstream_faults(client, model):
    status, code, _ = refusal(client.converse, modelId=model.faulty, messages=ask(Fault.BUSY))
    assert (status, code) == (429, "ThrottlingException")
    for fault in (Fault.BROKEN, Fault.DEAD_KEY, *Fault.RUBBISH):
        status, _, _ = refusal(client.converse, modelId=model.faulty, messages=ask(fault))
        assert status in (502, 503), fault


@through_gateway
@each_model(without=("sandbox",))
@pytest.mark.parametrize("fault", Fault.STREAMS)
def test_broken_streams_raise(client, model, fault):
    kinds = []
    with pytest.raises(EventStreamError):
        for event in client.converse_stream(modelId=model.faulty, messages=ask(fault))["stream"]:
            kinds += event
    assert "messageStop" not in kinds or fault not in (Fault.CUT, Fault.IN_BAND)


@each_model(without=("sandbox",))
@pytest.mark.parametrize("spelling", Fault.LEGAL)
def test_legal_streams(client, model, spelling):
    if model.dialect == "bedrock" and "gzip" in spelling:
        pytest.skip("the same dialect passes byte for byte, and boto3 does not inflate event streams")
    stream = client.converse_stream(modelId=model.faulty, messages=ask(spelling))["stream"]
    assert "".join(event["contentBlockDelta"]["delta"].get("text", "") for event in stream if "contentBlockDelta" in event) == Fault.LEGAL_TEXT
