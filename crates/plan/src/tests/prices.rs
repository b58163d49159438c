//! Prices: what becomes of the section in a plan, and what is said of
//! mistakes.

use meter::Money;
use meter::prices::{Bound, Catalog, Class, Layer, Query, Tier, day};

use super::{Fake, good, good_with, try_with};
use crate::*;

const PROVIDERS: &str = "
providers:
  openai: {api_key: k}
  house: {kind: vllm}
  sandbox: {}
";

const FILE: &str = "tollgate-prices 1\nprovider openai\ngpt-5 in=1 out=9\n";

fn query<'a>(provider: &'a str, kind: &'a str, model: &'a str) -> Query<'a> {
    Query {
        provider,
        kind,
        model,
        region: None,
        tenant: None,
        at_s: day("2026-11-21").expect("a day"),
    }
}

fn input(compiled: &Compiled, query: &Query<'_>) -> Option<(String, Layer)> {
    let found = compiled.plan.prices.of(query).ok()?;
    let rate = found.price.rate(Class::Input, Tier::Standard, 1)?;
    Some((rate.to_string(), found.layer))
}

#[test]
fn a_plan_has_the_built_in_prices_without_a_word() {
    let (_, compiled) = good(PROVIDERS);
    for (asked, expected) in [
        (
            query("openai", "openai", "gpt-5"),
            Some(("1.25", Layer::BuiltIn)),
        ),
        (
            query("sandbox", "sandbox", "sandbox/chat"),
            Some(("0.00", Layer::BuiltIn)),
        ),
        (query("house", "vllm", "llama"), None),
    ] {
        let found = input(&compiled, &asked);
        let found = found.as_ref().map(|(rate, layer)| (rate.as_str(), *layer));
        assert_eq!(found, expected, "{asked:?}");
    }
}

#[test]
fn every_layer_of_the_document_is_compiled() {
    let text = format!(
        "{PROVIDERS}
prices:
  file: new.txt
  unknown: ceiling
  ceiling: {{input: 15, output: '75.5'}}
  overrides:
    - {{provider: hou*, model: free-*, free: true}}
    - {{model: o3, from: 2027-01-01, rates: {{input: 1}}}}
    - model: o3
      rates: {{input: 3, output: 12, search: 10}}
      levels:
        - {{above: 1000, rates: {{input: 6}}}}
        - {{tier: batch, rates: {{input: 1.5, output: 6}}}}
    - {{tenant: acme, multiplier: 0.5}}
"
    );
    let fake = Fake::new(&[], &[("new.txt", FILE)]);
    let (_, compiled) = good_with(&text, &fake);
    assert!(compiled.warnings.is_empty(), "{:?}", compiled.warnings);
    let acme = |query| Query {
        tenant: Some("acme"),
        ..query
    };
    for (asked, expected) in [
        (query("openai", "openai", "gpt-5"), ("1.00", Layer::File)),
        (
            query("openai", "openai", "gpt-5-mini"),
            ("0.25", Layer::BuiltIn),
        ),
        (query("openai", "openai", "o3"), ("3.00", Layer::Operator)),
        (query("house", "vllm", "free-1"), ("0.00", Layer::Operator)),
        (query("house", "vllm", "llama"), ("15.00", Layer::Ceiling)),
        (
            acme(query("openai", "openai", "gpt-5")),
            ("0.50", Layer::Contract),
        ),
        (
            acme(query("openai", "openai", "o3")),
            ("1.50", Layer::Contract),
        ),
    ] {
        let (rate, layer) = input(&compiled, &asked).expect("a price");
        assert_eq!((rate.as_str(), layer), expected, "{asked:?}");
    }
    let found = compiled
        .plan
        .prices
        .of(&query("openai", "openai", "o3"))
        .expect("a price");
    let rate = |class, tier, input| {
        found
            .price
            .rate(class, tier, input)
            .map(|it| it.to_string())
    };
    assert_eq!(
        rate(Class::Input, Tier::Standard, 1_001).as_deref(),
        Some("6.00")
    );
    assert_eq!(rate(Class::Output, Tier::Batch, 1).as_deref(), Some("6.00"));
    assert_eq!(
        rate(Class::Search, Tier::Standard, 1).as_deref(),
        Some("10.00")
    );
    let ceiling = compiled
        .plan
        .prices
        .of(&query("house", "vllm", "llama"))
        .expect("the ceiling");
    let worst = ceiling.price.worst(&Bound::new(1_000_000, 1_000_000));
    assert_eq!(worst, Money::parse("90.5").ok());
}

#[test]
fn the_plan_changes_with_the_file_of_prices() {
    let digest = |file: &'static str| {
        let fake = Fake::new(&[], &[("new.txt", file)]);
        let (_, compiled) = good_with("prices: {file: new.txt}", &fake);
        compiled.plan.digest.to_string()
    };
    let before = digest(FILE);
    assert_eq!(digest(FILE), before);
    assert_ne!(
        digest("tollgate-prices 1\nprovider openai\ngpt-5 in=2 out=9\n"),
        before
    );
}

