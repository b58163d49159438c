"""Messages bodies against the types of the anthropic package."""

import json

import pydantic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParams

import pairs
import strict

# Refused on the newest version, taken on the one that our own bodies are sent with.
OLDER = {"temperature", "top_p", "top_k"}


def is_older(flaw):
    path, _, why = flaw.partition(": ")
    return why.startswith("unknown") and path.lstrip(".") in OLDER


def is_split(flaw):
    # A translated stream learns of cache writes at its end, too late for the start, which has the split.
    return flaw.endswith(".usage.cache_creation: unknown to MessageDeltaUsage")


@pytest.mark.parametrize(("kind", "at_least", "shape"), [("chat", 100, MessageCreateParams), ("count_tokens", 1, MessageCountTokensParams)])
def test_what_is_sent(kind, at_least, shape):
    pairs.check("anthropic", kind, at_least, lambda body: strict.fits(body, shape), is_older)


@pytest.mark.parametrize(("kind", "shape"), [("answer", Message), ("stream", list[RawMessageStreamEvent])])
def test_what_is_read(kind, shape):
    adapter = pydantic.TypeAdapter(shape)

    def flaws(body):
        if kind == "stream":
            body = [event for event in body if event["type"] != "ping"]
        try:
            return strict.unknown(adapter.validate_json(json.dumps(body), strict=True))
        except pydantic.ValidationError as error:
            return [f".{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}" for flaw in error.errors()]

    pairs.check("anthropic", kind, 100, flaws, is_split)


def test_faults():
    def flaws(shown):
        body = shown["body"]
        error = body.get("error", {})
        wrong = [f": no {key}" for key in ("type", "message") if not error.get(key)]
        return wrong + ([] if body.get("type") == "error" and body.get("request_id") else [": not an error body"])

    pairs.check("anthropic", "fault", 20, flaws)
