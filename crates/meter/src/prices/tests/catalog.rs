//! The built-in catalog: its form, its size, and well-known prices that were
//! looked up by hand.

use super::*;

/// Most bytes of the catalog, which is part of the program.
const BYTES_MAX: usize = 400 << 10;

#[test]
fn it_is_read_and_compact() {
    let text = include_str!("../../../catalog/prices.txt");
    assert!(text.len() <= BYTES_MAX, "{} bytes", text.len());
    let catalog = Catalog::built_in();
    let sources: Vec<(&str, &str)> = catalog
        .sources()
        .iter()
        .map(|it| (it.name.as_str(), it.licence.as_str()))
        .collect();
    assert_eq!(sources, [("litellm", "MIT"), ("genai-prices", "MIT")]);
    let listed = catalog.listed();
    assert!(listed.len() > 2_000, "{} prices", listed.len());
    for one in &listed {
        let is_free = one.sheet.to_string() == "free";
        let input = one.sheet.rates().get(Class::Input);
        let is_priced = input.is_some_and(|rate| rate > Money::ZERO);
        let by_request = one.sheet.rates().get(Class::Request).is_some();
        let has_output = one.sheet.rates().get(Class::Output).is_some();
        assert!(
            is_free || is_priced || by_request || has_output,
            "{} {}: {}",
            one.kind,
            one.model,
            one.sheet
        );
        assert!(!is_free || one.kind == "sandbox", "{} is free?", one.model);
    }
}

/// Each kind is read when it is asked for, which must find the same.
#[test]
fn what_is_read_when_asked_for_is_what_the_text_says() {
    let text = include_str!("../../../catalog/prices.txt");
    let (whole, built_in) = (Catalog::parse(text).unwrap(), Catalog::built_in());
    let told = |catalog: &Catalog| {
        let listed = catalog.listed();
        let lines: Vec<String> = listed.iter().map(|it| format!("{it:?}")).collect();
        let kinds: Vec<String> = catalog.kinds().into_iter().map(str::to_owned).collect();
        (catalog.sources().to_vec(), *catalog.digest(), kinds, lines)
    };
    assert!(told(&built_in) == told(&whole));
    let whole = Arc::new(whole);
    let over = |catalog: &Arc<Catalog>| PriceBook::over(catalog.clone(), None, Vec::new());
    let (whole_book, book) = (over(&whole), over(&built_in));
    for one in whole.listed() {
        let asked = query(one.kind, one.model);
        assert_eq!(book.find(&asked), whole_book.find(&asked), "{}", one.model);
    }
}

/// A price as a vendor's page tells it, for a million tokens: input, cached
/// input, output; `-` where there is none.
const WELL_KNOWN: &[(&str, &str, &str, &str, &str)] = &[
    ("openai", "gpt-5", "1.25", "0.125", "10"),
    ("openai", "gpt-5-2025-08-07", "1.25", "0.125", "10"),
    ("openai", "gpt-5-mini", "0.25", "0.025", "2"),
    ("openai", "gpt-5-mini-2025-08-07", "0.25", "0.025", "2"),
    ("openai", "gpt-5-nano", "0.05", "0.005", "0.4"),
    ("openai", "gpt-4.1", "2", "0.5", "8"),
    ("openai", "gpt-4.1-mini", "0.4", "0.1", "1.6"),
    ("openai", "gpt-4.1-nano", "0.1", "0.025", "0.4"),
    ("openai", "gpt-4o", "2.5", "1.25", "10"),
    ("openai", "gpt-4o-2024-05-13", "5", "-", "15"),
    ("openai", "gpt-4o-mini", "0.15", "0.075", "0.6"),
    ("openai", "o1", "15", "7.5", "60"),
    ("openai", "o3", "2", "0.5", "8"),
    ("openai", "o3-mini", "1.1", "0.55", "4.4"),
    ("openai", "o4-mini", "1.1", "0.275", "4.4"),
    ("openai", "gpt-3.5-turbo", "0.5", "-", "1.5"),
    ("openai", "text-embedding-3-small", "0.02", "-", "-"),
    ("openai", "text-embedding-3-large", "0.13", "-", "-"),
    (
        "openai",
        "ft:gpt-4o-2024-08-06:acme::a1",
        "3.75",
        "1.875",
        "15",
    ),
    ("anthropic", "claude-sonnet-4-5-20250929", "3", "0.3", "15"),
    ("anthropic", "claude-sonnet-4-5", "3", "0.3", "15"),
    ("anthropic", "claude-haiku-4-5", "1", "0.1", "5"),
    ("anthropic", "claude-opus-4-1", "15", "1.5", "75"),
    ("anthropic", "claude-opus-4-5", "5", "0.5", "25"),
    (
        "anthropic",
        "claude-3-haiku-20240307",
        "0.25",
        "0.03",
        "1.25",
    ),
    ("gemini", "gemini-2.5-pro", "1.25", "0.125", "10"),
    ("gemini", "gemini-2.5-flash", "0.3", "0.03", "2.5"),
    ("gemini", "gemini-2.5-flash-lite", "0.1", "0.01", "0.4"),
    ("gemini", "gemini-embedding-001", "0.15", "-", "-"),
    ("azure", "gpt-5", "1.25", "0.125", "10"),
    ("azure", "gpt-4o", "2.5", "1.25", "10"),
    (
        "bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "3.3",
        "0.33",
        "16.5",
    ),
    (
        "bedrock",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "3",
        "0.3",
        "15",
    ),
    (
        "bedrock",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "0.25",
        "-",
        "1.25",
    ),
    ("bedrock", "amazon.nova-pro-v1:0", "0.8", "0.2", "3.2"),
    ("deepseek", "deepseek-chat", "0.28", "0.028", "0.42"),
    ("xai", "grok-4.5", "2", "0.3", "6"),
    ("perplexity", "sonar-pro", "3", "-", "15"),
    ("groq", "openai/gpt-oss-120b", "0.15", "0.075", "0.6"),
    ("cohere", "command-a-03-2025", "2.5", "-", "10"),
];

