//! The callers: each sends its request, reads as its manner says, and keeps
//! what it heard.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use contract::seams::Alarm;
use contract::{Fault, Origin};
use flow::{Caller, Reply, ReplyBody, ReplyStream};
use http::request::Parts;
use http::{HeaderValue, Request};

use crate::executor::{self, End, Task};
use crate::ledger::Tail;
use crate::scenario::{ExchangePlan, Flaw, Manner};
use crate::world::{World, key};

/// The time at which a caller loses patience.
type Patience = Option<Box<dyn Alarm>>;

/// Runs every caller to its end.
pub(crate) fn all(world: &World) -> End {
    let tasks: Vec<Task<'_>> = (0..world.scenario.exchanges.len())
        .map(|index| -> Task<'_> { Box::pin(call(world, index)) })
        .collect();
    let mut chance = world.scenario.chance.clone();
    executor::run(tasks, &world.clock, &mut chance)
}

/// One caller, from its request to the end.
pub(crate) async fn call(world: &World, index: usize) {
    let plan = &world.scenario.exchanges[index];
    world.clock.sleep_ms(plan.start_ms).await;
    world.note_ask(index);
    world.heard(index, |heard| heard.opened_us = world.ledger.now_us());
    let head = head(plan, index);
    let exchange = match world.flow.open(head, Caller::default()) {
        Ok(exchange) => exchange,
        Err(reply) => return hear(world, index, *reply, None).await,
    };
    if plan.manner == Manner::LeavesAtOnce {
        return leave(world, index, exchange);
    }
    let mut patience = match plan.manner {
        Manner::LeavesAfter { ms } => Some(world.clock.after_ms(ms)),
        Manner::ReadsAll
        | Manner::Slow { .. }
        | Manner::LeavesAtOnce
        | Manner::LeavesWithPieces { .. } => None,
    };
    let mut going = Box::pin(exchange.run(body(plan)));
    let reply = poll_fn(|cx| match going.as_mut().poll(cx) {
        Poll::Ready(reply) => Poll::Ready(Some(reply)),
        Poll::Pending => lost(&mut patience, cx).map(|()| None),
    })
    .await;
    match reply {
        Some(reply) => {
            drop(going);
            hear(world, index, reply, patience).await;
        }
        None => leave(world, index, going),
    }
}

/// Ready when the caller has lost its patience.
fn lost(patience: &mut Patience, cx: &mut std::task::Context<'_>) -> Poll<()> {
    match patience {
        Some(alarm) => alarm.poll_ring(cx),
        None => Poll::Pending,
    }
}

fn head(plan: &ExchangePlan, index: usize) -> Parts {
    let mut request = Request::post(&plan.ask.path);
    for (name, value) in &plan.ask.headers {
        request = request.header(name, value);
    }
    let key = match plan.flaw {
        Flaw::WrongKey => Some("tg-nobody".to_owned()),
        Flaw::NoKey => None,
        Flaw::None | Flaw::UnknownModel | Flaw::CutBody | Flaw::LostBody(_) => Some(key(index)),
    };
    if let Some(key) = key {
        let value = HeaderValue::try_from(format!("Bearer {key}")).expect("plain ASCII");
        request = request.header("authorization", value);
    }
    let (parts, ()) = request
        .body(())
        .expect("writers make valid paths")
        .into_parts();
    parts
}

fn body(plan: &ExchangePlan) -> Result<Bytes, Fault> {
    let body = &plan.ask.body;
    match plan.flaw {
        Flaw::LostBody(kind) => Err(Fault::new(kind, Origin::Client, "The body was lost.")),
        Flaw::CutBody => Ok(body.slice(..body.len() / 2)),
        Flaw::None | Flaw::WrongKey | Flaw::NoKey | Flaw::UnknownModel => Ok(body.clone()),
    }
}

async fn hear(world: &World, index: usize, mut reply: Reply, mut patience: Patience) {
    world
        .mutant
        .bend_head(&mut reply.status, &mut reply.headers);
    let status = reply.status.as_u16();
    world.ledger.note(format_args!("x{index} heard {status}"));
    let headers = reply.headers;
    world.heard(index, |heard| {
        heard.status = Some(status);
        heard.headers = headers;
    });
    match reply.body {
        ReplyBody::Whole(bytes) => {
            let bytes = bend(world, index, &bytes);
            world.ledger.delivered(index, &bytes);
            world.heard(index, |heard| {
                heard.body = bytes.to_vec();
                heard.finished = true;
            });
        }
        ReplyBody::Stream(mut stream) => {
            world.heard(index, |heard| heard.streamed = true);
            let stays = read(world, index, &mut stream, &mut patience).await;
            if !stays {
                return leave(world, index, stream);
            }
        }
    }
    world.nothing_open(index, "after its answer");
}

/// Reads a stream; `false` if the caller leaves.
async fn read(
    world: &World,
    index: usize,
    stream: &mut Box<dyn ReplyStream>,
    patience: &mut Patience,
) -> bool {
    let manner = world.scenario.exchanges[index].manner;
    let mut pieces = 0;
    loop {
        match manner {
            Manner::LeavesWithPieces { pieces: enough } if pieces >= enough => return false,
            Manner::Slow { pause_ms } => world.clock.sleep_ms(pause_ms).await,
            Manner::ReadsAll
            | Manner::LeavesAtOnce
            | Manner::LeavesAfter { .. }
            | Manner::LeavesWithPieces { .. } => {}
        }
        let mut waiting = Pin::new(&mut *stream);
        let next = poll_fn(|cx| match waiting.poll_next(cx) {
            Poll::Ready(next) => Poll::Ready(Some(next)),
            Poll::Pending => lost(patience, cx).map(|()| None),
        })
        .await;
        match next {
            None => return false,
            Some(None) => {
                world.heard(index, |heard| heard.finished = true);
                return true;
            }
            Some(Some(Err(_))) => {
                world.heard(index, |heard| heard.cut = true);
                return true;
            }
            Some(Some(Ok(bytes))) => {
                pieces += 1;
                let bytes = bend(world, index, &bytes);
                world.ledger.delivered(index, &bytes);
                world.heard(index, |heard| heard.body.extend_from_slice(&bytes));
            }
        }
    }
}

fn bend(world: &World, index: usize, bytes: &Bytes) -> Bytes {
    let front = world.scenario.exchanges[index].front.id();
    let mut failed = Vec::new();
    if world.heard(index, |heard| heard.body.is_empty()) {
        let book = world.ledger.book();
        let calls = book.calls_of(index);
        if let [earlier @ .., _] = &calls[..] {
            failed = earlier
                .iter()
                .find(|call| call.tail != Tail::Open && !call.pulled.is_empty())
                .map(|call| call.pulled.clone())
                .unwrap_or_default();
        }
    }
    world.mutant.bend_piece(front, bytes, &failed)
}

/// Leaves: drops whatever the caller holds of its exchange.
fn leave<T>(world: &World, index: usize, holds: T) {
    let recorded = world.is_recorded(index);
    let calls = world.ledger.calls(index);
    world.ledger.note(format_args!("x{index} left"));
    drop(holds);
    world.nothing_open(index, "after its caller left");
    world.heard(index, |heard| {
        heard.left = Some(calls);
        heard.recorded_before = recorded;
    });
}
