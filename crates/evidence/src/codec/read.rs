//! CBOR into records. Unknown keys are skipped, missing ones are empty, and
//! unknown codes read as "unknown".

use contract::{ServiceTier, Usage, UsageSource};
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error;

use super::key;
use crate::id::RequestId;
use crate::record::{
    Attempt, Candidate, Decision, FaultNote, Identity, LossNote, Name, Outcome, Reading, Record,
    RequestFacts, Reservation, Trace, Value, Word,
};

type In<'a, 'b> = &'a mut Decoder<'b>;

pub(super) fn record(d: In) -> Result<Record, Error> {
    let mut r = Record::default();
    let mut versioned = false;
    map(d, |key, d| {
        match key {
            key::VERSION => {
                d.u64()?;
                versioned = true;
            }
            key::ID => r.id = RequestId::from_bytes(fixed(d)?),
            key::ARRIVED => r.arrived_us = d.u64()?,
            key::DURATION => r.duration_us = d.u64()?,
            key::OVERHEAD => r.overhead_us = Some(d.u64()?),
            key::OPERATION => r.operation = word(d)?,
            key::DIALECT => r.dialect = word(d)?,
            key::PATH => r.path = Some(d.str()?.into()),
            key::WHO => r.who = identity(d)?,
            key::METADATA => r.metadata = list(d, pair)?,
            key::REQUEST => r.request = request(d)?,
            key::PLAN => r.plan = Some(name(d)?),
            key::CONTRACT => r.contract = d.u32()?,
            key::DECIDER => r.decider = d.u32()?,
            key::DECISIONS => r.decisions = list(d, decision)?.into(),
            key::CANDIDATES => r.candidates = list(d, candidate)?.into(),
            key::ATTEMPTS => r.attempts = list(d, attempt)?.into(),
            key::STATUS => r.status = d.u16()?,
            key::FAULT => r.fault = Some(fault(d)?),
            key::USAGE => r.usage = usage(d)?,
            key::FINISH => r.finish = list(d, word)?.into(),
            key::BYTES_OUT => r.bytes_out = d.u64()?,
            key::LOSSES => r.losses = list(d, loss)?,
            key::OUTCOME => r.outcome = outcome(d.u64()?),
            key::COST => r.cost_nanos = Some(d.i64()?),
            key::PRICE_VERSION => r.price_version = Some(name(d)?),
            key::CACHE => r.cache = Some(word(d)?),
            key::TRACE => r.trace = Some(trace(d)?),
            key::CLIPPED => r.clipped = d.u32()?,
            key::RESERVATIONS => r.reservations = list(d, reservation)?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    if versioned {
        Ok(r)
    } else {
        Err(Error::message("the version is missing"))
    }
}

fn identity(d: In) -> Result<Identity, Error> {
    let mut who = Identity::default();
    map(d, |key, d| {
        match key {
            0 => who.key_id = Some(name(d)?),
            1 => who.tenant = Some(name(d)?),
            2 => who.app = Some(name(d)?),
            3 => who.use_case = Some(name(d)?),
            4 => who.user = Some(name(d)?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(who)
}

fn request(d: In) -> Result<RequestFacts, Error> {
    let mut facts = RequestFacts::default();
    map(d, |key, d| {
        match key {
            0 => facts.model = Some(name(d)?),
            1 => facts.stream = d.u64()? != 0,
            2 => facts.bytes = d.u64()?,
            3 => facts.turns = d.u32()?,
            4 => facts.tools = d.u32()?,
            5 => facts.output_tokens_max = Some(d.u32()?),
            6 => facts.input_tokens_estimate = Some(d.u64()?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(facts)
}

fn decision(d: In) -> Result<Decision, Error> {
    let mut decision = Decision::default();
    map(d, |key, d| {
        match key {
            0 => decision.stage = word(d)?,
            1 => decision.rule = Some(name(d)?),
            2 => decision.mode = word(d)?,
            3 => decision.verdict = word(d)?,
            4 => decision.reason = word(d)?,
            5 => decision.readings = list(d, reading)?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(decision)
}

fn reading(d: In) -> Result<Reading, Error> {
    let mut reading = Reading {
        name: Word::default(),
        value: Value::Int(0),
    };
    let mut at = 0;
    elements(d, |d| {
        match at {
            0 => reading.name = word(d)?,
            1 if matches!(d.datatype()?, Type::String) => reading.value = Value::Word(word(d)?),
            1 => reading.value = Value::Int(d.i64()?),
            _ => d.skip()?,
        }
        at += 1;
        Ok(())
    })?;
    Ok(reading)
}

fn candidate(d: In) -> Result<Candidate, Error> {
    let mut candidate = Candidate::default();
    map(d, |key, d| {
        match key {
            0 => candidate.provider = name(d)?,
            1 => candidate.model = name(d)?,
            2 => candidate.excluded = Some(word(d)?),
            3 => candidate.score = Some(d.i64()?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(candidate)
}

fn attempt(d: In) -> Result<Attempt, Error> {
    let mut attempt = Attempt::default();
    map(d, |key, d| {
        match key {
            0 => attempt.provider = name(d)?,
            1 => attempt.model = name(d)?,
            2 => attempt.account = Some(name(d)?),
            3 => attempt.leg = word(d)?,
            4 => attempt.times.queued_us = Some(d.u64()?),
            5 => attempt.times.sent_us = Some(d.u64()?),
            6 => attempt.times.head_us = Some(d.u64()?),
            7 => attempt.times.first_token_us = Some(d.u64()?),
            8 => attempt.times.last_us = Some(d.u64()?),
            9 => attempt.status = Some(d.u16()?),
            10 => attempt.fault = Some(fault(d)?),
            11 => attempt.upstream_request_id = Some(d.str()?.into()),
            12 => attempt.usage = Some(usage(d)?),
            13 => attempt.committed = d.u64()? != 0,
            14 => attempt.cost_nanos = Some(d.i64()?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(attempt)
}

/// The id and the rows of the ledger alone; the rest is passed over.
pub(super) fn rows(d: In) -> Result<(RequestId, Vec<Reservation>), Error> {
    let mut id = None;
    let mut rows = Vec::new();
    map(d, |key, d| {
        match key {
            key::ID => id = Some(RequestId::from_bytes(fixed(d)?)),
            key::RESERVATIONS => rows = list(d, reservation)?,
            _ => super::skip::over(d)?,
        }
        Ok(())
    })?;
    let id = id.ok_or_else(|| Error::message("there is no id"))?;
    Ok((id, rows))
}

/// Words of [`Reservation::kind`] and [`Reservation::measure`]; others are read
/// as well.
const KINDS: [&str; 2] = ["rate_limit", "budget"];
const MEASURES: [&str; 6] = [
    "requests",
    "tokens",
    "cost",
    "input_tokens",
    "output_tokens",
    "concurrency",
];

fn reservation(d: In) -> Result<Reservation, Error> {
    let mut row = Reservation::default();
    map(d, |key, d| {
        match key {
            0 => row.quota = name(d)?,
            1 => row.kind = word_of(&KINDS, d)?,
            2 => row.measure = word_of(&MEASURES, d)?,
            3 => row.scope = name(d)?,
            4 => row.counter = u128::from_be_bytes(fixed(d)?),
            5 => row.from_us = d.u64()?,
            6 => row.until_us = d.u64()?,
            7 => row.after_us = d.u64()?,
            8 => row.reserved = d.i64()?,
            9 => row.settled = Some(d.i64()?),
            10 => row.level = d.i64()?,
            11 => row.limit = d.i64()?,
            12 => row.attempt = Some(d.u32()?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(row)
}

fn fault(d: In) -> Result<FaultNote, Error> {
    let mut note = FaultNote::default();
    map(d, |key, d| {
        match key {
            0 => note.kind = word(d)?,
            1 => note.origin = word(d)?,
            2 => note.public = word(d)?,
            3 => note.private = d.str()?.into(),
            4 => note.field = Some(d.str()?.into()),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(note)
}

fn usage(d: In) -> Result<Usage, Error> {
    let mut tokens = Usage::default();
    map(d, |key, d| {
        match key {
            0 => tokens.input = d.u64()?,
            1 => tokens.cached_read = d.u64()?,
            2 => tokens.cached_write = d.u64()?,
            3 => tokens.cached_write_1h = d.u64()?,
            4 => tokens.output = d.u64()?,
            5 => tokens.reasoning = d.u64()?,
            6 => tokens.audio_in = d.u64()?,
            7 => tokens.audio_out = d.u64()?,
            8 => tokens.image_in = d.u64()?,
            9 => {
                tokens.source = match d.u64()? {
                    1 => UsageSource::Provider,
                    2 => UsageSource::Estimated,
                    3 => UsageSource::ProviderInput,
                    4 => UsageSource::ProviderOutput,
                    _ => UsageSource::Missing,
                }
            }
            10 => tokens.image_out = d.u64()?,
            11 => tokens.web_searches = d.u64()?,
            12 => tokens.audio_seconds = d.u64()?,
            13 => tokens.told_cost_nanos = Some(d.u64()?),
            14 => tokens.tier = Some(tier(d.u64()?)),
            15 => tokens.flawed = d.u64()? != 0,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(tokens)
}

fn tier(code: u64) -> ServiceTier {
    match code {
        1 => ServiceTier::Default,
        2 => ServiceTier::Flex,
        3 => ServiceTier::Priority,
        4 => ServiceTier::Fast,
        5 => ServiceTier::Batch,
        6 => ServiceTier::Provisioned,
        _ => ServiceTier::Other,
    }
}

fn trace(d: In) -> Result<Trace, Error> {
    let mut trace = Trace::default();
    map(d, |key, d| {
        match key {
            0 => trace.trace_id = fixed(d)?,
            1 => trace.span_id = fixed(d)?,
            2 => trace.parent_id = fixed(d)?,
            3 => trace.sampled = d.u64()? != 0,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(trace)
}

fn loss(d: In) -> Result<LossNote, Error> {
    let (what, why) = pair(d)?;
    Ok(LossNote {
        what,
        why: Word::Owned(why.into()),
    })
}

fn pair(d: In) -> Result<(Word, Box<str>), Error> {
    let mut pair = (Word::default(), Box::default());
    let mut at = 0;
    elements(d, |d| {
        match at {
            0 => pair.0 = word(d)?,
            1 => pair.1 = d.str()?.into(),
            _ => d.skip()?,
        }
        at += 1;
        Ok(())
    })?;
    Ok(pair)
}

fn outcome(code: u64) -> Outcome {
    match code {
        1 => Outcome::Complete,
        2 => Outcome::Refused,
        3 => Outcome::Failed,
        4 => Outcome::Cut,
        5 => Outcome::Cancelled,
        6 => Outcome::Lost,
        _ => Outcome::Unknown,
    }
}

fn word(d: In) -> Result<Word, Error> {
    Ok(Word::Owned(d.str()?.to_owned()))
}

/// A word, not copied where it is one of these: the ledger reads many rows.
fn word_of(known: &[&'static str], d: In) -> Result<Word, Error> {
    let text = d.str()?;
    let found = known.iter().find(|word| **word == text);
    Ok(found.map_or_else(|| Word::Owned(text.to_owned()), |word| Word::Borrowed(word)))
}

fn name(d: In) -> Result<Name, Error> {
    Ok(d.str()?.into())
}

fn fixed<const N: usize>(d: In) -> Result<[u8; N], Error> {
    let bytes = d.bytes()?;
    bytes
        .try_into()
        .map_err(|_| Error::message("an id has the wrong length"))
}

fn list<T>(d: In, each: impl Fn(In) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    elements(d, |d| {
        items.push(each(d)?);
        Ok(())
    })?;
    Ok(items)
}

fn elements<'b>(
    d: In<'_, 'b>,
    mut each: impl FnMut(In<'_, 'b>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut left = d.array()?;
    while more(d, &mut left)? {
        each(d)?;
    }
    Ok(())
}

fn map<'b>(
    d: In<'_, 'b>,
    mut each: impl FnMut(u64, In<'_, 'b>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut left = d.map()?;
    while more(d, &mut left)? {
        let key = d.u64()?;
        each(key, d)?;
    }
    Ok(())
}

/// Whether one more element follows: by count, or until the break of an
/// indefinite length.
fn more(d: In, left: &mut Option<u64>) -> Result<bool, Error> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if matches!(d.datatype()?, Type::Break) => {
            d.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}
