//! Long streams whose output is reserved in slices.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use contract::seams::Going;
use meter::{
    Admitted, Counters, Dimension, Draw, Level, LocalCounters, Measure, QuotaSpec, Quotas, Refused,
    Subject, Want,
};

use super::super::world::{Script, Step, World, plan};
use super::{CHAT, LAST, budget, opened, prices, spec, stands};
use crate::ReplyBody;

const LONG: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":1000,"stream":true}"#;

fn sliced(quotas: Vec<QuotaSpec>, slice: u32, script: Script) -> World {
    let mut plan = plan(&[("openai", "openai_chat")]);
    plan.quotas = Quotas::new(quotas);
    plan.prices = prices("in=1 out=10");
    plan.reservation.stream_slice = Some(slice);
    World::of(plan, vec![Ok(script)])
}

/// A stream of so many words, each a token or so, and its end if it has one.
fn words(count: usize, ends: bool) -> Script {
    let chunk = |at: usize| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"w{:02} \"}},\"finish_reason\":null}}]}}\n\n",
            at % 100
        )
    };
    let chunks: Vec<String> = (0..count).map(chunk).collect();
    let mut chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    if ends {
        chunks.push(LAST);
        return Script::sse(&chunks);
    }
    Script::sse(&chunks).then(Step::Silence)
}

fn rows(world: &World, quota: &str) -> Vec<(i64, i64)> {
    let record = world.records().pop().expect("a record");
    let rows = record.reservations.iter().filter(|it| &*it.quota == quota);
    rows.map(|it| (it.reserved, it.settled.expect("settled")))
        .collect()
}

#[test]
fn a_stream_takes_slices_until_there_is_none_and_ends_in_order() {
    let quota = || vec![budget(Measure::OutputTokens, 250)];
    let world = sliced(quota(), 100, words(900, false));
    let got = world.call(CHAT, LONG);
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(
        got.body.contains("\"finish_reason\":\"length\""),
        "{}",
        got.body
    );
    assert!(got.body.ends_with("data: [DONE]\n\n"));
    assert!(
        world.wire.dropped.load(Ordering::SeqCst),
        "the provider is left"
    );
    let record = world.records().pop().expect("a record");
    let cut = record.decisions.iter().find(|it| it.stage == "limit");
    assert_eq!(cut.expect("a decision").reason, "budget");
    assert_eq!(record.finish.as_slice(), ["length"]);
    // Two slices fit, the third does not.
    assert_eq!(rows(&world, "a-budget"), [(200, 200)]);
    assert_eq!(record.usage.output, 200);
    assert_eq!(stands(&world, Measure::OutputTokens), (200, 0));
    assert_eq!(world.flow.counters.debt(Measure::OutputTokens), 0);
    // Reserved whole, it is not let in at all.
    let whole = sliced(quota(), 1_000, words(900, false));
    assert_eq!(whole.call(CHAT, LONG).status, 402);
}

#[test]
fn a_short_stream_holds_no_more_than_a_slice() {
    let world = sliced(vec![budget(Measure::Tokens, 500)], 100, words(20, true));
    let reply = {
        let exchange = opened(&world);
        futures_executor::block_on(exchange.run(Ok(LONG.into())))
    };
    let (_, reserved) = stands(&world, Measure::Tokens);
    assert!((100..200).contains(&reserved), "{reserved}");
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("no stream");
    };
    while let Some(bytes) = futures_executor::block_on(poll_fn(|cx| stream.poll_next(cx))) {
        bytes.expect("no cut");
    }
    // It told 7 and 5.
    assert_eq!(stands(&world, Measure::Tokens), (12, 0));
    assert_eq!(rows(&world, "a-budget").len(), 1);
}