#[test]
fn well_known_prices_are_right() {
    let book = PriceBook::default();
    let mut wrong = Vec::new();
    for (kind, model, input, read, output) in WELL_KNOWN {
        let Some(found) = book.find(&query(kind, model)) else {
            wrong.push(format!("{kind} {model}: no price"));
            continue;
        };
        let rates = found.price.sheet().rates();
        let told = [Class::Input, Class::CachedRead, Class::Output];
        let told = told.map(|class| rates.written(class));
        let expected = [input, read, output].map(|text| Money::parse(text).ok());
        if told != expected {
            wrong.push(format!("{kind} {model}: {}", found.price.sheet()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn levels_tiers_and_dates_of_well_known_models_are_right() {
    let book = PriceBook::default();
    let rate = |kind, model, at: &str, (class, tier, input)| {
        let asked = Query {
            at_s: day(at).expect("a day"),
            ..query(kind, model)
        };
        let found = book.find(&asked)?;
        found.price.rate(class, tier, input)
    };
    use Class::{AudioIn, CachedWrite, CachedWrite1h, Input, Output, Search};
    for (kind, model, at, what, expected) in [
        (
            "gemini",
            "gemini-2.5-pro",
            NOW,
            (Input, Tier::Standard, 200_001),
            "2.5",
        ),
        (
            "gemini",
            "gemini-2.5-pro",
            NOW,
            (Output, Tier::Standard, 200_001),
            "15",
        ),
        (
            "gemini",
            "gemini-2.5-flash",
            NOW,
            (AudioIn, Tier::Standard, 1),
            "1",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            NOW,
            (CachedWrite, Tier::Standard, 1),
            "3.75",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            NOW,
            (CachedWrite1h, Tier::Standard, 1),
            "6",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            NOW,
            (Input, Tier::Standard, 200_001),
            "6",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            NOW,
            (Output, Tier::Batch, 1),
            "7.5",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            NOW,
            (Search, Tier::Standard, 1),
            "10",
        ),
        ("openai", "gpt-5", NOW, (Input, Tier::Flex, 1), "0.625"),
        ("openai", "gpt-5", NOW, (Output, Tier::Priority, 1), "20"),
        ("openai", "gpt-5", NOW, (Output, Tier::Batch, 1), "5"),
        (
            "openai",
            "gpt-5.4",
            NOW,
            (Input, Tier::Standard, 272_001),
            "5",
        ),
        // It became cheaper in June 2025.
        (
            "openai",
            "o3",
            "2025-06-09",
            (Output, Tier::Standard, 1),
            "40",
        ),
        (
            "openai",
            "o3",
            "2025-06-10",
            (Output, Tier::Standard, 1),
            "8",
        ),
    ] {
        assert_eq!(
            rate(kind, model, at, what),
            Some(money(expected)),
            "{kind} {model} {what:?}"
        );
    }
}

#[test]
fn nobody_knows_what_ones_own_servers_cost_and_the_sandbox_is_free() {
    let book = PriceBook::default();
    for kind in ["vllm", "ollama", "llamacpp", "compatible"] {
        assert_eq!(book.find(&query(kind, "llama3")), None, "{kind}");
    }
    let found = book.find(&query("sandbox", "sandbox/chat")).expect("free");
    assert_eq!(found.price.sheet(), &Sheet::free());
}
