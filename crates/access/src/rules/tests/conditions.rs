//! Cases of conditions.

use std::net::Ipv4Addr;

use serde_json::json;

use super::*;

fn rich() -> Call {
    let mut call = Call::chat()
        .told(Field::User, "ann")
        .told(Field::UseCase, "search")
        .told(Field::MaxTokens, "300")
        .tool("get_weather", "function")
        .tool("web", "hosted")
        .url("https://example.com/a");
    call.groups = vec!["research".into(), "ops".into()];
    call.address = Some(Ipv4Addr::new(192, 0, 2, 7).into());
    call.output_tokens_max = Some(50);
    call
}

#[test]
fn every_fact_has_a_name() {
    for expression in [
        "tenant == 'acme' && app == 'web' && key == 'k1'",
        "user == 'ann' && 'ops' in groups && !('x' in groups)",
        "operation == 'chat' && model.startsWith('gpt-') && !stream",
        "input_tokens == 100 && output_tokens_max < 51",
        "hour == 22 && weekday == 'tue'",
        "address == '192.0.2.7'",
        "metadata.use_case == 'search' && has(metadata.user) && !has(metadata.channel)",
        "metadata['use_case'] == 'search' && 'user' in metadata",
        "int(metadata.max_tokens) == 300",
        "tools.exists(t, t == 'web') && tools.all(t, size(t) > 2) && tools.size() == 2",
        "urls.exists_one(u, u.contains('example.com')) && urls[0].endsWith('/a')",
        "!system",
        "(input_tokens + 50) * 2 / 3 % 97 == 3 || model != 'x' ? true : false",
        "model in ['gpt-5', 'gpt-6'] && {'gpt-5': 1}[model] == 1",
        "tools.filter(t, t.startsWith('w')) == ['web'] && tools.map(t, size(t))[1] == 3",
    ] {
        let denied = Some(("condition_denied", None));
        check_request(
            "condition",
            &json!({"deny_if": expression}),
            &rich(),
            denied,
        );
        check_request("condition", &json!({"allow_if": expression}), &rich(), None);
        let not = format!("!({expression})");
        check_request("condition", &json!({"deny_if": not}), &rich(), None);
        check_request("condition", &json!({"allow_if": not}), &rich(), denied);
    }
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let failed = Some(("condition_failed", None));
    for expression in [
        "metadata.use_case == 'search'",
        "metadata['channel'] == 'web'",
        "output_tokens_max > 5",
        "int(model) > 5",
        "urls[3] == 'x'",
        "10 / (input_tokens - 100) == 1",
        "9223372036854775807 + input_tokens > 0",
    ] {
        for way in ["deny_if", "allow_if"] {
            check_request(
                "condition",
                &json!({way: expression}),
                &Call::chat(),
                failed,
            );
        }
    }
    let settings = json!({"deny_if": "metadata.use_case == 'search'"});
    let call = Call::chat();
    let verdict = chain("condition", &settings, Mode::Enforce).request(&call.facts());
    let said = &verdict.rulings[0].breach.said;
    assert!(said.contains("`use_case`"), "{said}");
}

#[test]
fn what_is_not_told_reads_as_such() {
    let settings = json!({
        "allow_if": "user == '' && address == '' && output_tokens_max == null && size(groups) == 0"
    });
    check_request("condition", &settings, &Call::chat(), None);
}

#[test]
fn more_items_than_a_condition_looks_at_are_refused() {
    let settings = json!({"deny_if": "urls.exists(u, u == 'x')"});
    let with = |count: usize| (0..count).fold(Call::chat(), |call, _| call.url("https://a/"));
    check_request("condition", &settings, &with(1_000), None);
    let failed = Some(("condition_failed", None));
    check_request("condition", &settings, &with(1_001), failed);
}

#[test]
fn a_message_of_ones_own() {
    let settings = json!({"deny_if": "stream", "message": "Ask for whole answers."});
    let call = Call {
        stream: true,
        ..Call::chat()
    };
    let verdict = chain("condition", &settings, Mode::Enforce).request(&call.facts());
    assert_eq!(verdict.rulings[0].breach.said, "Ask for whole answers.");
}

#[test]
fn content_is_asked_for_only_where_it_is_used() {
    for (expression, needs) in [
        ("model == 'x'", false),
        ("has(metadata.user) || stream", false),
        ("size(tools) > 1", true),
        ("urls.exists(u, u == 'x')", true),
        ("model == 'x' && system", true),
    ] {
        let rule = compile("condition", &json!({"deny_if": expression})).expect("good");
        assert_eq!(rule.needs_content(), needs, "{expression}");
    }
    let unseen = Call {
        content: None,
        ..Call::chat()
    };
    check_request("condition", &json!({"deny_if": "stream"}), &unseen, None);
}

