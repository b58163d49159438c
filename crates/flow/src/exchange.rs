//! One exchange: what it holds from arrival to its record. Permits, slot and
//! record belong to it, never to the future of a response head, so a caller
//! that goes away at any moment still leaves exactly one record.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use access::certificate::Peer;
use access::identity::{Knock, Standing};
use access::metadata::{CURRENT, Version};
use access::observe::Observe;
use access::{Consumer, KeyLife, Metadata};
use contract::seams::Ticks;
use contract::{Fault, FaultKind, Loss, Operation, Origin, Retry};
use dialects::{Asked, Dialect, Head, Route, Tally};
use evidence::{
    Attempt, FaultNote, InFlight, LossNote, Outcome, Record, RequestId, RouteKey, Side, Sides, Slot,
};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use judge::{Identified, Readings};
use plan::{Plan, ProviderPlan, Rollout};
use store::Ticket;

use crate::Flow;
use crate::bounds::Bounds;
use crate::estimate::guess::Guess;
use crate::faults::{behind, internal, no_slot};
use crate::held::{Approving, Held};
use crate::keyed::Idempotent;
use crate::purse::Purse;
use crate::reply::{
    ATTEMPTS, CONTRACT, MODEL, PLAN, PROVIDER, REQUEST_ID, RETRY_AFTER_MS, Reply, ReplyBody,
    SHOULD_RETRY,
};

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Address of the peer; `None` on a unix socket.
    pub address: Option<IpAddr>,
    /// Its certificate, where the handshake brought one.
    pub certificate: Option<Arc<Peer>>,
    /// What the listener says about its callers.
    pub standing: Arc<Standing>,
}

/// One exchange in progress. It is large, so it is boxed at its birth and
/// moves as a pointer from there on.
pub struct Exchange {
    pub(crate) flow: Arc<Flow>,
    pub(crate) plan: Arc<Plan>,
    /// The roll-out that is on, until it is known who calls.
    rollout: Option<Arc<Rollout>>,
    /// The side of it that the caller is on, and where its end is counted.
    pub(crate) on_side: Option<(Side, Arc<Sides>)>,
    pub(crate) id: RequestId,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) route: Route,
    pub(crate) head: Parts,
    pub(crate) arrived: Ticks,
    pub(crate) record: Record,
    pub(crate) consumer: Option<Arc<Consumer>>,
    /// What the key goes through, if it was made at run time.
    pub(crate) life: Option<Arc<KeyLife>>,
    pub(crate) served: Option<Served>,
    /// Where the request came from; `None` on a unix socket.
    pub(crate) address: Option<IpAddr>,
    /// What the caller told about the call.
    pub(crate) metadata: Metadata,
    /// What the caller told in vain: nothing acts on it.
    pub(crate) unmet: Vec<Loss>,
    /// The version of the contract that is served.
    pub(crate) contract: &'static Version,
    /// What policy holds the call to, where there are rules.
    pub(crate) held: Option<Arc<Held>>,
    /// The listener that only watches, if it came by one.
    pub(crate) observe: Option<Arc<Observe>>,
    /// How long it took, where that is told and not measured; microseconds.
    pub(crate) told_us: Option<u64>,
    /// Most output tokens, where something caps them.
    pub(crate) output_cap: Option<u64>,
    /// What the caller holds the whole of it to.
    pub(crate) bounds: Bounds,
    /// What is known of its tokens without the provider.
    pub(crate) guess: Guess,
    /// What approvals of the call go by, where a rule may want one.
    pub(crate) approving: Option<Box<Approving>>,
    /// What the call owes to its idempotency key, if it has one.
    pub(crate) idempotent: Option<Box<Idempotent>>,
    /// Rules in mode `warn` that were broken.
    pub(crate) warnings: Vec<String>,
    /// What it holds of limits and budgets.
    pub(crate) spending: Option<Box<Purse>>,
    /// The limits of the caller's own key.
    pub(crate) own_quotas: Option<Arc<meter::Quotas>>,
    /// Its fingerprint, where a limit goes by that.
    pub(crate) content: Option<Box<str>>,
    /// The model that is taken instead of the one that was asked for.
    pub(crate) instead: Option<Arc<str>>,
    /// Why the answer is less than what was asked for.
    pub(crate) degraded: Option<&'static str>,
    /// The caller asked for usage in the stream, or its dialect always has it.
    pub(crate) stream_usage: bool,
    /// What it took is priced.
    pub(crate) is_priced: bool,
    slot: Option<Slot>,
    _live: InFlight,
}

