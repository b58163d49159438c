//! A record as one line of JSON, for the command line, the admin API and the
//! log. Every text is hostile: control characters, terminal escapes (C1
//! included), line separators, bidirectional overrides and the characters of
//! HTML tags are written as `\u` escapes, so a line stays a line and a
//! terminal or a page shows nothing but text.
//!
//! Deliberately not here: parsing, and a choice of fields. Empty fields are
//! left out.

mod writer;

use contract::{ServiceTier, Usage};

use crate::record::{
    Attempt, AttemptTimes, Candidate, Decision, FaultNote, Identity, Record, RequestFacts,
    Reservation, Trace, Value,
};
use writer::Writer;

pub use writer::dangerous;

impl Record {
    /// The record as one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        let mut w = Writer::with_capacity(1_024);
        w.object(|w| record(w, self));
        w.finish()
    }
}

/// The record as a log line with its line end.
pub(crate) fn line(record: &Record) -> Vec<u8> {
    let mut line = record.to_json().into_bytes();
    line.push(b'\n');
    line
}

fn record(w: &mut Writer, r: &Record) {
    w.text("time", &rfc3339(r.arrived_us));
    w.text("request_id", r.id.text().as_str());
    w.text("outcome", r.outcome.name());
    w.num("status", r.status.into());
    w.text("operation", &r.operation);
    w.text("dialect", &r.dialect);
    w.option_text("path", r.path.as_deref());
    identity(w, &r.who);
    let served = r.served();
    w.option_text("provider", served.map(|attempt| &*attempt.provider));
    w.option_text("model", served.map(|attempt| &*attempt.model));
    w.num("arrived_us", r.arrived_us);
    w.num("duration_us", r.duration_us);
    w.option("first_token_us", r.first_token_us());
    w.option("overhead_us", r.overhead_us);
    w.field("request", |w| w.object(|w| request(w, &r.request)));
    if !r.metadata.is_empty() {
        w.field("metadata", |w| {
            w.object(|w| {
                r.metadata
                    .iter()
                    .for_each(|(name, value)| w.text(name, value))
            });
        });
    }
    w.option_text("plan", r.plan.as_deref());
    w.nonzero("contract", r.contract.into());
    w.nonzero("decider", r.decider.into());
    w.list("decisions", &r.decisions, |w, item| {
        w.object(|w| decision(w, item))
    });
    w.list("candidates", &r.candidates, |w, item| {
        w.object(|w| candidate(w, item))
    });
    w.list("attempts", &r.attempts, |w, item| {
        w.object(|w| attempt(w, item))
    });
    fault(w, r.fault.as_ref());
    usage(w, &r.usage);
    w.list("finish", &r.finish, |w, word| w.string(word));
    w.nonzero("bytes_out", r.bytes_out);
    w.list("losses", &r.losses, |w, loss| {
        w.object(|w| {
            w.text("what", &loss.what);
            w.text("why", &loss.why);
        });
    });
    w.option_int("cost_nanos", r.cost_nanos);
    w.option_text("price_version", r.price_version.as_deref());
    w.list("reservations", &r.reservations, |w, row| {
        w.object(|w| reservation(w, row))
    });
    w.option_text("cache", r.cache.as_deref());
    trace(w, r.trace.as_ref());
    w.nonzero("clipped", r.clipped.into());
}

fn identity(w: &mut Writer, who: &Identity) {
    w.option_text("key_id", who.key_id.as_deref());
    w.option_text("tenant", who.tenant.as_deref());
    w.option_text("app", who.app.as_deref());
    w.option_text("use_case", who.use_case.as_deref());
    w.option_text("user", who.user.as_deref());
}

fn request(w: &mut Writer, facts: &RequestFacts) {
    w.option_text("model", facts.model.as_deref());
    w.flag("stream", facts.stream);
    w.num("bytes", facts.bytes);
    w.nonzero("turns", facts.turns.into());
    w.nonzero("tools", facts.tools.into());
    w.option("output_tokens_max", facts.output_tokens_max.map(Into::into));
    w.option("input_tokens_estimate", facts.input_tokens_estimate);
}

