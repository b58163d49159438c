//! Names and addresses that are written so that a rule might not know them.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

/// Ways to write `delete_file`, or to hide it.
const AWKWARD: &[&str] = &[
    "delete_file\u{200b}",
    "\u{feff}delete_file",
    "delete\u{00ad}_file",
    "d\u{0435}lete_file",
    "\u{ff44}elete_file",
    "delete%5ffile",
    "delete\\u005ffile",
    "delete file",
    "delete_file\n",
    "delete_file\0",
    "delete/file",
    "functions/delete_file",
    "",
];

#[test]
fn awkward_tool_names_match_every_deny_and_no_allow() {
    let deny = json!({"deny": ["something_else"]});
    let allow = json!({"allow": ["*"]});
    let denied = Some(("tool_not_allowed", Some("tools")));
    let long = "x".repeat(129);
    for name in AWKWARD.iter().copied().chain([long.as_str()]) {
        for settings in [&deny, &allow] {
            let offers = Call::chat().tool(name, "function");
            check_request("tools", settings, &offers, denied);
            let called = Given::ToolCall(name);
            check_given("tools", settings, &called, Some("tool_call_not_allowed"));
        }
    }
    let longest = "x".repeat(128);
    let offers = Call::chat().tool(&longest, "function");
    check_request("tools", &allow, &offers, None);
}

#[test]
fn capitals_get_around_no_list_of_tools() {
    let deny = json!({"deny": ["Delete_*"]});
    let allow = json!({"allow": ["get_weather"]});
    for name in ["delete_file", "DELETE_FILE", "Delete_File"] {
        let denied = Some("tool_call_not_allowed");
        check_given("tools", &deny, &Given::ToolCall(name), denied);
    }
    let denied = Some("tool_call_not_allowed");
    check_given("tools", &allow, &Given::ToolCall("Get_Weather"), denied);
}

#[test]
fn a_message_repeats_no_controls() {
    let call = Call {
        model: "gpt\r\nx: y\u{202e}",
        ..Call::chat()
    }
    .tool("a\r\nset-cookie: b", "function")
    .url("https://evil.example/\u{7}\r\n");
    let cases = [
        ("models", json!({"allow": ["claude*"]})),
        ("tools", json!({"deny": ["x"]})),
        ("sources", json!({"allow": ["example.com"]})),
    ];
    for (kind, settings) in cases {
        let verdict = chain(kind, &settings, Mode::Warn).request(&call.facts());
        let said = &verdict.rulings[0].breach.said;
        assert!(
            said.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{kind}: {said:?}"
        );
        assert!(said.len() < 1_000, "{kind}: {said:?}");
    }
}

#[test]
fn addresses_that_look_like_others_are_not_allowed() {
    let settings = json!({"allow": ["good.example", "*.good.example", "127.0.0.1"]});
    let denied = Some(("source_not_allowed", None));
    for bad in [
        "https://good.example@evil.example/",
        "https://good.example:x@good.example/",
        "https://good.example\\@evil.example/",
        "https://evil.example/good.example",
        "https://evil.example?good.example",
        "https://evil.example#good.example",
        "https://good.example.evil.example/",
        "https://evilgood.example/",
        "https://good.exampl\u{435}/",
        "https:\\\\good.example/",
        " https://good.example/",
        "https://good.example/\n",
        "ht\ntps://good.example/",
        "https://good%2eexample%00.evil/",
        "//good.example/x",
        "good.example/x",
        "javascript:alert(1)",
        "https://",
        "https://[::1]/",
        "https://0x7f000002/",
        "https://.good.example/",
    ] {
        check_request("sources", &settings, &Call::chat().url(bad), denied);
    }
    let long = format!("https://good.example/{}", "a".repeat(9_000));
    check_request("sources", &settings, &Call::chat().url(&long), denied);
    for good in [
        "https://good.example./",
        "https://GOOD.example/",
        "https://g%6fod.example/",
        "https://\u{ff47}ood.example/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://[::ffff:127.0.0.1]/",
    ] {
        check_request("sources", &settings, &Call::chat().url(good), None);
    }
}

#[test]
fn a_denied_host_has_no_other_spelling() {
    let settings = json!({"deny": ["b\u{fc}cher.example", "127.0.0.1"], "ip_addresses": true});
    let denied = Some(("source_not_allowed", None));
    for bad in [
        "https://b\u{fc}cher.example/",
        "https://B\u{dc}CHER.example/",
        "https://xn--bcher-kva.example/",
        "https://XN--BCHER-KVA.example./",
        "https://b%C3%BCcher.example/",
        "https://bu\u{308}cher.example/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://[::ffff:7f00:1]/",
    ] {
        check_request("sources", &settings, &Call::chat().url(bad), denied);
    }
    let other = Call::chat().url("https://bucher.example/");
    check_request("sources", &settings, &other, None);
}

/// What expressions are made of, names that are not known among it.
const TOKENS: &[&str] = &[
    "model",
    "user",
    "groups",
    "tools",
    "urls",
    "stream",
    "system",
    "hour",
    "output_tokens_max",
    "metadata",
    "metadata.user",
    "metadata.x",
    "has(metadata.user)",
    "x",
    "@result",
    "__result__",
    "'a'",
    "\"b\"",
    "b'c'",
    "r'd'",
    "'\u{200b}'",
    "0",
    "1u",
    "-1",
    "9223372036854775807",
    "1.5",
    "1e999",
    "null",
    "true",
    "false",
    "int",
    "type",
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "?",
    ":",
    ".",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "size(",
    "int(",
    "string(",
    "double(",
    ".size()",
    ".contains(",
    ".startsWith(",
    ".exists(x,",
    ".all(x,",
    ".map(x,",
    ".filter(x,",
    ".exists_one(x,",
    ".map(x, true,",
    "[0]",
    "[-1]",
    ".?a",
    "[?0]",
];

proptest! {
    #[test]
    fn no_name_and_no_address_brings_a_rule_to_fall(name in ".{0,40}", url in "\\PC{0,60}") {
        let call = Call::chat().tool(&name, "function").url(&url);
        for (kind, settings) in [
            ("tools", json!({"allow": ["get"]})),
            ("sources", json!({"allow": ["example.com"]})),
            ("condition", json!({"deny_if": "tools.exists(t, t == 'x') || size(urls[0]) > 50"})),
        ] {
            chain(kind, &settings, Mode::Enforce).request(&call.facts());
        }
        let plain = !name.is_empty()
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.:-".contains(&it));
        let all = chain("tools", &json!({"allow": ["*"]}), Mode::Enforce);
        prop_assert_eq!(all.request(&call.facts()).denied().is_none(), plain);
    }

    #[test]
    fn no_expression_brings_its_reader_to_fall(tokens in prop::collection::vec(select(TOKENS), 0..12)) {
        let source = tokens.concat();
        for source in [tokens.join(" "), format!("model == 'x' || {source}"), source] {
            if let Ok(rule) = compile("condition", &json!({"deny_if": source})) {
                rule.request(&Call::chat().facts());
                rule.request(&Call::chat().tool("t", "hosted").told(Field::User, "u").facts());
            }
        }
    }

    #[test]
    fn no_host_pattern_and_no_url_disagree(host in "[a-z0-9.%:-]{1,20}") {
        let settings = json!({"allow": [host], "schemes": ["https"]});
        let Ok(rule) = compile("sources", &settings) else {
            return Ok(());
        };
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        let call = Call::chat().url(&format!("https://{host}/"));
        prop_assert_eq!(rule.request(&call.facts()), crate::Finding::Pass);
    }
}