/// Who serves the exchange at the moment.
pub(crate) struct Served {
    pub(crate) provider: Arc<ProviderPlan>,
    pub(crate) model: HeaderValue,
}

impl Flow {
    /// Takes in the head of a request: finds its route and its caller. The
    /// body need not have arrived, so that nobody unknown makes us read one.
    ///
    /// # Errors
    /// The refusal, ready to be sent.
    pub fn open(
        self: &Arc<Self>,
        head: Parts,
        caller: Caller,
    ) -> Result<Box<Exchange>, Box<Reply>> {
        let mut exchange = self.begin(head)?;
        match exchange.admit(caller) {
            Ok(()) => Ok(exchange),
            Err(fault) => Err(Box::new(exchange.refuse(&fault))),
        }
    }

    /// Refuses a request that never became a call, with its record. `status`
    /// is finer than the one of the fault's kind (a head too large, an
    /// upgrade that is not served).
    pub fn refuse(self: &Arc<Self>, head: Parts, fault: &Fault, status: StatusCode) -> Reply {
        // The body says the same status as the head.
        let fault = fault.clone().with_status(status.as_u16());
        match self.begin(head) {
            Ok(exchange) => exchange.refuse(&fault),
            Err(reply) => *reply,
        }
    }

    fn begin(self: &Arc<Self>, head: Parts) -> Result<Box<Exchange>, Box<Reply>> {
        let unix_us = self.clock.unix_us();
        let id = RequestId::mint(unix_us, self.dice.roll());
        let uri = &head.uri;
        let view = Head {
            method: &head.method,
            path: uri.path(),
            query: uri.query(),
            headers: &head.headers,
        };
        let (dialect, route) = dialects::route(&view).unwrap_or_else(|| unknown_path(&view));
        let mut record = Record::begin(id, unix_us);
        record.dialect = dialect.id().0.into();
        record.operation = route.operation.name().into();
        record.contract = plan::CONTRACT;
        record.decider = judge::DECIDER;
        let in_force = self.plan.load();
        let (plan, rollout) = (in_force.plan.clone(), in_force.rollout.clone());
        record.plan = Some(plan.digest.clone());
        let slot = self.evidence.admit();
        let mut exchange = Box::new(Exchange {
            arrived: self.clock.now(),
            flow: self.clone(),
            plan,
            rollout,
            on_side: None,
            id,
            dialect,
            route,
            head,
            record,
            consumer: None,
            life: None,
            served: None,
            address: None,
            metadata: Metadata::default(),
            unmet: Vec::new(),
            contract: &CURRENT,
            held: None,
            observe: None,
            told_us: None,
            output_cap: None,
            bounds: Bounds::default(),
            guess: Guess::default(),
            approving: None,
            idempotent: None,
            warnings: Vec::new(),
            spending: None,
            own_quotas: None,
            content: None,
            instead: None,
            degraded: None,
            stream_usage: false,
            is_priced: false,
            slot: None,
            _live: self.evidence.meter().enter(),
        });
        match slot {
            Ok(slot) => {
                exchange.slot = Some(slot);
                match self.evidence.is_closed(unix_us) {
                    false => Ok(exchange),
                    true => Err(Box::new(exchange.refuse(&behind()))),
                }
            }
            Err(_) => Err(Box::new(exchange.refuse(&no_slot()))),
        }
    }
}

impl Exchange {
    /// Largest body that is accepted, bytes.
    pub fn body_bytes_max(&self) -> usize {
        self.plan.settings.body_bytes_of(self.route.operation)
    }

    /// The head of the request.
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// Ends the exchange with a fault.
    pub(crate) fn refuse(mut self: Box<Self>, fault: &Fault) -> Reply {
        let reply = self.fault_reply(fault);
        self.record.fault = Some(FaultNote::from(fault));
        let outcome = if self.record.attempts.is_empty() {
            Outcome::Refused
        } else {
            Outcome::Failed
        };
        if let ReplyBody::Whole(body) = &reply.body {
            self.record.bytes_out = body.len() as u64;
        }
        self.keep_refusal(&reply);
        // A refusal promises nothing that a lost row could break.
        drop(self.finish(reply.status.as_u16(), outcome));
        reply
    }

