//! Records into CBOR. Empty texts, zeros and `None` are left out.

use std::convert::Infallible;

use contract::{ServiceTier, Usage, UsageSource};
use minicbor::Encoder;

use super::{RECORD_VERSION, key};
use crate::record::{
    Attempt, AttemptTimes, Candidate, Decision, FaultNote, Identity, Outcome, Record, RequestFacts,
    Reservation, Trace, Value,
};

/// Writing to memory cannot fail.
type Done = Result<(), minicbor::encode::Error<Infallible>>;
type Out<'a, 'b> = &'a mut Encoder<&'b mut Vec<u8>>;

pub(super) fn record(e: Out, r: &Record) -> Done {
    e.begin_map()?.u64(key::VERSION)?.u64(RECORD_VERSION)?;
    e.u64(key::ID)?.bytes(r.id.as_bytes())?;
    num(e, key::ARRIVED, r.arrived_us)?;
    num(e, key::DURATION, r.duration_us)?;
    option(e, key::OVERHEAD, r.overhead_us)?;
    text(e, key::OPERATION, &r.operation)?;
    text(e, key::DIALECT, &r.dialect)?;
    optional_text(e, key::PATH, r.path.as_deref())?;
    if r.who != Identity::default() {
        e.u64(key::WHO)?;
        identity(e, &r.who)?;
    }
    if !r.metadata.is_empty() {
        e.u64(key::METADATA)?.array(r.metadata.len() as u64)?;
        for (name, value) in &r.metadata {
            e.array(2)?.str(name)?.str(value)?;
        }
    }
    e.u64(key::REQUEST)?;
    request(e, &r.request)?;
    optional_text(e, key::PLAN, r.plan.as_deref())?;
    num(e, key::CONTRACT, r.contract.into())?;
    num(e, key::DECIDER, r.decider.into())?;
    list(e, key::DECISIONS, &r.decisions, decision)?;
    list(e, key::CANDIDATES, &r.candidates, candidate)?;
    list(e, key::ATTEMPTS, &r.attempts, attempt)?;
    num(e, key::STATUS, r.status.into())?;
    if let Some(note) = &r.fault {
        e.u64(key::FAULT)?;
        fault(e, note)?;
    }
    if r.usage != Usage::default() {
        e.u64(key::USAGE)?;
        usage(e, &r.usage)?;
    }
    list(e, key::FINISH, &r.finish, |e, word| {
        e.str(word)?;
        Ok(())
    })?;
    num(e, key::BYTES_OUT, r.bytes_out)?;
    list(e, key::LOSSES, &r.losses, |e, loss| {
        e.array(2)?.str(&loss.what)?.str(&loss.why)?;
        Ok(())
    })?;
    num(e, key::OUTCOME, outcome(r.outcome))?;
    if let Some(cost) = r.cost_nanos {
        e.u64(key::COST)?.i64(cost)?;
    }
    optional_text(e, key::PRICE_VERSION, r.price_version.as_deref())?;
    optional_text(e, key::CACHE, r.cache.as_deref())?;
    if let Some(context) = &r.trace {
        e.u64(key::TRACE)?;
        trace(e, context)?;
    }
    num(e, key::CLIPPED, r.clipped.into())?;
    list(e, key::RESERVATIONS, &r.reservations, reservation)?;
    e.end()?;
    Ok(())
}

fn identity(e: Out, who: &Identity) -> Done {
    e.begin_map()?;
    optional_text(e, 0, who.key_id.as_deref())?;
    optional_text(e, 1, who.tenant.as_deref())?;
    optional_text(e, 2, who.app.as_deref())?;
    optional_text(e, 3, who.use_case.as_deref())?;
    optional_text(e, 4, who.user.as_deref())?;
    e.end()?;
    Ok(())
}

fn request(e: Out, facts: &RequestFacts) -> Done {
    e.begin_map()?;
    optional_text(e, 0, facts.model.as_deref())?;
    num(e, 1, facts.stream.into())?;
    num(e, 2, facts.bytes)?;
    num(e, 3, facts.turns.into())?;
    num(e, 4, facts.tools.into())?;
    option(e, 5, facts.output_tokens_max.map(Into::into))?;
    option(e, 6, facts.input_tokens_estimate)?;
    e.end()?;
    Ok(())
}

fn decision(e: Out, decision: &Decision) -> Done {
    e.begin_map()?;
    text(e, 0, &decision.stage)?;
    optional_text(e, 1, decision.rule.as_deref())?;
    text(e, 2, &decision.mode)?;
    text(e, 3, &decision.verdict)?;
    text(e, 4, &decision.reason)?;
    list(e, 5, &decision.readings, |e, reading| {
        e.array(2)?.str(&reading.name)?;
        match &reading.value {
            Value::Int(number) => e.i64(*number)?,
            Value::Word(word) => e.str(word)?,
            Value::Name(name) => e.str(name)?,
        };
        Ok(())
    })?;
    e.end()?;
    Ok(())
}

fn candidate(e: Out, candidate: &Candidate) -> Done {
    e.begin_map()?;
    text(e, 0, &candidate.provider)?;
    text(e, 1, &candidate.model)?;
    optional_text(e, 2, candidate.excluded.as_deref())?;
    if let Some(score) = candidate.score {
        e.u64(3)?.i64(score)?;
    }
    e.end()?;
    Ok(())
}

