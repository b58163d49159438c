//! Profiles of AWS's shared credentials and config files. Format:
//! docs.aws.amazon.com/sdkref/latest/guide/file-format.html.
//!
//! Pure: the texts are handed in. Deliberately not here: what the settings of
//! a profile mean (`aws_chain`).

use contract::Secret;

use crate::lending::SigningKeys;

/// The texts of the shared files; empty where there is none.
pub(crate) struct Files {
    pub(crate) credentials: String,
    pub(crate) config: String,
}

/// The settings of a profile or of another section.
pub(crate) struct Settings {
    in_credentials: Vec<(String, String)>,
    in_config: Vec<(String, String)>,
}

impl Files {
    /// A profile; `None` if neither file has it.
    pub(crate) fn profile(&self, name: &str) -> Option<Settings> {
        let mut titles = vec![format!("profile {name}")];
        if name == "default" {
            titles.push(name.to_owned());
        }
        let settings = Settings {
            in_credentials: section(&self.credentials, &[name.to_owned()]),
            in_config: section(&self.config, &titles),
        };
        (!settings.is_empty()).then_some(settings)
    }

    /// A section of the config file for single sign-on.
    pub(crate) fn sign_in_session(&self, name: &str) -> Option<Settings> {
        let settings = Settings {
            in_credentials: Vec::new(),
            in_config: section(&self.config, &[format!("sso-session {name}")]),
        };
        (!settings.is_empty()).then_some(settings)
    }
}

impl Settings {
    fn is_empty(&self) -> bool {
        self.in_credentials.is_empty() && self.in_config.is_empty()
    }

    /// A setting that is not empty; the credentials file comes first.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let mut all = self.in_credentials.iter().chain(&self.in_config);
        all.find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.clone())
    }

    /// A setting that counts only in the config file.
    pub(crate) fn get_in_config(&self, name: &str) -> Option<String> {
        let mut all = self.in_config.iter();
        all.find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.clone())
    }

    /// The keys, if both are there.
    pub(crate) fn keys(&self) -> Option<SigningKeys> {
        Some(SigningKeys {
            access_key_id: self.get("aws_access_key_id")?,
            secret_access_key: Secret::new(self.get("aws_secret_access_key")?),
            session_token: self.get("aws_session_token").map(Secret::new),
        })
    }
}

/// The `name = value` lines of a section.
fn section(text: &str, names: &[String]) -> Vec<(String, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(title) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            let title: Vec<&str> = title.split_whitespace().collect();
            inside = names.contains(&title.join(" "));
        } else if inside
            && !is_nested
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            found.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    //! Cases: the files, the profile, what is found.

    use super::*;

    const CREDENTIALS: &str = "
# comment
[default]
aws_access_key_id = AKID
aws_secret_access_key = sEcret=1
[ci]
aws_access_key_id=AKCI
aws_secret_access_key=ci-secret
aws_session_token=token
credential_process = /never
";
    const CONFIG: &str = "
[default]
region = eu-west-1
s3 =
  region = us-east-2
[profile ci]
region=eu-central-1
[sso-session corp]
sso_region = us-east-1
";

    #[test]
    fn profiles_are_read_from_both_files() {
        let files = Files {
            credentials: CREDENTIALS.to_owned(),
            config: CONFIG.to_owned(),
        };
        let default = files.profile("default").expect("it is there");
        let keys = default.keys().expect("keys");
        assert_eq!(keys.access_key_id, "AKID");
        assert_eq!(keys.secret_access_key.expose(), "sEcret=1");
        assert_eq!(default.get("region").as_deref(), Some("eu-west-1"));
        assert_eq!(default.get("s3"), None, "nested settings are not read");
        let ci = files.profile("ci").expect("it is there");
        let token = ci.keys().expect("keys").session_token.expect("token");
        assert_eq!(token.expose(), "token");
        assert_eq!(ci.get("region").as_deref(), Some("eu-central-1"));
        assert_eq!(ci.get_in_config("credential_process"), None);
        let session = files.sign_in_session("corp").expect("it is there");
        assert_eq!(session.get("sso_region").as_deref(), Some("us-east-1"));
        assert!(files.profile("nope").is_none());
    }
}
