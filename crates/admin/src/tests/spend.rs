//! Cases of the reports: what they show, to whom, and what they refuse.

use contract::Usage;
use evidence::{Attempt, Decision};
use insight::budgets::Counted;
use insight::{Level, Measure};
use store::index::spend::{Group, Key, Question, Spent, Sums};

use super::*;

const DAY_US: u64 = 86_400_000_000;
const OPERATORS: &str = r#"
providers:
  box: {kind: sandbox}
models:
  small: box/echo
keys:
  - {id: k1, secret: '${env:CALLER}', tenant: odd, app: shop}
budgets:
  - {name: each, by: [tenant], measure: cost, limit: '10', window: day}
admin:
  credentials:
    - {id: odd, secret: '${env:OP_odd}', role: viewer, tenant: odd}
"#;

/// Two counters of a budget, in the day of the test.
pub(super) fn counted() -> Counted {
    let from_us = NOW_US / DAY_US * DAY_US;
    let level = |tenant: &str, counter, settled| Level {
        quota: "each".into(),
        measure: Measure::Cost,
        counter,
        scope: format!("tenant={tenant}").into(),
        span: meter_span(from_us),
        settled,
        reserved: 1_000_000_000,
    };
    Counted {
        levels: vec![level("odd", 1, 6_500_000_000), level("even", 2, 0)],
        debts: vec![(Measure::Cost, 3)],
    }
}

fn meter_span(from_us: u64) -> insight::Span {
    insight::Span {
        from_us,
        until_us: from_us + DAY_US,
    }
}

/// All replicas: a group for each tenant that may be seen; nothing of "gone".
pub(super) fn by_all(question: &Question) -> Result<Spent, String> {
    if question.within.provider.as_deref() == Some("gone") {
        return Err("the database cannot be used: it is gone".to_owned());
    }
    let group = |tenant: &str| Group {
        keys: vec![Key::Text(tenant.to_owned())],
        sums: Sums {
            calls: 7,
            cost_nanos: 3_000_000_001,
            ..Sums::default()
        },
    };
    let of = question.within.tenant.as_deref();
    let seen = ["odd", "even"]
        .iter()
        .filter(|it| of.is_none_or(|of| of == **it));
    let groups: Vec<Group> = seen.map(|it| group(it)).collect();
    let sums = groups.iter().map(|group| group.sums);
    Ok(Spent {
        total: sums.fold(Sums::default(), Sums::and),
        groups,
        more: false,
    })
}

#[test]
fn what_all_replicas_spent_is_asked_of_the_database() {
    let world = world();
    let told = world.json("/v1/spend?replicas=all");
    assert_eq!(told["total"]["cost_usd"], "6.000000002");
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(2));
    // How many are on their way, one gateway cannot tell.
    assert!(told["records_to_come"].is_null());
    let own = world.json("/v1/spend?replicas=this");
    assert_eq!(own["total"]["cost_usd"], "0.000000015");
    let file = world.get("/v1/spend?replicas=all&format=csv");
    assert_eq!(file.status, 200);
    // The credential of a tenant sees its own part.
    let part: Value = parse(&as_odd(&world, "/v1/spend?replicas=all"));
    assert_eq!(part["total"]["cost_usd"], "3.000000001");
    assert_eq!(
        as_odd(&world, "/v1/spend?replicas=all&tenant=even").status,
        403
    );
    let gone = world.get("/v1/spend?replicas=all&provider=gone");
    assert_eq!(gone.status, 503);
    assert_eq!(world.get("/v1/spend?replicas=some").status, 400);
}

/// A call of `n` nano-dollars.
fn spent(world: &World, n: u64, change: impl FnOnce(&mut Record)) {
    world.write(n, |record| {
        record.operation = "chat".into();
        record.who.app = Some("=cmd|' /C calc'!A0".into());
        record.who.use_case = Some("triage".into());
        record.usage = Usage {
            input: 100,
            cached_read: 10,
            output: n,
            ..Usage::default()
        };
        record.attempts.push(Attempt {
            provider: "box".into(),
            model: "echo".into(),
            committed: true,
            ..Attempt::default()
        });
        record.cost_nanos = i64::try_from(n).ok();
        record.price_version = Some("v1".into());
        change(record);
    });
}

fn world() -> World {
    let world = World::of(true, OPERATORS, plan::Owner::File);
    for n in 1..=5 {
        spent(&world, n, |_| {});
    }
    world.write(6, |record| {
        record.status = 402;
        record.outcome = Outcome::Refused;
        record.decisions.push(Decision {
            stage: "budget".into(),
            rule: Some("each".into()),
            verdict: "deny".into(),
            ..Decision::default()
        });
    });
    world.catch_up();
    world
}

