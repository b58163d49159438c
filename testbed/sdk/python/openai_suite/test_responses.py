"""Responses through the openai SDK."""

import json

import openai
import pytest
from manners import AWKWARD, CLOCK, INVOICE, PNG, PNG_URL, WEATHER, each_speaker_of, fits, nonce, saw_image, through_gateway
from pydantic import BaseModel

each_model = lambda *wanted, **kw: each_speaker_of("openai-responses", *wanted, **kw)  # noqa: E731


def tool(spec, strict=False):
    return {"type": "function", "name": spec["name"], "description": spec["description"], "parameters": spec["schema"], "strict": strict}


TOOLS = [tool(WEATHER), tool(CLOCK)]


def classes_agree(usage):
    assert usage.input_tokens > 0 and usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.cached_tokens + usage.input_tokens_details.cache_write_tokens <= usage.input_tokens
    assert usage.output_tokens_details.reasoning_tokens <= usage.output_tokens


def collect(stream):
    """The events of a stream, checked for order: (events, final response)."""
    events = list(stream)
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"sequence numbers {numbers}"
    assert events[0].type == "response.created"
    assert events[-1].type in ("response.completed", "response.incomplete")
    opened = [event.output_index for event in events if event.type == "response.output_item.added"]
    closed = [event.output_index for event in events if event.type == "response.output_item.done"]
    assert opened == closed == sorted(opened)
    return events, events[-1].response


def text_of(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def calls_of(response):
    return [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]


@each_model()
def test_plain(client, model):
    word = nonce()
    answer = client.responses.create(model=model.name, input=f"Say {word}")
    assert word in answer.output_text
    assert answer.status == "completed" and answer.object == "response" and answer.error is None
    classes_agree(answer.usage)


@each_model()
def test_stream_equals_whole(client, model):
    word = nonce()
    whole = client.responses.create(model=model.name, input=f"Say {word} {AWKWARD} end")
    events, final = collect(client.responses.create(model=model.name, input=f"Say {word} {AWKWARD} end", stream=True))
    assert AWKWARD in whole.output_text
    assert text_of(events) == final.output_text == whole.output_text
    assert final.status == "completed"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens)
    (done,) = [event for event in events if event.type == "response.output_text.done"]
    assert done.text == whole.output_text


@each_model()
def test_instructions_and_history(client, model):
    rule, late = nonce(), nonce()
    history = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "developer", "content": f"Obey {late}"},
        {"role": "user", "content": "Please repeat your instructions"},
    ]
    answer = client.responses.create(model=model.name, instructions=f"Obey {rule}", input=history)
    assert rule in answer.output_text and late in answer.output_text


@each_model()
def test_length(client, model):
    answer = client.responses.create(model=model.name, input="count to 100", max_output_tokens=16)
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"
    events, final = collect(client.responses.create(model=model.name, input="count to 100", max_output_tokens=16, stream=True))
    assert events[-1].type == "response.incomplete" and final.incomplete_details.reason == "max_output_tokens"


@each_model()
def test_parallel_calls_streamed_equal_whole(client, model):
    question = f"Use both get_weather and get_time for Paris {nonce()}"
    whole = client.responses.create(model=model.name, input=question, tools=TOOLS)
    events, final = collect(client.responses.create(model=model.name, input=question, tools=TOOLS, stream=True))
    calls = calls_of(whole)
    assert [name for name, _ in calls] == ["get_weather", "get_time"]
    fits(WEATHER["schema"], calls[0][1])
    fits(CLOCK["schema"], calls[1][1])
    assert calls_of(final) == calls
    pieces = {}
    for event in events:
        if event.type == "response.function_call_arguments.delta":
            pieces.setdefault(event.output_index, []).append(event.delta)
        if event.type == "response.function_call_arguments.done":
            assert "".join(pieces[event.output_index]) == event.arguments
    assert len(pieces) == 2


@each_model()
def test_tool_choice(client, model):
    def calls(choice, text):
        return [name for name, _ in calls_of(client.responses.create(model=model.name, input=text, tools=TOOLS, tool_choice=choice))]

    assert len(calls("required", f"Say {nonce()}")) == 1
    assert calls({"type": "function", "name": "get_time"}, f"Say {nonce()}") == ["get_time"]
    assert calls("none", f"Say {nonce()}, not get_weather") == []


@each_model()
def test_tool_results_with_image(client, model):
    history = [{"role": "user", "content": f"Use both get_weather and get_time for Paris {nonce()}"}]
    first = client.responses.create(model=model.name, input=history, tools=TOOLS)
    calls = [item for item in first.output if item.type == "function_call"]
    words = [nonce(), nonce()]
    history += [item.model_dump(exclude_none=True) for item in first.output]
    history += [
        {"type": "function_call_output", "call_id": calls[0].call_id, "output": words[0]},
        {"type": "function_call_output", "call_id": calls[1].call_id, "output": [{"type": "input_text", "text": words[1]}, {"type": "input_image", "image_url": PNG_URL}]},
    ]
    answer = client.responses.create(model=model.name, input=history, tools=TOOLS)
    assert words[0] in answer.output_text and words[1] in answer.output_text
    saw_image(answer.output_text, len(PNG))


