//! The admin door: what the edge hands in is answered by the room `admin`.
//! The same framing and limits as on the data listeners. What may wait for
//! the disk runs on a thread beside the worker, so that a slow query never
//! holds up a call or a probe.
//!
//! Deliberately not here: any resource, and the credential's meaning.

#![expect(
    clippy::disallowed_methods,
    reason = "followers wait by the real clock, and no decision depends on it"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use admin::{AdminState, Answer, Api, Call, Follow, Reply, Step, Taking, Work};
use bytes::Bytes;
use contract::seams::{Clock, Dice};
use evidence::RequestId;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, Version, header};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::edge::body::{BodyFault, BodyLimits, Cut, ReplyBody, ReplyStream, collect};
use crate::edge::conn::ConnFacts;
use crate::edge::framing::Violation;
use crate::edge::serve::Door;
use crate::health::Health;
use transport::RealDice;

/// Answers that may wait for the disk at once; further ones are told 503.
const WORKS_MAX: usize = 8;
/// Time between two looks for new records.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest silence of a follower's stream; then an empty line shows both ends
/// whether the other is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The id of a call, which the audit journal names too.
const REQUEST_ID: HeaderName = HeaderName::from_static("tollgate-request-id");
const JSON_LINES: &str = "application/x-ndjson";

/// The door of the admin listeners; clones share everything.
#[derive(Clone)]
pub(crate) struct AdminDoor {
    api: Arc<Api>,
    health: Health,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    works: Arc<Semaphore>,
}

impl AdminDoor {
    /// The door to this state.
    pub(crate) fn new(state: AdminState, health: Health, clock: Arc<dyn Clock>) -> Self {
        Self {
            api: Arc::new(Api::new(state)),
            health,
            clock,
            dice: Arc::new(RealDice::new()),
            works: Arc::new(Semaphore::new(WORKS_MAX)),
        }
    }
}

type Going = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

impl Door for AdminDoor {
    type Answer = Going;

    /// Where a resource reads no body, `Incoming` is dropped unread.
    fn knock(&self, head: Parts, body: Incoming, conn: &Arc<ConnFacts>) -> Going {
        let now_us = self.clock.unix_us();
        let request_id = RequestId::mint(now_us, self.dice.roll());
        let answer = self.api.open(&Call {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            peer: conn.peer.map(|peer| peer.ip()),
            now_us,
            request_id,
        });
        let at_once = |response| -> Going { Box::pin(std::future::ready(response)) };
        let named = move |mut response: Response<ReplyBody>| {
            if let Ok(id) = HeaderValue::try_from(request_id.to_string()) {
                set(&mut response, REQUEST_ID, id);
            }
            response
        };
        match answer {
            Answer::Probe => {
                let probe = self.health.answer(&head);
                at_once(probe.unwrap_or_else(|| response(unknown_probe())))
            }
            Answer::Reply(reply) => at_once(named(response(reply))),
            Answer::Work(work) => {
                let works = self.works.clone();
                Box::pin(async move { named(run(work, works).await) })
            }
            Answer::Body(taking) => {
                let works = self.works.clone();
                Box::pin(async move { named(take(taking, head, body, works).await) })
            }
            Answer::Follow(follow) => {
                let stream = Following::new(*follow, self.health.clone());
                let mut response = Response::new(ReplyBody::stream(Box::new(stream)));
                set(
                    &mut response,
                    header::CONTENT_TYPE,
                    HeaderValue::from_static(JSON_LINES),
                );
                at_once(guarded(response))
            }
        }
    }

    fn refuse(&self, violation: &Violation, _: &str, _: &Arc<ConnFacts>) -> Response<ReplyBody> {
        let reply = Reply::fault(violation.status(), "bad_request", &violation.message());
        let mut response = response(reply);
        set(
            &mut response,
            header::CONNECTION,
            HeaderValue::from_static("close"),
        );
        response
    }
}

