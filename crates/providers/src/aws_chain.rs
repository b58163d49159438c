//! Which of AWS's credentials are taken: the order of the vendor's SDKs.
//! Source: AWS SDKs and Tools reference guide, "Standardized credential
//! providers".
//!
//! Pure: variables and files are handed in. Deliberately not here: what is
//! asked at a source (`aws_sources`).

mod profiles;

use std::path::PathBuf;
use std::sync::Arc;

use contract::Secret;

use crate::aws_sources::{
    Container, Instance, Place, RoleSession, Sts, Token, Way, WebIdentity, is_session_name,
};
use crate::lending::{Lender, SigningKeys, Source};
use crate::signing::{Around, Found, FoundKeys, Signing, Whence, Wrong};

/// Where the vendor's tools look for credentials.
pub(crate) static SIGNING: Signing = Signing {
    access_key_id_env: "AWS_ACCESS_KEY_ID",
    secret_access_key_env: "AWS_SECRET_ACCESS_KEY",
    session_token_env: "AWS_SESSION_TOKEN",
    web_identity_env: &[TOKEN_FILE, ROLE_ARN],
    profile_env: "AWS_PROFILE",
    files_env: &["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"],
    container_env: &[CONTAINER_PATH, CONTAINER_URL],
    instance_env: INSTANCE_URL,
    region_env: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    default_profile: "default",
    find,
};

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE_ARN: &str = "AWS_ROLE_ARN";
const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
const CONTAINER_PATH: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const CONTAINER_URL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const INSTANCE_OFF: &str = "AWS_EC2_METADATA_DISABLED";
const INSTANCE_URL: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const INSTANCE_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const STS_URL: &str = "AWS_ENDPOINT_URL_STS";
const STS_REGIONAL: &str = "AWS_STS_REGIONAL_ENDPOINTS";

/// The name of sessions where nobody gives one.
const SESSION: &str = "tollgate";
/// The region of the endpoint of STS that is none's, and of its signatures.
const GLOBAL_REGION: &str = "us-east-1";
/// Regions that `AWS_STS_REGIONAL_ENDPOINTS=legacy` serves by the global
/// endpoint, from the guide's page on that setting.
const LEGACY_REGIONS: [&str; 16] = [
    "ap-northeast-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "aws-global",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

fn wrong<T>(what: impl Into<String>, instead: impl Into<String>) -> Result<T, Wrong> {
    Err((what.into(), instead.into()))
}

fn find(whence: &Whence<'_>, around: &Around<'_>) -> Result<Found, Wrong> {
    let search = Search { around };
    let keys = match whence {
        Whence::Chain => return search.chain(),
        Whence::Profile(name) => return search.profile(name),
        Whence::WebIdentity => lent(search.web_identity()?),
        Whence::Container => lent(search.container()?),
        Whence::Instance => lent(search.instance()?),
    };
    Ok(Found {
        keys,
        region: search.region(None),
    })
}

fn lent(source: impl Source + 'static) -> FoundKeys {
    FoundKeys::Lent(Arc::new(Lender::new(Box::new(source))))
}

struct Search<'a> {
    around: &'a Around<'a>,
}

