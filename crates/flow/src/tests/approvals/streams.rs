//! Streams in which the model calls a tool that needs an approval, and waits
//! for it: what goes out before, what is held back, and how it ends.

use dialects::DIALECTS;
use serde_json::json;

use super::super::rules::{TOOL_FRAMES, told};
use super::super::world::Step;
use super::super::{DONE, FRAMES};
use super::*;

fn waiting() -> [(&'static str, &'static str, Value, Mode); 1] {
    rule(json!({"tools": ["get_*"], "wait_ms": 30_000}))
}

/// Frames of the upstream that begin with the call of the tool.
fn tool_first() -> Script {
    Script::sse(&[TOOL_FRAMES[1], TOOL_FRAMES[2], DONE])
}

fn ends_with_tools(body: &str) -> bool {
    [
        "tool_calls\"}",
        "tool_use",
        "\"finish_reason\":\"tool_calls\"",
    ]
    .iter()
    .any(|end| body.contains(end))
}

#[test]
fn a_tool_call_is_held_back_whole_and_given_out_once_it_is_approved() {
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, BARE, true);
        let plain = world(&[], answer(true, true)).call(&path, &body);
        let world = with_slow(world(&waiting(), answer(true, true)), true);
        let got = world.call(&path, &body);
        let case = door.id();
        assert_eq!(told(&got), told(&plain), "{case}");
        assert!(got.body.contains("get_weather"), "{case}: {}", got.body);
        let record = &world.records()[0];
        assert_eq!(record.outcome, evidence::Outcome::Complete, "{case}");
        assert!(
            record
                .decisions
                .iter()
                .any(|it| it.reason == "approval_given"),
            "{case}: {:?}",
            record.decisions
        );
    }
}

#[test]
fn a_tool_call_that_is_not_approved_ends_in_a_fault_in_the_stream() {
    for door in DIALECTS.iter().copied() {
        for settings in [
            json!({"tools": ["get_*"], "wait_ms": 30_000}),
            json!({"tools": ["get_*"], "wait_ms": 100}),
        ] {
            let denied = settings["wait_ms"] == 30_000;
            let case = format!("{} denied={denied}", door.id());
            let (path, body) = ask(door, BARE, true);
            let plain = world(&rule(settings), answer(true, true));
            let world = match denied {
                true => with_slow(plain, false),
                false => plain,
            };
            let got = world.call(&path, &body);
            assert_eq!(got.status, 200, "{case}");
            assert!(got.body.contains("look"), "{case}: {}", got.body);
            assert!(
                !got.body.contains("\"get_weather\""),
                "{case}: {}",
                got.body
            );
            assert!(!ends_with_tools(&got.body), "{case}: {}", got.body);
            let words = match denied {
                true => "was denied".to_owned(),
                false => open(&world, Some(ApprovalState::Pending))[0].id.clone(),
            };
            assert!(got.body.contains(&words), "{case}: {}", got.body);
            let record = &world.records()[0];
            assert_eq!(record.outcome, evidence::Outcome::Cut, "{case}");
        }
    }
}

#[test]
fn a_stream_that_begins_with_the_tool_call_may_still_be_refused_as_a_whole() {
    for door in DIALECTS.iter().copied() {
        let case = door.id();
        let (path, body) = ask(door, BARE, true);
        for wait_ms in [0, 100] {
            let rules = rule(json!({"tools": ["get_*"], "wait_ms": wait_ms}));
            let world = world(&rules, tool_first());
            let id = pending(&world.call(&path, &body));
            vote(&world, &id, "bob", true).expect("a vote");
            script(&world, tool_first());
            let got = again(&world, &path, &body, &id);
            assert_eq!(got.status, 200, "{case}: {}", got.body);
            assert!(got.body.contains("get_weather"), "{case}: {}", got.body);
        }
        let plain = world(&[], tool_first()).call(&path, &body);
        let world = with_slow(world(&waiting(), tool_first()), true);
        assert_eq!(world.call(&path, &body).body, plain.body, "{case}");
    }
}

