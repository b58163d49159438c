//! Upstreams.

use std::borrow::Cow;

use contract::seams::HttpVersion;
use providers::{SigningKeys, Whence};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::{Millis, Named, SecretText};

/// The word for "find them yourself".
const AUTO: &str = "auto";

/// Upstreams by name, or `auto`.
#[derive(Clone, Debug)]
pub enum Providers {
    /// Found from the environment.
    Auto,
    /// Written out.
    Named(Named<ProviderEntry>),
}

impl Default for Providers {
    fn default() -> Self {
        Self::Named(Named::default())
    }
}

impl Providers {
    /// Those written out; none for `auto`.
    pub fn named(&self) -> &Named<ProviderEntry> {
        static NONE: Named<ProviderEntry> = Named(Vec::new());
        match self {
            Self::Auto => &NONE,
            Self::Named(named) => named,
        }
    }
}

/// The field with credentials for signed requests, named after the vendor whose
/// signature it is.
pub(crate) const SIGNING_FIELD: &str = "aws";

/// Most open connections to one upstream from one worker, unless configured.
const CONNECTIONS_MAX: u32 = 1_024;

/// One upstream.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderEntry {
    /// What it is. Default: the provider's own name, where a kind is called
    /// so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kind_schema")]
    pub kind: Option<String>,
    /// Its address, with the version where the kind has one, such as
    /// `http://127.0.0.1:8000/v1`. Default: the vendor's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "url-text"))]
    pub base_url: Option<String>,
    /// The key, preferably as `${env:NAME}` or `${file:path}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretText>,
    /// Dialects to speak to it, best first. Default: all that its kind has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "dialects_schema")]
    pub dialects: Option<Vec<String>>,
    /// Region, where the vendor has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Credentials for signed requests, where the vendor takes them.
    #[serde(rename = "aws", skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningEntry>,
    /// Headers of every request to it.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub headers: Named<SecretText>,
    /// Forward proxy, such as `http://proxy.internal:3128`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<SecretText>,
    /// PEM file of certificate authorities, besides the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Which HTTP to speak.
    pub http: HttpChoice,
    /// Most open connections to it from one worker thread.
    #[schemars(range(min = 1))]
    pub connections_max: u32,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Patterns (`*` is any text) of model names that it serves as they are.
    /// Default where no model is named in `models:`: those of its kind, and a
    /// lone provider whose kind has none serves everything. Otherwise none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
}

impl Default for ProviderEntry {
    fn default() -> Self {
        Self {
            kind: None,
            base_url: None,
            api_key: None,
            dialects: None,
            region: None,
            signing: None,
            headers: Named::default(),
            proxy: None,
            ca_file: None,
            http: HttpChoice::default(),
            connections_max: CONNECTIONS_MAX,
            timeouts: Timeouts::default(),
            models: None,
        }
    }
}

impl ProviderEntry {
    /// Calls `see` with the path of every secret, from here, and the secret.
    pub(super) fn secrets<'a>(&'a self, see: &mut dyn FnMut(String, &'a SecretText)) {
        let mut one = |path: &str, secret: &'a Option<SecretText>| {
            if let Some(secret) = secret {
                see(path.to_owned(), secret);
            }
        };
        one("api_key", &self.api_key);
        one("proxy", &self.proxy);
        if let Some(signing) = &self.signing {
            one("aws.secret_access_key", &signing.secret_access_key);
            one("aws.session_token", &signing.session_token);
        }
        for (name, value) in self.headers.iter() {
            see(crate::path::join("headers", name), value);
        }
    }
}

/// Credentials for signed requests: a pair of keys, a profile, or where else
/// to find them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SigningEntry {
    /// Access key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Secret access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretText>,
    /// Session token of temporary keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<SecretText>,
    /// Profile of the vendor's shared files, instead of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where to find credentials, instead of keys or a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "credentials_schema")]
    pub credentials: Option<CredentialsFrom>,
}

/// Where credentials are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsFrom {
    /// The first that the vendor's own tools would find.
    Chain,
    /// A role by the token of a web identity.
    WebIdentity,
    /// The role of the container.
    Container,
    /// The role of the instance.
    Instance,
}