impl Search<'_> {
    /// A variable that is set and not empty.
    fn env(&self, name: &str) -> Option<String> {
        let value = (self.around.env)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// The first that is announced is taken, and no other is tried when it
    /// fails: another identity than the one that was meant would be worse.
    fn chain(&self) -> Result<Found, Wrong> {
        let has = |name: &str| self.env(name).is_some();
        let keys = if let Some(keys) = self.env_keys() {
            FoundKeys::Fixed(keys)
        } else if has(TOKEN_FILE) && has(ROLE_ARN) {
            lent(self.web_identity()?)
        } else if let Some(name) = self.announced_profile() {
            return self.profile(&name);
        } else if has(CONTAINER_PATH) || has(CONTAINER_URL) {
            lent(self.container()?)
        } else if self.is_instance_off() {
            return wrong(
                format!(
                    "no credentials are announced: no keys, web identity or container in the \
                     environment, no profile `{}`, and {INSTANCE_OFF} is set",
                    SIGNING.default_profile
                ),
                "announce one of them, or write the keys here as `${env:NAME}`",
            );
        } else {
            lent(self.instance()?)
        };
        Ok(Found {
            keys,
            region: self.region(None),
        })
    }

    fn announced_profile(&self) -> Option<String> {
        let named = self.env(SIGNING.profile_env);
        named.or_else(|| {
            let name = SIGNING.default_profile;
            let ways = [
                "aws_access_key_id",
                "role_arn",
                "sso_session",
                "sso_start_url",
            ];
            let profile = self.files().profile(name)?;
            let holds = ways.iter().any(|way| profile.get(way).is_some())
                || profile.get_in_config("credential_process").is_some();
            holds.then(|| name.to_owned())
        })
    }

    fn env_keys(&self) -> Option<SigningKeys> {
        Some(SigningKeys {
            access_key_id: self.env(SIGNING.access_key_id_env)?,
            secret_access_key: Secret::new(self.env(SIGNING.secret_access_key_env)?),
            session_token: self.env(SIGNING.session_token_env).map(Secret::new),
        })
    }

    /// The region: as configured, of the environment, of the profile.
    fn region(&self, of_profile: Option<String>) -> Option<String> {
        let configured = self.around.region.map(str::to_owned);
        let mut names = SIGNING.region_env.iter();
        configured
            .or_else(|| names.find_map(|name| self.env(name)))
            .or(of_profile)
    }

    fn way(&self) -> Way {
        Way {
            proxy: self.around.proxy.clone(),
            ca_pem: self.around.ca_pem.clone(),
        }
    }

    fn web_identity(&self) -> Result<WebIdentity, Wrong> {
        let need = |name: &str| {
            let missing = || {
                (
                    format!("a web identity needs {name}, which is not set"),
                    format!("set {TOKEN_FILE} and {ROLE_ARN}; EKS sets both for a service account"),
                )
            };
            self.env(name).ok_or_else(missing)
        };
        Ok(WebIdentity {
            sts: self.sts(self.region(None), None)?,
            session: RoleSession {
                role_arn: need(ROLE_ARN)?,
                name: session_name(self.env(SESSION_NAME), SESSION_NAME)?,
                duration_s: None,
                external_id: None,
            },
            token_file: PathBuf::from(need(TOKEN_FILE)?),
        })
    }

    /// The Security Token Service of a region. `regional` is the profile's
    /// choice of endpoints, which the environment's overrides.
    fn sts(&self, region: Option<String>, regional: Option<String>) -> Result<Sts, Wrong> {
        let choice = self.env(STS_REGIONAL).or(regional);
        let is_legacy = match choice.as_deref() {
            None | Some("regional") => false,
            Some("legacy") => true,
            Some(other) => {
                return wrong(
                    format!("{STS_REGIONAL} is `{other}`"),
                    "write `regional` or `legacy`",
                );
            }
        };
        let region = region.filter(|r| !(is_legacy && LEGACY_REGIONS.contains(&r.as_str())));
        let own = self.env(STS_URL);
        let url = match (&own, &region) {
            (Some(url), _) => url.clone(),
            (None, Some(region)) => format!("https://sts.{region}.{}", domain(region)),
            (None, None) => format!("https://sts.{}", domain(GLOBAL_REGION)),
        };
        let place = Place::at(&url, &self.way()).map_err(|why| {
            let name = own.as_ref().map_or("the region", |_| STS_URL);
            (
                format!("{name} gives STS the address `{url}`, but {why}"),
                "write it like `https://sts.us-east-1.amazonaws.com`".to_owned(),
            )
        })?;
        Ok(Sts {
            place,
            region: region.unwrap_or_else(|| GLOBAL_REGION.to_owned()),
        })
    }

    fn container(&self) -> Result<Container, Wrong> {
        let (name, url) = match (self.env(CONTAINER_PATH), self.env(CONTAINER_URL)) {
            (Some(path), _) if path.starts_with('/') => (CONTAINER_PATH, Container::ecs_url(&path)),
            (Some(_), _) => {
                return wrong(
                    format!("{CONTAINER_PATH} does not begin with `/`"),
                    "leave it as the container's platform sets it",
                );
            }
            (None, Some(url)) => (CONTAINER_URL, url),
            (None, None) => {
                return wrong(
                    format!("neither {CONTAINER_PATH} nor {CONTAINER_URL} is set"),
                    "give the task or pod a role; its platform then sets one of them",
                );
            }
        };
        let file = self.env(CONTAINER_TOKEN_FILE).map(PathBuf::from);
        let token = match (file, self.env(CONTAINER_TOKEN)) {
            (Some(path), _) => Token::File(path),
            (None, Some(text)) => Token::Text(Secret::new(text)),
            (None, None) => Token::None,
        };
        // It is on this machine, or at a fixed address beside it.
        let way = Way {
            proxy: None,
            ca_pem: self.around.ca_pem.clone(),
        };
        let found = Place::at(&url, &way).and_then(|place| Container::at(place, token));
        found.map_err(|why| {
            (
                format!("{name} cannot be used: {why}"),
                "leave it as the container's platform sets it".to_owned(),
            )
        })
    }

    fn is_instance_off(&self) -> bool {
        let off = self.env(INSTANCE_OFF);
        off.is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    fn instance(&self) -> Result<Instance, Wrong> {
        if self.is_instance_off() {
            return wrong(
                format!("{INSTANCE_OFF} forbids to ask the metadata service"),
                "unset it, or take other credentials",
            );
        }
        let mode = self.env(INSTANCE_MODE).map(|mode| mode.to_lowercase());
        let url = match (self.env(INSTANCE_URL), mode.as_deref()) {
            (Some(url), _) => url,
            (None, None | Some("ipv4")) => "http://169.254.169.254".to_owned(),
            (None, Some("ipv6")) => "http://[fd00:ec2::254]".to_owned(),
            (None, Some(other)) => {
                return wrong(
                    format!("{INSTANCE_MODE} is `{other}`"),
                    "write `IPv4` or `IPv6`",
                );
            }
        };
        let place = Place::at(&url, &Way::default()).map_err(|why| {
            (
                format!("{INSTANCE_URL} cannot be used: {why}"),
                "write it like `http://169.254.169.254`".to_owned(),
            )
        })?;
        Ok(Instance { place })
    }
}

/// The domain of a region's services.
fn domain(region: &str) -> &'static str {
    match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    }
}

fn session_name(given: Option<String>, from: &str) -> Result<String, Wrong> {
    match given {
        None => Ok(SESSION.to_owned()),
        Some(name) if is_session_name(&name) => Ok(name),
        Some(_) => wrong(
            format!("{from} is no name for a session"),
            "use 2 to 64 letters, digits and `_+=,.@-`",
        ),
    }
}

#[cfg(test)]
mod tests;
