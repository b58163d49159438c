//! What a client does with an answer: it puts it into the conversation as it
//! came and adds the results of the tools. Written for each dialect in plain
//! JSON, because this is what SDKs do with bytes, not what our writers do.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialects::Dialect;

/// The body of a client's first request.
pub(crate) fn first(client: &dyn Dialect, model: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let text = "Weather in Rome?";
    match client.id().0 {
        "openai_chat" => json!({
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": schema}}],
        }),
        "openai_responses" => json!({
            "model": model,
            "input": [{"role": "user", "content": text}],
            "tools": [{"type": "function", "name": "weather", "parameters": schema, "strict": false}],
        }),
        "anthropic" => json!({
            "model": model,
            "max_tokens": 20_000,
            "messages": [{"role": "user", "content": text}],
            "tools": [{"name": "weather", "input_schema": schema}],
        }),
        "gemini" => json!({
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "tools": [{"functionDeclarations": [{"name": "weather", "parameters": schema}]}],
        }),
        "bedrock" => json!({
            "messages": [{"role": "user", "content": [{"text": text}]}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": schema}}}]},
        }),
        other => panic!("say here what a first request of `{other}` looks like"),
    }
}

/// Adds an answer and the results of its calls to the conversation.
pub(crate) fn go_on(client: &dyn Dialect, conversation: &mut Value, answer: &Bytes) {
    let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    let (turns, said) = match client.id().0 {
        "openai_chat" => ("messages", vec![answer["choices"][0]["message"].clone()]),
        "openai_responses" => ("input", list(&answer["output"])),
        "anthropic" => (
            "messages",
            vec![json!({"role": "assistant", "content": answer["content"]})],
        ),
        "gemini" => ("contents", vec![answer["candidates"][0]["content"].clone()]),
        "bedrock" => ("messages", vec![answer["output"]["message"].clone()]),
        other => panic!("say here how a client of `{other}` echoes an answer"),
    };
    let results = results(client, &said);
    let turns = conversation[turns].as_array_mut().expect("a list of turns");
    turns.extend(said);
    turns.extend(results);
}

fn results(client: &dyn Dialect, said: &[Value]) -> Vec<Value> {
    let last = said.last().expect("something was said");
    let results = |blocks: &Value, result: fn(&Value) -> Option<Value>| -> Vec<Value> {
        list(blocks).iter().filter_map(result).collect()
    };
    match client.id().0 {
        "openai_chat" => results(&last["tool_calls"], |call| {
            Some(json!({"role": "tool", "tool_call_id": call["id"], "content": "Sunny"}))
        }),
        "openai_responses" => results(&Value::from(said.to_vec()), |item| {
            (item["type"] == "function_call").then(|| {
                json!({"type": "function_call_output", "call_id": item["call_id"], "output": "Sunny"})
            })
        }),
        "anthropic" => {
            let blocks = results(&last["content"], |block| {
                (block["type"] == "tool_use").then(|| {
                    json!({"type": "tool_result", "tool_use_id": block["id"], "content": "Sunny"})
                })
            });
            vec![json!({"role": "user", "content": blocks})]
        }
        "gemini" => {
            let parts = results(&last["parts"], |part| {
                let call = part.get("functionCall")?;
                Some(json!({"functionResponse": {
                    "id": call["id"], "name": call["name"], "response": {"output": "Sunny"},
                }}))
            });
            vec![json!({"role": "user", "parts": parts})]
        }
        "bedrock" => {
            let blocks = results(&last["content"], |block| {
                let call = block.get("toolUse")?;
                Some(json!({"toolResult": {
                    "toolUseId": call["toolUseId"], "content": [{"text": "Sunny"}],
                }}))
            });
            vec![json!({"role": "user", "content": blocks})]
        }
        other => panic!("say here how a client of `{other}` tells results"),
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
