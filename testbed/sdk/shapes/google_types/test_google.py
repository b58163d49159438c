"""Gemini bodies against the models of google-genai, which forbid unknown fields.

The package has models for the parts of a request and for answers, but the request itself it
builds from its own configuration; its shape here is the REST reference's.
"""

import json
import warnings
from typing import Optional

import pydantic
import pytest
from google.genai import types

import pairs

STRICT = pydantic.ConfigDict(extra="forbid", alias_generator=pydantic.alias_generators.to_camel, val_json_bytes="base64")


class Request(pydantic.BaseModel):
    model_config = STRICT
    model: Optional[str] = None
    contents: list[types.Content]
    system_instruction: Optional[types.Content] = None
    tools: Optional[list[types.Tool]] = None
    tool_config: Optional[types.ToolConfig] = None
    safety_settings: Optional[list[types.SafetySetting]] = None
    generation_config: Optional[types.GenerationConfig] = None
    cached_content: Optional[str] = None
    labels: Optional[dict[str, str]] = None
    service_tier: Optional[types.ServiceTier] = None
    store: Optional[bool] = None


class Count(pydantic.BaseModel):
    model_config = STRICT
    contents: Optional[list[types.Content]] = None
    generate_content_request: Optional[Request] = None


class Embed(pydantic.BaseModel):
    model_config = STRICT
    model: Optional[str] = None
    content: types.Content
    task_type: Optional[str] = None
    title: Optional[str] = None
    output_dimensionality: Optional[int] = None


class EmbedBatch(pydantic.BaseModel):
    model_config = STRICT
    requests: list[Embed]


def flaws_of(shape):
    adapter = pydantic.TypeAdapter(shape)

    def flaws(body):
        # An enum takes unknown words with a warning.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                adapter.validate_json(json.dumps(body))
                return []
            except pydantic.ValidationError as error:
                return [f".{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}" for flaw in error.errors()]
            except UserWarning as warning:
                return [f": {warning}"]

    return flaws


KINDS = [
    ("chat", 100, Request),
    ("count_tokens", 1, Count),
    ("embeddings", 3, Embed | EmbedBatch),
    ("answer", 100, types.GenerateContentResponse),
    ("stream", 100, list[types.GenerateContentResponse]),
]


@pytest.mark.parametrize(("kind", "at_least", "shape"), KINDS)
def test_bodies(kind, at_least, shape):
    pairs.check("gemini", kind, at_least, flaws_of(shape))


def test_faults():
    def flaws(shown):
        error = shown["body"].get("error", {})
        wrong = [f": no {key}" for key in ("code", "message", "status") if not error.get(key)]
        return wrong + ([] if error.get("code") == shown["status"] else [f": code {error.get('code')} under {shown['status']}"])

    pairs.check("gemini", "fault", 20, flaws)