#[test]
fn what_is_shown_can_be_read_again() {
    let text = "
prices:
  overrides:
    - {model: a, from: 2027-01-01, rates: {input: 1.50}}
    - {model: b, multiplier: '0.850'}
";
    let (draft, _) = good(text);
    let shown = show(&draft.document);
    for line in ["from: 2027-01-01", "input: '1.50'", "multiplier: '0.85'"] {
        let plain = line.replace('\'', "");
        assert!(
            shown.replace(['\'', '"'], "").contains(&plain),
            "{line}: {shown}"
        );
    }
    let (_, again) = good(&shown);
    assert_eq!(again.plan.digest, good(text).1.plan.digest);
}

#[test]
fn mistakes_are_named() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "unknown: ceiling",
            "prices.unknown",
            "there is no ceiling to count such calls at",
        ),
        (
            "ceiling: {input: 1, output: 2}",
            "prices.ceiling",
            "this ceiling does nothing: calls whose price is not known are refused",
        ),
        (
            "{unknown: ceiling, ceiling: {input: 0, output: 2}}",
            "prices.ceiling.input",
            "a ceiling of 0 would let calls of unknown price pass uncounted",
        ),
        (
            "unknown: zero",
            "prices.unknown",
            "there is no choice `zero`",
        ),
        (
            "file: gone.txt",
            "prices.file",
            "the file `gone.txt` cannot be used: there is no such file",
        ),
        (
            "file: bad.txt",
            "prices.file",
            "the file `bad.txt` cannot be used: line 3: `x` is not an amount of dollars; write \
             digits with at most 9 decimal places, such as `12.50`",
        ),
        (
            "overrides: [{model: a}]",
            "prices.overrides[0]",
            "this override says no price",
        ),
        (
            "overrides: [{model: a, free: true, multiplier: 0.5}]",
            "prices.overrides[0]",
            "this override says more than one price",
        ),
        (
            "overrides: [{free: true, levels: [{tier: flex, rates: {input: 1}}]}]",
            "prices.overrides[0]",
            "`levels` stand without `rates`",
        ),
        (
            "overrides: [{rates: {}}]",
            "prices.overrides[0]",
            "there is no price here; write one, or `free`",
        ),
        (
            "overrides: [{rates: {input: 1}, levels: [{rates: {input: 2}}]}]",
            "prices.overrides[0]",
            "a level has neither a tier nor a length; write its prices in front",
        ),
        (
            "overrides: [{model: '', free: true}]",
            "prices.overrides[0].model",
            "this is empty, so nothing would ever match",
        ),
        (
            "overrides: [{rates: {input: -1}}]",
            "prices.overrides[0].rates.input",
            "the price `-1` is negative",
        ),
        (
            "overrides: [{rates: {input: 1e-6}}]",
            "prices.overrides[0].rates.input",
            "`1e-6` is no amount of dollars",
        ),
        (
            "overrides: [{rates: {input: 2000000}}]",
            "prices.overrides[0].rates.input",
            "the price of `input` is more than anybody asks (1000000 dollars for a million units)",
        ),
        (
            "overrides: [{multiplier: 0}]",
            "prices.overrides[0].multiplier",
            "`0` is no multiplier",
        ),
        (
            "overrides: [{multiplier: 15%}]",
            "prices.overrides[0].multiplier",
            "`15%` is no multiplier",
        ),
        (
            "overrides: [{free: true, from: 2026-02-30}]",
            "prices.overrides[0].from",
            "`2026-02-30` is no day",
        ),
        (
            "overrides: [{rates: {inputs: 1}}]",
            "prices.overrides[0].rates.inputs",
            "there is no field `inputs` here",
        ),
    ];
    let fake = Fake::new(
        &[],
        &[("bad.txt", "tollgate-prices 1\nprovider openai\na in=x\n")],
    );
    for (text, path, what) in cases {
        let text = match text.starts_with('{') {
            true => format!("prices: {text}"),
            false => format!("prices: {{{text}}}"),
        };
        let found = try_with(&text, &fake).map(|_| ()).expect_err(&text);
        let said: Vec<_> = found
            .iter()
            .map(|it| (it.path.as_str(), it.what.as_str()))
            .collect();
        assert!(said.contains(&(*path, *what)), "{text}: {said:?}");
        assert!(found.iter().all(|it| !it.instead.is_empty()), "{text}");
    }
}

#[test]
fn what_holds_for_nobody_is_a_warning() {
    let text = format!(
        "{PROVIDERS}
prices:
  file: odd.txt
  overrides: [{{provider: opena, free: true}}]
"
    );
    let odd = "tollgate-prices 1\nprovider opnai\na in=1\n";
    let (_, compiled) = good_with(&text, &Fake::new(&[], &[("odd.txt", odd)]));
    let said: Vec<_> = compiled
        .warnings
        .iter()
        .map(|it| (it.path.as_str(), it.what.as_str(), it.instead.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (
                "prices.file",
                "the file `odd.txt` has prices of `opnai`, which is no kind of provider",
                "write `openai`"
            ),
            (
                "prices.overrides[0].provider",
                "no provider is called `opena`, so this price holds for nobody",
                "write `openai`"
            ),
        ]
    );
}

/// The catalog names kinds by the names they have here.
#[test]
fn the_built_in_catalog_knows_the_kinds() {
    for kind in Catalog::built_in().kinds() {
        assert!(providers::kind(kind).is_some(), "{kind}");
    }
}