fn attempt(e: Out, attempt: &Attempt) -> Done {
    e.begin_map()?;
    text(e, 0, &attempt.provider)?;
    text(e, 1, &attempt.model)?;
    optional_text(e, 2, attempt.account.as_deref())?;
    text(e, 3, &attempt.leg)?;
    let AttemptTimes {
        queued_us,
        sent_us,
        head_us,
        first_token_us,
        last_us,
    } = attempt.times;
    option(e, 4, queued_us)?;
    option(e, 5, sent_us)?;
    option(e, 6, head_us)?;
    option(e, 7, first_token_us)?;
    option(e, 8, last_us)?;
    option(e, 9, attempt.status.map(Into::into))?;
    if let Some(note) = &attempt.fault {
        e.u64(10)?;
        fault(e, note)?;
    }
    optional_text(e, 11, attempt.upstream_request_id.as_deref())?;
    if let Some(tokens) = &attempt.usage {
        e.u64(12)?;
        usage(e, tokens)?;
    }
    num(e, 13, attempt.committed.into())?;
    if let Some(cost) = attempt.cost_nanos {
        e.u64(14)?.i64(cost)?;
    }
    e.end()?;
    Ok(())
}

fn reservation(e: Out, row: &Reservation) -> Done {
    e.begin_map()?;
    text(e, 0, &row.quota)?;
    text(e, 1, &row.kind)?;
    text(e, 2, &row.measure)?;
    text(e, 3, &row.scope)?;
    e.u64(4)?.bytes(&row.counter.to_be_bytes())?;
    num(e, 5, row.from_us)?;
    num(e, 6, row.until_us)?;
    num(e, 7, row.after_us)?;
    e.u64(8)?.i64(row.reserved)?;
    if let Some(settled) = row.settled {
        e.u64(9)?.i64(settled)?;
    }
    e.u64(10)?.i64(row.level)?;
    e.u64(11)?.i64(row.limit)?;
    option(e, 12, row.attempt.map(Into::into))?;
    e.end()?;
    Ok(())
}

fn fault(e: Out, note: &FaultNote) -> Done {
    e.begin_map()?;
    text(e, 0, &note.kind)?;
    text(e, 1, &note.origin)?;
    text(e, 2, &note.public)?;
    text(e, 3, &note.private)?;
    optional_text(e, 4, note.field.as_deref())?;
    e.end()?;
    Ok(())
}

fn usage(e: Out, tokens: &Usage) -> Done {
    e.begin_map()?;
    num(e, 0, tokens.input)?;
    num(e, 1, tokens.cached_read)?;
    num(e, 2, tokens.cached_write)?;
    num(e, 3, tokens.cached_write_1h)?;
    num(e, 4, tokens.output)?;
    num(e, 5, tokens.reasoning)?;
    num(e, 6, tokens.audio_in)?;
    num(e, 7, tokens.audio_out)?;
    num(e, 8, tokens.image_in)?;
    let source = match tokens.source {
        UsageSource::Missing => 0,
        UsageSource::Provider => 1,
        UsageSource::Estimated => 2,
        UsageSource::ProviderInput => 3,
        UsageSource::ProviderOutput => 4,
    };
    num(e, 9, source)?;
    num(e, 10, tokens.image_out)?;
    num(e, 11, tokens.web_searches)?;
    num(e, 12, tokens.audio_seconds)?;
    option(e, 13, tokens.told_cost_nanos)?;
    num(e, 14, tokens.tier.map_or(0, tier))?;
    num(e, 15, tokens.flawed.into())?;
    e.end()?;
    Ok(())
}

fn tier(tier: ServiceTier) -> u64 {
    match tier {
        ServiceTier::Default => 1,
        ServiceTier::Flex => 2,
        ServiceTier::Priority => 3,
        ServiceTier::Fast => 4,
        ServiceTier::Batch => 5,
        ServiceTier::Provisioned => 6,
        ServiceTier::Other => 7,
    }
}

fn trace(e: Out, trace: &Trace) -> Done {
    e.begin_map()?;
    e.u64(0)?.bytes(&trace.trace_id)?;
    e.u64(1)?.bytes(&trace.span_id)?;
    if trace.parent_id != [0; 8] {
        e.u64(2)?.bytes(&trace.parent_id)?;
    }
    num(e, 3, trace.sampled.into())?;
    e.end()?;
    Ok(())
}

fn outcome(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Unknown => 0,
        Outcome::Complete => 1,
        Outcome::Refused => 2,
        Outcome::Failed => 3,
        Outcome::Cut => 4,
        Outcome::Cancelled => 5,
        Outcome::Lost => 6,
    }
}

fn list<T>(e: Out, key: u64, items: &[T], each: impl Fn(Out, &T) -> Done) -> Done {
    if items.is_empty() {
        return Ok(());
    }
    e.u64(key)?.array(items.len() as u64)?;
    for item in items {
        each(e, item)?;
    }
    Ok(())
}

fn text(e: Out, key: u64, value: &str) -> Done {
    if !value.is_empty() {
        e.u64(key)?.str(value)?;
    }
    Ok(())
}

fn optional_text(e: Out, key: u64, value: Option<&str>) -> Done {
    if let Some(value) = value {
        e.u64(key)?.str(value)?;
    }
    Ok(())
}

fn num(e: Out, key: u64, value: u64) -> Done {
    if value != 0 {
        e.u64(key)?.u64(value)?;
    }
    Ok(())
}

fn option(e: Out, key: u64, value: Option<u64>) -> Done {
    if let Some(value) = value {
        e.u64(key)?.u64(value)?;
    }
    Ok(())
}
