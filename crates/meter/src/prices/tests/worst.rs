//! The worst case is never less than what a call comes to.

use contract::{Usage, UsageSource};
use proptest::prelude::*;

use super::*;

/// Any price that can be written.
fn sheets() -> impl Strategy<Value = Sheet> {
    let rates = || proptest::collection::vec(proptest::option::of(0_i64..1_000_000), 12);
    let level = (0_usize..5, 0_u64..6, rates());
    let levels = proptest::collection::vec(level, 0..6);
    (rates(), levels, 1_i64..1_000_000).prop_map(|(base, levels, input)| {
        let read = |amounts: Vec<Option<i64>>| {
            let mut rates = Rates::default();
            for (class, amount) in Class::ALL.into_iter().zip(amounts) {
                if let Some(amount) = amount {
                    rates.set(class, Money(amount * 1_000)).expect("a rate");
                }
            }
            rates
        };
        let mut base = read(base);
        base.set(Class::Input, Money(input * 1_000))
            .expect("a rate");
        let mut known = Vec::new();
        let mut kept = Vec::new();
        for (tier, above, amounts) in levels {
            let (tier, above) = (Tier::ALL[tier], above * 1_000);
            let is_new = !known.contains(&(tier, above)) && (tier, above) != (Tier::Standard, 0);
            if is_new && amounts.iter().any(Option::is_some) {
                known.push((tier, above));
                let rates = read(amounts);
                kept.push(Level { tier, above, rates });
            }
        }
        Sheet::new(base, kept, Vec::new()).expect("a price")
    })
}

/// What a call came to, and how large the bound around it is.
fn calls() -> impl Strategy<Value = (Usage, Terms, [u64; 3])> {
    let tokens = proptest::array::uniform9(0_u64..2_000);
    let served = (0_usize..5, 0_u64..3, 0_u64..3, 0_u64..100);
    (tokens, served, proptest::array::uniform3(0_u64..5_000)).prop_map(|(t, served, slack)| {
        let (tier, requests, searches, seconds) = served;
        let usage = Usage {
            input: t[0],
            cached_read: t[1],
            cached_write: t[2],
            cached_write_1h: t[3],
            output: t[4],
            reasoning: t[5],
            audio_in: t[6],
            audio_out: t[7],
            image_in: t[8],
            source: UsageSource::Provider,
            ..Usage::default()
        };
        let terms = Terms {
            tier: Tier::ALL[tier],
            requests,
            searches,
            seconds,
        };
        (usage, terms, slack)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_at_least_the_cost_of_every_usage_within_the_bound(
        sheet in sheets(),
        (usage, terms, [more_in, more_out, more]) in calls(),
        factor in 1_u64..3_000_000,
    ) {
        let factor = Factor::parse(&Money(i64::try_from(factor).unwrap() * 1_000).to_string()).unwrap();
        let one = Override {
            provider: None,
            model: "*".into(),
            region: None,
            tenant: None,
            from_s: 0,
            effect: Effect::Factor(factor),
        };
        let price = book(&format!("provider acme\nm {sheet}\n"), vec![one]);
        let price = price.find(&query("acme", "m")).unwrap().price;
        let bound = Bound {
            requests: terms.requests + more,
            searches: terms.searches + more,
            seconds: terms.seconds + more,
            tiers: Tiers::of(&[Tier::Standard, terms.tier]),
            may: May {
                cache: usage.cached_write > 0,
                cache_1h: usage.cached_write_1h > 0,
                audio_in: usage.audio_in > 0,
                image_in: usage.image_in > 0,
                audio_out: usage.audio_out > 0,
                image_out: usage.image_out > 0,
            },
            ..Bound::new(usage.input_total() + more_in, usage.output_total() + more_out)
        };
        let cost = price.cost(&usage, &terms);
        if let Some(worst) = price.worst(&bound) {
            prop_assert!(cost.total <= worst, "{} > {worst} at {sheet}", cost.total);
            let anything = Bound { tiers: Tiers::ALL, may: May::ALL, choices: 3, ..bound };
            prop_assert!(price.worst(&anything).is_none_or(|more| worst <= more));
        } else {
            // Something has no price; it is said, if it came to anything.
            let has_output = sheet.to_string().contains("out=") || usage.output_total() == 0;
            prop_assert!(cost.unpriced || has_output || more_out > 0);
        }
        // A price never falls to nothing for want of a figure.
        let sum: Money = Class::ALL.into_iter().map(|class| cost.part(class)).sum();
        prop_assert_eq!(sum, cost.total);
    }
}

#[test]
fn the_worst_is_the_dearest_that_may_be() {
    let text = "in=3 read=0.3 write=3.75 write1h=6 out=15 search=10 request=1 \
                | >200000 in=6 write=7.5 write1h=12 out=22.5 | priority in=4 out=20";
    let price = price(text);
    let plain = May {
        cache: false,
        cache_1h: false,
        audio_in: false,
        image_in: false,
        audio_out: false,
        image_out: false,
    };
    let bound = |input, output| Bound {
        tiers: Tiers::of(&[Tier::Standard]),
        may: plain,
        ..Bound::new(input, output)
    };
    let worst = |bound: &Bound| price.worst(bound).expect("a price");
    // 0.3 + 0.015 + a request of 0.001.
    assert_eq!(worst(&bound(100_000, 1_000)), money("0.316"));
    // Written to the cache for five minutes, or for an hour.
    let cache = May {
        cache: true,
        ..plain
    };
    let hour = May {
        cache_1h: true,
        ..cache
    };
    assert_eq!(
        worst(&Bound {
            may: cache,
            ..bound(100_000, 1_000)
        }),
        money("0.391")
    );
    assert_eq!(
        worst(&Bound {
            may: hour,
            ..bound(100_000, 1_000)
        }),
        money("0.616")
    );
    // Three choices are three outputs.
    assert_eq!(
        worst(&Bound {
            choices: 3,
            ..bound(100_000, 1_000)
        }),
        money("0.346")
    );
    // A long input may be short of the threshold, and may be beyond it.
    assert_eq!(worst(&bound(200_000, 1_000)), money("0.616"));
    assert_eq!(worst(&bound(200_001, 1_000)), money("1.223506"));
    // Whoever may be served first may pay for it.
    let first = Tiers::of(&[Tier::Standard, Tier::Priority]);
    assert_eq!(
        worst(&Bound {
            tiers: first,
            ..bound(100_000, 1_000)
        }),
        money("0.421")
    );
    assert_eq!(
        worst(&Bound {
            searches: 2,
            ..bound(100_000, 1_000)
        }),
        money("0.336")
    );
    // What has no price cannot be bounded.
    let embedding = super::price("in=0.02");
    assert_eq!(embedding.worst(&bound(1_000, 0)), Some(money("0.00002")));
    assert_eq!(embedding.worst(&bound(1_000, 1)), None);
    assert_eq!(
        embedding.worst(&Bound {
            searches: 1,
            ..bound(1_000, 0)
        }),
        None
    );
}
