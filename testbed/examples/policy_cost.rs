//! What identity and policy cost by themselves: the generated plan of the bench, decided again and
//! again on one thread, without a network.
//!
//! `cargo run --release -p testbed --example policy_cost` prints nanoseconds per call;
//! `valgrind --tool=callgrind --toggle-collect='policy_cost::identity*' ..` counts instructions.
//! A number as first argument is the count of calls, `cel` as second adds two conditions.

#![expect(
    clippy::disallowed_methods,
    reason = "it measures, so it takes the time of the machine"
)]

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::identity::{Knock, Standing};
use access::jwt::{KeySets, Memory};
use access::policy::Chain;
use access::told::{self, Telling};
use access::{Consumer, Facts, LiveKeys, Metadata};
use contract::Operation;
use http::{HeaderMap, HeaderName, HeaderValue};
use judge::{Admission, Readings};
use plan::{Given, Plan, Sources, compile, keep, read};

/// The plain configuration that the plan is generated from.
const PLAIN: &str = include_str!("../bench/tollgate.yaml");
/// The calling key.
const KEY: &str = "Bearer tg-bench-0123456789abcdef";
/// Calls, where none are named.
const CALLS: u64 = 100_000;
/// A time of the week at which the plan's windows are open, microseconds.
const NOW_US: u64 = 1_800_000_000_000_000;

/// There are no files and no variables.
struct Nothing;

impl Sources for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

/// All that a call needs.
struct House {
    plan: Plan,
    live: LiveKeys,
    issuers: KeySets,
    standing: Standing,
    headers: HeaderMap,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let calls = match words.next() {
        Some(count) => count.parse()?,
        None => CALLS,
    };
    let conditions = words.next().is_some_and(|word| word == "cel");
    let house = House {
        plan: made(conditions)?,
        live: LiveKeys::new(contract::Secret::new([2; 32])),
        issuers: KeySets::default(),
        standing: Standing::default(),
        headers: headers()?,
    };
    let mut memory = Memory::default();
    let consumer = identity(&house, &mut memory)?;
    let metadata = metadata(&house, &consumer)?;
    let asked = policy(&house, &consumer, &metadata).verdict.asked;
    let steps: [(&str, &mut dyn FnMut()); 3] = [
        ("identity", &mut || {
            drop(black_box(identity(&house, &mut memory)))
        }),
        ("metadata", &mut || {
            drop(black_box(self::metadata(&house, &consumer)))
        }),
        ("policy", &mut || {
            drop(black_box(policy(&house, &consumer, &metadata)))
        }),
    ];
    for (name, step) in steps {
        let begun = Instant::now();
        for _ in 0..calls {
            step();
        }
        let each = begun.elapsed().as_nanos() as f64 / calls as f64;
        say(&format!("{name}: {each:.0} ns"))?;
    }
    say(&format!("{asked} rules are asked"))
}

fn say(line: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// The plan, with the time that each part of a reload takes.
fn made(conditions: bool) -> Result<Plan, Box<dyn Error>> {
    let plain = PLAIN
        .replace("{{upstream}}", "http://127.0.0.1:9")
        .replace("{{listen}}", "127.0.0.1:0")
        .replace("{{admin}}", "127.0.0.1:0")
        .replace("{{data_dir}}", "data");
    let text = testbed::bench::plan::document(&plain, conditions)?;
    let begun = Instant::now();
    let draft = read(&text, &Nothing).map_err(|found| plan::render(&found, "plan", false))?;
    let took = begun.elapsed();
    told_time("read and check", took)?;
    let begun = Instant::now();
    let kept = keep(&draft.document);
    let took = begun.elapsed();
    told_time("keep", took)?;
    let begun = Instant::now();
    let given = Given {
        sources: &Nothing,
        ring_key: [0; 32],
        digest_key: [1; 32],
    };
    let compiled = compile(&draft, &given).map_err(|found| plan::render(&found, "plan", false))?;
    let took = begun.elapsed();
    told_time("compile", took)?;
    say(&format!("{} bytes, {} kept", text.len(), kept.text.len()))?;
    Ok(compiled.plan)
}

fn told_time(what: &str, took: Duration) -> Result<(), Box<dyn Error>> {
    say(&format!("{what}: {} ms", took.as_millis()))
}

fn headers() -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static(KEY));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("host", HeaderValue::from_static("localhost"));
    for line in testbed::bench::plan::METADATA {
        let (name, value) = line.split_once(": ").ok_or("a header has a colon")?;
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    Ok(headers)
}

/// Who is calling.
#[inline(never)]
fn identity(house: &House, memory: &mut Memory) -> Result<Arc<Consumer>, Box<dyn Error>> {
    let knock = Knock {
        headers: &house.headers,
        peer: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        certificate: None,
        standing: &house.standing,
    };
    let readings = Readings {
        live: &house.live,
        issuers: &house.issuers,
        now_us: NOW_US,
    };
    let found = judge::identify(&house.plan, &knock, readings, memory)
        .map_err(|why| why.fault.public.to_string())?;
    Ok(found.consumer)
}

/// What they tell.
#[inline(never)]
fn metadata(house: &House, consumer: &Arc<Consumer>) -> Result<Metadata, Box<dyn Error>> {
    let told = told::read(&Telling {
        headers: &house.headers,
        body: &[],
        consumer,
        settings: &house.plan.metadata,
    });
    Ok(told.map_err(|fault| fault.public.to_string())?.metadata)
}

/// Whether they may, and where it may go.
#[inline(never)]
fn policy(house: &House, consumer: &Arc<Consumer>, metadata: &Metadata) -> Admission {
    let use_case = metadata.get(access::metadata::Field::UseCase);
    let chain: Chain = judge::chain(&house.plan, consumer, use_case);
    let facts = Facts {
        tenant: &consumer.tenant,
        app: &consumer.app,
        key_id: &consumer.key_id,
        groups: &consumer.groups,
        metadata,
        operation: Operation::Chat,
        model: "gpt-4o-mini",
        stream: false,
        input_tokens: 1024,
        output_tokens_max: None,
        address: None,
        now_s: NOW_US / 1_000_000,
        content: None,
    };
    judge::admit(&house.plan, consumer, &chain, &facts)
}
