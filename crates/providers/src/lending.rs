//! Temporary keys for signed requests: where they are borrowed, what has been
//! borrowed, and what a signature may use.
//!
//! Pure: a source says which step comes next, given what came of the steps
//! before, and somebody else takes the steps. Deliberately not here: how a
//! vendor lends (a file for each), when to borrow again (`refresh`), and IO.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use contract::seams::Outbound;
use contract::{Fault, Secret};
use sha2::{Digest, Sha256};

/// Keys for signed requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Secret<String>,
    /// Session token of temporary keys.
    pub session_token: Option<Secret<String>>,
}

/// Keys and the time until which they are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    /// The keys.
    pub keys: SigningKeys,
    /// Their end, microseconds since the Unix epoch; `None`: they do not end.
    pub expires_us: Option<u64>,
}

impl Lent {
    fn is_valid(&self, unix_us: u64) -> bool {
        self.expires_us.is_none_or(|end| unix_us < end)
    }
}

/// What is to be done next to borrow keys.
#[derive(Debug)]
pub enum Step {
    /// Send this and tell the answer.
    Send(Box<Outbound>),
    /// Read this file.
    Read(PathBuf),
    /// Run this program and tell what it writes to its standard output.
    Run(Program),
    /// Here they are.
    Done(Lent),
    /// It does not work; why, without secrets.
    Failed(String),
}

/// A program of the user, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub file: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What came of a step.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The answer to what was sent.
    Answer {
        /// Its status.
        status: u16,
        /// Its body.
        body: Secret<Vec<u8>>,
    },
    /// What the file holds or the program wrote.
    Text(Secret<Vec<u8>>),
    /// It could not be done; why, without secrets.
    Nothing(String),
}

impl Heard {
    /// Status and body of an answer.
    pub(crate) fn answer(&self) -> Result<(u16, &[u8]), String> {
        match self {
            Self::Answer { status, body } => Ok((*status, body.expose())),
            Self::Text(_) => Err("a text stands where an answer was expected".to_owned()),
            Self::Nothing(why) => Err(why.clone()),
        }
    }

    /// The text of a file or program.
    pub(crate) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => std::str::from_utf8(text.expose())
                .map_err(|_| "it holds what is not text".to_owned()),
            Self::Answer { .. } => Err("an answer stands where a text was expected".to_owned()),
            Self::Nothing(why) => Err(why.clone()),
        }
    }
}

/// One way to temporary keys.
pub(crate) trait Source: Send + Sync {
    /// What it is, for operators; without secrets.
    fn name(&self) -> String;
    /// Notes everything in which it may differ from another source.
    fn note(&self, note: &mut dyn FnMut(&str));
    /// The step after those of which was `heard`, oldest first.
    fn next(&self, heard: &[Heard], unix_us: u64) -> Step;
}

/// Where an account borrows its keys.
pub struct Lender {
    id: Arc<str>,
    name: String,
    source: Box<dyn Source>,
}

impl Lender {
    /// A lender with this source.
    pub(crate) fn new(source: Box<dyn Source>) -> Self {
        let mut hash = Sha256::new();
        source.note(&mut |text| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        });
        let id: String = hash.finalize()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            id: id.into(),
            name: source.name(),
            source,
        }
    }

    /// The same for sources that differ in nothing, so that a new plan goes on
    /// with the keys of the old one. It gives no secret away.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What it is, for operators.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The step after those of which was `heard`, oldest first. Keys that have
    /// ended already are a failure.
    pub fn next(&self, heard: &[Heard], unix_us: u64) -> Step {
        match self.source.next(heard, unix_us) {
            Step::Done(lent) if !lent.is_valid(unix_us) => {
                Step::Failed("the credentials it gave had expired already".to_owned())
            }
            step @ (Step::Send(_)
            | Step::Read(_)
            | Step::Run(_)
            | Step::Done(_)
            | Step::Failed(_)) => step,
        }
    }
}

impl std::fmt::Debug for Lender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lender({})", self.name)
    }
}

/// What is known of one lender's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loan {
    /// The keys that were borrowed last, valid or not.
    pub lent: Option<Arc<Lent>>,
    /// Why the last try failed; `None` if it did not.
    pub trouble: Option<Arc<str>>,
}

/// All loans at one moment, by the ids of their lenders.
#[derive(Clone, Debug, Default)]
pub struct Loans(HashMap<Arc<str>, Loan>);

impl Loans {
    /// The loan of a lender, if it was ever asked.
    pub fn get(&self, id: &str) -> Option<&Loan> {
        self.0.get(id)
    }

    /// These loans, and this one.
    #[must_use]
    pub fn with(&self, id: Arc<str>, loan: Loan) -> Self {
        let mut all = self.0.clone();
        all.insert(id, loan);
        Self(all)
    }

    /// Those of these loans whose lenders are named.
    #[must_use]
    pub fn only(&self, keep: &dyn Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(id, _)| keep(id));
        Self(kept.map(|(id, loan)| (id.clone(), loan.clone())).collect())
    }

    /// The keys of a lender that are valid now.
    ///
    /// # Errors
    /// `UpstreamBroken` if there are none; the private text says what was
    /// tried.
    pub(crate) fn keys(&self, lender: &Lender, unix_us: u64) -> Result<&SigningKeys, Fault> {
        let loan = self.get(&lender.id);
        let lent = loan.and_then(|loan| loan.lent.as_deref());
        if let Some(lent) = lent.filter(|lent| lent.is_valid(unix_us)) {
            return Ok(&lent.keys);
        }
        let state = match (lent, loan) {
            (Some(_), _) => "they have expired",
            (None, Some(_)) => "there are none",
            (None, None) => "they were not fetched yet",
        };
        let trouble = loan.and_then(|loan| loan.trouble.as_deref());
        let why = trouble.map(|why| format!(": {why}")).unwrap_or_default();
        let name = &lender.name;
        Err(Fault::upstream_broken(
            "The gateway has no valid credential for this provider at the moment. Your own key is \
             fine; tell the people who run the gateway.",
        )
        .because(format!("temporary credentials by {name}: {state}{why}")))
    }
}

/// What is read to authorise a request.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// Now, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// Keys that were borrowed.
    pub loans: &'a Loans,
}
