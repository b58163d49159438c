"""Embeddings, models and errors through the openai SDK."""

import openai
import pytest
from manners import BASE, DIRECT, Fault, TIMEOUT_S, each_speaker_of, nonce, seen, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("openai-chat", *wanted, **kw)  # noqa: E731


def ask(text):
    return [{"role": "user", "content": text}]


@each_model("openai-chat", "gemini", "sandbox")
def test_embeddings(lenient, model):
    answer = lenient.embeddings.create(model=model.embeds, input=["one", "two"])  # the SDK asks for base64 itself
    assert [entry.index for entry in answer.data] == [0, 1]
    assert answer.data[0].embedding != answer.data[1].embedding
    assert answer.usage.total_tokens >= answer.usage.prompt_tokens >= 0
    floats = lenient.embeddings.create(model=model.embeds, input="one", encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(answer.data[0].embedding, rel=1e-5)
    short = lenient.embeddings.create(model=model.embeds, input="one", dimensions=8)
    assert len(short.data[0].embedding) == 8


@through_gateway
@each_model("anthropic", "bedrock")
def test_embeddings_where_there_are_none(client, model):
    with pytest.raises((openai.BadRequestError, openai.NotFoundError), match="(?i)embed"):
        client.embeddings.create(model=model.name, input="one")


@each_model()
def test_models(client, model):
    assert model.name in [entry.id for entry in client.models.list()]
    assert client.models.retrieve(model.name).id == model.name


def test_unknown_model_in_the_list(client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_wrong_key():
    with openai.OpenAI(base_url=f"{BASE}/v1", api_key="tg-not-a-key-of-ours-000000000000", max_retries=0, timeout=TIMEOUT_S) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            stranger.chat.completions.create(model="chat-model", messages=ask("hello"))
    assert refused.value.code == "invalid_api_key" and refused.value.request_id


@through_gateway
def test_unknown_model(client):
    for call in (
        lambda: client.chat.completions.create(model="chat-modle", messages=ask("hello")),
        lambda: client.responses.create(model="chat-modle", input="hello"),
        lambda: client.embeddings.create(model="chat-modle", input="hello"),
    ):
        with pytest.raises(openai.NotFoundError, match="chat-model") as refused:
            call()
        assert refused.value.code == "model_not_found" and refused.value.request_id
        assert refused.value.response.headers["x-should-retry"] == "false"


@each_model()
def test_bad_requests(client, model):
    word = nonce()
    for messages in ([{"role": "user", "content": 7}], [{"role": "nobody", "content": word}], word, [{"role": "user"}]):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model=model.name, messages=messages)
        assert refused.value.request_id and refused.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=model.name, messages=ask(word), tools=[{"type": "function"}])


@through_gateway
@each_model(without=("sandbox",))
def test_upstream_faults(client, model):
    with pytest.raises(openai.RateLimitError) as busy:
        client.chat.completions.create(model=model.faulty, messages=ask(Fault.BUSY))
    assert busy.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.InternalServerError) as broken:
        client.chat.completions.create(model=model.faulty, messages=ask(Fault.BROKEN))
    assert broken.value.status_code in (502, 503)
    with pytest.raises(openai.InternalServerError) as dead_key:  # never the caller's 401
        client.chat.completions.create(model=model.faulty, messages=ask(Fault.DEAD_KEY))
    assert dead_key.value.status_code == 502
    for refused in Fault.REFUSED:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model=model.faulty, messages=ask(refused))


@through_gateway
@each_model(without=("sandbox",))
@pytest.mark.parametrize("rubbish", Fault.RUBBISH)
def test_upstream_rubbish(client, model, rubbish):
    with pytest.raises(openai.InternalServerError) as fault:
        client.chat.completions.create(model=model.faulty, messages=ask(rubbish))
    assert fault.value.status_code == 502 and fault.value.request_id


@through_gateway
@each_model(without=("sandbox",))
@pytest.mark.parametrize("fault", Fault.STREAMS)
def test_broken_streams_raise(client, model, fault):
    reasons = []
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(model=model.faulty, messages=ask(fault), stream=True):
            reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert not reasons or fault not in (Fault.CUT, Fault.IN_BAND)


@through_gateway
@each_model(without=("sandbox",))
@pytest.mark.parametrize("fault", Fault.STREAMS)
def test_broken_response_streams_raise(client, model, fault):
    kinds = []
    with pytest.raises(openai.APIError):
        for event in client.responses.create(model=model.faulty, input=fault, stream=True):
            kinds.append(event.type)
            # The vendor's own error event is an event to this client, not an exception.
            if event.type in ("error", "response.failed"):
                raise openai.APIError("failed in band", request=None, body=None)
    assert "response.completed" not in kinds


@each_model(without=("sandbox",))
@pytest.mark.parametrize("spelling", Fault.LEGAL)
def test_legal_streams(lenient, model, spelling):
    name = model.faulty if not DIRECT else model.thinks
    stream = lenient.chat.completions.create(model=name, messages=ask(spelling), stream=True)
    assert "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices) == Fault.LEGAL_TEXT


@each_speaker_of("openai-responses", without=("sandbox",))
@pytest.mark.parametrize("spelling", Fault.LEGAL)
def test_legal_response_streams(lenient, model, spelling):
    stream = lenient.responses.create(model=model.faulty, input=spelling, stream=True)
    assert "".join(event.delta for event in stream if event.type == "response.output_text.delta") == Fault.LEGAL_TEXT


@through_gateway
def test_refusals_do_not_reach_an_upstream(client):
    word = nonce()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model-at-all", messages=ask(word))
    assert seen(word) == []
