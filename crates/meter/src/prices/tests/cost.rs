//! The table of costs, computed by hand.

use contract::Usage;

use super::*;

/// Tokens by class.
const ALL: Usage = Usage {
    input: 1_000,
    cached_read: 2_000,
    cached_write: 3_000,
    cached_write_1h: 4_000,
    output: 5_000,
    reasoning: 6_000,
    audio_in: 7_000,
    audio_out: 8_000,
    image_in: 9_000,
    image_out: 0,
    web_searches: 0,
    audio_seconds: 0,
    told_cost_nanos: None,
    tier: None,
    flawed: false,
    source: contract::UsageSource::Provider,
};

fn at(tier: Tier) -> Terms {
    Terms {
        tier,
        ..Terms::default()
    }
}

fn tokens(input: u64, cached_read: u64, output: u64) -> Usage {
    Usage {
        input,
        cached_read,
        output,
        ..Usage::default()
    }
}

/// Checks a cost, and that its shares are all of it.
fn check(text: &str, usage: &Usage, terms: &Terms, expected: &str) {
    let cost = price(text).cost(usage, terms);
    assert_eq!(cost.total, money(expected), "{text}: {usage:?} {terms:?}");
    assert!(!cost.unpriced, "{text}: {usage:?} {terms:?}");
    let sum: Money = Class::ALL.into_iter().map(|class| cost.part(class)).sum();
    assert_eq!(sum, cost.total, "{text}: shares");
}

#[test]
fn every_class_has_its_price() {
    // 1,000 x 1 + 2,000 x 0.1 + 3,000 x 1.25 + 4,000 x 2 + 7,000 x 40
    // + 9,000 x 3 + 5,000 x 4 + 6,000 x 8 + 8,000 x 80 dollars a million
    // = 1,027,950 / 1,000,000; a request 0.005 and two searches 0.02.
    let text = "in=1 read=0.1 write=1.25 write1h=2 audio-in=40 image-in=3 out=4 reasoning=8 \
                audio-out=80 request=5 search=10 second=0.0001";
    let terms = Terms {
        searches: 2,
        seconds: 30,
        ..Terms::default()
    };
    check(text, &ALL, &terms, "1.05595");
    let cost = price(text).cost(&ALL, &terms);
    for (class, expected) in [
        (Class::Input, "0.001"),
        (Class::CachedRead, "0.0002"),
        (Class::CachedWrite, "0.00375"),
        (Class::CachedWrite1h, "0.008"),
        (Class::AudioIn, "0.28"),
        (Class::ImageIn, "0.027"),
        (Class::Output, "0.02"),
        (Class::Reasoning, "0.048"),
        (Class::AudioOut, "0.64"),
        (Class::Request, "0.005"),
        (Class::Search, "0.02"),
        (Class::Second, "0.003"),
    ] {
        assert_eq!(cost.part(class), money(expected), "{}", class.name());
    }
}

#[test]
fn a_class_without_a_price_is_billed_as_its_stand_in() {
    // Everything of the input at 1, everything of the output at 4: 26,000
    // and 19,000 tokens.
    check("in=1 out=4", &ALL, &Terms::default(), "0.102");
    // Where writes are billed, those for an hour are twice the input:
    // 22,000 at 1, 3,000 at 1.25, 4,000 at 2, less the 3,000 and 4,000.
    // 19,000 x 1 + 3,000 x 1.25 + 4,000 x 2 + 19,000 x 4 = 106,750.
    check("in=1 write=1.25 out=4", &ALL, &Terms::default(), "0.10675");
    // A dear write is not undercut: 3,000 and 4,000 at 2.5.
    check("in=1 write=2.5 out=4", &ALL, &Terms::default(), "0.1125");
}

