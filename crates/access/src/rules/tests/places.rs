//! Cases of candidates.

use serde_json::json;

use super::*;

#[test]
fn providers() {
    let denied = Some("provider_not_allowed");
    let call = Call::chat();
    for (settings, expected) in [
        (json!({"allow": ["eu-*"]}), None),
        (json!({"allow": ["us-*"]}), denied),
        (json!({"allow": ["kind:sand*"]}), None),
        (json!({"allow": ["sandbox"]}), denied),
        (json!({"allow": ["kind:eu-one"]}), denied),
        (json!({"deny": ["eu-one"]}), denied),
        (json!({"deny": ["kind:sandbox"]}), denied),
        (json!({"allow": ["eu-*"], "deny": ["eu-two"]}), None),
    ] {
        check_place("providers", &settings, &call, &place(), expected);
    }
}

#[test]
fn regions() {
    let call = Call::chat();
    let at = |region| Place { region, ..place() };
    let allow = json!({"allow": ["EU-*"], "deny": ["eu-west-2"]});
    let denied = Some("region_not_allowed");
    check_place("regions", &allow, &call, &at(Some("eu-west-1")), None);
    check_place("regions", &allow, &call, &at(Some("Eu-West-2")), denied);
    check_place("regions", &allow, &call, &at(Some("us-east-1")), denied);
    let unknown = Some("region_unknown");
    check_place("regions", &allow, &call, &at(None), unknown);
    let deny = json!({"deny": ["us-*"]});
    check_place("regions", &deny, &call, &at(None), unknown);
}

#[test]
fn families_are_those_of_the_providers_names() {
    let call = Call {
        model: "an-alias",
        ..Call::chat()
    };
    let settings = json!({"families": ["gpt", "claude", "llama*"]});
    let denied = Some("family_not_allowed");
    for (model, expected) in [
        ("gpt-5", None),
        ("GPT-4.1-mini", None),
        ("openai/gpt-5", None),
        ("anthropic.claude-5-v1:0", None),
        ("eu.anthropic.claude-5", None),
        ("llama3.1:8b", None),
        ("mistral-large", denied),
        ("not-gpt-5", denied),
        ("gpt/mistral", denied),
        ("", denied),
    ] {
        let place = Place { model, ..place() };
        check_place("models", &settings, &call, &place, expected);
    }
}

#[test]
fn data_classes() {
    let settings = json!({
        "classes": {
            "public": {},
            "secret": {"providers": ["kind:sandbox"], "regions": ["eu-*"], "models": ["gpt-*"]},
        },
        "missing": "secret",
    });
    let secret = Call::chat().told(Field::DataClass, "secret");
    let public = Call::chat().told(Field::DataClass, "public");
    let denied = Some("data_class_place");
    let bad = [
        Place {
            kind: "other",
            ..place()
        },
        Place {
            region: Some("us-1"),
            ..place()
        },
        Place {
            region: None,
            ..place()
        },
        Place {
            model: "claude-5",
            ..place()
        },
    ];
    check_place("data_class", &settings, &secret, &place(), None);
    check_place("data_class", &settings, &Call::chat(), &place(), None);
    for place in &bad {
        check_place("data_class", &settings, &secret, place, denied);
        check_place("data_class", &settings, &Call::chat(), place, denied);
        check_place("data_class", &settings, &public, place, None);
    }
}
