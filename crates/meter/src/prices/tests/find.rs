//! Names, layers, dates and regions.

use super::*;

const TABLE: &str = "\
provider acme prefixes=us.,eu.,global.
small-1 in=1 out=2
small-1-2026-02-03 in=0.5 out=2
big-2 in=10 out=20
big-2 from=2026-01-01 in=8 out=20
big-2 from=2027-01-01 in=6 out=20
big-2 region=eu in=11 out=20
big-2 region=eu-north-1 in=12 out=20
tuned:small-1:* in=3 out=6
tuned:* in=4 out=8
us.far-3 in=1.1 out=2.2
far-3 in=1 out=2
up-4 in=1 out=1 eu*1.1
provider other also=acme
own-1 in=7
provider sandbox
* free
";

fn input(found: Option<Found>) -> Option<(String, &'static str)> {
    let found = found?;
    let rate = found.price.rate(Class::Input, Tier::Standard, 1)?;
    Some((rate.to_string(), found.matched.name()))
}

#[test]
fn a_model_is_found_by_its_names() {
    let book = book(TABLE, Vec::new());
    for (kind, model, expected) in [
        ("acme", "small-1", Some(("1.00", "exact"))),
        ("acme", "small-1-2026-02-03", Some(("0.50", "exact"))),
        ("acme", "small-1-2026-09-09", Some(("1.00", "variant"))),
        ("acme", "small-1-20260909", Some(("1.00", "variant"))),
        ("acme", "small-1-latest", Some(("1.00", "variant"))),
        ("acme", "small-1@20260909", Some(("1.00", "variant"))),
        ("acme", "small-1@default", Some(("1.00", "variant"))),
        // Figures that are no date belong to the name.
        ("acme", "small-1-0613", None),
        ("acme", "small-1-99999999", None),
        ("acme", "small-12", None),
        ("acme", "small", None),
        ("acme", "SMALL-1", None),
        ("acme", "", None),
        ("acme", "us.far-3", Some(("1.10", "exact"))),
        ("acme", "far-3", Some(("1.00", "exact"))),
        // Another group of regions costs what one of them does.
        ("acme", "eu.far-3", Some(("1.10", "variant"))),
        ("acme", "global.small-1", Some(("1.00", "variant"))),
        (
            "acme",
            "arn:x:y:eu:1:profile/us.far-3",
            Some(("1.10", "variant")),
        ),
        ("acme", "mars.far-3", None),
        // The narrowest pattern.
        ("acme", "tuned:small-1:me", Some(("3.00", "pattern"))),
        ("acme", "tuned:big-2:me", Some(("4.00", "pattern"))),
        ("other", "own-1", Some(("7.00", "exact"))),
        ("other", "small-1", Some(("1.00", "variant"))),
        ("sandbox", "anything", Some(("0.00", "pattern"))),
        ("nobody", "small-1", None),
    ] {
        let found = input(book.find(&query(kind, model)));
        let found = found.as_ref().map(|(rate, how)| (rate.as_str(), *how));
        assert_eq!(found, expected, "{kind} {model}");
    }
}

#[test]
fn the_day_of_the_call_and_the_region_choose() {
    let book = book(TABLE, Vec::new());
    for (at, region, expected) in [
        ("2025-12-31", None, "10.00"),
        ("2026-01-01", None, "8.00"),
        ("2026-11-21", None, "8.00"),
        ("2027-01-01", None, "6.00"),
        ("2026-11-21", Some("us-east-1"), "8.00"),
        ("2026-11-21", Some("eu"), "11.00"),
        ("2026-11-21", Some("eu-west-1"), "11.00"),
        ("2026-11-21", Some("eu-north-1"), "12.00"),
        ("2026-11-21", Some("europe-1"), "8.00"),
    ] {
        let at_s = day(at).expect("a day");
        let asked = Query {
            region,
            at_s,
            ..query("acme", "big-2")
        };
        let found = input(book.find(&asked)).expect("a price");
        assert_eq!(found.0, expected, "{at} {region:?}");
    }
    let there = Query {
        region: Some("eu-west-1"),
        ..query("acme", "up-4")
    };
    let found = book.find(&there).expect("a price");
    assert_eq!(
        found.price.rate(Class::Output, Tier::Standard, 1),
        Some(money("1.1"))
    );
    assert!(
        found.price.version().ends_with("*1.1"),
        "{}",
        found.price.version()
    );
}

fn change(model: &str, effect: Effect) -> Override {
    Override {
        provider: None,
        model: model.into(),
        region: None,
        tenant: None,
        from_s: 0,
        effect,
    }
}

fn sheet(text: &str) -> Effect {
    Effect::Price(Arc::new(Sheet::parse(text).expect("a price")))
}

fn factor(text: &str) -> Effect {
    Effect::Factor(Factor::parse(text).expect("a factor"))
}

fn of_tenant(tenant: &str, one: Override) -> Override {
    Override {
        tenant: Some(tenant.into()),
        ..one
    }
}