#[test]
fn what_has_no_price_at_all_is_said() {
    let embedding = price("in=0.02");
    let cost = embedding.cost(&tokens(1_000_000, 0, 0), &Terms::default());
    assert_eq!((cost.total, cost.unpriced), (money("0.02"), false));
    let cost = embedding.cost(&tokens(1_000_000, 0, 1), &Terms::default());
    assert_eq!((cost.total, cost.unpriced), (money("0.02"), true));
    let searched = Terms {
        searches: 1,
        ..Terms::default()
    };
    assert!(embedding.cost(&tokens(1, 0, 0), &searched).unpriced);
    // A tier that may be dearer is charged as the standard one, and said.
    for (tier, unpriced) in [
        (Tier::Standard, false),
        (Tier::Flex, false),
        (Tier::Batch, false),
        (Tier::Priority, true),
        (Tier::Fast, true),
    ] {
        let cost = embedding.cost(&tokens(1_000_000, 0, 0), &at(tier));
        assert_eq!(
            (cost.total, cost.unpriced),
            (money("0.02"), unpriced),
            "{}",
            tier.name()
        );
    }
    // Nothing to pay is a price.
    let cost = price("free").cost(&ALL, &searched);
    assert_eq!((cost.total, cost.unpriced), (Money::ZERO, false));
    assert_eq!(cost.parts().count(), 0);
}

#[test]
fn a_long_input_is_priced_anew_from_its_first_token() {
    let text =
        "in=3 read=0.3 write=3.75 write1h=6 out=15 | >200000 in=6 read=0.6 write=7.5 out=22.5";
    // Exactly at the threshold: 0.45 + 0.015 + 0.015.
    check(
        text,
        &tokens(150_000, 50_000, 1_000),
        &Terms::default(),
        "0.48",
    );
    // One more, of any class of the input: 150,000 x 6 + 50,001 x 0.6 + 1,000 x 22.5.
    check(
        text,
        &tokens(150_000, 50_001, 1_000),
        &Terms::default(),
        "0.9525006",
    );
    // What the level does not say is not cheaper there: twice its input.
    let hour = Usage {
        cached_write_1h: 300_000,
        ..Usage::default()
    };
    check(text, &hour, &Terms::default(), "3.6");
    // Of several levels the highest holds.
    let steps = "in=1 out=2 | >32000 in=3 out=6 | >128000 in=5 out=10";
    check(steps, &tokens(32_000, 0, 100), &Terms::default(), "0.0322");
    check(
        steps,
        &tokens(32_001, 0, 100),
        &Terms::default(),
        "0.096603",
    );
    check(steps, &tokens(200_000, 0, 100), &Terms::default(), "1.001");
}

#[test]
fn the_tier_that_served_a_call_counts() {
    let text = "in=2.5 read=0.25 out=15 | >272000 in=5 read=0.5 out=22.5 | flex in=1.25 read=0.13 out=7.5 \
                | priority in=5 read=0.5 out=30 | batch in=1.25 out=7.5 | batch >272000 in=2.5 out=11.25";
    let short = tokens(1_000_000 / 10, 10_000, 1_000);
    check(text, &short, &at(Tier::Standard), "0.2675");
    check(text, &short, &at(Tier::Flex), "0.1338");
    check(text, &short, &at(Tier::Priority), "0.535");
    // Batches have no price for cached input here: it is plain input.
    check(text, &short, &at(Tier::Batch), "0.145");
    let long = tokens(300_000, 0, 1_000);
    check(text, &long, &at(Tier::Standard), "1.5225");
    check(text, &long, &at(Tier::Batch), "0.76125");
    // Flex says nothing of long inputs, so it is no cheaper than standard.
    check(text, &long, &at(Tier::Flex), "1.5225");
    // Priority neither, and it is no cheaper than its own short price.
    check(text, &long, &at(Tier::Priority), "1.53");
}

