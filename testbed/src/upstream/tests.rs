//! Tests of the fake upstream: over real connections where HTTP matters, else on its parts.

use super::eventstream;
use super::faults::{NAMES, SSE_NAMES};
use super::{Options, Upstream, schema, seal, sigv4, tokens};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

const KEY: &str = "test-upstream-key";
const CLAUDE: &str = "claude-sonnet-4-5";

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    /// False when the body broke off.
    complete: bool,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

async fn start() -> Upstream {
    Upstream::start(Options::default()).await.unwrap()
}

/// One request on its own connection; `None` when no head came.
async fn send(
    up: &Upstream,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Option<Got> {
    let io = TokioIo::new(TcpStream::connect(up.addr()).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", up.addr().to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client
        .send_request(request.body(Full::new(Bytes::from(body))).unwrap())
        .await
        .ok()?;
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut complete) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(f) => body.extend(f.into_data().unwrap_or_default()),
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    driver.abort();
    Some(Got {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.into(),
        complete,
    })
}

/// A call on one of the five surfaces, with the vendor's own credential header.
async fn call(up: &Upstream, surface: &str, model: &str, stream: bool, body: Value) -> Option<Got> {
    let bearer = format!("Bearer {KEY}");
    let mut body = body;
    let json_headers = [("content-type", "application/json")];
    let (path, extra): (String, Vec<(&str, &str)>) = match surface {
        "chat" => (
            "/v1/chat/completions".into(),
            vec![("authorization", &bearer)],
        ),
        "responses" => ("/v1/responses".into(), vec![("authorization", &bearer)]),
        "messages" => (
            "/v1/messages".into(),
            vec![
                ("authorization", &bearer),
                ("anthropic-version", "2026-10-21"),
            ],
        ),
        "gemini" => {
            let verb = if stream {
                "streamGenerateContent?alt=sse"
            } else {
                "generateContent"
            };
            (
                format!("/v1/models/{model}:{verb}"),
                vec![("x-goog-api-key", KEY)],
            )
        }
        "converse" => {
            let verb = if stream {
                "converse-stream"
            } else {
                "converse"
            };
            (
                format!("/model/{}/{verb}", model.replace('/', "%2F")),
                vec![("authorization", &bearer)],
            )
        }
        other => panic!("no surface {other}"),
    };
    if ["chat", "responses", "messages"].contains(&surface) {
        body["model"] = json!(model);
        if stream {
            body["stream"] = json!(true);
        }
    }
    let headers: Vec<(&str, &str)> = json_headers.into_iter().chain(extra).collect();
    send(up, Method::POST, &path, &headers, body.to_string()).await
}

/// A request that says `text` on each surface.
fn say(surface: &str, text: &str) -> Value {
    match surface {
        "chat" => json!({"messages": [{"role": "user", "content": text}]}),
        "responses" => json!({"input": text}),
        "messages" => json!({"max_tokens": 5000, "messages": [{"role": "user", "content": text}]}),
        "gemini" => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        _ => json!({"messages": [{"role": "user", "content": [{"text": text}]}]}),
    }
}

const SURFACES: [&str; 5] = ["chat", "responses", "messages", "gemini", "converse"];

fn model_of(surface: &str) -> &'static str {
    match surface {
        "messages" | "converse" => CLAUDE,
        "gemini" => "gemini-2.0-flash",
        _ => "gpt-4o-mini",
    }
}

/// Visible text of a whole answer.
fn text_of(surface: &str, v: &Value) -> String {
    let found = match surface {
        "chat" => &v["choices"][0]["message"]["content"],
        "responses" => &v["output"][0]["content"][0]["text"],
        "messages" => &v["content"][0]["text"],
        "gemini" => &v["candidates"][0]["content"]["parts"][0]["text"],
        _ => &v["output"]["message"]["content"][0]["text"],
    };
    found.as_str().unwrap_or_default().to_owned()
}

/// The JSON payloads of a stream.
fn payloads(surface: &str, body: &[u8]) -> Vec<Value> {
    if surface == "converse" {
        return eventstream::decode(body)
            .unwrap()
            .into_iter()
            .map(|(_, v)| v)
            .collect();
    }
    let text = String::from_utf8(body.to_vec()).unwrap();
    text.split('\n')
        .filter_map(|l| l.strip_prefix("data: "))
        .filter_map(|d| serde_json::from_str(d.trim_end()).ok())
        .collect()
}

