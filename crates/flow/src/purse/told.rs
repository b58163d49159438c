//! What callers and records are told of limits and budgets.

use std::fmt::Write as _;

use contract::{Fault, FaultKind, Origin, Retry};
use evidence::{Decision, Reading, Value};
use http::{HeaderMap, HeaderName, HeaderValue};
use meter::{Breach, Draw, Hold, Measure, Money, QuotaKind, Refused};

/// Longest wait that a caller is told of a limit, milliseconds: a day.
const RETRY_MS_MAX: u64 = 86_400_000;
/// A permit comes back when a call ends, which nobody can foretell.
const PERMIT_MS: u64 = 1_000;

/// What is told of one rate limit.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    measure: Measure,
    limit: i64,
    remaining: i64,
    whole_us: u64,
}

impl Shown {
    /// Of what was taken.
    pub(crate) fn draw(draw: &Draw, now_us: u64) -> Option<Self> {
        shows(draw.measure).then(|| Self {
            measure: draw.measure,
            limit: draw.limit,
            remaining: draw
                .limit
                .saturating_sub(draw.level)
                .saturating_sub(draw.amount)
                .max(0),
            whole_us: draw.whole_us.unwrap_or(now_us),
        })
    }

    /// Of what refused.
    pub(crate) fn breach(breach: &Breach) -> Option<Self> {
        let is_limit = breach.kind == QuotaKind::RateLimit && shows(breach.measure);
        is_limit.then(|| Self {
            measure: breach.measure,
            limit: breach.limit,
            remaining: breach.limit.saturating_sub(breach.level).max(0),
            whole_us: breach.free_us.unwrap_or(0),
        })
    }
}

/// Whether a measure has headers that clients know.
fn shows(measure: Measure) -> bool {
    match measure {
        Measure::Requests | Measure::Tokens | Measure::InputTokens | Measure::OutputTokens => true,
        Measure::Cost | Measure::Concurrency => false,
    }
}

/// `x-ratelimit-*` as vendors write them, of the tightest limit of each
/// measure. `reset` is when the limit is whole again, as `1m30.5s`.
pub(crate) fn headers(shown: &[Shown], now_us: u64, headers: &mut HeaderMap) {
    for (names, measure) in HEADERS.iter().zip(SHOWN) {
        let of_measure = shown.iter().filter(|it| it.measure == measure);
        let Some(tightest) = of_measure.min_by_key(|it| it.remaining) else {
            continue;
        };
        headers.insert(&names[0], HeaderValue::from(tightest.limit));
        headers.insert(&names[1], HeaderValue::from(tightest.remaining));
        let left_ms = tightest.whole_us.saturating_sub(now_us).div_ceil(1_000);
        let left = HeaderValue::try_from(span(left_ms)).expect("digits and units");
        headers.insert(&names[2], left);
    }
}

const SHOWN: [Measure; 4] = [
    Measure::Requests,
    Measure::Tokens,
    Measure::InputTokens,
    Measure::OutputTokens,
];
static HEADERS: [[HeaderName; 3]; 4] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-input-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-input-tokens"),
        HeaderName::from_static("x-ratelimit-reset-input-tokens"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-output-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-output-tokens"),
        HeaderName::from_static("x-ratelimit-reset-output-tokens"),
    ],
];

/// A length of time as those headers write it: `350ms`, `6s`, `1m30s`, `2h0m0s`.
fn span(ms: u64) -> String {
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let (seconds, rest) = (ms / 1_000 % 60, ms % 1_000);
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let mut text = String::new();
    // Writing to a text cannot fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = match rest {
        0 => write!(text, "{seconds}s"),
        rest => write!(text, "{seconds}.{rest:03}s"),
    };
    text
}

