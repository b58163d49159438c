//! The resources of the admin API: records, plan, status, metrics, reload.
//! Every answer is made by a plain function over what is handed in, so the
//! tests need no socket.
//!
//! Deliberately not here: sockets and threads (room `gate`), and any route
//! that executes or fetches what a caller names.
//!
//! # How a call is answered
//!
//! [`Api::open`] checks route, credential and parameters without waiting for
//! anything. What it returns says what is left to do: nothing, a [`Work`] that
//! may read the disk and belongs on a thread that may wait, or a [`Follow`]
//! that gives records as they are written.

mod figures;
mod follow;
mod key;
mod openapi;
mod params;
mod reading;
mod records;
mod reply;
mod routes;
mod status;
mod tail;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use evidence::Evidence;
use http::{HeaderMap, Method};
use plan::Plan;
use store::RecordIndex;

pub use figures::{ConnectionFigures, Figures, ListenerFigures, PoolFigures};
pub use follow::{FOLLOWERS_MAX, Follow, Step};
pub use key::AdminKey;
pub use openapi::document as openapi;
pub use reply::Reply;
pub use routes::{Access, ROUTES, Resource, Route};

use follow::Seats;
use key::Throttle;
use params::{Params, Question};
use reading::Shelf;
use routes::{Matched, find};

/// Compiles and applies the configuration again; the digest that is now in
/// force, or the diagnostics as text.
pub type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;
/// Takes the figures of other rooms, for `/v1/status`.
pub type TakeFigures = Arc<dyn Fn() -> Figures + Send + Sync>;

/// Everything that the resources show.
pub struct AdminState {
    /// Journal and metrics.
    pub evidence: Evidence,
    /// The index over the journal, unless it is switched off, or not open yet.
    pub index: Arc<ArcSwapOption<RecordIndex>>,
    /// The plan in force.
    pub plan: Arc<ArcSwap<Plan>>,
    /// Reads the configuration again.
    pub reload: Reload,
    /// Figures of other rooms.
    pub figures: TakeFigures,
    /// The credential of this listener.
    pub key: AdminKey,
    /// Start of the process, microseconds since the Unix epoch.
    pub started_us: u64,
    /// Worker threads of the data listeners.
    pub workers: usize,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path, normalised by the edge.
    pub path: &'a str,
    /// Query, without the question mark.
    pub query: Option<&'a str>,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The peer; none on a unix socket.
    pub peer: Option<IpAddr>,
    /// Wall time, microseconds since the Unix epoch.
    pub now_us: u64,
}

/// What is left to do for an answer.
pub enum Answer {
    /// A liveness or readiness probe: the listener itself answers.
    Probe,
    /// Nothing.
    Reply(Reply),
    /// Something that may read the disk.
    Work(Work),
    /// A stream of records.
    Follow(Box<Follow>),
}

/// An answer that may have to wait for the disk.
pub struct Work(Box<dyn FnOnce() -> Reply + Send>);

impl Work {
    /// Makes the answer. To be called where waiting for the disk hurts nobody.
    pub fn run(self) -> Reply {
        (self.0)()
    }
}

/// The admin API.
pub struct Api {
    state: Arc<AdminState>,
    throttle: Throttle,
    seats: Seats,
    /// Held while a reload runs, so that two do not race.
    reloading: Arc<Mutex<()>>,
}

impl Api {
    /// The API over this state.
    pub fn new(state: AdminState) -> Self {
        Self {
            state: Arc::new(state),
            throttle: Throttle::default(),
            seats: Seats::default(),
            reloading: Arc::default(),
        }
    }

    /// Checks a request. Never waits.
    pub fn open(&self, call: &Call) -> Answer {
        self.answer(call).unwrap_or_else(Answer::Reply)
    }

    fn answer(&self, call: &Call) -> Result<Answer, Reply> {
        let (route, segment) = match find(call.method, call.path) {
            Matched::Route(route, segment) => (route, segment),
            Matched::WrongMethod(allow) => return Err(Reply::wrong_method(&allow)),
            Matched::Unknown => return Err(Reply::unknown_path(call.path)),
        };
        let is_open = match route.access {
            Access::Anyone => true,
            Access::Local => key::is_local(call),
            Access::Key => false,
        };
        if !is_open {
            self.throttle.admit(&self.state.key, call)?;
        }
        let params = Params::parse(call.query, route)?;
        let state = self.state.clone();
        let work = |work: Box<dyn FnOnce() -> Reply + Send>| Ok(Answer::Work(Work(work)));
        match route.resource {
            Resource::Probe => Ok(Answer::Probe),
            Resource::OpenApi => Ok(Answer::Reply(Reply::json(&openapi::document()))),
            Resource::Metrics => work(Box::new(move || {
                let text = state.evidence.meter().render();
                Reply::text(evidence::CONTENT_TYPE, text)
            })),
            Resource::Records => {
                let question = Question::of(&params, call.now_us)?;
                if question.follow {
                    return self.follow(question, call.method);
                }
                work(Box::new(move || records::page(&shelf(&state), &question)))
            }
            Resource::Record => {
                let wanted = records::Wanted::parse(segment.unwrap_or_default())?;
                work(Box::new(move || records::one(&shelf(&state), wanted)))
            }
            Resource::Plan => Ok(Answer::Reply(status::plan(&state.plan.load()))),
            Resource::Status => {
                let now_us = call.now_us;
                work(Box::new(move || status::status(&state, now_us)))
            }
            Resource::Reload => {
                let reloading = self.reloading.clone();
                work(Box::new(move || {
                    // A reload that panicked changed nothing.
                    let _one = reloading
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    status::reload(&state.reload)
                }))
            }
        }
    }

    fn follow(&self, question: Question, method: &Method) -> Result<Answer, Reply> {
        if method != Method::GET {
            return Err(Reply::fault(
                400,
                "bad_parameter",
                "`follow=1` needs a GET.",
            ));
        }
        let seat = self.seats.take()?;
        let follow = Follow::new(shelf(&self.state), question, seat);
        Ok(Answer::Follow(Box::new(follow)))
    }
}

fn shelf(state: &AdminState) -> Shelf {
    Shelf {
        journal: state.evidence.journal().clone(),
        index: state.index.load_full(),
    }
}

#[cfg(test)]
mod tests;
