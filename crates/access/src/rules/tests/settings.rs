//! Settings: good ones fit their schema and compile, bad ones are explained.

use schemars::SchemaGenerator;
use serde_json::json;

use super::*;
use crate::RULES;
use crate::rule::Kind;

/// The schema of the settings of a kind, ready to use.
fn schema(kind: &Kind) -> jsonschema::Validator {
    let mut generator = SchemaGenerator::default();
    let settings = (kind.schema)(&mut generator);
    let whole = json!({"allOf": [settings], "$defs": generator.definitions()});
    jsonschema::validator_for(&whole).expect("a JSON schema")
}

#[test]
fn every_kind_has_an_example_that_works() {
    for kind in RULES {
        let example: Value = serde_saphyr::from_str(kind.example).expect(kind.name);
        assert!(
            schema(kind).is_valid(&example),
            "the schema of {} refuses its example",
            kind.name
        );
        let rule = compile(kind.name, &example);
        let rule = rule.unwrap_or_else(|wrong| panic!("{}: {wrong:?}", kind.name));
        assert!(!rule.told().is_empty());
        assert_eq!(
            kind.streams == crate::Streams::Before,
            !rule.reads_answers(),
            "{} says of streams what it does",
            kind.name
        );
        assert!(kind.doc.len() > 60, "{} has a paragraph", kind.name);
        assert!(!kind.example.contains('\n'));
    }
}

#[test]
fn kinds_have_names_of_their_own() {
    for (nth, kind) in RULES.iter().enumerate() {
        let same = |other: &&&Kind| other.name == kind.name;
        assert_eq!(RULES.iter().filter(same).count(), 1, "{}", kind.name);
        assert_eq!(
            rule_kind(kind.name).map(|it| it.name),
            Some(RULES[nth].name)
        );
    }
}

#[test]
fn no_kind_takes_a_field_that_it_does_not_know() {
    for kind in RULES {
        let mut example: Value = serde_saphyr::from_str(kind.example).expect(kind.name);
        example["unknown_field"] = json!(1);
        assert!(compile(kind.name, &example).is_err(), "{}", kind.name);
        assert!(!schema(kind).is_valid(&example), "{}", kind.name);
    }
}

