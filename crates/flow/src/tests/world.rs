//! A small world for the path: a wire that plays a script, a clock that
//! stands still until it is moved, dice that count, a journal in memory.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use access::{Consumer, KeyRing};
use arc_swap::ArcSwap;
use bytes::Bytes;
use contract::Secret;
use contract::seams::*;
use evidence::{Evidence, LogLine, Meter, Record};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use plan::{Plan, ProviderPlan, Times};
use routing::{Candidate, ModelTable};
use store::{Journal, MemoryJournal};

use crate::{Caller, Flow, ReplyBody};

/// What the upstream does with one call.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) chunks: Vec<Step>,
}

/// One step of an upstream's body.
#[derive(Clone)]
pub(super) enum Step {
    Bytes(Vec<u8>),
    /// Says nothing for ever.
    Silence,
    Reset,
    /// Says nothing until somebody opens it.
    Gate(Arc<AtomicBool>),
}

impl Script {
    pub(super) fn json(status: u16, body: &str) -> Self {
        let chunks = vec![Step::Bytes(body.as_bytes().to_vec())];
        Self {
            status,
            content_type: "application/json",
            chunks,
        }
    }

    pub(super) fn sse(chunks: &[&str]) -> Self {
        let chunks = chunks
            .iter()
            .map(|chunk| Step::Bytes(chunk.as_bytes().to_vec()))
            .collect();
        Self {
            status: 200,
            content_type: "text/event-stream; charset=utf-8",
            chunks,
        }
    }

    pub(super) fn then(mut self, step: Step) -> Self {
        self.chunks.push(step);
        self
    }
}

#[derive(Default)]
pub(super) struct FakeWire {
    pub(super) scripts: Mutex<VecDeque<Result<Script, WireFaultKind>>>,
    pub(super) seen: Mutex<Vec<Outbound>>,
    pub(super) dropped: Arc<AtomicBool>,
    /// Pieces of bodies that were pulled.
    pub(super) taken: Arc<AtomicU64>,
}

impl Wire for FakeWire {
    fn send(&self, outbound: Outbound) -> Going<'_, Result<Inbound, WireFault>> {
        self.seen.lock().expect("unpoisoned").push(outbound);
        let next = self
            .scripts
            .lock()
            .expect("unpoisoned")
            .pop_front()
            .expect("a script is left");
        let dropped = self.dropped.clone();
        let taken = self.taken.clone();
        Box::pin(async move {
            let script = next.map_err(|kind| WireFault {
                kind,
                detail: "scripted".into(),
                sent: may_have_arrived(kind),
            })?;
            let mut headers = HeaderMap::new();
            headers.insert(
                "content-type",
                HeaderValue::from_static(script.content_type),
            );
            headers.insert("x-request-id", HeaderValue::from_static("up-1"));
            let status = StatusCode::from_u16(script.status).expect("a status");
            let body = FakeBody {
                steps: script.chunks.into(),
                dropped,
                taken,
            };
            Ok(Inbound {
                status,
                headers,
                body: Box::new(body),
            })
        })
    }
}

fn may_have_arrived(kind: WireFaultKind) -> bool {
    match kind {
        WireFaultKind::HeadTimeout
        | WireFaultKind::ResetBeforeHead
        | WireFaultKind::ResetInBody
        | WireFaultKind::Protocol => true,
        WireFaultKind::Dns
        | WireFaultKind::Connect
        | WireFaultKind::Tls
        | WireFaultKind::Proxy
        | WireFaultKind::ConnectTimeout
        | WireFaultKind::Exhausted => false,
    }
}

struct FakeBody {
    steps: VecDeque<Step>,
    dropped: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
}

impl InboundBody for FakeBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireFault>>> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Bytes(bytes)) => Poll::Ready(Some(Ok(bytes.into()))),
            Some(Step::Silence) => {
                self.steps.push_front(Step::Silence);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Gate(gate)) if gate.load(Ordering::SeqCst) => self.poll_chunk(cx),
            Some(Step::Gate(gate)) => {
                self.steps.push_front(Step::Gate(gate));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Reset) => Poll::Ready(Some(Err(WireFault {
                kind: WireFaultKind::ResetInBody,
                detail: "scripted".into(),
                sent: true,
            }))),
        }
    }
}

