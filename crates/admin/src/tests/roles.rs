//! Who may do what: every route with every role, tenants, and patience with
//! wrong credentials.

use plan::Role;

use super::*;

/// A credential of each role, of all tenants and of one.
const OPERATORS_DOCUMENT: &str = r#"
providers:
  box: {kind: sandbox}
keys:
  - {id: k1, secret: '${env:CALLER}', tenant: odd, app: shop}
  - {id: k2, secret: '${env:OP_key}', tenant: even, app: shop}
admin:
  credentials:
    - {id: viewer, secret: '${env:OP_viewer}', role: viewer}
    - {id: operator, secret: '${env:OP_operator}', role: operator}
    - {id: admin, secret: '${env:OP_admin}', role: admin}
    - {id: auditor, secret: '${env:OP_auditor}', role: auditor}
    - {id: odd-viewer, secret: '${env:OP_odd_viewer}', role: viewer, tenant: odd}
    - {id: odd-operator, secret: '${env:OP_odd_operator}', role: operator, tenant: odd}
    - {id: odd-auditor, secret: '${env:OP_odd_auditor}', role: auditor, tenant: odd}
"#;

fn key(id: &str) -> String {
    format!("tg-op-{}-0123456789012345678901", id.replace('-', "_"))
}

fn world() -> World {
    World::of(false, OPERATORS_DOCUMENT, plan::Owner::File)
}

/// The table that the page shows, said once more by hand: which roles get past
/// the door of a route, and whether one of one tenant does.
fn expected(path: &str, method: &str) -> (&'static str, bool) {
    match (method, path) {
        ("GET", "/v1/audit") => ("admin auditor", true),
        ("POST", "/v1/spend/reconcile") => ("viewer operator admin auditor", false),
        ("GET", "/v1/spend" | "/v1/spend/refusals" | "/v1/spend/models" | "/v1/budgets")
        | ("POST", "/v1/spend/reprice") => ("viewer operator admin auditor", true),
        ("POST", "/v1/reload") => ("operator admin", false),
        ("POST", "/v1/plans" | "/v1/plans/{digest}/rollback") => ("admin", false),
        ("POST", "/v1/rollout" | "/v1/rollout/promote" | "/v1/rollout/abort") => ("admin", false),
        ("GET", "/metrics" | "/v1/plans" | "/v1/plans/{digest}" | "/v1/plans/{digest}/diff")
        | ("GET", "/v1/rollout") => ("viewer operator admin auditor", false),
        ("GET", "/openapi.json" | "/v1/records" | "/v1/records/{record}" | "/v1/plan")
        | ("GET", "/v1/status")
        | ("POST", "/v1/policy/explain") => ("viewer operator admin auditor", true),
        (method, path) if path.starts_with("/v1/keys") || path.starts_with("/v1/approvals") => {
            match method {
                "GET" => ("viewer operator admin auditor", true),
                _ => ("operator admin", true),
            }
        }
        other => panic!("a new route: say here who may use it: {other:?}"),
    }
}

#[test]
fn every_route_opens_to_its_roles_and_to_no_other() {
    let world = world();
    let routes = ROUTES.iter().filter(|route| route.access != Access::Anyone);
    for (nth, route) in (10..).zip(routes) {
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let path = match routes::placeholder(route.path) {
            Some(name) => route
                .path
                .replace(&format!("{{{name}}}"), "0123456789abcdef"),
            None => route.path.to_owned(),
        };
        let (roles, is_scoped) = expected(route.path, route.method);
        for role in Role::ALL {
            for tenant in ["", "odd-"] {
                if role == Role::Admin && !tenant.is_empty() {
                    continue;
                }
                let key = key(&format!("{tenant}{}", role.name()));
                let reply = world.call(&method, &path, Some(&key), remote(1));
                let may = roles.split(' ').any(|name| name == role.name())
                    && (tenant.is_empty() || is_scoped);
                let what = format!("{method} {path} as {tenant}{}", role.name());
                assert_eq!(reply.status != 403, may, "{what}: {}", reply.status);
                assert_ne!(reply.status, 401, "{what}");
            }
        }
        let without = world.call(&method, &path, None, remote(1));
        assert_eq!(without.status, 401, "{path}");
        let callers = world.call(&method, &path, Some("tg-0123456789012345678"), remote(nth));
        assert_eq!(callers.status, 401, "{path}: a caller's key");
    }
}