/// As the credential of one tenant.
fn as_odd(world: &World, target: &str) -> Reply {
    let key = "tg-op-odd-0123456789012345678901";
    world.call(&Method::GET, target, Some(key), None)
}

#[test]
fn spending_is_grouped_and_adds_up() {
    let world = world();
    let told = world.json("/v1/spend?group_by=tenant,price_version");
    let line = |at: usize| {
        let row = &told["rows"][at];
        (
            row["tenant"].clone(),
            row["cost_usd"].clone(),
            row["calls"].clone(),
        )
    };
    assert_eq!(line(0), ("odd".into(), "0.000000009".into(), 3.into()));
    assert_eq!(line(1), ("even".into(), "0.000000006".into(), 2.into()));
    // The refusal cost nothing and has no price.
    assert_eq!(line(2), ("even".into(), "0.00".into(), 1.into()));
    assert_eq!(told["total"]["cost_usd"], "0.000000015");
    assert_eq!(told["total"]["cached_read_tokens"], 50);
    assert_eq!(
        (&told["more"], &told["records_to_come"]),
        (&false.into(), &0.into())
    );
    let one = world.json("/v1/spend?limit=1");
    assert_eq!(
        (&one["more"], &one["rest"]["cost_usd"]),
        (&true.into(), &"0.000000006".into())
    );
    let hour = world.json("/v1/spend?group_by=hour");
    assert_eq!(hour["rows"][0]["hour"], "2025-11-21T10:00:00Z");
    let none = world.json("/v1/spend?from=2025-11-20&to=2025-11-21");
    assert_eq!(
        (&none["rows"], &none["total"]["calls"]),
        (&serde_json::json!([]), &0.into())
    );
}

