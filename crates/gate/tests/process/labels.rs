//! Every answer of the sandbox says that it is one, whatever its dialect and
//! form: in a header always, in the body where the dialect has room for it.

use crate::client::Client;
use crate::gateway::{Gateway, Home, KEY};
use serde_json::{Value, json};

/// The name of the model in these tests, which says nothing.
const MODEL: &str = "plain";

/// A form of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Tool,
    Json,
    Stream,
}

const FORMS: [Form; 4] = [Form::Text, Form::Tool, Form::Json, Form::Stream];

fn words(form: Form) -> &'static str {
    match form {
        // Free text is labelled by itself, so this is the text that is not.
        Form::Text | Form::Stream => "say exactly: pong",
        Form::Tool => "use the tool",
        Form::Json => "fill it in",
    }
}

fn schema() -> Value {
    json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false
    })
}

/// Path and body in a dialect; `None` where it has no such form.
fn call(dialect: &str, form: Form) -> Option<(String, Value)> {
    let mut body = match dialect {
        "chat" => json!({
            "model": MODEL, "messages": [{"role": "user", "content": words(form)}],
            "stream": form == Form::Stream
        }),
        "responses" => json!({
            "model": MODEL, "input": words(form), "stream": form == Form::Stream
        }),
        "messages" => json!({
            "model": MODEL, "max_tokens": 100, "stream": form == Form::Stream,
            "messages": [{"role": "user", "content": words(form)}]
        }),
        "generate" => json!({"contents": [{"role": "user", "parts": [{"text": words(form)}]}]}),
        _ => json!({"messages": [{"role": "user", "content": [{"text": words(form)}]}]}),
    };
    let path = match (dialect, form) {
        ("chat", _) => "/v1/chat/completions",
        ("responses", _) => "/v1/responses",
        ("messages", _) => "/v1/messages",
        ("generate", Form::Stream) => "/v1beta/models/plain:streamGenerateContent?alt=sse",
        ("generate", _) => "/v1beta/models/plain:generateContent",
        (_, Form::Stream) => "/model/plain/converse-stream",
        (_, _) => "/model/plain/converse",
    };
    match (dialect, form) {
        ("chat", Form::Tool) => {
            let function = json!({"name": "look", "parameters": schema()});
            body["tools"] = json!([{"type": "function", "function": function}]);
        }
        ("responses", Form::Tool) => {
            body["tools"] = json!([{"type": "function", "name": "look", "parameters": schema()}]);
        }
        ("messages", Form::Tool) => {
            body["tools"] = json!([{"name": "look", "input_schema": schema()}]);
        }
        ("generate", Form::Tool) => {
            let declared = json!([{"name": "look", "parametersJsonSchema": schema()}]);
            body["tools"] = json!([{"functionDeclarations": declared}]);
        }
        (_, Form::Tool) => {
            let spec = json!({"name": "look", "inputSchema": {"json": schema()}});
            body["toolConfig"] = json!({"tools": [{"toolSpec": spec}]});
        }
        ("chat", Form::Json) => {
            body["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema()}});
        }
        ("responses", Form::Json) => {
            body["text"] =
                json!({"format": {"type": "json_schema", "name": "x", "schema": schema()}});
        }
        ("messages", Form::Json) => {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema()}});
        }
        ("generate", Form::Json) => {
            body["generationConfig"] = json!({
                "responseMimeType": "application/json", "responseJsonSchema": schema()
            });
        }
        (_, Form::Json) => return None,
        (_, Form::Text | Form::Stream) => {}
    }
    Some((path.to_owned(), body))
}

/// Header `tollgate-provider` and body.
fn ask(gateway: &Gateway, path: &str, body: &Value) -> (String, String) {
    let mut client = Client::connect(gateway.data()).unwrap();
    let bearer = format!("Bearer {KEY}");
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    if path == "/v1/messages" {
        headers.push(("anthropic-version", "2023-06-01"));
    }
    client
        .send("POST", path, &headers, body.to_string().as_bytes())
        .unwrap();
    let answer = client.answer().unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{path}: {text}");
    (answer.header("tollgate-provider").to_owned(), text)
}

#[test]
fn every_answer_of_the_sandbox_is_labelled() {
    let home = Home::with("providers: {box: {kind: sandbox}}\nmodels: {plain: box/echo}");
    let gateway = home.start();
    for dialect in ["chat", "responses", "messages", "generate", "converse"] {
        for form in FORMS {
            let Some((path, body)) = call(dialect, form) else {
                continue;
            };
            let (provider, text) = ask(&gateway, &path, &body);
            assert_eq!(provider, "box", "{dialect} {form:?}");
            // Its answers have no id, and a text that was dictated no label.
            let has_room = dialect != "converse" || form == Form::Tool;
            assert_eq!(
                text.contains("sandbox"),
                has_room,
                "{dialect} {form:?}: {text}"
            );
        }
    }
    let (_, first) = ask(
        &gateway,
        "/v1/chat/completions",
        &call("chat", Form::Text).unwrap().1,
    );
    let (_, second) = ask(
        &gateway,
        "/v1/chat/completions",
        &call("chat", Form::Text).unwrap().1,
    );
    let id = |text: &str| serde_json::from_str::<Value>(text).unwrap()["id"].clone();
    assert_ne!(id(&first), id(&second), "ids are of one answer only");
    // Vectors have no room for a label; the header is on them too.
    let embed = json!({"model": MODEL, "input": "hi"});
    let (provider, _) = ask(&gateway, "/v1/embeddings", &embed);
    assert_eq!(provider, "box");
    gateway.stop();
}
