//! Providers.

use std::sync::Arc;

use dialects::Dialect;
use http::{HeaderMap, HeaderName, HeaderValue};
use providers::{Account, Around, FoundKeys, Kind, Signing};

use super::Findings;
use super::endpoint::{Reach, base, proxy};
use crate::diagnostic::suggest;
use crate::document::{
    Named, ProviderEntry, SIGNING_FIELD, SecretText, SigningEntry, dialect_names,
};
use crate::interpolate::Sources;
use crate::path::join;
use crate::plan::{ProviderPlan, Times};

/// Longest name of a provider.
const NAME_CHARS_MAX: usize = 64;
/// Placeholder of the region in a kind's address.
const REGION: &str = "{region}";
/// Headers that the wire sets itself.
const WIRE_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "keep-alive",
    "proxy-connection",
];

pub(super) fn compile(
    entries: &Named<ProviderEntry>,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Vec<ProviderPlan> {
    entries
        .iter()
        .filter_map(|(name, entry)| {
            let mut one = One {
                path: join("providers", name),
                entry,
                sources,
                findings,
            };
            one.compile(name)
        })
        .collect()
}

/// One provider in the making.
struct One<'a> {
    path: String,
    entry: &'a ProviderEntry,
    sources: &'a dyn Sources,
    findings: &'a mut Findings,
}

