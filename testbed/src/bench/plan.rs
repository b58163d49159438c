//! A plan of a large organisation, generated: 10,000 keys, 1,000 rules in five layers.
//!
//! It is the plain configuration of the bench with more keys and a policy. The calling key is held
//! to five rules of each layer (organisation, tenant, app, use case, key); the rest is other
//! people's. Nothing in it is random, so two runs have the same plan.

use std::fmt::Write;

/// Keys, the calling one included.
pub const KEYS: usize = 10_000;
/// Rules, conditions not counted.
pub const RULES: usize = 1_000;
/// Tenants, the calling one included.
pub const TENANTS: usize = 100;
/// Apps of each tenant.
pub const APPS: usize = 3;
/// Rules of a layer that the calling key belongs to.
pub const OWN: usize = 5;
/// What calls tell, as headers.
pub const METADATA: [&str; 2] = [
    "tollgate-use-case: support",
    "tollgate-data-class: internal",
];
/// Use cases of the organisation.
const USE_CASES: usize = 10;
/// Rules of a tenant and of an app that is not the caller's.
const OTHERS: usize = 2;

/// Kinds that no call of the bench breaks, with settings.
const KINDS: [(&str, &str); 8] = [
    (
        "models",
        "{ allow: [\"gpt-*\", \"claude-*\", \"llama*\"], deny: [\"*-preview\"] }",
    ),
    (
        "operations",
        "{ allow: [chat, embeddings, list_models, get_model] }",
    ),
    (
        "providers",
        "{ allow: [\"up*\", \"kind:sandbox\"], deny: [\"*-trial\"] }",
    ),
    (
        "data_class",
        "{ classes: { public: {}, internal: { providers: [\"up*\"] } }, missing: internal }",
    ),
    ("context_length", "{ tokens_max: 200000 }"),
    ("required_metadata", "{ fields: [use_case, data_class] }"),
    ("streaming", "{ allowed: false }"),
    // One minute of the week is closed, because a window that is always open is refused.
    (
        "time_window",
        "{ zone: Europe/Berlin, windows: [{ days: [mon, tue, wed, thu, fri, sat], from: \"00:00\", to: \"24:00\" }, { days: [sun], from: \"00:00\", to: \"23:59\" }] }",
    ),
];

/// Two conditions that no call of the bench breaks.
const CONDITIONS: &str = concat!(
    "    - { name: cond-deny, condition: { deny_if: 'model.startsWith(\"o1-\") && !(\"research\" in groups)' } }\n",
    "    - { name: cond-allow, condition: { allow_if: 'metadata.data_class in [\"public\", \"internal\"] && input_tokens < 100000' } }\n",
);

/// The generated plan: `plain`, which must end in its list of keys of which one is `id: bench` in
/// tenant `bench` and app `load`, with the policy and the other keys.
///
/// # Errors
/// A sentence, when `plain` is of another form.
pub fn document(plain: &str, conditions: bool) -> Result<String, String> {
    let Some((head, keys)) = plain.split_once("\nkeys:\n") else {
        return Err("the configuration of the bench must have a block `keys:`".to_owned());
    };
    let own = keys.trim_end();
    let lines = own.lines().count();
    if lines != 1 || !own.contains("tenant: bench, app: load") || !own.ends_with(" }") {
        return Err(
            "the configuration of the bench must end in one key of tenant bench, app load, in one line"
                .to_owned(),
        );
    }
    let mut out = format!("{head}\n");
    let mut rules = Rules { made: 0 };
    out.push_str("policy:\n  contact: Ask in the platform channel.\n  rules:\n");
    rules.list(&mut out, OWN, 4);
    if conditions {
        out.push_str(CONDITIONS);
    }
    out.push_str("  use_cases:\n");
    for nth in 0..USE_CASES {
        let name = match nth {
            0 => "support".to_owned(),
            other => format!("use-case-{other}"),
        };
        line(&mut out, &format!("    {name}:\n      rules:"));
        rules.list(&mut out, OWN, 8);
    }
    out.push_str("  tenants:\n");
    for tenant in 0..TENANTS {
        let of_caller = tenant == 0;
        line(
            &mut out,
            &format!("    {}:\n      rules:", tenant_name(tenant)),
        );
        rules.list(&mut out, if of_caller { OWN } else { OTHERS }, 8);
        out.push_str("      apps:\n");
        for app in 0..APPS {
            let of_caller = of_caller && app == 0;
            line(
                &mut out,
                &format!("        {}:\n          rules:", app_name(tenant, app)),
            );
            rules.list(&mut out, if of_caller { OWN } else { OTHERS }, 12);
        }
    }
    out.push_str("keys:\n");
    let own = own.strip_suffix(" }").unwrap_or(own);
    line(
        &mut out,
        &format!("{own}, rules: [{}] }}", rules.inline(OWN)),
    );
    for nth in 1..KEYS {
        let tenant = nth % TENANTS;
        let (tenant, app) = (tenant_name(tenant), app_name(tenant, nth / TENANTS % APPS));
        let own = match rules.made < RULES {
            true => format!(", rules: [{}]", rules.inline(1)),
            false => String::new(),
        };
        line(
            &mut out,
            &format!(
                "  - {{ id: key-{nth}, secret: tg-bench-{nth:016}, tenant: {tenant}, app: {app}{own} }}"
            ),
        );
    }
    Ok(out)
}

fn tenant_name(nth: usize) -> String {
    match nth {
        0 => "bench".to_owned(),
        other => format!("tenant-{other}"),
    }
}

fn app_name(tenant: usize, nth: usize) -> String {
    match (tenant, nth) {
        (0, 0) => "load".to_owned(),
        (_, nth) => format!("app-{nth}"),
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Writes rules, one kind after the other.
struct Rules {
    made: usize,
}

impl Rules {
    fn one(&mut self) -> String {
        let (kind, settings) = KINDS[self.made % KINDS.len()];
        self.made += 1;
        format!("{{ name: rule-{}, {kind}: {settings} }}", self.made)
    }

    fn list(&mut self, out: &mut String, count: usize, indent: usize) {
        for _ in 0..count {
            let rule = self.one();
            // Writing to a text cannot fail.
            let _ = writeln!(out, "{:indent$}- {rule}", "");
        }
    }

    fn inline(&mut self, count: usize) -> String {
        let rules: Vec<String> = (0..count).map(|_| self.one()).collect();
        rules.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "providers: {}\nkeys:\n  - { id: bench, secret: tg-x, tenant: bench, app: load }\n";

    #[test]
    fn a_plan_has_as_many_keys_and_rules_as_it_says() {
        let plan = document(PLAIN, false).expect("the form is right");
        assert_eq!(plan.matches(" secret: ").count(), KEYS);
        assert_eq!(plan.matches("name: rule-").count(), RULES);
        assert!(!plan.contains("condition:"));
        let with = document(PLAIN, true).expect("the form is right");
        assert_eq!(with.matches("condition:").count(), 2);
    }

    #[test]
    fn a_configuration_of_another_form_is_refused() {
        assert!(document("providers: {}\n", false).is_err());
        let two = format!("{PLAIN}  - {{ id: other }}\n");
        assert!(document(&two, false).is_err());
    }
}
