//! Sums, merging and filling of usage.

use super::*;

fn told(input: u64, cached_read: u64, output: u64, reasoning: u64) -> Usage {
    Usage {
        input,
        cached_read,
        output,
        reasoning,
        source: UsageSource::Provider,
        ..Usage::default()
    }
}

#[test]
fn totals_hold_every_token_class_once() {
    let usage = Usage {
        input: 1,
        cached_read: 2,
        cached_write: 4,
        cached_write_1h: 8,
        audio_in: 16,
        image_in: 32,
        output: 64,
        reasoning: 128,
        audio_out: 256,
        image_out: 512,
        web_searches: 9_999,
        audio_seconds: 9_999,
        ..Usage::default()
    };
    assert_eq!((usage.input_total(), usage.output_total()), (63, 960));
    let huge = Usage {
        input: u64::MAX,
        image_in: 1,
        output: u64::MAX,
        image_out: 1,
        ..Usage::default()
    };
    assert_eq!(huge.input_total(), u64::MAX);
    assert_eq!(huge.output_total(), u64::MAX);
}

/// The last piece of a stream splits what the first told in one sum.
#[test]
fn a_later_report_with_a_finer_split_counts_no_token_twice() {
    let mut usage = told(100, 0, 40, 0);
    usage.merge(&told(20, 80, 10, 30));
    assert_eq!(usage, told(20, 80, 10, 30));
    // A cumulative figure that shrinks is not believed.
    usage.merge(&told(0, 0, 3, 0));
    assert_eq!(usage, told(20, 80, 10, 30));
}

#[test]
fn reports_of_one_side_each_make_a_whole_one() {
    let mut usage = Usage {
        source: UsageSource::ProviderInput,
        ..told(7, 0, 0, 0)
    };
    usage.merge(&Usage {
        source: UsageSource::ProviderOutput,
        web_searches: 2,
        told_cost_nanos: Some(5),
        ..told(0, 0, 9, 0)
    });
    assert_eq!(usage.source, UsageSource::Provider);
    assert_eq!((usage.input, usage.output, usage.web_searches), (7, 9, 2));
    assert_eq!(usage.told_cost_nanos, Some(5));
}

#[test]
fn an_estimate_fills_the_sides_that_nobody_told() {
    let estimate = told(50, 0, 20, 5);
    let mut nothing = Usage::default();
    nothing.fill(&estimate);
    assert_eq!(
        (nothing.input, nothing.output, nothing.reasoning),
        (50, 20, 5)
    );
    assert_eq!(nothing.source, UsageSource::Estimated);

    let mut input_only = Usage {
        source: UsageSource::ProviderInput,
        ..told(7, 3, 0, 0)
    };
    input_only.fill(&estimate);
    assert_eq!((input_only.input, input_only.cached_read), (7, 3));
    assert_eq!((input_only.output, input_only.reasoning), (20, 5));
    assert_eq!(input_only.source, UsageSource::Estimated);

    // A part that was told is a part of the estimate, and may exceed it.
    for (cached, input) in [(30, 20), (80, 0)] {
        let mut part = Usage {
            cached_read: cached,
            ..Usage::default()
        };
        part.fill(&estimate);
        assert_eq!((part.input, part.cached_read), (input, cached));
    }

    let mut all = told(1, 2, 3, 4);
    all.fill(&estimate);
    assert_eq!(all, told(1, 2, 3, 4));
}

#[test]
fn tiers_are_known_by_the_words_of_the_vendors() {
    let cases = [
        ("default", Some(ServiceTier::Default)),
        ("standard", Some(ServiceTier::Default)),
        ("ON_DEMAND", Some(ServiceTier::Default)),
        ("on-demand", Some(ServiceTier::Default)),
        ("flex", Some(ServiceTier::Flex)),
        ("ON_DEMAND_FLEX", Some(ServiceTier::Flex)),
        ("priority", Some(ServiceTier::Priority)),
        ("batch", Some(ServiceTier::Batch)),
        ("scale", Some(ServiceTier::Provisioned)),
        ("PROVISIONED_THROUGHPUT", Some(ServiceTier::Provisioned)),
        ("galactic", Some(ServiceTier::Other)),
        ("auto", None),
        ("", None),
    ];
    for (word, tier) in cases {
        assert_eq!(ServiceTier::of(word), tier, "{word}");
    }
}
