//! Who a credential belongs to.

use std::sync::Arc;

use contract::glob;

use crate::addresses::Addresses;
use crate::metadata::Version;
use crate::policy::Layer;

/// Who calls, whatever credential they showed.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Public id of the key, or of the subject of a token or certificate.
    pub key_id: Arc<str>,
    /// Tenant.
    pub tenant: Arc<str>,
    /// Application.
    pub app: Arc<str>,
    /// Groups it belongs to.
    pub groups: Arc<[Box<str>]>,
    /// End user, where the credential names one.
    pub user: Option<Arc<str>>,
    /// Networks that it may call from; `None` is from everywhere.
    pub addresses: Option<Addresses>,
    /// Patterns of the models it may use; `None` is all.
    pub models: Option<Vec<String>>,
    /// The key works only for callers on this machine (development keys).
    pub loopback_only: bool,
    /// What a trusted backend may say of others.
    pub asserts: Asserts,
    /// Rules of the key itself.
    pub rules: Option<Arc<Layer>>,
    /// The version of the contract of its calls that name none; `None` is
    /// everybody's.
    pub contract: Option<&'static Version>,
}

/// What a credential may assert in its calls, beside what it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asserts {
    /// The end user (metadata field `user`), where the credential names one itself.
    pub user: bool,
    /// Another app of its tenant.
    pub app: bool,
    /// Another tenant.
    pub tenant: bool,
}

impl Consumer {
    /// A consumer without restrictions and privileges.
    pub fn new(
        key_id: impl Into<Arc<str>>,
        tenant: impl Into<Arc<str>>,
        app: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            key_id: key_id.into(),
            tenant: tenant.into(),
            app: app.into(),
            groups: Arc::default(),
            user: None,
            addresses: None,
            models: None,
            loopback_only: false,
            asserts: Asserts::default(),
            rules: None,
            contract: None,
        }
    }

    /// Whether it may use a model, by the name the caller uses.
    pub fn may_use(&self, model: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| glob::matches(pattern, model)))
    }
}

/// Longest public id, bytes.
const PUBLIC_ID_MAX: usize = 160;

/// The public id of a credential that is no key: where it is from, and whom
/// it names. What is too long ends in a digest, so that two stay two.
pub(crate) fn public_id(from: &str, name: &str) -> Arc<str> {
    let whole = format!("{from}:{name}");
    if whole.len() <= PUBLIC_ID_MAX {
        return whole.into();
    }
    let digest = blake3::hash(whole.as_bytes()).to_hex();
    let mut end = PUBLIC_ID_MAX - 17;
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{}", &whole[..end], &digest[..16]).into()
}