fn streamed_text(surface: &str, body: &[u8]) -> String {
    payloads(surface, body)
        .iter()
        .filter_map(|v| {
            let piece = match surface {
                "chat" => &v["choices"][0]["delta"]["content"],
                "responses" if v["type"] == "response.output_text.delta" => &v["delta"],
                "responses" => &Value::Null,
                "gemini" => &v["candidates"][0]["content"]["parts"][0]["text"],
                _ => &v["delta"]["text"],
            };
            piece.as_str().map(str::to_owned)
        })
        .collect()
}

#[tokio::test]
async fn every_surface_says_the_same_whole_and_streamed() {
    let up = start().await;
    for surface in SURFACES {
        for text in ["hello", "unicode", "count to 40"] {
            let whole = call(&up, surface, model_of(surface), false, say(surface, text))
                .await
                .unwrap();
            let stream = call(&up, surface, model_of(surface), true, say(surface, text))
                .await
                .unwrap();
            assert_eq!(
                (whole.status, stream.status),
                (200, 200),
                "{surface} {text}"
            );
            let said = text_of(surface, &whole.json());
            assert!(!said.is_empty(), "{surface} {text}");
            assert_eq!(
                said,
                streamed_text(surface, &stream.body),
                "{surface} {text}"
            );
        }
    }
}

#[tokio::test]
async fn unknown_fields_are_refused_in_the_vendors_words() {
    let up = start().await;
    let expected = [
        ("chat", "Unrecognized request argument supplied: novelty"),
        ("responses", "Unknown parameter: 'novelty'."),
        ("messages", "novelty: Extra inputs are not permitted"),
        ("gemini", "Unknown name \"novelty\""),
        ("converse", "extraneous key"),
    ];
    for (surface, words) in expected {
        let mut body = say(surface, "hi");
        body["novelty"] = json!(1);
        let got = call(&up, surface, model_of(surface), false, body)
            .await
            .unwrap();
        assert_eq!(got.status, 400, "{surface}");
        assert!(
            String::from_utf8_lossy(&got.body)
                .replace("\\\"", "\"")
                .contains(words),
            "{surface}: {:?}",
            got.body
        );
    }
}

#[tokio::test]
async fn wrong_and_missing_keys_are_refused() {
    let up = start().await;
    type Case = (&'static str, &'static [(&'static str, &'static str)], u16);
    let cases: [Case; 7] = [
        ("/v1/chat/completions", &[], 401),
        (
            "/v1/chat/completions",
            &[("authorization", "Bearer other")],
            401,
        ),
        (
            "/v1/messages",
            &[
                ("anthropic-version", "2023-06-01"),
                ("authorization", "Bearer test-upstream-key"),
            ],
            401,
        ),
        ("/v1/messages", &[("x-api-key", KEY)], 400),
        (
            "/v1/messages",
            &[("anthropic-version", "2024-01-01"), ("x-api-key", KEY)],
            400,
        ),
        ("/v1beta/models/gemini-2.5-flash:generateContent", &[], 403),
        (
            "/model/m/converse",
            &[("authorization", "Bearer other")],
            403,
        ),
    ];
    for (path, headers, status) in cases {
        let got = send(&up, Method::POST, path, headers, "{}".into())
            .await
            .unwrap();
        assert_eq!(got.status, status, "{path} {headers:?} {:?}", got.body);
    }
}

#[tokio::test]
async fn anthropic_versions_differ_on_sampling() {
    let up = start().await;
    let mut body = say("messages", "hi");
    body["model"] = json!(CLAUDE);
    body["temperature"] = json!(0.5);
    let old = send(
        &up,
        Method::POST,
        "/v1/messages",
        &[("anthropic-version", "2023-06-01"), ("x-api-key", KEY)],
        body.to_string(),
    )
    .await
    .unwrap();
    let new = send(
        &up,
        Method::POST,
        "/v1/messages",
        &[("anthropic-version", "2026-10-21"), ("x-api-key", KEY)],
        body.to_string(),
    )
    .await
    .unwrap();
    assert_eq!((old.status, new.status), (200, 400));
    assert_eq!(
        new.json()["error"]["message"],
        "temperature: Extra inputs are not permitted"
    );
}

