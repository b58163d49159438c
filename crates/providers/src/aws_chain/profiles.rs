//! What a profile of the shared files means: keys, a role, single sign-on, a
//! helper program, a web identity. Where a profile holds several, the order
//! is that of the vendor's SDKs: role, web identity, single sign-on, keys,
//! program.
//!
//! Deliberately not here: the form of the files (`aws_profile`), and profiles
//! that ask a person for a code.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Search, domain, session_name, wrong};
use crate::aws_profile::{Files, Settings};
use crate::aws_sources::{AssumedRole, Base, Helper, Place, RoleSession, SignIn, Sts, WebIdentity};
use crate::lending::{Lender, SigningKeys, Source};
use crate::signing::{Found, FoundKeys, Wrong};

/// Most roles that are assumed one by another.
const CHAIN_MAX: usize = 5;
/// Bounds of a role session, seconds, from the reference of `AssumeRole`.
const DURATION_S: std::ops::RangeInclusive<u32> = 900..=43_200;
const PORTAL_URL: &str = "AWS_ENDPOINT_URL_SSO";
const CONFIG: (&str, &str) = ("AWS_CONFIG_FILE", ".aws/config");
const CREDENTIALS: (&str, &str) = ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");

/// The credentials of a profile.
enum Way {
    Keys(SigningKeys),
    Source(Box<dyn Source>),
}

impl Search<'_> {
    /// The shared files.
    pub(super) fn files(&self) -> Files {
        let text = |(variable, below_home): (&str, &str)| {
            let home = || Some(format!("{}/{below_home}", self.env("HOME")?));
            let path = self.env(variable).or_else(home);
            path.and_then(|path| (self.around.file)(&path))
                .unwrap_or_default()
        };
        Files {
            credentials: text(CREDENTIALS),
            config: text(CONFIG),
        }
    }

    /// The credentials of a profile.
    pub(super) fn profile(&self, name: &str) -> Result<Found, Wrong> {
        let files = self.files();
        let settings = named(&files, name)?;
        let region = self.region(settings.get("region"));
        let reading = Reading {
            search: self,
            files: &files,
            region: region.clone(),
        };
        let keys = match reading.way(name, &settings, &mut Vec::new())? {
            Way::Keys(keys) => FoundKeys::Fixed(keys),
            Way::Source(source) => FoundKeys::Lent(Arc::new(Lender::new(source))),
        };
        Ok(Found { keys, region })
    }
}

fn named(files: &Files, name: &str) -> Result<Settings, Wrong> {
    files.profile(name).ok_or_else(|| {
        (
            format!("there is no profile `{name}` in the shared files"),
            "name a profile of `~/.aws/config` or `~/.aws/credentials`".to_owned(),
        )
    })
}

/// One reading of a profile and those that it leads to.
struct Reading<'a> {
    search: &'a Search<'a>,
    files: &'a Files,
    /// The region of the profile that was asked for.
    region: Option<String>,
}

