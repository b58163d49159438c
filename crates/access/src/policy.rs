//! Policy in layers: organisation, tenant, app, use case, key. A call is held
//! to the rules of all layers that it belongs to.
//!
//! Merging only narrows, by construction: the rules of a chain are all asked,
//! each can only deny or cap, denials add up and the smallest cap counts. So
//! lists of allowed things intersect, and no layer can take back what another
//! one denies.

mod empty;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use contract::{Fault, FaultKind, Origin};

pub use self::empty::empty_because;
use crate::approval::{Approved, Need};
use crate::facts::{Facts, Given, Place};
use crate::mode::Mode;
use crate::rule::{Breach, Finding, Kind, Rule, Streams};

/// A rule of a document.
#[derive(Debug)]
pub struct Named {
    /// Its name in messages, records and metrics.
    pub name: Arc<str>,
    /// What kind it is.
    pub kind: &'static Kind,
    /// What it does, its layer's mode taken into account.
    pub mode: Mode,
    /// Whom to ask for more.
    pub contact: Option<Arc<str>>,
    /// The rule.
    pub rule: Box<dyn Rule>,
}

/// One layer.
#[derive(Debug, Default)]
pub struct Layer {
    /// Where it stands, such as `tenant acme`.
    place: Arc<str>,
    rules: Vec<Named>,
    needs: Needs,
    /// Which of the rules look at places.
    at_places: Vec<usize>,
}

impl Layer {
    /// A layer at this place, of rules in the order of the document. Rules in
    /// mode `off` do not belong here.
    pub fn new(place: impl Into<Arc<str>>, rules: Vec<Named>) -> Self {
        let at_places = rules.iter().enumerate();
        let at_places = at_places.filter(|(_, named)| named.rule.looks_at_places());
        Self {
            place: place.into(),
            needs: Needs::of(&rules),
            at_places: at_places.map(|(nth, _)| nth).collect(),
            rules,
        }
    }

    /// Those that look at places.
    fn at_places(&self) -> impl Iterator<Item = &Named> {
        self.at_places.iter().map(|nth| &self.rules[*nth])
    }
}

/// The layers of an organisation.
#[derive(Debug, Default)]
pub struct Policy {
    /// The organisation's own.
    pub organisation: Arc<Layer>,
    /// By use case, for everybody.
    pub use_cases: BTreeMap<String, Arc<Layer>>,
    /// By tenant.
    pub tenants: BTreeMap<String, TenantPolicy>,
}

/// The layers of a tenant.
#[derive(Debug, Default)]
pub struct TenantPolicy {
    /// The tenant's own.
    pub layer: Arc<Layer>,
    /// By app.
    pub apps: BTreeMap<String, AppPolicy>,
}

/// The layers of an app.
#[derive(Debug, Default)]
pub struct AppPolicy {
    /// The app's own.
    pub layer: Arc<Layer>,
    /// By use case.
    pub use_cases: BTreeMap<String, Arc<Layer>>,
}

impl Policy {
    /// The layers that a call belongs to, widest first. Layers without rules
    /// are left out.
    pub fn chain(
        &self,
        tenant: &str,
        app: &str,
        use_case: Option<&str>,
        key: Option<&Arc<Layer>>,
    ) -> Chain {
        let tenant = self.tenants.get(tenant);
        let app = tenant.and_then(|tenant| tenant.apps.get(app));
        let layers = [
            Some(&self.organisation),
            tenant.map(|tenant| &tenant.layer),
            app.map(|app| &app.layer),
            use_case.and_then(|name| self.use_cases.get(name)),
            use_case.and_then(|name| app?.use_cases.get(name)),
            key,
        ];
        let layers_max = layers.len();
        let held = layers.into_iter().flatten();
        let held = held.filter(|layer| !layer.rules.is_empty());
        let mut layers = Vec::with_capacity(layers_max);
        layers.extend(held.cloned());
        Chain::of(layers)
    }
}

/// The layers of one call, widest first.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    layers: Vec<Arc<Layer>>,
    /// What was approved for this call.
    approved: Vec<Approved>,
    /// No rule does more than write down what it would do.
    watches: bool,
    needs: Needs,
}

/// What any rule of some wants. Asked several times for a call, so rules are
/// gone through once for a plan.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    content: bool,
    /// Bodies of more bytes than this are counted.
    counted_above: Option<u64>,
    answers: bool,
    approval: bool,
}

impl Needs {
    fn of(rules: &[Named]) -> Self {
        let mut needs = Self::default();
        for named in rules {
            needs.content |= named.rule.needs_content();
            needs.counted_above = least(needs.counted_above, named.rule.counts_tokens_above());
            needs.answers |= named.rule.reads_answers();
            needs.approval |=
                named.mode == Mode::Enforce && named.rule.approval_wait_ms().is_some();
        }
        needs
    }

    fn and(self, other: Self) -> Self {
        Self {
            content: self.content || other.content,
            counted_above: least(self.counted_above, other.counted_above),
            answers: self.answers || other.answers,
            approval: self.approval || other.approval,
        }
    }
}