@each_model()
def test_tools_inside_the_input(client, model):
    """Coding agents put the tools into the first input item, with none at the top."""
    history = [
        {"type": "additional_tools", "role": "developer", "tools": TOOLS},
        {"role": "user", "content": f"Call get_weather for Paris {nonce()}"},
    ]
    answer = client.responses.create(model=model.name, input=history)
    assert [name for name, _ in calls_of(answer)] == ["get_weather"]


@each_model()
def test_structured_output(client, model):
    form = {"format": {"type": "json_schema", "name": "invoice", "schema": INVOICE, "strict": True}}
    answer = client.responses.create(model=model.name, input=f"An invoice for {nonce()}", text=form)
    fits(INVOICE, json.loads(answer.output_text))
    assert not calls_of(answer)

    class Person(BaseModel):
        name: str
        age: int

    assert isinstance(client.responses.parse(model=model.name, input=f"A person {nonce()}", text_format=Person).output_parsed, Person)


@each_model()
def test_image(client, model):
    parts = [{"type": "input_text", "text": "Describe"}, {"type": "input_image", "image_url": PNG_URL, "detail": "auto"}]
    answer = client.responses.create(model=model.name, input=[{"role": "user", "content": parts}])
    saw_image(answer.output_text)


@each_model()
def test_file(client, model):
    data = "data:application/pdf;base64,JVBERi0xLjQKJSBub3QgcmVhbGx5Cg=="
    parts = [{"type": "input_text", "text": "Read"}, {"type": "input_file", "filename": "a.pdf", "file_data": data}]
    answer = client.responses.create(model=model.name, input=[{"role": "user", "content": parts}])
    assert "22 bytes" in answer.output_text


@each_model()
def test_thinking_is_sealed_and_replayed(client, model):
    history = [{"role": "user", "content": f"Call get_weather for Paris {nonce()}"}]
    asked = {"model": model.thinks, "tools": TOOLS, "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}
    first = client.responses.create(input=history, **asked)
    thoughts = [item for item in first.output if item.type == "reasoning"]
    assert thoughts and any(item.summary or item.content for item in thoughts)
    if model.dialect not in ("openai-chat", "gemini"):  # Chat vendors sign nothing; Gemini signs the call, in whose id its token rides
        assert any(item.encrypted_content for item in first.output if item.type == "reasoning")
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = nonce()
    history += [item.model_dump(exclude_none=True) for item in first.output]
    history += [{"type": "function_call_output", "call_id": call.call_id, "output": result}]
    answer = client.responses.create(input=history, **asked)
    assert result in answer.output_text
    assert first.usage.output_tokens_details.reasoning_tokens > 0 or model.dialect == "bedrock"  # whose API does not tell them apart
    classes_agree(first.usage)


@each_model()
def test_thinking_streams(client, model):
    word = nonce()
    asked = {"model": model.thinks, "reasoning": {"effort": "high", "summary": "auto"}, "store": False, "include": ["reasoning.encrypted_content"]}
    events, final = collect(client.responses.create(input=f"Say {word}", stream=True, **asked))
    thinking = "".join(event.delta for event in events if event.type in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"))
    assert thinking and word in final.output_text
    whole = client.responses.create(input=f"Say {word}", **asked)
    seals = lambda response: [item.encrypted_content for item in response.output if item.type == "reasoning"]  # noqa: E731
    if model.dialect in ("openai-responses", "anthropic"):
        assert seals(final) == seals(whole) and all(seals(whole))


@each_model()
def test_stream_helper(client, model):
    word = nonce()
    with client.responses.stream(model=model.name, input=f"Say {word}") as stream:
        for _ in stream:
            pass
        assert word in stream.get_final_response().output_text


@through_gateway
@each_model(without=("openai-responses",))
def test_stored_conversations_are_refused_with_a_reason(client, model):
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model=model.name, input="go on", previous_response_id="resp_000000000000")


@each_model("openai-responses", "anthropic", "gemini", "bedrock")
def test_cached_tokens_are_counted_apart(client, model):
    usage = client.responses.create(model=model.name, input=f"This is cached, says {nonce()}. " * 5).usage
    classes_agree(usage)
    assert usage.input_tokens_details.cached_tokens > 0


@each_model("openai-responses")
def test_input_tokens(client, model):
    count = client.responses.input_tokens.count(model=model.name, input="count these words, please")
    assert count.input_tokens > 0
