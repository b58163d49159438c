//! The resources of the admin API: records, plans, status, metrics, reload and
//! the audit journal, each with the roles that may use it.
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
//! may read the disk and belongs on a thread that may wait, a [`Taking`] that
//! wants the body first, or a [`Follow`] that gives records as they are written.

mod approvals;
mod audit;
mod auth;
mod figures;
mod follow;
mod keys;
mod openapi;
mod params;
mod plans;
mod policy;
mod reading;
mod records;
mod reply;
mod routes;
mod spend;
mod status;
mod tail;
mod throttle;
mod versions;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use evidence::{Evidence, RequestId};
use http::{HeaderMap, Method};
use plan::InForce;
use store::{Approvals, RecordIndex};

pub use audit::{Audit, Author, Change, NOTE_CHARS_MAX};
pub use auth::{Actor, AdminKey, By};
pub use figures::{ConnectionFigures, Figures, IssuerFigures, ListenerFigures, PoolFigures};
pub use follow::{FOLLOWERS_MAX, Follow, Step};
pub use keys::{KeyDesk, Mint, Minted, Publish};
pub use openapi::document as openapi;
pub use plans::{Applied, Candidate, Compile, Hands, Plans, Put, rollout_figures};
pub use policy::{CallFacts, Explain, FindKey, Subject};
pub use reply::Reply;
pub use routes::{
    ADMINS, AUDITORS, Access, OPERATORS, READERS, ROUTES, Report, Resource, Route, Scope,
};
pub use spend::{SpentByAll, TakeCounted};
pub use versions::{How, RolloutEnd, Version, Versions};

use follow::Seats;
use keys::Errand;
use params::{AuditQuestion, Page, Params, Question};
use reading::Shelf;
use routes::{Matched, find};
use throttle::Throttle;

/// Reads the configuration again and puts it in force on behalf of somebody;
/// what became of it, or the answer that says why nothing did.
pub type Reload = Arc<dyn Fn(&By) -> Result<Applied, Reply> + Send + Sync>;
/// Takes the figures of other rooms, for `/v1/status`.
pub type TakeFigures = Arc<dyn Fn() -> Figures + Send + Sync>;

/// Everything that the resources show.
pub struct AdminState {
    /// Journal and metrics.
    pub evidence: Evidence,
    /// The index over the journal, unless it is switched off, or not open yet.
    pub index: Arc<ArcSwapOption<RecordIndex>>,
    /// The plan in force.
    pub plan: Arc<ArcSwap<InForce>>,
    /// Reads the configuration again.
    pub reload: Reload,
    /// Figures of other rooms.
    pub figures: TakeFigures,
    /// The gateway's own credential; others are in the plan.
    pub key: AdminKey,
    /// The audit journal.
    pub audit: Audit,
    /// Virtual keys.
    pub keys: KeyDesk,
    /// Finds keys whose calls are to be explained.
    pub find_key: FindKey,
    /// What limits and budgets count.
    pub counted: TakeCounted,
    /// What all replicas spent, where they share a database.
    pub spent_by_all: Option<SpentByAll>,
    /// Approvals.
    pub approvals: Arc<dyn Approvals>,
    /// Versions of the plan.
    pub plans: Arc<Plans>,
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
    /// Id of the call.
    pub request_id: RequestId,
}

/// What is left to do for an answer.
pub enum Answer {
    /// A liveness or readiness probe: the listener itself answers.
    Probe,
    /// Nothing.
    Reply(Reply),
    /// Something that may read the disk.
    Work(Work),
    /// The body, and then something that may wait for the disk.
    Body(Taking),
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

/// An answer that needs the body of the request.
pub struct Taking {
    bytes_max: usize,
    make: Box<dyn FnOnce(Bytes) -> Reply + Send>,
}

impl Taking {
    /// Most bytes of the body.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// What is left to do with this body.
    pub fn with(self, body: Bytes) -> Work {
        let make = self.make;
        Work(Box::new(move || make(body)))
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
            Matched::Route(route, segment) => (route, segment.unwrap_or_default().to_owned()),
            Matched::WrongMethod(allow) => return Err(Reply::wrong_method(&allow)),
            Matched::Unknown => return Err(Reply::unknown_path(call.path)),
        };
        let by = match route.access {
            Access::Anyone => None,
            Access::Local if auth::is_local(call) => None,
            Access::Local | Access::Key => Some(self.admit(route, call)?),
        };
        let params = Params::parse(call.query, route)?;
        match (by, route.access) {
            (Some(by), _) => self.answer_to(Asked {
                by,
                route,
                segment,
                params,
                call,
            }),
            (None, Access::Anyone) => Ok(Answer::Probe),
            (None, Access::Local | Access::Key) => Ok(self.metrics()),
        }
    }