impl Reading<'_> {
    /// `seen` are the profiles that led here.
    fn way(&self, name: &str, settings: &Settings, seen: &mut Vec<String>) -> Result<Way, Wrong> {
        let role = settings.get("role_arn");
        let token_file = settings.get("web_identity_token_file");
        let leads_on = ["source_profile", "credential_source"]
            .iter()
            .any(|setting| settings.get(setting).is_some());
        let source: Box<dyn Source> = match (role, token_file) {
            (Some(role), _) if leads_on => {
                let session = session(name, settings, role)?;
                Box::new(self.assumed(name, settings, session, seen)?)
            }
            (Some(role), Some(file)) => Box::new(WebIdentity {
                sts: self.sts(settings)?,
                session: session(name, settings, role)?,
                token_file: PathBuf::from(file),
            }),
            (Some(_), None) => {
                return wrong(
                    format!("the profile `{name}` has a `role_arn` and nothing to assume it with"),
                    "add `source_profile`, `credential_source` or `web_identity_token_file` to it",
                );
            }
            (None, Some(_)) => {
                return wrong(
                    format!("the profile `{name}` has a `web_identity_token_file` and no role"),
                    "add `role_arn` to it",
                );
            }
            (None, None) => return self.without_role(name, settings),
        };
        Ok(Way::Source(source))
    }

    fn without_role(&self, name: &str, settings: &Settings) -> Result<Way, Wrong> {
        if let Some(session) = settings.get("sso_session") {
            return Ok(Way::Source(Box::new(self.sign_in(
                name,
                settings,
                Some(&session),
            )?)));
        }
        if settings.get("sso_start_url").is_some() {
            return Ok(Way::Source(Box::new(self.sign_in(name, settings, None)?)));
        }
        if let Some(keys) = settings.keys() {
            return Ok(Way::Keys(keys));
        }
        if let Some(line) = settings.get_in_config("credential_process") {
            let helper = Helper::of(&line).map_err(|why| {
                (
                    format!("the `credential_process` of the profile `{name}`: {why}"),
                    "write the full path of a program and its arguments".to_owned(),
                )
            })?;
            return Ok(Way::Source(Box::new(helper)));
        }
        if settings.get("credential_process").is_some() {
            return wrong(
                format!("the `credential_process` of the profile `{name}` is in the wrong file"),
                "a program is run only if the config file names it: move it to `~/.aws/config`",
            );
        }
        wrong(
            format!("the profile `{name}` holds no credentials"),
            "add keys, `role_arn`, `sso_session` or `credential_process` to it, or write the keys \
             here as `${env:NAME}`",
        )
    }

    fn sts(&self, settings: &Settings) -> Result<Sts, Wrong> {
        let region = self.region.clone().or_else(|| settings.get("region"));
        self.search
            .sts(region, settings.get("sts_regional_endpoints"))
    }

    fn assumed(
        &self,
        name: &str,
        settings: &Settings,
        session: RoleSession,
        seen: &mut Vec<String>,
    ) -> Result<AssumedRole, Wrong> {
        if settings.get("mfa_serial").is_some() {
            return wrong(
                format!("the profile `{name}` asks a person for a code (`mfa_serial`)"),
                "name a profile that a gateway can use alone",
            );
        }
        let base = match (
            settings.get("source_profile"),
            settings.get("credential_source"),
        ) {
            (Some(_), Some(_)) => {
                return wrong(
                    format!("the profile `{name}` has `source_profile` and `credential_source`"),
                    "keep one of the two in it",
                );
            }
            (Some(source), None) => self.base_profile(name, settings, &source, seen)?,
            (None, Some(source)) => self.base_source(name, &source)?,
            (None, None) => return wrong("nothing leads on", "add `source_profile`"),
        };
        Ok(AssumedRole {
            sts: self.sts(settings)?,
            session,
            base,
        })
    }

    fn base_profile(
        &self,
        name: &str,
        settings: &Settings,
        source: &str,
        seen: &mut Vec<String>,
    ) -> Result<Base, Wrong> {
        // A profile may name itself: its own keys assume its role.
        if source == name {
            let keys = settings.keys().ok_or_else(|| {
                (
                    format!("the profile `{name}` names itself as source and holds no keys"),
                    "name another profile as its `source_profile`".to_owned(),
                )
            })?;
            return Ok(Base::Fixed(keys));
        }
        seen.push(name.to_owned());
        if seen.iter().any(|before| before == source) || seen.len() >= CHAIN_MAX {
            return wrong(
                format!("the sources of the profile `{name}` go in a circle, or on and on"),
                format!("end them after at most {CHAIN_MAX} profiles in one with keys"),
            );
        }
        let next = named(self.files, source)?;
        Ok(match self.way(source, &next, seen)? {
            Way::Keys(keys) => Base::Fixed(keys),
            Way::Source(source) => Base::Lent(source),
        })
    }

    fn base_source(&self, name: &str, source: &str) -> Result<Base, Wrong> {
        match source {
            "Environment" => self.search.env_keys().map(Base::Fixed).ok_or_else(|| {
                (
                    format!("the profile `{name}` takes keys of the environment; there are none"),
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
                )
            }),
            "Ec2InstanceMetadata" => Ok(Base::Lent(Box::new(self.search.instance()?))),
            "EcsContainer" => Ok(Base::Lent(Box::new(self.search.container()?))),
            other => wrong(
                format!("there is no credential source `{other}` (profile `{name}`)"),
                "write `Environment`, `Ec2InstanceMetadata` or `EcsContainer`",
            ),
        }
    }

    fn sign_in(
        &self,
        name: &str,
        settings: &Settings,
        session: Option<&str>,
    ) -> Result<SignIn, Wrong> {
        let section = match session {
            Some(session) => {
                let found = self.files.sign_in_session(session);
                Some(found.ok_or_else(|| {
                    (
                        format!("there is no `[sso-session {session}]` (profile `{name}`)"),
                        "write it with `aws configure sso`".to_owned(),
                    )
                })?)
            }
            None => None,
        };
        let need = |setting: &str| {
            let found = section.as_ref().and_then(|section| section.get(setting));
            found.or_else(|| settings.get(setting)).ok_or_else(|| {
                (
                    format!("the profile `{name}` signs in, and `{setting}` is missing"),
                    "write it with `aws configure sso`".to_owned(),
                )
            })
        };
        let region = need("sso_region")?;
        let own = self.search.env(PORTAL_URL);
        let url = own.unwrap_or_else(|| format!("https://portal.sso.{region}.{}", domain(&region)));
        let portal = Place::at(&url, &self.search.way()).map_err(|why| {
            (
                format!("the address `{url}` of single sign-on cannot be used: {why}"),
                format!("check `sso_region` and {PORTAL_URL}"),
            )
        })?;
        let start = need("sso_start_url")?;
        let file = SignIn::token_file_name(session.unwrap_or(&start));
        let home = self.search.env("HOME").unwrap_or_default();
        Ok(SignIn {
            portal,
            token_file: PathBuf::from(format!("{home}/.aws/sso/cache/{file}")),
            account_id: need("sso_account_id")?,
            role_name: need("sso_role_name")?,
            profile: name.to_owned(),
        })
    }
}

fn session(name: &str, settings: &Settings, role_arn: String) -> Result<RoleSession, Wrong> {
    let duration = match settings.get("duration_seconds") {
        None => None,
        Some(text) => match text.parse::<u32>().ok().filter(|s| DURATION_S.contains(s)) {
            Some(seconds) => Some(seconds),
            None => {
                return wrong(
                    format!("the `duration_seconds` of the profile `{name}` cannot be used"),
                    "write a number from 900 to 43200",
                );
            }
        },
    };
    let given = settings.get("role_session_name");
    let from = format!("`role_session_name` of the profile `{name}`");
    Ok(RoleSession {
        role_arn,
        name: session_name(given, &from)?,
        duration_s: duration,
        external_id: settings.get("external_id"),
    })
}
