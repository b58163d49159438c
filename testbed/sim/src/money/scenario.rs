//! A scenario about money: limits, budgets, prices, callers that share them,
//! and what goes wrong meanwhile.

use dialects::{DIALECTS, Unsupported};
use http::{HeaderName, HeaderValue};
use meter::{
    Action, CalendarUnit, Dimension, Hold, Measure, Override, Pace, Queue, QuotaKind, QuotaSpec,
    Scope, Threshold, Window,
};
use plan::LossPolicy;
use serde_json::Value;

use super::price::{Line, Rate};
use super::windows::ZONES;
use crate::answers::Told;
use crate::asks::{self, Ask, Shape, Wish};
use crate::chance::Chance;
use crate::ledger::Who;
use crate::scenario::{self, Door, ExchangePlan, Flaw, Scenario};

const EXCHANGES_MAX: usize = 9;
const QUOTAS_MAX: usize = 6;
const CANDIDATES_MAX: usize = 3;
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest time until the last caller comes, milliseconds.
const STARTS_MS_MAX: u64 = 20_000;
/// Furthest that the clock is set back at once, microseconds. Twice that is
/// below the shortest window, and a window is remembered for its own length
/// after its end.
const BACK_US_MAX: u64 = 14_000_000;
/// When every run begins, seconds since 1970; as the clock has it.
const START_S: u64 = 1_700_000_000;
pub(super) const TENANTS: [&str; 3] = ["t0", "t1", "t2"];
const USERS: [&str; 2] = ["ann", "bob"];

/// Everything about money that the seed decides.
pub(super) struct Plot {
    pub(super) callers: Vec<CallerPlan>,
    pub(super) quotas: Vec<QuotaSpec>,
    pub(super) prices: Vec<Line>,
    pub(super) output_tokens: u32,
    pub(super) strict: bool,
    /// Output tokens of a stream that are reserved at a time.
    pub(super) slice: Option<u32>,
    pub(super) faults: Faults,
}

/// Who calls, when, and for how much.
pub(super) struct CallerPlan {
    pub(super) tenant: &'static str,
    pub(super) user: &'static str,
    pub(super) start_ms: u64,
    pub(super) max_cost: Option<i64>,
}

/// What goes wrong beside upstreams and callers.
pub(super) struct Faults {
    /// How many acts each process but the last lives for.
    pub(super) crashes: Vec<u64>,
    /// When the wall clock is set, and by how much: milliseconds since the
    /// start, microseconds.
    pub(super) jumps: Vec<(u64, i64)>,
    /// When passed windows are let go, milliseconds since the start.
    pub(super) sweeps: Vec<u64>,
    /// When the table of calls under way cannot be written.
    pub(super) down: Vec<(u64, u64)>,
    /// When the counters cannot be asked, in the same way.
    pub(super) unasked: Vec<(u64, u64)>,
    /// Rows that the table has.
    pub(super) rows: u32,
}

impl Plot {
    /// The plot of a seed, and what its callers and upstreams do.
    pub(super) fn draw(seed: u64) -> (Self, Scenario) {
        let mut chance = Chance::new(seed ^ 0x6d6f_6e65_7900);
        let count = 2 + chance.index(EXCHANGES_MAX - 1);
        let tenants = 1 + chance.index(TENANTS.len());
        let mut callers: Vec<CallerPlan> = (0..count)
            .map(|_| CallerPlan {
                tenant: chance.pick(&TENANTS[..tenants]),
                user: chance.pick(&USERS),
                start_ms: chance.below(STARTS_MS_MAX),
                max_cost: chance.one_in(5).then(|| 20_000 << chance.below(12)),
            })
            .collect();
        if chance.one_in(3) {
            // All at once.
            callers.iter_mut().for_each(|caller| caller.start_ms /= 40);
        }
        let exchanges = callers.iter().enumerate();
        let exchanges = exchanges
            .map(|(nth, caller)| exchange(nth, caller.max_cost, &mut chance.fork()))
            .collect();
        let quotas = (0..1 + chance.index(QUOTAS_MAX))
            .map(|nth| quota(nth, tenants, &mut chance.fork()))
            .collect();
        let plot = Self {
            callers,
            quotas,
            prices: prices(&mut chance.fork()),
            output_tokens: chance.pick(&[64, 500, 4_000]),
            strict: chance.one_in(6),
            slice: chance.one_in(3).then(|| chance.pick(&[1, 3, 8, 40])),
            faults: faults(count, &mut chance.fork()),
        };
        let scenario = Scenario {
            exchanges,
            slots: 64,
            answer_bytes_max: ANSWER_BYTES_MAX,
            losses: LossPolicy::Declare,
            unsupported: Unsupported::Drop,
            chance,
        };
        (plot, scenario)
    }
}

