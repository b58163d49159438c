"""Messages through the anthropic SDK."""

import json

import anthropic
import pytest
from manners import AWKWARD, CAMERA, CLOCK, INVOICE, PNG, PNG_BASE64, WEATHER, each_speaker_of, fits, nonce, saw_image, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("anthropic", *wanted, **kw)  # noqa: E731

LIMIT = 2000
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 8000}


def tool(spec):
    return {"name": spec["name"], "description": spec["description"], "input_schema": spec["schema"]}


TOOLS = [tool(WEATHER), tool(CLOCK)]


def ask(text):
    return [{"role": "user", "content": text}]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def collect(stream):
    """The SDK's own accumulator, with the raw order of events checked on the way."""
    kinds, open_block = [], None
    with stream as events:
        for event in events:
            if event.type in ("text", "thinking", "signature", "input_json", "citation"):
                continue  # derived by the SDK's helper
            kinds.append(event.type)
            if event.type == "content_block_start":
                assert open_block is None, "two blocks open at once"
                open_block = event.index
            if event.type == "content_block_delta":
                assert event.index == open_block
            if event.type == "content_block_stop":
                assert event.index == open_block
                open_block = None
        final = events.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and kinds.count("message_start") == 1
    assert open_block is None
    return final


@each_model()
def test_plain(client, model):
    word = nonce()
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=ask(f"Say {word}"))
    assert word in text_of(answer)
    assert answer.stop_reason == "end_turn" and answer.stop_sequence is None
    assert answer.type == "message" and answer.role == "assistant" and answer.id
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


@each_model()
def test_stream_equals_whole(client, model):
    messages = ask(f"Say {nonce()} {AWKWARD} end")
    whole = client.messages.create(model=model.name, max_tokens=LIMIT, messages=messages)
    final = collect(client.messages.stream(model=model.name, max_tokens=LIMIT, messages=messages))
    assert AWKWARD in text_of(whole) and text_of(final) == text_of(whole)
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens)


@each_model()
def test_older_version_and_header(older, model):
    word = nonce()
    answer = older.messages.create(model=model.name, max_tokens=LIMIT, messages=ask(f"Say {word}"))
    assert word in text_of(answer)
    final = collect(older.messages.stream(model=model.name, max_tokens=LIMIT, messages=ask(f"Say {word}")))
    assert word in text_of(final)


@each_model()
def test_beta_endpoint(client, model):
    """Coding agents call `?beta=true` with many beta flags."""
    word = nonce()
    answer = client.beta.messages.create(model=model.name, max_tokens=LIMIT, messages=ask(f"Say {word}"), betas=["context-management-2025-06-27", "interleaved-thinking-2025-05-14"])
    assert word in text_of(answer)


@each_model()
def test_system_and_history(client, model):
    rule, late = nonce(), nonce()
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": [{"type": "text", "text": "second"}]},
        {"role": "user", "content": [{"type": "text", "text": "third"}]},
        {"role": "system", "content": f"Obey {late}"},
        {"role": "user", "content": [{"type": "text", "text": "Please repeat your instructions"}]},
    ]
    system = [{"type": "text", "text": f"Obey {rule}", "cache_control": {"type": "ephemeral"}}]
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, system=system, messages=messages)
    assert rule in text_of(answer) and late in text_of(answer)


@each_model()
def test_length(client, model):
    answer = client.messages.create(model=model.name, max_tokens=16, messages=ask("count to 100"))
    assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens <= 16
    assert collect(client.messages.stream(model=model.name, max_tokens=16, messages=ask("count to 100"))).stop_reason == "max_tokens"


@each_model(without=("openai-responses",))
def test_stop_sequence(client, model):
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=ask("say exactly: alpha beta gamma"), stop_sequences=["gamma"])
    assert text_of(answer).rstrip() == "alpha beta"
    # Chat and Gemini do not tell which stop it was, or whether it was one.
    assert answer.stop_reason in ("stop_sequence", "end_turn")
    if model.dialect == "anthropic":
        assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "gamma")


