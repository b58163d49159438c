//! The path of one request, stage by stage: a list of lines to read.

use bytes::Bytes;
use contract::{Fault, FaultKind, Operation, Origin};
use dialects::Survey;
use dialects::json::Doc;
use evidence::Outcome;
use routing::Candidate;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::reply::{Reply, ReplyBody};
use crate::spending::Reserved;

impl Exchange {
    /// Runs the exchange. `body` is the whole body, or why it could not be
    /// read. Dropping the future, or the stream it returns, cancels it.
    pub async fn run(mut self: Box<Self>, body: Result<Bytes, Fault>) -> Reply {
        if let Some(observe) = self.observe.clone() {
            return self.run_watched(observe, body).await;
        }
        match self.answer(body).await {
            Ok(Arrived::Whole {
                body,
                status,
                content_type,
                losses,
            }) => {
                self.record.outcome = Outcome::Complete;
                self.settled_usage();
                self.price_usage();
                self.judge_reasoning();
                let mut headers = self.headers(content_type);
                self.show_cost(&mut headers);
                self.declare(&losses, &mut headers);
                self.record.bytes_out = body.len() as u64;
                self.keep(status, &headers, &body);
                if let Some(ticket) = self.finish(status.as_u16(), Outcome::Complete) {
                    ticket.await;
                }
                self.kept().await;
                Reply {
                    status,
                    headers,
                    body: ReplyBody::Whole(body),
                }
            }
            Ok(Arrived::Stream(stream)) => stream.reply(self),
            Ok(Arrived::Replayed(replayed)) => self.replay(*replayed).await,
            Err(fault) => self.refuse(&fault),
        }
    }

    /// Identity was checked when the exchange was opened.
    pub(crate) async fn answer(&mut self, body: Result<Bytes, Fault>) -> Result<Arrived, Fault> {
        match self.route.operation {
            Operation::ListModels | Operation::GetModel => {
                self.take_metadata(None)?;
                return self.models();
            }
            Operation::Chat | Operation::CountTokens | Operation::Embed => {}
        }
        let body = body?;
        self.record.request.bytes = body.len() as u64;
        let doc = Doc::request(body)?;
        let mut survey = self.dialect.survey(&self.route, doc.root())?;
        self.note(&survey);
        self.take_metadata(survey.gateway)?;
        self.hold_output(&mut survey);
        self.bounds.choices = u64::from(survey.choices.max(1));
        let mut asking = Asking {
            doc: &doc,
            survey,
            canonical: None,
            closer: None,
        };
        match self.bounds.until {
            None => self.serve(&mut asking).await,
            Some(until) => self.serve_until(until, &mut asking).await,
        }
    }

    /// Serves a call that is read.
    pub(crate) async fn serve(&mut self, asking: &mut Asking<'_>) -> Result<Arrived, Fault> {
        if let Some(replayed) = self.claim_key(asking.doc.bytes()).await? {
            return Ok(replayed);
        }
        let candidates = self.decide(asking).await?;
        self.brake_reasoning(asking);
        match self.reserve(asking, candidates).await? {
            Reserved::Go(candidates) => self.try_each(asking, &candidates).await,
            Reserved::Answered(arrived) => Ok(arrived),
        }
    }

    /// Tries the candidates in order until one commits. One that cannot take
    /// the request is passed over: the next may be able to.
    async fn try_each(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: &[Candidate],
    ) -> Result<Arrived, Fault> {
        let mut told: Option<Fault> = None;
        for candidate in candidates {
            if let Err(fault) = self.reserve_attempt(candidate).await {
                told.get_or_insert(fault);
                continue;
            }
            match self.attempt(asking, candidate).await {
                Ok(arrived) => return Ok(arrived),
                Err(fault) => {
                    self.note_failed(&fault);
                    self.release_attempt();
                    let unfit = fault.kind == FaultKind::Unsupported;
                    if !unfit && !another_may_help(&fault) {
                        return Err(fault);
                    }
                    // That a candidate cannot take the request is no answer
                    // where another could and broke.
                    if told.is_none() || !unfit {
                        told = Some(fault);
                    }
                }
            }
        }
        Err(told.unwrap_or_else(no_candidate))
    }

    pub(crate) fn note(&mut self, survey: &Survey<'_>) {
        self.stream_usage = survey.stream_usage;
        let facts = &mut self.record.request;
        facts.model = Some(survey.model.as_ref().into());
        facts.stream = survey.stream;
        facts.turns = survey.turns;
        facts.tools = survey.tools;
        facts.output_tokens_max = survey
            .output_tokens_max
            .map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
    }

    /// Of the caller's two caps on the output the smaller one counts.
    fn hold_output(&mut self, survey: &mut Survey<'_>) {
        if let (Some(most), Operation::Chat) = (self.output_cap, self.route.operation) {
            let own = survey.output_tokens_max.unwrap_or(most);
            survey.output_tokens_max = Some(own.min(most));
            self.note(survey);
        }
    }

    fn models(&mut self) -> Result<Arrived, Fault> {
        let consumer = self.consumer()?.clone();
        let chain = self.decide_listing()?;
        let id = self.id.text();
        let found = match self.route.model.as_deref() {
            None => judge::models(&self.plan, &consumer, &chain),
            Some(wanted) => vec![judge::model(&self.plan, &consumer, &chain, wanted)?],
        };
        let asked = self.asked(id.as_str(), None);
        let body = self.dialect.write_models(&found, &asked);
        Ok(Arrived::json(body, Vec::new()))
    }
}

/// Whether another candidate may do better: the provider is to blame, and the
/// same request may succeed elsewhere.
fn another_may_help(fault: &Fault) -> bool {
    match fault.kind {
        FaultKind::UpstreamBusy
        | FaultKind::UpstreamBroken
        | FaultKind::Timeout
        | FaultKind::Overloaded => true,
        FaultKind::BadRequest
        | FaultKind::Unsupported
        | FaultKind::Blocked
        | FaultKind::Unauthenticated
        | FaultKind::OverBudget
        | FaultKind::Forbidden
        | FaultKind::UnknownModel
        | FaultKind::UnknownPath
        | FaultKind::MethodNotAllowed
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia
        | FaultKind::Conflict
        | FaultKind::RateLimited
        | FaultKind::UpstreamRefused
        | FaultKind::Cancelled
        | FaultKind::Internal => false,
    }
}

fn no_candidate() -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "Nobody can serve this model at the moment. Try again shortly, or use another model.",
    )
}
