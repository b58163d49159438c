"""Converse bodies against the service model inside botocore, enums and patterns included."""

import re

import botocore.session
import pytest
from botocore.validate import ParamValidator

import pairs

SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")
KINDS = {"string": str, "integer": int, "long": int, "boolean": bool, "blob": str, "list": list, "map": dict, "structure": dict}


def fits(value, shape, at=""):
    kind = shape.type_name
    if kind == "structure" and getattr(shape, "is_document_type", False):
        return []
    if kind in ("float", "double", "timestamp"):
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{at}: not a number"]
    if type(value) is not KINDS[kind]:
        return [f"{at}: {value!r} is no {kind}"]
    if kind == "structure":
        return fits_structure(value, shape, at)
    if kind == "list":
        return within(len(value), shape, at) + [flaw for index, item in enumerate(value) for flaw in fits(item, shape.member, f"{at}[{index}]")]
    if kind == "map":
        return [flaw for key, item in value.items() for flaw in fits(key, shape.key, f"{at}.{key}") + fits(item, shape.value, f"{at}.{key}")]
    if kind in ("integer", "long"):
        return within(value, shape, at)
    if kind == "string":
        enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        wrong = [f"{at}: {value!r} is none of {enum}"] if enum and value not in enum else []
        wrong += [f"{at}: {value!r} does not match {pattern}"] if pattern and not re.fullmatch(java(pattern), value, re.DOTALL) else []
        return wrong + within(len(value), shape, at)
    return []


def java(pattern):
    return pattern.replace(r"\p{L}", r"[^\W\d_]")


def fits_structure(value, shape, at):
    wrong = [f"{at}.{key}: unknown to {shape.name}" for key in value if key not in shape.members]
    wrong += [f"{at}.{key}: required by {shape.name}" for key in shape.required_members if key not in value]
    if shape.is_tagged_union and len(value) != 1:
        wrong.append(f"{at}: {len(value)} members of the union {shape.name}")
    return wrong + [flaw for key in value if key in shape.members for flaw in fits(value[key], shape.members[key], f"{at}.{key}")]


def within(size, shape, at):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    wrong = [f"{at}: {size} is below {low}"] if low is not None and size < low else []
    return wrong + ([f"{at}: {size} is above {high}"] if high is not None and size > high else [])


@pytest.mark.parametrize(("kind", "at_least", "operation"), [("chat", 100, "Converse"), ("chat", 100, "ConverseStream"), ("count_tokens", 1, "CountTokens")])
def test_what_is_sent(kind, at_least, operation):
    shape = SERVICE.operation_model(operation).input_shape

    def flaws(body):
        params = {"modelId": "anthropic.claude-v1:0", **body}
        report = ParamValidator().validate(params, shape)
        return fits(params, shape) + ([f": {report.generate_report()}"] if report.has_errors() else [])

    pairs.check("bedrock", kind, at_least, flaws)


def test_answers():
    shape = SERVICE.operation_model("Converse").output_shape
    pairs.check("bedrock", "answer", 100, lambda body: fits(body, shape))


def test_streams():
    events = SERVICE.operation_model("ConverseStream").output_shape.members["stream"].members

    def flaws(stream):
        return [flaw for name, payload in stream for flaw in (fits(payload, events[name], f" {name}") if name in events else [f": no event {name}"])]

    pairs.check("bedrock", "stream", 100, flaws)


def test_faults():
    pairs.check("bedrock", "fault", 20, lambda shown: [] if shown["body"].get("message") else [": no message"])
