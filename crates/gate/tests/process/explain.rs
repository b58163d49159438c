//! What policy says of a call, asked of the running gateway: for virtual keys
//! and keys of the document, by the plan in force and by one that is tried.

use std::fs;

use serde_json::Value;

use crate::gateway::{Gateway, Home, KEY, ask, chat};
use crate::upstream::Upstream;

const DOOR: &str = "/v1/chat/completions";
const DENY: &str = "policy: {tenants: {acme: {rules: [{name: no-fast, models: {deny: [fast]}}]}}}";

fn document(up: &Upstream, more: &str) -> String {
    up.config(&format!(
        "keys: [{{id: test, secret: '${{file:test.key}}', \
         rules: [{{name: no-slow, models: {{deny: [slow]}}}}]}}]\nplans: {{owner: api}}\n\
         models: {{m: up/m, fast: up/m, slow: up/m}}\n\
         listen: {{data: {{address: '127.0.0.1:0'}}, admin: {{address: '127.0.0.1:0'}}}}\n{more}"
    ))
}

/// With `new.yaml`, under which the tenant acme may not use `fast`.
fn home(up: &Upstream) -> Home {
    let home = Home::new();
    fs::write(home.path("test.key"), KEY).unwrap();
    home.configure(&document(up, ""));
    fs::write(home.path("new.yaml"), document(up, DENY)).unwrap();
    home
}

fn tollgate(gateway: &Gateway, home: &Home, words: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", gateway.admin());
    home.run(&[words, &["--admin", &admin]].concat())
}

fn explain(gateway: &Gateway, home: &Home, words: &[&str]) -> (i32, String, String) {
    tollgate(gateway, home, &[&["policy", "explain"], words].concat())
}

/// The exit code and the JSON of an explanation by the running gateway.
fn explained(gateway: &Gateway, home: &Home, key: &str, model: &str) -> (i32, Value) {
    let words = [
        "--running",
        "--key",
        key,
        "--model",
        model,
        "--format",
        "json",
    ];
    let (code, out, err) = explain(gateway, home, &words);
    let told = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    (code, told)
}

fn make(gateway: &Gateway, home: &Home, words: &[&str]) -> (String, String) {
    let words = [&["keys", "create", "--json"], words].concat();
    let (code, out, err) = tollgate(gateway, home, &words);
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["key"]["id"]), text(&made["secret"]))
}

/// The status of a call, and the plan that it ran under.
fn call(gateway: &Gateway, secret: &str, model: &str) -> (u16, String) {
    let answer = ask(gateway.data(), secret, DOOR, &chat(model, false)).unwrap();
    (answer.status, answer.header("tollgate-plan").to_owned())
}

#[test]
fn a_virtual_key_is_explained_by_the_plan_that_its_calls_run_under() {
    let up = Upstream::good();
    let home = home(&up);
    let gateway = home.start();
    let first = gateway.told("plan");
    let (id, secret) = make(&gateway, &home, &["--tenant", "acme"]);
    let (code, told) = explained(&gateway, &home, &id, "fast");
    assert_eq!((code, &told["allowed"]), (0, &true.into()), "{told}");
    assert_eq!(
        (&told["plan"], &told["side"]),
        (&first.as_str().into(), &Value::Null)
    );
    assert_eq!(told["candidates"][0]["provider"], "up");
    assert_eq!(call(&gateway, &secret, "fast"), (200, first.clone()));

    // A plan that the API tries on its tenant.
    let words = [
        "plan",
        "apply",
        "new.yaml",
        "--percent",
        "0",
        "--tenant",
        "acme",
    ];
    let (code, _, err) = tollgate(&gateway, &home, &words);
    assert_eq!(code, 0, "{err}");
    let (status, second) = call(&gateway, &secret, "fast");
    assert_eq!(status, 403);
    assert_ne!(second, first);
    let (code, told) = explained(&gateway, &home, &id, "fast");
    assert_eq!((code, &told["allowed"]), (1, &false.into()), "{told}");
    assert_eq!(told["denied_by"], "no-fast");
    assert_eq!(told["rules"][0]["layer"], "tenant acme");
    assert_eq!(
        (&told["plan"], &told["side"]),
        (&second.as_str().into(), &"candidate".into())
    );
    let (_, told) = explained(&gateway, &home, "test", "fast");
    assert_eq!(
        (&told["plan"], &told["side"]),
        (&first.as_str().into(), &"in_force".into())
    );

    // And then is in force for all.
    let (code, _, err) = tollgate(&gateway, &home, &["plan", "rollout", "promote"]);
    assert_eq!(code, 0, "{err}");
    let (code, out, _) = explain(
        &gateway,
        &home,
        &["--running", "--key", &id, "--model", "fast"],
    );
    assert_eq!(code, 1);
    assert!(
        out.contains(&format!("by plan {second}\n")) && out.contains("DENIED"),
        "{out}"
    );

    // A key that ended is none.
    tollgate(&gateway, &home, &["keys", "revoke", &id]);
    let words = ["--running", "--key", &id, "--model", "fast"];
    let (code, out, err) = explain(&gateway, &home, &words);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("no such key"), "{err}");
    // All that called nothing: two calls are recorded.
    assert_eq!(gateway.logs(&home, &[]).len(), 2);
    gateway.stop();
}

#[test]
fn the_running_gateway_and_its_configuration_explain_alike() {
    let up = Upstream::good();
    let home = home(&up);
    let gateway = home.start();
    let plan = gateway.told("plan");
    for (model, code) in [("slow", 1), ("fast", 0), ("unknown", 1)] {
        for format in ["text", "json"] {
            let words = ["--key", "test", "--model", model, "--format", format];
            let here = explain(&gateway, &home, &words);
            let running = explain(&gateway, &home, &[&words[..], &["--running"]].concat());
            // All but the plan, which a configuration has none of.
            let named = [format!("by plan {plan}\n"), format!("\"plan\": \"{plan}\"")];
            assert!(named.iter().any(|it| running.1.contains(it)), "{running:?}");
            let unnamed = running.1.replace(&named[0], "");
            let unnamed = unnamed.replace(&named[1], "\"plan\": null");
            assert_eq!(here, (running.0, unnamed, running.2));
            assert_eq!(here.0, code, "{}", here.1);
        }
    }
    let (_, told) = explained(&gateway, &home, "test", "slow");
    assert_eq!(told["denied_by"], "no-slow");
    assert_eq!(told["rules"][0]["layer"], "key test");
    // What a key of its own may use is told as well.
    let (id, _) = make(&gateway, &home, &["--model", "fast"]);
    assert_eq!(explained(&gateway, &home, &id, "fast").0, 0);
    let (code, told) = explained(&gateway, &home, &id, "m");
    assert_eq!((code, &told["denied_by"]), (1, &Value::Null), "{told}");
    // Its configuration does not know it, and says who does.
    let (code, _, err) = explain(&gateway, &home, &["--key", &id, "--model", "m"]);
    assert_eq!(code, 2);
    assert!(err.contains("--running"), "{err}");
    gateway.stop();
    let words = [
        "--running",
        "--key",
        "test",
        "--model",
        "m",
        "--admin",
        "http://127.0.0.1:9",
    ];
    let (code, _, err) = home.run(&[&["policy", "explain"], &words[..]].concat());
    assert_eq!(code, 2);
    assert!(err.contains("No gateway answers"), "{err}");
}
