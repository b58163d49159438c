//! Cases of the builder: small inputs in the form of each source.

use serde_json::{Value, json};

use super::amount::{dollars, scaled};
use super::merge::merge;
use super::{genai, litellm};

/// The lines of a kind, and the differences, of two inputs.
fn built(kind: &str, litellm: &Value, genai: &Value) -> (Vec<String>, Vec<String>) {
    let (table, _) = litellm::read(litellm).expect("a price map");
    let (vendors, _) = genai::read(genai).expect("data");
    let merged = merge(&table, &vendors);
    let lines = merged.rows[kind].iter().map(|row| {
        let from = row.key.from.as_ref().map(|from| format!(" from={from}"));
        let region = row.key.region.as_ref().map(|it| format!(" region={it}"));
        let (from, region) = (from.unwrap_or_default(), region.unwrap_or_default());
        format!("{}{region}{from} {}", row.names.join(","), row.spec)
    });
    (lines.collect(), merged.differences)
}

#[test]
fn floats_become_exact_amounts() {
    for (text, expected) in [
        ("1.25e-6", "1.25"),
        ("1.25e-06", "1.25"),
        ("0.00000125", "1.25"),
        ("6.0000000000000003e-07", "0.6"),
        ("1.9999999999999998e-6", "2"),
        ("3.75e-8", "0.0375"),
        ("0", "0"),
        ("1", "1000000"),
    ] {
        assert_eq!(
            scaled(text, 15).map(dollars).as_deref(),
            Some(expected),
            "{text}"
        );
    }
    for text in ["", "x", "-1", "1e99", "NaN"] {
        assert_eq!(scaled(text, 15), None, "{text}");
    }
}

#[test]
fn the_price_map_is_read_with_tiers_lengths_and_regions() {
    let map = json!({
        "gpt-a": {
            "litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 2.5e-6, "output_cost_per_token": 1.5e-5,
            "cache_read_input_token_cost": 2.5e-7,
            "cache_creation_input_token_cost": 0.0,
            "input_cost_per_audio_token": 2.5e-6,
            "input_cost_per_token_above_272k_tokens": 5e-6,
            "input_cost_per_token_flex": 1.25e-6,
            "output_cost_per_token_above_272k_tokens_batches": 1.125e-5,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.03},
            "regional_processing_uplift_multiplier_eu": 1.1,
        },
        "gpt-b": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 1e-6},
        "gpt-c": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0},
        "ft:gpt-a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6},
        "azure/eu/gpt-a": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2e-6},
        "azure/gpt-a": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1e-6},
        "azure/us/gpt-a": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1e-6},
        "dashscope/q": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            {"range": [32000.0, 128000.0], "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6},
        ]},
    });
    let (lines, differences) = built("openai", &map, &json!([]));
    assert_eq!(
        lines,
        [
            "ft:gpt-a* in=1",
            "gpt-a in=2.5 read=0.25 out=15 search=30 eu*1.1 | >272000 in=5 | flex in=1.25 \
             | batch >272000 out=11.25",
        ]
    );
    assert!(differences.is_empty());
    // A region that costs what the others do has no line.
    let (lines, _) = built("azure", &map, &json!([]));
    assert_eq!(lines, ["gpt-a in=1", "gpt-a region=eu in=2"]);
    let (lines, _) = built("qwen", &map, &json!([]));
    assert_eq!(lines, ["q in=1 out=2 | >32000 in=3 out=4"]);
}

fn equals(name: &str) -> Value {
    json!({"_": "ClauseEquals", "equals": name})
}

#[test]
fn the_two_are_one_where_they_agree_and_their_differences_are_told() {
    let map = json!({
        "gpt-a": {"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6},
        "gpt-a-2025-01-02": {"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6},
        "gpt-b": {"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 3e-6, "output_cost_per_token": 9e-6},
        "gpt-c": {"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
            "cache_read_input_token_cost": 1e-7},
    });
    let data = json!([{"id": "openai", "models": [
        {"id": "gpt-a", "match": {"_": "ClauseStartsWith", "starts_with": "gpt-a"}, "prices": [
            {"prices": {"input_mtok": "10", "output_mtok": "40"}},
            {"constraint": {"_": "StartDateConstraint", "start_date": "2025-06-10"},
                "prices": {"input_mtok": "2", "output_mtok": "8", "cache_read_mtok": "0.5"}},
            {"constraint": {"_": "StartDateConstraint", "start_date": "2027-01-01"},
                "prices": {"input_mtok": "1", "output_mtok": "4"}},
        ]},
        {"id": "gpt-b", "match": equals("gpt-b"), "prices": {"input_mtok": "4", "output_mtok": "9"}},
        {"id": "gpt-c", "match": equals("gpt-c"), "prices":
            {"input_mtok": "1", "output_mtok": "1", "cache_read_mtok": "0.2", "cache_write_mtok": "1.25"}},
        {"id": "gpt-d", "match": {"_": "ClauseOr", "or_": [equals("gpt-d"), equals("gpt-d-1")]},
            "prices": [
                {"prices": {"input_mtok": {"base": "1", "tiers": [{"start": 1000, "price": "2"}]}}},
                {"constraint": {"_": "TimeOfDateConstraint"}, "prices": {"input_mtok": "1.5"}},
            ],
            "price_variants": [
                {"when": {"service_tier": "flex"}, "prices": {"input_mtok": "0.5"}},
                {"when": {"service_tier": "default"}, "prices": {}},
                {"when": {"route": "eu"}, "prices": {"input_mtok": "9"}},
            ]},
        {"id": "gpt-e", "match": equals("gpt-e"), "prices": {}},
    ]}]);
    let (lines, differences) = built("openai", &map, &data);
    assert_eq!(
        lines,
        [
            "gpt-a,gpt-a-2025-01-02 in=10 out=40",
            "gpt-a,gpt-a-2025-01-02 from=2025-06-10 in=2 read=0.5 out=8",
            "gpt-a,gpt-a-2025-01-02 from=2027-01-01 in=1 out=4",
            "gpt-b in=3 out=9",
            "gpt-c in=1 read=0.1 write=1.25 out=1",
            "gpt-d,gpt-d-1 in=1.5 | >1000 in=2 | flex in=0.5",
        ]
    );
    assert_eq!(
        differences,
        [
            "openai gpt-b: taken `in=3 out=9`, not `in=4 out=9`",
            "openai gpt-c: taken `in=1 read=0.1 out=1`, not `in=1 read=0.2 write=1.25 out=1` (they differ in read)",
        ]
    );
}
