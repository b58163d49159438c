//! What a rule refused of a stream stays refused, whatever stands behind it:
//! vendors tell a tool call and the end of the answer in one frame, or in one
//! piece of the network.

use access::Mode;
use dialects::DIALECTS;
use evidence::Outcome;
use serde_json::{Value, json};

use super::rules::{ask, policy};
use super::world::{Script, World, plan};

const BARE: &str = r#"{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#;

/// A vendor: its kind and dialect, a text, and a tool call with the end of
/// the answer behind it.
const VENDORS: [(&str, &str, &str, &str); 3] = [
    (
        "gemini",
        "gemini",
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"look\"}]},\"index\":0}],\"modelVersion\":\"up-m\",\"responseId\":\"r1\"}\n\n",
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"get_weather\",\"args\":{}}}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":2,\"totalTokenCount\":9},\"modelVersion\":\"up-m\",\"responseId\":\"r1\"}\n\n",
    ),
    (
        "openai",
        "openai_chat",
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"look\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
    ),
    (
        "anthropic",
        "anthropic",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"look\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"get_weather\",\"input\":{}}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
];

fn world((kind, dialect): (&str, &str), rule: (&'static str, Value), script: Script) -> World {
    let plan = plan::Plan {
        policy: policy(&[("r", rule.0, rule.1, Mode::Enforce)]),
        ..plan(&[(kind, dialect)])
    };
    World::of(plan, vec![Ok(script)])
}

#[test]
fn a_refused_tool_call_is_never_the_end_of_a_good_answer() {
    let denying = || ("tools", json!({"deny": ["get_*"]}));
    let asking = || ("approval", json!({"tools": ["get_*"]}));
    for (kind, dialect, text, call) in VENDORS {
        for door in DIALECTS.iter().copied() {
            let (path, body) = ask(door, BARE, true);
            let pieces: [&[&str]; 2] = [&[text, call], &[&[text, call].concat()]];
            for (rule, frames) in [denying(), asking()]
                .into_iter()
                .flat_map(|rule| pieces.map(|frames| (rule.clone(), frames)))
            {
                let case = format!("{kind} to {}, {}, {}", door.id(), rule.0, frames.len());
                let world = world((kind, dialect), rule, Script::sse(frames));
                let got = world.call(&path, &body);
                assert!(!got.body.contains("get_weather\""), "{case}: {}", got.body);
                for end in ["[DONE]", "message_stop", "\"STOP\"", "response.completed"] {
                    assert!(!got.body.contains(end), "{case}: {}", got.body);
                }
                let record = &world.records()[0];
                assert_ne!(record.outcome, Outcome::Complete, "{case}: {}", got.body);
                assert!(record.fault.is_some(), "{case}");
            }
        }
    }
}
