//! Limits and budgets in the document: what they become, and what is said of
//! bad ones.

use meter::{Action, Measure, Pace, QuotaKind, Window};

use super::bad::check;
use super::{Fake, try_with};

fn quotas(text: &str) -> Vec<std::sync::Arc<meter::Quota>> {
    let text = format!("providers: {{sandbox: {{}}}}\nmodels: {{m: sandbox/echo}}\n{text}");
    let compiled = try_with(&text, &Fake::new(&[], &[]));
    let compiled = compiled.unwrap_or_else(|found| panic!("{found:?}"));
    compiled.1.plan.quotas.all().to_vec()
}

#[test]
fn limits_have_defaults_that_fit_their_measure() {
    let all = quotas(
        "rate_limits:\n\
         - {name: a, limit: 60, per: 1m}\n\
         - {name: b, measure: tokens, limit: 1000, per: 1h, by: [user, tenant]}\n\
         - {name: c, measure: concurrency, limit: 5}\n\
         - {name: d, measure: cost, limit: 2.50, per: 1d, window: fixed}\n\
         - {name: e, limit: 1, per: 1s, mode: off}\n",
    );
    assert_eq!(all.len(), 4, "what is off is not asked");
    let even = Pace::Gcra {
        period_us: 60_000_000,
        burst: 60,
    };
    assert_eq!(all[0].pace, even);
    let sliding = Window::Sliding {
        length_ms: 3_600_000,
    };
    assert_eq!(all[1].pace, Pace::Window(sliding));
    assert_eq!(all[2].pace, Pace::Permits);
    assert_eq!(all[3].limit, 2_500_000_000);
    assert_eq!(all[3].measure, Measure::Cost);
    assert!(all.iter().all(|it| it.kind == QuotaKind::RateLimit));
}

#[test]
fn budgets_follow_the_calendar_of_a_zone() {
    let all = quotas(
        "answers: {sorry: {text: no}}\n\
         budgets:\n\
         - name: a\n  limit: 500\n  window: month\n  time_zone: Europe/Berlin\n  thresholds:\n\
         \x20   - {at: 98, answer: sorry}\n    - {at: 80, alert: true}\n    - {at: 90, degrade: m}\n\
         - {name: b, measure: tokens, limit: 1000000, window: 14d, from: 2026-01-05T00:00:00Z}\n\
         - {name: c, limit: 1, window: forever, overrides: [{limit: 2, until: 2027-01-01T00:00:00Z}]}\n",
    );
    let Pace::Window(Window::Calendar { zone, .. }) = &all[0].pace else {
        panic!("{:?}", all[0].pace);
    };
    assert_eq!(zone.iana_name(), Some("Europe/Berlin"));
    let at: Vec<u32> = all[0].thresholds.iter().map(|it| it.at).collect();
    assert_eq!(at, [800, 900, 980]);
    assert_eq!(all[0].thresholds[1].action, Action::Degrade("m".into()));
    let fixed = Window::Fixed {
        length_s: 14 * 86_400,
        anchor_s: 1_767_571_200,
    };
    assert_eq!(all[1].pace, Pace::Window(fixed));
    assert_eq!(all[2].overrides[0].limit, 2_000_000_000);
}

#[test]
fn bad_limits_are_told_what_to_write() {
    check(
        "providers: {sandbox: {}}\n\
         rate_limits:\n\
         - {name: a, limit: -1, per: 1m}\n\
         - {name: a, measure: tokens, limit: 1.5, per: 1m}\n\
         - {name: c, limit: 1}\n\
         - {name: d, measure: concurrency, limit: 1, per: 1m}\n\
         - {name: e, measure: tokens, limit: 1, per: 1m, window: even}\n\
         - {name: f, limit: 1, per: 1m, by: [user, user]}\n\
         - {name: g, limit: 1, per: 1m, by: [provider], queue: {}}\n\
         - {name: h h, limit: 1, per: 1m}\n",
        &[
            (
                3,
                20,
                "`-1` is no limit of `requests`",
                "write a whole number, such as `60`",
            ),
            (
                4,
                10,
                "`a` is there already, and their counters would run together",
                "give each limit and budget a name of its own",
            ),
            (
                4,
                37,
                "`1.5` is no limit of `tokens`",
                "write a whole number, such as `60`",
            ),
            (
                5,
                3,
                "it does not say in which time",
                "add `per: 1m`, or another length of time",
            ),
            (
                6,
                50,
                "calls at the same time have no window",
                "leave it out, or count `requests`",
            ),
            (
                7,
                57,
                "`tokens` cannot be spread evenly: calls differ in size",
                "write `sliding` or `fixed`",
            ),
            (8, 43, "`user` is there already", "name each dimension once"),
            (
                9,
                55,
                "what is counted for each attempt does not wait: the next candidate is taken",
                "leave `queue` out, or count by the caller",
            ),
            (
                10,
                10,
                "this is no name of a limit",
                "write up to 64 letters, digits, `-`, `_` and `.`",
            ),
        ],
    );
}

