//! Requests: read in one dialect, written in another, read there.

use bytes::Bytes;
use contract::chat::{Chat, ToolChoice};
use contract::{FaultKind, Operation, Request, Task};
use tollgate_dialects::{Dialect, Target, Unsupported, is_cosmetic};

use crate::account::{Findings, silent};
use crate::drive::{self, pairs};
use crate::request_leaves::{Scope, leaves};
use crate::{fixtures, requests};

/// A request as a caller of a dialect sent it.
#[derive(Debug)]
pub(crate) struct Asking {
    /// What it is called in findings and in files.
    pub(crate) name: String,
    /// As it was read.
    pub(crate) request: Request,
    /// It is a fixture: it may hold fields that no type knows.
    pub(crate) is_fixture: bool,
}

/// All requests of callers of this dialect: its fixtures, and every canonical
/// request that it has a form for.
pub(crate) fn askings(dialect: &dyn Dialect, findings: &mut Findings) -> Vec<Asking> {
    let mut all = Vec::new();
    for fixture in fixtures::requests(dialect) {
        let operation = if fixtures::is_embedding(&fixture.bytes) {
            Operation::Embed
        } else {
            Operation::Chat
        };
        match drive::read(dialect, &fixture.bytes, (operation, false)) {
            Ok(mut request) => {
                request.model = drive::MODEL.to_owned();
                all.push(Asking {
                    name: fixture.name.replace('/', "-"),
                    request,
                    is_fixture: true,
                });
            }
            Err(fault) => findings.add(format!("{}: not read: {fault:?}", fixture.name)),
        }
    }
    for (name, request) in requests::all(dialect.id()) {
        let name = format!("{}-{name}", dialect.id());
        match through(dialect, &request) {
            Ok((read, _)) => all.push(Asking {
                name,
                request: read,
                is_fixture: false,
            }),
            Err(Gap::Declared) => {}
            Err(Gap::Broken(why)) => findings.add(format!("{name}: {why}")),
        }
    }
    all
}

/// Why a request has no form in a dialect.
pub(crate) enum Gap {
    /// An `Unsupported` fault that says why.
    Declared,
    /// Anything else.
    Broken(String),
}

/// Writes a request in a dialect and reads it back.
pub(crate) fn through(
    to: &dyn Dialect,
    request: &Request,
) -> Result<(Request, Vec<contract::Loss>), Gap> {
    let operation = drive::operation_of(request);
    if !to.operations().contains(&operation) {
        return Err(Gap::Declared);
    }
    let written = drive::write(to, request).map_err(|fault| match fault.kind {
        FaultKind::Unsupported if fault.public.len() > 20 => Gap::Declared,
        // A fixture may hold a result whose call is not in it.
        FaultKind::BadRequest if fault.public.contains("no earlier message calls") => Gap::Declared,
        _ => Gap::Broken(format!("written with {fault:?}")),
    })?;
    let body: Bytes = written.body;
    let read = drive::read(to, &body, (operation, request.stream)).map_err(|fault| {
        let shown = String::from_utf8_lossy(&body);
        Gap::Broken(format!("its own words are not read: {fault:?} in {shown}"))
    })?;
    Ok((read, written.losses))
}

#[test]
fn nothing_of_a_request_vanishes_silently() {
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        let scope = if from.id() == to.id() {
            Scope::Own
        } else {
            Scope::Foreign
        };
        for Asking { name, request, .. } in askings(from, &mut findings) {
            findings.cases += 1;
            let (copy, losses) = match through(to, &request) {
                Ok(done) => done,
                Err(Gap::Declared) => {
                    if scope == Scope::Own {
                        findings.add(format!("{name} -> itself: refused"));
                    }
                    continue;
                }
                Err(Gap::Broken(why)) => {
                    findings.add(format!("{name} -> {}: {why}", to.id()));
                    continue;
                }
            };
            for fact in silent(&leaves(&request, scope), &leaves(&copy, scope), &losses) {
                if is_satisfied(&fact, &request, &copy) {
                    continue;
                }
                findings.add(format!("{name} -> {}: silently lost: {fact}", to.id()));
            }
            if scope == Scope::Own && !losses.is_empty() {
                findings.add(format!("{name} -> itself: losses {losses:?}"));
            }
            if copy.stream != request.stream {
                findings.add(format!("{name} -> {}: the stream flag changed", to.id()));
            }
        }
    }
    findings.settle(100);
}

