//! Cases of rules. Each is asked in all four modes, through a chain.

mod answers;
mod approvals;
mod attacks;
mod conditions;
mod narrowing;
mod places;
mod requests;
mod settings;

use std::net::IpAddr;
use std::sync::Arc;

use contract::Operation;
use serde_json::Value;

use crate::facts::{Content, Facts, Given, Place, ToolFact};
use crate::metadata::{Field, Metadata};
use crate::mode::Mode;
use crate::policy::{Chain, Layer, Named, Verdict};
use crate::rule::{Rule, Wrong};
use crate::rule_kind;

/// A call to ask about.
#[derive(Clone, Debug)]
struct Call {
    operation: Operation,
    model: &'static str,
    metadata: Metadata,
    groups: Vec<Box<str>>,
    stream: bool,
    input_tokens: u64,
    output_tokens_max: Option<u64>,
    address: Option<IpAddr>,
    now_s: u64,
    content: Option<Content>,
}

impl Call {
    /// A plain chat call, on Tuesday 2023-11-14 at 22:13:20 UTC.
    fn chat() -> Self {
        Self {
            operation: Operation::Chat,
            model: "gpt-5",
            metadata: Metadata::default(),
            groups: Vec::new(),
            stream: false,
            input_tokens: 100,
            output_tokens_max: None,
            address: None,
            now_s: 1_700_000_000,
            content: Some(Content::default()),
        }
    }

    fn told(mut self, field: Field, value: &str) -> Self {
        self.metadata.set(field, value);
        self
    }

    fn tool(mut self, name: &str, kind: &'static str) -> Self {
        let tool = ToolFact {
            name: name.into(),
            kind,
        };
        self.content.get_or_insert_default().tools.push(tool);
        self
    }

    fn url(mut self, url: &str) -> Self {
        self.content.get_or_insert_default().urls.push(url.into());
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            tenant: "acme",
            app: "web",
            key_id: "k1",
            groups: &self.groups,
            metadata: &self.metadata,
            operation: self.operation,
            model: self.model,
            stream: self.stream,
            input_tokens: self.input_tokens,
            output_tokens_max: self.output_tokens_max,
            address: self.address,
            now_s: self.now_s,
            content: self.content.as_ref(),
        }
    }
}

/// A candidate of a provider `eu-one`.
fn place() -> Place<'static> {
    Place {
        provider: "eu-one",
        kind: "sandbox",
        model: "gpt-5-2026",
        region: Some("eu-west-1"),
        context_tokens: None,
    }
}

fn compile(kind: &str, settings: &Value) -> Result<Box<dyn Rule>, Wrong> {
    (rule_kind(kind).expect("it is listed").compile)(settings)
}

/// A chain of one rule; as in a plan, a rule in mode `off` is not in it.
fn chain(kind: &str, settings: &Value, mode: Mode) -> Chain {
    let rule = compile(kind, settings);
    let named = Named {
        name: "r".into(),
        kind: rule_kind(kind).expect("it is listed"),
        mode,
        contact: None,
        rule: rule.unwrap_or_else(|wrong| panic!("{kind} {settings}: {wrong:?}")),
    };
    let rules = match mode {
        Mode::Off => Vec::new(),
        Mode::Shadow | Mode::Warn | Mode::Enforce => vec![named],
    };
    of_layers(vec![rules])
}

fn of_layers(layers: Vec<Vec<Named>>) -> Chain {
    let layers = layers
        .into_iter()
        .enumerate()
        .map(|(nth, rules)| Arc::new(Layer::new(format!("layer {nth}"), rules)));
    Chain::of(layers.collect())
}

/// Asks in all four modes. Expected is the code and the field of the breach,
/// or nothing.
fn check(
    kind: &str,
    settings: &Value,
    ask: &dyn Fn(&Chain) -> Verdict,
    expected: Option<(&str, Option<&str>)>,
) {
    let case = format!("{kind} {settings}");
    for mode in [Mode::Off, Mode::Shadow, Mode::Warn, Mode::Enforce] {
        let chain = chain(kind, settings, mode);
        let verdict = ask(&chain);
        assert_eq!(verdict, ask(&chain), "{case}: the same again");
        let found = verdict
            .rulings
            .first()
            .map(|ruling| (ruling.breach.code, ruling.breach.field.as_deref()));
        let found_expected = expected.filter(|_| mode != Mode::Off);
        assert_eq!(found, found_expected, "{case} in {mode:?}: {verdict:?}");
        assert_eq!(
            verdict.denied().is_some(),
            expected.is_some() && mode == Mode::Enforce,
            "{case} in {mode:?}"
        );
        assert_eq!(
            verdict.warned().count(),
            usize::from(expected.is_some() && mode == Mode::Warn),
            "{case} in {mode:?}"
        );
    }
}

fn check_request(
    kind: &str,
    settings: &Value,
    call: &Call,
    expected: Option<(&str, Option<&str>)>,
) {
    check(
        kind,
        settings,
        &|chain| chain.request(&call.facts()),
        expected,
    );
}

fn check_place(
    kind: &str,
    settings: &Value,
    call: &Call,
    place: &Place<'_>,
    expected: Option<&str>,
) {
    let expected = expected.map(|code| (code, None));
    let ask = |chain: &Chain| chain.place(&call.facts(), place);
    check(kind, settings, &ask, expected);
}

fn check_given(kind: &str, settings: &Value, given: &Given<'_>, expected: Option<&str>) {
    let expected = expected.map(|code| (code, None));
    let call = Call::chat();
    let ask = |chain: &Chain| chain.given(&call.facts(), given);
    check(kind, settings, &ask, expected);
}

/// What it is held to.
fn cap(kind: &str, settings: &Value, call: &Call, mode: Mode) -> Option<u64> {
    let verdict = chain(kind, settings, mode).request(&call.facts());
    verdict.output_cap.map(|(tokens, _)| tokens)
}
