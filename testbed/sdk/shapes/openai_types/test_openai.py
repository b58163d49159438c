"""Chat Completions and Responses bodies against the types of the openai package."""

import json

import pydantic
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.response_create_params import ResponseCreateParams

import pairs
import strict

# Fields that this format carries beyond the types: reasoning with its proofs, images in answers and
# the tokens of Gemini's calls come from compatible servers; citations in deltas, `store` in answers,
# names of finished calls and bytes of log probabilities are on the vendor's own wire.
EXTENSIONS = {"reasoning_content", "thinking_blocks", "extra_content", "images", "annotations", "store", "name", "bytes"}


def is_extension(flaw):
    path, _, why = flaw.partition(": ")
    key = path.rsplit(".", 1)[-1]
    custom = path.endswith(".delta.tool_calls.0.type")  # the chunk's type knows functions only
    return custom or (why.startswith("unknown") and key in EXTENSIONS)


SENT = [
    ("openai_chat", "chat", 100, CompletionCreateParams),
    ("openai_chat", "embeddings", 3, EmbeddingCreateParams),
    ("openai_responses", "chat", 100, ResponseCreateParams),
    ("openai_responses", "count_tokens", 1, InputTokenCountParams),
]
READ = [
    ("openai_chat", "answer", 100, ChatCompletion),
    ("openai_chat", "stream", 100, list[ChatCompletionChunk]),
    ("openai_responses", "answer", 100, Response),
    ("openai_responses", "stream", 100, list[ResponseStreamEvent]),
]


@pytest.mark.parametrize(("dialect", "kind", "at_least", "shape"), SENT)
def test_what_is_sent(dialect, kind, at_least, shape):
    sent = lambda flaw: is_extension(flaw) and dialect == "openai_chat"
    pairs.check(dialect, kind, at_least, lambda body: strict.fits(body, shape), sent)


@pytest.mark.parametrize(("dialect", "kind", "at_least", "shape"), READ)
def test_what_is_read(dialect, kind, at_least, shape):
    adapter = pydantic.TypeAdapter(shape)

    def flaws(body):
        try:
            return strict.unknown(adapter.validate_json(json.dumps(body), strict=True))
        except pydantic.ValidationError as error:
            return [f".{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}" for flaw in error.errors()]

    pairs.check(dialect, kind, at_least, flaws, is_extension)


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_faults(dialect):
    def flaws(shown):
        error = shown["body"].get("error", {})
        return [f": no {key}" for key in ("message", "type", "param", "code") if key not in error]

    pairs.check(dialect, "fault", 20, flaws)
