//! Calls that are only watched: they bring the key of their provider, which
//! is passed on with the caller's own bytes; what comes back passes as it
//! came. The rules are asked, and nothing is done about what they say.
//!
//! This is the one place where a caller's credential goes upstream. Of it
//! nothing stands in the record but the digest in the caller's id; what a
//! provider says in an error is not recorded either, since it may repeat it.

mod intake;

use std::sync::Arc;

use access::identity::Standing;
use access::observe::{self, Observe};
use access::{Consumer, Mode};
use bytes::Bytes;
use contract::seams::{Inbound, Outbound};
use contract::{Fault, FaultKind, Operation, Origin};
use dialects::json::Doc;
use dialects::{Call, Tally};
use evidence::{Decision, FaultNote, Outcome};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, StatusCode};
use plan::ProviderPlan;
use routing::Candidate;

use crate::asking::Asking;
use crate::attempt::is_stream_of;
use crate::exchange::Exchange;
use crate::faults::wire_fault;
use crate::prepare::{endpoint, forward, usual_headers};
use crate::reply::{JSON, Reply, ReplyBody};
use crate::stream::Watching;
use crate::whole::Collect;

/// Where mirrored pairs are taken in.
const INTAKE: &str = "/v1/observe/exchanges";
/// Headers of an answer that are of its connection or of the provider's site,
/// and not passed on.
static NOT_PASSED: [HeaderName; 13] = [
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::TE,
    http::header::TRAILER,
    http::header::UPGRADE,
    http::header::PROXY_AUTHENTICATE,
    http::header::PROXY_AUTHORIZATION,
    http::header::SET_COOKIE,
    http::header::ALT_SVC,
    http::header::STRICT_TRANSPORT_SECURITY,
    http::header::DATE,
    HeaderName::from_static("keep-alive"),
];
/// Headers that only the gateway writes begin so.
const OWN_HEADERS: &str = "tollgate-";

/// What came of a call that was watched.
enum Passed {
    /// A whole answer, of whatever status.
    Whole(Whole),
    /// A stream.
    Stream(HeaderMap, Inbound, Arc<ProviderPlan>),
}

/// A whole answer, and what the record says of it.
struct Whole {
    reply: (StatusCode, HeaderMap, Bytes),
    recorded: (u16, Outcome),
}

impl Exchange {
    /// Notes that the listener only watches, if it does.
    pub(crate) fn begin_watching(&mut self, standing: &Standing) {
        let Some(observe) = &standing.observe else {
            return;
        };
        self.observe = Some(observe.clone());
        let how = if self.is_intake() {
            self.route.refused = (self.head.method != Method::POST).then(|| {
                Fault::new(
                    FaultKind::MethodNotAllowed,
                    Origin::Client,
                    "Mirrored pairs are sent here by POST.",
                )
            });
            "mirrored"
        } else {
            "proxy"
        };
        self.record.metadata.push(("observe".into(), how.into()));
    }

    /// A call that is to be passed on brings a credential.
    pub(crate) fn check_brought(&self, consumer: &Consumer) -> Result<(), Fault> {
        let passes_on = self.observe.is_some() && !self.is_intake();
        match passes_on && !consumer.key_id.contains(':') {
            true => Err(observe::missing()),
            false => Ok(()),
        }
    }

    fn is_intake(&self) -> bool {
        let takes_in = self.observe.as_ref().is_some_and(|it| it.intake);
        takes_in && self.head.uri.path() == INTAKE
    }

    /// Runs a call that is only watched.
    pub(crate) async fn run_watched(
        mut self: Box<Self>,
        observe: Arc<Observe>,
        body: Result<Bytes, Fault>,
    ) -> Reply {
        let passed = match self.is_intake() {
            true => body.and_then(|body| self.take_in(body)).map(Passed::Whole),
            false => self.pass_on(&observe, body).await,
        };
        match passed {
            Ok(Passed::Whole(whole)) => {
                let (told, outcome) = whole.recorded;
                if let Some(ticket) = self.finish(told, outcome) {
                    ticket.await;
                }
                let (status, headers, body) = whole.reply;
                Reply {
                    status,
                    headers,
                    body: ReplyBody::Whole(body),
                }
            }
            Ok(Passed::Stream(headers, inbound, provider)) => {
                let status = inbound.status;
                let stream = Watching::new(self, inbound.body, provider.times);
                Reply {
                    status,
                    headers,
                    body: ReplyBody::Stream(Box::new(stream)),
                }
            }
            Err(fault) => {
                self.note_failed(&fault);
                self.refuse(&fault)
            }
        }
    }

