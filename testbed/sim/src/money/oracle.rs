//! The oracle: a plain list of what was admitted and settled, and what must
//! hold of it. It knows nothing of the counters' own arithmetic.
//!
//! Deliberately not here: records (`check`), where counters live (`tap`).

use std::collections::BTreeMap;

use meter::{Admitted, Amounts, Draw, Hold, Level, Measure, Pace, QuotaSpec, Refused, Span};
use meter::{Subject, Want, Window};

use super::windows;
use crate::Violation;
use crate::world::key_id;

/// Something that was admitted.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) exchange: usize,
    pub(super) quota: usize,
    /// By whom it is counted, in words.
    pub(super) scope: String,
    pub(super) at_us: u64,
    pub(super) draw: Draw,
    /// The provider, if it is of an attempt.
    pub(super) provider: Option<String>,
    /// Which slice of the exchange it belongs to; 0: the first.
    pub(super) slice: usize,
    /// What was held before the last slice.
    pub(super) before: i64,
    /// The last slice, where there is more than one.
    last: Option<Draw>,
    pub(super) settled: Option<i64>,
    /// It counts no more, although it was taken: the permit of a process that
    /// died, or what died with it by declaration.
    pub(super) gone: bool,
    /// It was settled in an earlier process.
    pub(super) is_old: bool,
}

impl Entry {
    /// What it counts for.
    fn value(&self) -> i64 {
        match (self.settled, self.draw.measure) {
            (Some(_), Measure::Concurrency) => 0,
            (Some(settled), _) => settled,
            (None, _) => self.draw.amount,
        }
    }

    /// Whether it is ever settled: cells are not.
    pub(super) fn is_counted(&self) -> bool {
        self.draw.span != Span::NONE
    }

    /// What it came to beyond what was reserved.
    fn debt(&self) -> i64 {
        match (self.settled, self.draw.measure) {
            (Some(_), Measure::Concurrency) | (None, _) => 0,
            // Debt is told since the start of the process.
            (Some(_), _) if self.is_old => 0,
            (Some(settled), _) => settled.saturating_sub(self.draw.amount).max(0),
        }
    }
}

/// A leaky bucket (ITU-T I.371 in its other formulation).
#[derive(Clone, Copy, Default)]
pub(super) struct Leak {
    full_us: u64,
    seen_us: u64,
}

impl Leak {
    fn at(&self, now_us: u64) -> u64 {
        let passed = now_us.saturating_sub(self.seen_us);
        self.full_us.saturating_sub(passed)
    }
}

/// What happened to the caller's own admission of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) admitted: bool,
    pub(super) refused: bool,
}

/// The list.
#[derive(Default)]
pub(super) struct Oracle {
    pub(super) quotas: Vec<QuotaSpec>,
    pub(super) entries: Vec<Entry>,
    pub(super) verdicts: BTreeMap<usize, Verdict>,
    /// Providers that an exchange was admitted to.
    pub(super) admitted_to: Vec<(usize, String)>,
    /// The exchange that asked for a further slice, as long as no other one
    /// asks for anything: what is given back now is of that slice.
    latest_slice: Option<usize>,
    pub(super) leaks: BTreeMap<(usize, String), Leak>,
    /// The clock was set back, so that a refusal by cells may be stricter.
    latest_us: u64,
    was_set_back: bool,
    pub(super) found: Vec<Violation>,
}

impl Oracle {
    /// Of a scenario with these quotas.
    pub(super) fn of(quotas: &[QuotaSpec]) -> Self {
        Self {
            quotas: quotas.to_vec(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, rule: &'static str, what: String) {
        self.found.push(Violation { rule, what });
    }

    fn demand(&mut self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, what());
        }
    }