#[tokio::test]
async fn the_output_limit_counts_the_reasoning() {
    let up = start().await;
    for (limit, spoken) in [(40, "1 2"), (3, "")] {
        let body = json!({
            "contents": [{"role": "user", "parts": [{"text": "count to 50"}]}],
            "generationConfig": {"maxOutputTokens": limit, "thinkingConfig": {"includeThoughts": true}},
        });
        let answer = call(&up, "gemini", "gemini-3-pro", false, body)
            .await
            .unwrap()
            .json();
        let usage = &answer["usageMetadata"];
        let spent = [&usage["thoughtsTokenCount"], &usage["candidatesTokenCount"]];
        let spent: u64 = spent.iter().filter_map(|n| n.as_u64()).sum();
        assert_eq!(spent, limit);
        assert_eq!(answer["candidates"][0]["finishReason"], "MAX_TOKENS");
        let text = answer["candidates"][0]["content"]["parts"][1]["text"].as_str();
        assert!(text.unwrap_or_default().starts_with(spoken));
    }
}

#[tokio::test]
async fn bedrock_counts_a_conversation_and_nothing_else() {
    let up = start().await;
    let talk = say("converse", "count this");
    let path = format!("/model/{CLAUDE}/count-tokens");
    let key = format!("Bearer {KEY}");
    let ask = async |body: Value| {
        let headers = [("authorization", key.as_str())];
        let answer = send(&up, Method::POST, &path, &headers, body.to_string()).await;
        answer.unwrap()
    };
    let good = ask(json!({"input": {"converse": talk}})).await;
    assert_eq!(good.status, 200);
    assert!(good.json()["inputTokens"].as_u64() > Some(0));
    let mut more = talk.clone();
    more["inferenceConfig"] = json!({"maxTokens": 5});
    for body in [talk.clone(), json!({"input": {"converse": more}})] {
        assert_eq!(ask(body).await.status, 400);
    }
}

#[tokio::test]
async fn a_replayed_thinking_block_must_be_unaltered() {
    let up = start().await;
    let tools = json!([{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]);
    let ask = json!({"role": "user", "content": "weather in Paris"});
    let request = |messages: Value| {
        json!({
            "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": tools, "messages": messages,
        })
    };
    let first = call(&up, "messages", CLAUDE, false, request(json!([ask])))
        .await
        .unwrap()
        .json();
    assert_eq!(first["content"][1]["input"], json!({"city": "Paris"}));
    let answer = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": first["content"][1]["id"], "content": "18 C"}]});
    let mut content = first["content"].clone();
    let good = call(
        &up,
        "messages",
        CLAUDE,
        false,
        request(json!([ask, {"role": "assistant", "content": content}, answer])),
    )
    .await
    .unwrap();
    assert_eq!(good.json()["content"][1]["text"], "The tools report: 18 C.");
    content[0]["thinking"] = json!("Considering something else.");
    let bad = call(
        &up,
        "messages",
        CLAUDE,
        false,
        request(json!([ask, {"role": "assistant", "content": content}, answer])),
    )
    .await
    .unwrap();
    assert_eq!(bad.status, 400);
    assert_eq!(
        bad.json()["error"]["message"],
        "messages.1.content.0.signature: Invalid `signature` in `thinking` block"
    );
}

#[tokio::test]
async fn responses_events_are_numbered_and_end_with_completed() {
    let up = start().await;
    let got = call(
        &up,
        "responses",
        "gpt-5.5",
        true,
        json!({"input": "hello", "reasoning": {"effort": "low", "summary": "auto"}}),
    )
    .await
    .unwrap();
    let events = payloads("responses", &got.body);
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|e| e["sequence_number"].as_u64())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert!(!got.body.windows(6).any(|w| w == b"[DONE]"));
}

#[tokio::test]
async fn every_fault_leaves_the_server_alive() {
    let up = start().await;
    // These never end by themselves, and have tests of their own.
    let endless = ["hang", "stall", "stall-early", "endless"];
    for (name, _) in NAMES
        .iter()
        .chain(SSE_NAMES.iter())
        .filter(|(n, _)| !endless.contains(n))
    {
        for surface in SURFACES {
            for stream in [false, true] {
                let body = say(surface, "count to 5 [fault_ms=1]");
                let got = call(&up, surface, &format!("fault/{name}"), stream, body).await;
                let headless =
                    ["reset-before-head", "close-before-head", "reset-in-head"].contains(name);
                assert_eq!(got.is_none(), headless, "{name} {surface} {stream}");
                let broken = ["reset", "reset-early", "abort", "length-long"].contains(name);
                assert!(
                    got.is_none_or(|g| !broken || !g.complete),
                    "{name} {surface} {stream} came whole"
                );
            }
        }
    }
    let after = call(&up, "chat", "gpt-4o-mini", false, say("chat", "hi"))
        .await
        .unwrap();
    assert_eq!(after.status, 200);
}

