//! Cases of sums over records: they are exact, held to a time and a tenant,
//! and their parts make the whole.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::index::{IndexOptions, Leg, LimitHit, RecordIndex, Row};
use crate::journal::Journal;
use crate::memory::MemoryJournal;

const WAIT: Duration = Duration::from_secs(30);
const RECORDS: u64 = 200;

/// One record in six minutes, over twenty hours.
fn row(n: u64) -> Row {
    let text = |text: &str, of: u64| format!("{text}{}", n % of);
    let is_refused = n.is_multiple_of(10);
    let leg = Leg {
        provider: "other".to_owned(),
        model: "m9".to_owned(),
        input_tokens: 3,
        cost_nanos: 11,
        ..Leg::default()
    };
    let mut request_id = [0; 16];
    request_id[8..].copy_from_slice(&n.to_be_bytes());
    Row {
        request_id,
        ended_us: n * HOUR_US / 10,
        tenant: text("t", 3),
        app: text("a", 2),
        key_id: text("k", 2),
        use_case: text("u", 4),
        provider: if is_refused {
            String::new()
        } else {
            text("p", 2)
        },
        model: text("m", 5),
        status: if is_refused { 429 } else { 200 },
        outcome: if is_refused { "refused" } else { "complete" }.to_owned(),
        input_tokens: n * 1_000_003,
        output_tokens: n,
        cached_read_tokens: n * 3,
        estimated: n.is_multiple_of(7),
        first_token_us: (!is_refused).then_some(n * 10),
        // A part of them is dear, so that the sum does not fit into 64 bits.
        cost_nanos: (!is_refused).then_some(match n % 50 {
            1 => i64::MAX,
            2 => -7,
            _ => i64::try_from(n).unwrap() * 1_001 + 11,
        }),
        price_version: if is_refused {
            String::new()
        } else {
            text("v", 2)
        },
        limit: is_refused.then(|| LimitHit {
            name: text("l", 20),
            kind: "budget".to_owned(),
            verdict: "deny".to_owned(),
        }),
        legs: if n % 25 == 3 { vec![leg] } else { Vec::new() },
        ..Row::default()
    }
}

fn index(dir: &TempDir) -> RecordIndex {
    let journal = Arc::new(MemoryJournal::new(100, 100_000));
    for n in 0..RECORDS {
        let slot = journal.try_slot().unwrap();
        slot.send(n.to_string().as_bytes());
        assert!(journal.flush(WAIT));
    }
    let extract = |payload: &[u8]| {
        let text = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
        text.parse().map(row).map_err(|_| "no number".to_owned())
    };
    let path = dir.path().join("index.db");
    let options = IndexOptions {
        interval_ms: 1,
        batch_rows: 16,
        ..IndexOptions::default()
    };
    let index = RecordIndex::open(&path, journal, Arc::new(extract), options).unwrap();
    assert!(index.catch_up(WAIT));
    index
}

fn always() -> Within {
    Within {
        until_us: u64::MAX,
        ..Within::default()
    }
}

fn asked(index: &RecordIndex, within: Within, by: &[Dimension]) -> Spent {
    let question = Question {
        within,
        by: by.to_vec(),
    };
    index.spend(&question).unwrap()
}

fn summed(groups: &[Group]) -> Sums {
    let sums = groups.iter().map(|group| group.sums);
    sums.fold(Sums::default(), Sums::and)
}

#[test]
fn every_grouping_adds_up_to_the_same_total() {
    let dir = TempDir::new().unwrap();
    let index = index(&dir);
    let rows: Vec<Row> = (0..RECORDS).map(row).collect();
    let cost: i128 = rows
        .iter()
        .filter_map(|row| row.cost_nanos)
        .map(i128::from)
        .sum();
    let legs = rows.iter().flat_map(|row| &row.legs);
    let input: u64 = rows.iter().map(|row| row.input_tokens).sum();
    let leg_input: u64 = legs.clone().map(|leg| leg.input_tokens).sum();
    assert!(cost > i128::from(i64::MAX), "the case is too small");
    assert!(legs.count() > 3);
    let total = asked(&index, always(), &[]).total;
    assert_eq!(total.cost_nanos, cost);
    assert_eq!(total.input_tokens, i128::from(input + leg_input));
    assert_eq!((total.calls, total.refused, total.unpriced), (200, 20, 19));
    let estimated = rows.iter().filter(|row| row.estimated);
    let tokens: u64 = estimated
        .map(|row| row.input_tokens + row.output_tokens)
        .sum();
    assert_eq!(total.estimated_tokens, i128::from(tokens));
    for dimension in Dimension::ALL {
        let spent = asked(&index, always(), &[dimension]);
        assert_eq!(spent.total, total, "{}", dimension.name());
        assert_eq!(summed(&spent.groups), total, "{}", dimension.name());
    }
    let two = asked(&index, always(), &[Dimension::Provider, Dimension::Day]);
    assert_eq!(summed(&two.groups), total);
}

