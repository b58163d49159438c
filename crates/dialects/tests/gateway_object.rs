//! The body object `tollgate` never travels on, and a cap on the output
//! stands where each dialect has it.

use contract::{DialectId, ModelCard, Operation};
use tollgate_dialects as dialects;

use dialects::json::Doc;
use dialects::{DIALECTS, Dialect, Fit, Quirks, Route, Target, splice};

/// A dialect, an operation, and a body of it in members.
type Body = (&'static str, Operation, &'static [&'static str]);

const OBJECT: &str = r#""tollgate" : { "user" : "ann", "tags": {"a":"b"} }"#;

const BODIES: &[Body] = &[
    (
        "openai_chat",
        Operation::Chat,
        &[
            r#""model":"m""#,
            r#""messages" : [ {"role":"user","content":"hi"} ]"#,
        ],
    ),
    (
        "openai_chat",
        Operation::Embed,
        &[r#""model":"m""#, r#""input":"hi""#],
    ),
    (
        "openai_responses",
        Operation::Chat,
        &[r#""model":"m""#, r#""input": "hi""#],
    ),
    (
        "anthropic",
        Operation::Chat,
        &[
            r#""model":"m""#,
            r#""max_tokens": 40"#,
            r#""messages":[{"role":"user","content":"hi"}]"#,
        ],
    ),
    (
        "anthropic",
        Operation::CountTokens,
        &[
            r#""model":"m""#,
            r#""messages":[{"role":"user","content":"hi"}]"#,
        ],
    ),
    (
        "gemini",
        Operation::Chat,
        &[
            r#""contents":[{"role":"user","parts":[{"text":"hi"}]}]"#,
            r#""store": false"#,
        ],
    ),
    (
        "gemini",
        Operation::CountTokens,
        &[r#""generateContentRequest":{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#],
    ),
    (
        "gemini",
        Operation::Embed,
        &[r#""content":{"parts":[{"text":"hi"}]}"#],
    ),
    (
        "bedrock",
        Operation::Chat,
        &[
            r#""messages":[{"role":"user","content":[{"text":"hi"}]}]"#,
            r#""inferenceConfig":{"temperature":0.5}"#,
        ],
    ),
    (
        "bedrock",
        Operation::CountTokens,
        &[r#""input":{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}]}}"#],
    ),
];

fn dialect(name: &str) -> &'static dyn Dialect {
    dialects::by_name(name).expect("a dialect")
}

fn route(dialect: &dyn Dialect, operation: Operation) -> Route {
    Route {
        model: in_path(dialect.id()).then(|| "m".to_owned()),
        ..Route::new(dialect.id(), operation)
    }
}

fn in_path(dialect: DialectId) -> bool {
    matches!(dialect.0, "gemini" | "bedrock")
}

fn fitted(dialect: &dyn Dialect, body: &str, fit: Fit) -> String {
    let doc = Doc::request(body.to_owned().into()).expect("JSON");
    let edits = dialect.fit(doc.root(), fit);
    let out = splice::apply(doc.bytes(), edits).concat();
    String::from_utf8(out).expect("UTF-8")
}

fn written(members: &[&str]) -> String {
    format!("{{{}}}", members.join(", "))
}

#[test]
fn the_object_is_taken_out_to_the_byte() {
    for (name, operation, members) in BODIES {
        let dialect = dialect(name);
        let without = written(members);
        for at in 0..=members.len() {
            for object in [OBJECT, r#""tollgate":null"#, r#""\u0074ollgate": {}"#] {
                let mut with = members.to_vec();
                with.insert(at, object);
                let with = written(&with);
                let doc = Doc::request(with.clone().into()).expect("JSON");
                let survey = dialect.survey(&route(dialect, *operation), doc.root());
                let survey = survey.expect("a good body");
                assert!(survey.gateway.is_some(), "{name}: {with}");
                let fit = Fit {
                    strip: true,
                    ..Fit::default()
                };
                assert_eq!(fitted(dialect, &with, fit), without, "{name}: {with}");
            }
        }
        let doc = Doc::request(without.clone().into()).expect("JSON");
        let survey = dialect.survey(&route(dialect, *operation), doc.root());
        assert!(survey.expect("a good body").gateway.is_none());
        assert!(dialect.fit(doc.root(), Fit::default()).is_empty());
    }
}

#[test]
fn the_object_is_no_loss_of_a_translation() {
    let card = ModelCard::unknown("m");
    for (name, operation, members) in BODIES {
        let from = dialect(name);
        let write = |members: &[&str], to: &dyn Dialect| {
            let doc = Doc::request(written(members).into()).expect("JSON");
            let request = from.read_request(&route(from, *operation), doc.root());
            let request = request.expect("a good body");
            assert!(
                !format!("{:?}", request.extras).contains("tollgate"),
                "{name}"
            );
            let target = Target {
                card: &card,
                unsupported: dialects::Unsupported::default(),
                quirks: Quirks::default(),
            };
            to.write_request(&request, &target)
        };
        let mut with = members.to_vec();
        with.push(OBJECT);
        for to in DIALECTS {
            if !to.operations().contains(operation) {
                continue;
            }
            let (with, without) = (write(&with, *to), write(members, *to));
            match (with, without) {
                (Ok(with), Ok(without)) => assert_eq!(with, without, "{name} to {}", to.id()),
                (with, without) => assert_eq!(with.is_err(), without.is_err(), "{name}"),
            }
        }
    }
}

#[test]
fn a_cap_lowers_what_is_larger_and_stands_where_nothing_does() {
    let cases = [
        (
            "openai_chat",
            r#"{"max_completion_tokens":11}"#,
            r#"{"max_completion_tokens":10}"#,
        ),
        (
            "openai_chat",
            r#"{"max_tokens":11, "a":1}"#,
            r#"{"max_tokens":10, "a":1}"#,
        ),
        ("openai_chat", r#"{"max_tokens":9}"#, r#"{"max_tokens":9}"#),
        (
            "openai_chat",
            r#"{"a":1}"#,
            r#"{"a":1,"max_completion_tokens":10}"#,
        ),
        (
            "openai_chat",
            r#"{"max_tokens":50,"max_completion_tokens":5}"#,
            r#"{"max_tokens":10,"max_completion_tokens":5}"#,
        ),
        (
            "openai_responses",
            r#"{"max_output_tokens":11}"#,
            r#"{"max_output_tokens":10}"#,
        ),
        (
            "openai_responses",
            r#"{"a":1}"#,
            r#"{"a":1,"max_output_tokens":10}"#,
        ),
        (
            "anthropic",
            r#"{"max_tokens":4096}"#,
            r#"{"max_tokens":10}"#,
        ),
        ("anthropic", r#"{"max_tokens":3}"#, r#"{"max_tokens":3}"#),
        (
            "anthropic",
            r#"{"max_tokens":4096,"thinking":{"type":"enabled","budget_tokens":2048}}"#,
            r#"{"max_tokens":10,"thinking":{"type":"enabled","budget_tokens":9}}"#,
        ),
        (
            "gemini",
            r#"{"generationConfig":{"maxOutputTokens":"11"}}"#,
            r#"{"generationConfig":{"maxOutputTokens":10}}"#,
        ),
        (
            "gemini",
            r#"{"generation_config":{"max_output_tokens":11}}"#,
            r#"{"generation_config":{"max_output_tokens":10}}"#,
        ),
        (
            "gemini",
            r#"{"generationConfig":{"topK":1}}"#,
            r#"{"generationConfig":{"topK":1,"maxOutputTokens":10}}"#,
        ),
        (
            "gemini",
            r#"{"a":1}"#,
            r#"{"a":1,"generationConfig":{"maxOutputTokens":10}}"#,
        ),
        (
            "gemini",
            r#"{"generationConfig":null}"#,
            r#"{"generationConfig":{"maxOutputTokens":10}}"#,
        ),
        (
            "bedrock",
            r#"{"inferenceConfig":{"maxTokens":11}}"#,
            r#"{"inferenceConfig":{"maxTokens":10}}"#,
        ),
        (
            "bedrock",
            r#"{"inferenceConfig":{}}"#,
            r#"{"inferenceConfig":{"maxTokens":10}}"#,
        ),
        (
            "bedrock",
            r#"{"a":1}"#,
            r#"{"a":1,"inferenceConfig":{"maxTokens":10}}"#,
        ),
    ];
    for (name, body, capped) in cases {
        let fit = Fit {
            output_tokens_max: Some(10),
            ..Fit::default()
        };
        assert_eq!(fitted(dialect(name), body, fit), capped, "{name}");
        // A capped body is not touched again.
        assert_eq!(fitted(dialect(name), capped, fit), capped, "{name}");
    }
}

/// A server that tells usage unasked refuses to be asked for it.
#[test]
fn a_server_that_tells_usage_unasked_is_not_asked() {
    let fit = Fit {
        quirks: Quirks {
            usage_unasked: true,
            ..Quirks::default()
        },
        strip: true,
        ..Fit::default()
    };
    let cases = [
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (
            r#"{"a":1,"stream_options":{"include_usage":true}}"#,
            r#"{"a":1}"#,
        ),
        (
            r#"{"stream_options":null,"tollgate":{},"a":1}"#,
            r#"{"a":1}"#,
        ),
    ];
    for (body, fitting) in cases {
        assert_eq!(fitted(dialect("openai_chat"), body, fit), fitting);
    }
}

/// A server that knows one name of the cap gets one cap, the smallest, under
/// that name; and what goes may stand side by side.
#[test]
fn a_cap_has_the_name_that_the_server_knows() {
    let fit = Fit {
        quirks: Quirks {
            output_cap: Some("max_tokens"),
            ..Quirks::default()
        },
        output_tokens_max: Some(10),
        strip: true,
        ..Fit::default()
    };
    let cases = [
        (r#"{"a":1,"tollgate":{}}"#, r#"{"a":1,"max_tokens":10}"#),
        (
            r#"{"max_completion_tokens":11,"tollgate":{}}"#,
            r#"{"max_tokens":10}"#,
        ),
        (r#"{"max_completion_tokens":9}"#, r#"{"max_tokens":9}"#),
        (
            r#"{"max_tokens":30,"max_completion_tokens":20,"tollgate":{}}"#,
            r#"{"max_tokens":10}"#,
        ),
        (
            r#"{"max_tokens":30,"tollgate":{},"max_completion_tokens":8,"a":1}"#,
            r#"{"max_tokens":8,"a":1}"#,
        ),
        (
            r#"{"max_tokens":7,"max_completion_tokens":20}"#,
            r#"{"max_tokens":7}"#,
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(
            fitted(dialect("openai_chat"), body, fit),
            expected,
            "{body}"
        );
    }
}

/// A cap lowers the budget for reasoning where the vendor wants it below, and
/// nowhere else; a brake lowers it everywhere.
#[test]
fn a_budget_for_reasoning_is_held_below_the_cap_where_it_must_be() {
    let cases = [
        (
            "anthropic",
            r#"{"max_tokens":9000,"thinking":{"budget_tokens":8000}}"#,
            r#"{"max_tokens":5000,"thinking":{"budget_tokens":4999}}"#,
            r#"{"max_tokens":9000,"thinking":{"budget_tokens":2000}}"#,
        ),
        (
            "bedrock",
            r#"{"inferenceConfig":{"maxTokens":9000},"additionalModelRequestFields":{"thinking":{"budget_tokens":8000}}}"#,
            r#"{"inferenceConfig":{"maxTokens":5000},"additionalModelRequestFields":{"thinking":{"budget_tokens":4999}}}"#,
            r#"{"inferenceConfig":{"maxTokens":9000},"additionalModelRequestFields":{"thinking":{"budget_tokens":2000}}}"#,
        ),
        (
            "gemini",
            r#"{"generationConfig":{"maxOutputTokens":9000,"thinkingConfig":{"thinkingBudget":8000}}}"#,
            r#"{"generationConfig":{"maxOutputTokens":5000,"thinkingConfig":{"thinkingBudget":8000}}}"#,
            r#"{"generationConfig":{"maxOutputTokens":9000,"thinkingConfig":{"thinkingBudget":2000}}}"#,
        ),
    ];
    for (name, body, capped, braked) in cases {
        let cap = Fit {
            output_tokens_max: Some(5_000),
            ..Fit::default()
        };
        assert_eq!(fitted(dialect(name), body, cap), capped, "{name}");
        let brake = Fit {
            reasoning_tokens_max: Some(2_000),
            ..Fit::default()
        };
        assert_eq!(fitted(dialect(name), body, brake), braked, "{name}");
        let loose = Fit {
            output_tokens_max: Some(10_000),
            reasoning_tokens_max: Some(8_000),
            ..Fit::default()
        };
        assert_eq!(fitted(dialect(name), body, loose), body, "{name}");
    }
}