fn faults(exchanges: usize, chance: &mut Chance) -> Faults {
    let crashes = match chance.below(6) {
        0 | 1 => 1,
        2 => 2,
        _ => 0,
    };
    let acts = exchanges as u64 * 7;
    let mut jumps = vec![(0, to_an_edge(chance))];
    for _ in 0..chance.below(3) {
        let by = match chance.below(4) {
            0 => chance.below(100_000_000),
            1 => 60_000_000 * chance.below(180),
            2 => 86_400_000_000 * chance.below(40),
            _ => chance.below(5_000_000),
        };
        jumps.push((chance.below(STARTS_MS_MAX), by as i64));
    }
    for _ in 0..chance.below(3) {
        let by = chance.below(BACK_US_MAX);
        jumps.push((chance.below(STARTS_MS_MAX), -(by as i64)));
    }
    let down = (0..chance.below(3) / 2).map(|_| {
        let from = chance.below(STARTS_MS_MAX);
        (from, from + chance.below(6_000))
    });
    let down = down.collect();
    let unasked = chance.one_in(5).then(|| {
        let from = chance.below(STARTS_MS_MAX);
        (from, from + chance.below(4_000))
    });
    Faults {
        down,
        unasked: unasked.into_iter().collect(),
        sweeps: (0..chance.below(3))
            .map(|_| chance.below(STARTS_MS_MAX * 2))
            .collect(),
        crashes: (0..crashes).map(|_| chance.below(acts)).collect(),
        rows: if chance.one_in(10) { 2 } else { 64 },
        jumps,
    }
}

/// To a little before the end of a window, by the calendar or the clock.
fn to_an_edge(chance: &mut Chance) -> i64 {
    let day_s = 86_400;
    let midnight_s = (START_S / day_s + 1) * day_s;
    let edge_s = match chance.below(5) {
        0 => midnight_s,
        // Midnight in India, and the end of November.
        1 => midnight_s - 19_800 + day_s,
        2 => 1_701_388_800,
        // A Monday.
        3 => 1_700_438_400,
        _ => START_S + 10,
    };
    let before_us = chance.below(25_000_000);
    ((edge_s - START_S) * 1_000_000) as i64 - before_us as i64
}

fn prices(chance: &mut Chance) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |tenant, from_s, chance: &mut Chance| {
        let base = 1_000_000 * (1 + chance.below(20_000)) as i64 + chance.below(1_000) as i64;
        lines.push(Line {
            tenant,
            from_s,
            rate: Rate {
                input: base,
                read: base / 10,
                write: base + base / 4,
                output: base * 4,
                reasoning: base * 4,
            },
        });
    };
    if !chance.one_in(10) {
        line(None, 0, chance);
    }
    if chance.one_in(3) {
        // It changes while calls are under way.
        line(None, START_S + chance.below(60), chance);
        line(None, 1_700_006_400 - 10 + chance.below(20), chance);
    }
    if chance.one_in(3) {
        line(Some(TENANTS[0]), 0, chance);
    }
    lines
}

