//! Approvals where the store of them is full, fails, or is not there.

use super::*;

#[test]
fn a_call_without_a_seat_does_not_wait() {
    let settings = json!({"models": ["m"], "wait_ms": 30_000});
    let world = with_slow(world(&rule(settings), answer(false, false)), true);
    let lane = world.flow.approvals.clone().expect("a lane");
    let seats: Vec<_> = std::iter::from_fn(|| lane.seat()).collect();
    pending(&world.call(CHAT, BARE));
    drop(seats);
    assert_eq!(world.call(CHAT, BARE).status, 200);
}

/// Can do nothing.
struct Broken;

impl Approvals for Broken {
    fn ask(&self, _: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
    fn find(&self, _: &str) -> Result<Option<ApprovalRow>, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
    fn vote(&self, _: &str, _: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
    fn spend(&self, _: &str, _: &str, _: u64) -> Result<bool, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
    fn list(&self, _: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
    fn pending(&self, _: u64) -> Result<u64, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
}

#[test]
fn a_store_that_fails_refuses_what_needs_an_approval_and_nothing_else() {
    let broken = |settings: Value, tool: bool| {
        let plan = plan::Plan {
            policy: super::super::rules::policy(&rule(settings)),
            ..super::super::world::plan(&[("openai", "openai_chat"), ("mistral", "openai_chat")])
        };
        let mut world = World::of(plan, vec![Ok(answer(false, tool))]);
        let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
        flow.approvals = Some(ApprovalLane::new(Arc::new(Broken)).expect("a thread"));
        world
    };
    let world = broken(json!({"models": ["m"]}), false);
    for got in [world.call(CHAT, BARE), again(&world, CHAT, BARE, "apr-1")] {
        assert_eq!(got.status, 503, "{}", got.body);
        assert!(world.sent().is_empty());
    }
    let records = world.records();
    let noted = |it: &evidence::Decision| it.reason == "approvals_unavailable";
    assert!(records.iter().all(|it| it.decisions.iter().any(noted)));
    // No other candidate is asked for an answer that cannot be given out either.
    let world = broken(json!({"tools": ["get_*"]}), true);
    let got = world.call(CHAT, BARE);
    assert_eq!(got.status, 500, "{}", got.body);
    assert_eq!(world.sent().len(), 1);
    assert!(!got.body.contains("get_weather"), "{}", got.body);
    let world = broken(json!({"tools": ["get_*"]}), false);
    assert_eq!(world.call(CHAT, BARE).status, 200);
}

#[test]
fn a_gateway_that_keeps_no_approvals_refuses_what_needs_one() {
    let mut world = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
    flow.approvals = None;
    let got = world.call(CHAT, BARE);
    assert_eq!(got.status, 403, "{}", got.body);
    assert!(!got.headers.contains_key("tollgate-approval"));
    assert!(world.sent().is_empty() && !got.body.contains(ANSWER));
}

#[test]
fn a_long_name_of_a_model_is_not_kept_whole() {
    let gemini = DIALECTS.iter().copied().find(|it| it.id().0 == "gemini");
    let (path, plain) = ask(gemini.expect("it exists"), BARE, false);
    let mut seen = std::collections::BTreeSet::new();
    for nth in 0..3 {
        let rules = rule(json!({"data_classes": ["restricted"]}));
        let long = format!("{}{nth}", "x".repeat(10_000));
        let mut plan = plan::Plan {
            policy: super::super::rules::policy(&rules),
            ..super::super::world::plan(&[("openai", "openai_chat")])
        };
        for name in [&long, "m"] {
            plan.models
                .name(name, vec![routing::Candidate::new(0, "up-m", None)]);
        }
        let world = World::of(plan, vec![Ok(answer(false, false))]);
        let class = ("tollgate-data-class", "restricted");
        let path = path.replace("/m:", &format!("/{long}:"));
        let got = world.call_with(&path, &plain, &[AUTH, class]);
        let id = pending(&got);
        let row = &open(&world, None)[0];
        assert!(row.model.len() < 300, "{}", row.model.len());
        assert!(seen.insert(row.model.clone()));
        vote(&world, &id, "bob", true).expect("a vote");
        let headers = [AUTH, class, ("tollgate-approval", &*id)];
        assert_eq!(world.call_with(&path, &plain, &headers).status, 200);
    }
}
