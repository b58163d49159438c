"""generateContent and its kin through the google-genai SDK."""

import json

import pytest
from google.genai import errors, types
from manners import AWKWARD, CLOCK, INVOICE, PNG, WEATHER, each_speaker_of, fits, nonce, saw_image, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("gemini", *wanted, **kw)  # noqa: E731


def declaration(spec):
    return types.FunctionDeclaration(name=spec["name"], description=spec["description"], parameters_json_schema=spec["schema"])


TOOLS = [types.Tool(function_declarations=[declaration(WEATHER), declaration(CLOCK)])]
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)
THINKING = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)


def settings(**more):
    return types.GenerateContentConfig(automatic_function_calling=BY_HAND, **more)


def parts_of(answer):
    return answer.candidates[0].content.parts or []


def text_of(parts):
    return "".join(part.text for part in parts if part.text and not part.thought)


def thoughts_of(parts):
    return "".join(part.text for part in parts if part.text and part.thought)


def calls_of(parts):
    return [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]


def classes_agree(usage):
    assert usage.prompt_token_count > 0
    # Thoughts are a class of their own, cached tokens are part of the prompt's.
    known = usage.prompt_token_count + (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    assert usage.total_token_count == known
    assert (usage.cached_content_token_count or 0) <= usage.prompt_token_count


def collect(stream):
    """(parts, finish reasons, last usage) of a stream."""
    parts, reasons, usage = [], [], None
    for chunk in stream:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            parts += (candidate.content and candidate.content.parts) or []
            if candidate.finish_reason:
                reasons.append(candidate.finish_reason.value)
    return parts, reasons, usage


@each_model()
def test_plain(client, model):
    word = nonce()
    answer = client.models.generate_content(model=model.name, contents=f"Say {word}")
    assert word in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    classes_agree(answer.usage_metadata)


@each_model()
def test_older_version_of_the_api(older, model):
    word = nonce()
    assert word in older.models.generate_content(model=model.name, contents=f"Say {word}").text
    assert word in text_of(collect(older.models.generate_content_stream(model=model.name, contents=f"Say {word}"))[0])


@each_model()
def test_stream_equals_whole(client, model):
    question = f"Say {nonce()} {AWKWARD} end"
    whole = client.models.generate_content(model=model.name, contents=question)
    parts, reasons, usage = collect(client.models.generate_content_stream(model=model.name, contents=question))
    assert AWKWARD in whole.text and text_of(parts) == whole.text
    assert reasons == ["STOP"]
    classes_agree(usage)
    assert usage.total_token_count == whole.usage_metadata.total_token_count


@each_model()
def test_system_and_history(client, model):
    rule = nonce()
    contents = [
        types.UserContent("first"),
        types.ModelContent("second"),
        types.UserContent("Please repeat your instructions"),
    ]
    answer = client.models.generate_content(model=model.name, contents=contents, config=settings(system_instruction=f"Obey {rule}"))
    assert rule in answer.text


@each_model()
def test_chat_session(client, model):
    chat = client.chats.create(model=model.name)
    first, second = nonce(), nonce()
    assert first in chat.send_message(f"Say {first}").text
    assert second in chat.send_message(f"Say {second}").text


@each_model()
def test_length_and_stop(client, model):
    answer = client.models.generate_content(model=model.name, contents="count to 100", config=settings(max_output_tokens=16))
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    if model.dialect != "openai-responses":  # has no stop sequences
        answer = client.models.generate_content(model=model.name, contents="say exactly: alpha beta gamma", config=settings(stop_sequences=["gamma"]))
        assert answer.text.rstrip() == "alpha beta" and answer.candidates[0].finish_reason == types.FinishReason.STOP


@each_model()
def test_parallel_calls_streamed_equal_whole(client, model):
    question = f"Use both get_weather and get_time for Paris {nonce()}"
    whole = client.models.generate_content(model=model.name, contents=question, config=settings(tools=TOOLS))
    parts, reasons, _ = collect(client.models.generate_content_stream(model=model.name, contents=question, config=settings(tools=TOOLS)))
    calls = calls_of(parts_of(whole))
    assert [name for name, _ in calls] == ["get_weather", "get_time"] and calls_of(parts) == calls
    fits(WEATHER["schema"], calls[0][1])
    fits(CLOCK["schema"], calls[1][1])
    assert reasons == ["STOP"]


@each_model()
def test_tool_choice(client, model):
    def calls(mode, text, names=None):
        choice = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=mode, allowed_function_names=names))
        answer = client.models.generate_content(model=model.name, contents=text, config=settings(tools=TOOLS, tool_config=choice))
        return [name for name, _ in calls_of(parts_of(answer))]

    assert len(calls("ANY", f"Say {nonce()}")) == 1
    assert calls("ANY", f"Say {nonce()}", ["get_time"]) == ["get_time"]
    assert calls("AUTO", f"Say {nonce()}") == []
    assert calls("NONE", f"Say {nonce()}, not get_weather") == []


@each_model()
def test_tool_results_with_image(client, model):
    question = types.UserContent(f"Use both get_weather and get_time for Paris {nonce()}")
    first = client.models.generate_content(model=model.name, contents=[question], config=settings(tools=TOOLS))
    calls = [part.function_call for part in parts_of(first) if part.function_call]
    words = [nonce(), nonce()]
    picture = types.FunctionResponsePart(inline_data=types.FunctionResponseBlob(mime_type="image/png", data=PNG))
    results = [
        types.Part(function_response=types.FunctionResponse(id=calls[0].id, name=calls[0].name, response={"result": words[0]}, parts=[picture])),
        types.Part(function_response=types.FunctionResponse(id=calls[1].id, name=calls[1].name, response={"result": words[1]})),
    ]
    contents = [question, first.candidates[0].content, types.Content(role="user", parts=results)]
    answer = client.models.generate_content(model=model.name, contents=contents, config=settings(tools=TOOLS))
    assert words[0] in answer.text and words[1] in answer.text
    saw_image(answer.text)


