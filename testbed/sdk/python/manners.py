"""What every suite shares: where to call, which models to meet, and how a test model behaves.

The fake upstream and the gateway's `sandbox` keep the same manners (README.md lists them), so
one case runs against every upstream. All triggers are in the last user text, because that is
what survives translation from any dialect to any other.
"""

import base64
import http.client
import json
import os
import struct
import uuid
import zlib
from dataclasses import dataclass

import pytest

BASE = os.environ["BASE"]
KEY = os.environ["KEY"]
THINKS_BASE = os.environ["THINKS_BASE"]
UPSTREAM = os.environ["UPSTREAM"]
ADMIN = os.environ["ADMIN"]
UPSTREAM_KEY = os.environ["UPSTREAM_KEY"]
DIRECT = bool(os.environ["DIRECT"])
TIMEOUT_S = 20


@dataclass(frozen=True)
class Model:
    dialect: str  # of the upstream behind it: openai-chat, openai-responses, anthropic, gemini, bedrock, sandbox
    name: str
    thinks: str  # name of a model of the same upstream that shows its reasoning
    embeds: str  # name of an embedding model of the same upstream, or empty
    faulty: str  # name to use where a fault is asked for

    def __str__(self):
        return self.dialect


MODELS = [Model(**entry) for entry in json.loads(os.environ["MODELS"])]


def each_model(*wanted, without=()):
    """Parametrises a case over the models, or over those of the dialects named."""
    chosen = [m for m in MODELS if (not wanted or m.dialect in wanted) and m.dialect not in without]
    return pytest.mark.parametrize("model", chosen, ids=str)


def each_speaker_of(dialect, *wanted, without=()):
    """As `each_model`; with --direct only the model whose dialect is `dialect`, as nothing translates."""
    chosen = [m for m in MODELS if (not wanted or m.dialect in wanted) and m.dialect not in without]
    if DIRECT:
        chosen = [m for m in chosen if m.dialect == dialect]
    return pytest.mark.parametrize("model", chosen, ids=str)


through_gateway = pytest.mark.skipif(DIRECT, reason="what only the gateway does")


# --- prompts ----------------------------------------------------------------------------


def nonce():
    """A word that no other call uses, so that an answer holding it belongs to this call."""
    return f"azurite{uuid.uuid4().hex[:10]}"


# Separators that a line splitter by Unicode rules would cut at, and characters of 1 to 4 bytes.
AWKWARD = "a\u2028b\u2029c\u0085d é 漢字 🦀 \" \\ </s>"


WEATHER = {
    "name": "get_weather",
    "description": "The weather of a place.",
    "schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the place."},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}

CLOCK = {
    "name": "get_time",
    "description": "The time at a place.",
    "schema": {
        "type": "object",
        "properties": {"zone": {"type": "string"}, "hours": {"type": "integer"}},
        "required": ["zone", "hours"],
        "additionalProperties": False,
    },
}

CAMERA = {
    "name": "take_photo",
    "description": "A photo of what is there.",
    "schema": {"type": "object", "properties": {}, "additionalProperties": False},
}

INVOICE = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "total": {"type": "number"},
        "count": {"type": "integer"},
        "paid": {"type": "boolean"},
        "state": {"type": "string", "enum": ["open", "closed"]},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"label": {"type": "string"}, "amount": {"type": "number"}},
                "required": ["label", "amount"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["customer", "total", "count", "paid", "state", "lines"],
    "additionalProperties": False,
}


def png(width=3, height=2):
    """A real picture, a few dozen bytes long."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([x * 80, 40, 200] * 1)[:3] * width for x in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = png()
PNG_BASE64 = base64.b64encode(PNG).decode()
PNG_URL = f"data:image/png;base64,{PNG_BASE64}"


# --- what answers are held to -----------------------------------------------------------


def fits(schema, value, where="$"):
    """Raises unless `value` satisfies the small part of JSON Schema used here."""
    kind = schema.get("type")
    types = {"object": dict, "array": list, "string": str, "boolean": bool}
    if kind == "integer":
        assert isinstance(value, int) and not isinstance(value, bool), f"{where}: {value!r} is not an integer"
    elif kind == "number":
        assert isinstance(value, (int, float)) and not isinstance(value, bool), f"{where}: {value!r} is not a number"
    elif kind:
        assert isinstance(value, types[kind]), f"{where}: {value!r} is not of type {kind}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is none of {schema['enum']}"
    if kind == "object":
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            assert name in value, f"{where}.{name} is missing"
        for name, inner in value.items():
            if name in properties:
                fits(properties[name], inner, f"{where}.{name}")
            else:
                assert schema.get("additionalProperties", True), f"{where}.{name} is not in the schema"
    if kind == "array":
        for index, inner in enumerate(value):
            fits(schema["items"], inner, f"{where}[{index}]")
    return True


def saw_image(text, size=len(PNG)):
    """The answer states the decoded size of a picture that the model was shown."""
    assert f"{size} bytes" in text, f"the model did not see an image of {size} bytes: {text!r}"


# --- looking behind the gateway ---------------------------------------------------------


def get(url, headers=None):
    """One GET, as (status, headers, body)."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/{path}", headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def seen(word):
    """The requests holding `word` that reached the fake upstream, oldest first."""
    status, _, body = get(f"{UPSTREAM}/__requests?last=64")
    assert status == 200, body
    entries = json.loads(body)
    return [entry for entry in entries if word.encode() in base64.b64decode(entry["body"])]


# --- faults -----------------------------------------------------------------------------


class Fault:
    """Texts that make the fake upstream misbehave (run.py says which)."""

    _asked = json.loads(os.environ["FAULTS"])
    BUSY = _asked["BUSY"]  # the vendor's 429
    BROKEN = _asked["BROKEN"]  # the vendor's 500
    DEAD_KEY = _asked["DEAD_KEY"]  # the vendor's 401 for the gateway's own key
    REFUSED = _asked["REFUSED"]  # the vendor's 400s for the caller's content
    RUBBISH = _asked["RUBBISH"]  # whole answers that are no answers
    CUT = _asked["CUT"]  # a stream that closes before its end
    IN_BAND = _asked["IN_BAND"]  # a stream that ends in the dialect's own error
    STREAMS = _asked["STREAMS"]  # these two, and every other way in which a stream breaks
    LEGAL = _asked["LEGAL"]  # streams in legal but rare spellings
    LEGAL_TEXT = " ".join(str(n) for n in range(1, 31))  # which all say this
