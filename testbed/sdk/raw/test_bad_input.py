"""Bad input: a clear 4xx in the caller's dialect, and nothing reaches an upstream."""

import gzip
import json

import pytest
from doors import DOORS
from manners import BASE, KEY, get, nonce, seen

each_door = pytest.mark.parametrize("door", DOORS)

MODEL = {"chat": "chat-model", "responses": "responses-model", "messages": "claude-model", "gemini": "gemini-model", "bedrock": "bedrock-model"}


def post(raw, door, body, headers=None):
    return raw("POST", DOORS[door][0].format(model=MODEL[door]), body, headers=headers)


def good(door, word):
    return DOORS[door][1](MODEL[door], word)


def words_of(door, answer):
    """The message of an error, from where the door's dialect has it."""
    return answer.json["message"] if door == "bedrock" else answer.json["error"]["message"]


def refused(door, answer, word, statuses=(400,)):
    assert answer.status in statuses, (answer.status, answer.body)
    assert len(words_of(door, answer)) > 10
    assert answer.headers["x-should-retry"] == "false" and answer.headers["tollgate-request-id"]
    assert seen(word) == []
    assert get(f"{BASE}/livez")[0] == 200


@each_door
def test_truncated(raw, door):
    word = nonce()
    refused(door, post(raw, door, json.dumps(good(door, word))[:-2]), word)


@each_door
def test_trailing_rubbish(raw, door):
    word = nonce()
    refused(door, post(raw, door, json.dumps(good(door, word)) + " }"), word)


@each_door
@pytest.mark.parametrize("body", ["", "null", "[]", "7", '"text"', "{", "{]}", "{'model': 'x'}", "\x00"])
def test_not_an_object(raw, door, body):
    refused(door, post(raw, door, body), nonce())


@each_door
@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_100000_deep(raw, door, opening, closing):
    word = nonce()
    body = json.dumps(good(door, word))[:-1] + f', "metadata": {opening * 100_000}1{closing * 100_000}}}'
    refused(door, post(raw, door, body), word)


@pytest.mark.parametrize("door,field", [("chat", "model"), ("chat", "messages"), ("chat", "stream"), ("chat", "max_tokens"), ("responses", "model"), ("responses", "input"), ("messages", "model"), ("messages", "messages"), ("messages", "max_tokens")])
def test_duplicate_keys_of_governed_fields(raw, door, field):
    word = nonce()
    body = {"stream": False, "max_tokens": 10, **good(door, word)}
    if door == "responses":
        del body["max_tokens"]
    text = json.dumps(body)[:-1] + f', "{field}": {json.dumps(body[field])}}}'
    refused(door, post(raw, door, text), word)


@each_door
def test_invalid_utf8(raw, door):
    word = nonce()
    refused(door, post(raw, door, json.dumps(good(door, f"{word} @@")).encode().replace(b"@@", b"\xff\xfe")), word)


@each_door
def test_lone_surrogate(raw, door):
    word = nonce()
    refused(door, post(raw, door, json.dumps(good(door, f"{word} @@")).replace("@@", "\\ud800")), word)


@pytest.mark.parametrize("door,change", [
    ("chat", {"model": 7}), ("chat", {"stream": "yes"}), ("chat", {"max_tokens": "many"}), ("chat", {"messages": {}}), ("chat", {"tools": "none"}),
    ("responses", {"model": None}), ("responses", {"stream": 1}), ("responses", {"input": 7}),
    ("messages", {"max_tokens": "many"}), ("messages", {"messages": "hello"}), ("messages", {"stream": 1}),
    ("gemini", {"contents": 7}), ("gemini", {"generationConfig": []}),
    ("bedrock", {"messages": 7}), ("bedrock", {"inferenceConfig": "x"}),
], ids=lambda value: value if isinstance(value, str) else json.dumps(value))
def test_wrong_types(raw, door, change):
    word = nonce()
    answer = post(raw, door, {**good(door, word), **change})
    assert answer.status == 400, (answer.status, answer.body)
    field = next(iter(change))
    assert field in words_of(door, answer), "the message names the field"


@each_door
def test_too_large(raw, door):
    word = nonce()
    body = json.dumps(good(door, word + "x" * (33 << 20)))
    try:
        answer = post(raw, door, body)
    except (BrokenPipeError, ConnectionResetError):
        answer = None  # the gateway may close while we still send
    if answer:
        refused(door, answer, word, (413,))
    assert seen(word) == []


def test_too_large_by_announcement(raw):
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {40 << 20}\r\n\r\n"
    assert raw.bytes(head.encode()).status == 413


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
def test_unsupported_content_encoding(raw, encoding):
    word = nonce()
    refused("chat", post(raw, "chat", good("chat", word), {"content-encoding": encoding}), word, (400, 415))


def test_gzip_that_is_none(raw):
    word = nonce()
    refused("chat", post(raw, "chat", b"\x1f\x8b\x08 not gzip", {"content-encoding": "gzip"}), word, (400, 415))


def test_gzip(raw):
    """Served or refused, but never passed on unread."""
    word = nonce()
    answer = post(raw, "chat", gzip.compress(json.dumps(good("chat", f"Say {word}")).encode()), {"content-encoding": "gzip"})
    assert (answer.status == 200 and word.encode() in answer.body) or answer.status == 415


FRAMINGS = {
    "length and chunked": "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "content-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "list of lengths": "content-length: 2, 3\r\n\r\n{} ",
    "negative length": "content-length: -1\r\n\r\n{}",
    "signed length": "content-length: +2\r\n\r\n{}",
    "chunked twice": "transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": "transfer-encoding: nonsense\r\n\r\n{}",
    "space before the colon": "content-length : 2\r\n\r\n{}",
    "folded line": "x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}",
    "bad chunk size": "transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_conflicting_framing(raw, framing):
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    answer = raw.bytes((head + FRAMINGS[framing]).encode())
    assert answer is None or 400 <= answer.status < 500, answer.status
    assert get(f"{BASE}/livez")[0] == 200


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/chat", "/v1/chat/completions/x", "/model/x/nothing", "/v1beta/models/x:nothing"])
def test_unknown_path(raw, path):
    answer = raw("POST", path, {})
    assert answer.status == 404 and len(answer.body) > 10


@pytest.mark.parametrize("path", ["/../etc/passwd", "/v1/%2e%2e/admin", "/v1/models/a%2F..%2Fb", "/v1/chat%2Fcompletions", "//v1/models"])
def test_path_with_two_readings(raw, path):
    """Refused by the framing, before anything looks at the path."""
    answer = raw("POST", path, {})
    assert 400 <= answer.status < 500 and len(answer.json["error"]["message"]) > 10
    assert get(f"{BASE}/livez")[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_unknown_method(raw, method):
    answer = raw(method, "/v1/chat/completions")
    assert answer.status in (404, 405) and len(answer.body) > 10


def test_headers_too_large(raw):
    head = f"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nx-big: {'x' * 400_000}\r\n\r\n"
    try:
        answer = raw.bytes(head.encode())
    except (BrokenPipeError, ConnectionResetError):
        answer = None
    assert answer is None or answer.status in (400, 431)


def test_shadowed_header_names(raw):
    answer = post(raw, "chat", good("chat", "hello"), {"tollgate_user": "someone"})
    assert answer.status == 400 and "tollgate" in words_of("chat", answer)
