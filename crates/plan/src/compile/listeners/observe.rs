//! Listeners that only watch.

use std::sync::Arc;

use access::observe::Observe;

use super::super::Findings;
use super::{Listener, Where};
use crate::diagnostic::suggest;
use crate::document::{Document, ListenerEntry, ObserveEntry};

/// Fills in what the listeners for calls watch. `listeners` are those that
/// were compiled, by name; entries that could not be are told already.
pub(super) fn compile(document: &Document, listeners: &mut [Listener], findings: &mut Findings) {
    let entries = &document.listen.data;
    let other = listeners.iter().find_map(|listener| {
        let nth = position(&listener.name);
        let watches = entries.0.get(nth)?.observe.is_some();
        (!watches).then(|| words(listener))
    });
    for (nth, entry) in entries.0.iter().enumerate() {
        let Some(observe) = &entry.observe else {
            continue;
        };
        let path = super::path("data", entries, nth);
        check(document, entry, observe, (&path, findings));
        let compiled = listeners.iter_mut();
        for listener in compiled.filter(|it| position(&it.name) == nth) {
            Arc::make_mut(&mut listener.standing).observe = Some(Arc::new(Observe {
                tenant: observe.tenant.as_str().into(),
                app: observe.app.as_str().into(),
                provider: observe.provider.as_deref().map(Into::into),
                intake: observe.intake,
                other: other.clone(),
            }));
        }
    }
}

/// The place of a listener in its list: `data` is the first, `data-2` the
/// second.
fn position(name: &str) -> usize {
    let number = name.rsplit_once('-').and_then(|(_, it)| it.parse().ok());
    number.map_or(0, |nth: usize| nth.saturating_sub(1))
}

fn words(listener: &Listener) -> Arc<str> {
    match &listener.at {
        Where::Tcp(address) => format!("the listener `{}` ({address})", listener.name).into(),
        Where::Unix { .. } => format!("the listener `{}` (a unix socket)", listener.name).into(),
    }
}

fn check(
    document: &Document,
    entry: &ListenerEntry,
    observe: &ObserveEntry,
    (path, findings): (&str, &mut Findings),
) {
    if entry.anonymous.is_some() {
        findings.error(
            format!("{path}.anonymous"),
            "this listener watches: its callers stand for the tenant and app of `observe`",
            "take one of the two out, or write two listeners",
        );
    }
    if entry.tls.as_ref().is_some_and(|it| it.client_ca.is_some()) {
        findings.error(
            format!("{path}.tls.client_ca"),
            "this listener watches: nobody is told by a client certificate there",
            "take `client_ca` out, or write two listeners",
        );
    }
    for (field, name) in [("tenant", &observe.tenant), ("app", &observe.app)] {
        if name.trim().is_empty() {
            findings.error(
                format!("{path}.observe.{field}"),
                format!("this {field} is empty"),
                "name it",
            );
        }
    }
    if let Some(name) = &observe.provider {
        check_provider(document, name, (path, findings));
    }
}

fn check_provider(document: &Document, name: &str, (path, findings): (&str, &mut Findings)) {
    let path = format!("{path}.observe.provider");
    let named = document.providers.named();
    let Some((_, entry)) = named.iter().find(|it| it.0 == name) else {
        let names = named.iter().map(|(known, _)| known);
        let instead = suggest(name, names, "provider");
        return findings.error(path, format!("there is no provider `{name}`"), instead);
    };
    let kind = providers::kind(entry.kind.as_deref().unwrap_or(name));
    if kind.is_some_and(|kind| kind.provider.local().is_some()) {
        findings.error(
            path,
            format!("`{name}` runs inside the gateway, so there is no key to pass on to it"),
            "name a provider that is called",
        );
    }
}