fn decision(w: &mut Writer, decision: &Decision) {
    w.text("stage", &decision.stage);
    w.option_text("rule", decision.rule.as_deref());
    w.nonempty("mode", &decision.mode);
    w.text("verdict", &decision.verdict);
    w.nonempty("reason", &decision.reason);
    if decision.readings.is_empty() {
        return;
    }
    // A list, because a decision may read the same thing twice.
    w.list("readings", &decision.readings, |w, reading| {
        w.object(|w| match &reading.value {
            Value::Int(number) => w.int(&reading.name, *number),
            Value::Word(word) => w.text(&reading.name, word),
            Value::Name(name) => w.text(&reading.name, name),
        });
    });
}

fn reservation(w: &mut Writer, row: &Reservation) {
    w.text("quota", &row.quota);
    w.text("kind", &row.kind);
    w.text("measure", &row.measure);
    w.nonempty("scope", &row.scope);
    w.text("counter", &format!("{:032x}", row.counter));
    w.nonzero("from_us", row.from_us);
    w.nonzero("until_us", row.until_us);
    w.nonzero("after_us", row.after_us);
    w.int("reserved", row.reserved);
    w.option_int("settled", row.settled);
    w.int("level", row.level);
    w.int("limit", row.limit);
    w.option("attempt", row.attempt.map(Into::into));
}

fn candidate(w: &mut Writer, candidate: &Candidate) {
    w.text("provider", &candidate.provider);
    w.text("model", &candidate.model);
    w.option_text("excluded", candidate.excluded.as_deref());
    w.option_int("score", candidate.score);
}

fn attempt(w: &mut Writer, attempt: &Attempt) {
    w.text("provider", &attempt.provider);
    w.text("model", &attempt.model);
    w.option_text("account", attempt.account.as_deref());
    w.nonempty("leg", &attempt.leg);
    let AttemptTimes {
        queued_us,
        sent_us,
        head_us,
        first_token_us,
        last_us,
    } = attempt.times;
    w.option("queued_us", queued_us);
    w.option("sent_us", sent_us);
    w.option("head_us", head_us);
    w.option("first_token_us", first_token_us);
    w.option("last_us", last_us);
    w.option("status", attempt.status.map(Into::into));
    fault(w, attempt.fault.as_ref());
    w.option_text(
        "upstream_request_id",
        attempt.upstream_request_id.as_deref(),
    );
    if let Some(tokens) = &attempt.usage {
        usage(w, tokens);
    }
    w.flag("committed", attempt.committed);
    w.option_int("cost_nanos", attempt.cost_nanos);
}

fn fault(w: &mut Writer, note: Option<&FaultNote>) {
    let Some(note) = note else { return };
    w.field("fault", |w| {
        w.object(|w| {
            w.text("kind", &note.kind);
            w.text("origin", &note.origin);
            w.nonempty("public", &note.public);
            w.nonempty("private", &note.private);
            w.option_text("field", note.field.as_deref());
        });
    });
}

fn usage(w: &mut Writer, tokens: &Usage) {
    w.field("usage", |w| {
        w.object(|w| {
            w.nonzero("input", tokens.input);
            w.nonzero("cached_read", tokens.cached_read);
            w.nonzero("cached_write", tokens.cached_write);
            w.nonzero("cached_write_1h", tokens.cached_write_1h);
            w.nonzero("output", tokens.output);
            w.nonzero("reasoning", tokens.reasoning);
            w.nonzero("audio_in", tokens.audio_in);
            w.nonzero("audio_out", tokens.audio_out);
            w.nonzero("image_in", tokens.image_in);
            w.nonzero("image_out", tokens.image_out);
            w.nonzero("web_searches", tokens.web_searches);
            w.nonzero("audio_seconds", tokens.audio_seconds);
            w.option("told_cost_nanos", tokens.told_cost_nanos);
            w.option_text("tier", tokens.tier.map(ServiceTier::name));
            if tokens.flawed {
                w.flag("flawed", true);
            }
            w.text("source", tokens.source.name());
        });
    });
}

fn trace(w: &mut Writer, trace: Option<&Trace>) {
    let Some(trace) = trace else { return };
    w.text("trace_id", &hex(&trace.trace_id));
    w.text("span_id", &hex(&trace.span_id));
    if trace.parent_id != [0; 8] {
        w.text("parent_span_id", &hex(&trace.parent_id));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Microseconds since the Unix epoch as RFC 3339 in UTC. The calendar
/// arithmetic counts years from March, so that the leap day comes last.
pub fn rfc3339(unix_us: u64) -> String {
    let (day, in_day) = (unix_us / 86_400_000_000, unix_us % 86_400_000_000);
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (seconds, us) = (in_day / 1_000_000, in_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
}

#[cfg(test)]
mod tests;
