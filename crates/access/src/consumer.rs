//! Who a credential belongs to.

use std::sync::Arc;

use contract::glob;

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
    /// Patterns of the models it may use; `None` is all.
    pub models: Option<Vec<String>>,
    /// The key works only for callers on this machine (development keys).
    pub loopback_only: bool,
    /// What a trusted backend may say of others.
    pub asserts: Asserts,
    /// Rules of the key itself.
    pub rules: Option<Arc<Layer>>,
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
            models: None,
            loopback_only: false,
            asserts: Asserts::default(),
            rules: None,
        }
    }

    /// Whether it may use a model, by the name the caller uses.
    pub fn may_use(&self, model: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| glob::matches(pattern, model)))
    }
}
