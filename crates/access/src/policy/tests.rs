//! Cases of layers.

use contract::Operation;
use serde_json::json;

use super::*;
use crate::metadata::Metadata;
use crate::rule_kind;

/// Facts of a plain chat call.
pub(crate) fn facts<'a>(metadata: &'a Metadata, model: &'a str) -> Facts<'a> {
    Facts {
        tenant: "acme",
        app: "web",
        key_id: "k",
        groups: &[],
        metadata,
        operation: Operation::Chat,
        model,
        stream: false,
        input_tokens: 100,
        output_tokens_max: None,
        address: None,
        now_s: 1_700_000_000,
        content: None,
    }
}

fn layer(place: &str, mode: Mode, settings: serde_json::Value) -> Arc<Layer> {
    let kind = rule_kind("models").expect("it exists");
    let named = Named {
        name: format!("rule of {place}").into(),
        kind,
        mode,
        contact: None,
        rule: (kind.compile)(&settings).expect("good settings"),
    };
    Arc::new(Layer::new(place, vec![named]))
}

#[test]
fn layers_intersect_and_a_weak_mode_takes_nothing_back() {
    let mut policy = Policy {
        organisation: layer("organisation", Mode::Enforce, json!({"allow": ["gpt-*"]})),
        ..Policy::default()
    };
    let tenant = TenantPolicy {
        layer: layer("tenant acme", Mode::Warn, json!({"deny": ["gpt-4*"]})),
        ..TenantPolicy::default()
    };
    policy.tenants.insert("acme".into(), tenant);
    let metadata = Metadata::default();
    let chain = policy.chain("acme", "web", None, None);
    let verdict = |model| chain.request(&facts(&metadata, model));
    assert_eq!(
        verdict("gpt-5"),
        Verdict {
            asked: 2,
            ..Verdict::default()
        }
    );
    let four = verdict("gpt-4o");
    assert_eq!(four.denied(), None, "warn denies nothing");
    assert_eq!(four.warned().count(), 1);
    let other = verdict("claude-5");
    let denied = other.denied().expect("denied by the organisation");
    assert_eq!(&*denied.layer, "organisation");
    let said = denied.fault().public;
    assert!(
        said.contains("`claude-5`") && said.contains("rule of organisation"),
        "{said}"
    );
    assert!(
        policy
            .chain("other", "web", None, None)
            .request(&facts(&metadata, "gpt-4o"))
            .rulings
            .is_empty()
    );
}

/// What is said of a chain of layers of `models`, and of these models.
fn emptied(layers: Vec<Arc<Layer>>, models: &[&str]) -> Option<String> {
    empty_because(&Chain::of(layers), models)
}

#[test]
fn a_policy_that_empties_itself_is_explained() {
    let models = ["gpt-5", "claude-5", "o4"];
    let gpt = || layer("organisation", Mode::Enforce, json!({"allow": ["gpt-*"]}));
    let claude = |mode| layer("tenant acme", mode, json!({"allow": ["claude-*"]}));
    let said = emptied(vec![gpt(), claude(Mode::Enforce)], &models).expect("nothing is left");
    assert_eq!(
        said,
        "rule `rule of organisation` of organisation (models gpt-*) and rule `rule of tenant \
         acme` of tenant acme (models claude-*) have no model in common, so together they \
         exclude all 3 models"
    );
    assert_eq!(emptied(vec![gpt(), claude(Mode::Warn)], &models), None);
    assert_eq!(emptied(vec![gpt()], &models), None);
    assert_eq!(emptied(vec![gpt(), claude(Mode::Enforce)], &[]), None);
    assert_eq!(emptied(Vec::new(), &models), None);
}

#[test]
fn one_rule_or_three_can_empty_a_policy() {
    let models = ["a", "b", "c"];
    let deny = |place: &str, deny: &str| layer(place, Mode::Enforce, json!({"deny": [deny]}));
    let said = emptied(vec![deny("key k", "*")], &models).expect("nothing is left");
    assert!(
        said.starts_with("rule `rule of key k` of key k") && said.contains("all 3 models"),
        "{said}"
    );
    let three = vec![deny("x", "a"), deny("y", "b"), deny("z", "c")];
    let said = emptied(three, &models).expect("nothing is left");
    assert!(
        said.contains("`rule of x`") && said.contains("`rule of z`") && said.contains("no two"),
        "{said}"
    );
    let one = emptied(vec![deny("x", "a")], &["a"]).expect("nothing is left");
    assert!(one.contains("the one model `a`"), "{one}");
}

#[test]
fn a_rule_that_cannot_look_at_streams_refuses_them() {
    static BLIND: Kind = Kind {
        name: "blind",
        doc: "",
        example: "",
        streams: Streams::Refused,
        schema: |generator| generator.subschema_for::<bool>(),
        compile: |_| unreachable!("it is made below"),
    };
    let kind = rule_kind("models").expect("it exists");
    let named = Named {
        name: "r".into(),
        kind: &BLIND,
        mode: Mode::Enforce,
        contact: None,
        rule: (kind.compile)(&json!({"allow": ["gpt-*"]})).expect("good settings"),
    };
    let layer = Layer::new("organisation", vec![named]);
    let chain = Chain::of(vec![Arc::new(layer)]);
    let metadata = Metadata::default();
    let whole = facts(&metadata, "gpt-5");
    assert!(chain.request(&whole).denied().is_none());
    let stream = Facts {
        stream: true,
        ..whole
    };
    let verdict = chain.request(&stream);
    let code = verdict.denied().map(|ruling| ruling.breach.code);
    assert_eq!(code, Some("stream_not_checked"));
}