    fn admit(&mut self, caller: Caller) -> Result<(), Fault> {
        self.address = caller.address;
        self.begin_watching(&caller.standing);
        if let Some(fault) = self.route.refused.take() {
            if matches!(fault.kind, FaultKind::UnknownPath) {
                self.record.operation = "".into();
                self.record.path =
                    Some(format!("{} {}", self.head.method, self.head.uri.path()).into());
            }
            return Err(fault);
        }
        let mut found = self.identify(&caller)?;
        if let Some(rollout) = self.rollout.take()
            && self.take_side(&rollout, &found.consumer)
        {
            found = self.identify(&caller)?;
        }
        self.check_brought(&found.consumer)?;
        self.address = found.address;
        if let Some(life) = found.life {
            life.note_used(self.record.arrived_us);
            // Now, since the key may end before the body is there.
            self.own_quotas = self.quotas_of_key(&life, &found.consumer.key_id)?;
            self.life = Some(life);
        }
        let consumer = found.consumer;
        let who = &mut self.record.who;
        who.key_id = Some(consumer.key_id.clone());
        who.tenant = Some(consumer.tenant.clone());
        who.app = Some(consumer.app.clone());
        who.user = consumer.user.clone();
        self.consumer = Some(consumer);
        Ok(())
    }

    fn identify(&self, caller: &Caller) -> Result<Identified, Fault> {
        let knock = Knock {
            headers: &self.head.headers,
            peer: caller.address,
            certificate: caller.certificate.as_deref(),
            standing: &caller.standing,
        };
        let live = self.flow.keys.load();
        let tokens = &self.flow.tokens;
        let found = tokens.with(|issuers, memory| {
            let readings = Readings {
                live: &live,
                issuers,
                now_us: self.record.arrived_us,
            };
            judge::identify(&self.plan, &knock, readings, memory)
        });
        found.map_err(|unaccepted| {
            if let Some(source) = &unaccepted.ask {
                tokens.ask(source);
            }
            unaccepted.fault
        })
    }

    pub(crate) fn consumer(&self) -> Result<&Arc<Consumer>, Fault> {
        self.consumer
            .as_ref()
            .ok_or_else(|| internal("an exchange without a caller went on"))
    }

    pub(crate) fn asked<'a>(
        &'a self,
        id: &'a str,
        request: Option<&'a contract::Request>,
    ) -> Asked<'a> {
        Asked {
            route: &self.route,
            model: self.record.request.model.as_deref().unwrap_or_default(),
            request_id: id,
            now_s: self.record.arrived_us / 1_000_000,
            stream_usage: self.stream_usage,
            request,
        }
    }

    pub(crate) fn id_header(&self) -> HeaderValue {
        HeaderValue::from_str(self.id.text().as_str()).expect("hex digits and hyphens")
    }

    /// Microseconds since arrival.
    pub(crate) fn elapsed_us(&self) -> u64 {
        self.flow.clock.now().since_ns(self.arrived) / 1_000
    }

    /// When the call that is under way was sent; its deadlines count from
    /// there. Now, if none was.
    pub(crate) fn sent(&self) -> Ticks {
        let sent_us = self.record.attempts.last().and_then(|it| it.times.sent_us);
        match sent_us {
            Some(us) => Ticks(self.arrived.0.saturating_add(us.saturating_mul(1_000))),
            None => self.flow.clock.now(),
        }
    }

    pub(crate) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        self.record.attempts.last_mut()
    }

    /// Puts losses into the record and the header.
    pub(crate) fn declare(&mut self, losses: &[Loss], headers: &mut http::HeaderMap) {
        let unmet = std::mem::take(&mut self.unmet);
        let all = match unmet.is_empty() {
            true => Cow::Borrowed(losses),
            false => Cow::Owned([&unmet, losses].concat()),
        };
        self.record.losses.extend(all.iter().map(LossNote::from));
        if let Some(value) = crate::reply::loss_header(&all) {
            headers.insert(crate::reply::LOSS, value);
        }
    }

    /// Takes over what an answer told.
    pub(crate) fn note_tally(&mut self, tally: &Tally) {
        if let Some(usage) = tally.told() {
            self.record.usage = usage;
        }
        self.guess.seen = tally.seen;
        self.record
            .finish
            .extend(tally.finish.map(|reason| reason.name().into()));
    }

    /// Writes the record; only the first call does. The ticket is ready when
    /// the record is as durable as configured (at once by default).
    pub(crate) fn finish(&mut self, status: u16, outcome: Outcome) -> Option<Ticket> {
        let slot = self.slot.take()?;
        self.record.outcome = outcome;
        self.settled_usage();
        self.learn_factors();
        self.price_usage();
        self.judge_reasoning();
        let tag = self.settle_spending();
        self.settle_key(status, outcome);
        let elapsed_us = self.told_us.unwrap_or_else(|| self.elapsed_us());
        let record = &mut self.record;
        record.status = status;
        record.duration_us = elapsed_us;
        if let Some(attempt) = record.attempts.last_mut() {
            let last_us = *attempt.times.last_us.get_or_insert(elapsed_us);
            let sent_us = attempt.times.sent_us.unwrap_or(last_us);
            record.overhead_us = Some(elapsed_us.saturating_sub(last_us.saturating_sub(sent_us)));
        }
        if let Some((side, sides)) = &self.on_side {
            self.flow.evidence.meter().count_side(sides, *side, record);
        }
        let served = record.served();
        let key = RouteKey {
            dialect: self.dialect.id().0,
            operation: &record.operation,
            provider: served.map_or("", |attempt| &attempt.provider),
            model: served.map_or("", |attempt| &attempt.model),
            tenant: record.who.tenant.as_deref().unwrap_or_default(),
            use_case: record.who.use_case.as_deref().unwrap_or_default(),
        };
        let handles = self.flow.handles.of(self.flow.evidence.meter(), &key);
        let ticket = match (tag, &self.flow.inflight) {
            (Some(tag), Some(inflight)) => slot.write_seen(record, &handles, |row, ticket| {
                inflight.end(tag, row, ticket);
            }),
            (Some(_) | None, _) => slot.write(record, &handles),
        };
        Some(ticket)
    }
}