fn quota(nth: usize, tenants: usize, chance: &mut Chance) -> QuotaSpec {
    let measure = match chance.below(8) {
        0 => Measure::Requests,
        1 => Measure::InputTokens,
        2 => Measure::OutputTokens,
        3 => Measure::Tokens,
        4 | 5 => Measure::Concurrency,
        _ => Measure::Cost,
    };
    let kind = match measure {
        Measure::Concurrency => QuotaKind::RateLimit,
        _ if chance.one_in(3) => QuotaKind::RateLimit,
        _ => QuotaKind::Budget,
    };
    let limit = match measure {
        Measure::Requests => 1 + chance.below(4) as i64,
        Measure::Concurrency => 1 + chance.below(2) as i64,
        Measure::InputTokens => 300 << chance.below(5),
        Measure::OutputTokens => 60 << chance.below(9),
        Measure::Tokens => 400 << chance.below(7),
        Measure::Cost => 300_000 << chance.below(14),
    };
    let pace = pace(measure, kind, chance);
    let scope = scope(tenants, chance);
    let is_changed = matches!(pace, Pace::Window(_)) && chance.one_in(4);
    let overrides = is_changed.then(|| {
        let from_us = (START_S + chance.below(30)) * 1_000_000;
        Override {
            limit: if chance.one_in(2) {
                limit * 2
            } else {
                limit / 2
            },
            from_us,
            until_us: from_us + 1_000_000 * (1 + chance.below(100_000)),
        }
    });
    QuotaSpec {
        name: format!("q{nth}").into(),
        kind,
        measure,
        limit,
        pace,
        hold: chance.pick(&[
            Hold::Enforce,
            Hold::Enforce,
            Hold::Enforce,
            Hold::Enforce,
            Hold::Warn,
            Hold::Shadow,
        ]),
        overrides: overrides.into_iter().collect(),
        thresholds: thresholds(kind, &scope, chance),
        scope,
        queue: queue(measure, chance),
        usual: None,
    }
}

/// Whose calls, and by whom they are counted.
fn scope(tenants: usize, chance: &mut Chance) -> Scope {
    let by: &[Dimension] = match chance.below(9) {
        0 | 1 => &[Dimension::Tenant],
        2 => &[Dimension::Tenant, Dimension::User],
        3 => &[],
        4 => &[Dimension::User],
        5 => &[Dimension::Key],
        6 => &[Dimension::Provider],
        7 => &[Dimension::UpstreamModel, Dimension::Tenant],
        _ => &[Dimension::App, Dimension::Operation],
    };
    let mut only = Vec::new();
    if chance.one_in(4) {
        let tenant = TENANTS[chance.index(tenants)];
        only.push((Dimension::Tenant, vec![tenant.to_owned()]));
    }
    Scope {
        by: by.to_vec(),
        only,
    }
}

/// Calls wait where room comes back soon.
fn queue(measure: Measure, chance: &mut Chance) -> Option<Queue> {
    let waits = matches!(measure, Measure::Concurrency | Measure::Requests);
    (waits && chance.one_in(3)).then(|| Queue {
        wait_ms: 500 + chance.below(8_000),
        length: 1 + chance.below(3) as u32,
        first: Vec::new(),
        last: Vec::new(),
    })
}

fn thresholds(kind: QuotaKind, scope: &Scope, chance: &mut Chance) -> Vec<Threshold> {
    if kind == QuotaKind::RateLimit || scope.is_of_attempt() || !chance.one_in(3) {
        return Vec::new();
    }
    let mut all = vec![Threshold {
        at: 300,
        action: Action::Alert,
    }];
    let action = match chance.below(3) {
        0 => Action::Shorten(20),
        1 => Action::Answer("sorry".into()),
        _ => Action::Refuse,
    };
    all.push(Threshold { at: 700, action });
    all
}

