//! One attempt: a call to one candidate, until it commits or fails.

use std::sync::Arc;

use bytes::Bytes;
use contract::seams::Inbound;
use contract::{Fault, Operation};
use dialects::Dialect;
use evidence::{Attempt, FaultNote};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use plan::ProviderPlan;
use providers::Refusal;
use routing::Candidate;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::{Exchange, Served};
use crate::faults::{cannot, wire_fault};
use crate::prepare::Prepared;
use crate::stream::Streaming;
use crate::whole::{Collect, Shape};

/// Largest error body of a provider that is read, bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// Headers in which vendors tell their own request id.
static UPSTREAM_IDS: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("apim-request-id"),
];

impl Exchange {
    /// Calls one candidate.
    pub(crate) async fn attempt(
        &mut self,
        asking: &mut Asking<'_>,
        candidate: &Candidate,
    ) -> Result<Arrived, Fault> {
        let provider = self.plan.providers[candidate.provider].clone();
        self.begin_attempt(&provider, candidate);
        self.weigh(asking.doc);
        if let Some(model) = provider.kind.provider.local() {
            let mut found = self.ask_local(model, asking);
            while found.is_err() && self.approve_waiting().await? {
                found = self.ask_local(model, asking);
            }
            return found;
        }
        let operation = self.route.operation;
        let Some(dialect) = provider.dialect_for(self.dialect.id(), operation) else {
            return match operation {
                Operation::CountTokens => self.count_here(asking),
                Operation::Chat
                | Operation::Embed
                | Operation::ListModels
                | Operation::GetModel => Err(cannot(operation)),
            };
        };
        let (outbound, prepared) = self.prepare(asking, candidate, &provider, dialect)?;
        self.mark_sent();
        let sent = self.flow.wire.send(outbound).await;
        let inbound = sent.map_err(|fault| wire_fault(self.note_unsent(fault)))?;
        self.mark_head(&inbound);
        if inbound.status.as_u16() >= 300 {
            return Err(self.refusal(&provider, prepared.dialect, inbound).await);
        }
        if let Some(encoding) = inbound.headers.get(CONTENT_ENCODING)
            && encoding != "identity"
        {
            self.bill_unusable();
            return Err(encoded().because(format!("content-encoding {encoding:?}")));
        }
        self.receive(asking, &provider, prepared, inbound).await
    }

    async fn receive(
        &mut self,
        asking: &Asking<'_>,
        provider: &Arc<ProviderPlan>,
        prepared: Prepared,
        inbound: Inbound,
    ) -> Result<Arrived, Fault> {
        let streamed = is_stream_of(prepared.dialect, &inbound);
        if asking.survey.stream && streamed {
            let mut stream = Streaming::new(self, asking, provider, prepared, inbound);
            stream.commit(self).await?;
            return Ok(Arrived::Stream(Box::new(stream)));
        }
        let limit = self.plan.settings.answer_bytes_max;
        let until = self.sent().plus_ms(provider.times.total_ms);
        let body = Collect::new(self, inbound.body, until, limit).await;
        let body = body.inspect_err(|_| self.bill_unusable())?;
        let shape = Shape {
            prepared,
            stream_wanted: asking.survey.stream,
        };
        // Kept for another look only where people may have to look first.
        let kept = self.may_wait().then(|| body.clone());
        let mut found = self.read_whole(asking, &shape, body);
        while let (Err(_), Some(body)) = (&found, &kept)
            && self.approve_waiting().await?
        {
            found = self.read_whole(asking, &shape, body.clone());
        }
        found
    }

    /// What a provider's refusal means.
    async fn refusal(
        &mut self,
        provider: &ProviderPlan,
        dialect: &dyn Dialect,
        inbound: Inbound,
    ) -> Fault {
        let Inbound {
            status,
            headers,
            body,
        } = inbound;
        let retry_after_ms = providers::retry_after_ms(&headers);
        // A body that cannot be read leaves the status, which says enough.
        let until = self.flow.clock.now().plus_ms(provider.times.idle_ms);
        let body = Collect::new(self, body, until, ERROR_BYTES_MAX)
            .await
            .unwrap_or_else(|_| Bytes::new());
        let error = dialect.read_error(status.as_u16(), &headers, &body);
        provider.kind.provider.classify(Refusal {
            error,
            retry_after_ms,
        })
    }

    pub(crate) fn begin_attempt(&mut self, provider: &Arc<ProviderPlan>, candidate: &Candidate) {
        let attempt = Attempt {
            provider: provider.name.clone(),
            model: candidate.model.clone(),
            ..Attempt::default()
        };
        self.record.attempts.push(attempt);
        self.served = Some(Served {
            provider: provider.clone(),
            model: candidate.model_header.clone(),
        });
    }

    pub(crate) fn mark_sent(&mut self) {
        let now = self.elapsed_us();
        if let Some(attempt) = self.attempt_mut() {
            attempt.times.sent_us = Some(now);
        }
    }

    pub(crate) fn mark_head(&mut self, inbound: &Inbound) {
        let now = self.elapsed_us();
        let id = UPSTREAM_IDS
            .iter()
            .find_map(|name| inbound.headers.get(name)?.to_str().ok());
        let id = id.map(Into::into);
        if let Some(attempt) = self.attempt_mut() {
            attempt.times.head_us = Some(now);
            attempt.status = Some(inbound.status.as_u16());
            attempt.upstream_request_id = id;
        }
    }

    pub(crate) fn note_failed(&mut self, fault: &Fault) {
        let now = self.elapsed_us();
        if let Some(attempt) = self.attempt_mut() {
            attempt.times.last_us = Some(now);
            attempt.fault = Some(FaultNote::from(fault));
        }
    }
}

/// Whether an answer says that it is a stream in the framing of a dialect.
pub(crate) fn is_stream_of(dialect: &dyn Dialect, inbound: &Inbound) -> bool {
    inbound.headers.get(CONTENT_TYPE).is_some_and(|value| {
        let wanted = dialect.framing().content_type().as_bytes();
        let head = value.as_bytes().get(..wanted.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(wanted))
    })
}

fn encoded() -> Fault {
    Fault::upstream_broken(
        "The provider compressed its answer although it was not asked to. Try again; if it \
         persists, look at what stands between the gateway and the provider.",
    )
}