#[test]
fn the_cost_of_slices_adds_up() {
    let world = sliced(
        vec![budget(Measure::Cost, 10_000_000)],
        100,
        words(350, true),
    );
    let told = "\"completion_tokens\":5";
    assert!(LAST.contains(told));
    let got = world.call(CHAT, LONG);
    assert!(
        got.body.contains("\"finish_reason\":\"stop\""),
        "{}",
        got.body
    );
    let rows = rows(&world, "a-budget");
    // A slice of 100 tokens costs a thousandth of a dollar; the input is in
    // the first.
    assert_eq!(rows.len(), 1, "{rows:?}");
    let beyond = rows[0].0 - 4_000_000;
    assert!((0..100_000).contains(&beyond), "{rows:?}");
    let record = world.records().pop().expect("a record");
    let settled: i64 = rows.iter().map(|(_, settled)| settled).sum();
    assert_eq!(Some(settled), record.cost_nanos);
    assert_eq!(stands(&world, Measure::Cost), (settled, 0));
}

/// What the caller's counters gave is given back where the provider's give
/// nothing.
#[test]
fn a_provider_without_room_ends_it_too() {
    let mut own = spec(
        "of-provider",
        meter::QuotaKind::Budget,
        Measure::OutputTokens,
        150,
    );
    own.scope.by = vec![Dimension::Provider];
    let quotas = vec![budget(Measure::OutputTokens, 10_000), own];
    let world = sliced(quotas, 100, words(900, false));
    let got = world.call(CHAT, LONG);
    assert!(
        got.body.contains("\"finish_reason\":\"length\""),
        "{}",
        got.body
    );
    assert_eq!(rows(&world, "a-budget"), [(100, 100)]);
    assert_eq!(rows(&world, "of-provider"), [(100, 100)]);
    assert_eq!(stands(&world, Measure::OutputTokens), (200, 0));
}

#[test]
fn more_than_all_slices_is_debt_of_the_last() {
    let world = sliced(vec![budget(Measure::OutputTokens, 250)], 100, {
        let last = LAST.replace("\"completion_tokens\":5", "\"completion_tokens\":700");
        let mut script = words(180, false);
        script.chunks.pop();
        script.then(Step::Bytes(last.into_bytes()))
    });
    let got = world.call(CHAT, LONG);
    assert_eq!(got.status, 200);
    assert_eq!(rows(&world, "a-budget"), [(200, 700)]);
    assert_eq!(world.flow.counters.debt(Measure::OutputTokens), 500);
}

/// However many slices a stream takes, what is written down of it stays small,
/// and a limit that refuses nobody is told of once.
#[test]
fn a_long_stream_keeps_one_row_for_each_window() {
    let mut told = spec("told", meter::QuotaKind::Budget, Measure::Tokens, 10);
    told.hold = meter::Hold::Shadow;
    let world = sliced(
        vec![budget(Measure::OutputTokens, 10_000), told],
        2,
        words(900, false),
    );
    let dir = std::env::temp_dir().join(format!("tollgate-slices-{}", std::process::id()));
    let options = store::InflightOptions::default();
    let table = store::InflightTable::create(&dir, [7; 16], 0, options).expect("a table");
    let mut flow = Arc::into_inner(world.flow).expect("nobody else has it");
    flow.inflight = Some(Arc::new(table));
    let world = World {
        flow: Arc::new(flow),
        ..world
    };
    let exchange = opened(&world);
    let reply = futures_executor::block_on(exchange.run(Ok(LONG.into())));
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("no stream");
    };
    let mut cx = Context::from_waker(Waker::noop());
    let mut body = Vec::new();
    while let Poll::Ready(Some(bytes)) = stream.poll_next(&mut cx) {
        body.extend_from_slice(&bytes.expect("no cut"));
    }
    let words = String::from_utf8_lossy(&body)
        .matches("\"content\"")
        .count();
    assert_eq!(words, 900, "it was not cut");
    drop(stream);
    let record = world.records().pop().expect("a record");
    std::fs::remove_dir_all(&dir).expect("ours");
    assert_eq!(record.reservations.len(), 2);
    let would = record.decisions.iter();
    assert_eq!(would.filter(|it| it.verdict == "would_deny").count(), 1);
    assert_eq!(world.flow.counters.debt(Measure::OutputTokens), 0);
}

