//! How far the estimate is off, on texts that two public vocabularies counted.

use serde_json::Value;

use super::tokens;

/// A text and its tokens by cl100k and o200k.
fn labelled() -> Vec<(String, String, u64, u64)> {
    let set: Vec<Value> =
        serde_json::from_str(include_str!("../labelled.json")).expect("a list of texts");
    set.iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().expect("a text").to_owned();
            let count = |name: &str| it[name].as_u64().expect("a count");
            (text("name"), text("text"), count("cl100k"), count("o200k"))
        })
        .collect()
}

#[test]
fn it_is_within_bounds_of_two_public_vocabularies() {
    let set = labelled();
    assert!(set.len() >= 45);
    let (mut all, mut all_cl100k, mut all_o200k) = (0, 0, 0);
    for (name, text, cl100k, o200k) in &set {
        let told = tokens(text);
        let (least, most) = (cl100k.min(o200k), cl100k.max(o200k));
        // A list of rare names is the worst there is.
        let floor = if name == "names" { 60 } else { 80 };
        assert!(
            told * 100 >= least * floor,
            "{name}: {told} told, {least} at least"
        );
        assert!(
            told * 100 <= most * 130,
            "{name}: {told} told, {most} at most"
        );
        all += told;
        all_cl100k += cl100k;
        all_o200k += o200k;
    }
    assert!(all >= all_o200k.min(all_cl100k), "{all} of {all_o200k}");
    assert!(all <= all_cl100k.max(all_o200k), "{all} of {all_cl100k}");
}

#[test]
fn no_text_is_free_and_none_grows_by_being_cut_shorter() {
    assert_eq!(tokens(""), 0);
    for text in ["a", " ", "\n", "é", "漢", "🎉", "1", "."] {
        assert!(tokens(&text.repeat(3)) >= 1, "{text:?}");
    }
    let text = "Some words, 12 of them; and a line\n    indented. ".repeat(20);
    let mut before = 0;
    for end in (0..=text.len()).step_by(50) {
        let told = tokens(&text[..end]);
        assert!(told >= before, "{end}: {told} after {before}");
        before = told;
    }
}
