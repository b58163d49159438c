//! Cases of calls as asked.

use contract::Operation;
use serde_json::json;

use super::*;

/// A breach of a field.
fn denied_at<'a>(code: &'a str, field: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    Some((code, Some(field)))
}

#[test]
fn models() {
    let call = |model| Call {
        model,
        ..Call::chat()
    };
    let settings = json!({"allow": ["gpt-*", "o*"], "deny": ["*-preview"]});
    let denied = denied_at("model_not_allowed", "model");
    check_request("models", &settings, &call("gpt-5"), None);
    check_request("models", &settings, &call("gpt-5-preview"), denied);
    check_request("models", &settings, &call("claude-5"), denied);
    check_request("models", &settings, &call(""), None);
    let shown = chain("models", &settings, Mode::Enforce);
    assert!(shown.shows_model("o4") && !shown.shows_model("claude-5"));
    let warned = chain("models", &settings, Mode::Warn);
    assert!(warned.shows_model("claude-5"), "a warning hides nothing");
}

#[test]
fn a_told_family_is_held_to_families() {
    let settings = json!({"families": ["Claude", "gpt"]});
    let told = |family| Call::chat().told(Field::Family, family);
    check_request("models", &settings, &told("claude"), None);
    check_request("models", &settings, &told("GPT"), None);
    check_request(
        "models",
        &settings,
        &told("llama"),
        denied_at("family_not_allowed", "tollgate-family"),
    );
    check_request("models", &settings, &Call::chat(), None);
}

#[test]
fn operations() {
    let of = |operation| Call {
        operation,
        ..Call::chat()
    };
    let denied = Some(("operation_not_allowed", None));
    let allow = json!({"allow": ["chat", "list_models"]});
    check_request("operations", &allow, &of(Operation::Chat), None);
    check_request("operations", &allow, &of(Operation::ListModels), None);
    check_request("operations", &allow, &of(Operation::Embed), denied);
    check_request("operations", &allow, &of(Operation::GetModel), denied);
    let deny = json!({"deny": ["embeddings"]});
    check_request("operations", &deny, &of(Operation::Embed), denied);
    check_request("operations", &deny, &of(Operation::CountTokens), None);
}

#[test]
fn every_operation_has_a_name_in_the_rule() {
    for operation in [
        Operation::Chat,
        Operation::CountTokens,
        Operation::Embed,
        Operation::ListModels,
        Operation::GetModel,
    ] {
        let call = Call {
            operation,
            ..Call::chat()
        };
        let settings = json!({"deny": [operation.name()]});
        let denied = Some(("operation_not_allowed", None));
        check_request("operations", &settings, &call, denied);
    }
}

#[test]
fn context_length() {
    let long = |input_tokens, output_tokens_max| Call {
        input_tokens,
        output_tokens_max,
        ..Call::chat()
    };
    let too_long = Some(("context_too_long", None));
    let input = json!({"tokens_max": 1000});
    check_request("context_length", &input, &long(1000, None), None);
    check_request("context_length", &input, &long(1001, None), too_long);
    let total = json!({"total_tokens_max": 1000});
    check_request("context_length", &total, &long(1000, None), too_long);
    check_request("context_length", &total, &long(999, Some(1)), None);
    let held = |call: &Call| cap("context_length", &total, call, Mode::Enforce);
    assert_eq!(held(&long(400, None)), Some(600));
    assert_eq!(held(&long(400, Some(601))), Some(600));
    assert_eq!(held(&long(400, Some(600))), None);
    assert_eq!(
        cap("context_length", &total, &long(400, None), Mode::Warn),
        None
    );
    let embed = |input_tokens| Call {
        operation: Operation::Embed,
        ..long(input_tokens, None)
    };
    check_request("context_length", &total, &embed(1000), None);
    check_request("context_length", &total, &embed(1001), too_long);
    assert_eq!(held(&embed(10)), None, "vectors have no length to cap");
}