    /// An admission was asked for, and this came of it.
    pub(super) fn admitted(
        &mut self,
        now_us: u64,
        (subject, wants): (&Subject<'_>, &[Want<'_>]),
        came: &Result<Admitted, Refused>,
    ) {
        self.was_set_back |= now_us < self.latest_us;
        self.latest_us = self.latest_us.max(now_us);
        let Some(exchange) = (0..64).find(|nth| key_id(*nth) == subject.key) else {
            return self.add("subject", format!("nobody has the key {}", subject.key));
        };
        self.set_back(now_us, subject, wants);
        let provider = subject.attempt.map(|attempt| attempt.provider.to_owned());
        // Whoever was let in and comes again wants a further slice.
        let is_slice = match &provider {
            None => self.verdicts.get(&exchange).is_some_and(|it| it.admitted),
            Some(provider) => self.admitted_to.contains(&(exchange, provider.clone())),
        };
        self.complete(exchange, subject, wants, is_slice);
        self.latest_slice = self.latest_slice.filter(|it| *it == exchange);
        match &provider {
            _ if is_slice => self.latest_slice = Some(exchange),
            None => {
                let verdict = self.verdicts.entry(exchange).or_default();
                verdict.refused |= came.is_err();
                verdict.admitted |= came.is_ok();
            }
            Some(provider) if came.is_ok() => {
                self.admitted_to.push((exchange, provider.clone()));
            }
            Some(_) => {}
        }
        match came {
            Ok(admitted) => self.taken(now_us, (exchange, provider), (subject, wants), admitted),
            Err(Refused::Breached(_)) => self.refused(now_us, exchange, subject, wants),
            Err(Refused::Full | Refused::Unavailable | Refused::Short) => {
                self.add("refused", format!("x{exchange} was refused for no reason"));
            }
        }
    }

    /// The counters cannot be asked: nobody may be let in.
    pub(super) fn unasked(&mut self, subject: &Subject<'_>) {
        let exchange = (0..64).find(|nth| key_id(*nth) == subject.key);
        if let (Some(exchange), None) = (exchange, subject.attempt) {
            self.verdicts.entry(exchange).or_default().refused = true;
        }
    }

    /// What had leaked away is let go of, and does not come back with a clock
    /// that is set back.
    pub(super) fn swept(&mut self, now_us: u64) {
        self.leaks.retain(|_, leak| leak.at(now_us) > 0);
    }

    /// A clock that was set back: what is full leaks from here on.
    fn set_back(&mut self, now_us: u64, subject: &Subject<'_>, wants: &[Want<'_>]) {
        for want in wants {
            let nth = self.index(&want.quota.name);
            let scope = scope_of(&self.quotas[nth], subject);
            if let Some(leak) = self.leaks.get_mut(&(nth, scope)) {
                leak.seen_us = leak.seen_us.min(now_us);
            }
        }
    }

    /// Every quota that is about the call is asked, each once.
    fn complete(
        &mut self,
        exchange: usize,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
        is_slice: bool,
    ) {
        let quotas = self.quotas.iter();
        let about = quotas.filter(|quota| {
            let mut only = quota.scope.only.iter();
            let is_own = only.all(|(by, names)| names.iter().any(|it| *it == subject.value(*by)));
            let grows = matches!(
                quota.measure,
                Measure::OutputTokens | Measure::Tokens | Measure::Cost
            );
            let is_wanted = !is_slice || grows;
            is_own && is_wanted && quota.scope.is_of_attempt() == subject.attempt.is_some()
        });
        let mut about: Vec<&str> = about.map(|quota| &*quota.name).collect();
        let mut asked: Vec<&str> = wants.iter().map(|want| &*want.quota.name).collect();
        about.sort_unstable();
        asked.sort_unstable();
        let holds = about == asked;
        let text = format!("x{exchange} is about {about:?} and {asked:?} were asked");
        self.demand(holds, "complete", || text);
    }

    fn index(&self, name: &str) -> usize {
        let found = self.quotas.iter().position(|quota| *quota.name == *name);
        found.expect("quotas of the scenario")
    }

    fn taken(
        &mut self,
        now_us: u64,
        (exchange, provider): (usize, Option<String>),
        (subject, wants): (&Subject<'_>, &[Want<'_>]),
        admitted: &Admitted,
    ) {
        let (took, wanted) = (admitted.draws.len(), wants.len());
        self.demand(took == wanted, "all-or-nothing", || {
            format!("x{exchange} wanted {wanted} and took {took}")
        });
        let own = |it: &&Entry| it.exchange == exchange && it.provider == provider;
        let slices = self.entries.iter().filter(own).map(|it| it.slice + 1);
        let slice = slices.max().unwrap_or(0);
        for (want, draw) in wants.iter().zip(&admitted.draws) {
            let nth = self.index(&want.quota.name);
            let scope = scope_of(&self.quotas[nth], subject);
            let (least, _) = self.level(nth, &scope, now_us);
            let limit = limit_at(&self.quotas[nth], now_us);
            let fits = self.fits(nth, &scope, now_us, want.amount).0;
            let firm = self.quotas[nth].hold == Hold::Enforce;
            self.demand(fits || !firm, "budget", || {
                format!(
                    "x{exchange} took {} of {} [{scope}] at level {least} of {limit}",
                    want.amount, want.quota.name
                )
            });
            self.drawn(nth, &scope, now_us, draw);
            let is_tokens = matches!(
                want.quota.measure,
                Measure::InputTokens | Measure::OutputTokens | Measure::Tokens
            );
            self.demand(!is_tokens || want.amount > 0, "reserved", || {
                format!("x{exchange} reserved nothing of {}", want.quota.name)
            });
            if let Pace::Gcra { period_us, .. } = self.quotas[nth].pace {
                let cell = period_us / limit.max(1).unsigned_abs();
                let leak = self.leaks.entry((nth, scope.clone())).or_default();
                leak.full_us = leak.at(now_us) + cell;
                leak.seen_us = now_us;
            }
            if slice > 0 && self.adds(exchange, &provider, slice, draw) {
                continue;
            }
            self.entries.push(Entry {
                exchange,
                quota: nth,
                scope,
                at_us: now_us,
                draw: draw.clone(),
                provider: provider.clone(),
                slice,
                before: 0,
                last: None,
                settled: None,
                gone: false,
                is_old: false,
            });
        }
    }

    /// More of a window that is held already is more of the same.
    fn adds(
        &mut self,
        exchange: usize,
        provider: &Option<String>,
        slice: usize,
        draw: &Draw,
    ) -> bool {
        let own = |it: &Entry| {
            let same = (it.exchange, it.draw.counter, it.draw.span);
            same == (exchange, draw.counter, draw.span) && it.provider == *provider
        };
        let is_open = |it: &Entry| it.settled.is_none() && !it.gone;
        let entries = &mut self.entries;
        let at = entries.iter().position(|it| own(it) && is_open(it));
        let at = at.or_else(|| {
            // Nothing tells two draws apart that are alike: it was the other
            // one's that was settled.
            let closed = entries.iter().position(|it| own(it) && !is_open(it))?;
            let taken = entries[closed].draw.clone();
            let alike = |it: &Entry| is_open(it) && it.draw == taken;
            let alike = entries.iter().position(alike)?;
            let other = std::mem::replace(&mut entries[alike].exchange, exchange);
            entries[closed].exchange = other;
            Some(alike)
        });
        let Some(at) = at else { return false };
        let held = &mut self.entries[at];
        held.before = held.draw.amount;
        held.draw.amount = held.draw.amount.saturating_add(draw.amount);
        held.slice = slice;
        held.last = Some(draw.clone());
        true
    }

    /// What the counters say of a draw is what the list says.
    fn drawn(&mut self, nth: usize, scope: &str, now_us: u64, draw: &Draw) {
        let quota = &self.quotas[nth];
        let name = quota.name.clone();
        let window = windows::of(&quota.pace, now_us);
        let told = (draw.span.from_us, draw.span.until_us);
        let right = window.is_none_or(|window| window == told);
        self.demand(right, "window", || {
            format!("{name}: the window is {window:?}, and {told:?} was touched")
        });
        let right = *draw.quota == *name && *draw.scope == *scope;
        self.demand(right, "scope", || {
            format!(
                "{name} [{scope}]: the draw is of {} [{}]",
                draw.quota, draw.scope
            )
        });
        let is_cell = matches!(self.quotas[nth].pace, Pace::Gcra { .. });
        let (least, most) = self.level(nth, scope, now_us);
        let holds = is_cell || (least..=most).contains(&draw.level);
        self.demand(holds, "counter", || {
            format!(
                "{name} [{scope}]: the counter says {}, the list {least} to {most}",
                draw.level
            )
        });
    }

    fn refused(&mut self, now_us: u64, exchange: usize, subject: &Subject<'_>, wants: &[Want<'_>]) {
        let excused = wants.iter().any(|want| {
            let nth = self.index(&want.quota.name);
            let scope = scope_of(&self.quotas[nth], subject);
            let fits = self.fits(nth, &scope, now_us, want.amount).1;
            self.quotas[nth].hold == Hold::Enforce && !fits
        });
        self.demand(excused, "refused", || {
            format!("x{exchange} was refused although everything fits")
        });
    }

    /// Whether an amount may fit, and whether it must.
    fn fits(&self, nth: usize, scope: &str, now_us: u64, amount: i64) -> (bool, bool) {
        let quota = &self.quotas[nth];
        let limit = limit_at(quota, now_us);
        if let Pace::Gcra { period_us, burst } = quota.pace {
            let cell = period_us / limit.max(1).unsigned_abs();
            let leak = self.leaks.get(&(nth, scope.to_owned()));
            let full = leak.map_or(0, |leak| leak.at(now_us));
            let fits = full + cell <= cell * burst;
            return (fits, fits && !self.was_set_back);
        }
        let (least, most) = self.level(nth, scope, now_us);
        let fits = |level: i64| level.saturating_add(amount) <= limit;
        (fits(least), fits(most))
    }

    /// The level by the list: at least, and at most where old pieces of a
    /// sliding window count whole.
    fn level(&self, nth: usize, scope: &str, now_us: u64) -> (i64, i64) {
        let quota = &self.quotas[nth];
        let window = windows::of(&quota.pace, now_us);
        let own = self
            .entries
            .iter()
            .filter(|it| it.quota == nth && it.scope == scope && !it.gone);
        let (mut least, mut most) = (0_i64, 0_i64);
        for entry in own {
            let (counts, may_count) = match &quota.pace {
                Pace::Gcra { .. } => (false, false),
                Pace::Permits => (true, true),
                Pace::Window(Window::Sliding { length_ms }) => {
                    let length = length_ms * 1_000;
                    let since = now_us - length;
                    let piece = length / 16 + 1;
                    (entry.at_us > since, entry.at_us + piece > since)
                }
                Pace::Window(_) => {
                    let same = windows::of(&quota.pace, entry.at_us) == window;
                    (same, same)
                }
            };
            least = least.saturating_add(if counts { entry.value() } else { 0 });
            most = most.saturating_add(if may_count { entry.value() } else { 0 });
        }
        (least, most)
    }

    /// The level of a want must be what the list says, whoever asks.
    pub(super) fn looked(&mut self, now_us: u64, subject_free: &[(Want<'_>, i64)]) {
        for (want, level) in subject_free {
            let nth = self.index(&want.quota.name);
            let scopes = self.entries.iter();
            let scope = scopes
                .filter(|it| it.draw.counter == want.counter && it.quota == nth)
                .map(|it| it.scope.clone())
                .next();
            let (least, most) = match scope {
                Some(scope) => self.level(nth, &scope, now_us),
                None => (0, 0),
            };
            let is_cell = matches!(self.quotas[nth].pace, Pace::Gcra { .. });
            let holds = is_cell || (least..=most).contains(level);
            let name = want.quota.name.clone();
            self.demand(holds, "counter", || {
                format!("{name}: the counter tells {level}, the list {least} to {most}")
            });
        }
    }

    /// Something is settled.
    pub(super) fn settled(&mut self, draw: &Draw, actual: i64) {
        let latest = self.latest_slice.filter(|_| actual == 0 && draw.amount > 0);
        let mut open = self.entries.iter_mut();
        let slice = open.find(|it| {
            let is_open = it.settled.is_none() && !it.gone;
            is_open && Some(it.exchange) == latest && it.last.as_ref() == Some(draw)
        });
        if let Some(entry) = slice {
            // It is not held after all.
            entry.draw.amount = entry.before;
            entry.last = None;
            return;
        }
        let mut open = self.entries.iter_mut();
        let found = open.find(|it| it.settled.is_none() && !it.gone && it.draw == *draw);
        match found {
            Some(entry) => entry.settled = Some(actual),
            None => self.add(
                "settle-once",
                format!(
                    "{} [{}] is settled, and nothing is open",
                    draw.quota, draw.scope
                ),
            ),
        }
    }

    /// The counters at a moment when nobody changes them: settled, reserved
    /// and debt are what the list says.
    pub(super) fn compare(
        &mut self,
        when: &str,
        now_us: u64,
        levels: &[Level],
        debt: &dyn Fn(Measure) -> i64,
    ) {
        type Key = (String, String, u64, u64);
        let mut wanted: BTreeMap<Key, (i64, i64, bool)> = BTreeMap::new();
        let mut debts: BTreeMap<Measure, i64> = BTreeMap::new();
        for entry in self.entries.iter().filter(|it| it.is_counted() && !it.gone) {
            let span = entry.draw.span;
            let name = self.quotas[entry.quota].name.to_string();
            let key = (name, entry.scope.clone(), span.from_us, span.until_us);
            let (settled, reserved, needed) = wanted.entry(key).or_default();
            match entry.settled {
                Some(_) => *settled = settled.saturating_add(entry.value()),
                None => *reserved = reserved.saturating_add(entry.draw.amount),
            }
            *needed |= span.holds(now_us);
            let debt = debts.entry(entry.draw.measure).or_default();
            *debt = debt.saturating_add(entry.debt());
        }
        for level in levels {
            let span = level.span;
            let key = (
                level.quota.to_string(),
                level.scope.to_string(),
                span.from_us,
                span.until_us,
            );
            let (settled, reserved, _) = wanted.remove(&key).unwrap_or_default();
            let is_old = self.is_old(&key.1, span);
            let same = is_old || settled == level.settled;
            let holds = same && reserved == level.reserved;
            self.demand(holds, "ledger", || {
                format!(
                    "{when}: {key:?} has {} settled and {} reserved, the list {settled} and \
                     {reserved}",
                    level.settled, level.reserved
                )
            });
        }
        for (key, (settled, reserved, needed)) in wanted {
            let lost = reserved != 0 || needed && settled != 0;
            self.demand(!lost, "ledger", || {
                format!("{when}: {key:?} is not counted, the list has {settled} and {reserved}")
            });
        }
        for measure in Measure::ALL {
            let (told, known) = (debt(measure), debts.get(&measure).copied().unwrap_or(0));
            self.demand(told == known, "debt", || {
                format!(
                    "{when}: the debt of {} is {told}, the list {known}",
                    measure.name()
                )
            });
        }
    }

    /// Whether a window passed so long ago that it may be forgotten: as long as
    /// it lasts, or twice a sliding one.
    fn is_old(&self, scope: &str, span: Span) -> bool {
        let mut own = self.entries.iter();
        let own = own.find(|it| it.scope == scope && it.draw.span == span);
        let after = own.map_or(0, |entry| entry.draw.after_us);
        let lasts = span.until_us.saturating_sub(span.from_us).max(after);
        let ends = span.until_us.saturating_add(after);
        ends.saturating_add(lasts) <= self.latest_us
    }
}

/// By whom a call is counted, in words.
fn scope_of(quota: &QuotaSpec, subject: &Subject<'_>) -> String {
    let mut text = String::new();
    for by in &quota.scope.by {
        let gap = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{gap}{}={}", by.name(), subject.value(*by)));
    }
    text
}

/// The limit at a moment.
pub(super) fn limit_at(quota: &QuotaSpec, now_us: u64) -> i64 {
    let mut limit = quota.limit;
    for other in &quota.overrides {
        if other.from_us <= now_us && now_us < other.until_us {
            limit = other.limit;
        }
    }
    limit
}

/// What a measure comes to.
pub(super) fn amount(measure: Measure, sum: &Amounts) -> i64 {
    let tokens = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    match measure {
        Measure::Requests | Measure::Concurrency => 1,
        Measure::InputTokens => tokens(sum.input),
        Measure::OutputTokens => tokens(sum.output),
        Measure::Tokens => tokens(sum.input + sum.output),
        Measure::Cost => sum.cost,
    }
}
