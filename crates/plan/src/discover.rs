//! A document without a file: providers from the usual environment variables,
//! else engines on this machine, else the built-in model.
//!
//! Pure: variables, files and open ports are handed in. It reads the same list
//! of kinds as everything else, so it names no vendor.

use providers::{Around, Kind, Signing};

use crate::document::{
    CandidateEntry, CredentialsFrom, Document, KeyEntry, KeySource, ModelEntry, Named,
    ProviderEntry, Providers, SecretText, SigningEntry,
};
use crate::interpolate::Sources;

/// The model of the built-in provider, as callers name it.
pub const SANDBOX_MODEL: &str = "sandbox/echo";
/// The same, as the provider knows it.
const SANDBOX_UPSTREAM: &str = "echo";
/// Id of the key that works only on this machine.
const DEVELOPMENT: &str = "development";

/// What was found.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// Providers and models; everything else at its default.
    pub document: Document,
    /// Each provider and where it was found, such as a variable.
    pub found: Vec<(String, String)>,
    /// What was half there: a sentence that says what is missing.
    pub notes: Vec<String>,
    /// Nothing was found, so the built-in model answers.
    pub is_sandbox: bool,
}

/// Finds providers. `engine_ports` are ports of this machine where an
/// inference server answered; they count only if no provider was found in the
/// environment, because its author did not ask for them.
pub fn discover(sources: &dyn Sources, engine_ports: &[u16]) -> Discovery {
    let mut search = Search {
        sources,
        entries: Vec::new(),
        found: Vec::new(),
        notes: Vec::new(),
    };
    for kind in providers::kinds() {
        search.look(kind);
    }
    if search.entries.is_empty() {
        search.look_at_ports(engine_ports);
    }
    let is_sandbox = search.entries.is_empty();
    let mut document = Document::default();
    if is_sandbox {
        sandbox(&mut search.entries, &mut document);
    }
    document.providers = Providers::Named(Named(search.entries));
    Discovery {
        document,
        found: search.found,
        notes: search.notes,
        is_sandbox,
    }
}

impl Document {
    /// Fills in what `providers: auto` leaves open. Does nothing to a document
    /// whose providers are written out.
    pub fn fill_auto(&mut self, discovery: Discovery) {
        if !matches!(self.providers, Providers::Auto) {
            return;
        }
        self.providers = discovery.document.providers;
        for (name, model) in discovery.document.models.0 {
            if self.models.get(&name).is_none() {
                self.models.0.push((name, model));
            }
        }
    }

    /// Whether nobody could call without a key that works only on this
    /// machine: the document may have keys, and has none.
    pub fn wants_development_key(&self) -> bool {
        self.keys.is_empty() && self.keys_from.has(KeySource::Document)
    }

    /// Adds a key that works only on this machine, where one is wanted.
    /// Returns whether it was added.
    pub fn add_development_key(&mut self, key: &str) -> bool {
        let needed = self.wants_development_key();
        if needed {
            let secret = SecretText::new(key.to_owned(), None);
            let mut entry = KeyEntry::new(DEVELOPMENT, secret);
            entry.loopback_only = true;
            self.keys.push(entry);
        }
        needed
    }
}

