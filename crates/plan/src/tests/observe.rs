//! Listeners that only watch: what they become, and what cannot be combined
//! with them.

use super::{good, try_with};
use crate::*;

/// Path and words of the only finding.
fn refused(text: &str, path: &str, words: &str) {
    let Err(found) = try_with(text, &super::Fake::default()) else {
        panic!("accepted:\n{text}");
    };
    let rendered = render(&found, "tollgate.yaml", false);
    assert_eq!(found.len(), 1, "{rendered}");
    assert!(
        found[0].path == path && rendered.contains(words),
        "{path}: {rendered}"
    );
}

/// A configuration whose second listener has these fields.
fn second(fields: &str) -> String {
    format!(
        "providers: {{up: {{kind: compatible, base_url: 'http://127.0.0.1:1/v1'}}, sandbox: {{}}}}\n\
         listen: {{data: [{{address: '127.0.0.1:4100'}}, {{address: '127.0.0.1:4102', {fields}}}]}}\n"
    )
}

#[test]
fn a_listener_that_only_watches_names_the_one_that_takes_keys() {
    let text = second("observe: {tenant: acme, app: shop, provider: up, intake: true}");
    let (_, compiled) = good(&text);
    let [first, watching] = &compiled.data[..] else {
        panic!("two listeners");
    };
    assert!(first.standing.observe.is_none());
    let observe = watching.standing.observe.as_ref().expect("it watches");
    assert_eq!((&*observe.tenant, &*observe.app), ("acme", "shop"));
    assert_eq!(observe.provider.as_deref(), Some("up"));
    assert!(observe.intake);
    let other = observe.other.as_deref();
    assert_eq!(other, Some("the listener `data` (127.0.0.1:4100)"));
    let (_, compiled) = good(&second("observe: {tenant: acme, app: shop}"));
    let observe = compiled.data[1].standing.observe.as_ref();
    assert!(observe.is_some_and(|it| !it.intake && it.provider.is_none()));
    let (_, compiled) =
        good("listen: {data: {address: '127.0.0.1:1', observe: {tenant: t, app: a}}}\n");
    let observe = compiled.data[0].standing.observe.as_ref();
    assert!(observe.is_some_and(|it| it.other.is_none()));
}

#[test]
fn what_contradicts_a_listener_that_only_watches_is_refused() {
    let observe = "observe: {tenant: t, app: a}";
    let cases = [
        (
            second(&format!("{observe}, anonymous: {{tenant: t, app: a}}")),
            "listen.data[1].anonymous",
            "take one of the two out",
        ),
        (
            second(&format!(
                "{observe}, tls: {{cert: c, key: k, client_ca: ca.pem}}"
            )),
            "listen.data[1].tls.client_ca",
            "two listeners",
        ),
        (
            second("observe: {tenant: ' ', app: a}"),
            "listen.data[1].observe.tenant",
            "empty",
        ),
        (
            second("observe: {tenant: t, app: ''}"),
            "listen.data[1].observe.app",
            "empty",
        ),
        (
            second("observe: {tenant: t, app: a, provider: upp}"),
            "listen.data[1].observe.provider",
            "`up`",
        ),
        (
            second("observe: {tenant: t, app: a, provider: sandbox}"),
            "listen.data[1].observe.provider",
            "inside the gateway",
        ),
        (
            format!("listen: {{admin: {{address: '127.0.0.1:1', {observe}}}}}\n"),
            "listen.admin.observe",
            "listeners for calls only",
        ),
    ];
    for (text, path, words) in cases {
        refused(&text, path, words);
    }
}