/// The refusal of a limit (429) or a budget (402).
pub(crate) fn fault(breach: &Breach, now_us: u64) -> Fault {
    let whose = match breach.scope.as_ref() {
        "" => String::new(),
        scope => format!(" of {scope}"),
    };
    let kind = match breach.kind {
        QuotaKind::RateLimit => "limit",
        QuotaKind::Budget => "budget",
    };
    let limit = amount(breach.measure, breach.limit);
    let head = format!("The {kind} `{}`{whose} is {limit}", breach.quota);
    match (breach.never, breach.kind) {
        (true, _) => never(breach, &head, kind),
        (false, QuotaKind::RateLimit) => limited(breach, &head, retry_ms(breach, now_us)),
        (false, QuotaKind::Budget) => spent(breach, &head, now_us),
    }
}

fn never(breach: &Breach, head: &str, kind: &str) -> Fault {
    let measure = breach.measure;
    let wanted = amount(measure, breach.wanted);
    let over = amount(measure, breach.wanted.saturating_sub(breach.limit));
    let text = format!(
        "{head}, and this call alone may take {wanted}, which is {over} more: it can never be let \
         in. Ask for fewer output tokens, send less, or ask the people who run the gateway for a \
         larger {kind}."
    );
    let status = match breach.kind {
        QuotaKind::RateLimit => FaultKind::RateLimited,
        QuotaKind::Budget => FaultKind::OverBudget,
    };
    Fault::new(status, Origin::Gateway, text).retry(Retry::Never)
}

fn limited(breach: &Breach, head: &str, ms: u64) -> Fault {
    let text = match breach.measure {
        Measure::Concurrency => format!(
            "{head} at the same time, and {} are under way. Try again when one has ended.",
            breach.level
        ),
        Measure::Requests => {
            format!("{head}, and they are used up. Try again in {}.", span(ms))
        }
        Measure::InputTokens | Measure::OutputTokens | Measure::Tokens | Measure::Cost => {
            let used = used(breach, "used");
            format!("{head}; {used}. Try again in {}.", span(ms))
        }
    };
    let fault = Fault::new(FaultKind::RateLimited, Origin::Gateway, text);
    fault.retry(Retry::After { ms })
}

fn spent(breach: &Breach, head: &str, now_us: u64) -> Fault {
    let again = match breach.free_us {
        Some(at_us) => format!("It begins anew in {}", days(at_us.saturating_sub(now_us))),
        None => "It does not begin anew".to_owned(),
    };
    let used = used(breach, "spent");
    let text = format!(
        "{head}; {used}. {again}. Ask for fewer output tokens, or ask the people who run the \
         gateway for more."
    );
    Fault::new(FaultKind::OverBudget, Origin::Gateway, text)
}

fn used(breach: &Breach, word: &str) -> String {
    if breach.shared {
        return format!(
            "what is left of it, which others use as well, does not hold this call, which may take \
             {}",
            amount(breach.measure, breach.wanted)
        );
    }
    let short = breach.level.saturating_add(breach.wanted);
    format!(
        "{} are {word} or reserved, and this call may take {}, which is {} too much",
        amount(breach.measure, breach.level),
        amount(breach.measure, breach.wanted),
        amount(breach.measure, short.saturating_sub(breach.limit)),
    )
}

/// Why a candidate is left out, as the caller hears it if none is left.
pub(crate) fn candidate_refused(refused: &Refused, now_us: u64) -> Fault {
    let firm = match refused {
        Refused::Breached(breaches) => {
            let mut firm = breaches.iter().filter(|it| it.hold == Hold::Enforce);
            firm.find(|it| it.never)
        }
        Refused::Full | Refused::Short | Refused::Unavailable => None,
    };
    if let Some(breach) = firm {
        return Fault::new(
            FaultKind::Overloaded,
            Origin::Gateway,
            format!(
                "This call is larger than a limit of everybody who serves this model (by {}): it \
                 can never be let in. Ask for fewer output tokens, send less, or use another model.",
                amount(breach.measure, breach.wanted.saturating_sub(breach.limit))
            ),
        )
        .retry(Retry::Never);
    }
    let ms = match refused {
        Refused::Breached(breaches) => {
            let waits = breaches.iter().map(|breach| retry_ms(breach, now_us));
            waits.max().unwrap_or(PERMIT_MS)
        }
        Refused::Full | Refused::Short | Refused::Unavailable => PERMIT_MS,
    };
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "Everybody who serves this model has reached a limit of the gateway. Try again shortly, \
         or use another model.",
    )
    .retry(Retry::After { ms })
}

