//! Routes, the survey, and requests both ways.

use contract::chat::{
    Effort, OutputFormat, PartKind, Reasoning, ReasoningMode, Signature, Tool, ToolCall,
    ToolChoice, ToolKind, ToolResult,
};
use contract::model::ReasoningStyle;
use contract::request::{Embed, EmbedInput};
use contract::{FaultKind, RawJson};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::json;

use super::super::route::{EMBED_BATCH, EMBED_ONE};
use super::*;
use crate::dialect::{Call, Head};

const HELLO: &str = r#""contents":[{"parts":[{"text":"hi"}]}]"#;

#[test]
fn a_whole_request_survives_reading_and_writing() {
    let body = fixture("whole/request.gemini.json");
    let (written, losses) = write(&read(&body).expect("valid"), &card());
    let mut expected = parsed(&body);
    // The type that an address tells is said.
    expected["contents"][0]["parts"][5]["fileData"]["mimeType"] = json!("image/png");
    assert_eq!(written, expected);
    assert_eq!(losses, Vec::<String>::new());
}

#[test]
fn snake_case_means_the_same_and_both_spellings_are_refused() {
    let camel = fixture("whole/request.gemini.json");
    let snake = std::str::from_utf8(&camel).expect("UTF-8");
    let mut text = snake.to_owned();
    for (camel, snake) in [
        ("systemInstruction", "system_instruction"),
        ("inlineData", "inline_data"),
        ("mimeType", "mime_type"),
        ("functionCall\"", "function_call\""),
        ("thoughtSignature", "thought_signature"),
        ("functionResponse", "function_response"),
        ("functionDeclarations", "function_declarations"),
        ("parametersJsonSchema", "parameters_json_schema"),
        ("toolConfig", "tool_config"),
        ("functionCallingConfig", "function_calling_config"),
        ("allowedFunctionNames", "allowed_function_names"),
        ("generationConfig", "generation_config"),
        ("maxOutputTokens", "max_output_tokens"),
        ("topP", "top_p"),
        ("thinkingConfig", "thinking_config"),
        ("thinkingLevel", "thinking_level"),
        ("responseJsonSchema", "response_json_schema"),
    ] {
        // What is opaque keeps its spelling: the first of each is enough.
        text = text.replacen(camel, snake, 1);
    }
    assert_ne!(text, snake);
    let (left, right) = (
        read(&camel).expect("valid"),
        read(text.as_bytes()).expect("valid"),
    );
    assert_eq!(left.task, right.task);
    for body in [
        format!(r#"{{{HELLO},"generationConfig":{{"topK":1,"top_k":1}}}}"#),
        format!(r#"{{{HELLO},"generationConfig":{{}},"generation_config":{{}}}}"#),
        r#"{"contents":[{"parts":[{"inlineData":{},"inline_data":{}}]}]}"#.to_owned(),
    ] {
        let fault = read(body.as_bytes()).expect_err(&body);
        assert!(fault.public.contains("both spellings"), "{}", fault.public);
    }
}

#[test]
fn loose_forms_of_the_vendors_own_examples() {
    let loose = chat(
        r#"{"system_instruction":{"parts":{"text":"Sys."}},
            "contents":{"parts":{"text":"hi"}},
            "generationConfig":{"topK":40.0,"maxOutputTokens":"9"}}"#,
    );
    assert_eq!(loose.turns[0], turn(Role::System, vec![Part::text("Sys.")]));
    assert_eq!(loose.turns[1], turn(Role::User, vec![Part::text("hi")]));
    assert_eq!(loose.sampling.top_k, Some(40));
    assert_eq!(loose.output_tokens_max, Some(9));
    let bare = chat(&format!(r#"{{{HELLO},"systemInstruction":"Sys."}}"#));
    assert_eq!(bare.turns[0].parts, [Part::text("Sys.")]);
}

#[test]
fn foreign_requests_are_translated() {
    let translate = |case: &str, from: &str| {
        let dialect = crate::by_name(from).expect(from);
        let doc = Doc::request(fixture(&format!("{case}/request.{from}.json"))).expect("JSON");
        let route = Route::new(dialect.id(), Operation::Chat);
        let mut request = dialect.read_request(&route, doc.root()).expect("valid");
        request.model = "gemini-3".to_owned();
        write(&request, &card())
    };
    for (case, from, lost) in [
        (
            "agent",
            "anthropic",
            &[
                "cache_control",
                "messages[2].role",
                "messages[3].content[0].thinking",
                "messages[3].content[2].signature",
            ][..],
        ),
        (
            "chat",
            "openai_chat",
            &["reasoning_effort", "logit_bias", "parallel_tool_calls"][..],
        ),
    ] {
        let (written, losses) = translate(case, from);
        assert_eq!(
            written,
            parsed(&fixture(&format!("{case}/expect.gemini.json"))),
            "{case}"
        );
        assert_eq!(losses, lost, "{case}");
    }
}

#[test]
fn wrong_requests_name_the_field() {
    let config = |inner: &str| format!(r#"{{{HELLO},"generationConfig":{inner}}}"#);
    let cases = [
        ("{}".to_owned(), "contents"),
        (r#"{"contents":7}"#.to_owned(), "contents"),
        (r#"{"contents":[]}"#.to_owned(), "contents"),
        (
            r#"{"contents":[{"role":"bot"}]}"#.to_owned(),
            "contents[0].role",
        ),
        (
            r#"{"contents":[{"parts":[{"text":1}]}]}"#.to_owned(),
            "contents[0].parts[0].text",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"a","inlineData":{}}]}]}"#.to_owned(),
            "contents[0].parts[0]",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"name":"f","args":[]}}]}]}"#.to_owned(),
            "contents[0].parts[0].functionCall.args",
        ),
        (
            r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":"x"}}]}]}"#
                .to_owned(),
            "contents[0].parts[0].functionResponse.response",
        ),
        (
            config(r#"{"thinkingConfig":{"thinkingBudget":1,"thinkingLevel":"LOW"}}"#),
            "generationConfig.thinkingConfig",
        ),
        (
            config(r#"{"thinkingConfig":{"thinkingLevel":"HUGE"}}"#),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (
            config(r#"{"responseSchema":{},"responseJsonSchema":{}}"#),
            "generationConfig",
        ),
        (config(r#"{"seed":1.5}"#), "generationConfig.seed"),
        (
            format!(r#"{{{HELLO},"toolConfig":{{"functionCallingConfig":{{"mode":"SOME"}}}}}}"#),
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            format!(
                r#"{{{HELLO},"toolConfig":{{"functionCallingConfig":{{"allowedFunctionNames":["f"]}}}}}}"#
            ),
            "toolConfig.functionCallingConfig",
        ),
        (
            format!(
                r#"{{{HELLO},"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{{}},"parametersJsonSchema":{{}}}}]}}]}}"#
            ),
            "tools[0].functionDeclarations[0]",
        ),
    ];
    for (body, field) in cases {
        let fault = read(body.as_bytes()).expect_err(&body);
        assert_eq!(fault.kind, FaultKind::BadRequest, "{body}");
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn survey_reads_the_envelope() {
    let survey = |operation, variant, body: &str| {
        let doc = Doc::request(Bytes::copy_from_slice(body.as_bytes())).expect("JSON");
        let route = Route {
            variant,
            ..route(operation)
        };
        DIALECT.survey(&route, doc.root()).map(|survey| {
            (
                survey.output_tokens_max,
                survey.turns,
                survey.tools,
                survey.choices,
            )
        })
    };
    let body = r#"{"contents":[{},{}],"tools":[{"function_declarations":[{},{}]},{"googleSearch":{}}],
        "generation_config":{"max_output_tokens":9,"candidateCount":2},"model":"models/gemini-3"}"#;
    assert_eq!(survey(Operation::Chat, 0, body), Ok((Some(9), 2, 3, 2)));
    let inner = format!(r#"{{"generateContentRequest":{body}}}"#);
    assert_eq!(
        survey(Operation::CountTokens, 0, &inner),
        Ok((None, 2, 3, 2))
    );
    let batch = r#"{"requests":[{"model":"models/gemini-3"},{}]}"#;
    assert_eq!(
        survey(Operation::Embed, EMBED_BATCH, batch),
        Ok((None, 2, 0, 0))
    );
    let one = r#"{"content":{"parts":[]}}"#;
    assert_eq!(
        survey(Operation::Embed, EMBED_ONE, one),
        Ok((None, 1, 0, 0))
    );
    for (operation, variant, body, field) in [
        (Operation::Chat, 0, "{}", "contents"),
        (Operation::Chat, 0, r#"{"contents":7}"#, "contents"),
        (
            Operation::Chat,
            0,
            r#"{"contents":[],"generationConfig":[]}"#,
            "generationConfig",
        ),
        (
            Operation::Chat,
            0,
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":0}}"#,
            "generationConfig.maxOutputTokens",
        ),
        (
            Operation::Chat,
            0,
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":1.5}}"#,
            "generationConfig.maxOutputTokens",
        ),
        (
            Operation::Chat,
            0,
            r#"{"contents":[],"generationConfig":{"candidateCount":0}}"#,
            "generationConfig.candidateCount",
        ),
        (
            Operation::Chat,
            0,
            r#"{"contents":[],"model":"models/other"}"#,
            "model",
        ),
        (
            Operation::Embed,
            EMBED_BATCH,
            r#"{"requests":[]}"#,
            "requests",
        ),
        (
            Operation::Embed,
            EMBED_BATCH,
            r#"{"requests":[{"model":"models/other"}]}"#,
            "requests[0].model",
        ),
        (Operation::Embed, EMBED_ONE, "{}", "content"),
    ] {
        let fault = survey(operation, variant, body).expect_err(body);
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

/// Operation, model, stream, variant, or the refusal.
type Found = Option<Result<(Operation, Option<String>, Option<bool>, u8), FaultKind>>;

fn found(method: Method, path: &str, query: Option<&str>, keyed: bool) -> Found {
    let mut headers = HeaderMap::new();
    if keyed {
        headers.insert("x-goog-api-key", HeaderValue::from_static("k"));
    }
    let head = Head {
        method: &method,
        path,
        query,
        headers: &headers,
    };
    DIALECT.route(&head).map(|route| match route.refused {
        Some(fault) => Err(fault.kind),
        None => Ok((route.operation, route.model, route.stream, route.variant)),
    })
}

#[test]
fn routes() {
    let named = |name: &str| Some(name.to_owned());
    let post = |path, query| found(Method::POST, path, query, false);
    let get = |path, keyed| found(Method::GET, path, None, keyed);
    for path in [
        "/v1beta/models/g:generateContent",
        "/v1/models/g:generateContent",
        "/gemini/v1/models/g:generateContent",
        "/v1/models/g%3AgenerateContent",
    ] {
        assert_eq!(
            post(path, None),
            Some(Ok((Operation::Chat, named("g"), Some(false), 0))),
            "{path}"
        );
    }
    let stream = "/v1beta/models/g:streamGenerateContent";
    assert_eq!(
        post(stream, Some("alt=sse")),
        Some(Ok((Operation::Chat, named("g"), Some(true), 0)))
    );
    assert_eq!(post(stream, None), Some(Err(FaultKind::BadRequest)));
    assert_eq!(
        post(stream, Some("alt=sse&key=secret")),
        Some(Err(FaultKind::BadRequest))
    );
    assert_eq!(
        post("/v1/models/meta%2Fllama:8b:countTokens", None),
        Some(Ok((
            Operation::CountTokens,
            named("meta/llama:8b"),
            Some(false),
            0
        )))
    );
    assert_eq!(
        post("/v1beta/tunedModels/t:batchEmbedContents", None),
        Some(Ok((
            Operation::Embed,
            named("tunedModels/t"),
            Some(false),
            EMBED_BATCH
        )))
    );
    assert_eq!(
        post("/v1/models/g:embedContent", None),
        Some(Ok((Operation::Embed, named("g"), Some(false), EMBED_ONE)))
    );
    let list = Some(Ok((Operation::ListModels, None, None, 0)));
    assert_eq!(get("/v1beta/models", false), list);
    assert_eq!(get("/v1/models", true), list);
    assert_eq!(get("/v1/models", false), None);
    assert_eq!(get("/v1/models/llama3:8b", false), None);
    assert_eq!(
        get("/v1/models/llama3:8b", true),
        Some(Ok((Operation::GetModel, named("llama3:8b"), None, 0)))
    );
    assert_eq!(
        get("/v1beta/models/g", false),
        Some(Ok((Operation::GetModel, named("g"), None, 0)))
    );
    assert_eq!(
        get("/v1beta/models/g:generateContent", false),
        Some(Err(FaultKind::MethodNotAllowed))
    );
    assert_eq!(
        post("/v1/models/g:predict", None),
        Some(Err(FaultKind::UnknownPath))
    );
    assert_eq!(
        post("/v1beta/cachedContents", None),
        Some(Err(FaultKind::UnknownPath))
    );
    assert_eq!(post("/v1/chat/completions", None), None);
    assert_eq!(
        found(Method::POST, "/v1/chat/completions", None, true),
        None
    );
    assert_eq!(post("/geminix/v1beta/models/g:generateContent", None), None);
}

#[test]
fn destinations() {
    let to = |operation, model, stream, variant, query| {
        let call = Call {
            operation,
            model,
            stream,
            variant,
            query,
        };
        let destination = DIALECT.destination(&call);
        format!("{} {}", destination.method, destination.path)
    };
    assert_eq!(
        to(Operation::Chat, "a/b", false, 0, None),
        "POST /models/a%2Fb:generateContent"
    );
    assert_eq!(
        to(
            Operation::Chat,
            "g",
            true,
            0,
            Some("alt=sse&key=secret&%24prettyPrint=false")
        ),
        "POST /models/g:streamGenerateContent?alt=sse&%24prettyPrint=false"
    );
    assert_eq!(
        to(Operation::CountTokens, "tunedModels/t", false, 0, None),
        "POST /tunedModels/t:countTokens"
    );
    assert_eq!(
        to(Operation::Embed, "g", false, EMBED_ONE, None),
        "POST /models/g:embedContent"
    );
    assert_eq!(
        to(Operation::Embed, "g", false, 0, None),
        "POST /models/g:batchEmbedContents"
    );
    assert_eq!(to(Operation::ListModels, "", false, 0, None), "GET /models");
}

#[test]
fn calls_without_an_id_are_matched_by_name_and_order() {
    let body = r#"{"contents":[
        {"role":"user","parts":[{"text":"go"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{"n":1}}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"result":"a"}}},{"functionResponse":{"name":"g","response":{"result":"b"}}},{"functionResponse":{"name":"f","response":{"error":"c"}}}]}]}"#;
    let read_chat = chat(body);
    let ids = |parts: &[Part]| -> Vec<String> {
        let id = |part: &Part| match &part.kind {
            PartKind::ToolCall(call) => Some(call.id.clone()),
            PartKind::ToolResult(result) => Some(result.call_id.clone()),
            _ => None,
        };
        parts.iter().filter_map(id).collect()
    };
    let calls = ids(&read_chat.turns[1].parts);
    assert_eq!(calls, ["tgcall_1_0", "tgcall_1_1", "tgcall_1_2"]);
    assert_eq!(ids(&read_chat.turns[2].parts), calls);
    assert!(
        matches!(&read_chat.turns[2].parts[2].kind, PartKind::ToolResult(result) if result.is_error)
    );
    // The vendor never sees an id that it did not make.
    let (written, _) = write(&read(body.as_bytes()).expect("valid"), &card());
    let mut expected = parsed(body.as_bytes());
    for at in [1, 2] {
        expected["contents"][1]["parts"][at]["functionCall"]["args"] = json!({});
    }
    assert_eq!(written, expected);
}

#[test]
fn foreign_signatures_travel_in_base64_and_come_back() {
    let signature = |dialect, value: &str| Signature {
        dialect,
        value: value.to_owned(),
    };
    let anthropic = DialectId("anthropic");
    for (token, redacted) in [
        (signature(anthropic, "QUJD+/=="), false),
        (signature(anthropic, "secret"), true),
        (signature(ID, "c2ln+/8="), false),
    ] {
        let shown = super::super::signature::show(&token, redacted);
        // An SDK decodes and encodes again, in the URL-safe alphabet.
        let echoed = if token.dialect == ID {
            shown
        } else {
            shown.replace('+', "-").replace('/', "_")
        };
        assert_eq!(super::super::signature::read(&echoed), (token, redacted));
    }
}

#[test]
fn streamed_thoughts_are_joined_for_their_vendor() {
    let token = super::super::signature::show(
        &Signature {
            dialect: DialectId("anthropic"),
            value: "S".to_owned(),
        },
        false,
    );
    let body = format!(
        r#"{{"contents":[{{"parts":[{{"text":"q"}}]}},
            {{"role":"model","parts":[{{"text":"a","thought":true}}]}},
            {{"role":"model","parts":[{{"text":"b","thought":true}},{{"text":"c","thought":true}},{{"text":"","thought":true,"thoughtSignature":"{token}"}},{{"text":"Hi"}}]}}]}}"#
    );
    let read_chat = chat(&body);
    assert!(read_chat.turns[1].parts.is_empty());
    let last = &read_chat.turns[2].parts;
    assert_eq!(last.len(), 2);
    assert_eq!(
        last[0].kind,
        PartKind::Thinking {
            text: "abc".to_owned()
        }
    );
    let mut request = foreign(read_chat);
    request.extras = Default::default();
    let anthropic = crate::by_name("anthropic").expect("there");
    let card = card();
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let written = anthropic
        .write_request(&request, &target)
        .expect("writable");
    assert_eq!(
        parsed(&written.body)["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "abc", "signature": "S"})
    );
}

#[test]
fn own_schemas_become_json_schema_and_back() {
    let body = format!(
        r#"{{{HELLO},"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{{"type":"OBJECT",
            "properties":{{"b":{{"type":"STRING","nullable":true,"format":"enum","enum":["x"]}},"a":{{"type":"ARRAY","items":{{"type":"INTEGER"}},"max_items":"3"}},
            "c":{{"any_of":[{{"type":"STRING"}},{{"type":"NUMBER"}}],"nullable":true,"example":1}}}},
            "propertyOrdering":["a","b"],"required":["a"]}}}}]}}]}}"#
    );
    let read_chat = chat(&body);
    let ToolKind::Function {
        schema: Some(schema),
    } = &read_chat.tools[0].kind
    else {
        panic!("a function with a schema");
    };
    assert_eq!(
        schema.as_str(),
        r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"},"maxItems":3},"b":{"type":["string","null"],"enum":["x",null]},"c":{"anyOf":[{"type":"string"},{"type":"number"},{"type":"null"}],"examples":[1]}},"required":["a"]}"#
    );
    let mut older = card();
    older.capabilities.json_schema = false;
    let schema = RawJson::new(
        r#"{"type":"object","properties":{"a":{"type":["string","null"],"minLength":1},"b":{"const":"x"},"c":{"oneOf":[{"type":"string"},{"type":"object"},{"type":"null"}]}},"additionalProperties":false}"#,
    );
    let mut asked = hello();
    asked.format = OutputFormat::JsonSchema {
        name: None,
        description: None,
        schema,
        strict: None,
    };
    let (written, losses) = write(&foreign(asked), &older);
    assert_eq!(
        written["generationConfig"]["responseSchema"],
        json!({"type": "OBJECT", "properties": {
            "a": {"type": "STRING", "minLength": 1, "nullable": true},
            "b": {"enum": ["x"]},
            "c": {"anyOf": [{"type": "STRING"}, {"type": "OBJECT"}], "nullable": true}}})
    );
    assert_eq!(losses, ["response_format.schema (additionalProperties)"]);
}

