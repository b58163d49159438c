//! A scenario: everything about a run that its seed decides, as plain data.

use contract::FaultKind;
use dialects::{DIALECTS, Dialect, Unsupported};
use plan::LossPolicy;

use crate::acts::{self, Act, Part, Script};
use crate::answers::Told;
use crate::asks::{self, Ask, SHAPES, Shape, Wish};
use crate::chance::Chance;
use crate::ledger::Who;

/// Most exchanges of a run.
const EXCHANGES_MAX: usize = 5;
/// Most candidates of an exchange.
const CANDIDATES_MAX: usize = 4;

/// Everything that the seed decides.
pub(crate) struct Scenario {
    pub(crate) exchanges: Vec<ExchangePlan>,
    /// Slots of the journal; fewer than exchanges make it refuse some.
    pub(crate) slots: u64,
    pub(crate) answer_bytes_max: usize,
    pub(crate) losses: LossPolicy,
    pub(crate) unsupported: Unsupported,
    /// What is left for the order of the run.
    pub(crate) chance: Chance,
}

/// One exchange.
pub(crate) struct ExchangePlan {
    pub(crate) front: &'static dyn Dialect,
    pub(crate) stream: bool,
    /// The caller asks for usage in the stream, where its dialect must.
    pub(crate) usage: bool,
    pub(crate) shape: Shape,
    pub(crate) ask: Ask,
    pub(crate) flaw: Flaw,
    pub(crate) start_ms: u64,
    pub(crate) manner: Manner,
    pub(crate) candidates: Vec<CandidatePlan>,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    WrongKey,
    NoKey,
    UnknownModel,
    CutBody,
    /// The body could not be read, for this reason.
    LostBody(FaultKind),
}

/// How a caller behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    ReadsAll,
    /// Waits so long before each piece.
    Slow {
        pause_ms: u64,
    },
    /// Leaves without waiting for anything.
    LeavesAtOnce,
    /// Leaves at this time after its request.
    LeavesAfter {
        ms: u64,
    },
    /// Leaves when it has so many pieces of the body.
    LeavesWithPieces {
        pieces: usize,
    },
}

/// One way to serve an exchange.
pub(crate) struct CandidatePlan {
    pub(crate) kind: &'static str,
    /// What it is spoken to in; empty for the sandbox.
    pub(crate) dialects: Vec<&'static dyn Dialect>,
    /// The one of them that this exchange uses.
    pub(crate) spoken: Option<&'static dyn Dialect>,
    pub(crate) act: Act,
    pub(crate) script: Option<Script>,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let answer_bytes_max = 64 * 1024;
        let count = 1 + chance.index(EXCHANGES_MAX);
        let exchanges = (0..count)
            .map(|exchange| exchange_plan(exchange, answer_bytes_max, &mut chance.fork()))
            .collect();
        Self {
            exchanges,
            slots: if chance.one_in(12) { 1 } else { 64 },
            answer_bytes_max,
            losses: if chance.one_in(8) {
                LossPolicy::Refuse
            } else {
                LossPolicy::Declare
            },
            unsupported: if chance.one_in(8) {
                Unsupported::Refuse
            } else {
                Unsupported::Drop
            },
            chance,
        }
    }
}

fn exchange_plan(exchange: usize, answer_bytes_max: usize, chance: &mut Chance) -> ExchangePlan {
    let front = chance.pick(DIALECTS);
    let stream = !chance.one_in(3);
    let usage = chance.one_in(2);
    let shape = chance.pick(&SHAPES);
    let flaw = if chance.one_in(10) {
        chance.pick(&[
            Flaw::WrongKey,
            Flaw::NoKey,
            Flaw::UnknownModel,
            Flaw::CutBody,
            Flaw::LostBody(FaultKind::TooLarge),
            Flaw::LostBody(FaultKind::BadRequest),
        ])
    } else {
        Flaw::None
    };
    let model = match flaw {
        Flaw::UnknownModel => "nobody".to_owned(),
        Flaw::None | Flaw::WrongKey | Flaw::NoKey | Flaw::CutBody | Flaw::LostBody(_) => {
            format!("m{exchange}")
        }
    };
    let ask = asks::ask(
        front,
        Wish {
            model: &model,
            stream,
            usage,
            shape,
        },
    );
    let candidates = (0..1 + chance.index(CANDIDATES_MAX))
        .map(|candidate| {
            let who = Who {
                exchange,
                candidate,
            };
            let door = Door {
                front,
                stream,
                answer_bytes_max,
                told: Told::Plain,
            };
            candidate_plan(who, door, &mut chance.fork())
        })
        .collect();
    ExchangePlan {
        front,
        stream,
        usage,
        shape,
        ask,
        flaw,
        start_ms: chance.below(3_000),
        manner: manner(chance),
        candidates,
    }
}

pub(crate) fn manner(chance: &mut Chance) -> Manner {
    match chance.below(10) {
        0..=4 => Manner::ReadsAll,
        5 => Manner::Slow {
            pause_ms: chance.below(30_000),
        },
        6 => Manner::LeavesAtOnce,
        7 | 8 => Manner::LeavesAfter {
            ms: chance.below(6_000),
        },
        _ => Manner::LeavesWithPieces {
            pieces: chance.index(6),
        },
    }
}

/// What the candidates of an exchange have in common.
#[derive(Clone, Copy)]
pub(crate) struct Door {
    pub(crate) front: &'static dyn Dialect,
    pub(crate) stream: bool,
    pub(crate) answer_bytes_max: usize,
    pub(crate) told: Told,
}

/// One way to serve an exchange.
pub(crate) fn candidate_plan(who: Who, door: Door, chance: &mut Chance) -> CandidatePlan {
    let Door {
        front,
        stream,
        answer_bytes_max,
        told,
    } = door;
    if chance.one_in(16) {
        return CandidatePlan {
            kind: "sandbox",
            dialects: Vec::new(),
            spoken: None,
            act: Act::Good,
            script: None,
        };
    }
    let dialect = if chance.one_in(2) {
        front
    } else {
        chance.pick(DIALECTS)
    };
    let mut dialects = vec![dialect];
    let kind = match dialect.id().0 {
        "openai_chat" => chance.pick(&["openai", "mistral"]),
        "openai_responses" => "openai",
        other => providers::kind(other).map_or("openai", |kind| kind.name),
    };
    if kind == "openai" && chance.one_in(3) {
        dialects = ["openai_chat", "openai_responses"]
            .into_iter()
            .filter_map(dialects::by_name)
            .collect();
    }
    let own = dialects.iter().copied().find(|one| one.id() == front.id());
    let spoken = own.unwrap_or(dialects[0]);
    let act = acts::draw(stream, chance);
    let script = acts::script(
        act,
        &mut Part {
            who,
            dialect: spoken,
            stream,
            answer_bytes_max,
            told,
            chance,
        },
    );
    CandidatePlan {
        kind,
        dialects,
        spoken: Some(spoken),
        act,
        script: Some(script),
    }
}