fn pace(measure: Measure, kind: QuotaKind, chance: &mut Chance) -> Pace {
    match measure {
        Measure::Concurrency => return Pace::Permits,
        Measure::Requests if kind == QuotaKind::RateLimit && !chance.one_in(3) => {
            return Pace::Gcra {
                period_us: 1_000_000 * (1 + chance.below(20)),
                burst: 1 + chance.below(3),
            };
        }
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Cost => {}
    }
    Pace::Window(match chance.below(5) {
        0 | 1 => Window::Fixed {
            length_s: chance.pick(&[30, 37, 60, 3_600]),
            anchor_s: chance.pick(&[0, 7, START_S, 2_000_000_000]),
        },
        2 => Window::Sliding {
            length_ms: chance.pick(&[30_000, 60_007, 3_600_000]),
        },
        3 => {
            let (name, _) = chance.pick(&ZONES);
            Window::Calendar {
                unit: chance.pick(&[CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month]),
                zone: meter::window::zone(name).expect("the database has it"),
            }
        }
        _ => Window::Forever,
    })
}

fn exchange(nth: usize, max_cost: Option<i64>, chance: &mut Chance) -> ExchangePlan {
    let front = chance.pick(DIALECTS);
    let stream = !chance.one_in(3);
    let usage = chance.one_in(2);
    let shape = chance.pick(&[Shape::Plain, Shape::Tools, Shape::Images, Shape::Thinking]);
    let wish = Wish {
        model: &format!("m{nth}"),
        stream,
        usage,
        shape,
    };
    let mut ask = asks::ask(front, wish);
    bend(front.id().0, &mut ask, chance);
    if let Some(nanos) = max_cost {
        let value = HeaderValue::try_from(meter::Money(nanos).to_string());
        let name = HeaderName::from_static("tollgate-max-cost");
        ask.headers.push((name, value.expect("digits")));
    }
    let candidates = (0..1 + chance.index(CANDIDATES_MAX)).map(|candidate| {
        let who = Who {
            exchange: nth,
            candidate,
        };
        let door = Door {
            front,
            stream,
            answer_bytes_max: ANSWER_BYTES_MAX,
            told: match chance.below(10) {
                0 => Told::Missing,
                1 => Told::Zero,
                2 => Told::Huge,
                _ => Told::Plain,
            },
        };
        scenario::candidate_plan(who, door, &mut chance.fork())
    });
    let candidates = candidates.collect();
    ExchangePlan {
        front,
        stream,
        usage,
        shape,
        ask,
        flaw: Flaw::None,
        start_ms: 0,
        manner: scenario::manner(chance),
        candidates,
    }
}

/// Names of the cap on the output.
const CAPS: [&str; 5] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "maxTokens",
];

/// Another cap on the output, or none, and more answers than one.
fn bend(dialect: &str, ask: &mut Ask, chance: &mut Chance) {
    let cap = match chance.below(8) {
        0 if dialect != "anthropic" => None,
        1 => Some(1_000_000_000_000),
        2 => Some(4_000),
        3 | 4 => Some(600),
        _ => Some(40),
    };
    let mut json: Value = serde_json::from_slice(&ask.body).expect("writers write JSON");
    set_cap(&mut json, cap);
    if chance.one_in(4) {
        let choices = 2 + chance.below(2);
        match dialect {
            "openai_chat" => json["n"] = choices.into(),
            "gemini" => json["generationConfig"]["candidateCount"] = choices.into(),
            _ => {}
        }
    }
    ask.body = json.to_string().into();
}

fn set_cap(json: &mut Value, cap: Option<u64>) {
    let Some(members) = json.as_object_mut() else {
        return;
    };
    for name in CAPS {
        match cap {
            Some(cap) if members.contains_key(name) => {
                members.insert(name.to_owned(), cap.into());
            }
            Some(_) => {}
            None => drop(members.shift_remove(name)),
        }
    }
    for name in ["generationConfig", "inferenceConfig"] {
        if let Some(inner) = members.get_mut(name) {
            set_cap(inner, cap);
        }
    }
}