#[test]
fn a_credential_of_one_tenant_sees_its_own_money() {
    let world = world();
    for target in [
        "/v1/spend",
        "/v1/spend?tenant=odd",
        "/v1/spend?group_by=app",
    ] {
        let reply = as_odd(&world, target);
        assert_eq!(
            parse(&reply)["total"]["cost_usd"],
            "0.000000009",
            "{target}"
        );
    }
    for target in ["/v1/spend", "/v1/spend/refusals", "/v1/spend/models"] {
        let reply = as_odd(&world, &format!("{target}?tenant=even"));
        assert_eq!(reply.status, 403, "{target}");
    }
    assert_eq!(
        parse(&as_odd(&world, "/v1/spend/refusals"))["rows"],
        serde_json::json!([])
    );
    let models = parse(&as_odd(&world, "/v1/spend/models"));
    assert_eq!(models["rows"][0]["calls"], 3);
    let budgets = parse(&as_odd(&world, "/v1/budgets"));
    assert_eq!(budgets["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(budgets["rows"][0]["scope"], "tenant=odd");
    let focus = as_odd(&world, "/v1/spend?format=focus");
    let focus = String::from_utf8(focus.body.to_vec()).unwrap();
    assert!(
        focus.contains(",odd,") && !focus.contains(",even,"),
        "{focus}"
    );
}

#[test]
fn budgets_stand_and_run_out() {
    let world = world();
    let told = world.json("/v1/budgets");
    let odd = &told["rows"][0];
    assert_eq!(
        (&odd["scope"], &odd["left"]),
        (&"tenant=odd".into(), &"2.50".into())
    );
    // Three quarters in ten hours: the rest lasts for another 3 h 20 min.
    assert_eq!(
        (&odd["used_percent"], &odd["forecast"]),
        (&"75.0".into(), &"runs_out".into())
    );
    let at = odd["runs_out"].as_str().unwrap_or_default();
    assert!(at.starts_with("2025-11-21T13:20:00"), "{at}");
    assert_eq!(told["debts_since_start"][0]["debt"], "0.000000003");
}

#[test]
fn refusals_and_models_are_listed() {
    let world = world();
    let refusals = world.json("/v1/spend/refusals");
    let row = &refusals["rows"][0];
    assert_eq!(
        (&row["limit"], &row["tenant"]),
        (&"each".into(), &"even".into())
    );
    assert_eq!(
        (&row["verdict"], &row["calls"]),
        (&"deny".into(), &1.into())
    );
    let models = world.json("/v1/spend/models");
    let row = &models["rows"][0];
    assert_eq!(
        (&row["use_case"], &row["model"]),
        (&"triage".into(), &"echo".into())
    );
    assert_eq!(
        (&row["success_percent"], &row["calls"]),
        (&"100.0".into(), &5.into())
    );
}

#[test]
fn files_are_csv_without_formulas() {
    let world = world();
    let reply = world.get("/v1/spend?group_by=app&format=csv");
    assert_eq!(
        (reply.status.as_u16(), reply.content_type),
        (200, "text/csv; charset=utf-8")
    );
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(
        text.starts_with("app,calls,refused,failed,cost_usd,"),
        "{text}"
    );
    assert!(
        text.contains("\r\n'=cmd|' /C calc'!A0,5,0,0,0.000000015,"),
        "{text}"
    );
    let focus = world.get("/v1/spend?format=focus");
    let text = String::from_utf8(focus.body.to_vec()).unwrap();
    assert!(text.starts_with("BilledCost,BillingAccountId,"), "{text}");
    // A line for each tenant and day; the refusal is no charge.
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let world = world();
    for (target, expected) in [
        ("/v1/spend?group_by=colour", "tenant, cost_center, app"),
        ("/v1/spend?group_by=app,app", "twice"),
        ("/v1/spend?format=xml", "json, csv or focus"),
        ("/v1/spend?format=focus&group_by=app", "grouping of its own"),
        ("/v1/spend?format=csv&limit=5", "every row or is refused"),
        ("/v1/spend?from=2h&to=3h", "before `to`"),
        ("/v1/spend?from=2020-01-01", "400 days"),
        ("/v1/spend?limit=0", "1 to 1000"),
        ("/v1/spend/refusals?format=focus", "json or csv"),
    ] {
        let reply = world.get(target);
        assert_eq!(reply.status, 400, "{target}");
        let message = parse(&reply)["error"]["message"].to_string();
        assert!(message.contains(expected), "{target}: {message}");
    }
    let without = World::with(false).get("/v1/spend");
    assert_eq!(without.status, 503);
}

#[test]
fn an_export_is_compared_with_our_figures() {
    let world = world();
    let export = "date,model,input_tokens,output_tokens,cost\n\
        2025-11-21,echo-2025,550,16,0.00000002\n2025-11-21,other,1,1,0\n";
    let body = serde_json::json!({"export": export, "provider": "box",
        "models": {"echo-2025": "echo"}});
    let (status, told) = world.post("/v1/spend/reconcile", KEY, &body.to_string());
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (
            &told["compared"]["differs"],
            &told["compared"]["only_there"]
        ),
        (&1.into(), &1.into())
    );
    let row = &told["rows"][0];
    assert_eq!(
        (&row["day"], &row["model"]),
        (&"2025-11-21".into(), &"echo".into())
    );
    assert_eq!(row["cost_usd_difference"], "-0.000000005");
    assert_eq!(row["cost_difference_percent"], "-25.0");
    assert_eq!(
        (
            &row["input_tokens_difference"],
            &row["output_tokens_difference"]
        ),
        (&0.into(), &(-1).into())
    );
    let body = serde_json::json!({"export": "day;model\n"}).to_string();
    let (status, told) = world.post("/v1/spend/reconcile", KEY, &body);
    assert_eq!(status, 422);
    assert!(
        told["error"]["message"].to_string().contains("no line"),
        "{told}"
    );
    let (status, _) = world.post(
        "/v1/spend/reconcile",
        "tg-op-odd-0123456789012345678901",
        &body,
    );
    assert_eq!(status, 403);
}

#[test]
fn history_at_other_prices_changes_nothing() {
    let world = world();
    let (status, told) = world.post("/v1/spend/reprice", KEY, "");
    assert_eq!(status, 200, "{told}");
    // The sandbox is free.
    assert_eq!(
        (
            &told["total"]["recorded_usd"],
            &told["total"]["repriced_usd"]
        ),
        (&"0.000000015".into(), &"0.00".into())
    );
    let prices = "tollgate-prices 1\nprovider sandbox\necho in=1 out=2\n";
    let body = serde_json::json!({"prices": prices}).to_string();
    let (status, told) = world.post("/v1/spend/reprice?tenant=odd", KEY, &body);
    assert_eq!(status, 200, "{told}");
    // 3 * 110 + 2 * 9 micro-dollars.
    assert_eq!(told["rows"][0]["repriced_usd"], "0.000348");
    assert_eq!(
        (&told["records"], &told["more"]),
        (&3.into(), &false.into())
    );
    assert_eq!(world.json("/v1/spend")["total"]["cost_usd"], "0.000000015");
    let (status, told) = world.post("/v1/spend/reprice", KEY, r#"{"prices": "cheap"}"#);
    assert_eq!(status, 422);
    assert!(
        told["error"]["message"].to_string().contains("line 1"),
        "{told}"
    );
}