fn hello() -> Chat {
    Chat {
        turns: vec![turn(Role::User, vec![Part::text("hi")])],
        ..Chat::default()
    }
}

#[test]
fn reasoning_by_style() {
    let asked = |reasoning: Reasoning, style| {
        let mut card = card();
        card.capabilities.reasoning = style;
        let chat = Chat {
            reasoning: Some(reasoning),
            output_tokens_max: Some(3_000),
            ..hello()
        };
        let (written, losses) = write(&foreign(chat), &card);
        (
            written["generationConfig"]["thinkingConfig"].clone(),
            losses,
        )
    };
    let effort = |effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    };
    let mode = |mode| Reasoning {
        mode: Some(mode),
        ..Reasoning::default()
    };
    let (by_level, by_budget) = (ReasoningStyle::Effort, ReasoningStyle::Budget);
    for (reasoning, style, expected) in [
        (
            effort(Effort::Minimal),
            by_level,
            json!({"thinkingLevel": "LOW", "includeThoughts": true}),
        ),
        (
            effort(Effort::Max),
            by_level,
            json!({"thinkingLevel": "HIGH", "includeThoughts": true}),
        ),
        (
            effort(Effort::Low),
            by_budget,
            json!({"thinkingBudget": 2048, "includeThoughts": true}),
        ),
        (effort(Effort::None), by_level, json!({"thinkingBudget": 0})),
        (
            mode(ReasoningMode::Disabled),
            by_budget,
            json!({"thinkingBudget": 0}),
        ),
        (
            mode(ReasoningMode::Adaptive),
            by_budget,
            json!({"thinkingBudget": -1, "includeThoughts": true}),
        ),
        (
            mode(ReasoningMode::Adaptive),
            by_level,
            json!({"thinkingBudget": -1, "includeThoughts": true}),
        ),
    ] {
        let declared = match reasoning.effort {
            Some(Effort::Minimal | Effort::Max) => vec!["reasoning".to_owned()],
            _ => Vec::new(),
        };
        assert_eq!(asked(reasoning, style), (expected, declared));
    }
    let (config, losses) = asked(effort(Effort::High), by_budget);
    assert_eq!(config["thinkingBudget"], 2999);
    assert_eq!(losses, ["reasoning"]);
    let (config, losses) = asked(effort(Effort::High), ReasoningStyle::None);
    assert_eq!(
        (config, losses),
        (Value::Null, vec!["reasoning".to_owned()])
    );
}