#[test]
fn output_length() {
    let asks = |output_tokens_max| Call {
        output_tokens_max,
        ..Call::chat()
    };
    let caps = json!({"tokens_max": 100});
    let held = |call: &Call, mode| cap("output_length", &caps, call, mode);
    assert_eq!(held(&asks(None), Mode::Enforce), Some(100));
    assert_eq!(held(&asks(Some(101)), Mode::Enforce), Some(100));
    assert_eq!(held(&asks(Some(100)), Mode::Enforce), None);
    for mode in [Mode::Off, Mode::Shadow, Mode::Warn] {
        assert_eq!(held(&asks(None), mode), None, "{mode:?}");
        let verdict = chain("output_length", &caps, mode).request(&asks(None).facts());
        let told: Vec<_> = verdict.rulings.iter().map(|it| it.breach.code).collect();
        let expected: &[&str] = match mode {
            Mode::Off | Mode::Enforce => &[],
            Mode::Shadow | Mode::Warn => &["output_capped"],
        };
        assert_eq!(told, expected, "what is only tried is told, in {mode:?}");
    }
    let denies = json!({"tokens_max": 100, "over": "deny"});
    let denied = Some(("output_too_long", None));
    check_request("output_length", &denies, &asks(Some(101)), denied);
    check_request("output_length", &denies, &asks(Some(100)), None);
    assert_eq!(
        cap("output_length", &denies, &asks(None), Mode::Enforce),
        Some(100),
        "who asks for nothing gets no more than who asks"
    );
}

#[test]
fn streaming() {
    let settings = json!({"allowed": false});
    let stream = Call {
        stream: true,
        ..Call::chat()
    };
    let denied = denied_at("streaming_not_allowed", "stream");
    check_request("streaming", &settings, &stream, denied);
    check_request("streaming", &settings, &Call::chat(), None);
}

#[test]
fn system_prompt() {
    let settings = json!({"locked": true});
    let mut brings = Call::chat();
    brings.content = Some(Content {
        system: true,
        ..Content::default()
    });
    let denied = Some(("system_prompt_locked", None));
    check_request("system_prompt", &settings, &brings, denied);
    check_request("system_prompt", &settings, &Call::chat(), None);
}

#[test]
fn a_body_that_nobody_looked_into_breaks_the_rules_that_need_it() {
    let unseen = Call {
        content: None,
        ..Call::chat()
    };
    let lists = Call {
        operation: Operation::ListModels,
        ..unseen.clone()
    };
    for (kind, settings) in [
        ("system_prompt", json!({"locked": true})),
        ("tools", json!({"deny": ["x"]})),
        ("sources", json!({"allow": ["example.com"]})),
        ("condition", json!({"deny_if": "size(tools) > 3"})),
    ] {
        let denied = Some(("content_unknown", None));
        check_request(kind, &settings, &unseen, denied);
        check_request(kind, &settings, &lists, None);
        let rule = compile(kind, &settings).expect("good settings");
        assert!(rule.needs_content(), "{kind}");
    }
}

#[test]
fn required_metadata() {
    let settings = json!({"fields": ["use_case", "data_class"]});
    let none = Call::chat();
    let denied = denied_at("metadata_required", "tollgate-use-case");
    check_request("required_metadata", &settings, &none, denied);
    let one = none.clone().told(Field::UseCase, "search");
    let denied = denied_at("metadata_required", "tollgate-data-class");
    check_request("required_metadata", &settings, &one, denied);
    let both = one.told(Field::DataClass, "public");
    check_request("required_metadata", &settings, &both, None);
    let lists = Call {
        operation: Operation::ListModels,
        ..none.clone()
    };
    check_request("required_metadata", &settings, &lists, None);
    let verdict = chain("required_metadata", &settings, Mode::Enforce).request(&none.facts());
    let said = &verdict.rulings[0].breach.said;
    assert!(
        said.contains("`tollgate-use-case`") && said.contains("`tollgate-data-class`"),
        "all that is missing: {said}"
    );
}

#[test]
fn time_windows() {
    let at = |now_s| Call {
        now_s,
        ..Call::chat()
    };
    let outside = Some(("outside_time_window", None));
    // 2023-11-14 is a Tuesday; midnight UTC is 1 699 920 000.
    let tuesday = 1_699_920_000;
    let hour = 3_600;
    let utc = json!({"windows": [{"days": ["tue"], "from": "08:00", "to": "18:00"}]});
    check_request("time_window", &utc, &at(tuesday + 8 * hour), None);
    check_request("time_window", &utc, &at(tuesday + 8 * hour - 1), outside);
    check_request("time_window", &utc, &at(tuesday + 18 * hour - 1), None);
    check_request("time_window", &utc, &at(tuesday + 18 * hour), outside);
    check_request("time_window", &utc, &at(tuesday + 34 * hour), outside);
    let night = json!({"windows": [{"days": ["tue"], "from": "22:00", "to": "02:00"}]});
    check_request("time_window", &night, &at(tuesday + 25 * hour), None);
    check_request("time_window", &night, &at(tuesday + 26 * hour), outside);
    check_request("time_window", &night, &at(tuesday + hour), outside);
    check_request("time_window", &night, &at(u64::MAX), outside);
}

