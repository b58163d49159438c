//! Cases of approvals over the admin API: who may vote, what two votes do, and
//! what the audit journal says.

use store::approvals::conformance::row;
use store::{ApprovalFilter, ApprovalRow, Approvals, ApprovalsError, MemoryApprovals, Vote};

use super::*;

const OPERATORS: &str = r#"
providers: {box: {kind: sandbox}}
keys: [{id: k1, secret: '${env:CALLER}', tenant: acme, app: shop}]
admin:
  credentials:
    - {id: olga, secret: '${env:OP_OLGA_1}', role: operator}
    - {id: ann, secret: '${env:OP_ANNA_1}', role: operator}
    - {id: k, secret: '${env:OP_KEYK_1}', role: operator}
    - {id: vera, secret: '${env:OP_VERA_1}', role: viewer}
    - {id: tom, secret: '${env:OP_TOM_11}', role: operator, tenant: acme}
    - {id: tim, secret: '${env:OP_TIM_11}', role: operator, tenant: other}
"#;

fn credential(name: &str) -> String {
    format!("tg-op-{name}-0123456789012345678901")
}

/// With an approval `a` of tenant acme, asked by the key `k` for `ann`.
fn world(approvers: u8) -> World {
    keeping(approvers, MemoryApprovals::default())
}

fn keeping(approvers: u8, approvals: impl Approvals + 'static) -> World {
    let document = (OPERATORS, plan::Owner::File);
    let world = World::keeping(false, document, Arc::new(approvals));
    let row = ApprovalRow {
        approvers,
        asked_us: NOW_US,
        expires_us: NOW_US + 3_600_000_000,
        ..row("a")
    };
    store(&world).ask(&row).unwrap();
    world
}

fn store(world: &World) -> &Arc<dyn Approvals> {
    &world.api.state.approvals
}

fn vote(world: &World, who: &str, what: &str) -> (u16, Value) {
    world.post(&format!("/v1/approvals/a/{what}"), &credential(who), "")
}