impl CredentialsFrom {
    const WORDS: [&str; 4] = ["chain", "web_identity", "container", "instance"];
}

/// The words of [`CredentialsFrom`].
fn credentials_schema(_: &mut SchemaGenerator) -> Schema {
    let words = CredentialsFrom::WORDS;
    json_schema!({ "type": ["string", "null"], "title": "Source", "enum": words })
}

impl SigningEntry {
    /// Where they are found, if they are not written out.
    pub(crate) fn whence(&self) -> Option<Whence<'_>> {
        let named = self.credentials.map(|from| match from {
            CredentialsFrom::Chain => Whence::Chain,
            CredentialsFrom::WebIdentity => Whence::WebIdentity,
            CredentialsFrom::Container => Whence::Container,
            CredentialsFrom::Instance => Whence::Instance,
        });
        named.or(self.profile.as_deref().map(Whence::Profile))
    }

    /// The keys, if both are there.
    pub(crate) fn keys(&self) -> Option<SigningKeys> {
        Some(SigningKeys {
            access_key_id: self.access_key_id.clone()?,
            secret_access_key: self.secret_access_key.as_ref()?.secret().clone(),
            session_token: self
                .session_token
                .as_ref()
                .map(|token| token.secret().clone()),
        })
    }
}

/// Which HTTP to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpChoice {
    /// HTTP/2 where TLS offers it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; over plain text by prior knowledge.
    Http2,
}

impl HttpChoice {
    /// The same for the wire.
    pub(crate) fn version(self) -> HttpVersion {
        match self {
            Self::Auto => HttpVersion::Auto,
            Self::Http1 => HttpVersion::Http1,
            Self::Http2 => HttpVersion::Http2,
        }
    }
}

/// Time limits of calls to a provider.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Name resolution, TCP, TLS and proxy handshake together.
    pub connect: Millis,
    /// From the request sent to the head of the answer.
    pub head: Millis,
    /// From the request sent to the first token of a stream.
    pub first_token: Millis,
    /// Between two pieces of a stream, while the gateway waits for the
    /// provider.
    pub idle: Millis,
    /// The whole call.
    pub total: Millis,
}

impl Default for Timeouts {
    fn default() -> Self {
        let times = crate::plan::Times::default();
        Self {
            connect: Millis(10_000),
            head: Millis(times.head_ms),
            first_token: Millis(times.first_token_ms),
            idle: Millis(times.idle_ms),
            total: Millis(times.total_ms),
        }
    }
}

impl Serialize for Providers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str(AUTO),
            Self::Named(named) => named.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Providers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Word {
            Auto,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(Word),
            Named(Named<ProviderEntry>),
        }
        Ok(match Form::deserialize(from)? {
            Form::Word(Word::Auto) => Self::Auto,
            Form::Named(named) => Self::Named(named),
        })
    }
}

impl JsonSchema for Providers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Providers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<Named<ProviderEntry>>();
        json_schema!({ "anyOf": [named, { "const": AUTO, "title": "Word" }] })
    }
}

/// Every kind that exists.
fn kind_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = providers::kinds().iter().map(|kind| kind.name).collect();
    json_schema!({ "type": ["string", "null"], "title": "Kind", "enum": names })
}

/// Every dialect that a kind or this build names.
fn dialects_schema(_: &mut SchemaGenerator) -> Schema {
    let names = dialect_names();
    let one = json_schema!({ "type": "string", "title": "Dialect", "enum": names });
    json_schema!({ "type": ["array", "null"], "items": one })
}

/// Every dialect that a kind or this build names.
pub(crate) fn dialect_names() -> Vec<&'static str> {
    let kinds = providers::kinds()
        .iter()
        .flat_map(|kind| kind.dialects.iter().copied());
    let built = dialects::DIALECTS.iter().map(|dialect| dialect.id().0);
    let mut names: Vec<&str> = kinds.chain(built).collect();
    names.sort_unstable();
    names.dedup();
    names
}
