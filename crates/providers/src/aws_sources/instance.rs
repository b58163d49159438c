//! The metadata service of instances, version 2 only: a token, the name of
//! the role, its credentials. Source: Amazon EC2 user guide, "Retrieve
//! security credentials from instance metadata".
//!
//! Deliberately not here: version 1, which a request that is forged through a
//! careless proxy can reach.

use http::{HeaderName, HeaderValue, Method};

use super::place::Place;
use super::read::{Names, credentials, encoded, header, object, refusal};
use crate::lending::{Heard, Source, Step};

const TOKEN_PATH: &str = "/latest/api/token";
const ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN_LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// The life that the vendor's own SDKs ask for, seconds. A token serves the
/// few calls of one round here.
const TOKEN_LIFE_S: HeaderValue = HeaderValue::from_static("21600");
const NAMES: Names = Names {
    token: "Token",
    expiration: "Expiration",
};

/// The role of an instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) place: Place,
}

impl Instance {
    fn ask_token(&self) -> Step {
        let mut outbound = self.place.request(Method::PUT, TOKEN_PATH);
        outbound.headers.insert(TOKEN_LIFE, TOKEN_LIFE_S);
        Step::Send(Box::new(outbound))
    }

    fn get(&self, token: &str, path: &str) -> Result<Step, String> {
        let mut outbound = self.place.request(Method::GET, path);
        outbound.headers.insert(TOKEN, header(token)?);
        Ok(Step::Send(Box::new(outbound)))
    }

    fn step(&self, heard: &[Heard]) -> Result<Step, String> {
        let [token, rest @ ..] = heard else {
            return Ok(self.ask_token());
        };
        let token = plain(token).map_err(|why| format!("its token: {why}"))?;
        let [roles, rest @ ..] = rest else {
            return self.get(&token, ROLE_PATH);
        };
        let roles = match roles.answer()? {
            (404, _) => return Err("the instance has no role".to_owned()),
            (_, _) => plain(roles).map_err(|why| format!("its list of roles: {why}"))?,
        };
        let role = roles.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err("the instance has no role".to_owned());
        }
        let [answer, ..] = rest else {
            return self.get(&token, &format!("{ROLE_PATH}{}", encoded(role)));
        };
        let (status, body) = answer.answer()?;
        if status != 200 {
            return Err(refusal(status, body));
        }
        // A role that cannot be assumed is a 200 with another code.
        let code = object(body, |o| {
            Ok(o.get("Code").and_then(|c| c.str()).map(String::from))
        })?;
        match code.as_deref() {
            Some("Success") | None => credentials(body, &NAMES).map(Step::Done),
            Some(_) => Err(refusal(status, body)),
        }
    }
}

/// The text of a good answer.
fn plain(heard: &Heard) -> Result<String, String> {
    let (status, body) = heard.answer()?;
    if status != 200 {
        return Err(refusal(status, body));
    }
    let text = std::str::from_utf8(body).map_err(|_| "the answer is no text".to_owned())?;
    Ok(text.trim().to_owned())
}

impl Source for Instance {
    fn name(&self) -> String {
        format!("instance metadata at {}", self.place.host())
    }

    fn note(&self, note: &mut dyn FnMut(&str)) {
        note("instance");
        self.place.note(note);
    }

    fn next(&self, heard: &[Heard], _: u64) -> Step {
        self.step(heard)
            .unwrap_or_else(|why| Step::Failed(format!("the metadata service: {why}")))
    }
}
