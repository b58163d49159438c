//! Layers and rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use access::policy::{AppPolicy, Layer, Named as NamedRule, Policy, TenantPolicy, empty_because};
use access::{KeyRing, Kind, Mode, RULES, Streams};
use routing::ModelTable;

use super::Findings;
use crate::document::{AppEntry, Document, LayerEntry, Named, PolicyEntry, RuleEntry, TenantEntry};
use crate::path::join;

/// What a layer hands down to its rules.
struct Above<'a> {
    /// Where it stands, for people.
    place: String,
    /// Where it stands in the document.
    path: String,
    mode: Mode,
    contact: Option<&'a str>,
}

pub(super) fn compile(document: &Document, findings: &mut Findings) -> Policy {
    let entry = &document.policy;
    let above = Above {
        place: "organisation".to_owned(),
        path: "policy".to_owned(),
        mode: entry.mode,
        contact: entry.contact.as_deref(),
    };
    Policy {
        organisation: layer(&entry.rules, &above, findings),
        use_cases: use_cases(&entry.use_cases, &above, findings),
        tenants: tenants(entry, &above, findings),
    }
}

/// Warns of keys whose rules leave none of the named models: such a policy is
/// hardly meant, and mysterious to whoever meets it first as a denial.
pub(super) fn explain_empty(
    document: &Document,
    policy: &Policy,
    keys: &KeyRing,
    models: &ModelTable,
    findings: &mut Findings,
) {
    let names: Vec<&str> = models.names().map(|(name, _)| name).collect();
    // Keys of one app share their layers, save their own.
    let mut seen: HashMap<(&str, &str), Option<String>> = HashMap::new();
    let places: HashMap<&str, usize> = document
        .keys
        .iter()
        .enumerate()
        .map(|(nth, entry)| (entry.id.as_str(), nth))
        .collect();
    for consumer in keys.consumers() {
        let why = || {
            let (tenant, app) = (&consumer.tenant, &consumer.app);
            let chain = policy.chain(tenant, app, None, consumer.rules.as_ref());
            empty_because(&chain, &names)
        };
        let why = match consumer.rules {
            Some(_) => why(),
            None => {
                let shared = seen.entry((&consumer.tenant, &consumer.app));
                shared.or_insert_with(why).clone()
            }
        };
        let (Some(why), Some(nth)) = (why, places.get(&*consumer.key_id)) else {
            continue;
        };
        findings.warn(
            format!("keys[{nth}]"),
            format!("no model is left for the key `{}`: {why}", consumer.key_id),
            "widen one of these rules, or remove the key",
        );
    }
}

/// The rules of a key itself.
pub(super) fn of_key(
    id: &str,
    path: &str,
    rules: &[RuleEntry],
    findings: &mut Findings,
) -> Option<Arc<Layer>> {
    let above = Above {
        place: format!("key {id}"),
        path: path.to_owned(),
        mode: Mode::Enforce,
        contact: None,
    };
    (!rules.is_empty()).then(|| layer(rules, &above, findings))
}

