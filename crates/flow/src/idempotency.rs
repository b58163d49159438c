//! The idempotency stage: of the calls with one key the first one runs, and
//! the others get its answer, or none, but never a second call.
//!
//! A key is an app's own. It is claimed before policy is asked and before
//! anything is sent, and settled with the record of the exchange, which is
//! written exactly once, however the exchange ends.
//!
//! Deliberately not here: what a repeat is told and which ends free a key
//! (`judge`), and where keys are kept (`store`).

mod keep;
mod said;

use std::future::poll_fn;

use access::metadata::Field;
use bytes::Bytes;
use contract::seams::WireFault;
use contract::{Fault, Loss, Operation};
use evidence::{Decision, Outcome, Value};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use judge::idempotency::{Earlier, Repeat, repeat};
use plan::Idempotency;
use store::{
    Crowded, LaneClaimed, LiveClaim, RepliesError, ReplyClaim, ReplyKey, ReplyLane, ReplyLimits,
    ReplyRow, ReplyState,
};

use crate::arrived::Arrived;
use crate::exchange::Exchange;
use crate::keyed::{Idempotent, Replayed};
use crate::policy::reading;
use crate::reply::{ORIGINAL, REPLAY, Reply, ReplyBody};

/// The header that names the key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, bytes.
const KEY_BYTES_MAX: usize = 255;
/// Pauses between two looks whether the first call has ended: the first, and
/// the longest, to which they grow.
const LOOK_MS: u64 = 20;
const LOOK_MS_MAX: u64 = 500;

/// What came of a key.
struct Found {
    verdict: &'static str,
    code: &'static str,
}

impl Found {
    const FIRST: Self = Self::of("allow", "first");
    const REPLAY: Self = Self::of("replay", "replay");
    const CONFLICT: Self = Self::of("deny", "conflict");
    const NOT_RETAINED: Self = Self::of("deny", "completed_not_retained");
    const UNKNOWN: Self = Self::of("deny", "outcome_unknown");
    const STILL_RUNNING: Self = Self::of("deny", "still_running");
    const CROWDED: Self = Self::of("deny", "too_many_repeats");
    const FULL: Self = Self::of("deny", "keys_full");
    const UNAVAILABLE: Self = Self::of("deny", "replies_unavailable");
    const REVOKED: Self = Self::of("deny", "key_revoked");

    const fn of(verdict: &'static str, code: &'static str) -> Self {
        Self { verdict, code }
    }
}

/// The verdict while nothing has come of a key, for the record of a caller who
/// leaves meanwhile.
const OPEN: &str = "open";

/// A call on its way to its key.
struct Knock {
    lane: ReplyLane,
    claim: ReplyClaim,
    settings: Idempotency,
    /// When it came to the key.
    since_us: u64,
}

impl Exchange {
    /// Claims the key of the call, if it has one: it goes on as the first, or
    /// gets the answer of the first.
    pub(crate) async fn claim_key(&mut self, body: &Bytes) -> Result<Option<Arrived>, Fault> {
        let calls_a_model = match self.route.operation {
            Operation::Chat | Operation::Embed => true,
            Operation::CountTokens | Operation::ListModels | Operation::GetModel => false,
        };
        if !calls_a_model || !self.head.headers.contains_key(KEY) {
            return Ok(None);
        }
        if !self.plan.idempotency.enabled {
            let why = "this gateway keeps no idempotency keys, so a repeat is a second call";
            self.unmet.push(Loss::new("idempotency-key", why));
            return self.refuse_unmet().map(|()| None);
        }
        // Boxed, so that calls without a key carry no room for it.
        Box::pin(self.claim_own(body)).await
    }

    async fn claim_own(&mut self, body: &Bytes) -> Result<Option<Arrived>, Fault> {
        let mut values = self.head.headers.get_all(KEY).iter();
        let (first, more) = (values.next(), values.next());
        let text = first.filter(|_| more.is_none()).map(HeaderValue::as_bytes);
        let is_good = |text: &&[u8]| {
            let is_printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
            is_printable && (1..=KEY_BYTES_MAX).contains(&text.len())
        };
        let text = text.filter(is_good).ok_or_else(said::malformed)?;
        let key = self.own_key(text)?;
        let settings = self.plan.idempotency;
        self.record.decisions.push(Decision {
            stage: "idempotency".into(),
            verdict: OPEN.into(),
            readings: vec![reading("key", Value::Word(short(&key.digest).into()))],
            ..Decision::default()
        });
        let Some(lane) = self.flow.replies.clone() else {
            self.note_key(&Found::UNAVAILABLE);
            return Err(said::unavailable().because("no store of replies is open"));
        };
        let claim = ReplyClaim {
            key,
            request: self.asked_digest(body),
            by: self.id.text().as_str().to_owned(),
            owner: String::new(),
            now_us: 0,
            lease_us: 0,
            ttl_us: settings.ttl_us,
            retakes_unknown: settings.runs_unknown,
            limits: ReplyLimits {
                keys: settings.keys_max,
                keys_per_tenant: settings.tenant_keys_max,
                bytes: settings.total_bytes,
            },
        };
        let since_us = self.elapsed_us();
        let found = self.knock(Knock {
            lane,
            claim,
            settings,
            since_us,
        });
        found.await
    }

