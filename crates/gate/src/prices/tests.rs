//! What the commands print and how they end.

use std::path::PathBuf;

use cli::{Format, PricesCheckArgs, PricesDiffArgs, PricesShowArgs};
use serde_json::Value;

use super::{check, diff, show};

const CONFIG: &str = "
data_dir: data
providers:
  openai: {api_key: k}
  house: {kind: vllm, models: []}
  eu: {kind: bedrock, region: eu-west-1, api_key: k, models: []}
models:
  fast: openai/gpt-5-mini
  mine: house/llama3
  both:
    candidates:
      - {provider: openai, model: gpt-5}
      - {provider: eu, model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'}
prices:
  overrides:
    - {tenant: acme, multiplier: 0.5}
";

/// Files of a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.give("tollgate.yaml", config);
        folder
    }

    fn give(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn show(&self, model: Option<&str>, provider: Option<&str>) -> PricesShowArgs {
        PricesShowArgs {
            model: model.map(str::to_owned),
            provider: provider.map(str::to_owned),
            tenant: None,
            region: None,
            at: Some("2026-11-21".to_owned()),
            config: Some(self.0.path().join("tollgate.yaml")),
            format: Format::Text,
        }
    }

    fn check(&self, file: Option<PathBuf>, format: Format) -> (Result<u8, String>, String) {
        let args = PricesCheckArgs {
            file,
            config: Some(self.0.path().join("tollgate.yaml")),
            format,
        };
        let mut out = Vec::new();
        let code = check(&args, &mut out);
        (code, String::from_utf8(out).unwrap())
    }

    fn diff(&self, file: PathBuf, other: Option<PathBuf>, format: Format) -> (u8, String) {
        let args = PricesDiffArgs {
            file,
            other,
            config: Some(self.0.path().join("tollgate.yaml")),
            format,
        };
        let mut out = Vec::new();
        let code = diff(&args, &mut out).expect("compared");
        (code, String::from_utf8(out).unwrap())
    }
}

fn shown(args: &PricesShowArgs) -> (Result<u8, String>, String) {
    let mut out = Vec::new();
    let code = show(args, &mut out);
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn a_price_is_shown_with_its_levels_version_and_layer() {
    let folder = Folder::new(CONFIG);
    let (code, text) = shown(&folder.show(Some("fast"), None));
    assert_eq!(code, Ok(0));
    assert!(
        text.starts_with("gpt-5-mini at openai\n  version built-in/"),
        "{text}"
    );
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in [
        &["served", "input", "cached_read", "output", "search"][..],
        &["standard", "0.25", "0.025", "2.00", "10.00"],
        &["flex", "0.125", "0.0125", "1.00", "10.00"],
    ] {
        assert!(rows.contains(&row.to_vec()), "{row:?} in {text}");
    }

    let acme = PricesShowArgs {
        tenant: Some("acme".to_owned()),
        format: Format::Json,
        ..folder.show(Some("both"), None)
    };
    let (code, text) = shown(&acme);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Ok(0));
    let prices = told["prices"].as_array().unwrap();
    assert_eq!(prices.len(), 2, "each candidate");
    let price = &prices[0]["price"];
    assert_eq!(price["rates"]["output"], "5.00");
    assert_eq!(
        (&price["layer"], &price["rates_from"]),
        (&"contract".into(), &"built-in".into())
    );
    assert!(price["version"].as_str().unwrap().ends_with("*0.5"));
    assert_eq!(prices[1]["price"]["rates"]["input"], "1.65");

    let before = PricesShowArgs {
        at: Some("2025-06-09".to_owned()),
        ..folder.show(Some("o3"), Some("openai"))
    };
    assert!(shown(&before).1.contains("  40.00"), "{}", shown(&before).1);
    assert!(
        shown(&folder.show(Some("o3"), Some("openai")))
            .1
            .contains("  8.00")
    );
}

#[test]
fn a_list_is_of_the_configuration_or_of_a_vendor() {
    let folder = Folder::new(CONFIG);
    let (code, text) = shown(&folder.show(None, None));
    assert_eq!(code, Ok(1), "one of them has no price");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        rows.iter()
            .any(|row| row[..] == ["house", "llama3", "-", "-", "-", "no", "price"]),
        "{text}"
    );
    assert!(
        rows.iter()
            .any(|row| row.starts_with(&["openai", "gpt-5", "1.25", "0.125", "10.00"]))
    );
    // A kind that is not configured has prices as well.
    let (code, text) = shown(&folder.show(None, Some("perplexity")));
    assert_eq!(code, Ok(0));
    assert!(text.contains("sonar-pro"), "{text}");
    // A model that nobody serves here is looked for everywhere.
    let (code, text) = shown(&folder.show(Some("mistral-large-latest"), None));
    assert_eq!(code, Ok(0));
    assert!(text.contains("mistral-large-latest at mistral\n"), "{text}");
    for (args, said) in [
        (
            folder.show(Some("what"), None),
            "nobody has a price for `what`",
        ),
        (
            folder.show(None, Some("vllm")),
            "no catalog has a price of `vllm`",
        ),
        (
            folder.show(None, Some("who")),
            "`who` is neither a provider",
        ),
    ] {
        let (code, text) = shown(&args);
        assert!(code.unwrap_err().contains(said), "{text}");
    }
    let wrong = PricesShowArgs {
        at: Some("today".to_owned()),
        ..folder.show(None, None)
    };
    assert!(shown(&wrong).0.unwrap_err().contains("`today` is no day"));
}

