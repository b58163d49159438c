//! Roles by the Security Token Service: `AssumeRole` and
//! `AssumeRoleWithWebIdentity`. Source: AWS STS API reference, version
//! 2011-06-15.

use std::path::PathBuf;

use contract::seams::Outbound;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

use super::place::Place;
use super::read::{element, encoded, lent, said_with, time};
use crate::lending::{Heard, Lent, SigningKeys, Source, Step};
use crate::sigv4;

const FORM: HeaderValue =
    HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
const SERVICE: &str = "sts";
const VERSION: &str = "2011-06-15";

/// The service in a region.
#[derive(Clone, Debug)]
pub(crate) struct Sts {
    pub(crate) place: Place,
    /// The region that its requests are signed for.
    pub(crate) region: String,
}

/// Which role is assumed, and how.
#[derive(Clone, Debug)]
pub(crate) struct RoleSession {
    pub(crate) role_arn: String,
    pub(crate) name: String,
    pub(crate) duration_s: Option<u32>,
    pub(crate) external_id: Option<String>,
}

/// A role by the token of a web identity. The file is read each time, because
/// whoever gives the token renews it there.
#[derive(Debug)]
pub(crate) struct WebIdentity {
    pub(crate) sts: Sts,
    pub(crate) session: RoleSession,
    pub(crate) token_file: PathBuf,
}

/// A role by other credentials.
pub(crate) struct AssumedRole {
    pub(crate) sts: Sts,
    pub(crate) session: RoleSession,
    pub(crate) base: Base,
}

/// The credentials by which a role is assumed.
pub(crate) enum Base {
    Fixed(SigningKeys),
    Lent(Box<dyn Source>),
}

impl Sts {
    fn note(&self, note: &mut dyn FnMut(&str)) {
        self.place.note(note);
        note(&self.region);
    }

    fn request(&self, action: &str, session: &RoleSession, more: &[(&str, &str)]) -> Outbound {
        let duration = session.duration_s.map(|seconds| seconds.to_string());
        let mut fields = vec![
            ("Action", action),
            ("Version", VERSION),
            ("RoleArn", &session.role_arn),
            ("RoleSessionName", &session.name),
        ];
        if let Some(duration) = &duration {
            fields.push(("DurationSeconds", duration));
        }
        if let Some(id) = &session.external_id {
            fields.push(("ExternalId", id));
        }
        fields.extend(more);
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let mut outbound = self.place.request(Method::POST, "");
        outbound.headers.insert(CONTENT_TYPE, FORM);
        outbound.body.push(pairs.join("&").into());
        outbound
    }

    fn answer(&self, action: &str, heard: &Heard) -> Step {
        let host = self.place.host();
        match interpret(heard) {
            Ok(lent) => Step::Done(lent),
            Err(why) => Step::Failed(format!("{action} at {host}: {why}")),
        }
    }
}

impl RoleSession {
    fn note(&self, note: &mut dyn FnMut(&str)) {
        note(&self.role_arn);
        note(&self.name);
        note(&self.duration_s.map_or(String::new(), |s| s.to_string()));
        note(self.external_id.as_deref().unwrap_or_default());
    }
}

/// Both actions answer with an element `Credentials`.
fn interpret(heard: &Heard) -> Result<Lent, String> {
    let (status, body) = heard.answer()?;
    let xml = std::str::from_utf8(body).map_err(|_| "the answer is no text".to_owned())?;
    if status != 200 {
        let words: Vec<String> = ["Code", "Message"]
            .iter()
            .filter_map(|name| element(xml, name))
            .collect();
        return Err(said_with(status, &words.join(": ")));
    }
    let (_, rest) = xml
        .split_once("<Credentials>")
        .ok_or("the answer has no `Credentials`")?;
    let (credentials, _) = rest
        .split_once("</Credentials>")
        .ok_or("the answer has no end of its `Credentials`")?;
    let end = element(credentials, "Expiration").ok_or("the answer has no `Expiration`")?;
    let end = time(&end).ok_or_else(|| format!("`{end}` is no time"))?;
    lent(|name| element(credentials, name), "SessionToken", Some(end))
}

const WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

impl Source for WebIdentity {
    fn name(&self) -> String {
        let (role, file) = (&self.session.role_arn, self.token_file.display());
        format!("web identity (role {role}, token file {file})")
    }

    fn note(&self, note: &mut dyn FnMut(&str)) {
        note("web identity");
        self.sts.note(note);
        self.session.note(note);
        note(&self.token_file.to_string_lossy());
    }

    fn next(&self, heard: &[Heard], _: u64) -> Step {
        let (token, answer) = match heard {
            [] => return Step::Read(self.token_file.clone()),
            [token] => (token, None),
            [token, answer, ..] => (token, Some(answer)),
        };
        if let Some(answer) = answer {
            return self.sts.answer(WITH_WEB_IDENTITY, answer);
        }
        match token.text().map(str::trim) {
            Ok("") => Step::Failed("the token file is empty".to_owned()),
            Ok(token) => {
                let more = [("WebIdentityToken", token)];
                // This action is not signed: the token is the credential.
                let outbound = self.sts.request(WITH_WEB_IDENTITY, &self.session, &more);
                Step::Send(Box::new(outbound))
            }
            Err(why) => Step::Failed(format!("the token file: {why}")),
        }
    }
}

const ASSUME: &str = "AssumeRole";

impl AssumedRole {
    fn ask(&self, keys: &SigningKeys, unix_us: u64) -> Step {
        let mut outbound = self.sts.request(ASSUME, &self.session, &[]);
        match sigv4::sign(keys, &self.sts.region, SERVICE, &mut outbound, unix_us) {
            Ok(()) => Step::Send(Box::new(outbound)),
            Err(_) => Step::Failed("the keys to assume it with fit no header".to_owned()),
        }
    }
}

impl Source for AssumedRole {
    fn name(&self) -> String {
        let role = &self.session.role_arn;
        match &self.base {
            Base::Fixed(_) => format!("assumed role {role}"),
            Base::Lent(source) => format!("assumed role {role} by {}", source.name()),
        }
    }

    fn note(&self, note: &mut dyn FnMut(&str)) {
        note("assumed role");
        self.sts.note(note);
        self.session.note(note);
        match &self.base {
            Base::Fixed(keys) => {
                note(&keys.access_key_id);
                note(keys.secret_access_key.expose());
                note(keys.session_token.as_ref().map_or("", |t| t.expose()));
            }
            Base::Lent(source) => source.note(note),
        }
    }

    fn next(&self, heard: &[Heard], unix_us: u64) -> Step {
        let lent;
        let (keys, own) = match &self.base {
            Base::Fixed(keys) => (keys, heard),
            Base::Lent(source) => match settled(&**source, heard, unix_us) {
                (Step::Done(found), used) => {
                    lent = found;
                    (&lent.keys, &heard[used..])
                }
                (step @ (Step::Send(_) | Step::Read(_) | Step::Run(_) | Step::Failed(_)), _) => {
                    return step;
                }
            },
        };
        match own.first() {
            None => self.ask(keys, unix_us),
            Some(answer) => self.sts.answer(ASSUME, answer),
        }
    }
}

/// The first step of a source that is not taken yet, or its end, and how many
/// of the steps of which was heard were its own.
fn settled(source: &dyn Source, heard: &[Heard], unix_us: u64) -> (Step, usize) {
    for used in 0..heard.len() {
        let step = source.next(&heard[..used], unix_us);
        if matches!(step, Step::Done(_) | Step::Failed(_)) {
            return (step, used);
        }
    }
    (source.next(heard, unix_us), heard.len())
}

/// Whether STS takes this as the name of a session.
pub(crate) fn is_session_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (2..=64).contains(&name.len()) && name.chars().all(fits)
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Base")
    }
}

impl std::fmt::Debug for AssumedRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}
