"""Converse and ConverseStream through boto3, which checks the event stream's framing and checksums."""

import json

import pytest
from botocore.exceptions import ClientError
from manners import AWKWARD, CAMERA, CLOCK, INVOICE, PNG, WEATHER, each_speaker_of, fits, nonce, saw_image, through_gateway

each_model = lambda *wanted, **kw: each_speaker_of("bedrock", *wanted, **kw)  # noqa: E731

IMAGE = {"image": {"format": "png", "source": {"bytes": PNG}}}
THINKING = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "inferenceConfig": {"maxTokens": 8000}}


def tool(spec):
    return {"toolSpec": {"name": spec["name"], "description": spec["description"], "inputSchema": {"json": spec["schema"]}}}


TOOLS = {"tools": [tool(WEATHER), tool(CLOCK)]}


def ask(text, *more):
    return [{"role": "user", "content": [{"text": text}, *more]}]


def content_of(answer):
    message = answer["output"]["message"]
    assert message["role"] == "assistant"
    return message["content"]


def text_of(content):
    return "".join(block["text"] for block in content if "text" in block)


def calls_of(content):
    return [(block["toolUse"]["name"], block["toolUse"]["input"]) for block in content if "toolUse" in block]


def thoughts_of(content):
    return [block["reasoningContent"]["reasoningText"] for block in content if "reasoningText" in block.get("reasoningContent", {})]


def classes_agree(usage):
    assert usage["inputTokens"] > 0 and usage["outputTokens"] > 0
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] + cached


def collect(answer):
    """(content, stop reason, usage) of a stream, with the order of events checked."""
    content, pieces, stop, usage, kinds = {}, {}, None, None, []
    for event in answer["stream"]:
        ((kind, body),) = event.items()
        kinds.append(kind)
        if kind == "contentBlockStart":
            start = body["start"]
            content[body["contentBlockIndex"]] = {"toolUse": {**start["toolUse"], "input": ""}} if "toolUse" in start else {}
        elif kind == "contentBlockDelta":
            add(content.setdefault(body["contentBlockIndex"], {}), body["delta"])
            pieces[body["contentBlockIndex"]] = pieces.get(body["contentBlockIndex"], 0) + 1
        elif kind == "messageStop":
            stop = body["stopReason"]
        elif kind == "metadata":
            usage = body["usage"]
    assert kinds[0] == "messageStart" and kinds[-2:] == ["messageStop", "metadata"], kinds
    assert kinds.count("contentBlockStop") == len(content)
    for block in content.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return [content[index] for index in sorted(content)], stop, usage


def add(block, delta):
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "reasoningContent" in delta:
        inner = delta["reasoningContent"]
        if "redactedContent" in inner:
            block["reasoningContent"] = {"redactedContent": inner["redactedContent"]}
            return
        text = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
        text["text"] += inner.get("text", "")
        if "signature" in inner:
            text["signature"] = text.get("signature", "") + inner["signature"]


@each_model()
def test_plain(client, model):
    word = nonce()
    answer = client.converse(modelId=model.name, messages=ask(f"Say {word}"))
    assert word in text_of(content_of(answer))
    assert answer["stopReason"] == "end_turn"
    assert answer["metrics"]["latencyMs"] >= 0
    classes_agree(answer["usage"])
    assert answer["ResponseMetadata"]["RequestId"]


@each_model()
def test_stream_equals_whole(client, model):
    messages = ask(f"Say {nonce()} {AWKWARD} end")
    whole = client.converse(modelId=model.name, messages=messages)
    content, stop, usage = collect(client.converse_stream(modelId=model.name, messages=messages))
    assert AWKWARD in text_of(content_of(whole)) and text_of(content) == text_of(content_of(whole))
    assert stop == "end_turn"
    classes_agree(usage)
    assert usage["totalTokens"] == whole["usage"]["totalTokens"]


@each_model()
def test_system_and_history(client, model):
    rule = nonce()
    messages = ask("first") + [{"role": "assistant", "content": [{"text": "second"}]}] + ask("Please repeat your instructions")
    answer = client.converse(modelId=model.name, system=[{"text": f"Obey {rule}"}], messages=messages)
    assert rule in text_of(content_of(answer))


@each_model()
def test_length_and_stop(client, model):
    answer = client.converse(modelId=model.name, messages=ask("count to 100"), inferenceConfig={"maxTokens": 16})
    assert answer["stopReason"] == "max_tokens" and answer["usage"]["outputTokens"] <= 16
    if model.dialect != "openai-responses":  # has no stop sequences
        answer = client.converse(modelId=model.name, messages=ask("say exactly: alpha beta gamma"), inferenceConfig={"stopSequences": ["gamma"]})
        assert text_of(content_of(answer)).rstrip() == "alpha beta"
        assert answer["stopReason"] in ("stop_sequence", "end_turn")


