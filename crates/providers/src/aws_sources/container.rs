//! The credentials endpoint of containers: ECS tasks and EKS pod identities.
//! Source: AWS SDKs and Tools reference guide, "Container credential
//! provider".

use std::net::IpAddr;
use std::path::PathBuf;

use contract::Secret;
use http::Method;
use http::header::AUTHORIZATION;

use super::place::Place;
use super::read::{Names, credentials, header, refusal};
use crate::lending::{Heard, Source, Step};

/// The task metadata endpoint of ECS.
const ECS: &str = "169.254.170.2";
/// The pod identity agent of EKS.
const EKS: [&str; 2] = ["169.254.170.23", "fd00:ec2::23"];
const NAMES: Names = Names {
    token: "Token",
    expiration: "Expiration",
};

/// The role of a container.
#[derive(Debug)]
pub(crate) struct Container {
    place: Place,
    token: Token,
}

/// What is sent as `Authorization`.
#[derive(Debug)]
pub(crate) enum Token {
    /// Nothing.
    None,
    /// This.
    Text(Secret<String>),
    /// What the file holds, read each time: it is renewed there.
    File(PathBuf),
}

impl Container {
    /// Where a path below the endpoint of ECS leads.
    pub(crate) fn ecs_url(path: &str) -> String {
        format!("http://{ECS}{path}")
    }

    /// The endpoint at this place, or why it is not asked: a token may not go
    /// to just any host in plain text.
    pub(crate) fn at(place: Place, token: Token) -> Result<Self, String> {
        let host = place.host();
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if place.is_tls() || is_loopback || host == ECS || EKS.contains(&host) {
            return Ok(Self { place, token });
        }
        Err(format!(
            "`{host}` may not be asked in plain HTTP: only this machine, {ECS}, {} and {} may",
            EKS[0], EKS[1]
        ))
    }

    fn ask(&self, token: Option<&str>) -> Step {
        let mut outbound = self.place.request(Method::GET, "");
        if let Some(token) = token {
            match header(token) {
                Ok(value) => outbound.headers.insert(AUTHORIZATION, value),
                Err(why) => return Step::Failed(format!("the authorization token: {why}")),
            };
        }
        Step::Send(Box::new(outbound))
    }

    fn answer(&self, heard: &Heard) -> Step {
        let read = heard.answer().and_then(|(status, body)| match status {
            200 => credentials(body, &NAMES),
            _ => Err(refusal(status, body)),
        });
        match read {
            Ok(lent) => Step::Done(lent),
            Err(why) => Step::Failed(format!("the credentials endpoint: {why}")),
        }
    }
}

impl Source for Container {
    fn name(&self) -> String {
        format!("container credentials at {}", self.place.host())
    }

    fn note(&self, note: &mut dyn FnMut(&str)) {
        note("container");
        self.place.note(note);
        match &self.token {
            Token::None => note("no token"),
            Token::Text(text) => note(text.expose()),
            Token::File(path) => note(&path.to_string_lossy()),
        }
    }

    fn next(&self, heard: &[Heard], _: u64) -> Step {
        match (&self.token, heard) {
            (Token::None, []) => self.ask(None),
            (Token::Text(text), []) => self.ask(Some(text.expose())),
            (Token::None | Token::Text(_), [answer, ..]) => self.answer(answer),
            (Token::File(path), []) => Step::Read(path.clone()),
            (Token::File(_), [text]) => match text.text() {
                Ok(text) => self.ask(Some(text.trim_end_matches(['\r', '\n']))),
                Err(why) => Step::Failed(format!("the authorization token's file: {why}")),
            },
            (Token::File(_), [_, answer, ..]) => self.answer(answer),
        }
    }
}
