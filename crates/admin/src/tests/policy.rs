//! Cases of what policy says of a call: who may ask about which key, and what
//! a body may say.

use serde_json::json;

use super::*;

const READERS: &str = r#"
providers: {box: {kind: sandbox}}
keys: [{id: k1, secret: '${env:CALLER}', tenant: acme, app: shop}]
admin:
  credentials:
    - {id: vera, secret: '${env:OP_VERA_1}', role: viewer}
    - {id: olga, secret: '${env:OP_OLGA_1}', role: operator}
    - {id: ada, secret: '${env:OP_ADA_11}', role: admin}
    - {id: aude, secret: '${env:OP_AUDE_1}', role: auditor}
    - {id: tom, secret: '${env:OP_TOM_11}', role: viewer, tenant: acme}
    - {id: tim, secret: '${env:OP_TIM_11}', role: viewer, tenant: other}
"#;
const PATH: &str = "/v1/policy/explain";

/// The keys there are: `k1` of acme, and `moves`, which the candidate of a
/// roll-out gives to another tenant. What is decided tells the facts.
pub(super) fn find(key: &str, now_us: u64) -> Option<Subject> {
    assert!(now_us >= NOW_US);
    let tenants: &[&str] = match key {
        "k1" => &["acme"],
        "moves" => &["acme", "other"],
        _ => return None,
    };
    Some(Subject {
        tenants: tenants.iter().map(|name| (*name).into()).collect(),
        explain: Box::new(|facts| match facts.model.as_str() {
            "odd" => Err("`odd` is no model".to_owned()),
            model => Ok(json!({
                "model": model, "use_case": facts.use_case, "data_class": facts.data_class,
                "stream": facts.stream, "tools": facts.tools,
                "input_tokens": facts.input_tokens, "output_tokens": facts.output_tokens,
            })),
        }),
    })
}

fn world() -> World {
    World::of(false, READERS, plan::Owner::File)
}

fn ask(world: &World, who: &str, body: &str) -> (u16, Value) {
    let key = format!("tg-op-{who}-0123456789012345678901");
    world.post(PATH, &key, body)
}

fn about(key: &str) -> String {
    json!({"key": key, "model": "m"}).to_string()
}

#[test]
fn all_readers_may_have_a_call_explained() {
    let world = world();
    for who in ["VERA_1", "OLGA_1", "ADA_11", "AUDE_1", "TOM_11"] {
        let (status, told) = ask(&world, who, &about("k1"));
        assert_eq!(status, 200, "{who}: {told}");
        assert_eq!(
            told,
            json!({
                "model": "m", "use_case": null, "data_class": null, "stream": false,
                "tools": [], "input_tokens": 100, "output_tokens": null,
            })
        );
    }
    let whole = json!({
        "key": "k1", "model": "m", "use_case": "u", "data_class": "d", "stream": true,
        "tools": ["a", "b"], "input_tokens": 7, "output_tokens": 8,
    });
    let (_, told) = ask(&world, "VERA_1", &whole.to_string());
    let mut expected = whole;
    expected.as_object_mut().unwrap().remove("key");
    assert_eq!(told, expected);
    // It is no change, so nobody's journal names it.
    let audit = world.json("/v1/audit?object=key/k1");
    assert_eq!(audit["entries"].as_array().unwrap().len(), 0);
}

#[test]
fn a_key_of_another_tenant_is_as_one_that_does_not_exist() {
    let world = world();
    let (status, unknown) = ask(&world, "TIM_11", &about("nobody"));
    assert_eq!(
        (status, &unknown["error"]["code"]),
        (404, &"unknown_key".into())
    );
    assert_eq!(
        ask(&world, "TIM_11", &about("k1")),
        (404, unknown.clone()),
        "of acme"
    );
    // Both tenants are needed where a roll-out moves the key.
    for who in ["TIM_11", "TOM_11"] {
        assert_eq!(ask(&world, who, &about("moves")), (404, unknown.clone()));
    }
    assert_eq!(ask(&world, "VERA_1", &about("moves")).0, 200);
    assert_eq!(ask(&world, "VERA_1", &about("nobody")), (404, unknown));
}

#[test]
fn bodies_that_make_no_sense_are_refused() {
    let world = world();
    let long = "x".repeat(513);
    let tools = vec!["t"; 129];
    for (body, words) in [
        (String::new(), "body"),
        ("[]".to_owned(), "body"),
        (json!({"key": "k1"}).to_string(), "model"),
        (json!({"model": "m"}).to_string(), "key"),
        (
            json!({"key": "k1", "model": "m", "modle": 1}).to_string(),
            "modle",
        ),
        (json!({"key": "k1", "model": ""}).to_string(), "model"),
        (json!({"key": long, "model": "m"}).to_string(), "key"),
        (
            json!({"key": "k1", "model": "m", "tools": [long]}).to_string(),
            "tools",
        ),
        (
            json!({"key": "k1", "model": "m", "tools": tools}).to_string(),
            "129",
        ),
        (
            json!({"key": "k1", "model": "m", "input_tokens": -1}).to_string(),
            "-1",
        ),
        (json!({"key": "k1", "model": "odd"}).to_string(), "no model"),
    ] {
        let (status, told) = ask(&world, "VERA_1", &body);
        assert_eq!(status, 400, "{body}: {told}");
        assert_eq!(told["error"]["code"], "bad_body", "{body}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{words}: {message}");
    }
}