    async fn pass_on(
        &mut self,
        observe: &Observe,
        body: Result<Bytes, Fault>,
    ) -> Result<Passed, Fault> {
        match self.route.operation {
            Operation::ListModels | Operation::GetModel => {
                return Err(Fault::unsupported(
                    "This listener passes on calls to models only. Ask the provider itself for \
                     its models.",
                ));
            }
            Operation::Chat | Operation::CountTokens | Operation::Embed => {}
        }
        let body = body?;
        self.record.request.bytes = body.len() as u64;
        let doc = Doc::request(body)?;
        let survey = self.dialect.survey(&self.route, doc.root())?;
        self.note(&survey);
        self.note_told();
        let plan = self.plan.clone();
        let spoken = (self.dialect.id(), self.route.operation);
        let (nth, provider) = judge::provider_for(&plan, observe, spoken)?;
        let candidate = Candidate::new(nth, &survey.model, None);
        let mut asking = Asking {
            doc: &doc,
            survey,
            canonical: None,
            closer: None,
        };
        self.watch_request(&mut asking, Some(&candidate));
        self.begin_attempt(provider, &candidate);
        self.weigh(asking.doc);
        let outbound = self.as_it_came(&asking, provider)?;
        self.mark_sent();
        let inbound = self.flow.wire.send(outbound).await.map_err(wire_fault)?;
        self.mark_head(&inbound);
        let headers = self.passed_headers(&inbound);
        let is_stream = is_stream_of(self.dialect, &inbound);
        if asking.survey.stream && is_stream && inbound.status.is_success() {
            return Ok(Passed::Stream(headers, inbound, provider.clone()));
        }
        let until = self.sent().plus_ms(provider.times.total_ms);
        let limit = self.plan.settings.answer_bytes_max;
        let body = Collect::new(self, inbound.body, until, limit).await?;
        let outcome = self.note_answer(inbound.status.as_u16(), &body);
        self.record.bytes_out = body.len() as u64;
        Ok(Passed::Whole(Whole {
            reply: (inbound.status, headers, body),
            recorded: (inbound.status.as_u16(), outcome),
        }))
    }

    /// The call as it came: the caller's bytes and credential, and nothing of
    /// the gateway's own account.
    fn as_it_came(&self, asking: &Asking<'_>, provider: &ProviderPlan) -> Result<Outbound, Fault> {
        let stream = asking.survey.stream;
        let destination = self.dialect.destination(&Call {
            operation: self.route.operation,
            model: &asking.survey.model,
            stream,
            variant: self.route.variant,
            query: self.head.uri.query(),
        });
        let mut headers = usual_headers(self.dialect, stream);
        forward(self.dialect, &self.head.headers, &mut headers);
        for (name, value) in destination.headers {
            headers.entry(name).or_insert(value);
        }
        let accounts = self.dialect.account_headers().iter();
        for name in accounts.chain(observe::credential_headers()) {
            for value in self.head.headers.get_all(name) {
                let mut value = value.clone();
                value.set_sensitive(true);
                headers.append(name.clone(), value);
            }
        }
        Ok(Outbound {
            endpoint: endpoint(provider)?,
            method: destination.method,
            path: format!("{}{}", provider.base_path, destination.path),
            headers,
            body: [asking.doc.bytes().clone()].into_iter().collect(),
            head_ms: provider.times.head_ms,
        })
    }

    /// The provider's own headers, and those that every answer carries.
    fn passed_headers(&self, inbound: &Inbound) -> HeaderMap {
        let mut headers = self.headers(JSON);
        headers.remove(CONTENT_TYPE);
        let passes = |name: &&HeaderName| {
            !NOT_PASSED.contains(name) && !name.as_str().starts_with(OWN_HEADERS)
        };
        for name in inbound.headers.keys().filter(passes) {
            headers.remove(name);
            for value in inbound.headers.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers
    }

    /// What the caller tells about the call is recorded; nothing acts on it.
    fn note_told(&mut self) {
        if let Err(fault) = self.take_metadata(None) {
            self.record.decisions.push(Decision {
                stage: "metadata".into(),
                mode: Mode::Shadow.name().into(),
                verdict: "would_deny".into(),
                reason: fault.kind.name().into(),
                ..Decision::default()
            });
        }
        self.output_cap = None;
        self.unmet.clear();
    }

    /// Takes from a whole answer what the record needs of it.
    fn note_answer(&mut self, status: u16, body: &Bytes) -> Outcome {
        if status >= 300 {
            self.note_refusal(status);
            return Outcome::Failed;
        }
        match Doc::answer(body.clone()) {
            Ok(doc) => self.read_watched(&doc),
            Err(_) => self.note_unread("answer"),
        }
        self.mark_committed();
        Outcome::Complete
    }

    fn read_watched(&mut self, doc: &Doc) {
        let operation = self.route.operation;
        let mut tally = Tally::default();
        let tallied = self.dialect.tally_answer(operation, doc.root(), &mut tally);
        let mut unread = tallied.is_err();
        self.note_tally(&tally);
        self.count_whole(None, (self.dialect, doc));
        if let Some(mut inspector) = self.inspector() {
            match self.dialect.read_answer(operation, doc.root()) {
                // In a chain that watches nothing is denied.
                Ok(answer) => drop(inspector.answer(&answer)),
                Err(_) => unread = true,
            }
            self.note_rulings(&inspector.take_rulings());
        }
        if unread {
            self.note_unread("answer");
        }
    }

    /// The provider refused the call: it told the caller itself.
    fn note_refusal(&mut self, status: u16) {
        let (kind, origin) = match status {
            500.. => (FaultKind::UpstreamBroken, Origin::Provider),
            429 => (FaultKind::UpstreamBusy, Origin::Provider),
            _ => (FaultKind::UpstreamRefused, Origin::Client),
        };
        let fault = Fault::new(
            kind,
            origin,
            "The provider refused the call in its own words.",
        )
        .because(format!("status {status}"));
        self.note_failed(&fault);
        self.record.fault = Some(FaultNote::from(&fault));
    }

    /// Something passed that could not be read, so the record lacks it.
    pub(crate) fn note_unread(&mut self, what: &'static str) {
        self.record.decisions.push(Decision {
            stage: "observe".into(),
            verdict: "unread".into(),
            reason: what.into(),
            ..Decision::default()
        });
    }
}
