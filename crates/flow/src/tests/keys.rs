//! Cases of keys that were made at run time: who is found, and what becomes of
//! the open streams of one that is revoked.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use access::{Consumer, KeyLife, LiveKey, LiveKeys};
use bytes::Bytes;
use contract::Secret;
use evidence::Outcome;
use http::{Method, Request};

use super::world::{Script, Step, World};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, DONE, FRAMES};
use crate::{Caller, ReplyBody, ReplyStream};

pub(super) const KEY: &str = "tg-k7m2p9qa-secret";
const MESSAGES: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
const GENERATE: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
const CONVERSE: &str = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
const RESPONSES: &str = r#"{"model":"m","stream":true,"input":"hi"}"#;
/// The doors, and a word of their fault in a stream.
const DOORS: [(&str, &str, &str); 5] = [
    (CHAT, ASK_STREAM, "\"error\""),
    ("/v1/messages", MESSAGES, "event: error"),
    ("/v1/responses", RESPONSES, "event: error"),
    (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        GENERATE,
        "\"error\"",
    ),
    ("/model/m/converse-stream", CONVERSE, "exception"),
];

/// A key in force.
pub(super) fn live(world: &World, cuts: bool) -> Arc<KeyLife> {
    let life = Arc::new(KeyLife::new(cuts));
    let empty = LiveKeys::new(Secret::new([9; 32]));
    let key = LiveKey {
        consumer: Arc::new(Consumer::new("k7m2p9qa", "acme", "shop")),
        life: life.clone(),
        until_us: None,
    };
    let digest = empty.digest(&Secret::new(KEY.to_owned()));
    let table = empty.with(HashMap::from([(digest, key)]));
    world.flow.keys.store(Arc::new(table));
    life
}

/// A stream that has brought its first content.
fn opened(world: &World, path: &str, body: &str) -> (Box<dyn ReplyStream>, Vec<u8>) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("authorization", format!("Bearer {KEY}"));
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("{path}: refused");
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let reply = futures_executor::block_on(exchange.run(Ok(body)));
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("{path}: no stream");
    };
    let first = next(&mut *stream).expect("the first content");
    (stream, first)
}

fn next(stream: &mut dyn ReplyStream) -> Option<Vec<u8>> {
    let next = futures_executor::block_on(poll_fn(|cx| stream.poll_next(cx)));
    next.map(|bytes| bytes.expect("no cut").to_vec())
}

fn rest(stream: &mut dyn ReplyStream) -> String {
    let pieces = std::iter::from_fn(|| next(stream));
    // Event streams are binary; what is looked for in them is text.
    String::from_utf8_lossy(&pieces.collect::<Vec<_>>().concat()).into_owned()
}

fn world(script: Script) -> World {
    World::new(&[("openai", "openai_chat")], vec![Ok(script)])
}

#[test]
fn a_live_key_calls_and_its_use_is_noted() {
    let world = world(Script::json(200, ANSWER));
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(world.call_with(CHAT, ASK, &headers).status, 401);
    let life = live(&world, false);
    assert_eq!(life.used_us(), 0);
    assert_eq!(world.call_with(CHAT, ASK, &headers).status, 200);
    assert_eq!(life.used_us(), 1_700_000_000_000_000);
    life.revoke();
    assert_eq!(world.call_with(CHAT, ASK, &headers).status, 401);
    let records = world.records();
    let who = &records[1].who;
    assert_eq!(
        (who.key_id.as_deref(), who.tenant.as_deref()),
        (Some("k7m2p9qa"), Some("acme"))
    );
    assert!(records[2].who.key_id.is_none());
    assert!(!format!("{records:?}").contains(KEY));
}

#[test]
fn a_cut_key_ends_its_streams_in_band_on_every_door() {
    for (path, body, word) in DOORS {
        let world = world(Script::sse(&FRAMES[..2]).then(Step::Silence));
        let life = live(&world, true);
        let (mut stream, first) = opened(&world, path, body);
        assert!(!first.is_empty());
        life.cut();
        let told = rest(&mut *stream);
        assert!(told.contains("was revoked"), "{path}: {told}");
        assert!(told.contains(word), "{path}: {told}");
        assert!(!told.contains("[DONE]") && !told.contains("stop"), "{told}");
        let [record] = &world.records()[..] else {
            panic!("one record")
        };
        assert_eq!(record.outcome, Outcome::Cut);
        let fault = record.fault.as_ref().expect("a fault");
        assert_eq!(
            (&*fault.kind, &*fault.origin),
            ("unauthenticated", "gateway")
        );
    }
}

#[test]
fn a_stream_finishes_where_the_key_says_so() {
    for cuts in [false, true] {
        let mut script = Script::sse(&FRAMES[..2]);
        for frame in [FRAMES[2], DONE] {
            script = script.then(Step::Bytes(frame.as_bytes().to_vec()));
        }
        let world = world(script);
        let life = live(&world, cuts);
        let (mut stream, first) = opened(&world, CHAT, ASK_STREAM);
        life.revoke();
        let told = String::from_utf8(first).expect("text") + &rest(&mut *stream);
        assert!(told.ends_with(DONE), "{told}");
        assert_eq!(world.records()[0].outcome, Outcome::Complete);
    }
}
