//! Where the gateway listens.

use std::borrow::Cow;

use super::identity::AnonymousEntry;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where the gateway listens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Listeners for calls of applications: one, or a list. Default
    /// `127.0.0.1:4100`.
    pub data: Listeners,
    /// Listeners for operators: `/metrics` and the admin API. Default
    /// `127.0.0.1:4101`; `[]` for none.
    pub admin: Listeners,
}

impl Default for Listen {
    fn default() -> Self {
        let at = |address: &str| {
            Listeners(vec![ListenerEntry {
                address: Some(address.to_owned()),
                ..ListenerEntry::default()
            }])
        };
        Self {
            data: at("127.0.0.1:4100"),
            admin: at("127.0.0.1:4101"),
        }
    }
}

/// One listener, or a list of them.
#[derive(Clone, Debug, Default)]
pub struct Listeners(pub Vec<ListenerEntry>);

/// A listener: a TCP `address`, or a `unix` socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerEntry {
    /// Address and port, such as `0.0.0.0:4100` for all interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Path of a unix socket instead of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<String>,
    /// Permissions of the unix socket, octal. Default `0600`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix_mode: Option<String>,
    /// Whom callers without any credential stand for. Without it they are
    /// refused. Only for calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<AnonymousEntry>,
    /// It only watches calls that bring the key of their provider: the key is
    /// passed on, and no rule does more than `shadow`. Only for calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observe: Option<ObserveEntry>,
    /// Networks that it may be called from. Default: everywhere. Only for
    /// calls, and not on a unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// Certificate and key; without it the listener speaks plain HTTP. Changed
    /// files are loaded within seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsEntry>,
}

/// A listener that only watches calls that bring the key of their provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObserveEntry {
    /// Tenant of its callers.
    pub tenant: String,
    /// App of its callers.
    pub app: String,
    /// The provider that calls and keys go to. Default: the only one that
    /// speaks the dialect of the call; where several do, it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Mirrored pairs of request and answer are taken in at
    /// `/v1/observe/exchanges`; whoever reaches the listener may send them.
    #[serde(default)]
    pub intake: bool,
}

/// Files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsEntry {
    /// PEM file with the certificate first and its chain behind.
    pub cert: String,
    /// PEM file with the private key.
    pub key: String,
    /// PEM file with the authorities of client certificates. With it callers
    /// are asked for one; `identity.certificates` says whom they stand for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    /// Whether callers must show a certificate. Default: `required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
}

/// Whether callers must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Without one there is no connection.
    #[default]
    Required,
    /// Without one another credential is needed.
    Optional,
}

impl Serialize for Listeners {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(to),
            several => several.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Listeners {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            List(Vec<ListenerEntry>),
            One(Box<ListenerEntry>),
        }
        Ok(match Form::deserialize(from)? {
            Form::List(list) => Self(list),
            Form::One(one) => Self(vec![*one]),
        })
    }
}

impl JsonSchema for Listeners {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Listeners".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<ListenerEntry>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