#[test]
fn results_follow_their_calls_and_older_models_get_images_beside_them() {
    let call = |id: &str| -> Part {
        PartKind::ToolCall(ToolCall {
            id: id.to_owned(),
            name: format!("n{id}"),
            arguments: String::new(),
            custom: false,
        })
        .into()
    };
    let result = |id: &str, parts: Vec<Part>| -> Part {
        PartKind::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: None,
            parts,
            json: None,
            is_error: false,
            custom: false,
        })
        .into()
    };
    let image: Part = PartKind::Image {
        source: contract::chat::Media::Base64 {
            mime: "image/png".to_owned(),
            data: "aGk=".to_owned(),
        },
        detail: None,
    }
    .into();
    let mut older = card();
    older.capabilities.reasoning = ReasoningStyle::Budget;
    let mut conversation = Chat {
        turns: vec![
            turn(Role::Assistant, vec![call("1"), call("2")]),
            turn(Role::User, vec![result("2", vec![Part::text("b"), image])]),
            turn(Role::User, vec![result("1", vec![Part::text("a")])]),
        ],
        tools: vec![Tool {
            name: "n1".to_owned(),
            description: None,
            kind: ToolKind::Custom { format: None },
            strict: Some(true),
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Allowed {
            names: vec!["n1".to_owned()],
            required: false,
        }),
        ..Chat::default()
    };
    let (written, losses) = write(&foreign(conversation.clone()), &older);
    assert_eq!(
        written["contents"],
        json!([
            {"role": "user", "parts": [{"text": "Begin."}]},
            {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "n1", "args": {}}}, {"functionCall": {"id": "2", "name": "n2", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "1", "name": "n1", "response": {"result": "a"}}},
                {"functionResponse": {"id": "2", "name": "n2", "response": {"result": "b"}}},
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
        ])
    );
    assert_eq!(
        written["toolConfig"],
        json!({"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["n1"]}})
    );
    assert_eq!(losses, ["messages", "tools[0].strict"]);
    conversation.turns.remove(0);
    let (written, losses) = write(&foreign(conversation), &older);
    let named = &written["contents"][0]["parts"][0]["functionResponse"]["name"];
    assert_eq!(*named, json!("2"));
    assert!(
        losses.contains(&"messages[0].content[0].name".to_owned()),
        "{losses:?}"
    );
}

#[test]
fn what_cannot_be_carried_is_refused_or_declared() {
    let other = PartKind::File {
        source: contract::chat::Media::Id {
            dialect: OTHER,
            id: "file-1".to_owned(),
            mime: None,
        },
        name: None,
        citations: false,
        context: None,
    };
    let mut asked = hello();
    asked.turns[0].parts.push(other.into());
    let card = card();
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let fault = DIALECT
        .write_request(&foreign(asked), &target)
        .expect_err("foreign file");
    assert_eq!(fault.kind, FaultKind::Unsupported);
    let strict = Target {
        card: &card,
        unsupported: Unsupported::Refuse,
        quirks: Default::default(),
    };
    let verbose = Chat {
        verbosity: Some("low".to_owned()),
        ..hello()
    };
    assert_eq!(write(&foreign(verbose.clone()), &card).1, ["verbosity"]);
    let fault = DIALECT
        .write_request(&foreign(verbose), &strict)
        .expect_err("refused");
    assert_eq!(fault.field.as_deref(), Some("verbosity"));
    let mut request = foreign(hello());
    request
        .extras
        .fields
        .push(("contents[0].novel".to_owned(), RawJson::new("1")));
    let (written, losses) = write(&request, &card);
    assert_eq!(
        written["contents"],
        json!([{"role": "user", "parts": [{"text": "hi"}]}])
    );
    assert_eq!(losses, ["contents[0].novel"]);
}

#[test]
fn token_counts() {
    let count = |chat: Chat| {
        let mut request = foreign(chat);
        let Task::Chat(chat) = request.task else {
            panic!("a chat")
        };
        request.task = Task::CountTokens(chat);
        write(&request, &card()).0
    };
    assert_eq!(
        count(hello()),
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    );
    let mut with_system = hello();
    with_system
        .turns
        .insert(0, turn(Role::System, vec![Part::text("Sys.")]));
    assert_eq!(
        count(with_system),
        json!({"generateContentRequest": {"model": "models/gemini-3",
            "systemInstruction": {"parts": [{"text": "Sys."}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}})
    );
    let body = format!(r#"{{"generateContentRequest":{{"model":"models/gemini-3",{HELLO}}}}}"#);
    let doc = Doc::request(Bytes::from(body)).expect("JSON");
    let request = DIALECT
        .read_request(&route(Operation::CountTokens), doc.root())
        .expect("valid");
    assert_eq!(
        request.task,
        Task::CountTokens(Box::new(Chat {
            stream_usage: true,
            ..hello()
        }))
    );
}

#[test]
fn embeddings() {
    let read_embed = |variant, body: &str| {
        let doc = Doc::request(Bytes::copy_from_slice(body.as_bytes())).expect("JSON");
        DIALECT.read_request(
            &Route {
                variant,
                ..route(Operation::Embed)
            },
            doc.root(),
        )
    };
    let one = r#"{"model":"models/gemini-3","content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING","outputDimensionality":8}"#;
    let request = read_embed(EMBED_ONE, one).expect("valid");
    assert_eq!(
        write(&request, &card()),
        (parsed(one.as_bytes()), Vec::new())
    );
    let batch = format!(r#"{{"requests":[{one},{one}]}}"#);
    let request = read_embed(EMBED_BATCH, &batch).expect("valid");
    assert_eq!(
        write(&request, &card()),
        (parsed(batch.as_bytes()), Vec::new())
    );
    let mixed = format!(
        r#"{{"requests":[{one},{}]}}"#,
        one.replace("CLUSTERING", "RETRIEVAL_QUERY")
    );
    assert_eq!(
        read_embed(EMBED_BATCH, &mixed).expect_err("mixed").kind,
        FaultKind::Unsupported
    );
    let image = r#"{"content":{"parts":[{"inlineData":{}}]}}"#;
    assert_eq!(
        read_embed(EMBED_ONE, image).expect_err("image").kind,
        FaultKind::Unsupported
    );
    let mut tokens = foreign(hello());
    tokens.task = Task::Embed(Embed {
        inputs: vec![EmbedInput::Tokens(vec![1])],
        ..Embed::default()
    });
    let card = card();
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    assert_eq!(
        DIALECT
            .write_request(&tokens, &target)
            .expect_err("tokens")
            .kind,
        FaultKind::Unsupported
    );
}

proptest! {
    /// Whatever byte of a request changes, reading, surveying and writing it
    /// end in a value or a fault.
    #[test]
    fn no_request_makes_a_reader_panic(at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..6), drop in 0_usize..12) {
        let mut body = fixture("whole/request.gemini.json").to_vec();
        let at = at.index(body.len());
        let end = (at + drop).min(body.len());
        body.splice(at..end, with);
        if let Ok(doc) = Doc::request(Bytes::from(body)) {
            for operation in [Operation::Chat, Operation::CountTokens, Operation::Embed] {
                let _ = DIALECT.survey(&route(operation), doc.root());
                if let Ok(mut request) = DIALECT.read_request(&route(operation), doc.root()) {
                    let card = card();
                    let target = Target { card: &card, unsupported: Unsupported::Drop, quirks: Default::default(), };
                    let _ = DIALECT.write_request(&request, &target);
                    request.dialect = OTHER;
                    let _ = DIALECT.write_request(&request, &target);
                }
            }
        }
    }
}