    /// The holder of a credential that may use this route.
    fn admit(&self, route: &Route, call: &Call) -> Result<By, Reply> {
        let actor = self
            .throttle
            .admit(&self.state.key, &self.state.plan.load(), call)?;
        if !route.roles.contains(&actor.role) {
            return Err(auth::forbidden(&actor, route.roles));
        }
        if route.scope == Scope::Whole && actor.tenant.is_some() {
            return Err(auth::too_narrow(&actor));
        }
        Ok(By {
            actor,
            peer: call.peer,
            request_id: call.request_id,
            now_us: call.now_us,
        })
    }
}

/// A request of somebody who may make it.
struct Asked<'a> {
    by: By,
    route: &'static Route,
    segment: String,
    params: Params,
    call: &'a Call<'a>,
}

impl Api {
    fn answer_to(&self, asked: Asked) -> Result<Answer, Reply> {
        match asked.route.resource {
            Resource::Probe => Ok(Answer::Probe),
            Resource::OpenApi => Ok(Answer::Reply(Reply::json(&openapi::document()))),
            Resource::Metrics => Ok(self.metrics()),
            Resource::Records | Resource::Record => self.records(asked),
            Resource::Plan => {
                let plan = self.state.plan.load();
                Ok(Answer::Reply(status::plan(&plan, &asked.by.actor)))
            }
            Resource::Status => {
                let (state, by) = (self.state.clone(), asked.by);
                Ok(work(move || status::status(&state, &by)))
            }
            Resource::Keys
            | Resource::Key
            | Resource::KeyCreate
            | Resource::KeyRotate
            | Resource::KeyRevoke => self.keys(asked),
            Resource::Approvals
            | Resource::Approval
            | Resource::ApprovalGive
            | Resource::ApprovalDeny => Ok(self.approvals(asked)),
            Resource::PolicyExplain => {
                let (state, by) = (self.state.clone(), asked.by);
                Ok(taking(asked.route, move |body| {
                    policy::explain(&state.find_key, &body, &by).unwrap_or_else(|fault| fault)
                }))
            }
            Resource::Report(report) => {
                let (state, by, params) = (self.state.clone(), asked.by, asked.params);
                let run = move |body: Bytes| {
                    let asked = spend::Asked {
                        state: &state,
                        by: &by,
                        params: &params,
                    };
                    spend::answer(report, &asked, &body)
                };
                Ok(match asked.route.body_bytes_max {
                    0 => work(move || run(Bytes::new())),
                    _ => taking(asked.route, run),
                })
            }
            Resource::Audit => {
                let question = AuditQuestion::of(&asked.params, asked.by.now_us)?;
                let audit = self.state.audit.clone();
                Ok(work(move || audit.page(&question, &asked.by.actor)))
            }
            Resource::Reload
            | Resource::Plans
            | Resource::PlanVersion
            | Resource::PlanDiff
            | Resource::PlanApply
            | Resource::PlanRollback
            | Resource::Rollout
            | Resource::RolloutSet
            | Resource::RolloutPromote
            | Resource::RolloutAbort => self.plans(asked),
        }
    }

    fn metrics(&self) -> Answer {
        let state = self.state.clone();
        work(move || {
            let text = state.evidence.meter().render();
            Reply::text(evidence::CONTENT_TYPE, text)
        })
    }