/// The smaller one of those that are there.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The rule.
    pub rule: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// Its layer, such as `tenant acme`.
    pub layer: Arc<str>,
    /// What it does about it.
    pub mode: Mode,
    /// Whom to ask for more.
    pub contact: Option<Arc<str>>,
    /// How it was broken.
    pub breach: Breach,
    /// What would have to be approved for the call to go on, if that helps.
    pub need: Option<Need>,
}

/// What the rules of a chain say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rules that were broken, in the order of the layers, in every mode.
    pub rulings: Vec<Ruling>,
    /// The smallest cap on output tokens among the rules that are enforced,
    /// with its rule.
    pub output_cap: Option<(u64, Arc<str>)>,
    /// How many rules were asked: all of the chain. One that does not
    /// [look at places](Rule::looks_at_places) passes each of them, and
    /// counts, though nobody has to ask it.
    pub asked: u32,
}

impl Verdict {
    /// The first rule whose breach refuses the call. One that no approval can
    /// help comes before one that waits for its approval.
    pub fn denied(&self) -> Option<&Ruling> {
        let enforced = || self.rulings.iter().filter(|it| it.mode == Mode::Enforce);
        let mut final_ones = enforced().filter(|it| it.need.is_none());
        final_ones.next().or_else(|| enforced().next())
    }

    /// The rules that wait for an approval, if they alone refuse the call.
    pub fn needs(&self) -> Vec<Ruling> {
        let enforced = || self.rulings.iter().filter(|it| it.mode == Mode::Enforce);
        match enforced().all(|ruling| ruling.need.is_some()) {
            true => enforced().cloned().collect(),
            false => Vec::new(),
        }
    }

    /// Rules whose breach the caller is warned of.
    pub fn warned(&self) -> impl Iterator<Item = &Ruling> {
        let rulings = self.rulings.iter();
        rulings.filter(|ruling| ruling.mode == Mode::Warn)
    }
}

impl Chain {
    /// A chain of layers, widest first.
    pub fn of(layers: Vec<Arc<Layer>>) -> Self {
        Self {
            needs: layers
                .iter()
                .fold(Needs::default(), |needs, layer| needs.and(layer.needs)),
            layers,
            approved: Vec::new(),
            watches: false,
        }
    }

    /// The same layers, and what was approved for this call.
    #[must_use]
    pub fn approving(&self, approved: Vec<Approved>) -> Self {
        Self {
            layers: self.layers.clone(),
            approved,
            watches: self.watches,
            needs: self.needs,
        }
    }

    /// The same layers; no rule does more than [`Mode::Shadow`].
    #[must_use]
    pub fn watching(mut self) -> Self {
        self.watches = true;
        self
    }

    /// What a rule does in this chain.
    pub fn mode_of(&self, named: &Named) -> Mode {
        match self.watches {
            true => named.mode.min(Mode::Shadow),
            false => named.mode,
        }
    }

    /// What was approved for this call.
    pub fn approved(&self) -> &[Approved] {
        &self.approved
    }

    /// What of a need is not approved.
    fn left(&self, layer: &Arc<str>, rule: &Arc<str>, need: Need) -> Option<Need> {
        let is_approved = |what: &String| {
            let mut approved = self.approved.iter();
            approved.any(|it| {
                it.layer == *layer
                    && it.rule == *rule
                    && it.what == *what
                    && it.approvers >= need.approvers
            })
        };
        let is_open = !need.what.iter().all(is_approved);
        is_open.then_some(need)
    }

    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The rules, widest layer first.
    pub fn rules(&self) -> impl Iterator<Item = (&Arc<str>, &Named)> {
        let layers = self.layers.iter();
        layers.flat_map(|layer| layer.rules.iter().map(|rule| (&layer.place, rule)))
    }

    /// Whether a rule looks into the body.
    pub fn needs_content(&self) -> bool {
        self.needs.content
    }

    /// Whether a rule goes by the count of input tokens of a body of so many
    /// bytes.
    pub fn counts_tokens(&self, body_bytes: u64) -> bool {
        let above = self.needs.counted_above;
        above.is_some_and(|above| body_bytes > above)
    }

    /// Whether a rule looks at what the model gives back.
    pub fn reads_answers(&self) -> bool {
        self.needs.answers
    }

    /// The strictest need of the rules for whole answers.
    pub fn streams(&self) -> Streams {
        let mut found = Streams::Before;
        for (_, named) in self.rules().filter(|(_, it)| it.rule.reads_answers()) {
            found = match (found, named.kind.streams) {
                (Streams::Refused, _) | (_, Streams::Refused) => Streams::Refused,
                (Streams::Buffered(a), Streams::Buffered(b)) => Streams::Buffered(a.min(b)),
                (Streams::Buffered(a), _) | (_, Streams::Buffered(a)) => Streams::Buffered(a),
                (Streams::Incremental, _) | (_, Streams::Incremental) => Streams::Incremental,
                (Streams::Before, Streams::Before) => Streams::Before,
            };
        }
        found
    }

