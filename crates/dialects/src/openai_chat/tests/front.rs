//! The front door: paths, surveys, models.

use contract::FaultKind;
use http::{HeaderMap, Method};

use super::*;
use crate::dialect::{Head, ModelEntry};
use crate::splice;

fn routed(method: Method, path: &str) -> Option<Route> {
    DIALECT.route(&Head {
        method: &method,
        path,
        query: None,
        headers: &HeaderMap::new(),
    })
}

#[test]
fn each_path() {
    let served = |method, path: &str| {
        let route = routed(method, path).unwrap_or_else(|| panic!("{path} is ours"));
        assert_eq!(route.refused, None, "{path}");
        (route.operation, route.model)
    };
    let (get, post) = (Method::GET, Method::POST);
    for prefix in ["", "/v1", "/openai/v1"] {
        let at = |rest: &str| format!("{prefix}{rest}");
        assert_eq!(
            served(post.clone(), &at("/chat/completions")),
            (Operation::Chat, None)
        );
        assert_eq!(
            served(post.clone(), &at("/embeddings")),
            (Operation::Embed, None)
        );
        assert_eq!(
            served(get.clone(), &at("/models")),
            (Operation::ListModels, None)
        );
        let named = Some("sandbox/echo".to_owned());
        assert_eq!(
            served(get.clone(), &at("/models/sandbox/echo")),
            (Operation::GetModel, named.clone())
        );
        assert_eq!(
            served(get.clone(), &at("/models/sandbox%2Fecho")),
            (Operation::GetModel, named)
        );
    }
    assert_eq!(
        served(
            post.clone(),
            "/openai/deployments/my%20gpt/chat/completions"
        ),
        (Operation::Chat, Some("my gpt".to_owned()))
    );
    let refused = |method, path| {
        routed(method, path)
            .and_then(|route| route.refused)
            .map(|fault| fault.kind)
    };
    assert_eq!(
        refused(get, "/v1/chat/completions"),
        Some(FaultKind::MethodNotAllowed)
    );
    assert_eq!(
        refused(post.clone(), "/v1/images/generations"),
        Some(FaultKind::UnknownPath)
    );
    assert_eq!(routed(post.clone(), "/v1/messages"), None);
    assert_eq!(routed(post, "/v1/models/"), None);
}

/// The body after the edit that asks for usage.
fn asking(body: &str) -> serde_json::Value {
    let doc = doc(body);
    let route = Route::new(ID, Operation::Chat);
    let survey = DIALECT.survey(&route, doc.root()).expect("fine");
    let edits = survey.ask_usage.into_iter().collect();
    json(splice::apply(doc.bytes(), edits).concat())
}

#[test]
fn usage_is_asked_for_where_the_caller_did_not() {
    let with = |rest: &str| format!(r#"{{"model":"m","messages":[1],"stream":true{rest}}}"#);
    for options in [
        "",
        r#","stream_options":null"#,
        r#","stream_options":{}"#,
        r#","stream_options":{"include_usage":false}"#,
        r#","stream_options":{"include_usage":true}"#,
    ] {
        let edited = asking(&with(options));
        assert_eq!(edited["stream_options"]["include_usage"], true, "{options}");
    }
    let kept = asking(&with(r#","stream_options":{"include_obfuscation":false}"#));
    assert_eq!(kept["stream_options"]["include_obfuscation"], false);
    assert!(
        asking(r#"{"model":"m","messages":[1]}"#)
            .get("stream_options")
            .is_none()
    );
}

#[test]
fn a_survey_finds_what_governs() {
    let body = r#"{"messages":[{},{}],"model":"a\/b","max_tokens":9,"max_completion_tokens":5,"n":3,"tools":[{}],"functions":[{},{}],"stream":true,"stream_options":{"include_usage":true}}"#;
    let doc = doc(body);
    let route = Route::new(ID, Operation::Chat);
    let survey = DIALECT.survey(&route, doc.root()).expect("fine");
    assert_eq!(survey.model, "a/b");
    assert_eq!(&body[survey.model_span.expect("there")], r#""a\/b""#);
    assert_eq!(survey.output_tokens_max, Some(5));
    assert_eq!((survey.turns, survey.tools, survey.choices), (2, 3, 3));
    assert!(survey.stream && survey.stream_usage && survey.ask_usage.is_none());
}

#[test]
fn a_survey_refuses_what_is_wrong() {
    let route = Route::new(ID, Operation::Chat);
    for (body, field) in [
        (r#"{"messages":[{}]}"#, "model"),
        (r#"{"model":"","messages":[{}]}"#, "model"),
        (r#"{"model":7,"messages":[{}]}"#, "model"),
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":[]}"#, "messages"),
        (r#"{"model":"m","messages":"hi"}"#, "messages"),
        (r#"{"model":"m","messages":[{}],"stream":"yes"}"#, "stream"),
        (
            r#"{"model":"m","messages":[{}],"max_tokens":0}"#,
            "max_tokens",
        ),
        (
            r#"{"model":"m","messages":[{}],"max_completion_tokens":1.5}"#,
            "max_completion_tokens",
        ),
        (r#"{"model":"m","messages":[{}],"n":-1}"#, "n"),
        (
            r#"{"model":"m","messages":[{}],"stream_options":3}"#,
            "stream_options",
        ),
        ("[]", ""),
    ] {
        let doc = doc(body);
        let fault = DIALECT.survey(&route, doc.root()).expect_err(body);
        assert_eq!(fault.kind, FaultKind::BadRequest, "{body}");
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn a_deployment_in_the_path_names_the_model() {
    let mut route = Route::new(ID, Operation::Chat);
    route.model = Some("dep".to_owned());
    let without = doc(r#"{"messages":[{}]}"#);
    let survey = DIALECT.survey(&route, without.root()).expect("fine");
    assert_eq!((&*survey.model, survey.model_at), ("dep", Some(1)));
    let same = doc(r#"{"messages":[{}],"model":"dep"}"#);
    assert_eq!(
        DIALECT.survey(&route, same.root()).expect("fine").model_at,
        None
    );
    let other = doc(r#"{"messages":[{}],"model":"gpt"}"#);
    assert!(DIALECT.survey(&route, other.root()).is_err());
}

#[test]
fn lists_of_models() {
    let models = [ModelEntry {
        id: "sandbox/echo",
        owned_by: "tollgate",
        created_s: 7,
        card: None,
    }];
    let one = serde_json::json!({"id": "sandbox/echo", "object": "model", "created": 7, "owned_by": "tollgate"});
    let route = Route::new(ID, Operation::ListModels);
    let list = json(DIALECT.write_models(&models, &asked(&route)));
    assert_eq!(list, serde_json::json!({"object": "list", "data": [one]}));
    let route = Route::new(ID, Operation::GetModel);
    assert_eq!(json(DIALECT.write_models(&models, &asked(&route))), one);
}