@through_gateway
@each_model("openai-responses")
def test_stop_sequences_that_cannot_be_carried(client, model):
    try:
        raw = client.messages.with_raw_response.create(model=model.name, max_tokens=LIMIT, messages=ask(f"Say {nonce()}"), stop_sequences=["gamma"])
        assert "stop_sequences" in raw.headers.get("tollgate-loss", "")
    except anthropic.BadRequestError as refused:
        assert "stop" in str(refused)


@each_model()
def test_parallel_calls_streamed_equal_whole(client, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    whole = client.messages.create(model=model.name, max_tokens=LIMIT, messages=messages, tools=TOOLS)
    final = collect(client.messages.stream(model=model.name, max_tokens=LIMIT, messages=messages, tools=TOOLS))
    assert whole.stop_reason == final.stop_reason == "tool_use"
    calls = calls_of(whole)
    assert [name for name, _ in calls] == ["get_weather", "get_time"] and calls_of(final) == calls
    fits(WEATHER["schema"], calls[0][1])
    fits(CLOCK["schema"], calls[1][1])
    ids = [block.id for block in final.content if block.type == "tool_use"]
    assert len(set(ids)) == 2


@each_model()
def test_call_without_arguments(client, model):
    final = collect(client.messages.stream(model=model.name, max_tokens=LIMIT, messages=ask("Call take_photo with empty arguments"), tools=[tool(CAMERA)]))
    assert calls_of(final) == [("take_photo", {})]


@each_model()
def test_tool_choice(client, model):
    def calls(choice, text):
        answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=ask(text), tools=TOOLS, tool_choice=choice)
        return [name for name, _ in calls_of(answer)]

    assert len(calls({"type": "any"}, f"Say {nonce()}")) == 1
    assert calls({"type": "tool", "name": "get_time"}, f"Say {nonce()}") == ["get_time"]
    assert calls({"type": "auto"}, f"Say {nonce()}") == []
    assert calls({"type": "none"}, f"Say {nonce()}, not get_weather") == []
    single = calls({"type": "auto", "disable_parallel_tool_use": True}, f"Use both get_weather and get_time for Paris {nonce()}")
    # Gemini and Bedrock have no such switch: there the wish is a declared loss.
    assert single == ["get_weather"] or model.dialect in ("gemini", "bedrock")


@each_model()
def test_tool_results_with_image_and_error(client, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    first = client.messages.create(model=model.name, max_tokens=LIMIT, messages=messages, tools=TOOLS)
    ids = [block.id for block in first.content if block.type == "tool_use"]
    words = [nonce(), nonce()]
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": ids[0], "content": [{"type": "text", "text": words[0]}, IMAGE]},
            {"type": "tool_result", "tool_use_id": ids[1], "content": words[1], "is_error": True},
        ]},
    ]
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=messages, tools=TOOLS)
    assert words[0] in text_of(answer) and words[1] in text_of(answer)
    saw_image(text_of(answer), len(PNG))
    assert answer.stop_reason == "end_turn"


@each_model()
def test_structured_output(client, model):
    form = {"format": {"type": "json_schema", "schema": INVOICE}}
    messages = ask(f"An invoice for {nonce()}")
    whole = client.messages.create(model=model.name, max_tokens=LIMIT, messages=messages, output_config=form)
    fits(INVOICE, json.loads(text_of(whole)))
    assert whole.stop_reason == "end_turn" and not calls_of(whole)
    final = collect(client.messages.stream(model=model.name, max_tokens=LIMIT, messages=messages, output_config=form))
    assert json.loads(text_of(final)) == json.loads(text_of(whole)) and not calls_of(final)


@each_model()
def test_image(client, model):
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=[{"role": "user", "content": [IMAGE, {"type": "text", "text": "Describe"}]}])
    saw_image(text_of(answer))