#[tokio::test]
async fn faults_show_what_they_promise() {
    let up = start().await;
    let hello = || say("chat", "count to 9");
    let cut = call(&up, "chat", "fault/cut", true, hello()).await.unwrap();
    assert!(cut.complete && !cut.body.ends_with(b"[DONE]\n\n"));
    let early = call(&up, "chat", "fault/cut-early", true, hello())
        .await
        .unwrap();
    assert_eq!(streamed_text("chat", &early.body), "");
    let limited = call(&up, "chat", "fault/429-retry-after", true, hello())
        .await
        .unwrap();
    assert_eq!(
        (
            limited.status,
            limited.headers["retry-after"].to_str().unwrap()
        ),
        (429, "2")
    );
    let silent = call(&up, "chat", "fault/missing-usage", false, hello())
        .await
        .unwrap();
    assert_eq!(silent.json()["usage"], Value::Null);
    let zipped = call(&up, "chat", "fault/gzip", false, hello())
        .await
        .unwrap();
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert!(zipped.body.starts_with(&[0x1f, 0x8b]));
    let big = call(&up, "chat", "fault/big-event", true, hello())
        .await
        .unwrap();
    assert!(big.body.len() > 5 * 1024 * 1024);
    let crc = call(
        &up,
        "converse",
        "fault/invalid-crc",
        true,
        say("converse", "count to 9"),
    )
    .await
    .unwrap();
    assert_eq!(eventstream::decode(&crc.body), None);
    let late = call(
        &up,
        "converse",
        "fault/in-band-error",
        true,
        say("converse", "count to 9"),
    )
    .await
    .unwrap();
    assert_eq!(
        eventstream::decode(&late.body).unwrap().last().unwrap().0,
        "modelStreamErrorException"
    );
}

#[tokio::test]
async fn scripts_are_taken_in_order_by_fitting_requests() {
    let up = start().await;
    up.script(&json!([{"fault": "503", "times": 2, "path_contains": "/chat"}, {"fault": "429"}]))
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(
            call(&up, "chat", "gpt-4o-mini", false, say("chat", "hi"))
                .await
                .unwrap()
                .status,
        );
    }
    assert_eq!(seen, [503, 503, 429, 200]);
    assert!(up.script(&json!({"fault": "no-such-fault"})).is_err());
}

