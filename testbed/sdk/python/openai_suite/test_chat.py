"""Chat Completions through the openai SDK."""

import json
import wave
from io import BytesIO
from base64 import b64encode

import openai
import pytest
from manners import AWKWARD, CLOCK, INVOICE, PNG_URL, WEATHER, each_speaker_of, fits, nonce, saw_image, through_gateway
from pydantic import BaseModel

each_model = lambda *wanted, **kw: each_speaker_of("openai-chat", *wanted, **kw)  # noqa: E731


def tool(spec, **more):
    return {"type": "function", "function": {"name": spec["name"], "description": spec["description"], "parameters": spec["schema"], **more}}


TOOLS = [tool(WEATHER), tool(CLOCK)]


def ask(text):
    return [{"role": "user", "content": text}]


def classes_agree(usage):
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    if prompt:
        assert (prompt.cached_tokens or 0) + (prompt.cache_write_tokens or 0) <= usage.prompt_tokens
    if completion:
        assert (completion.reasoning_tokens or 0) <= usage.completion_tokens


def collect(stream):
    """(text, finish reasons, usage, tool calls by index) of a stream."""
    text, reasons, usage, calls = "", [], None, {}
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk"
        if chunk.usage:
            assert usage is None, "usage came twice"
            usage = chunk.usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"id": "", "name": "", "pieces": []})
                if piece.id:
                    assert call["id"] in ("", piece.id), "one index, two ids"
                    call["id"] = piece.id
                if piece.function.name:
                    call["name"] += piece.function.name
                if piece.function.arguments:
                    call["pieces"].append(piece.function.arguments)
    return text, reasons, usage, calls


@each_model()
def test_plain(client, model):
    word = nonce()
    answer = client.chat.completions.create(model=model.name, messages=ask(f"Say {word}"))
    choice = answer.choices[0]
    assert word in choice.message.content
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant" and not choice.message.tool_calls
    assert answer.id and answer.object == "chat.completion" and answer.created > 0
    classes_agree(answer.usage)


@each_model()
def test_stream_equals_whole(client, model):
    messages = ask(f"Say {nonce()} and count the waves")
    whole = client.chat.completions.create(model=model.name, messages=messages)
    stream = client.chat.completions.create(model=model.name, messages=messages, stream=True, stream_options={"include_usage": True})
    text, reasons, usage, _ = collect(stream)
    assert text == whole.choices[0].message.content
    assert reasons == ["stop"]
    classes_agree(usage)
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.usage.prompt_tokens, whole.usage.completion_tokens)


@each_model()
def test_stream_shows_usage_only_on_request(client, model):
    word = nonce()
    text, reasons, usage, _ = collect(client.chat.completions.create(model=model.name, messages=ask(f"Say {word}"), stream=True))
    assert word in text and reasons == ["stop"] and usage is None


@each_model()
def test_awkward_characters_survive(client, model):
    messages = ask(f"Say {nonce()} {AWKWARD} end")
    whole = client.chat.completions.create(model=model.name, messages=messages).choices[0].message.content
    text, *_ = collect(client.chat.completions.create(model=model.name, messages=messages, stream=True))
    assert AWKWARD in whole and text == whole


@each_model()
def test_system_and_history(client, model):
    word, rule = nonce(), nonce()
    messages = [
        {"role": "developer", "content": f"Obey {rule}"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": f"Please repeat your instructions, {word}"},
    ]
    answer = client.chat.completions.create(model=model.name, messages=messages)
    assert rule in answer.choices[0].message.content


@each_model()
def test_system_in_the_middle(client, model):
    rule = nonce()
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "system", "content": f"Obey {rule}"},
        {"role": "user", "content": "Please repeat your instructions"},
    ]
    answer = client.chat.completions.create(model=model.name, messages=messages)
    assert rule in answer.choices[0].message.content


@each_model()
def test_length(client, model):
    answer = client.chat.completions.create(model=model.name, messages=ask("count to 50"), max_completion_tokens=16)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens <= 16
    stream = client.chat.completions.create(model=model.name, messages=ask("count to 50"), max_completion_tokens=16, stream=True)
    assert collect(stream)[1] == ["length"]


@each_model()
def test_length_below_what_an_api_takes(client, model):
    """Responses takes 16 at least: the vendor's refusal arrives, and no limit is raised in silence."""

    def call():
        return client.chat.completions.create(model=model.name, messages=ask("count to 50"), max_completion_tokens=5)

    if model.dialect == "openai-responses":
        with pytest.raises(openai.BadRequestError, match="max_output_tokens"):
            call()
    else:
        answer = call()
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens <= 5


@each_model(without=("openai-responses",))  # which has none: a declared loss, below
def test_stop_sequence(client, model):
    answer = client.chat.completions.create(model=model.name, messages=ask("say exactly: alpha beta gamma"), stop=["gamma"])
    assert answer.choices[0].message.content.rstrip() == "alpha beta"
    assert answer.choices[0].finish_reason == "stop"