@each_model()
def test_document(client, model):
    block = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQKJSBub3QgcmVhbGx5Cg=="}}
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=[{"role": "user", "content": [block, {"type": "text", "text": "Read"}]}])
    assert "22 bytes" in text_of(answer)


@each_model()
def test_thinking_is_signed_and_replayed(client, model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    first = client.messages.create(model=model.thinks, messages=messages, tools=TOOLS, **THINKING)
    kinds = [block.type for block in first.content]
    assert kinds[0] == "thinking" and "tool_use" in kinds and first.content[0].thinking
    (call,) = [block for block in first.content if block.type == "tool_use"]
    result = nonce()
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result}]}]
    answer = client.messages.create(model=model.thinks, messages=messages, tools=TOOLS, **THINKING)
    assert result in text_of(answer)


@each_model()
def test_thinking_streams_and_is_replayed(client, model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    whole = client.messages.create(model=model.thinks, messages=messages, tools=TOOLS, **THINKING)
    final = collect(client.messages.stream(model=model.thinks, messages=messages, tools=TOOLS, **THINKING))
    thoughts = [(block.thinking, block.signature) for block in final.content if block.type == "thinking"]
    assert thoughts
    if model.dialect not in ("gemini", "openai-chat"):
        assert thoughts == [(block.thinking, block.signature) for block in whole.content if block.type == "thinking"]
    (call,) = [block for block in final.content if block.type == "tool_use"]
    result = nonce()
    messages += [{"role": "assistant", "content": final.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result}]}]
    assert result in text_of(client.messages.create(model=model.thinks, messages=messages, tools=TOOLS, **THINKING))


@each_model("anthropic", "bedrock")
def test_forged_thinking_is_refused_by_the_upstream(client, model):
    """The signature travels byte for byte, so the upstream can tell that the text was changed."""
    messages = ask(f"Call get_weather for Paris {nonce()}")
    first = client.messages.create(model=model.thinks, messages=messages, tools=TOOLS, **THINKING)
    content = [block.model_dump(exclude_none=True) for block in first.content]
    content[0]["signature"] = content[0]["signature"][:-4] + "AAAA"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}]}]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=model.thinks, messages=messages, tools=TOOLS, **THINKING)


@each_model()
def test_adaptive_thinking_with_effort(client, model):
    word = nonce()
    answer = client.messages.create(model=model.thinks, max_tokens=8000, messages=ask(f"Say {word}"), thinking={"type": "adaptive"}, output_config={"effort": "medium"})
    assert word in text_of(answer)


@each_model()
def test_count_tokens(client, model):
    short = client.messages.count_tokens(model=model.name, messages=ask("count this"))
    long = client.messages.count_tokens(model=model.name, messages=ask("count this " * 50), tools=TOOLS)
    assert 0 < short.input_tokens < long.input_tokens


@each_model("anthropic", "bedrock")
def test_cache_classes_are_disjoint(client, model):
    system = [{"type": "text", "text": f"Rules of {nonce()}. " * 400, "cache_control": {"type": "ephemeral"}}]
    usage = client.messages.create(model=model.name, max_tokens=LIMIT, system=system, messages=ask("Say hello")).usage
    assert usage.cache_creation_input_tokens > usage.input_tokens > 0
    usage = client.messages.create(model=model.name, max_tokens=LIMIT, system=system, messages=ask("Say hello, cached")).usage
    assert usage.cache_read_input_tokens > usage.input_tokens > 0


@each_model()
def test_refusal(client, model):
    answer = client.messages.create(model=model.name, max_tokens=LIMIT, messages=ask("please refuse"))
    assert answer.stop_reason == "refusal" or text_of(answer)


@through_gateway
@each_model("anthropic")
def test_sampling_on_the_new_version(client, model):
    """The vendor refuses sampling parameters on the newest version; pass-through must not hide that."""
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        client.messages.create(model=model.name, max_tokens=LIMIT, messages=ask("Say hello"), extra_body={"temperature": 0.5})