#[test]
fn the_later_layer_wins_and_factors_add_up() {
    let text = format!("{FORMAT}\nprovider acme\nsmall-1 in=2 out=2\n");
    let file = Arc::new(Catalog::parse(&text).expect("a file"));
    let text = format!("{FORMAT}\n{TABLE}");
    let built_in = Arc::new(Catalog::parse(&text).expect("a table"));
    let overrides = vec![
        change("big-*", factor("0.9")),
        change("own-*", sheet("in=5 out=5")),
        change("far-3", sheet("in=9 out=9")),
        Override {
            provider: Some("acme-eu*".into()),
            ..change("*", sheet("in=20 out=20"))
        },
        of_tenant("blue", change("*", factor("0.5"))),
        of_tenant("red", change("far-3", sheet("free"))),
    ];
    let book = PriceBook::over(built_in, Some(file), overrides);
    for (provider, model, tenant, expected) in [
        // Built-in, file, operator, contract.
        ("acme", "up-4", None, ("1.00", "built-in", "built-in")),
        ("acme", "small-1", None, ("2.00", "file", "file")),
        ("acme", "big-2", None, ("7.20", "operator", "built-in")),
        ("acme", "own-1", None, ("5.00", "operator", "operator")),
        ("acme", "far-3", None, ("9.00", "operator", "operator")),
        (
            "acme-eu-1",
            "small-1",
            None,
            ("20.00", "operator", "operator"),
        ),
        (
            "acme",
            "small-1",
            Some("blue"),
            ("1.00", "contract", "file"),
        ),
        (
            "acme",
            "big-2",
            Some("blue"),
            ("3.60", "contract", "built-in"),
        ),
        (
            "acme",
            "far-3",
            Some("blue"),
            ("4.50", "contract", "operator"),
        ),
        (
            "acme",
            "far-3",
            Some("red"),
            ("0.00", "contract", "contract"),
        ),
        ("acme", "small-1", Some("red"), ("2.00", "file", "file")),
        ("acme", "small-1", Some("green"), ("2.00", "file", "file")),
    ] {
        let asked = Query {
            provider,
            tenant,
            ..query("acme", model)
        };
        let found = book.find(&asked).expect(model);
        let rate = found
            .price
            .rate(Class::Input, Tier::Standard, 1)
            .expect("a rate");
        let told = (found.layer.name(), found.price.layer().name());
        assert_eq!(
            (rate, told.0, told.1),
            (money(expected.0), expected.1, expected.2),
            "{asked:?}"
        );
    }
    // A factor on a price that nobody knows is no price.
    let asked = Query {
        tenant: Some("blue"),
        ..query("acme", "what")
    };
    assert_eq!(book.find(&asked), None);
}

#[test]
fn overrides_have_dates_and_of_the_same_day_the_first_holds() {
    let since = |day_text: &str, one: Override| Override {
        from_s: day(day_text).expect("a day"),
        ..one
    };
    let overrides = vec![
        change("*", sheet("in=1")),
        change("*", sheet("in=2")),
        since("2026-06-01", change("*", sheet("in=3"))),
        since("2027-06-01", change("*", sheet("in=4"))),
    ];
    let book = book("provider acme\n", overrides);
    for (at, expected) in [
        ("2026-05-31", "1.00"),
        ("2026-06-01", "3.00"),
        ("2027-06-02", "4.00"),
    ] {
        let asked = Query {
            at_s: day(at).expect("a day"),
            ..query("acme", "m")
        };
        assert_eq!(
            input(book.find(&asked)).expect("a price").0,
            expected,
            "{at}"
        );
    }
}

#[test]
fn a_version_changes_with_the_price_and_with_nothing_else() {
    let version = |text: &str, model: &str| {
        let found = book(text, Vec::new()).find(&query("acme", model));
        found.expect("a price").price.version()
    };
    let one = version("provider acme\na in=1 out=2\n", "a");
    assert_eq!(one.len(), "built-in/".len() + 12, "{one}");
    assert_eq!(
        version(
            "# more\nprovider acme\nb in=9\na  in=1.0 out=2 read=?\n",
            "a"
        ),
        one
    );
    assert_ne!(version("provider acme\na in=1 out=2.01\n", "a"), one);
    assert_ne!(
        version("provider acme\na in=1 out=2 | flex in=1\n", "a"),
        one
    );

    let books = |text: &str, overrides| book(text, overrides).version().to_string();
    let same = "provider acme\na in=1\n";
    assert_eq!(books(same, Vec::new()), books(same, Vec::new()));
    assert_eq!(books(same, Vec::new()).len(), 12);
    assert_ne!(
        books(same, Vec::new()),
        books("provider acme\na in=2\n", Vec::new())
    );
    assert_ne!(
        books(same, Vec::new()),
        books(same, vec![change("*", factor("0.5"))])
    );
}

#[test]
fn an_unknown_price_is_refused_or_met_by_the_ceiling_and_never_zero() {
    let refuse = Prices::default();
    let no_price = refuse.of(&query("acme", "what")).expect_err("no price");
    assert_eq!(
        no_price.to_string(),
        "the model `what` of the provider `acme` has no price; write one as an entry of \
         `prices.overrides`, or a ceiling for all such models (`prices.unknown: ceiling`)"
    );
    let ceiling = Prices {
        unknown: Unknown::ceiling(Sheet::parse("in=15 out=75").expect("a price")),
        ..Prices::default()
    };
    let found = ceiling.of(&query("acme", "what")).expect("the ceiling");
    assert_eq!(found.layer, Layer::Ceiling);
    assert!(found.price.version().starts_with("ceiling/"));
    let bound = Bound::new(1_000, 1_000);
    assert_eq!(found.price.worst(&bound), Some(money("0.09")));
    // Where there is a price, the ceiling has no say.
    let known = ceiling.of(&query("sandbox", "sandbox/chat")).expect("free");
    assert_eq!(known.price.worst(&bound), Some(Money::ZERO));
}