impl One<'_> {
    fn compile(&mut self, name: &str) -> Option<ProviderPlan> {
        self.check_name(name);
        let kind = self.kind(name)?;
        if kind.provider.local().is_some() {
            self.refuse_remote_fields(kind);
        }
        let reach = self.reach();
        let account = self.account(kind, &reach);
        let dialects = self.dialects(kind);
        let headers = self.headers();
        let times = self.times();
        let base = match kind.provider.local() {
            Some(_) => None,
            None => Some(self.base(kind, account.region.as_deref())?),
        };
        Some(ProviderPlan {
            name: name.into(),
            name_header: HeaderValue::try_from(name).ok()?,
            kind,
            dialects,
            base_path: base
                .as_ref()
                .map(|base| base.path.clone())
                .unwrap_or_default(),
            endpoint: base.map(|base| Arc::new(base.endpoint(reach))),
            account,
            headers,
            times,
        })
    }

    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn check_name(&mut self, name: &str) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
            self.findings.error(
                &self.path,
                format!("`{name}` cannot be the name of a provider"),
                "use up to 64 letters, digits, `-`, `_` and `.`; a `/` parts provider and model",
            );
        }
    }

    fn kind(&mut self, name: &str) -> Option<&'static Kind> {
        let wanted = self.entry.kind.as_deref().unwrap_or(name);
        let found = providers::kind(wanted);
        if found.is_none() {
            let names = providers::kinds().iter().map(|kind| kind.name);
            let instead = suggest(wanted, names, "kind");
            self.findings.error(
                &self.path,
                format!("`kind` is missing, and no kind is called `{name}`"),
                format!("add `kind: ..`: {instead}"),
            );
        }
        found
    }

    /// A model inside the gateway has no address and no account: a setting
    /// that could do nothing is an error.
    fn refuse_remote_fields(&mut self, kind: &Kind) {
        let entry = self.entry;
        let set = [
            ("base_url", entry.base_url.is_some()),
            ("api_key", entry.api_key.is_some()),
            ("proxy", entry.proxy.is_some()),
            ("ca_file", entry.ca_file.is_some()),
            ("headers", !entry.headers.is_empty()),
            ("dialects", entry.dialects.is_some()),
        ];
        for (field, _) in set.iter().filter(|(_, is_set)| *is_set) {
            self.findings.error(
                self.field(field),
                format!("`{field}` does nothing for the kind `{}`", kind.name),
                "remove it: this provider runs inside the gateway",
            );
        }
    }

    fn base(&mut self, kind: &Kind, region: Option<&str>) -> Option<super::endpoint::Base> {
        let Some(text) = self.entry.base_url.as_deref().or(kind.base_url) else {
            self.findings.error(
                &self.path,
                format!("the kind `{}` has no address of its own", kind.name),
                "add `base_url: https://..`, with the version in it if the server wants one",
            );
            return None;
        };
        let text = match (text.contains(REGION), region) {
            (false, _) => text.to_owned(),
            (true, Some(region)) => text.replace(REGION, region),
            (true, None) => {
                self.findings.error(
                    &self.path,
                    format!("the kind `{}` needs a region", kind.name),
                    "add `region: ..`, such as `region: us-east-1`",
                );
                return None;
            }
        };
        base(text.trim_end_matches('/'))
            .map_err(|(what, instead)| self.findings.error(self.field("base_url"), what, instead))
            .ok()
    }

    fn account(&mut self, kind: &Kind, reach: &Reach) -> Account {
        let mut account = Account {
            key: self.entry.api_key.as_ref().map(|key| key.secret().clone()),
            region: self.entry.region.clone(),
            ..Account::default()
        };
        if let Some(key) = &self.entry.api_key {
            self.check_key(key);
        }
        let signing = self.entry.signing.as_ref();
        match (signing, kind.signing) {
            (Some(entry), Some(signing)) => self.sign(&mut account, entry, signing, reach),
            (Some(_), None) => self.findings.error(
                self.field(SIGNING_FIELD),
                format!("the kind `{}` does not sign its requests", kind.name),
                "write the key as `api_key`",
            ),
            (None, _) => {}
        }
        if kind.needs_key && self.entry.api_key.is_none() && signing.is_none() {
            let env = kind.key_env.first().copied().unwrap_or("NAME");
            let or = match kind.signing {
                Some(_) => format!(
                    ", or keys for signed requests as `{SIGNING_FIELD}: {{profile: default}}`"
                ),
                None => String::new(),
            };
            self.findings.error(
                &self.path,
                format!("the kind `{}` needs a key", kind.name),
                format!("add `api_key: ${{env:{env}}}`{or}"),
            );
        }
        account
    }

    fn check_key(&mut self, key: &SecretText) {
        let text = key.secret().expose();
        let what = if text.is_empty() {
            "this key is empty"
        } else if !text.chars().all(|c| c.is_ascii_graphic()) {
            "this key holds a space or a character that a header cannot carry"
        } else {
            return;
        };
        self.findings.error(
            self.field("api_key"),
            what,
            "check the variable or file it comes from",
        );
    }

    fn sign(
        &mut self,
        account: &mut Account,
        entry: &SigningEntry,
        signing: &Signing,
        reach: &Reach,
    ) {
        let path = self.field(SIGNING_FIELD);
        if entry.access_key_id.is_some() != entry.secret_access_key.is_some() {
            self.findings.error(
                path,
                "only one of `access_key_id` and `secret_access_key` is there",
                "write both, or a `profile`",
            );
            return;
        }
        let (field, several) = match (entry.keys(), &entry.profile, entry.credentials) {
            (Some(_), Some(_), _) => ("profile", "both keys and a profile are there"),
            (Some(_), None, Some(_)) => ("credentials", "both keys and `credentials` are there"),
            (None, Some(_), Some(_)) => {
                ("credentials", "both a profile and `credentials` are there")
            }
            (Some(keys), None, None) => {
                account.signing = Some(keys);
                return;
            }
            (None, Some(_), None) => return self.find_keys(account, entry, signing, reach),
            (None, None, Some(_)) => return self.find_keys(account, entry, signing, reach),
            (None, None, None) => {
                return self.findings.error(
                    path,
                    "no credential is here",
                    "write a `profile`, or `credentials: chain`",
                );
            }
        };
        let path = format!("{path}.{field}");
        self.findings.error(path, several, "keep one of the two");
    }

    /// Keys that are not written out, or where to borrow them.
    fn find_keys(
        &mut self,
        account: &mut Account,
        entry: &SigningEntry,
        signing: &Signing,
        reach: &Reach,
    ) {
        let Some(whence) = entry.whence() else {
            return;
        };
        let sources = self.sources;
        let around = Around {
            env: &|name| sources.env(name),
            file: &|path| sources.file(path).ok(),
            region: account.region.as_deref(),
            proxy: reach.proxy.clone(),
            ca_pem: reach.ca_pem.clone(),
        };
        match (signing.find)(&whence, &around) {
            Ok(found) => {
                account.region = account.region.take().or(found.region);
                match found.keys {
                    FoundKeys::Fixed(keys) => account.signing = Some(keys),
                    FoundKeys::Lent(lender) => account.lender = Some(lender),
                }
            }
            Err((what, instead)) => {
                let field = match entry.profile {
                    Some(_) => "profile",
                    None => "credentials",
                };
                let path = format!("{}.{field}", self.field(SIGNING_FIELD));
                self.findings.error(path, what, instead);
            }
        }
    }

    fn dialects(&mut self, kind: &Kind) -> Vec<&'static dyn Dialect> {
        if kind.provider.local().is_some() {
            return Vec::new();
        }
        let Some(names) = &self.entry.dialects else {
            let built: Vec<_> = kind
                .dialects
                .iter()
                .filter_map(|name| dialects::by_name(name))
                .collect();
            if built.is_empty() {
                self.findings.error(
                    &self.path,
                    format!("this build speaks no dialect of the kind `{}`", kind.name),
                    suggest(
                        "",
                        dialects::DIALECTS.iter().map(|known| known.id().0),
                        "dialect",
                    ),
                );
            }
            return built;
        };
        if names.is_empty() {
            self.findings.error(
                self.field("dialects"),
                "a provider needs a dialect",
                "name one, or leave the field out",
            );
        }
        // With an address of one's own, the server there may speak anything.
        let own_server = self.entry.base_url.is_some();
        let able: Vec<&str> = match own_server {
            true => dialect_names(),
            false => kind.dialects.to_vec(),
        };
        let mut chosen = Vec::new();
        for (nth, name) in names.iter().enumerate() {
            match dialects::by_name(name).filter(|_| able.contains(&name.as_str())) {
                Some(dialect) => chosen.push(dialect),
                None => self.findings.error(
                    format!("{}[{nth}]", self.field("dialects")),
                    format!("the kind `{}` does not speak `{name}`", kind.name),
                    suggest(name, able.iter().copied(), "dialect"),
                ),
            }
        }
        chosen
    }

    fn headers(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.entry.headers.iter() {
            let path = join(&self.field("headers"), name);
            let lower = name.to_ascii_lowercase();
            if WIRE_HEADERS.contains(&lower.as_str()) {
                self.findings.error(
                    path,
                    format!("`{name}` is set by the gateway itself"),
                    "remove it",
                );
                continue;
            }
            let name = HeaderName::try_from(lower.as_str());
            let value = HeaderValue::try_from(value.secret().expose().as_str());
            match (name, value) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                (Err(_), _) => self.findings.error(
                    path,
                    "this is not the name of a header",
                    "use letters, digits and `-`",
                ),
                (Ok(_), Err(_)) => self.findings.error(
                    path,
                    "this value holds a character that a header cannot carry",
                    "use visible ASCII characters on one line",
                ),
            }
        }
        headers
    }

    fn reach(&mut self) -> Reach {
        let proxy = self.entry.proxy.as_ref().and_then(|text| {
            proxy(text.secret().expose())
                .map_err(|(what, instead)| self.findings.error(self.field("proxy"), what, instead))
                .ok()
        });
        let ca_pem = self.entry.ca_file.as_ref().and_then(|path| {
            let read = self.sources.file(path).and_then(|text| {
                match text.contains("-----BEGIN CERTIFICATE-----") {
                    true => Ok(Arc::from(text)),
                    false => Err("it holds no certificate in PEM form".to_owned()),
                }
            });
            read.map_err(|why| {
                self.findings.error(
                    self.field("ca_file"),
                    format!("the file `{path}` cannot be used: {why}"),
                    "write the path of a PEM file with one or more certificates",
                );
            })
            .ok()
        });
        Reach {
            ca_pem,
            proxy,
            version: self.entry.http.version(),
            connections_max: self.entry.connections_max,
            connect_ms: self.entry.timeouts.connect.0,
        }
    }

    fn times(&mut self) -> Times {
        let timeouts = &self.entry.timeouts;
        for (name, time) in [
            ("connect", timeouts.connect),
            ("head", timeouts.head),
            ("first_token", timeouts.first_token),
            ("idle", timeouts.idle),
            ("total", timeouts.total),
        ] {
            if time.0 == 0 {
                self.findings.error(
                    self.field(&format!("timeouts.{name}")),
                    "no time at all would fail every call",
                    "write `1s` or more, or leave the field out",
                );
            }
        }
        Times {
            head_ms: timeouts.head.0,
            first_token_ms: timeouts.first_token.0,
            idle_ms: timeouts.idle.0,
            total_ms: timeouts.total.0,
        }
    }
}
