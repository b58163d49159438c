//! Profiles of AWS's shared credentials and config files. Format:
//! docs.aws.amazon.com/sdkref/latest/guide/file-format.html.
//!
//! Pure: the texts are handed in. Deliberately not here: profiles that assume
//! roles, single sign-on, helper processes, and the credentials of containers
//! and instances; such a profile is refused with the reason.

use contract::Secret;

use crate::account::SigningKeys;
use crate::signing::{Profile, SharedFile, Signing};

/// Where the vendor's tools look for credentials.
pub(crate) static SIGNING: Signing = Signing {
    access_key_id_env: "AWS_ACCESS_KEY_ID",
    secret_access_key_env: "AWS_SECRET_ACCESS_KEY",
    session_token_env: "AWS_SESSION_TOKEN",
    profile_env: "AWS_PROFILE",
    region_env: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    credentials_file: SharedFile {
        env: "AWS_SHARED_CREDENTIALS_FILE",
        below_home: ".aws/credentials",
    },
    config_file: SharedFile {
        env: "AWS_CONFIG_FILE",
        below_home: ".aws/config",
    },
    read_profile: read,
};

/// Ways of a profile to get keys that are not served, as they show in the file.
const UNSERVED: [(&str, &str); 5] = [
    ("role_arn", "assumes a role"),
    ("sso_session", "signs in by single sign-on"),
    ("sso_start_url", "signs in by single sign-on"),
    ("credential_process", "asks another program"),
    ("web_identity_token_file", "uses a web identity"),
];

fn read(profile: &str, credentials: &str, config: &str) -> Result<Profile, String> {
    let in_credentials = section(credentials, &[profile.to_owned()]);
    let mut config_names = vec![format!("profile {profile}")];
    if profile == "default" {
        config_names.push(profile.to_owned());
    }
    let in_config = section(config, &config_names);
    if in_credentials.is_empty() && in_config.is_empty() {
        return Err(format!(
            "there is no profile `{profile}` in the shared files"
        ));
    }
    let find = |name: &str| {
        let all = in_credentials.iter().chain(&in_config);
        all.clone()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let region = find("region");
    let (Some(id), Some(secret)) = (find("aws_access_key_id"), find("aws_secret_access_key"))
    else {
        let why = UNSERVED
            .iter()
            .find(|(name, _)| find(name).is_some())
            .map_or("holds no pair of keys", |(_, why)| why);
        return Err(format!(
            "the profile `{profile}` {why}, which is not supported yet"
        ));
    };
    Ok(Profile {
        keys: SigningKeys {
            access_key_id: id,
            secret_access_key: Secret::new(secret),
            session_token: find("aws_session_token").map(Secret::new),
        },
        region,
    })
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
";
    const CONFIG: &str = "
[default]
region = eu-west-1
s3 =
  region = us-east-2
[profile ci]
region=eu-central-1
[profile role]
role_arn = arn:aws:iam::1:role/x
";

    #[test]
    fn profiles_are_read_from_both_files() {
        let default = read("default", CREDENTIALS, CONFIG).expect("keys");
        assert_eq!(default.keys.access_key_id, "AKID");
        assert_eq!(default.keys.secret_access_key.expose(), "sEcret=1");
        assert_eq!(default.region.as_deref(), Some("eu-west-1"));
        let ci = read("ci", CREDENTIALS, CONFIG).expect("keys");
        assert_eq!(ci.keys.session_token.expect("token").expose(), "token");
        assert_eq!(ci.region.as_deref(), Some("eu-central-1"));
    }

    #[test]
    fn profiles_that_cannot_be_used_say_why() {
        let role = read("role", CREDENTIALS, CONFIG).expect_err("a role");
        assert!(role.contains("assumes a role"), "{role}");
        let none = read("nope", CREDENTIALS, CONFIG).expect_err("unknown");
        assert!(none.contains("no profile `nope`"), "{none}");
    }
}