#[test]
fn check_lists_the_models_without_a_price_and_says_so_to_ci() {
    let folder = Folder::new(CONFIG);
    let (code, text) = folder.check(None, Format::Text);
    assert_eq!(code, Ok(1));
    assert!(
        text.contains("no price: llama3 at house\n3 of 4 models"),
        "{text}"
    );
    let (_, text) = folder.check(None, Format::Json);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        told["without_price"],
        serde_json::json!([{"provider": "house", "model": "llama3"}])
    );

    let priced = CONFIG.replace(
        "overrides:\n",
        "overrides:\n    - {provider: house, free: true}\n",
    );
    let (code, text) = Folder::new(&priced).check(None, Format::Text);
    assert_eq!(
        (code, text.contains("4 of 4 models")),
        (Ok(0), true),
        "{text}"
    );
    let met = CONFIG.replace(
        "prices:\n",
        "prices:\n  unknown: ceiling\n  ceiling: {input: 5, output: 9}\n",
    );
    let (code, text) = Folder::new(&met).check(None, Format::Text);
    assert_eq!(
        (code, text.contains("at the ceiling: in=5 out=9")),
        (Ok(0), true),
        "{text}"
    );
    let bad = CONFIG.replace("multiplier: 0.5", "multiplier: 50%");
    let (code, _) = Folder::new(&bad).check(None, Format::Text);
    assert!(code.unwrap_err().contains("`50%` is no multiplier"));
}

#[test]
fn check_reads_a_file() {
    let folder = Folder::new(CONFIG);
    let good = folder.give(
        "good.txt",
        "tollgate-prices 1\nsource s 1 MIT x\nprovider acme\na,b in=1\n",
    );
    let (code, text) = folder.check(Some(good), Format::Text);
    assert_eq!(code, Ok(0));
    assert!(
        text.ends_with("good.txt is usable: 2 prices of 1 kinds of providers.\n"),
        "{text}"
    );
    let bad = folder.give(
        "bad.txt",
        "tollgate-prices 1\nprovider acme\na in=1 in=2\nb\n",
    );
    let (code, text) = folder.check(Some(bad), Format::Text);
    assert_eq!(code, Ok(1));
    assert!(text.contains("bad.txt:3: `in` is there twice\n"), "{text}");
    assert!(text.contains("is not usable: 2 lines are wrong"), "{text}");
    let (code, _) = folder.check(Some(folder.0.path().join("gone.txt")), Format::Text);
    assert!(code.unwrap_err().contains("gone.txt could not be read"));
}

#[test]
fn diff_tells_what_is_added_removed_and_changed_by_how_much() {
    let folder = Folder::new(CONFIG);
    let head = "tollgate-prices 1\nprovider openai\n";
    let old = folder.give(
        "old.txt",
        &format!("{head}a in=1 out=10 | flex in=0.5\nb in=1\nc in=3\n"),
    );
    let new = folder.give(
        "new.txt",
        &format!(
            "{head}a in=1 out=8 read=0.1 | flex in=0.6\nc in=3\nd region=eu from=2027-01-01 in=1\n"
        ),
    );
    let (code, text) = folder.diff(old.clone(), Some(new.clone()), Format::Text);
    assert_eq!(code, 1);
    let words: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        words,
        [
            "changed openai/a",
            "cached_read - -> 0.10",
            "output 10.00 -> 8.00 -20.0 %",
            "input, flex 0.50 -> 0.60 +20.0 %",
            "added openai/d in eu from 2027-01-01",
            "removed openai/b",
            "1 changed, 1 added, 1 removed.",
        ]
    );
    let (_, text) = folder.diff(old.clone(), Some(new), Format::Json);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["changed"][0]["changes"][1]["percent"], -20.0);
    let (code, _) = folder.diff(old.clone(), Some(old), Format::Text);
    assert_eq!(code, 0);

    // Against what is in force, what a file does not name stays.
    let same = folder.give(
        "same.txt",
        &format!("{head}text-embedding-3-small in=0.03\n"),
    );
    let (code, text) = folder.diff(same, None, Format::Text);
    assert_eq!(code, 1);
    assert!(
        text.contains("0.02 -> 0.03") && text.contains("+50.0 %"),
        "{text}"
    );
    assert!(
        text.contains("1 changed, 0 added;") && text.contains("keep their price."),
        "{text}"
    );
}
