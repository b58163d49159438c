"""litellm's SDK, which speaks to the gateway as to an OpenAI endpoint and as to an Anthropic one."""

import json

import litellm
import pytest
from manners import BASE, CLOCK, DIRECT, INVOICE, KEY, PNG_URL, THINKS_BASE, TIMEOUT_S, WEATHER, Fault, each_speaker_of, fits, nonce, saw_image, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("openai-chat", *wanted, **kw)  # noqa: E731

litellm.telemetry = False
litellm.suppress_debug_info = True

# How litellm names the two protocols, and where it finds each.
SPOKEN = {"openai": f"{BASE}/v1", "anthropic": BASE}
each_protocol = pytest.mark.parametrize("protocol", ["openai"] if DIRECT else list(SPOKEN))


def tool(spec):
    return {"type": "function", "function": {"name": spec["name"], "description": spec["description"], "parameters": spec["schema"]}}


TOOLS = [tool(WEATHER), tool(CLOCK)]


def ask(text):
    return [{"role": "user", "content": text}]


def complete(protocol, model, messages, **more):
    settings = {"api_base": SPOKEN[protocol], "api_key": KEY, "timeout": TIMEOUT_S, "max_retries": 0, "num_retries": 0}
    return litellm.completion(model=f"{protocol}/{model}", messages=messages, **{**settings, **more})


def replayed(message, model):
    """The message as a client sends it back. litellm puts a field of its own into it, which a strict
    Chat upstream refuses; the gateway must take it, and drops it only where it translates."""
    sent = message.model_dump(exclude_none=True)
    if model.dialect == "openai-chat":
        sent.pop("provider_specific_fields", None)
    return sent


@each_protocol
@each_model()
def test_plain_and_stream(protocol, model):
    messages = ask(f"Say {nonce()} in words")
    whole = complete(protocol, model.name, messages)
    assert messages[0]["content"] in whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    chunks = list(complete(protocol, model.name, messages, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.choices[0].message.content


@each_protocol
@each_model()
def test_parallel_calls_and_results(protocol, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    first = complete(protocol, model.name, messages, tools=TOOLS).choices[0].message
    assert [call.function.name for call in first.tool_calls] == ["get_weather", "get_time"]
    fits(WEATHER["schema"], json.loads(first.tool_calls[0].function.arguments))
    rebuilt = litellm.stream_chunk_builder(list(complete(protocol, model.name, messages, tools=TOOLS, stream=True)), messages=messages)
    assert [call.function.name for call in rebuilt.choices[0].message.tool_calls] == ["get_weather", "get_time"]
    words = [nonce(), nonce()]
    messages += [replayed(first, model)]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": word} for call, word in zip(first.tool_calls, words)]
    answer = complete(protocol, model.name, messages, tools=TOOLS).choices[0].message.content
    assert words[0] in answer and words[1] in answer


@each_model()
def test_structured_output(model):
    form = {"type": "json_schema", "json_schema": {"name": "invoice", "schema": INVOICE, "strict": True}}
    answer = complete("openai", model.name, ask(f"An invoice for {nonce()}"), response_format=form)
    fits(INVOICE, json.loads(answer.choices[0].message.content))


@each_protocol
@each_model()
def test_image(protocol, model):
    parts = [{"type": "text", "text": "Describe"}, {"type": "image_url", "image_url": {"url": PNG_URL}}]
    saw_image(complete(protocol, model.name, [{"role": "user", "content": parts}]).choices[0].message.content)


@each_model()
def test_thinking_and_replay(model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    asked = {"tools": TOOLS, "reasoning_effort": "high", "allowed_openai_params": ["reasoning_effort"], "api_base": THINKS_BASE, "max_completion_tokens": 20000}
    message = complete("openai", model.thinks, messages, **asked).choices[0].message
    # litellm's message lacks the field where there is none; Responses shows a summary only to its own callers.
    assert getattr(message, "reasoning_content", None) or model.dialect == "openai-responses"
    (call,) = message.tool_calls
    word = nonce()
    messages += [replayed(message, model), {"role": "tool", "tool_call_id": call.id, "content": word}]
    assert word in complete("openai", model.thinks, messages, **asked).choices[0].message.content


@through_gateway
@each_model()
def test_thinking_and_replay_in_messages(model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    # litellm knows Anthropic's own names only; for others it must be told that they take `thinking`.
    asked = {"tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}, "allowed_openai_params": ["thinking"], "max_tokens": 8000}
    message = complete("anthropic", model.thinks, messages, **asked).choices[0].message
    assert message.thinking_blocks
    (call,) = message.tool_calls
    word = nonce()
    messages += [replayed(message, model), {"role": "tool", "tool_call_id": call.id, "content": word}]
    assert word in complete("anthropic", model.thinks, messages, **asked).choices[0].message.content


@each_model("openai-chat", "gemini", "sandbox")
def test_embeddings(model):
    answer = litellm.embedding(model=f"openai/{model.embeds}", input=["one", "two"], api_base=SPOKEN["openai"], api_key=KEY, timeout=TIMEOUT_S)
    assert len(answer.data) == 2 and answer.data[0]["embedding"] != answer.data[1]["embedding"]


@through_gateway
@each_model()
def test_responses(model):
    word = nonce()
    answer = litellm.responses(model=f"openai/{model.name}", input=f"Say {word}", api_base=SPOKEN["openai"], api_key=KEY, timeout=TIMEOUT_S)
    assert word in answer.output_text


@each_protocol
def test_wrong_key(protocol):
    with pytest.raises(litellm.AuthenticationError):
        complete(protocol, "chat-model", ask("hello"), api_key="tg-not-a-key-of-ours-000000000000")


@through_gateway
@each_protocol
def test_unknown_model(protocol):
    with pytest.raises(litellm.NotFoundError, match="chat-model"):
        complete(protocol, "chat-modle", ask("hello"))


@through_gateway
@each_protocol
@each_model(without=("sandbox",))
def test_upstream_faults(protocol, model):
    with pytest.raises(litellm.RateLimitError):
        complete(protocol, model.faulty, ask(Fault.BUSY))
    with pytest.raises((litellm.BadGatewayError, litellm.InternalServerError, litellm.APIError)):
        complete(protocol, model.faulty, ask(Fault.BROKEN))


@through_gateway
@each_protocol
@each_model(without=("sandbox",))
def test_cut_stream(protocol, model):
    with pytest.raises(Exception):
        for _ in complete(protocol, model.faulty, ask(Fault.CUT), stream=True):
            pass