#[test]
fn what_was_billed_elsewhere_counts_there() {
    let dir = TempDir::new().unwrap();
    let index = index(&dir);
    let spent = asked(&index, always(), &[Dimension::Provider]);
    let other = Key::Text("other".to_owned());
    let other = spent
        .groups
        .iter()
        .find(|group| group.keys == [other.clone()]);
    let sums = other.unwrap().sums;
    assert_eq!(
        (sums.calls, sums.cost_nanos, sums.input_tokens),
        (0, 88, 24)
    );
    let within = Within {
        provider: Some("other".to_owned()),
        ..always()
    };
    assert_eq!(asked(&index, within, &[]).total, sums);
}

#[test]
fn a_question_is_held_to_its_time_and_tenant() {
    let dir = TempDir::new().unwrap();
    let index = index(&dir);
    let within = Within {
        from_us: 5 * HOUR_US,
        until_us: 7 * HOUR_US,
        tenant: Some("t1".to_owned()),
        ..always()
    };
    let spent = asked(
        &index,
        within.clone(),
        &[Dimension::Tenant, Dimension::Hour],
    );
    let keys: Vec<_> = spent
        .groups
        .iter()
        .map(|group| group.keys.clone())
        .collect();
    let of = |hour: u64| vec![Key::Text("t1".to_owned()), Key::Time(hour * HOUR_US)];
    assert_eq!(keys, [of(5), of(6)]);
    assert_eq!(
        spent.total.calls,
        (50..70).filter(|n| n % 3 == 1).count() as i128
    );
    let nobody = Within {
        tenant: Some("t1' OR '1'='1".to_owned()),
        ..within
    };
    assert_eq!(
        asked(&index, nobody, &[Dimension::Tenant]),
        Spent::default()
    );
}

#[test]
fn what_is_beyond_the_limit_is_in_the_total() {
    let dir = TempDir::new().unwrap();
    let index = index(&dir);
    let within = Within {
        limit: 2,
        ..always()
    };
    let all = asked(&index, always(), &[Dimension::Model]);
    let some = asked(&index, within, &[Dimension::Model]);
    assert_eq!((some.groups.len(), some.more, all.more), (2, true, false));
    assert_eq!(some.total, all.total);
    assert_eq!(some.groups, all.groups[..2]);
    assert!(some.groups[0].sums.cost_nanos >= some.groups[1].sums.cost_nanos);
    let rest = some.total.less(summed(&some.groups));
    assert_eq!(rest, summed(&all.groups[2..]));
}

#[test]
fn refusals_are_counted_by_limit_and_consumer() {
    let dir = TempDir::new().unwrap();
    let index = index(&dir);
    let all = index.refusals(&always()).unwrap();
    assert_eq!(all.rows.iter().map(|row| row.calls).sum::<u64>(), 20);
    let first = &all.rows[0];
    assert_eq!((&*first.kind, &*first.verdict), ("budget", "deny"));
    let within = Within {
        tenant: Some("t2".to_owned()),
        provider: Some("nobody".to_owned()),
        ..always()
    };
    let own = index.refusals(&within).unwrap();
    assert!(!own.rows.is_empty() && own.rows.iter().all(|row| row.tenant == "t2"));
    let few = Within {
        limit: 1,
        ..always()
    };
    let few = index.refusals(&few).unwrap();
    assert_eq!((few.rows.len(), few.more), (1, true));
}

#[test]
fn models_are_compared_by_exact_ranks() {
    let dir = TempDir::new().unwrap();
    let index = index(&dir);
    let models = index.models(&always()).unwrap();
    assert!(!models.more);
    assert_eq!(models.rows.iter().map(|row| row.calls).sum::<u64>(), 180);
    for model in &models.rows {
        let is_of = |row: &Row| {
            (&row.use_case, &row.provider, &row.model)
                == (&model.use_case, &model.provider, &model.model)
        };
        let rows: Vec<Row> = (0..RECORDS).map(row).filter(is_of).collect();
        let mut times: Vec<u64> = rows.iter().filter_map(|row| row.first_token_us).collect();
        times.sort_unstable();
        let rank = |per_cent: usize| Some(times[(times.len() * per_cent).div_ceil(100) - 1]);
        assert_eq!(model.first_token_p50_us, rank(50));
        assert_eq!(model.first_token_p95_us, rank(95));
        let legs = rows.iter().flat_map(|row| &row.legs);
        let legs: i64 = legs.map(|leg| leg.cost_nanos).sum();
        let cost: i128 = rows
            .iter()
            .filter_map(|row| row.cost_nanos)
            .map(i128::from)
            .sum();
        assert_eq!(model.cost_nanos, cost - i128::from(legs));
        assert_eq!(
            (model.calls, model.succeeded),
            (rows.len() as u64, rows.len() as u64)
        );
    }
}

#[test]
fn times_lose_less_than_a_thousandth() {
    for us in (0..5_000).chain([999_999, 1_234_567, 3_599_999_999, u64::MAX]) {
        let kept = compare::leading(us);
        assert!(kept <= us && us - kept <= us / 1_000, "{us}: {kept}");
    }
    assert_eq!(compare::leading(2_047), 2_047);
}