#[test]
fn bad_expressions_are_found_when_they_are_read() {
    let deep = format!("{}stream{}", "(".repeat(49), ")".repeat(49));
    let bangs = format!("{}stream", "!".repeat(60));
    let minus = format!("1 == {}1 || stream", "-".repeat(60));
    let sums = format!("input_tokens == 1{}", "+1".repeat(1_500));
    let selects = format!("metadata.user{} == 'x'", ".a".repeat(1_000));
    let turns = format!("stream{}", " ? stream : stream".repeat(60));
    let long = format!("model == '{}'", "x".repeat(4 * 1024));
    for (expression, said) in [
        ("", "not an expression"),
        ("model ==", "not an expression"),
        ("model = 'x'", "not an expression"),
        ("model == 'x' stream", "not an expression"),
        ("moddel == 'x'", "no fact of the name `moddel`"),
        ("request.model == 'x'", "only `metadata` has fields"),
        ("x", "no fact of the name"),
        (
            "metadata.usecase == 'x'",
            "no metadata of the name `usecase`",
        ),
        ("has(metadata.purpose)", "no metadata of the name `purpose`"),
        ("model.matches('.*')", "no function of the name `matches`"),
        ("duration('1s') == duration('1s') || stream", "no function"),
        ("true", "uses no fact"),
        ("1 + 1 == 2", "uses no fact"),
        ("model", "is a string, not true or false"),
        ("input_tokens + 1", "is a int, not true or false"),
        ("model > 5", "mixes kinds"),
        ("model + 1 == 'x'", "mixes kinds"),
        (
            "tools.exists(t, urls.exists(u, u == t))",
            "within another one",
        ),
        ("tools.exists(t, t in urls)", "once for each item"),
        ("tools.exists(t, t in tools)", "once for each item"),
        ("tools.map(t, t).exists(t, t == 'x')", "within another one"),
        ("tools.exists(model, model == 'x')", "is the name of a fact"),
        (
            "tools.exists(t, t == 'x') && t == 'x'",
            "no fact of the name `t`",
        ),
        ("Some.Message{a: 1} == 1 || stream", "makes a message"),
        (&deep, "nested more than"),
        (&bangs, "nested more than"),
        (&minus, "nested more than"),
        (&sums, "nested more than"),
        (&selects, ""),
        (&turns, ""),
        (&long, "more than 4096"),
    ] {
        let wrong = compile("condition", &json!({"deny_if": expression}))
            .expect_err(&format!("{expression} is bad"));
        assert_eq!(wrong.path, "deny_if");
        assert!(wrong.what.contains(said), "{expression}: {wrong:?}");
        assert!(!wrong.instead.is_empty());
    }
    let near = compile("condition", &json!({"deny_if": "modle == 'x'"})).expect_err("bad");
    assert_eq!(near.instead, "did you mean `model`?");
}

#[test]
fn an_expression_of_the_largest_size_is_read_and_run() {
    let terms: Vec<String> = (0..163)
        .map(|nth| format!("model == 'no-{nth:07}'"))
        .collect();
    let expression = terms.join(" || ");
    assert!(
        (3_900..=4_096).contains(&expression.len()),
        "{}",
        expression.len()
    );
    check_request(
        "condition",
        &json!({"deny_if": expression}),
        &Call::chat(),
        None,
    );
}

#[test]
fn what_is_deep_is_read_or_refused_but_comes_to_an_end() {
    let nested = |open: &str, core: &str, close: &str, count| {
        open.repeat(count) + core + &close.repeat(count)
    };
    for expression in [
        nested("(", "stream", ")", 40),
        nested("!", "stream", "", 40),
        nested("stream ? ", "stream", " : stream", 40),
        nested("[", "stream", "][0]", 40),
        nested("(", "stream", " && stream)", 40),
        nested("{'a': ", "stream", "}.a", 40),
        nested("stream || (", "stream", ") && stream", 40),
        nested("tools.exists(t, ", "stream", ")", 40),
        "a.".repeat(2_000) + "b",
        "a(".repeat(2_000),
        "\"\"\"".repeat(1_000),
        "'((((' == model || ".repeat(200) + "stream",
    ] {
        let _ = compile("condition", &json!({"deny_if": expression}));
    }
    let quoted = format!("model == '{}'", "(?[".repeat(60));
    check_request(
        "condition",
        &json!({"deny_if": quoted}),
        &Call::chat(),
        None,
    );
}
