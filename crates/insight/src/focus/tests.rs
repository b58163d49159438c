//! Cases of the export for finance.

use store::index::spend::Sums;

use super::*;

fn group(at_us: u64, app: &str, sums: Sums) -> Group {
    let text = |text: &str| Key::Text(text.to_owned());
    Group {
        keys: vec![
            Key::Time(at_us),
            text("acme"),
            text("cc1"),
            text(app),
            text("triage"),
            text("p"),
            text("m"),
            text("v1"),
        ],
        sums,
    }
}

#[test]
fn the_columns_and_a_line_are_as_they_were() {
    // 2026-02-28T00:00:00Z.
    let at_us = day("2026-02-28").unwrap_or_default() * 1_000_000;
    let sums = Sums {
        calls: 3,
        input_tokens: 10,
        output_tokens: 5,
        cached_read_tokens: 4,
        cost_nanos: 1_500,
        ..Sums::default()
    };
    let nothing = Sums {
        calls: 2,
        refused: 2,
        ..Sums::default()
    };
    let spent = Spent {
        groups: vec![group(at_us, "=shop", sums), group(at_us, "b", nothing)],
        total: sums.and(nothing),
        more: false,
    };
    let golden = "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,\
        BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargePeriodEnd,\
        ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ContractedCost,EffectiveCost,\
        InvoiceIssuerName,ListCost,PricingQuantity,PricingUnit,ProviderName,PublisherName,\
        ResourceId,ServiceCategory,ServiceName,SkuId,SubAccountId,Tags,x_CachedInputTokens,\
        x_Calls,x_EstimatedCost,x_PriceVersion,x_UnpricedCalls\r\n\
        0.0000015,p,p,USD,2026-03-01T00:00:00Z,2026-02-01T00:00:00Z,Usage,,Tokens of m,\
        2026-03-01T00:00:00Z,2026-02-28T00:00:00Z,15,Tokens,0.0000015,0.0000015,p,0.0000015,15,\
        Tokens,p,p,'=shop,AI and Machine Learning,m,p/m,acme,\
        \"{\"\"cost_center\"\":\"\"cc1\"\",\"\"use_case\"\":\"\"triage\"\"}\",4,3,0.00,v1,0\r\n";
    assert_eq!(table(&spent).csv(), golden);
}

#[test]
fn every_day_lies_in_its_month() {
    let mut at_us = 0;
    while at_us < 800 * DAY_US {
        let (from, until) = month(at_us);
        assert!(from <= at_us && at_us < until, "{at_us}");
        assert_eq!(month(until).0, until);
        assert!((28..=31).contains(&((until - from) / DAY_US)));
        at_us += DAY_US;
    }
}