#[test]
fn the_gateways_own_key_is_for_this_machine_once_there_are_credentials() {
    let world = world();
    let status = |key: &str, peer| {
        world
            .call(&Method::GET, "/v1/status", Some(key), peer)
            .status
            .as_u16()
    };
    assert_eq!(status(KEY, None), 200);
    assert_eq!(status(KEY, "127.0.0.1".parse().ok()), 200);
    assert_eq!(status(KEY, "::1".parse().ok()), 200);
    assert_eq!(status(KEY, remote(1)), 401);
    assert_eq!(status(&key("viewer"), remote(1)), 200);
}

#[test]
fn a_credential_of_one_tenant_learns_nothing_of_others() {
    let world = world();
    world.write_all(1..=6);
    let theirs = world.write(8, |_| {});
    let ours = world.write(9, |_| {});
    world.evidence.journal().flush(Duration::from_secs(10));
    let get = |id: &str, target: &str| world.call(&Method::GET, target, Some(&key(id)), remote(1));
    assert_eq!(
        sequences(&parse(&get("odd-viewer", "/v1/records"))),
        [8, 5, 3, 1]
    );
    assert_eq!(
        sequences(&parse(&get("odd-viewer", "/v1/records?tenant=odd"))),
        [8, 5, 3, 1]
    );
    assert_eq!(get("odd-viewer", "/v1/records?tenant=even").status, 403);
    assert_eq!(
        get("odd-viewer", &format!("/v1/records/{ours}")).status,
        200
    );
    // What is another tenant's is as what does not exist, word for word.
    let hidden = get("odd-viewer", &format!("/v1/records/{theirs}"));
    let nothing = get(
        "odd-viewer",
        &format!("/v1/records/{}", RequestId::mint(1, 1)),
    );
    assert_eq!((hidden.status.as_u16(), &hidden.body), (404, &nothing.body));
    assert_eq!(get("odd-viewer", "/v1/records/2").body, nothing.body);
    assert_eq!(get("viewer", "/v1/records/2").status, 200);
    let plan = parse(&get("odd-viewer", "/v1/plan"));
    assert_eq!(plan["keys"].as_array().unwrap().len(), 1);
    assert_eq!(plan["keys"][0]["id"], "k1");
    let status = parse(&get("odd-viewer", "/v1/status"));
    assert_eq!(status["tenant"], "odd");
    for field in ["journal", "listeners", "pools", "in_flight", "connections"] {
        assert_eq!(status[field], Value::Null, "{field}");
    }
}

#[test]
fn followers_of_one_tenant_see_their_own() {
    let world = world();
    let headers = headers(Some(&key("odd-viewer")));
    let Answer::Follow(mut follow) =
        world.open(&Method::GET, "/v1/records?follow=1&after=0", &headers, None)
    else {
        panic!("it follows")
    };
    world.write_all(1..=4);
    world.evidence.journal().flush(Duration::from_secs(10));
    let Step::Lines(lines) = follow.step() else {
        panic!("lines")
    };
    let tenants: Vec<Value> = lines
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Value>(line).unwrap()["tenant"].clone())
        .collect();
    assert_eq!(tenants, ["odd", "odd"]);
}

#[test]
fn guesses_come_back_slowly_and_to_nobody_else() {
    let mut world = world();
    let guess = |world: &World, key: &str, peer| {
        world
            .call(&Method::GET, "/v1/status", Some(key), peer)
            .status
            .as_u16()
    };
    for _ in 0..throttle::GUESSES_MAX {
        assert_eq!(guess(&world, "wrong", remote(1)), 401);
    }
    assert_eq!(guess(&world, "wrong", remote(1)), 429);
    assert_eq!(guess(&world, &key("admin"), remote(1)), 429);
    assert_eq!(guess(&world, &key("admin"), remote(2)), 200);
    // Being told to wait costs nothing more.
    for _ in 0..100 {
        assert_eq!(guess(&world, "wrong", remote(1)), 429);
    }
    world.now_us += throttle::GUESS_EVERY_US;
    assert_eq!(guess(&world, "wrong", remote(1)), 401, "one came back");
    assert_eq!(guess(&world, "wrong", remote(1)), 429);
    world.now_us += throttle::GUESS_EVERY_US;
    assert_eq!(guess(&world, &key("admin"), remote(1)), 200);
    world.now_us += throttle::GUESSES_MAX * throttle::GUESS_EVERY_US;
    for _ in 0..throttle::GUESSES_MAX {
        assert_eq!(guess(&world, "wrong", remote(1)), 401, "all came back");
    }
    assert_eq!(guess(&world, "wrong", remote(1)), 429);
    // The right credential with the wrong role is no guess.
    for _ in 0..50 {
        let reply = world.call(&Method::POST, "/v1/reload", Some(&key("viewer")), remote(3));
        assert_eq!(reply.status, 403);
    }
    assert_eq!(guess(&world, &key("viewer"), remote(3)), 200);
}