fn retry_ms(breach: &Breach, now_us: u64) -> u64 {
    match breach.free_us {
        Some(at_us) => {
            let ms = at_us.saturating_sub(now_us).div_ceil(1_000);
            ms.clamp(1, RETRY_MS_MAX)
        }
        None => PERMIT_MS,
    }
}

/// A length of time that people plan by.
fn days(us: u64) -> String {
    let minutes = us.div_ceil(60_000_000);
    let (days, hours) = (minutes / 1_440, minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} minutes"),
        (0, hours) => format!("{hours} h {} min", minutes % 60),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// An amount with its unit.
pub(crate) fn amount(measure: Measure, amount: i64) -> String {
    match measure {
        Measure::Cost => format!("{} USD", Money(amount)),
        Measure::Requests => format!("{amount} requests"),
        Measure::Concurrency => format!("{amount} calls"),
        Measure::InputTokens => format!("{amount} input tokens"),
        Measure::OutputTokens => format!("{amount} output tokens"),
        Measure::Tokens => format!("{amount} tokens"),
    }
}

/// The code of a breach, in records and warnings.
pub(crate) fn code(kind: QuotaKind, measure: Measure) -> &'static str {
    match (kind, measure) {
        (QuotaKind::RateLimit, Measure::Requests) => "rate_limit_requests",
        (QuotaKind::RateLimit, Measure::InputTokens) => "rate_limit_input_tokens",
        (QuotaKind::RateLimit, Measure::OutputTokens) => "rate_limit_output_tokens",
        (QuotaKind::RateLimit, Measure::Tokens) => "rate_limit_tokens",
        (QuotaKind::RateLimit, Measure::Cost) => "rate_limit_cost",
        (QuotaKind::RateLimit, Measure::Concurrency) => "rate_limit_concurrency",
        (QuotaKind::Budget, Measure::Requests | Measure::Concurrency) => "budget_requests",
        (QuotaKind::Budget, Measure::InputTokens) => "budget_input_tokens",
        (QuotaKind::Budget, Measure::OutputTokens) => "budget_output_tokens",
        (QuotaKind::Budget, Measure::Tokens) => "budget_tokens",
        (QuotaKind::Budget, Measure::Cost) => "budget_cost",
    }
}

/// A breach as a line of the record, with what it read.
pub(crate) fn decision(breach: &Breach, verdict: &'static str) -> Decision {
    Decision {
        stage: breach.kind.name().into(),
        rule: Some(breach.quota.clone()),
        mode: breach.hold.name().into(),
        verdict: verdict.into(),
        reason: code(breach.kind, breach.measure).into(),
        readings: vec![
            Reading {
                name: "scope".into(),
                value: Value::Name(breach.scope.clone()),
            },
            signed("level", breach.level),
            signed("limit", breach.limit),
            signed("wanted", breach.wanted),
        ],
    }
}

pub(crate) fn number(name: &'static str, value: u64) -> Reading {
    signed(name, i64::try_from(value).unwrap_or(i64::MAX))
}

pub(crate) fn signed(name: &'static str, value: i64) -> Reading {
    Reading {
        name: name.into(),
        value: Value::Int(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_as_clients_read_them() {
        let spans = [0, 350, 6_000, 90_500, 3_600_000, 7_261_001].map(span);
        let expected = ["0ms", "350ms", "6s", "1m30.500s", "1h0m0s", "2h1m1.001s"];
        assert_eq!(spans.each_ref().map(String::as_str), expected);
        assert_eq!(days(59_000_000), "1 minutes");
        assert_eq!(days(2 * 86_400_000_000 + 3_600_000_000), "2 d 1 h");
    }
}