#[tokio::test]
async fn the_journal_knows_what_came_and_who_left() {
    let up = start().await;
    call(&up, "chat", "gpt-4o-mini", false, say("chat", "hi"))
        .await
        .unwrap();
    let seen = up.requests();
    assert_eq!(seen[0]["json"]["messages"][0]["content"], "hi");
    assert_eq!(
        (&seen[0]["state"], &seen[0]["status"]),
        (&json!("done"), &json!(200))
    );

    let io = TokioIo::new(TcpStream::connect(up.addr()).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut body = say("chat", "count to 9");
    body["model"] = json!("fault/stall");
    body["stream"] = json!(true);
    let request = Request::post("/v1/chat/completions")
        .header("host", "x")
        .header("authorization", format!("Bearer {KEY}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let mut response = client.send_request(request).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(up.stats()["open"], 1);
    driver.abort();
    drop((client, response));
    // The other task has to see the closed connection; each turn of the loop is a full round trip.
    while up.stats()["aborted_by_peer"] == 0 {
        send(&up, Method::GET, "/__stats", &[], String::new())
            .await
            .unwrap();
    }
    assert_eq!(up.requests()[1]["state"], "aborted");
}

#[tokio::test]
async fn http2_by_prior_knowledge() {
    let up = start().await;
    let io = TokioIo::new(TcpStream::connect(up.addr()).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    let mut body = say("chat", "hello");
    body["model"] = json!("gpt-4o-mini");
    let request = Request::post(format!("{}/v1/chat/completions", up.url()))
        .header("authorization", format!("Bearer {KEY}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        text_of("chat", &serde_json::from_slice(&body).unwrap()),
        "You said: hello"
    );
    assert_eq!(up.requests()[0]["version"], "HTTP/2");
    driver.abort();
}

#[tokio::test]
async fn embeddings_are_equal_in_both_encodings() {
    use base64::Engine as _;
    let up = start().await;
    let ask = async |format: &str| {
        let body = json!({"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8, "encoding_format": format});
        send(
            &up,
            Method::POST,
            "/v1/embeddings",
            &[("authorization", &format!("Bearer {KEY}"))],
            body.to_string(),
        )
        .await
        .unwrap()
        .json()
    };
    let (float, base64) = (ask("float").await, ask("base64").await);
    let raw = base64::engine::general_purpose::STANDARD
        .decode(base64["data"][1]["embedding"].as_str().unwrap())
        .unwrap();
    let decoded: Vec<f64> = raw
        .chunks(4)
        .map(|c| f64::from(f32::from_le_bytes(c.try_into().unwrap())))
        .collect();
    let plain: Vec<f64> = float["data"][1]["embedding"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    assert_eq!(decoded.len(), 8);
    assert!(
        decoded
            .iter()
            .zip(&plain)
            .all(|(a, b)| (a - b).abs() < 1e-6)
    );
}

#[tokio::test]
async fn fast_mode_streams_as_many_chunks_as_the_prompt_says() {
    let up = Upstream::start(Options {
        fast: true,
        ..Options::default()
    })
    .await
    .unwrap();
    let got = call(&up, "chat", "m", true, say("chat", "[chunks=10]"))
        .await
        .unwrap();
    assert_eq!(streamed_text("chat", &got.body), " word".repeat(10));
    let whole = call(&up, "messages", "m", false, say("messages", "x"))
        .await
        .unwrap();
    assert!(
        (600..1500).contains(&whole.body.len()),
        "{}",
        whole.body.len()
    );
}

/// The signature was made by botocore 1.44 for this request.
#[test]
fn sigv4_agrees_with_botocore() {
    let uri: Uri = "/model/anthropic.claude-v1%3A0/converse".parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("host", "127.0.0.1:4199".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("x-amz-date", "20261121T010203Z".parse().unwrap());
    headers.insert("authorization", "AWS4-HMAC-SHA256 Credential=AKIDTESTBED/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=a2ef883ca722c7db89cf0495197740ff80132b68c4fc8faa9fab9ad109cda8ab".parse().unwrap());
    let check = |body: &[u8], secret: &str| {
        sigv4::check(
            &sigv4::Signed {
                method: &Method::POST,
                uri: &uri,
                headers: &headers,
                body,
            },
            "AKIDTESTBED",
            secret,
        )
    };
    assert_eq!(
        check(br#"{"messages":[]}"#, "testbed-secret"),
        sigv4::Verdict::Good
    );
    assert!(matches!(
        check(br#"{"messages":[ ]}"#, "testbed-secret"),
        sigv4::Verdict::Mismatch(_)
    ));
    assert!(matches!(
        check(br#"{"messages":[]}"#, "other"),
        sigv4::Verdict::Mismatch(_)
    ));
}

#[test]
fn a_seal_holds_for_its_surface_and_text_only() {
    let sealed = seal::seal("messages", "a thought");
    assert!(seal::covers("messages", "a thought", &sealed) && seal::is_ours("messages", &sealed));
    assert!(!seal::covers("messages", "a thought ", &sealed));
    assert!(!seal::is_ours("converse", &sealed));
    assert!(!seal::is_ours("messages", &sealed[..sealed.len() - 4]));
}

#[test]
fn tokens_join_to_the_text_and_cut_on_their_borders() {
    for text in [
        "",
        "a",
        "count to 10",
        "longer-than-eight letters",
        "東京 🦀 tail\n\n x ",
    ] {
        assert_eq!(tokens::split(text).concat(), text);
    }
    assert_eq!(tokens::cut("1 2 3 4", 2), ("1 2", true));
    assert_eq!(tokens::cut("1 2", 2), ("1 2", false));
}

#[test]
fn instances_fit_their_schema() {
    let schema = json!({"type": "object", "required": ["city", "n", "kind", "list"], "properties": {
        "city": {"type": "string"}, "n": {"type": "integer", "minimum": 3, "maximum": 5},
        "kind": {"enum": ["a", "b"]}, "list": {"type": "array", "items": {"$ref": "#/$defs/x"}, "minItems": 2},
    }, "$defs": {"x": {"type": ["string", "null"], "maxLength": 3}}});
    let made = schema::instance(&schema, "weather in Paris and Tokyo", 1);
    assert_eq!(
        made,
        json!({"city": "Tokyo", "n": 4, "kind": "b", "list": ["Tok", "Tok"]})
    );
    assert!(schema::strict_refusal(&schema, "()").is_some());
}