impl Exchange {
    /// The headers that every answer carries.
    pub(crate) fn headers(&self, content_type: HeaderValue) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(10);
        headers.insert(CONTENT_TYPE, content_type);
        let id = self.id_header();
        self.dialect.dress(&id, &mut headers);
        headers.insert(REQUEST_ID, id);
        headers.insert(PLAN, self.plan.digest_header.clone());
        headers.insert(CONTRACT, HeaderValue::from_static(self.contract.date));
        if let Some(served) = &self.served {
            headers.insert(PROVIDER, served.provider.name_header.clone());
            headers.insert(MODEL, served.model.clone());
            let attempts = match self.record.attempts.len() {
                1 => HeaderValue::from_static("1"),
                more => HeaderValue::from(more),
            };
            headers.insert(ATTEMPTS, attempts);
        }
        if let Some(approval) = self.approving.as_ref().and_then(|it| it.header.as_ref()) {
            headers.insert(crate::reply::APPROVAL, approval.clone());
        }
        self.show_limits(&mut headers);
        if let Some(why) = self.degraded {
            headers.insert(crate::reply::DEGRADED, HeaderValue::from_static(why));
        }
        if let Some(warnings) = self.warn_header() {
            headers.insert(crate::reply::WARN, warnings);
        }
        headers
    }

    /// The fault in the caller's dialect.
    pub(crate) fn fault_reply(&self, fault: &Fault) -> Reply {
        let id = self.id.text();
        let written = self.dialect.write_fault(fault, id.as_str());
        let mut headers = self.headers(HeaderValue::from_static(written.content_type));
        headers.extend(written.headers);
        match fault.retry {
            Retry::Never => headers.insert(SHOULD_RETRY, HeaderValue::from_static("false")),
            Retry::After { ms } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
                headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("true"))
            }
            Retry::Other => headers.insert(SHOULD_RETRY, HeaderValue::from_static("true")),
        };
        if fault.kind == FaultKind::MethodNotAllowed {
            // RFC 9110, section 15.5.6. Models are read; everything else is
            // asked for by a body.
            let allowed = match self.route.operation {
                Operation::ListModels | Operation::GetModel => "GET, HEAD",
                Operation::Chat | Operation::CountTokens | Operation::Embed => "POST",
            };
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        let status =
            StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Reply {
            status,
            headers,
            body: ReplyBody::Whole(written.body),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.slot.is_some() {
            let fault = Fault::new(
                FaultKind::Cancelled,
                Origin::Client,
                "The caller went away.",
            );
            self.record.fault = Some(FaultNote::from(&fault));
            // Nobody waits for this answer, so nobody waits for its record.
            drop(self.finish(FaultKind::Cancelled.status(), Outcome::Cancelled));
        }
    }
}

fn unknown_path(head: &Head<'_>) -> (&'static dyn Dialect, Route) {
    let dialect = dialects::likely(head);
    let mut route = Route::new(dialect.id(), Operation::Chat);
    let path: String = head.path.chars().take(200).collect();
    route.refused = Some(Fault::new(
        FaultKind::UnknownPath,
        Origin::Client,
        format!(
            "Nothing is served at {} {path}. Check the base URL of your client: it may need `/v1`, \
             or must not have it.",
            head.method
        ),
    ));
    (dialect, route)
}