fn tenants(
    entry: &PolicyEntry,
    above: &Above<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, TenantPolicy> {
    let tenants = entry.tenants.iter();
    tenants
        .map(|(name, tenant)| {
            let own = Above {
                place: format!("tenant {name}"),
                path: join("policy.tenants", name),
                mode: tenant.mode,
                contact: tenant.contact.as_deref().or(above.contact),
            };
            let policy = TenantPolicy {
                layer: layer(&tenant.rules, &own, findings),
                apps: apps(tenant, &own, findings),
            };
            (name.to_owned(), policy)
        })
        .collect()
}

fn apps(
    tenant: &TenantEntry,
    above: &Above<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, AppPolicy> {
    let apps = tenant.apps.iter();
    apps.map(|(name, app): (&str, &AppEntry)| {
        let own = Above {
            place: format!("{}, app {name}", above.place),
            path: join(&format!("{}.apps", above.path), name),
            mode: app.mode,
            contact: app.contact.as_deref().or(above.contact),
        };
        let policy = AppPolicy {
            layer: layer(&app.rules, &own, findings),
            use_cases: use_cases(&app.use_cases, &own, findings),
        };
        (name.to_owned(), policy)
    })
    .collect()
}

fn use_cases(
    entries: &Named<LayerEntry>,
    above: &Above<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, Arc<Layer>> {
    let entries = entries.iter();
    entries
        .map(|(name, entry)| {
            let own = Above {
                place: format!("{}, use case {name}", above.place),
                path: join(&format!("{}.use_cases", above.path), name),
                mode: entry.mode,
                contact: entry.contact.as_deref().or(above.contact),
            };
            (name.to_owned(), layer(&entry.rules, &own, findings))
        })
        .collect()
}

fn layer(rules: &[RuleEntry], above: &Above<'_>, findings: &mut Findings) -> Arc<Layer> {
    let mut compiled = Vec::with_capacity(rules.len());
    for (nth, entry) in rules.iter().enumerate() {
        let path = format!("{}.rules[{nth}]", above.path);
        if let Some(first) = rules[..nth].iter().position(|it| it.name == entry.name) {
            findings.error(
                format!("{path}.name"),
                format!("the name `{}` is taken by rules[{first}]", entry.name),
                "give each rule of a layer a name of its own, so that a denial can name it",
            );
        }
        compiled.extend(rule(entry, &path, above, findings));
    }
    Arc::new(Layer::new(above.place.as_str(), compiled))
}

/// The rule, unless it is wrong, which is noted, or off.
fn rule(
    entry: &RuleEntry,
    path: &str,
    above: &Above<'_>,
    findings: &mut Findings,
) -> Option<NamedRule> {
    let printable = |name: &str| !name.is_empty() && name.chars().all(|c| (' '..='~').contains(&c));
    if !printable(entry.name.trim()) {
        findings.error(
            format!("{path}.name"),
            "this name is empty or holds characters that a header cannot carry",
            "write a short name of ASCII letters, digits and hyphens",
        );
    }
    let kind = kind(entry, path, findings)?;
    let settings = &entry.settings[kind.name];
    let rule = match (kind.compile)(settings) {
        Ok(rule) => rule,
        Err(wrong) => {
            let dot = match wrong.path.as_str() {
                "" => "",
                at if at.starts_with('[') => "",
                _ => ".",
            };
            let at = format!("{path}.{}{dot}{}", kind.name, wrong.path);
            findings.error(at, wrong.what, wrong.instead);
            return None;
        }
    };
    let mode = entry.mode.min(above.mode);
    if kind.streams == Streams::Refused && matches!(mode, Mode::Shadow | Mode::Warn) {
        findings.error(
            format!("{path}.mode"),
            format!(
                "a `{}` rule refuses streams, which it cannot do in mode `{}`",
                kind.name,
                mode.name()
            ),
            "write `enforce` or `off`",
        );
    }
    let contact = entry.contact.as_deref().or(above.contact);
    (mode != Mode::Off).then(|| NamedRule {
        name: entry.name.as_str().into(),
        kind,
        mode,
        contact: contact.map(Into::into),
        rule,
    })
}

fn kind(entry: &RuleEntry, path: &str, findings: &mut Findings) -> Option<&'static Kind> {
    let mut kinds = RULES
        .iter()
        .filter(|kind| entry.settings.contains_key(kind.name));
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Some(kind),
        (Some(one), Some(other)) => {
            findings.error(
                path,
                format!(
                    "this rule is of two kinds, `{}` and `{}`",
                    one.name, other.name
                ),
                "write two rules, each with a name of its own",
            );
            None
        }
        (None, _) => {
            let names: Vec<&str> = RULES.iter().map(|kind| kind.name).collect();
            findings.error(
                path,
                format!(
                    "the rule `{}` has no kind, so it restricts nothing",
                    entry.name
                ),
                format!("add the settings of one kind: {}", names.join(", ")),
            );
            None
        }
    }
}