/// One rule in every dialect: where the configuration refuses instead of
/// dropping, every declared loss that is more than cosmetic is refused and
/// named, and nothing else is.
#[test]
fn strict_refuses_every_loss_and_nothing_else() {
    let (mut refusals, mut cosmetics) = (0, 0);
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        for Asking { name, request, .. } in askings(from, &mut Findings::default()) {
            let card = contract::ModelCard::unknown(request.model.clone());
            let target = Target {
                card: &card,
                unsupported: Unsupported::Refuse,
                quirks: Default::default(),
            };
            let (dropped, refused) = (
                drive::write(to, &request),
                to.write_request(&request, &target),
            );
            findings.cases += 1;
            match (dropped, refused) {
                (Ok(_), Err(fault)) if fault.kind != FaultKind::Unsupported => {
                    findings.add(format!("{name} -> {}: {fault:?}", to.id()));
                }
                (Ok(dropped), Err(fault)) => {
                    let mut heavy = dropped.losses.iter().filter(|it| !is_cosmetic(it));
                    let first = heavy.next().map(|loss| loss.what.to_string());
                    let unnamed = heavy.find(|loss| !fault.public.contains(&*loss.what));
                    refusals += 1;
                    if first.is_none() || fault.field != first || unnamed.is_some() {
                        findings.add(format!(
                            "{name} -> {}: lost {:?}, refused {fault:?}",
                            to.id(),
                            dropped.losses
                        ));
                    }
                }
                (Ok(dropped), Ok(strict)) => {
                    cosmetics += strict.losses.len();
                    if strict != dropped || !strict.losses.iter().all(is_cosmetic) {
                        findings.add(format!("{name} -> {}: lost {:?}", to.id(), strict.losses));
                    }
                }
                (Err(_), Ok(_)) => {
                    findings.add(format!("{name} -> {}: laxer when strict", to.id()))
                }
                (Err(_), Err(_)) => {}
            }
        }
    }
    assert!(refusals > 20 && cosmetics > 5, "{refusals} {cosmetics}");
    findings.settle(100);
}

/// What is missing in the copy, and yet holds there.
fn is_satisfied(fact: &str, request: &Request, copy: &Request) -> bool {
    let (Task::Chat(before), Task::Chat(after)) = (&request.task, &copy.task) else {
        return false;
    };
    let shows_always = copy.dialect.0 == "bedrock";
    let about_tools = [
        "tool ",
        "schema of ",
        "description of ",
        "strict ",
        "choice ",
    ];
    if about_tools.iter().any(|kind| fact.starts_with(kind)) {
        // Tools that may not be called are left out where no word forbids it.
        return match &before.tool_choice {
            Some(ToolChoice::None) => after.tools.is_empty(),
            Some(ToolChoice::Allowed { names, required }) => {
                let kept = names
                    .iter()
                    .all(|name| after.tools.iter().any(|tool| tool.name == *name));
                let forced = after.tool_choice == Some(ToolChoice::Required);
                kept && after.tools.len() == names.len() && forced == *required
            }
            _ => false,
        };
    }
    // A vendor without a mark for the whole gets one at the end of it.
    (fact.starts_with("cache top") && has_mark(after))
        // Its models reason only when asked to, and always show it.
        || (shows_always && (fact == "reasoning off" || fact == "summary true"))
}

fn has_mark(chat: &Chat) -> bool {
    let parts = || chat.turns.iter().flat_map(|turn| &turn.parts);
    parts().any(|part| part.cache.is_some())
}

/// The order of what is said is the order in which it is read.
#[test]
fn the_conversation_keeps_its_order() {
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        for Asking { name, request, .. } in askings(from, &mut Findings::default()) {
            let Ok((copy, _)) = through(to, &request) else {
                continue;
            };
            findings.cases += 1;
            let (before, after) = (spoken(&request), spoken(&copy).join("\n"));
            let mut at = 0;
            for line in &before {
                match after[at..].find(line.as_str()) {
                    Some(found) => at += found + line.len(),
                    // What is missing is the business of the other test.
                    None if !after.contains(line.as_str()) => {}
                    None => findings.add(format!("{name} -> {}: {line:?} moved", to.id())),
                }
            }
        }
    }
    findings.settle(100);
}

/// What user and assistant say, in order; text of tools apart, since some
/// vendors want results first.
fn spoken(request: &Request) -> Vec<String> {
    use contract::{PartKind, Role};
    let (Task::Chat(chat) | Task::CountTokens(chat)) = &request.task else {
        return Vec::new();
    };
    chat.turns
        .iter()
        .filter(|turn| matches!(turn.role, Role::User | Role::Assistant))
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| match &part.kind {
            PartKind::Text { text, .. } if !text.is_empty() => Some(text.clone()),
            PartKind::ToolCall(call) => Some(call.id.clone()),
            _ => None,
        })
        .collect()
}
