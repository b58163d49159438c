//! Cases of keys in what is in force: virtual ones, and both sides of a
//! roll-out.

use std::collections::HashMap;

use access::{KeyLife, LiveKey};
use contract::Secret;
use plan::{Rollout, Share};

use super::*;

const DOCUMENT: &str = r##"
providers: { box: { kind: sandbox, models: ["*"] } }
models: { m: box/m, old: box/old }
keys:
  - { id: web, secret: tg-0123456789abcdef0123, tenant: acme, app: web,
      rules: [{ name: no-old, models: { deny: [old] } }] }
"##;

fn plan(document: &str) -> Arc<Plan> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tollgate.yaml");
    std::fs::write(&path, document).expect("written");
    Arc::new(super::super::load(Some(&path)).expect("a good configuration"))
}

fn rolled_out(candidate: &Arc<Plan>, percent: f64) -> InForce {
    let share = Share::new(&candidate.digest, percent, Vec::new());
    InForce {
        plan: plan(DOCUMENT),
        rollout: Some(Arc::new(Rollout {
            candidate: candidate.clone(),
            share: share.expect("a share"),
            abort: None,
        })),
    }
}

/// With the virtual key `k2` of tenant acme, which works for 100 µs.
fn live() -> (LiveKeys, Arc<KeyLife>) {
    let life = Arc::new(KeyLife::new(false));
    let key = LiveKey {
        consumer: Arc::new(Consumer::new("k2", "acme", "batch")),
        life: life.clone(),
        until_us: Some(100),
    };
    let empty = LiveKeys::new(Secret::new([1; 32]));
    (empty.with(HashMap::from([([7; 32], key)])), life)
}

/// Its tenants, and what it comes to.
fn told(in_force: &InForce, id: &str, model: &str) -> Option<(Vec<String>, Value)> {
    let found = subject(in_force, &live().0, id, 99)?;
    let tenants = found.tenants.iter().map(|name| name.to_string());
    let tenants = tenants.collect();
    let facts = CallFacts {
        key: id.to_owned(),
        model: model.to_owned(),
        use_case: None,
        data_class: None,
        stream: false,
        tools: Vec::new(),
        input_tokens: 100,
        output_tokens: None,
    };
    Some((tenants, (found.explain)(&facts).expect("sound facts")))
}

#[test]
fn keys_of_the_document_and_virtual_ones_are_explained_while_they_work() {
    let plan = plan(DOCUMENT);
    let in_force = InForce {
        plan: plan.clone(),
        rollout: None,
    };
    let (tenants, denied) = told(&in_force, "web", "old").expect("of the document");
    assert_eq!(tenants, ["acme"]);
    assert_eq!(denied["plan"], &*plan.digest);
    assert_eq!(denied["side"], Value::Null);
    assert_eq!(denied["allowed"], false);
    assert_eq!(denied["denied_by"], "no-old");
    assert_eq!(denied["rules"][0]["layer"], "key web");
    let (_, allowed) = told(&in_force, "k2", "old").expect("a virtual key");
    assert_eq!(allowed["allowed"], true);
    assert_eq!(allowed["key"], "k2");
    assert!(told(&in_force, "nobody", "m").is_none());
    let (live, life) = live();
    assert!(subject(&in_force, &live, "k2", 100).is_none(), "expired");
    life.revoke();
    assert!(subject(&in_force, &live, "k2", 0).is_none(), "revoked");
}

#[test]
fn a_roll_out_explains_each_key_by_the_plan_of_its_calls() {
    let candidate = plan(&DOCUMENT.replace("deny: [old]", "deny: [m]"));
    for (percent, side, is_allowed) in [(0.0, "in_force", true), (100.0, "candidate", false)] {
        let in_force = rolled_out(&candidate, percent);
        let (_, told) = told(&in_force, "web", "m").expect("a key");
        let digest = match is_allowed {
            true => &in_force.plan.digest,
            false => &candidate.digest,
        };
        assert_eq!(
            (&told["plan"], &told["side"]),
            (&(**digest).into(), &side.into())
        );
        assert_eq!(told["allowed"], is_allowed);
    }
    // Whoever asks must see where it comes from and where it goes.
    let moved = rolled_out(&plan(&DOCUMENT.replace("acme", "other")), 100.0);
    let (tenants, _) = told(&moved, "web", "m").expect("a key");
    assert_eq!(tenants, ["acme", "other"]);
    // No call with this key gets further than the candidate.
    let gone = rolled_out(&plan(&DOCUMENT.replace("id: web", "id: new")), 100.0);
    assert!(told(&gone, "web", "m").is_none());
}