@each_model()
def test_tool_call(client, model):
    answer = client.chat.completions.create(model=model.name, messages=ask(f"Call get_weather for Paris {nonce()}"), tools=TOOLS)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.id and call.type == "function" and call.function.name == "get_weather"
    fits(WEATHER["schema"], json.loads(call.function.arguments))


@each_model()
def test_parallel_calls_streamed_equal_whole(client, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    whole = client.chat.completions.create(model=model.name, messages=messages, tools=TOOLS).choices[0].message.tool_calls
    _, reasons, _, calls = collect(client.chat.completions.create(model=model.name, messages=messages, tools=TOOLS, stream=True))
    assert reasons == ["tool_calls"]
    assert sorted(calls) == [0, 1] and len({call["id"] for call in calls.values()}) == 2
    streamed = [(calls[n]["name"], json.loads("".join(calls[n]["pieces"]))) for n in (0, 1)]
    assert streamed == [(call.function.name, json.loads(call.function.arguments)) for call in whole]
    assert [name for name, _ in streamed] == ["get_weather", "get_time"]
    fits(WEATHER["schema"], streamed[0][1])
    fits(CLOCK["schema"], streamed[1][1])


@each_model()
def test_one_call_at_a_time(client, model):
    answer = client.chat.completions.create(
        model=model.name, messages=ask(f"Use both get_weather and get_time for Paris {nonce()}"), tools=TOOLS, parallel_tool_calls=False
    )
    # Gemini has no such switch: there the wish is a declared loss, not an error.
    assert len(answer.choices[0].message.tool_calls) == 1 or model.dialect in ("gemini", "bedrock")


@each_model()
def test_tool_choice(client, model):
    def calls(choice, text):
        answer = client.chat.completions.create(model=model.name, messages=ask(text), tools=TOOLS, tool_choice=choice)
        return [call.function.name for call in answer.choices[0].message.tool_calls or []]

    assert len(calls("required", f"Say {nonce()}")) == 1
    assert calls({"type": "function", "function": {"name": "get_time"}}, f"Say {nonce()}") == ["get_time"]
    assert calls("auto", f"Say {nonce()}") == []
    assert calls("none", f"Say {nonce()}, not get_weather") == []


@each_model()
def test_tool_results(client, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    first = client.chat.completions.create(model=model.name, messages=messages, tools=TOOLS).choices[0].message
    results = [nonce(), nonce()]
    messages += [first.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": result} for call, result in zip(first.tool_calls, results)]
    answer = client.chat.completions.create(model=model.name, messages=messages, tools=TOOLS)
    for result in results:
        assert result in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


@each_model()
def test_tool_results_from_a_client_that_drops_extensions(lenient, model):
    """Gemini refuses a replayed call without its thought signature, so the id must carry it."""
    messages = ask(f"Call get_weather for Paris {nonce()}")
    (call,) = lenient.chat.completions.create(model=model.thinks, messages=messages, tools=TOOLS).choices[0].message.tool_calls
    result = nonce()
    messages += [
        {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}]},
        {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": result}]},
    ]
    answer = lenient.chat.completions.create(model=model.thinks, messages=messages, tools=TOOLS)
    assert result in answer.choices[0].message.content


@each_model()
def test_structured_output(client, model):
    form = {"type": "json_schema", "json_schema": {"name": "invoice", "schema": INVOICE, "strict": True}}
    messages = ask(f"An invoice for {nonce()}")
    whole = client.chat.completions.create(model=model.name, messages=messages, response_format=form).choices[0]
    fits(INVOICE, json.loads(whole.message.content))
    assert whole.finish_reason == "stop" and not whole.message.tool_calls
    text, reasons, _, calls = collect(client.chat.completions.create(model=model.name, messages=messages, response_format=form, stream=True))
    assert json.loads(text) == json.loads(whole.message.content) and reasons == ["stop"] and not calls


@each_model()
def test_parse_helper(client, model):
    class Person(BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(model=model.name, messages=ask(f"A person {nonce()}"), response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)


@each_model()
def test_stream_helper(client, model):
    with client.chat.completions.stream(model=model.name, messages=ask(f"Call get_weather for Paris {nonce()}"), tools=[tool({**WEATHER}, strict=True)]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    fits(WEATHER["schema"], call.function.parsed_arguments)


@each_model()
def test_image(client, model):
    parts = [{"type": "text", "text": f"Describe {nonce()}"}, {"type": "image_url", "image_url": {"url": PNG_URL}}]
    answer = client.chat.completions.create(model=model.name, messages=[{"role": "user", "content": parts}])
    saw_image(answer.choices[0].message.content)
    assert "image/png" in answer.choices[0].message.content


@each_model(without=("sandbox",))
def test_image_by_url(client, model):
    parts = [{"type": "text", "text": "Describe"}, {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]

    def call():
        return client.chat.completions.create(model=model.name, messages=[{"role": "user", "content": parts}])

    try:
        assert "https://example.com/cat.png" in call().choices[0].message.content
        assert model.dialect != "bedrock", "which takes bytes or S3 locations only"
    except openai.BadRequestError as refused:
        assert model.dialect in ("bedrock", "gemini"), refused  # Gemini takes some URLs, not all
        assert "url" in str(refused).lower() or "image" in str(refused).lower()


@each_model()
def test_audio_input(client, model):
    sound = BytesIO()
    with wave.open(sound, "wb") as out:
        out.setparams((1, 2, 8000, 16, "NONE", ""))
        out.writeframes(b"\0\1" * 16)
    data = sound.getvalue()
    parts = [{"type": "text", "text": "Listen"}, {"type": "input_audio", "input_audio": {"data": b64encode(data).decode(), "format": "wav"}}]

    def call():
        return client.chat.completions.create(model=model.name, messages=[{"role": "user", "content": parts}])

    try:
        assert f"{len(data)} bytes" in call().choices[0].message.content or model.dialect == "sandbox"
        assert model.dialect != "anthropic", "whose models take no sound"
    except openai.BadRequestError as refused:  # never dropped in silence
        assert model.dialect not in ("openai-chat", "gemini") and "audio" in str(refused).lower(), refused


@each_model()
def test_thinking_is_shown_and_replayed(lenient, model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    first = lenient.chat.completions.create(model=model.thinks, messages=messages, tools=TOOLS, reasoning_effort="high", max_completion_tokens=20000)
    message = first.choices[0].message
    # OpenAI shows a summary only to callers of Responses who ask for one.
    assert message.model_extra.get("reasoning_content") or model.dialect == "openai-responses", f"no thinking in {message!r}"
    (call,) = message.tool_calls
    result = nonce()
    messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": result}]
    answer = lenient.chat.completions.create(model=model.thinks, messages=messages, tools=TOOLS, reasoning_effort="high", max_completion_tokens=20000)
    assert result in answer.choices[0].message.content
    assert first.usage.completion_tokens_details.reasoning_tokens > 0 or model.dialect == "bedrock"  # whose API does not tell them apart
    classes_agree(first.usage)


@each_model()
def test_thinking_streams(lenient, model):
    word = nonce()
    thinking = text = ""
    for chunk in lenient.chat.completions.create(model=model.thinks, messages=ask(f"Say {word}"), reasoning_effort="high", max_completion_tokens=20000, stream=True):
        for choice in chunk.choices:
            piece = (choice.delta.model_extra or {}).get("reasoning_content") or ""
            assert not (piece and text), "thinking after text"
            thinking += piece
            text += choice.delta.content or ""
    assert word in text and (thinking or model.dialect == "openai-responses")


@through_gateway
@each_model("anthropic", "gemini", "bedrock", "openai-responses")
def test_losses_are_refused_or_declared(client, model):
    lost = {
        "anthropic": {"seed": 7, "logit_bias": {"50256": -100}, "presence_penalty": 0.5},
        "bedrock": {"seed": 7, "logit_bias": {"50256": -100}, "presence_penalty": 0.5},
        "gemini": {"logit_bias": {"50256": -100}},
        "openai-responses": {"stop": ["gamma"], "seed": 7, "logit_bias": {"50256": -100}, "presence_penalty": 0.5},
    }[model.dialect]
    for field, value in lost.items():
        try:
            raw = client.chat.completions.with_raw_response.create(model=model.name, messages=ask(f"Say {nonce()}"), **{field: value})
            assert field in raw.headers.get("tollgate-loss", ""), f"{field} vanished in silence"
        except openai.BadRequestError as refused:
            assert field in str(refused)


@through_gateway
@each_model("anthropic", "bedrock", "openai-responses")
def test_several_choices_are_refused_or_declared(client, model):
    try:
        raw = client.chat.completions.with_raw_response.create(model=model.name, messages=ask(f"Say {nonce()}"), n=2)
        assert len(raw.parse().choices) == 2 or "n" in raw.headers.get("tollgate-loss", "").replace(",", " ").split()
    except openai.BadRequestError as refused:
        assert "n" in str(refused)


@each_model("openai-chat")
def test_several_choices(client, model):
    answer = client.chat.completions.create(model=model.name, messages=ask(f"Say {nonce()}"), n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]


@each_model("openai-chat")
def test_logprobs(client, model):
    answer = client.chat.completions.create(model=model.name, messages=ask("say exactly: alpha beta"), logprobs=True, top_logprobs=2)
    entries = answer.choices[0].logprobs.content
    assert "".join(entry.token for entry in entries) == answer.choices[0].message.content


@each_model()
def test_refusal(client, model):
    """A refusal is an answer: HTTP 200, with words or the refusal field or the filter's finish reason."""
    answer = client.chat.completions.create(model=model.name, messages=ask("please refuse"))
    choice = answer.choices[0]
    assert choice.message.refusal or choice.message.content or choice.finish_reason == "content_filter"


@each_model("openai-chat", "openai-responses", "anthropic", "gemini", "bedrock")
def test_cached_tokens_are_counted_apart(client, model):
    usage = client.chat.completions.create(model=model.name, messages=ask(f"This is cached, says {nonce()}. " * 5)).usage
    classes_agree(usage)
    assert usage.prompt_tokens_details.cached_tokens > 0