@each_model()
def test_automatic_function_calling(client, model):
    word = nonce()

    def get_weather(city: str) -> str:
        """The weather of a place."""
        return f"{word} in {city}"

    answer = client.models.generate_content(model=model.name, contents="What is the weather for Paris?", config=types.GenerateContentConfig(tools=[get_weather]))
    assert f"{word} in Paris" in answer.text


@each_model()
def test_structured_output(client, model):
    config = settings(response_mime_type="application/json", response_json_schema=INVOICE)
    whole = client.models.generate_content(model=model.name, contents=f"An invoice for {nonce()}", config=config)
    fits(INVOICE, json.loads(whole.text))
    assert not calls_of(parts_of(whole))


@each_model()
def test_structured_output_with_the_older_schema(client, model):
    schema = types.Schema(type="OBJECT", properties={"name": types.Schema(type="STRING"), "age": types.Schema(type="INTEGER")}, required=["name", "age"])
    answer = client.models.generate_content(model=model.name, contents=f"A person {nonce()}", config=settings(response_mime_type="application/json", response_schema=schema))
    person = json.loads(answer.text)
    assert isinstance(person["name"], str) and isinstance(person["age"], int)


@each_model()
def test_image(client, model):
    answer = client.models.generate_content(model=model.name, contents=["Describe", types.Part.from_bytes(data=PNG, mime_type="image/png")])
    saw_image(answer.text)


@each_model()
def test_thinking_is_signed_and_replayed(client, model):
    question = types.UserContent(f"Call get_weather for Paris {nonce()}")
    config = settings(tools=TOOLS, thinking_config=THINKING, max_output_tokens=8000)
    first = client.models.generate_content(model=model.thinks, contents=[question], config=config)
    assert thoughts_of(parts_of(first))
    assert (first.usage_metadata.thoughts_token_count or 0) > 0 or model.dialect in ("anthropic", "bedrock")
    (call,) = [part.function_call for part in parts_of(first) if part.function_call]
    if model.dialect in ("gemini", "anthropic", "bedrock"):
        assert any(part.thought_signature for part in parts_of(first))
    result = nonce()
    reply = types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": result}))
    contents = [question, first.candidates[0].content, types.Content(role="user", parts=[reply])]
    assert result in client.models.generate_content(model=model.thinks, contents=contents, config=config).text


@each_model()
def test_thinking_streams_and_is_replayed(client, model):
    question = types.UserContent(f"Call get_weather for Paris {nonce()}")
    config = settings(tools=TOOLS, thinking_config=THINKING, max_output_tokens=8000)
    parts, _, usage = collect(client.models.generate_content_stream(model=model.thinks, contents=[question], config=config))
    assert thoughts_of(parts)
    classes_agree(usage)
    (call,) = [part.function_call for part in parts if part.function_call]
    result = nonce()
    reply = types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": result}))
    contents = [question, types.Content(role="model", parts=parts), types.Content(role="user", parts=[reply])]
    assert result in client.models.generate_content(model=model.thinks, contents=contents, config=config).text


@each_model("gemini")
def test_calls_without_their_signature_are_refused_by_the_upstream(client, model):
    question = types.UserContent(f"Call get_weather for Paris {nonce()}")
    config = settings(tools=TOOLS, thinking_config=THINKING)
    first = client.models.generate_content(model=model.thinks, contents=[question], config=config)
    (call,) = [part.function_call for part in parts_of(first) if part.function_call]
    reply = types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": "18"}))
    bare = types.Content(role="model", parts=[types.Part(function_call=types.FunctionCall(id=call.id, name=call.name, args=call.args))])
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model=model.thinks, contents=[question, bare, types.Content(role="user", parts=[reply])], config=config)
    assert refused.value.code == 400


@each_model()
def test_count_tokens(client, model):
    short = client.models.count_tokens(model=model.name, contents="count this")
    long = client.models.count_tokens(model=model.name, contents="count this " * 50)
    assert 0 < short.total_tokens < long.total_tokens


@each_model("gemini", "openai-chat", "sandbox")
def test_embeddings(client, model):
    # For names that hold `gemini` this client joins bare strings into one content, whose vector is one.
    answer = client.models.embed_content(model=model.embeds, contents=[types.UserContent("one"), types.UserContent("two")])
    assert len(answer.embeddings) == 2 and all(vector.values for vector in answer.embeddings)
    assert answer.embeddings[0].values != answer.embeddings[1].values
    again = client.models.embed_content(model=model.embeds, contents="one")
    assert again.embeddings[0].values == pytest.approx(answer.embeddings[0].values)
    short = client.models.embed_content(model=model.embeds, contents="one", config=types.EmbedContentConfig(output_dimensionality=8))
    assert len(short.embeddings[0].values) == 8


@through_gateway
@each_model("anthropic", "bedrock")
def test_embeddings_where_there_are_none(client, model):
    with pytest.raises(errors.ClientError) as refused:
        client.models.embed_content(model=model.name, contents="one")
    assert refused.value.code in (400, 404)


@each_model()
def test_models(client, model):
    names = [entry.name for entry in client.models.list()]
    assert f"models/{model.name}" in names
    assert client.models.get(model=model.name).name == f"models/{model.name}"


@through_gateway
@each_model()
def test_no_comments_in_the_stream(client, model):
    """This SDK fails on SSE comments, so neither keep-alives nor closing facts may come as comments here."""
    parts, _, _ = collect(client.models.generate_content_stream(model=model.name, contents="say exactly: 1 2 3"))
    assert text_of(parts) == "1 2 3"