fn list(world: &World, who: &str, query: &str) -> Vec<String> {
    let target = format!("/v1/approvals{query}");
    let reply = world.call(&Method::GET, &target, Some(&credential(who)), None);
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let page = parse(&reply);
    let rows = page["approvals"].as_array().unwrap();
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn who_asked_cannot_approve_and_neither_can_a_viewer_or_another_tenant() {
    let world = world(1);
    for (who, status, code) in [
        ("KEYK_1", 403, "own_approval"),
        ("ANNA_1", 403, "own_approval"),
        ("VERA_1", 403, "role_needed"),
        ("TIM_11", 404, "unknown_approval"),
    ] {
        for what in ["approve", "deny"] {
            let (found, answer) = vote(&world, who, what);
            assert_eq!(found, status, "{who}: {answer}");
            assert_eq!(answer["error"]["code"], code, "{who}");
        }
    }
    // None of that is in the journal.
    let audit = world.json("/v1/audit?object=approval/a");
    assert_eq!(audit["entries"].as_array().unwrap().len(), 0);
    let (status, answer) = vote(&world, "TOM_11", "approve");
    assert_eq!(
        (status, &answer["approval"]["state"]),
        (200, &"approved".into())
    );
}

#[test]
fn two_approvers_differ() {
    let world = world(2);
    let (status, answer) = vote(&world, "OLGA_1", "approve");
    assert_eq!(
        (status, &answer["approval"]["state"]),
        (200, &"pending".into())
    );
    let (status, answer) = vote(&world, "OLGA_1", "approve");
    assert_eq!(status, 403);
    assert_eq!(answer["error"]["code"], "second_approver_needed");
    let (status, answer) = vote(&world, "TOM_11", "approve");
    assert_eq!(
        (status, &answer["approval"]["state"]),
        (200, &"approved".into())
    );
    let (status, answer) = vote(&world, "OLGA_1", "approve");
    assert_eq!(status, 409, "{answer}");
}

#[test]
fn what_was_approved_is_withdrawn_by_a_denial() {
    let world = world(1);
    assert_eq!(vote(&world, "OLGA_1", "approve").0, 200);
    let (status, answer) = vote(&world, "OLGA_1", "deny");
    assert_eq!(
        (status, &answer["approval"]["state"]),
        (200, &"denied".into())
    );
    assert!(!store(&world).spend("a", "r2", NOW_US).unwrap());
    let (status, answer) = vote(&world, "TOM_11", "approve");
    assert_eq!(status, 409, "{answer}");
    let audit = world.json("/v1/audit?object=approval/a");
    assert_eq!(audit["entries"][0]["before"]["state"], "approved");
    assert_eq!(audit["entries"][0]["after"]["state"], "denied");
}

#[test]
fn a_denial_has_a_note_and_is_in_the_audit_journal() {
    let world = world(1);
    let body = r#"{"note": "not on a Friday"}"#;
    let key = credential("OLGA_1");
    let (status, answer) = world.post("/v1/approvals/a/deny", &key, body);
    assert_eq!(
        (status, &answer["approval"]["state"]),
        (200, &"denied".into())
    );
    assert_eq!(answer["approval"]["votes"][0]["note"], "not on a Friday");
    let audit = world.json("/v1/audit?object=approval/a");
    let entry = &audit["entries"][0];
    assert_eq!(entry["action"], "approval.deny");
    assert_eq!(entry["actor"], "olga");
    assert_eq!(entry["note"], "not on a Friday");
    assert_eq!(entry["before"]["state"], "pending");
    assert_eq!(entry["after"]["state"], "denied");
    for bad in ["[]", r#"{"notes": ""}"#, "x"] {
        let (status, _) = world.post("/v1/approvals/a/deny", &key, bad);
        assert_eq!(status, 400, "{bad}");
    }
    let long = format!(r#"{{"note": "{}"}}"#, "x".repeat(NOTE_CHARS_MAX + 1));
    assert_eq!(world.post("/v1/approvals/a/deny", &key, &long).0, 400);
}

#[test]
fn lists_are_filtered_and_keep_to_the_tenant() {
    let world = world(1);
    let other = ApprovalRow {
        tenant: "other".to_owned(),
        asked_us: NOW_US,
        expires_us: NOW_US + 3_600_000_000,
        ..row("b")
    };
    store(&world).ask(&other).unwrap();
    assert_eq!(list(&world, "VERA_1", ""), ["b", "a"]);
    assert_eq!(list(&world, "VERA_1", "?tenant=acme&state=pending"), ["a"]);
    assert_eq!(list(&world, "VERA_1", "?state=used"), [""; 0]);
    assert_eq!(list(&world, "TOM_11", ""), ["a"]);
    let get = |who: &str, target: &str| {
        let reply = world.call(&Method::GET, target, Some(&credential(who)), None);
        reply.status.as_u16()
    };
    assert_eq!(get("TOM_11", "/v1/approvals?tenant=other"), 403);
    assert_eq!(get("TOM_11", "/v1/approvals/b"), 404);
    assert_eq!(get("TOM_11", "/v1/approvals/a"), 200);
    assert_eq!(get("VERA_1", "/v1/approvals?state=odd"), 400);
}

/// Keeps no vote.
struct Voteless(MemoryApprovals);

impl Approvals for Voteless {
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        self.0.ask(row)
    }
    fn find(&self, id: &str) -> Result<Option<ApprovalRow>, ApprovalsError> {
        self.0.find(id)
    }
    fn vote(&self, _: &str, _: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        Err(ApprovalsError::Busy)
    }
    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        self.0.spend(id, by, now_us)
    }
    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        self.0.list(filter)
    }
    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError> {
        self.0.pending(now_us)
    }
}

#[test]
fn a_vote_that_does_not_count_is_told_apart_in_the_audit_journal() {
    let world = keeping(1, Voteless(MemoryApprovals::default()));
    let (status, answer) = vote(&world, "OLGA_1", "approve");
    assert_eq!(status, 503, "{answer}");
    let audit = world.json("/v1/audit?object=approval/a");
    let entries = audit["entries"].as_array().unwrap();
    let actions: Vec<&Value> = entries.iter().map(|it| &it["action"]).collect();
    assert_eq!(actions, ["approval.not_counted", "approval.approve"]);
    assert_eq!(entries[0]["actor"], "olga");
    let note = entries[0]["note"].as_str().unwrap();
    assert!(note.contains("too much to do"), "{note}");
}