/// However the network cuts the stream, it ends in the same way.
#[test]
fn how_the_network_cuts_a_stream_changes_nothing() {
    let whole = [&TOOL_FRAMES[..], &[DONE]].concat().concat();
    let body = BARE.replacen('{', "{\"stream\":true,", 1);
    let short = rule(json!({"tools": ["get_*"], "wait_ms": 100}));
    for at in 1..whole.len() {
        let (one, other) = whole.split_at(at);
        let cut = || Script::sse(&[one, other]);
        let got = world(&short, cut()).call(CHAT, &body);
        assert_eq!(got.status, 200, "cut at {at}: {}", got.body);
        let rest = got.body.strip_prefix(TOOL_FRAMES[0]);
        let rest = rest.unwrap_or_else(|| panic!("cut at {at}: {}", got.body));
        assert!(rest.starts_with("data: {\"error\""), "cut at {at}: {rest}");
        assert_eq!(rest.matches("data: ").count(), 1, "cut at {at}: {rest}");
        let approved = with_slow(world(&waiting(), cut()), true);
        assert_eq!(approved.call(CHAT, &body).body, whole, "cut at {at}");
    }
}

#[test]
fn nobody_is_asked_for_a_stream_that_breaks_while_it_is_held_back() {
    let body = BARE.replacen('{', "{\"stream\":true,", 1);
    let broken = "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\"}}\n\n";
    let held = Script::sse(&[TOOL_FRAMES[0], TOOL_FRAMES[1]]);
    let first = Script::sse(&[TOOL_FRAMES[1]]);
    for (script, status) in [
        (held.clone().then(Step::Reset), 200),
        (held.clone().then(Step::Silence), 200),
        (held.then(Step::Bytes(broken.into())), 200),
        (first.clone().then(Step::Reset), 502),
        (first.then(Step::Bytes(broken.into())), 502),
    ] {
        let world = with_slow(world(&waiting(), script), true);
        let got = world.call(CHAT, &body);
        assert_eq!(got.status, status, "{}", got.body);
        assert!(!got.body.contains("get_weather"), "{}", got.body);
        assert_eq!(got.body.matches("\"error\"").count(), 1, "{}", got.body);
        assert!(open(&world, None).is_empty());
        let record = &world.records()[0];
        let fault = record.fault.as_ref().expect("a fault");
        assert_ne!(&*fault.kind, "forbidden");
    }
}

#[test]
fn what_is_held_back_has_a_limit() {
    let body = BARE.replacen('{', "{\"stream\":true,", 1);
    let more = TOOL_FRAMES[1].replace("{}", &"x".repeat(100_000));
    for first in [TOOL_FRAMES[0], ""] {
        let mut frames = vec![first, TOOL_FRAMES[1]];
        frames.extend(std::iter::repeat_n(more.as_str(), 12));
        let world = with_slow(world(&waiting(), Script::sse(&frames)), true);
        let got = world.call(CHAT, &body);
        assert_eq!(got.status, if first.is_empty() { 403 } else { 200 });
        assert!(got.body.contains("longer than what"), "{}", got.body);
        assert!(!got.body.contains("get_weather"));
        assert!(open(&world, None).is_empty());
    }
}

#[test]
fn a_stream_without_such_a_tool_call_is_not_held_back() {
    let frames: Vec<&str> = FRAMES.into_iter().chain([DONE]).collect();
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, BARE, true);
        let plain = world(&[], Script::sse(&frames)).call(&path, &body);
        let world = world(&waiting(), Script::sse(&frames));
        assert_eq!(told(&world.call(&path, &body)), told(&plain));
        assert!(open(&world, None).is_empty());
    }
}

#[test]
fn in_shadow_and_warn_nothing_waits_and_nobody_is_asked() {
    for door in DIALECTS.iter().copied() {
        for stream in [false, true] {
            let (path, body) = ask(door, BARE, stream);
            let plain = world(&[], answer(stream, true)).call(&path, &body);
            for mode in [Mode::Shadow, Mode::Warn] {
                let settings = json!({"models": ["m"], "tools": ["*"], "wait_ms": 30_000});
                let rules = [("r", "approval", settings, mode)];
                let world = world(&rules, answer(stream, true));
                let got = again(&world, &path, &body, "apr-0");
                assert_eq!(told(&got), told(&plain), "{} {mode:?}", door.id());
                assert!(open(&world, None).is_empty());
                let noted = &world.records()[0].decisions;
                assert!(noted.iter().all(|it| it.stage != "approval"), "{noted:?}");
                assert!(
                    noted.iter().any(|it| it.reason == "approval_needed"),
                    "{noted:?}"
                );
            }
        }
    }
}