/// Counters that have to ask others first, who let one wake pass.
#[derive(Default)]
struct Asking(LocalCounters, AtomicBool);

impl Counters for Asking {
    fn admit(&self, _: u64, _: &Subject<'_>, _: &[Want<'_>]) -> Result<Admitted, Refused> {
        Err(Refused::Short)
    }

    fn fetch<'a>(
        &'a self,
        now_us: u64,
        subject: &'a Subject<'a>,
        wants: &'a [Want<'a>],
    ) -> Option<Going<'a, Result<Admitted, Refused>>> {
        Some(Box::pin(async move {
            let mut is_asked = false;
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                match std::mem::replace(&mut is_asked, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            match self.1.load(Ordering::SeqCst) {
                true => Err(Refused::Unavailable),
                false => self.0.admit(now_us, subject, wants),
            }
        }))
    }

    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>) {
        self.0.settle(settled);
    }

    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64> {
        self.0.levels_of(now_us, wants)
    }

    fn levels(&self) -> Vec<Level> {
        self.0.levels()
    }

    fn debt(&self, measure: Measure) -> i64 {
        self.0.debt(measure)
    }

    fn sweep(&self, now_us: u64) {
        self.0.sweep(now_us);
    }
}

#[test]
fn slices_that_others_are_asked_for_are_waited_for_and_given_back() {
    let asking = |quotas, script| {
        let world = sliced(quotas, 100, script);
        let mut flow = Arc::into_inner(world.flow).expect("nobody else has it");
        flow.counters = Arc::new(Asking::default());
        World {
            flow: Arc::new(flow),
            ..world
        }
    };
    let world = asking(vec![budget(Measure::OutputTokens, 250)], words(900, false));
    let got = world.call(CHAT, LONG);
    assert!(
        got.body.contains("\"finish_reason\":\"length\""),
        "{}",
        got.body
    );
    assert_eq!(rows(&world, "a-budget"), [(200, 200)]);
    // A caller who leaves while others are asked leaves nothing reserved.
    let mut own = spec(
        "of-provider",
        meter::QuotaKind::Budget,
        Measure::OutputTokens,
        900,
    );
    own.scope.by = vec![Dimension::Provider];
    for polls in 1..8 {
        let quotas = vec![budget(Measure::OutputTokens, 900), own.clone()];
        let world = asking(quotas, words(60, false));
        let exchange = opened(&world);
        let reply = futures_executor::block_on(exchange.run(Ok(LONG.into())));
        let ReplyBody::Stream(mut stream) = reply.body else {
            panic!("no stream");
        };
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            drop(stream.poll_next(&mut cx));
        }
        drop(stream);
        let (settled, reserved) = stands(&world, Measure::OutputTokens);
        assert_eq!(reserved, 0, "after {polls}");
        assert!(settled > 0);
    }
}

/// Why there is no further slice is told, also where no limit is to blame.
#[test]
fn counters_that_go_away_end_a_stream_and_say_so() {
    let world = sliced(
        vec![budget(Measure::OutputTokens, 900)],
        100,
        words(900, false),
    );
    let mut flow = Arc::into_inner(world.flow).expect("nobody else has it");
    let counters = Arc::new(Asking::default());
    flow.counters = counters.clone();
    let world = World {
        flow: Arc::new(flow),
        ..world
    };
    let exchange = opened(&world);
    let reply = futures_executor::block_on(exchange.run(Ok(LONG.into())));
    counters.1.store(true, Ordering::SeqCst);
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("no stream");
    };
    let mut body = Vec::new();
    while let Some(bytes) = futures_executor::block_on(poll_fn(|cx| stream.poll_next(cx))) {
        body.extend_from_slice(&bytes.expect("no cut"));
    }
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("\"finish_reason\":\"length\""), "{body}");
    let record = world.records().pop().expect("a record");
    let mut told = record.decisions.iter();
    assert!(
        told.any(|it| it.reason == "counters_unavailable"),
        "{record:?}"
    );
    assert_eq!(rows(&world, "a-budget"), [(100, 100)]);
}