#[test]
fn time_windows_follow_their_zone_through_the_year() {
    let settings = json!({
        "zone": "Europe/Berlin",
        "windows": [{"from": "08:00", "to": "09:00"}],
    });
    let at = |now_s| Call {
        now_s,
        ..Call::chat()
    };
    let outside = Some(("outside_time_window", None));
    // 07:30 UTC is 08:30 in winter (2023-11-14) and 09:30 in summer
    // (2023-07-14).
    let (winter, summer) = (1_699_947_000, 1_689_319_800);
    check_request("time_window", &settings, &at(winter), None);
    check_request("time_window", &settings, &at(summer), outside);
    check_request("time_window", &settings, &at(summer - 3_600), None);
}

#[test]
fn data_classes() {
    let settings = json!({"classes": {"Public": {}, "secret": {"regions": ["eu-*"]}}});
    let told = |class| Call::chat().told(Field::DataClass, class);
    let field = "tollgate-data-class";
    check_request("data_class", &settings, &told("public"), None);
    check_request("data_class", &settings, &told("SECRET"), None);
    check_request(
        "data_class",
        &settings,
        &told("internal"),
        denied_at("data_class_not_allowed", field),
    );
    let untold = denied_at("data_class_required", field);
    check_request("data_class", &settings, &Call::chat(), untold);
    let lists = Call {
        operation: Operation::ListModels,
        ..Call::chat()
    };
    check_request("data_class", &settings, &lists, None);
    let open = json!({
        "classes": {"secret": {"regions": ["eu-*"]}},
        "others": "allow",
        "missing": "allow",
    });
    check_request("data_class", &open, &told("internal"), None);
    check_request("data_class", &open, &Call::chat(), None);
}

#[test]
fn tools_on_offer() {
    let names = json!({"allow": ["search_*", "get"], "deny": ["search_internal"]});
    let denied = denied_at("tool_not_allowed", "tools");
    let offers = |name| Call::chat().tool("get", "function").tool(name, "function");
    check_request("tools", &names, &Call::chat(), None);
    check_request("tools", &names, &offers("search_web"), None);
    check_request("tools", &names, &offers("search_internal"), denied);
    check_request("tools", &names, &offers("delete"), denied);
    let kinds = json!({"kinds": ["function", "custom"]});
    check_request("tools", &kinds, &Call::chat().tool("x", "custom"), None);
    check_request(
        "tools",
        &kinds,
        &Call::chat().tool("web_search", "hosted"),
        denied_at("tool_kind_not_allowed", "tools"),
    );
    let rule = compile("tools", &kinds).expect("good settings");
    assert!(!rule.reads_answers(), "an answer does not tell the kind");
}

#[test]
fn sources() {
    let settings = json!({"allow": ["example.com", "*.example.org", "192.0.2.7"]});
    let denied = Some(("source_not_allowed", None));
    for good in [
        "https://example.com/a.png",
        "https://EXAMPLE.com:8443/a?b#c",
        "https://a.b.example.org/",
        "https://192.0.2.7/x",
        "data:image/png;base64,AAAA",
        "DATA:text/plain,hello world",
    ] {
        check_request("sources", &settings, &Call::chat().url(good), None);
    }
    for bad in [
        "http://example.com/",
        "https://sub.example.com/",
        "https://example.org/",
        "https://192.0.2.8/",
        "ftp://example.com/",
        "file:///etc/passwd",
    ] {
        check_request("sources", &settings, &Call::chat().url(bad), denied);
    }
    let deny = json!({"deny": ["*.internal", "metadata"], "schemes": ["http", "https"]});
    check_request(
        "sources",
        &deny,
        &Call::chat().url("http://a.example/"),
        None,
    );
    for bad in [
        "http://db.internal/",
        "http://metadata/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "data:,x",
    ] {
        check_request("sources", &deny, &Call::chat().url(bad), denied);
    }
    let addresses = json!({"deny": ["10.0.0.1"], "ip_addresses": true});
    check_request(
        "sources",
        &addresses,
        &Call::chat().url("https://10.0.0.2/"),
        None,
    );
    check_request(
        "sources",
        &addresses,
        &Call::chat().url("https://10.0.0.1/"),
        denied,
    );
}