#[test]
fn bad_budgets_are_told_what_to_write() {
    check(
        "providers: {sandbox: {}}\n\
         models: {small: sandbox/echo}\n\
         answers: {sorry: {text: no}}\n\
         budgets:\n\
         - {name: a, limit: 5.0000000001, window: month}\n\
         - {name: b, limit: 5, window: year}\n\
         - {name: c, limit: 5, window: day, time_zone: Berlin}\n\
         - {name: d, limit: 5, window: 30d, time_zone: UTC}\n\
         - {name: e, limit: 5, window: day, thresholds: [{at: 80, alert: true, shorten: 5}]}\n\
         - {name: f, limit: 5, window: day, thresholds: [{at: 80, degrade: smal}, {at: 90, answer: sory}]}\n\
         - {name: g, limit: 5, window: day, overrides: [{limit: 6, until: tomorrow}]}\n\
         - {name: h, limit: 5, window: day, measure: concurrency}\n",
        &[
            (
                5,
                20,
                "`5.0000000001` is no limit of `cost`",
                "write dollars with at most nine decimal places, such as `500.00`",
            ),
            (
                6,
                31,
                "`year` is no window",
                "write `day`, `week`, `month`, `forever`, or a length such as `30d`",
            ),
            (
                7,
                47,
                "there is no time zone `Berlin`",
                "write a name of the IANA database, such as `Europe/Berlin`",
            ),
            (
                8,
                47,
                "only windows of the calendar have a time zone",
                "leave it out, or write `day`, `week` or `month` as `window`",
            ),
            (
                9,
                49,
                "a threshold does exactly one thing",
                "write one of `alert: true`, `degrade`, `shorten`, `answer` and `refuse: true`",
            ),
            (10, 67, "nobody serves the model `smal`", "write `small`"),
            (10, 91, "there is no answer `sory`", "write `sorry`"),
            (
                11,
                66,
                "`tomorrow` is no moment",
                "write it with its time zone, such as `2026-12-01T00:00:00Z`",
            ),
            (
                12,
                45,
                "calls at the same time are not spent",
                "write it as one of `rate_limits`",
            ),
        ],
    );
}

#[test]
fn a_brake_is_a_limit_that_follows_the_usual() {
    let all = quotas(
        "brakes:\n\
         - name: b\n  velocity: {times: 10, over: 5m, baseline: 1d, at_least: 1.00}\n\
         \x20 repeats: {limit: 30, per: 1m}\n",
    );
    let names: Vec<&str> = all.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["b.usual", "b", "b.repeats"]);
    let usual = all[1].usual.as_ref().expect("what is usual");
    let subject = meter::Subject::default();
    assert_eq!(usual.baseline.counter(&subject), all[0].counter(&subject));
    // A day of 288 dollars is a dollar in five minutes; ten times that.
    let limit = usual.limit(288_000_000_000);
    assert!((9_999_000_000..=10_000_000_000).contains(&limit), "{limit}");
    let thinking = |tokens: u32| {
        format!(
            "providers: {{sandbox: {{}}}}\nbrakes:\n- name: a\n  mode: shadow\n  only: {{app: \
             [bot]}}\n  reasoning: {{tokens: {tokens}}}\n"
        )
    };
    let text = thinking(1_024);
    let (_, compiled) = try_with(&text, &Fake::new(&[], &[])).expect("a plan");
    let plan = compiled.plan;
    let [brake] = plan.reasoning_brakes.as_slice() else {
        panic!("{:?}", plan.reasoning_brakes);
    };
    assert_eq!((brake.tokens, brake.hold), (1_024, meter::Hold::Shadow));
    assert!(!brake.scope.takes(&subject));
    check(
        &thinking(1_023),
        &[(6, 23, "1023 is too small", "write 1024 or more")],
    );
    check(
        "providers: {sandbox: {}}\nbrakes:\n- {name: a}\n",
        &[(
            3,
            3,
            "it does not say what it looks at",
            "add `velocity`, `repeats` or `reasoning`",
        )],
    );
}