    /// The key as the store knows it: the same text of another app is another
    /// key.
    fn own_key(&self, text: &[u8]) -> Result<ReplyKey, Fault> {
        let consumer = self.consumer()?;
        Ok(ReplyKey {
            tenant: consumer.tenant.to_string(),
            app: consumer.app.to_string(),
            digest: *blake3::hash(text).as_bytes(),
        })
    }

    /// The digest of all that is asked: where, in which dialect, and the body,
    /// byte for byte. What other headers tell about the call is not in it.
    fn asked_digest(&self, body: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let uri = &self.head.uri;
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        for part in [self.head.method.as_str(), self.dialect.id().0, path, query] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(body);
        *hasher.finalize().as_bytes()
    }

    /// Asks for the key until something comes of it.
    async fn knock(&mut self, mut knock: Knock) -> Result<Option<Arrived>, Fault> {
        let until = self.flow.clock.now().plus_ms(knock.settings.wait_ms);
        let mut seat = None;
        loop {
            knock.claim.now_us = self.flow.clock.unix_us();
            let row = match knock.lane.claim(knock.claim.clone()).await {
                Ok(LaneClaimed::First(live)) => {
                    self.take_key(live, knock);
                    return Ok(None);
                }
                Ok(LaneClaimed::Found(row)) => row,
                Err(error) => return Err(self.no_key(&error)),
            };
            let is_same = row.request == knock.claim.request;
            let told = repeat(is_same, earlier(&row));
            self.read_key(&row, &knock);
            // A repeat whose key was revoked while it waited gets nothing.
            if self.life.as_ref().is_some_and(|life| life.is_revoked()) {
                self.note_key(&Found::REVOKED);
                return Err(access::revoked());
            }
            match told {
                Repeat::Wait => {}
                Repeat::Replay | Repeat::Conflict | Repeat::NotRetained | Repeat::Unknown => {
                    return self.tell(told, row);
                }
            }
            if self.flow.clock.now() >= until {
                self.note_key(&Found::STILL_RUNNING);
                return Err(said::still_running(&row));
            }
            if seat.is_none() {
                let taken = knock.lane.seat(&knock.claim.key);
                seat = Some(taken.map_err(|crowded| self.crowded(crowded))?);
                self.flow.evidence.meter().idempotency("waited");
            }
            self.await_end(&knock, until).await?;
        }
    }

    /// Waits until the first call does not run any more, or time is up.
    async fn await_end(
        &mut self,
        knock: &Knock,
        until: contract::seams::Ticks,
    ) -> Result<(), Fault> {
        let clock = self.flow.clock.clone();
        let mut pause_ms = LOOK_MS;
        loop {
            let look = clock.now().plus_ms(pause_ms).min(until);
            let mut alarm = clock.alarm(look);
            poll_fn(|cx| alarm.poll_ring(cx)).await;
            let key = knock.claim.key.clone();
            let running = knock.lane.is_running(key, clock.unix_us()).await;
            let running = running.map_err(|error| self.no_key(&error))?;
            let is_revoked = self.life.as_ref().is_some_and(|life| life.is_revoked());
            if !running || is_revoked || clock.now() >= until {
                return Ok(());
            }
            pause_ms = (pause_ms * 2).min(LOOK_MS_MAX);
        }
    }

    /// The call is the first with its key.
    fn take_key(&mut self, mut live: LiveClaim, knock: Knock) {
        // From here on the end of the exchange settles it.
        live.begin();
        let settings = knock.settings;
        self.idempotent = Some(Box::new(Idempotent {
            live: Some(live),
            retains: self.may_keep(&settings).then_some(settings.body_bytes),
            unsent: Vec::new(),
            head: None,
            body: None,
            lane: knock.lane,
            kept: None,
        }));
        self.note_key(&Found::FIRST);
    }

