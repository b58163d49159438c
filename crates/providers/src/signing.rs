//! Where a vendor that signs requests keeps its credentials, as data: so that
//! configuration and discovery can look there without knowing the vendor.

use crate::account::SigningKeys;

/// Where credentials for signed requests are found.
#[derive(Debug)]
pub struct Signing {
    /// Variable with the access key id.
    pub access_key_id_env: &'static str,
    /// Variable with the secret access key.
    pub secret_access_key_env: &'static str,
    /// Variable with the session token of temporary keys.
    pub session_token_env: &'static str,
    /// Variable with the name of a profile.
    pub profile_env: &'static str,
    /// Variables with the region, best first.
    pub region_env: &'static [&'static str],
    /// The shared file of credentials.
    pub credentials_file: SharedFile,
    /// The shared file of settings.
    pub config_file: SharedFile,
    /// Reads a profile: its name, the text of the credentials file, the text
    /// of the config file (empty where there is none). Fails with a sentence.
    pub read_profile: fn(&str, &str, &str) -> Result<Profile, String>,
}

/// A file of the user.
#[derive(Debug)]
pub struct SharedFile {
    /// Variable that may hold its path.
    pub env: &'static str,
    /// Its path below the home folder.
    pub below_home: &'static str,
}

/// What a profile holds.
#[derive(Debug)]
pub struct Profile {
    /// Keys.
    pub keys: SigningKeys,
    /// Region.
    pub region: Option<String>,
}
