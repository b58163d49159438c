//! What a kind of provider declares, and the little that differs in code.

use contract::seams::Outbound;
use contract::{Answer, Fault, Request};
use dialects::Quirks;

use crate::account::Account;
use crate::classify::{self, Refusal};
use crate::lending::Readings;
use crate::signing::Signing;

/// A kind of provider. Validation, zero-configuration discovery, the schema
/// of the configuration and the reference docs read the one list of these.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Name in the configuration.
    pub name: &'static str,
    /// One sentence for the docs.
    pub doc: &'static str,
    /// Base URL without a trailing slash; `{region}` is replaced by the
    /// account's region. `None`: the configuration must give one.
    pub base_url: Option<&'static str>,
    /// Environment variables that may hold the key, best first.
    pub key_env: &'static [&'static str],
    /// Environment variable that may hold the base URL.
    pub url_env: Option<&'static str>,
    /// What is appended to a base URL that came from `url_env`.
    pub url_suffix: &'static str,
    /// Dialects it speaks, by name, best first.
    pub dialects: &'static [&'static str],
    /// Patterns of model names it serves when nothing else is configured.
    pub serves: &'static [&'static str],
    /// It runs on this machine and may be found at this port.
    pub local_port: Option<u16>,
    /// A key is needed.
    pub needs_key: bool,
    /// Where it departs from its dialects.
    pub quirks: Quirks,
    /// It also takes signed requests: where their credentials are found.
    pub signing: Option<&'static Signing>,
    /// The code.
    pub provider: &'static dyn Provider,
}

impl Kind {
    /// What every kind starts from.
    pub(crate) const fn new(
        name: &'static str,
        doc: &'static str,
        provider: &'static dyn Provider,
    ) -> Self {
        Self {
            name,
            doc,
            base_url: None,
            key_env: &[],
            url_env: None,
            url_suffix: "",
            dialects: &[],
            serves: &[],
            local_port: None,
            needs_key: true,
            quirks: Quirks {
                output_cap: None,
                usage_unasked: false,
            },
            signing: None,
            provider,
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kind({})", self.name)
    }
}

/// The little that differs in code between vendors.
pub trait Provider: Send + Sync {
    /// Puts the credential on a prepared request.
    ///
    /// # Errors
    /// `UpstreamBroken` if the account holds no credential that this vendor
    /// takes, or borrowed ones that have ended.
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        readings: Readings<'_>,
    ) -> Result<(), Fault>;

    /// What a refusal (status 300 or above) means.
    fn classify(&self, refusal: Refusal) -> Fault {
        classify::classify(refusal)
    }

    /// The model itself, for a provider that runs inside the gateway.
    fn local(&self) -> Option<&'static dyn LocalModel> {
        None
    }
}

/// A model that runs inside the gateway. Pure: the same request always gets
/// the same answer.
pub trait LocalModel: Send + Sync {
    /// Answers a request.
    ///
    /// # Errors
    /// `Unsupported` or `BadRequest` for what it cannot do.
    fn answer(&self, request: &Request) -> Result<Answer, Fault>;

    /// A word in the id of each answer, letters only, so that nobody takes it
    /// for the answer of a provider.
    fn label(&self) -> &'static str;
}