    /// Whether a rule that is enforced may have something approved.
    pub fn may_need_approval(&self) -> bool {
        self.needs.approval && !self.watches
    }

    /// How long a tool call of the model waits for its approval at most,
    /// milliseconds.
    pub fn tool_wait_ms(&self) -> u64 {
        if !self.may_need_approval() {
            return 0;
        }
        let rules = self.rules().map(|(_, named)| named);
        let reading = rules.filter(|it| it.mode == Mode::Enforce && it.rule.reads_answers());
        reading
            .filter_map(|named| named.rule.approval_wait_ms())
            .max()
            .unwrap_or_default()
    }

    /// What the rules say of the call as asked.
    pub fn request(&self, facts: &Facts<'_>) -> Verdict {
        self.ask(self.rules(), |named| match named.kind.streams {
            // It cannot look at a stream, so there must be none.
            Streams::Refused if facts.stream => Finding::breach_at(
                "stream_not_checked",
                "Streams cannot be checked here; ask for the whole answer.",
                "stream",
            ),
            Streams::Refused | Streams::Before | Streams::Incremental | Streams::Buffered(_) => {
                named.rule.request(facts)
            }
        })
    }

    /// What they say of a candidate.
    pub fn place(&self, facts: &Facts<'_>, place: &Place<'_>) -> Verdict {
        let rules = self.layers.iter().flat_map(|layer| {
            let rules = layer.at_places();
            rules.map(|named| (&layer.place, named))
        });
        self.ask(rules, |named| named.rule.place(facts, place))
    }

    /// What they say of something that the model gave back.
    pub fn given(&self, facts: &Facts<'_>, given: &Given<'_>) -> Verdict {
        self.ask(self.rules(), |named| named.rule.given(facts, given))
    }

    /// Whether a model may be listed.
    pub fn shows_model(&self, model: &str) -> bool {
        self.rules()
            .filter(|(_, named)| self.mode_of(named) == Mode::Enforce)
            .all(|(_, named)| named.rule.shows_model(model))
    }

    /// Asks these rules; the others have nothing to object to.
    fn ask<'c>(
        &'c self,
        rules: impl Iterator<Item = (&'c Arc<str>, &'c Named)>,
        question: impl Fn(&Named) -> Finding,
    ) -> Verdict {
        let all: usize = self.layers.iter().map(|layer| layer.rules.len()).sum();
        let mut verdict = Verdict {
            asked: u32::try_from(all).unwrap_or(u32::MAX),
            ..Verdict::default()
        };
        for (layer, named) in rules {
            let (breach, need) = match question(named) {
                Finding::Pass => continue,
                Finding::CapOutput(tokens) if self.mode_of(named) == Mode::Enforce => {
                    let smallest = verdict.output_cap.as_ref();
                    if smallest.is_none_or(|(cap, _)| tokens < *cap) {
                        verdict.output_cap = Some((tokens, named.name.clone()));
                    }
                    continue;
                }
                Finding::CapOutput(tokens) => (would_cap(tokens), None),
                Finding::Breach(breach) => (breach, None),
                Finding::NeedsApproval(need, breach) => match self.left(layer, &named.name, need) {
                    Some(need) => (breach, Some(need)),
                    None => continue,
                },
            };
            verdict.rulings.push(Ruling {
                rule: named.name.clone(),
                kind: named.kind.name,
                layer: layer.clone(),
                mode: self.mode_of(named),
                contact: named.contact.clone(),
                breach,
                need,
            });
        }
        verdict
    }
}

/// What is told of a cap that is not put on: without it, a rule that is tried
/// in a weaker mode would show nothing.
fn would_cap(tokens: u64) -> Breach {
    Breach {
        code: "output_capped",
        said: format!("The answer would be held to {tokens} output tokens."),
        field: None,
    }
}

impl Ruling {
    /// All things that these rulings want approved, each once.
    pub fn wanted<'a>(rulings: impl Iterator<Item = &'a Self>) -> Vec<Approved> {
        let mut all = Vec::new();
        for ruling in rulings {
            for what in ruling.need.iter().flat_map(|need| &need.what) {
                let one = Approved {
                    rule: ruling.rule.clone(),
                    layer: ruling.layer.clone(),
                    what: what.clone(),
                    approvers: ruling.need.as_ref().map_or(0, |need| need.approvers),
                };
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        all
    }

    /// The refusal: the rule's name, what it says, and whom to ask for more.
    pub fn fault(&self) -> Fault {
        let fault = Fault::new(FaultKind::Forbidden, Origin::Client, self.to_string());
        match &self.breach.field {
            Some(field) => fault.at(field.clone()),
            None => fault,
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, layer, .. } = self;
        write!(f, "{} (rule `{rule}`, {layer})", self.breach.said)?;
        match &self.contact {
            Some(contact) => write!(f, " {contact}"),
            None => f.write_str(" Ask the people who run the gateway if you need more."),
        }
    }
}

#[cfg(test)]
mod tests;
