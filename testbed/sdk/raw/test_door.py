"""What SDKs do not show of the front door: keys, versions, shapes, headers, probes."""

import json

import pytest
from doors import DOORS, STREAMS
from manners import ADMIN, BASE, KEY, MODELS, UPSTREAM_KEY, Fault, get, nonce, seen

STRANGER = "tg-not-a-key-of-ours-000000000000"

each_door = pytest.mark.parametrize("door", DOORS)
each_model = pytest.mark.parametrize("model", MODELS, ids=str)


def call(raw, door, model, text, stream=False, **more):
    path, body = DOORS[door]
    body = body(model, text)
    if stream and door in STREAMS:
        path = STREAMS[door]
    elif stream:
        body["stream"] = True
    return raw("POST", path.format(model=model), body, **more)


@each_door
@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key", "api-key"])
def test_the_key_is_taken_from_every_header(raw, door, header):
    word = nonce()
    value = f"Bearer {KEY}" if header == "authorization" else KEY
    assert call(raw, door, "chat-model", f"Say {word}", key=None, headers={header: value}).status == 200
    wrong = f"Bearer {STRANGER}" if header == "authorization" else STRANGER
    assert call(raw, door, "chat-model", word, key=None, headers={header: wrong}).status in (401, 403)


@each_door
def test_no_key(raw, door):
    answer = call(raw, door, "chat-model", "hello", key=None)
    assert answer.status in (401, 403) and b"key" in answer.body.lower()


def test_key_in_the_query_is_refused_with_the_way_out(raw):
    """Keys are taken from headers only, because URLs end up in logs."""
    word = nonce()
    body = {"contents": [{"parts": [{"text": word}]}]}
    for headers in ({}, {"x-goog-api-key": KEY}):
        answer = raw("POST", f"/v1beta/models/gemini-model:generateContent?key={KEY}", body, key=None, headers=headers)
        assert answer.status in (400, 401) and "x-goog-api-key" in answer.json["error"]["message"]
        assert KEY.encode() not in answer.body
    assert seen(word) == []


@each_door
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@each_model
def test_a_compressed_answer_is_the_provider_s_fault(raw, door, streams, model):
    """Nobody asked for it, so it is neither unpacked nor passed on."""
    if model.dialect == "sandbox":
        pytest.skip("the sandbox does not break")
    answer = call(raw, door, model.faulty, "hello [fault=gzip]", stream=streams)
    assert answer.status == 502 and not answer.headers["content-encoding"]
    message = answer.json["message"] if door == "bedrock" else answer.json["error"]["message"]
    assert "compressed" in message and answer.headers["x-should-retry"] == "true"


@each_model
@pytest.mark.parametrize("path", ["/v1/models/{}", "/v1beta/models/{}", "/openai/v1/models/{}", "/anthropic/v1/models/{}"])
def test_the_id_of_a_model_may_hold_an_encoded_slash(raw, model, path):
    for name in (model.name.replace("/", "%2F"), model.name):
        answer = raw("GET", path.format(name))
        assert answer.status == 200 and model.name.encode() in answer.body, answer.body


@each_model
@pytest.mark.parametrize("path", ["/v1/models/{}:generateContent", "/v1beta/models/{}:generateContent", "/gemini/v1beta/models/{}:generateContent"])
def test_google_clients_may_send_the_slash_of_a_model_either_way(raw, model, path):
    word = nonce()
    body = {"contents": [{"role": "user", "parts": [{"text": f"Say {word}"}]}]}
    for name in (model.name.replace("/", "%2F"), model.name):
        answer = raw("POST", path.format(name), body)
        assert answer.status == 200 and word.encode() in answer.body, answer.body


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_the_anthropic_version_is_forwarded_verbatim(raw, version):
    word = nonce()
    assert call(raw, "messages", "claude-model", f"Say {word}", headers={"anthropic-version": version}).status == 200
    (request,) = seen(word)
    assert {name.lower(): value for name, value in dict(request["headers"]).items()}["anthropic-version"] == version


@each_model
def test_our_credentials_stay_here(raw, model):
    word = nonce()
    headers = {"cookie": "session=1", "x-api-key": KEY, "tollgate-user": "someone", "proxy-authorization": "Basic eDp5"}
    answer = call(raw, "chat", model.name, f"Say {word}", headers=headers)
    assert answer.status == 200 and word.encode() in answer.body
    assert "set-cookie" not in answer.headers
    for request in seen(word):
        flat = json.dumps(request["headers"]).lower()
        assert KEY not in flat and "cookie" not in flat and "tollgate-" not in flat and "proxy-authorization" not in flat