#[test]
fn settings_that_make_no_sense() {
    let window = |from: &str, to: &str| json!({"windows": [{"from": from, "to": to}]});
    let patterns: Vec<String> = (0..1_001).map(|nth| format!("m{nth}")).collect();
    let many_windows = vec![json!({"from": "00:00", "to": "01:00"}); 51];
    for (kind, settings, path, what) in [
        ("models", json!({}), "", "restricts nothing"),
        ("models", json!({"allow": ["*"]}), "", "restricts nothing"),
        ("models", json!({"allow": []}), "allow", "empty"),
        ("models", json!({"allow": ["gpt", ""]}), "allow[1]", "empty"),
        ("models", json!({"deny": [" gpt"]}), "deny[0]", "space"),
        (
            "models",
            json!({"deny": ["a", "b", "a"]}),
            "deny[2]",
            "twice",
        ),
        ("models", json!({"families": []}), "families", "empty"),
        (
            "models",
            json!({"allow": patterns}),
            "allow",
            "more than 1000",
        ),
        (
            "models",
            json!({"allow": ["x".repeat(300)]}),
            "allow[0]",
            "longer than",
        ),
        (
            "models",
            json!({"allow": ["o4", "gpt-5*"], "deny": ["gpt-*"]}),
            "allow[1]",
            "allows nothing",
        ),
        (
            "models",
            json!({"allow": ["a"], "deny": ["*"], "families": ["b"]}),
            "allow[0]",
            "allows nothing",
        ),
        (
            "tools",
            json!({"allow": ["x"], "deny": ["x"]}),
            "allow[0]",
            "allows nothing",
        ),
        (
            "providers",
            json!({"allow": ["kind:a"], "deny": ["*"]}),
            "allow[0]",
            "allows nothing",
        ),
        ("operations", json!({}), "", "restricts nothing"),
        (
            "operations",
            json!({"allow": ["chat"], "deny": ["chat"]}),
            "",
            "no call at all",
        ),
        ("operations", json!({"allow": ["chats"]}), "", "chats"),
        ("providers", json!({}), "", "restricts nothing"),
        ("providers", json!({"deny": []}), "deny", "empty"),
        ("regions", json!({"allow": ["*"]}), "", "restricts nothing"),
        (
            "data_class",
            json!({"classes": {"a": {}}, "others": "allow", "missing": "allow"}),
            "",
            "restricts nothing",
        ),
        (
            "data_class",
            json!({"classes": {"deny": {}}}),
            "classes",
            "cannot be the name",
        ),
        (
            "data_class",
            json!({"classes": {"a": {}, "A": {}}}),
            "classes",
            "twice",
        ),
        (
            "data_class",
            json!({"classes": {"a": {}}, "missing": "b"}),
            "missing",
            "`b`",
        ),
        (
            "data_class",
            json!({"classes": {"a": {"regions": []}}}),
            "classes.a.regions",
            "empty",
        ),
        (
            "data_class",
            json!({"classes": {"a": {"models": ["x", "x"]}}}),
            "classes.a.models[1]",
            "twice",
        ),
        ("tools", json!({}), "", "restricts nothing"),
        (
            "tools",
            json!({"kinds": ["function", "custom", "hosted"]}),
            "",
            "restricts nothing",
        ),
        ("tools", json!({"allow": ["a b"]}), "allow", "no plain name"),
        ("tools", json!({"kinds": ["mcp"]}), "", "mcp"),
        ("context_length", json!({}), "", "restricts nothing"),
        (
            "context_length",
            json!({"tokens_max": 0}),
            "tokens_max",
            "no call",
        ),
        (
            "context_length",
            json!({"tokens_max": 10, "total_tokens_max": 10}),
            "tokens_max",
            "no room",
        ),
        (
            "output_length",
            json!({"tokens_max": 0}),
            "tokens_max",
            "0 tokens",
        ),
        ("output_length", json!({}), "", "tokens_max"),
        (
            "output_schema",
            json!({"schema": r#"{"type": "objekt"}"#}),
            "schema",
            "not a usable",
        ),
        (
            "output_schema",
            json!({"schema": r#"{"$ref": "https://example.com/schema.json"}"#}),
            "schema",
            "not a usable",
        ),
        (
            "output_schema",
            json!({"schema": r#"{"$ref": "file:///etc/passwd"}"#}),
            "schema",
            "not a usable",
        ),
        (
            "output_schema",
            json!({"schema": r##"{"$ref": "#/nowhere"}"##}),
            "schema",
            "not a usable",
        ),
        (
            "output_schema",
            json!({"schema": r#"{"pattern": "(a)\\1"}"#}),
            "schema",
            "not a usable",
        ),
        (
            "output_schema",
            json!({"schema": r#"{"pattern": "(\\w{1,999}){1,999}"}"#}),
            "schema",
            "not a usable",
        ),
        (
            "output_schema",
            json!({"schema": format!("{{\"title\": \"{}\"}}", "x".repeat(300_000))}),
            "schema",
            "more than",
        ),
        (
            "streaming",
            json!({"allowed": true}),
            "allowed",
            "restricts nothing",
        ),
        (
            "system_prompt",
            json!({"locked": false}),
            "locked",
            "restricts nothing",
        ),
        ("sources", json!({}), "", "neither"),
        (
            "sources",
            json!({"schemes": ["https:"]}),
            "schemes[0]",
            "not a scheme",
        ),
        (
            "sources",
            json!({"allow": ["https://a.com"]}),
            "allow[0]",
            "not a host",
        ),
        (
            "sources",
            json!({"allow": ["a.com/x"]}),
            "allow[0]",
            "not a host",
        ),
        (
            "sources",
            json!({"allow": ["a.*.com"]}),
            "allow[0]",
            "not a host",
        ),
        (
            "sources",
            json!({"allow": ["a.com:443"]}),
            "allow[0]",
            "not a host",
        ),
        (
            "sources",
            json!({"deny": ["*.10.0.0.1"]}),
            "deny[0]",
            "not a host",
        ),
        ("time_window", json!({"windows": []}), "windows", "empty"),
        (
            "time_window",
            window("00:00", "24:00"),
            "windows",
            "always open",
        ),
        (
            "time_window",
            window("08:00", "08:00"),
            "windows[0]",
            "begins when",
        ),
        (
            "time_window",
            window("8:00", "09:00"),
            "windows[0].from",
            "not a time",
        ),
        (
            "time_window",
            window("08:00", "24:01"),
            "windows[0].to",
            "not a time",
        ),
        (
            "time_window",
            window("08:00", "23:60"),
            "windows[0].to",
            "not a time",
        ),
        (
            "time_window",
            window("+8:00", "09:00"),
            "windows[0].from",
            "not a time",
        ),
        (
            "time_window",
            json!({"windows": many_windows}),
            "windows",
            "more than 50",
        ),
        (
            "time_window",
            json!({"zone": "Europe/Berln", "windows": [{"from": "08:00", "to": "09:00"}]}),
            "zone",
            "no time zone",
        ),
        (
            "required_metadata",
            json!({"fields": []}),
            "fields",
            "empty",
        ),
        (
            "required_metadata",
            json!({"fields": ["user", "user"]}),
            "fields[1]",
            "twice",
        ),
        (
            "required_metadata",
            json!({"fields": ["usecase"]}),
            "fields[0]",
            "`usecase`",
        ),
        ("condition", json!({}), "", "either"),
        (
            "condition",
            json!({"deny_if": "stream", "message": "a\r\nb"}),
            "message",
            "controls",
        ),
        (
            "condition",
            json!({"deny_if": "stream", "allow_if": "stream"}),
            "",
            "either",
        ),
        (
            "condition",
            json!({"deny_if": "stream", "message": "x".repeat(501)}),
            "message",
            "longer than",
        ),
    ] {
        let case = format!(
            "{kind} {}",
            &settings.to_string().chars().take(200).collect::<String>()
        );
        let wrong = compile(kind, &settings).expect_err(&case);
        assert_eq!(wrong.path, path, "{case}: {}", wrong.what);
        assert!(wrong.what.contains(what), "{case}: {}", wrong.what);
        assert!(
            !wrong.what.ends_with('.') && !wrong.instead.is_empty(),
            "{case}"
        );
    }
}

#[test]
fn lists_that_leave_something_are_good() {
    for (kind, settings) in [
        ("models", json!({"allow": ["gpt-*"], "deny": ["gpt-5*"]})),
        ("models", json!({"allow": ["*"], "deny": ["gpt-*"]})),
        ("models", json!({"deny": ["*"]})),
        ("tools", json!({"deny": ["*"]})),
        ("providers", json!({"allow": ["kind:k"], "deny": ["k*"]})),
    ] {
        assert!(compile(kind, &settings).is_ok(), "{kind} {settings}");
    }
}

#[test]
fn near_matches_are_told() {
    let zone = json!({"zone": "Europe/Berln", "windows": [{"from": "08:00", "to": "09:00"}]});
    let wrong = compile("time_window", &zone).expect_err("no such zone");
    assert_eq!(wrong.instead, "did you mean `Europe/Berlin`?");
    let fields = json!({"fields": ["data-class"]});
    let wrong = compile("required_metadata", &fields).expect_err("no such field");
    assert_eq!(wrong.instead, "did you mean `data_class`?");
}

#[test]
fn schemas_that_lead_to_themselves_come_to_an_end() {
    let schema = json!({
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    });
    let schema = json!({"schema": schema.to_string()});
    let given = Given::Text(r#"{"next": {"next": {}}}"#.into());
    check_given("output_schema", &schema, &given, None);
    let given = Given::Text(r#"{"next": {"next": 5}}"#.into());
    check_given(
        "output_schema",
        &schema,
        &given,
        Some("output_not_in_schema"),
    );
    // Such schemas say nothing, so whatever is made of them must only end.
    for circle in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
    ] {
        let circle = json!({"schema": circle.to_string()});
        if let Ok(rule) = compile("output_schema", &circle) {
            rule.given(&Call::chat().facts(), &Given::Text("1".into()));
        }
    }
}