    fn records(&self, asked: Asked) -> Result<Answer, Reply> {
        let state = self.state.clone();
        if asked.route.resource == Resource::Record {
            let wanted = records::Wanted::parse(&asked.segment)?;
            let actor = asked.by.actor;
            return Ok(work(move || records::one(&shelf(&state), wanted, &actor)));
        }
        let mut question = Question::of(&asked.params, asked.by.now_us)?;
        question.hold_to(&asked.by.actor)?;
        if question.follow {
            return self.follow(question, asked.call.method);
        }
        Ok(work(move || records::page(&shelf(&state), &question)))
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

    /// Versions of the plan, and what changes it.
    fn plans(&self, asked: Asked) -> Result<Answer, Reply> {
        let Asked {
            by,
            route,
            segment: digest,
            params,
            ..
        } = asked;
        let either = |made: Result<Reply, Reply>| made.unwrap_or_else(|fault| fault);
        let state = self.state.clone();
        match route.resource {
            Resource::Plans => {
                let page = Page::of(&params)?;
                Ok(work(move || state.plans.list(page)))
            }
            Resource::PlanDiff => Ok(work(move || either(state.plans.compare(&digest, &params)))),
            Resource::PlanApply => Ok(taking(route, move |body| {
                either(state.plans.apply(&body, &by))
            })),
            Resource::PlanRollback => Ok(taking(route, move |body| {
                either(state.plans.rollback(&digest, &body, &by))
            })),
            Resource::Rollout => Ok(work(move || state.plans.rollout(state.evidence.meter()))),
            Resource::RolloutSet => Ok(taking(route, move |body| {
                either(state.plans.set_rollout(&body, &by))
            })),
            Resource::RolloutPromote => Ok(taking(route, move |body| {
                either(state.plans.promote(&body, &by))
            })),
            Resource::RolloutAbort => Ok(taking(route, move |body| {
                either(state.plans.abort(&body, &by))
            })),
            Resource::Reload => {
                let reloading = self.reloading.clone();
                Ok(work(move || {
                    // A reload that panicked changed nothing.
                    let _one = reloading
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    either((state.reload)(&by).map(|applied| Reply::json(&applied)))
                }))
            }
            Resource::PlanVersion
            | Resource::Probe
            | Resource::OpenApi
            | Resource::Metrics
            | Resource::Records
            | Resource::Record
            | Resource::Plan
            | Resource::Status
            | Resource::Keys
            | Resource::Key
            | Resource::KeyCreate
            | Resource::KeyRotate
            | Resource::KeyRevoke
            | Resource::Approvals
            | Resource::Approval
            | Resource::ApprovalGive
            | Resource::ApprovalDeny
            | Resource::PolicyExplain
            | Resource::Report(_)
            | Resource::Audit => Ok(work(move || either(state.plans.one(&digest)))),
        }
    }
}

impl Api {
    /// Virtual keys.
    fn keys(&self, asked: Asked) -> Result<Answer, Reply> {
        let Asked {
            by,
            route,
            segment: id,
            params,
            ..
        } = asked;
        let state = self.state.clone();
        let resource = route.resource;
        let run = move |body: Bytes| {
            let plan = state.plan.load();
            let errand = Errand {
                desk: &state.keys,
                audit: &state.audit,
                plan: &plan,
                by: &by,
            };
            let made = match resource {
                Resource::KeyCreate => errand.create(&body),
                Resource::KeyRotate => errand.rotate(&id, &body),
                Resource::KeyRevoke => errand.revoke(&id, &body),
                Resource::Key => errand.one(&id),
                Resource::Keys
                | Resource::Approvals
                | Resource::Approval
                | Resource::ApprovalGive
                | Resource::ApprovalDeny
                | Resource::PolicyExplain
                | Resource::Report(_)
                | Resource::Probe
                | Resource::OpenApi
                | Resource::Metrics
                | Resource::Records
                | Resource::Record
                | Resource::Plan
                | Resource::Status
                | Resource::Reload
                | Resource::Audit
                | Resource::Plans
                | Resource::PlanVersion
                | Resource::PlanDiff
                | Resource::PlanApply
                | Resource::PlanRollback
                | Resource::Rollout
                | Resource::RolloutSet
                | Resource::RolloutPromote
                | Resource::RolloutAbort => errand.list(&params),
            };
            made.unwrap_or_else(|fault| fault)
        };
        Ok(match route.body_bytes_max {
            0 => work(move || run(Bytes::new())),
            _ => taking(route, run),
        })
    }
}

impl Api {
    /// Approvals.
    fn approvals(&self, asked: Asked) -> Answer {
        let Asked {
            by,
            route,
            segment: id,
            params,
            ..
        } = asked;
        let state = self.state.clone();
        let run = move |body: Bytes| {
            let errand = approvals::Errand {
                store: &state.approvals,
                audit: &state.audit,
                by: &by,
            };
            let made = if route.resource == Resource::Approvals {
                errand.list(&params)
            } else if route.body_bytes_max == 0 {
                errand.one(&id)
            } else {
                errand.vote(&id, &body, route.resource == Resource::ApprovalGive)
            };
            made.unwrap_or_else(|fault| fault)
        };
        match route.body_bytes_max {
            0 => work(move || run(Bytes::new())),
            _ => taking(route, run),
        }
    }
}

fn work(make: impl FnOnce() -> Reply + Send + 'static) -> Answer {
    Answer::Work(Work(Box::new(make)))
}

fn taking(route: &Route, make: impl FnOnce(Bytes) -> Reply + Send + 'static) -> Answer {
    Answer::Body(Taking {
        bytes_max: route.body_bytes_max,
        make: Box::new(make),
    })
}

fn shelf(state: &AdminState) -> Shelf {
    Shelf {
        journal: state.evidence.journal().clone(),
        index: state.index.load_full(),
    }
}

#[cfg(test)]
mod tests;