impl Drop for FakeBody {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

/// Each look at the clock moves it by a millisecond; each poll of an alarm by
/// a second, so that a silent upstream reaches every deadline.
#[derive(Default)]
pub(super) struct FakeClock(Arc<AtomicU64>);

struct FakeAlarm(Arc<AtomicU64>, Ticks);

impl Clock for FakeClock {
    fn now(&self) -> Ticks {
        Ticks(self.0.fetch_add(1_000_000, Ordering::SeqCst))
    }
    fn unix_us(&self) -> u64 {
        1_700_000_000_000_000
    }
    fn alarm(&self, at: Ticks) -> Box<dyn Alarm> {
        Box::new(FakeAlarm(self.0.clone(), at))
    }
}

impl Alarm for FakeAlarm {
    fn set(&mut self, at: Ticks) {
        self.1 = at;
    }
    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.0.fetch_add(1_000_000_000, Ordering::SeqCst);
        if now >= self.1.0 {
            Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

struct FakeDice(AtomicU64);

impl Dice for FakeDice {
    fn roll(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

pub(super) struct World {
    pub(super) wire: Arc<FakeWire>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) flow: Arc<Flow>,
}

/// What a caller got.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl World {
    /// A world whose model `m` is served by the given (kind, dialect) in order.
    pub(super) fn new(
        providers: &[(&str, &str)],
        scripts: Vec<Result<Script, WireFaultKind>>,
    ) -> Self {
        Self::of(plan(providers), scripts)
    }

    /// A world with a plan of its own.
    pub(super) fn of(plan: Plan, scripts: Vec<Result<Script, WireFaultKind>>) -> Self {
        let wire = Arc::new(FakeWire {
            scripts: Mutex::new(scripts.into()),
            ..FakeWire::default()
        });
        let journal = Arc::new(MemoryJournal::new(64, 64));
        let evidence = Evidence::new(journal.clone(), Arc::new(Meter::new()), LogLine::Off, None);
        let approvals = Arc::new(store::MemoryApprovals::default());
        let lane = store::ApprovalLane::new(approvals).expect("a thread");
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::default());
        let replies = Arc::new(store::MemoryReplies::default());
        let replies = store::ReplyLane::new(replies, clock.clone(), "p1".into());
        let flow = Arc::new(Flow {
            key_quotas: Arc::default(),
            plan: Arc::new(ArcSwap::from_pointee(plan.into())),
            wire: wire.clone(),
            clock,
            dice: Arc::new(FakeDice(AtomicU64::new(1))),
            evidence,
            keys: Arc::default(),
            loans: Arc::default(),
            tokens: crate::Tokens::default(),
            handles: crate::Handles::default(),
            approvals: Some(lane),
            counters: Arc::new(meter::LocalCounters::default()),
            alerts: Arc::default(),
            lines: Arc::default(),
            factors: Arc::default(),
            inflight: None,
            replies: Some(replies.expect("a thread")),
        });
        Self {
            wire,
            journal,
            flow,
        }
    }

    /// Sends one request and takes the whole answer.
    pub(super) fn call(&self, path: &str, body: &str) -> Got {
        self.call_with(path, body, &[("authorization", "Bearer tg-test")])
    }

    pub(super) fn call_with(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Got {
        self.ask(Method::POST, path, body, headers)
    }

    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Got {
        self.ask_as(Caller::default(), (method, path, body), headers)
    }

    pub(super) fn ask_as(
        &self,
        caller: Caller,
        (method, path, body): (Method, &str, &str),
        headers: &[(&str, &str)],
    ) -> Got {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let reply = match self.flow.open(head, caller) {
            Err(reply) => *reply,
            Ok(exchange) => {
                let body = Bytes::copy_from_slice(body.as_bytes());
                futures_executor::block_on(exchange.run(Ok(body)))
            }
        };
        let bytes = match reply.body {
            ReplyBody::Whole(bytes) => bytes.to_vec(),
            ReplyBody::Stream(mut stream) => {
                let mut all = Vec::new();
                while let Some(bytes) =
                    futures_executor::block_on(poll_fn(|cx| stream.poll_next(cx)))
                {
                    all.extend_from_slice(&bytes.expect("no cut"));
                }
                all
            }
        };
        Got {
            status: reply.status.as_u16(),
            headers: reply.headers,
            // Event streams are binary; each byte is then a character.
            body: String::from_utf8(bytes).unwrap_or_else(|bytes| {
                bytes.as_bytes().iter().map(|byte| *byte as char).collect()
            }),
        }
    }

    /// All records so far.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut cursor = self.journal.cursor(1, None).expect("readable");
        std::iter::from_fn(|| cursor.next_entry().expect("readable"))
            .map(|entry| Record::decode(&entry.payload).expect("a record"))
            .collect()
    }

    /// The bodies that went upstream.
    pub(super) fn sent(&self) -> Vec<String> {
        let seen = self.wire.seen.lock().expect("unpoisoned");
        seen.iter()
            .map(|out| String::from_utf8(out.body.concat()).expect("UTF-8"))
            .collect()
    }
}

pub(super) fn plan(providers: &[(&str, &str)]) -> Plan {
    let mut keys = KeyRing::new([1; 32]);
    let consumer = Consumer::new("k", "t", "a");
    assert!(keys.add(&Secret::new("tg-test".into()), consumer));
    let mut models = ModelTable::default();
    let list = providers.iter().enumerate();
    models.name(
        "m",
        list.map(|(index, _)| Candidate::new(index, "up-m", None))
            .collect(),
    );
    let providers = providers
        .iter()
        .map(|(kind, dialect)| {
            let kind = providers::kind(kind).expect("a kind");
            let endpoint = Endpoint {
                id: format!("{dialect}@test"),
                tls: false,
                host: "upstream".into(),
                port: 80,
                authority: HeaderValue::from_static("upstream"),
                ca_pem: None,
                proxy: None,
                version: HttpVersion::Auto,
                connections_max: 1,
                connect_ms: 1_000,
            };
            Arc::new(ProviderPlan {
                name: kind.name.into(),
                name_header: HeaderValue::from_static(kind.name),
                kind,
                dialects: dialects::by_name(dialect).into_iter().collect(),
                endpoint: kind.provider.local().is_none().then(|| Arc::new(endpoint)),
                base_path: "/v1".into(),
                account: providers::Account {
                    key: Some(Secret::new("upstream-key".into())),
                    ..Default::default()
                },
                headers: HeaderMap::new(),
                times: Times {
                    head_ms: 1_000,
                    first_token_ms: 5_000,
                    idle_ms: 3_000,
                    total_ms: 60_000,
                },
            })
        })
        .collect();
    Plan {
        digest: "0123456789abcdef".into(),
        digest_header: HeaderValue::from_static("0123456789abcdef"),
        providers,
        models,
        keys,
        ..Plan::default()
    }
}
