//! Cases of `approval`: what needs one, in all modes, and what one that was
//! given lets on.

use serde_json::json;

use super::*;
use crate::approval::Approved;
use crate::policy::Ruling;

const NEEDED: Option<(&str, Option<&str>)> = Some(("approval_needed", None));

fn of(model: &'static str) -> Call {
    Call {
        model,
        ..Call::chat()
    }
}

#[test]
fn models_classes_and_tools_of_the_provider_need_an_approval_when_asked_for() {
    let models = json!({"models": ["M*"]});
    check_request("approval", &models, &of("m1"), NEEDED);
    check_request("approval", &models, &of("n"), None);
    let classes = json!({"data_classes": ["secret"]});
    let secret = Call::chat().told(Field::DataClass, "Secret");
    check_request("approval", &classes, &secret, NEEDED);
    check_request("approval", &classes, &Call::chat(), None);
    let tools = json!({"tools": ["send_*"]});
    for (name, kind, expected) in [
        ("send_mail", "hosted", NEEDED),
        ("SEND_mail", "hosted", NEEDED),
        // These are held back when the model calls them.
        ("send_mail", "function", None),
        ("send_mail", "custom", None),
        ("get", "hosted", None),
    ] {
        check_request("approval", &tools, &Call::chat().tool(name, kind), expected);
    }
    let unseen = Call {
        content: None,
        ..Call::chat()
    };
    let unknown = Some(("content_unknown", None));
    check_request("approval", &tools, &unseen, unknown);
}

#[test]
fn tools_of_a_server_whose_names_are_not_known_need_an_approval() {
    let call = |servers: &[&str]| {
        let mut call = of("m").tool("mcp", "hosted");
        let content = call.content.get_or_insert_default();
        content.servers = servers.iter().map(|it| (*it).into()).collect();
        call
    };
    let tools = json!({"tools": ["send_*"]});
    check_request("approval", &tools, &call(&["mcp"]), NEEDED);
    check_request("approval", &tools, &call(&[]), None);
    let listed = call(&[]).tool("send_mail", "hosted");
    check_request("approval", &tools, &listed, NEEDED);
    let models = json!({"models": ["n"]});
    check_request("approval", &models, &call(&["mcp"]), None);
}

#[test]
fn a_tool_call_needs_an_approval() {
    let tools = json!({"tools": ["send_*"]});
    for (name, expected) in [
        ("send_mail", Some("approval_needed")),
        ("Send_Mail", Some("approval_needed")),
        ("get", None),
    ] {
        check_given("approval", &tools, &Given::ToolCall(name), expected);
    }
    let text = Given::Text("send_mail".into());
    check_given("approval", &tools, &text, None);
}

#[test]
fn what_was_approved_goes_on_and_nothing_more() {
    let settings = json!({"models": ["m"], "data_classes": ["secret"], "approvers": 2});
    let chain = chain("approval", &settings, Mode::Enforce);
    let call = of("m").told(Field::DataClass, "secret");
    let verdict = chain.request(&call.facts());
    let needs = verdict.needs();
    let need = needs[0].need.as_ref().expect("a need");
    assert_eq!(need.what, ["model m", "data class secret"]);
    assert_eq!(
        (need.approvers, need.wait_ms, need.expires_s),
        (2, 0, 3_600)
    );
    let all = Ruling::wanted(needs.iter());
    assert_eq!(all.len(), 2);
    let passed = chain.approving(all.clone()).request(&call.facts());
    assert!(passed.rulings.is_empty(), "{passed:?}");
    for part in &all {
        let found = chain.approving(vec![part.clone()]).request(&call.facts());
        assert_eq!(found.needs().len(), 1, "{part:?}");
    }
    let elsewhere = |it: &Approved| Approved {
        layer: "another".into(),
        ..it.clone()
    };
    // By one, before the rule wanted two.
    let by_one = |it: &Approved| Approved {
        approvers: 1,
        ..it.clone()
    };
    for other in [
        all.iter().map(elsewhere).collect::<Vec<_>>(),
        all.iter().map(by_one).collect(),
    ] {
        let found = chain.approving(other).request(&call.facts());
        assert!(found.denied().is_some());
    }
}

#[test]
fn what_is_denied_anyway_needs_nobody() {
    let named = |kind: &str, settings: &Value| Named {
        name: kind.into(),
        kind: rule_kind(kind).expect("it is listed"),
        mode: Mode::Enforce,
        contact: None,
        rule: compile(kind, settings).expect("good settings"),
    };
    let chain = of_layers(vec![
        vec![named("approval", &json!({"models": ["m"]}))],
        vec![named("models", &json!({"deny": ["m"]}))],
    ]);
    let verdict = chain.request(&of("m").facts());
    assert!(verdict.needs().is_empty());
    let denied = verdict.denied().expect("a denial");
    assert_eq!(denied.breach.code, "model_not_allowed");
}

#[test]
fn names_that_look_alike_are_approved_apart() {
    let chain = chain("approval", &json!({"tools": ["*"]}), Mode::Enforce);
    let call = of("m");
    let long = "a".repeat(200);
    let mut all = std::collections::BTreeSet::new();
    let names = [
        long.clone(),
        format!("{long}b"),
        long[..80].to_owned(),
        format!("{}...", &long[..80]),
        "send\u{200b}".to_owned(),
        "send\\u{200b}".to_owned(),
    ];
    for name in &names {
        let verdict = chain.given(&call.facts(), &Given::ToolCall(name));
        let needs = verdict.needs();
        all.extend(needs[0].need.clone().expect("a need").what);
    }
    assert_eq!(all.len(), names.len(), "{all:?}");
}

#[test]
fn lists_and_listeners_that_watch_need_nobody() {
    let settings = json!({"models": ["*"], "data_classes": ["*"], "tools": ["*"], "wait_ms": 9});
    let chain = chain("approval", &settings, Mode::Enforce);
    let list = Call {
        operation: Operation::ListModels,
        ..of("").told(Field::DataClass, "secret")
    };
    assert!(chain.request(&list.facts()).rulings.is_empty());
    assert!(chain.may_need_approval() && chain.tool_wait_ms() == 9);
    let watching = chain.watching();
    assert!(!watching.may_need_approval() && watching.tool_wait_ms() == 0);
    assert!(watching.request(&of("m").facts()).needs().is_empty());
    for mode in [Mode::Shadow, Mode::Warn] {
        let chain = super::chain("approval", &settings, mode);
        assert!(!chain.may_need_approval() && chain.tool_wait_ms() == 0);
        assert!(chain.request(&of("m").facts()).needs().is_empty());
    }
}

#[test]
fn settings_have_bounds() {
    for (settings, path) in [
        (json!({}), ""),
        (json!({"models": []}), "models"),
        (json!({"models": ["m"], "approvers": 0}), "approvers"),
        (json!({"models": ["m"], "approvers": 3}), "approvers"),
        (json!({"models": ["m"], "wait_ms": 30_001}), "wait_ms"),
        (json!({"models": ["m"], "expires_s": 0}), "expires_s"),
        (json!({"models": ["m"], "expires_s": 604_801}), "expires_s"),
    ] {
        let wrong = compile("approval", &settings).expect_err("it makes no sense");
        assert_eq!(wrong.path, path, "{settings}");
    }
    assert!(compile("approval", &json!({"tools": ["*"], "wait_ms": 30_000})).is_ok());
}
