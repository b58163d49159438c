//! Where a vendor that signs requests keeps its credentials, as data: so that
//! configuration and discovery can look there without knowing the vendor.

use std::sync::Arc;

use contract::seams::Proxy;

use crate::lending::{Lender, SigningKeys};

/// Where credentials for signed requests are found.
#[derive(Debug)]
pub struct Signing {
    /// Variable with the access key id.
    pub access_key_id_env: &'static str,
    /// Variable with the secret access key.
    pub secret_access_key_env: &'static str,
    /// Variable with the session token of temporary keys.
    pub session_token_env: &'static str,
    /// Variables that together announce a web identity.
    pub web_identity_env: &'static [&'static str],
    /// Variable with the name of a profile.
    pub profile_env: &'static str,
    /// Variables with the paths of the shared files. One of them announces
    /// the default profile.
    pub files_env: &'static [&'static str],
    /// Variables of which one announces a container with credentials.
    pub container_env: &'static [&'static str],
    /// Variable that announces an instance with credentials.
    pub instance_env: &'static str,
    /// Variables with the region, best first.
    pub region_env: &'static [&'static str],
    /// The profile where none is named.
    pub default_profile: &'static str,
    /// Finds credentials.
    pub find: fn(&Whence<'_>, &Around<'_>) -> Result<Found, Wrong>,
}

impl Signing {
    /// The variables that announce credentials, best first.
    pub fn announcing(&self) -> Vec<&'static str> {
        let mut names = vec![self.access_key_id_env];
        names.extend(self.web_identity_env.first());
        names.push(self.profile_env);
        names.extend(self.files_env);
        names.extend(self.container_env);
        names.push(self.instance_env);
        names
    }
}

/// What is wrong, and what to do.
pub type Wrong = (String, String);

/// Which credentials are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence<'a> {
    /// The first that the vendor's own tools would find.
    Chain,
    /// A role by the token of a web identity.
    WebIdentity,
    /// A profile of the shared files.
    Profile(&'a str),
    /// The role of a container.
    Container,
    /// The role of an instance.
    Instance,
}

/// What is looked at to find credentials, and how their source is reached.
pub struct Around<'a> {
    /// Variables.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file, if it can be read.
    pub file: &'a dyn Fn(&str) -> Option<String>,
    /// The region that was configured.
    pub region: Option<&'a str>,
    /// Proxy to go through to what is not on the same machine.
    pub proxy: Option<Proxy>,
    /// PEM of extra certificate authorities.
    pub ca_pem: Option<Arc<str>>,
}

/// Credentials that were found.
#[derive(Debug)]
pub struct Found {
    /// Keys, or where to borrow them.
    pub keys: FoundKeys,
    /// Region, if the surroundings name one.
    pub region: Option<String>,
}

/// Keys, or where to borrow them.
#[derive(Clone, Debug)]
pub enum FoundKeys {
    /// Keys.
    Fixed(SigningKeys),
    /// They are temporary.
    Lent(Arc<Lender>),
}
