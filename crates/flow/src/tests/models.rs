//! Cases of the models that a caller may see: what is listed, and one by its
//! name.

use std::sync::Arc;

use access::{Consumer, KeyRing};
use contract::Secret;
use routing::Candidate;
use serde_json::Value;

use super::world::{Got, World, plan};

/// A plan with names, a name among the patterns, and a pattern.
fn world(allowed: Option<&[&str]>) -> World {
    let world = World::new(&[("openai", "openai_chat")], vec![]);
    let mut plan = plan(&[("openai", "openai_chat"), ("anthropic", "anthropic")]);
    plan.models
        .name("fast", vec![Candidate::new(0, "gpt-mini", None)]);
    plan.models.provider("openai", 0);
    plan.models.serve("gpt-*", 0);
    plan.models.serve("claude-exact", 1);
    plan.models.serve("claude-*", 1);
    plan.keys = KeyRing::new([1; 32]);
    let consumer = Consumer {
        models: allowed.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        ..Consumer::new("k", "t", "a")
    };
    assert!(plan.keys.add(&Secret::new("tg-test".into()), consumer));
    world.flow.plan.store(Arc::new(plan.into()));
    world
}

/// The path, the header of the shape, and where its names stand.
type Shape = (&'static str, &'static str, fn(&Value) -> Vec<String>);

const SHAPES: [Shape; 3] = [
    ("/v1/models", "x-plain", |body| names(&body["data"], "id")),
    ("/v1/models", "anthropic-version", |body| {
        names(&body["data"], "id")
    }),
    ("/v1beta/models", "x-plain", |body| {
        names(&body["models"], "name")
    }),
];

fn names(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().expect("a list");
    let name = |entry: &Value| entry[key].as_str().expect("a name").to_owned();
    list.iter().map(name).collect()
}

fn get(world: &World, path: &str, header: &str) -> (Got, Value) {
    let headers = [("authorization", "Bearer tg-test"), (header, "2023-06-01")];
    let got = world.ask(http::Method::GET, path, "", &headers);
    let body = serde_json::from_str(&got.body).expect("JSON");
    (got, body)
}

#[test]
fn names_are_listed_and_patterns_are_not() {
    for (path, header, names) in SHAPES {
        let listed = |allowed| {
            let mut all = names(&get(&world(allowed), path, header).1);
            for name in &mut all {
                *name = name.trim_start_matches("models/").to_owned();
            }
            all
        };
        assert_eq!(listed(None), ["claude-exact", "fast", "gpt-mini", "m"]);
        // A key that names a model makes it known, if somebody serves it.
        let allowed: &[&str] = &["claude-9", "gpt-*", "nobody-1"];
        assert_eq!(listed(Some(allowed)), ["claude-9", "gpt-mini"]);
    }
}

#[test]
fn one_model_is_found_by_any_name_that_a_call_could_use() {
    for (path, header, _) in SHAPES {
        let find = |allowed, name: &str| {
            let (got, body) = get(&world(allowed), &format!("{path}/{name}"), header);
            let shown = ["id", "name"].iter().find_map(|key| body[*key].as_str());
            let shown = shown.map(|name| name.trim_start_matches("models/").to_owned());
            (got.status, shown)
        };
        for name in ["fast", "gpt-9-preview", "claude-9", "openai/any"] {
            assert_eq!(find(None, name), (200, Some(name.to_owned())), "{path}");
        }
        assert_eq!(find(None, "nobody-1").0, 404, "{path}");
        let allowed: &[&str] = &["claude-*"];
        assert_eq!(find(Some(allowed), "claude-9").0, 200, "{path}");
        assert_eq!(
            find(Some(allowed), "gpt-9").0,
            404,
            "{path}: not for this key"
        );
    }
}
