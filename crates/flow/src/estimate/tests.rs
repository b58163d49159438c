//! Counts of requests as they were read.

use contract::DialectId;
use contract::request::Embed;

use super::*;

fn request(texts: &[&str]) -> Request {
    let inputs = texts.iter().map(|text| EmbedInput::Text((*text).into()));
    Request {
        dialect: DialectId("openai_chat"),
        model: "m".into(),
        task: Task::Embed(Embed {
            inputs: inputs.collect(),
            ..Embed::default()
        }),
        stream: false,
        extras: contract::text::Extras::default(),
    }
}

#[test]
fn of_a_short_request_all_is_looked_at() {
    let short = request(&["some words of it", "中文也可以", ""]);
    assert_eq!(sampled(&short, None), tokens(&short));
}

#[test]
fn a_long_text_is_known_by_its_head_its_middle_and_its_end() {
    let plain = "plain words ".repeat(20_000);
    let dense = "3,1;4-1*5".repeat(20_000);
    let near = |text: &str| {
        let (some, all) = (sampled(&request(&[text]), None), tokens(&request(&[text])));
        assert!(some.abs_diff(all) * 10 <= all, "{some} of {all}");
    };
    near(&plain);
    near(&dense);
    near(&"中文也可以".repeat(10_000));
    // What hides in the middle or at the end is seen.
    for text in [format!("{plain}{dense}{plain}"), format!("{plain}{dense}")] {
        let head = sampled(&request(&[&plain]), None) * text.len() as u64 / plain.len() as u64;
        assert!(
            sampled(&request(&[&text]), None) > head * 5 / 4,
            "it is seen"
        );
    }
}

/// Whoever fills the beginning with plain words hides nothing behind them.
#[test]
fn what_is_looked_at_is_spread_over_all_texts() {
    let plain = "plain words ".repeat(1_500);
    let dense = "3,1;4-1*5".repeat(3_000);
    let mut many = vec![plain.as_str()];
    many.extend([dense.as_str(); 10]);
    let small = vec!["4-1*5;9,2"; 20_000];
    for texts in [many, small] {
        let (some, all) = (sampled(&request(&texts), None), tokens(&request(&texts)));
        assert!(some.abs_diff(all) * 5 <= all, "{some} of {all}");
    }
}
