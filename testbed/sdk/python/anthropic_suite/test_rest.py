"""Models and errors through the anthropic SDK."""

import anthropic
import pytest
from manners import BASE, Fault, TIMEOUT_S, each_speaker_of, nonce, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("anthropic", *wanted, **kw)  # noqa: E731


def ask(text):
    return {"max_tokens": 100, "messages": [{"role": "user", "content": text}]}


@each_model()
def test_models(client, model):
    assert model.name in [entry.id for entry in client.models.list()]
    assert client.models.retrieve(model.name).id == model.name


def test_wrong_key():
    with anthropic.Anthropic(base_url=BASE, api_key="tg-not-a-key-of-ours-000000000000", max_retries=0, timeout=TIMEOUT_S) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            stranger.messages.create(model="claude-model", **ask("hello"))
    assert refused.value.request_id
    assert refused.value.body["error"]["type"] == "authentication_error"


@through_gateway
def test_unknown_model(client):
    with pytest.raises(anthropic.NotFoundError, match="claude-model") as refused:
        client.messages.create(model="claude-modle", **ask("hello"))
    assert refused.value.body["type"] == "error" and refused.value.body["error"]["type"] == "not_found_error"
    assert refused.value.body["request_id"] == refused.value.request_id
    assert refused.value.response.headers["x-should-retry"] == "false"


@each_model()
def test_bad_requests(client, model):
    for messages in ([{"role": "user", "content": 7}], [{"role": "nobody", "content": "x"}], "text", [{"role": "user"}]):
        with pytest.raises(anthropic.BadRequestError) as refused:
            client.messages.create(model=model.name, max_tokens=100, messages=messages)
        assert refused.value.request_id and refused.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.post("/v1/messages", body={"model": model.name, "messages": [{"role": "user", "content": "no limit"}]}, cast_to=object)


@through_gateway
@each_model(without=("sandbox",))
def test_upstream_faults(client, model):
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model=model.faulty, **ask(Fault.BUSY))
    for fault in (Fault.BROKEN, Fault.DEAD_KEY, *Fault.RUBBISH):
        with pytest.raises(anthropic.InternalServerError) as broken:
            client.messages.create(model=model.faulty, **ask(fault))
        assert broken.value.status_code in (502, 503) and broken.value.request_id
        assert broken.value.body["type"] == "error"


@through_gateway
@each_model(without=("sandbox",))
@pytest.mark.parametrize("fault", Fault.STREAMS)
def test_broken_streams_raise(client, model, fault):
    kinds = []
    with pytest.raises(anthropic.APIStatusError):
        with client.messages.stream(model=model.faulty, **ask(fault)) as stream:
            for event in stream:
                kinds.append(event.type)
    assert "message_stop" not in kinds


@each_model(without=("sandbox",))
@pytest.mark.parametrize("spelling", Fault.LEGAL)
def test_legal_streams(lenient, model, spelling):
    text = ""
    for event in lenient.messages.create(model=model.faulty, stream=True, **ask(spelling)):
        if event.type == "content_block_delta":
            text += event.delta.text
    assert text == Fault.LEGAL_TEXT
