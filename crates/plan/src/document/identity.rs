//! Credentials beside keys, and where callers are.

use std::borrow::Cow;

use access::jwt::Algorithm;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who may call without a key of this gateway: by a token of an identity
/// provider, or by a client certificate; and whom to believe about addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityEntry {
    /// Identity providers (OpenID Connect, JWT) whose tokens count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<IssuerEntry>,
    /// Whom client certificates stand for; the first entry that matches
    /// counts. Listeners ask for certificates by `tls.client_ca`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateEntry>,
    /// Proxies in front of the gateway, as addresses and networks, or `unix`
    /// for those that come by a unix socket. Only their word about the
    /// caller's address counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
    /// The header in which they say it. The other one is not looked at.
    pub forwarded_in: ForwardedIn,
}

/// Where proxies say who called them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForwardedIn {
    /// `X-Forwarded-For`.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    #[serde(rename = "forwarded")]
    Forwarded,
}

/// An identity provider whose tokens count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerEntry {
    /// A name of your choice; records show callers as `<name>:<subject>`.
    pub name: String,
    /// What the claim `iss` says, exactly.
    pub issuer: String,
    /// Audiences of this gateway; the claim `aud` must name one of them.
    pub audience: OneOrMore,
    /// Algorithms that its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Address of its keys. Default: where
    /// `<issuer>/.well-known/openid-configuration` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// PEM file with extra certificate authorities for fetching the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Claims that tenant, app, user and groups are taken from. Dots lead into
    /// nested claims.
    #[serde(default)]
    pub claims: ClaimsEntry,
    /// Tenant and app where they are the same for all tokens of the issuer.
    #[serde(default)]
    pub fixed: FixedEntry,
    /// Claims that a token must have besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<RequiredClaim>,
    /// How far its clock and ours may differ, seconds.
    #[serde(default = "default_skew")]
    #[schemars(range(min = 0, max = 300))]
    pub clock_skew_s: u64,
    /// Its keys are fetched again after so many seconds.
    #[serde(default = "default_refresh")]
    #[schemars(range(min = 1, max = 86_400))]
    pub refresh_s: u64,
    /// While its keys cannot be fetched, the last ones count for so many
    /// seconds. After that its tokens are answered with 503.
    #[serde(default = "default_stale")]
    #[schemars(range(min = 2, max = 604_800))]
    pub stale_s: u64,
    /// Networks that its tokens may be used from. Default: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
}

fn default_skew() -> u64 {
    60
}

fn default_refresh() -> u64 {
    600
}

fn default_stale() -> u64 {
    21_600
}

/// Claims that tenant, app, user and groups are taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsEntry {
    /// Claim of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Claim of the application, such as `azp` or `client_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Claim of the end user, such as `sub` or `email`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Claim of the groups: a list, or one name. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
}

/// What is the same for all tokens of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FixedEntry {
    /// Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

/// A claim that a token must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredClaim {
    /// The claim. Dots lead into nested claims.
    pub claim: String,
    /// Values, of which it must have one. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Whom client certificates stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateEntry {
    /// Which certificates; one of its fields.
    #[serde(rename = "match")]
    pub matches: MatchEntry,
    /// Tenant.
    pub tenant: String,
    /// Application.
    pub app: String,
    /// End user. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Groups. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Networks that they may be used from. Default: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
}

/// Which certificates: by one of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatchEntry {
    /// SPIFFE id, such as `spiffe://example.org/ns/prod/*`; `*` is any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe: Option<String>,
    /// A DNS name among the alternative names; `*.` at its beginning stands
    /// for one label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub san_dns: Option<String>,
    /// Common name of the subject; `*` is any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_cn: Option<String>,
}

/// Whom callers without any credential stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnonymousEntry {
    /// Tenant.
    pub tenant: String,
    /// Application.
    pub app: String,
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMore(pub Vec<String>);

impl Serialize for OneOrMore {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(to),
            several => several.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            More(Vec<String>),
        }
        Ok(match Form::deserialize(from)? {
            Form::One(one) => Self(vec![one]),
            Form::More(more) => Self(more),
        })
    }
}

impl JsonSchema for OneOrMore {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMore".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = json_schema!({ "type": "string" });
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