/// Figures of each dialect, split as its reader splits them, and the price
/// that the vendor's own list comes to.
#[test]
fn figures_of_every_dialect_come_to_the_vendors_price() {
    // Chat completions: prompt 2,006 with 1,920 cached; completion 300 with
    // 200 reasoning. 86 x 1.25 + 1,920 x 0.125 + 300 x 10 = 3,347.5.
    let split = Usage {
        reasoning: 200,
        ..tokens(86, 1_920, 100)
    };
    check(
        "in=1.25 read=0.125 out=10",
        &split,
        &Terms::default(),
        "0.0033475",
    );
    // Messages: input 50, written 248 for 5 minutes and 100 for an hour, read
    // 1,800; output 503. 150 + 930 + 600 + 540 + 7,545 = 9,765.
    let apart = Usage {
        cached_write: 248,
        cached_write_1h: 100,
        ..tokens(50, 1_800, 503)
    };
    let text = "in=3 read=0.3 write=3.75 write1h=6 out=15";
    check(text, &apart, &Terms::default(), "0.009765");
    // Gemini: prompt 1,000 of which 258 image and 100 audio; candidates 40,
    // thoughts 60. 900 x 0.3 + 100 x 1 + 100 x 2.5 = 620.
    let modal = Usage {
        image_in: 258,
        audio_in: 100,
        reasoning: 60,
        ..tokens(642, 0, 40)
    };
    check(
        "in=0.3 read=0.03 audio-in=1 out=2.5",
        &modal,
        &Terms::default(),
        "0.00062",
    );
    // Audio: prompt 100 with 60 audio, completion 50 with 30 audio.
    // 40 x 2.5 + 60 x 32 + 20 x 10 + 30 x 64 = 4,140.
    let audio = Usage {
        audio_in: 60,
        audio_out: 30,
        ..tokens(40, 0, 20)
    };
    check(
        "in=2.5 audio-in=32 out=10 audio-out=64",
        &audio,
        &Terms::default(),
        "0.00414",
    );
}

#[test]
fn a_sum_is_rounded_up_once() {
    // 0.0375 dollars a million are 37.5 nano-dollars a token.
    check(
        "in=0.0375 out=0.0375",
        &tokens(1, 0, 0),
        &Terms::default(),
        "0.000000038",
    );
    // Two classes of half a nano-dollar more are whole together.
    check(
        "in=0.0375 out=0.0375",
        &tokens(1, 0, 1),
        &Terms::default(),
        "0.000000075",
    );
    let cost = price("in=0.0375 out=0.0375").cost(&tokens(1, 0, 1), &Terms::default());
    assert_eq!(
        cost.part(Class::Input),
        Money(38),
        "what rounding took is with one of them"
    );
    assert_eq!(cost.part(Class::Output), Money(37));
    // A price below a nano-dollar a token is not zero.
    check(
        "in=0.000000001",
        &tokens(1, 0, 0),
        &Terms::default(),
        "0.000000001",
    );
}

#[test]
fn absurd_figures_saturate() {
    let most = Usage {
        input: u64::MAX,
        cached_read: u64::MAX,
        cached_write: u64::MAX,
        cached_write_1h: u64::MAX,
        output: u64::MAX,
        reasoning: u64::MAX,
        audio_in: u64::MAX,
        audio_out: u64::MAX,
        image_in: u64::MAX,
        image_out: u64::MAX,
        ..Usage::default()
    };
    let terms = Terms {
        tier: Tier::Batch,
        requests: u64::MAX,
        searches: u64::MAX,
        seconds: u64::MAX,
    };
    for text in [
        "in=1000000 out=1000000 search=1000 request=1000 second=1",
        "in=1 out=1 search=1",
    ] {
        let cost = price(text).cost(&most, &terms);
        assert_eq!(cost.total, Money::MAX, "{text}");
        let sum: Money = Class::ALL.into_iter().map(|class| cost.part(class)).sum();
        assert_eq!(sum, Money::MAX, "{text}");
        let bound = Bound {
            choices: u64::MAX,
            requests: u64::MAX,
            searches: u64::MAX,
            seconds: u64::MAX,
            ..Bound::new(u64::MAX, u64::MAX)
        };
        assert_eq!(price(text).worst(&bound), Some(Money::MAX));
    }
    // A large sum that does fit is exact: 2^63 tokens at 0.000001.
    let many = tokens(1 << 63, 0, 0);
    let cost = price("in=0.000001").cost(&many, &Terms::default());
    assert_eq!(cost.total, money("9223372.036854776"));
}