@each_model()
def test_parallel_calls_streamed_equal_whole(client, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    whole = client.converse(modelId=model.name, messages=messages, toolConfig=TOOLS)
    content, stop, _ = collect(client.converse_stream(modelId=model.name, messages=messages, toolConfig=TOOLS))
    calls = calls_of(content_of(whole))
    assert whole["stopReason"] == stop == "tool_use"
    assert [name for name, _ in calls] == ["get_weather", "get_time"] and calls_of(content) == calls
    fits(WEATHER["schema"], calls[0][1])
    fits(CLOCK["schema"], calls[1][1])


@each_model()
def test_call_without_arguments(client, model):
    content, _, _ = collect(client.converse_stream(modelId=model.name, messages=ask("Call take_photo with empty arguments"), toolConfig={"tools": [tool(CAMERA)]}))
    assert calls_of(content) == [("take_photo", {})]


@each_model()
def test_tool_choice(client, model):
    def calls(choice, text):
        answer = client.converse(modelId=model.name, messages=ask(text), toolConfig={**TOOLS, "toolChoice": choice})
        return [name for name, _ in calls_of(content_of(answer))]

    assert len(calls({"any": {}}, f"Say {nonce()}")) == 1
    assert calls({"tool": {"name": "get_time"}}, f"Say {nonce()}") == ["get_time"]
    assert calls({"auto": {}}, f"Say {nonce()}") == []


@each_model()
def test_tool_results_with_image_and_error(client, model):
    messages = ask(f"Use both get_weather and get_time for Paris {nonce()}")
    first = content_of(client.converse(modelId=model.name, messages=messages, toolConfig=TOOLS))
    ids = [block["toolUse"]["toolUseId"] for block in first if "toolUse" in block]
    words = [nonce(), nonce()]
    messages += [
        {"role": "assistant", "content": first},
        {"role": "user", "content": [
            {"toolResult": {"toolUseId": ids[0], "content": [{"text": words[0]}, IMAGE]}},
            {"toolResult": {"toolUseId": ids[1], "content": [{"json": {"failure": words[1]}}], "status": "error"}},
        ]},
    ]
    answer = client.converse(modelId=model.name, messages=messages, toolConfig=TOOLS)
    text = text_of(content_of(answer))
    assert words[0] in text and words[1] in text
    saw_image(text)
    assert answer["stopReason"] == "end_turn"


@each_model()
def test_structured_output(client, model):
    form = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(INVOICE), "name": "invoice"}}}}
    answer = client.converse(modelId=model.name, messages=ask(f"An invoice for {nonce()}"), outputConfig=form)
    fits(INVOICE, json.loads(text_of(content_of(answer))))
    assert not calls_of(content_of(answer)) and answer["stopReason"] == "end_turn"


@each_model()
def test_image(client, model):
    saw_image(text_of(content_of(client.converse(modelId=model.name, messages=ask("Describe", IMAGE)))))


@each_model()
def test_document(client, model):
    document = {"document": {"format": "pdf", "name": "a", "source": {"bytes": b"%PDF-1.4\n% not really\n"}}}
    answer = client.converse(modelId=model.name, messages=ask("Read", document))
    assert "22 bytes" in text_of(content_of(answer))


@each_model()
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_thinking_is_signed_and_replayed(client, model, streamed):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    if streamed:
        content, _, _ = collect(client.converse_stream(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING))
    else:
        content = content_of(client.converse(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING))
    (thought,) = thoughts_of(content)
    assert thought["text"]
    if model.dialect in ("bedrock", "anthropic"):
        assert thought["signature"]
    (call,) = [block["toolUse"] for block in content if "toolUse" in block]
    result = nonce()
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": result}]}}]}]
    answer = client.converse(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING)
    assert result in text_of(content_of(answer))


@each_model("bedrock", "anthropic")
def test_forged_thinking_is_refused_by_the_upstream(client, model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    content = content_of(client.converse(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING))
    proof = thoughts_of(content)[0]["signature"]
    # Altered, not replaced: through the gateway a proof says whose it is, and one that says nothing is Bedrock's own.
    thoughts_of(content)[0]["signature"] = proof[:-4] + ("AAAA" if proof[-4:] != "AAAA" else "BBBB")
    (call,) = [block["toolUse"] for block in content if "toolUse" in block]
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "18"}]}}]}]
    with pytest.raises(ClientError) as refused:
        client.converse(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@through_gateway
@each_model("anthropic")
def test_thinking_of_another_vendor_stays_here_and_is_declared(client, model):
    messages = ask(f"Call get_weather for Paris {nonce()}")
    content = content_of(client.converse(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING))
    thoughts_of(content)[0]["signature"] = "A" * 40
    (call,) = [block["toolUse"] for block in content if "toolUse" in block]
    messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "18"}]}}]}]
    answer = client.converse(modelId=model.thinks, messages=messages, toolConfig=TOOLS, **THINKING)
    assert "thinking" in answer["ResponseMetadata"]["HTTPHeaders"]["tollgate-loss"]


@each_model("bedrock", "anthropic")
def test_cache_classes_are_disjoint(client, model):
    system = [{"text": f"Rules of {nonce()}. " * 400}, {"cachePoint": {"type": "default"}}]
    usage = client.converse(modelId=model.name, system=system, messages=ask("Say hello"))["usage"]
    classes_agree(usage)
    assert usage["cacheWriteInputTokens"] > usage["inputTokens"]
    usage = client.converse(modelId=model.name, system=system, messages=ask("Say hello, cached"))["usage"]
    classes_agree(usage)
    assert usage["cacheReadInputTokens"] > usage["inputTokens"]