struct Search<'a> {
    sources: &'a dyn Sources,
    entries: Vec<(String, ProviderEntry)>,
    found: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Search<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.sources
            .env(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// A secret that is shown as its variable.
    fn secret(&self, name: &str) -> Option<SecretText> {
        let value = self.env(name)?;
        Some(SecretText::new(value, Some(format!("${{env:{name}}}"))))
    }

    fn look(&mut self, kind: &Kind) {
        if kind.provider.local().is_some() {
            return;
        }
        let key = kind
            .key_env
            .iter()
            .find_map(|name| Some((*name, self.secret(name)?)));
        let url = kind.url_env.and_then(|name| Some((name, self.env(name)?)));
        let signed = kind.signing.and_then(|signing| self.signed(signing));
        let how = match (&key, &signed, &url) {
            (Some((name, _)), _, _) if kind.needs_key => *name,
            (None, Some((name, _)), _) => *name,
            (_, _, Some((name, _))) if !kind.needs_key => *name,
            _ => return,
        };
        let region = kind.signing.and_then(|signing| self.region(signing));
        let region = match (kind.signing, &signed, &key) {
            (Some(signing), Some((_, entry)), None) => match found_region(self, signing, entry) {
                Ok(found) => region.or(found),
                Err(why) => {
                    let name = kind.name;
                    self.notes.push(format!(
                        "{how} is set, but {why}; so the provider `{name}` is left out."
                    ));
                    return;
                }
            },
            (_, _, _) => region,
        };
        let entry = ProviderEntry {
            kind: Some(kind.name.to_owned()),
            base_url: url.map(|(_, url)| with_suffix(&url, kind.url_suffix)),
            api_key: key.map(|(_, key)| key),
            region,
            signing: signed.map(|(_, signing)| signing),
            ..ProviderEntry::default()
        };
        let needs_region = kind.base_url.is_some_and(|url| url.contains("{region}"));
        let holds_login = entry.base_url.as_ref().is_some_and(|url| url.contains('@'));
        if holds_login {
            self.notes.push(format!(
                "{} holds a name or password, so the provider `{}` is left out. Put the key into \
                 {}.",
                kind.url_env.unwrap_or("The address"),
                kind.name,
                kind.key_env
                    .first()
                    .copied()
                    .unwrap_or("a configuration file")
            ));
        } else if entry.base_url.is_none() && kind.base_url.is_none() {
            let url = kind.url_env.unwrap_or("the address");
            self.notes.push(format!(
                "{how} is set but {url} is not, so the provider `{}` is left out.",
                kind.name
            ));
        } else if needs_region && entry.region.is_none() && entry.base_url.is_none() {
            let region = kind.signing.and_then(|signing| signing.region_env.first());
            self.notes.push(format!(
                "{how} is set but {} is not, so the provider `{}` is left out.",
                region.copied().unwrap_or("the region"),
                kind.name
            ));
        } else {
            self.add(kind, entry, how.to_owned());
        }
    }

    fn region(&self, signing: &Signing) -> Option<String> {
        signing.region_env.iter().find_map(|name| self.env(name))
    }

    /// Keys for signed requests, and the variable that shows they are there.
    fn signed(&self, signing: &Signing) -> Option<(&'static str, SigningEntry)> {
        let keys = self
            .env(signing.access_key_id_env)
            .zip(self.secret(signing.secret_access_key_env));
        if let Some((id, secret)) = keys {
            let entry = SigningEntry {
                access_key_id: Some(id),
                secret_access_key: Some(secret),
                session_token: self.secret(signing.session_token_env),
                ..SigningEntry::default()
            };
            return Some((signing.access_key_id_env, entry));
        }
        if let Some(name) = self.all_of(signing.web_identity_env) {
            return Some((name, found_by(CredentialsFrom::WebIdentity)));
        }
        if let Some(profile) = self.env(signing.profile_env) {
            return Some((signing.profile_env, profile_entry(profile)));
        }
        if let Some(name) = self.any_of(signing.files_env) {
            return Some((name, profile_entry(signing.default_profile.to_owned())));
        }
        if let Some(name) = self.any_of(signing.container_env) {
            return Some((name, found_by(CredentialsFrom::Container)));
        }
        let name = self.any_of(std::slice::from_ref(&signing.instance_env))?;
        Some((name, found_by(CredentialsFrom::Instance)))
    }

    /// The first of these variables, if all are set.
    fn all_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let all = names.iter().all(|name| self.env(name).is_some());
        names.first().copied().filter(|_| all)
    }

    /// The first of these variables that is set.
    fn any_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.env(name).is_some())
    }

    fn look_at_ports(&mut self, ports: &[u16]) {
        for kind in providers::kinds() {
            let Some(port) = kind.local_port.filter(|port| ports.contains(port)) else {
                continue;
            };
            let entry = ProviderEntry {
                kind: Some(kind.name.to_owned()),
                api_key: kind.key_env.iter().find_map(|name| self.secret(name)),
                ..ProviderEntry::default()
            };
            self.add(kind, entry, format!("port {port} of this machine"));
        }
    }

    fn add(&mut self, kind: &Kind, entry: ProviderEntry, how: String) {
        self.entries.push((kind.name.to_owned(), entry));
        self.found.push((kind.name.to_owned(), how));
    }
}

fn profile_entry(profile: String) -> SigningEntry {
    SigningEntry {
        profile: Some(profile),
        ..SigningEntry::default()
    }
}

fn found_by(credentials: CredentialsFrom) -> SigningEntry {
    SigningEntry {
        credentials: Some(credentials),
        ..SigningEntry::default()
    }
}

/// The region that credentials come with, or why there are none after all: a
/// variable that was meant for other programs does not stop the gateway.
fn found_region(
    search: &Search<'_>,
    signing: &Signing,
    entry: &SigningEntry,
) -> Result<Option<String>, String> {
    let Some(whence) = entry.whence() else {
        return Ok(None);
    };
    let around = Around {
        env: &|name| search.sources.env(name),
        file: &|path| search.sources.file(path).ok(),
        region: None,
        proxy: None,
        ca_pem: None,
    };
    match (signing.find)(&whence, &around) {
        Ok(found) => Ok(found.region),
        Err((what, _)) => Err(what),
    }
}

fn with_suffix(url: &str, suffix: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.ends_with(suffix) {
        true => url.to_owned(),
        false => format!("{url}{suffix}"),
    }
}

/// The built-in model, under its own name and, so that any snippet for any
/// vendor works, under every other.
fn sandbox(entries: &mut Vec<(String, ProviderEntry)>, document: &mut Document) {
    let local = providers::kinds()
        .iter()
        .find(|kind| kind.provider.local().is_some());
    let kind = local.expect("the list of kinds has the built-in model");
    let entry = ProviderEntry {
        kind: Some(kind.name.to_owned()),
        models: Some(vec!["*".to_owned()]),
        ..ProviderEntry::default()
    };
    entries.push((kind.name.to_owned(), entry));
    let candidate = CandidateEntry {
        provider: kind.name.to_owned(),
        model: SANDBOX_UPSTREAM.to_owned(),
        context_tokens: None,
        output_tokens_max: None,
        capabilities: None,
    };
    let model = ModelEntry::Candidates(vec![candidate]);
    document.models.0.push((SANDBOX_MODEL.to_owned(), model));
}
