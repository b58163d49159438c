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
    Arc::new(Layer {
        place: place.into(),
        rules: vec![Named {
            name: format!("rule of {place}").into(),
            kind,
            mode,
            contact: None,
            rule: (kind.compile)(&settings).expect("good settings"),
        }],
    })
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