/// Collects the body, and then makes the answer.
async fn take(
    taking: Taking,
    head: Parts,
    body: Incoming,
    works: Arc<Semaphore>,
) -> Response<ReplyBody> {
    let limits = BodyLimits {
        bytes_max: taking.bytes_max() as u64,
        ..BodyLimits::default()
    };
    match collect(body, &head.headers, &limits).await {
        Ok(body) => run(taking.with(body), works).await,
        Err(broken) => {
            let fault = broken.fault();
            let mut response = response(Reply::fault(fault.status(), "bad_body", &fault.public));
            // The rest of such a body is not waited for, and HTTP/2 has streams.
            let closes = matches!(broken, BodyFault::TooSlow { .. });
            if closes && head.version <= Version::HTTP_11 {
                let close = HeaderValue::from_static("close");
                set(&mut response, header::CONNECTION, close);
            }
            response
        }
    }
}

async fn run(work: Work, works: Arc<Semaphore>) -> Response<ReplyBody> {
    let Ok(permit) = works.try_acquire_owned() else {
        let message = format!("{WORKS_MAX} requests of the admin API are under way. Try again.");
        return response(Reply::fault(503, "busy", &message));
    };
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work ends, even if the client is gone by then.
        let _permit = permit;
        work.run()
    });
    response(done.await.unwrap_or_else(|error| {
        let message =
            format!("The gateway failed to answer: {error}. This is a bug; please report it.");
        Reply::fault(500, "internal_error", &message)
    }))
}

/// The table of routes and the probes are in two rooms; a probe that only one
/// of them knows is a bug that a test would find.
fn unknown_probe() -> Reply {
    Reply::fault(404, "unknown_path", "There is no such probe.")
}

fn response(reply: Reply) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::from(reply.body));
    *response.status_mut() = reply.status;
    set(
        &mut response,
        header::CONTENT_TYPE,
        HeaderValue::from_static(reply.content_type),
    );
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            set(&mut response, HeaderName::from_static(name), value);
        }
    }
    guarded(response)
}

/// Answers of this listener are for the one who asked, and are what they say.
fn guarded(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    set(
        &mut response,
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    set(
        &mut response,
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn set(response: &mut Response<ReplyBody>, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

/// A follower's stream. It ends when the gateway begins to drain, so that it
/// does not hold up the way out.
struct Following {
    turn: Pin<Box<dyn Future<Output = Option<Turn>> + Send>>,
    health: Health,
}

/// One piece of the stream, and the reader to go on with unless it is over.
struct Turn {
    piece: Bytes,
    follow: Option<Follow>,
}

impl Following {
    fn new(follow: Follow, health: Health) -> Self {
        // The first empty line sends the head off at once.
        let first = Turn {
            piece: Bytes::from_static(b"\n"),
            follow: Some(follow),
        };
        Self {
            turn: Box::pin(std::future::ready(Some(first))),
            health,
        }
    }
}

impl ReplyStream for Following {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let Some(Turn { piece, follow }) = ready!(self.turn.as_mut().poll(cx)) else {
            self.turn = Box::pin(std::future::ready(None));
            return Poll::Ready(None);
        };
        self.turn = match follow {
            Some(follow) => Box::pin(turn(follow, self.health.clone())),
            None => Box::pin(std::future::ready(None)),
        };
        Poll::Ready(Some(Ok(piece)))
    }
}

async fn turn(mut follow: Follow, health: Health) -> Option<Turn> {
    let silent_until = Instant::now() + HEARTBEAT;
    loop {
        if !health.is_ready() {
            return None;
        }
        if follow.has_news() {
            let read = tokio::task::spawn_blocking(move || {
                let step = follow.step();
                (follow, step)
            });
            // A reader that panicked cannot go on; its client sees the end.
            let (reader, step) = read.await.ok()?;
            follow = reader;
            match step {
                Step::Lines(lines) if lines.is_empty() => {}
                Step::Lines(piece) => {
                    return Some(Turn {
                        piece,
                        follow: Some(follow),
                    });
                }
                Step::Failed(piece) => {
                    return Some(Turn {
                        piece,
                        follow: None,
                    });
                }
            }
            continue;
        }
        if Instant::now() >= silent_until {
            return Some(Turn {
                piece: Bytes::from_static(b"\n"),
                follow: Some(follow),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests;