    /// Whether the answer may be kept: where the plan says so, unless the
    /// caller wants nothing kept of it.
    fn may_keep(&self, settings: &Idempotency) -> bool {
        let retention = self.metadata.shared(Field::Retention);
        let is_kept_by_caller = retention.is_none_or(|told| &*told == "full");
        let directives = self.head.headers.get_all(CACHE_CONTROL).iter();
        let mut directives = directives.flat_map(|value| value.as_bytes().split(|it| *it == b','));
        let no_store = directives.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"no-store"));
        settings.retains && is_kept_by_caller && !no_store
    }

    /// What a repeat is told.
    fn tell(&mut self, told: Repeat, row: ReplyRow) -> Result<Option<Arrived>, Fault> {
        let (found, answer) = match (told, row.state) {
            (
                Repeat::Replay,
                ReplyState::Completed {
                    reply: Some(reply), ..
                },
            ) => {
                let by = HeaderValue::try_from(row.by);
                let by = by.map_err(|_| said::unavailable().because("an id is no header"))?;
                let replayed = Replayed { by, reply };
                let arrived = Arrived::Replayed(Box::new(replayed));
                (Found::REPLAY, Ok(Some(arrived)))
            }
            (Repeat::Conflict, _) => (Found::CONFLICT, Err(said::conflict(&row.by))),
            (_, ReplyState::Completed { status, .. }) => {
                let fault = said::not_retained(&row.by, status);
                (Found::NOT_RETAINED, Err(fault))
            }
            (_, ReplyState::Running | ReplyState::Unknown) => {
                (Found::UNKNOWN, Err(said::unknown(&row.by)))
            }
        };
        self.note_key(&found);
        answer
    }

    /// The store does not give the key.
    fn no_key(&mut self, error: &RepliesError) -> Fault {
        let (found, fault) = match error {
            RepliesError::Full(..) => (Found::FULL, said::full()),
            RepliesError::Busy
            | RepliesError::Foreign(_)
            | RepliesError::Sqlite(_)
            | RepliesError::Io(_)
            | RepliesError::Remote(_) => (Found::UNAVAILABLE, said::unavailable()),
        };
        self.note_key(&found);
        fault.because(error.to_string())
    }

    fn crowded(&mut self, crowded: Crowded) -> Fault {
        self.note_key(&Found::CROWDED);
        said::crowded(crowded)
    }

    /// What was read of an earlier call, for the record.
    fn read_key(&mut self, row: &ReplyRow, knock: &Knock) {
        let waited_us = self.elapsed_us().saturating_sub(knock.since_us);
        let state = match &row.state {
            ReplyState::Running => "running",
            ReplyState::Completed { .. } => "completed",
            ReplyState::Unknown => "unknown",
        };
        let is_same = row.request == knock.claim.request;
        let readings = vec![
            reading("first_call", Value::Word(row.by.clone().into())),
            reading("state", Value::Word(state.into())),
            reading("same_request", Value::Int(is_same.into())),
            reading(
                "waited_ms",
                Value::Int(i64::try_from(waited_us / 1_000).unwrap_or(i64::MAX)),
            ),
        ];
        if let Some(decision) = self.key_decision() {
            decision.readings.truncate(1);
            decision.readings.extend(readings);
        }
    }

    /// What came of the key, for the record and the metrics.
    fn note_key(&mut self, found: &Found) {
        if let Some(decision) = self.key_decision() {
            decision.verdict = found.verdict.into();
            decision.reason = found.code.into();
        }
        self.flow.evidence.meter().idempotency(found.code);
    }

    fn key_decision(&mut self) -> Option<&mut Decision> {
        let mut decisions = self.record.decisions.iter_mut();
        decisions.find(|it| it.stage == "idempotency")
    }

    /// Notes a call of which its provider saw nothing.
    pub(crate) fn note_unsent(&mut self, fault: WireFault) -> WireFault {
        let nth = self.record.attempts.len().saturating_sub(1);
        if let Some(idempotent) = self.idempotent.as_mut().filter(|_| !fault.sent) {
            idempotent.unsent.push(nth);
        }
        fault
    }

    /// The answer of the earlier call, with an id of its own. Nothing was
    /// called, so nothing was used.
    pub(crate) async fn replay(mut self: Box<Self>, replayed: Replayed) -> Reply {
        let Replayed { by, reply } = replayed;
        let (status, mut headers, body) = self.kept_parts(reply);
        headers.insert(REPLAY, HeaderValue::from_static("true"));
        headers.insert(ORIGINAL, by);
        self.record.bytes_out = body.len() as u64;
        if let Some(ticket) = self.finish(status.as_u16(), Outcome::Complete) {
            ticket.await;
        }
        Reply {
            status,
            headers,
            body: ReplyBody::Whole(body),
        }
    }
}

fn earlier(row: &ReplyRow) -> Earlier {
    match &row.state {
        ReplyState::Running => Earlier::Running,
        ReplyState::Completed { reply: Some(_), .. } => Earlier::Kept,
        ReplyState::Completed { reply: None, .. } => Earlier::NotKept,
        ReplyState::Unknown => Earlier::Unknown,
    }
}

/// The beginning of a digest, for records.
fn short(digest: &[u8; 32]) -> String {
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