@each_door
@each_model
def test_headers_of_an_answer(raw, door, model):
    answer = call(raw, door, model.name, "hello")
    assert answer.status == 200, answer.body
    for name in ("tollgate-request-id", "tollgate-provider", "tollgate-model", "tollgate-attempts", "tollgate-plan"):
        assert answer.headers[name], name
    assert answer.headers["tollgate-attempts"] == "1"
    own = {"chat": "x-request-id", "responses": "x-request-id", "messages": "request-id", "gemini": "tollgate-request-id", "bedrock": "x-amzn-requestid"}
    assert answer.headers[own[door]]
    assert UPSTREAM_KEY not in str(answer.headers)


@each_door
def test_headers_of_an_error(raw, door):
    answer = call(raw, door, "chat-modle", "hello")
    assert answer.status == 404
    assert answer.headers["tollgate-request-id"] and answer.headers["x-should-retry"] == "false"
    assert b"chat-model" in answer.body, "the near match is named"
    shapes = {
        "chat": lambda body: body["error"]["code"] == "model_not_found",
        "responses": lambda body: body["error"]["code"] == "model_not_found",
        "messages": lambda body: (body["type"], body["error"]["type"]) == ("error", "not_found_error"),
        "gemini": lambda body: (body["error"]["code"], body["error"]["status"]) == (404, "NOT_FOUND"),
        "bedrock": lambda body: body["message"] and answer.headers["x-amzn-errortype"].startswith("ResourceNotFoundException"),
    }
    assert shapes[door](answer.json)


def test_models_in_three_shapes(raw):
    names = {model.name for model in MODELS}
    listed = raw("GET", "/v1/models").json
    assert listed["object"] == "list" and names <= {entry["id"] for entry in listed["data"]}
    listed = raw("GET", "/v1/models", headers={"anthropic-version": "2023-06-01"}).json
    assert listed["has_more"] is False and names <= {entry["id"] for entry in listed["data"]}
    assert all(entry["type"] == "model" for entry in listed["data"])
    for path in ("/v1/models", "/v1beta/models"):
        listed = raw("GET", path, key=None, headers={"x-goog-api-key": KEY}).json
        assert {f"models/{name}" for name in names} <= {entry["name"] for entry in listed["models"]}
    assert raw("GET", "/v1/models", key=None).status == 401


def test_websocket_upgrade_is_refused_at_once(raw):
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    answer = raw("GET", "/v1/responses", headers=headers)
    assert 400 <= answer.status < 500 and answer.json["error"]["message"]
    word = nonce()
    assert word.encode() in call(raw, "responses", "responses-model", f"Say {word}").body, "the fall-back to POST works"


def test_sigv4_is_refused_with_the_way_out(raw):
    scheme = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
    word = nonce()
    answer = call(raw, "bedrock", "bedrock-model", word, key=None, headers={"authorization": scheme, "x-amz-date": "20261120T000000Z"})
    assert answer.status in (400, 401, 403)
    assert "AWS_BEARER_TOKEN_BEDROCK" in answer.json["message"]
    assert seen(word) == []


def test_probes():
    for path in ("/livez", "/readyz", "/healthz"):
        for address in (BASE, ADMIN):
            assert get(f"{address}{path}")[0] == 200


def test_metrics_are_on_the_admin_listener_only():
    assert get(f"{BASE}/metrics")[0] in (401, 404)


@each_door
@each_model
@pytest.mark.parametrize("fault", Fault.STREAMS)
def test_broken_streams_end_in_band(raw, door, model, fault):
    """A stream that broke after its first bytes ends in the dialect's error, never in its end marker."""
    if model.dialect == "sandbox":
        pytest.skip("the sandbox does not break")
    answer = call(raw, door, model.faulty, fault, stream=True)
    if answer.status != 200:
        assert answer.status in (502, 503), "nothing was committed, so a plain error is right"
        return
    text = answer.body
    marks = {
        "chat": (b'"error"', b"[DONE]"),
        "responses": (b"event: error", b"event: response.completed"),
        "messages": (b"event: error", b"event: message_stop"),
        "gemini": (b'"error"', b'"finishReason"'),
        "bedrock": (b":exception-type", b"messageStop"),
    }
    error, end = marks[door]
    if door == "responses" and error not in text:
        error = b"event: response.failed"
    assert error in text, text[-600:]
    # An upstream may have told its finish before it broke; only these two doors have no marker after that.
    late = fault not in (Fault.CUT, Fault.IN_BAND) and door in ("gemini", "bedrock")
    assert end not in text or late, text[-600:]
