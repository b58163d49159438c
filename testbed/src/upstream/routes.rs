//! From a request to its answer: which surface, whose key, which fault, which reader and writer.
//!
//! Not here: HTTP serving (`server`) and the shapes of bodies (readers and writers).

use super::answer::Answer;
use super::fail::{Fail, Kind};
use super::faults::{self, Fault};
use super::mind::{self, Part, Reply};
use super::prompt::{Prompt, Surface};
use super::stored::Stored;
use super::{
    Options, auth, catalog, chat, chat_write, converse, converse_write, fast, gemini, gemini_write,
};
use super::{messages, messages_write, responses, responses_write, sigv4};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// A fault that waits for its request.
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) fault: Fault,
    pub(crate) times: u64,
    pub(crate) path_contains: Option<String>,
    pub(crate) model: Option<String>,
}

/// What outlives a request.
#[derive(Debug, Default)]
pub(crate) struct House {
    pub(crate) options: Options,
    pub(crate) scripts: Mutex<VecDeque<Scripted>>,
    stored: Mutex<Stored>,
}

impl House {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().expect("no holder of this lock panics")
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Route {
    Chat {
        compat: bool,
    },
    Responses,
    Stored {
        id: String,
        tail: String,
    },
    Embeddings,
    Models {
        surface: Surface,
        id: Option<String>,
    },
    Messages,
    CountTokens,
    Gemini {
        model: String,
        verb: String,
    },
    Converse {
        model: String,
        verb: ConverseVerb,
    },
    Unknown(Surface),
}

/// What is asked of a model behind Bedrock.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ConverseVerb {
    Whole,
    Stream,
    Count,
}

impl Route {
    fn surface(&self) -> Surface {
        match self {
            Route::Chat { .. } | Route::Embeddings => Surface::Chat,
            Route::Responses | Route::Stored { .. } => Surface::Responses,
            Route::Models { surface, .. } | Route::Unknown(surface) => *surface,
            Route::Messages | Route::CountTokens => Surface::Messages,
            Route::Gemini { .. } => Surface::Gemini,
            Route::Converse { .. } => Surface::Converse,
        }
    }
}

/// The answer, and the name of the fault that shaped it.
pub(crate) fn handle(house: &House, head: &Parts, body: &Bytes) -> (Answer, Option<String>) {
    let route = resolve(head);
    let surface = route.surface();
    let seed = seed(body);
    let request_id = format!("req_{seed}");
    if let Err(fail) = auth::check(&house.options, surface, head, body) {
        return (faults::refuse(surface, &fail, &request_id), None);
    }
    let fault = match pick(house, head, &route, body) {
        Ok(fault) => fault,
        Err(fail) => return (faults::refuse(surface, &fail, &request_id), None),
    };
    let call = Call {
        house,
        head,
        body,
        seed,
        fault: fault.as_ref(),
    };
    let mut answer = match call.answer(&route) {
        Ok(answer) => answer,
        Err(fail) => return (faults::refuse(surface, &fail, &request_id), None),
    };
    auth::dress(&mut answer, surface, &request_id);
    let o = &house.options;
    answer.head_delay = Duration::from_millis(fast::marker(body, "delay").unwrap_or(o.delay_ms));
    if let Some(fault) = &fault {
        answer = faults::apply(fault, surface, &request_id, answer);
    }
    answer.pace(fast::marker(body, "pace").unwrap_or(o.chunk_ms));
    (answer, fault.map(|f| f.name.to_owned()))
}

/// Ids come from the request, and a streamed call gets those of its twin that is not streamed.
fn seed(body: &Bytes) -> String {
    let digest = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut map)) => {
            map.shift_remove("stream");
            map.shift_remove("stream_options");
            // SDKs order fields differently in their streaming helpers.
            map.sort_keys();
            Sha256::digest(Value::Object(map).to_string())
        }
        Ok(_) | Err(_) => Sha256::digest(body),
    };
    sigv4::hex(&digest)[..24].to_owned()
}

fn resolve(head: &Parts) -> Route {
    let path = decode(head.uri.path());
    let mut path = path.as_str();
    let mut compat = false;
    // Vendor roots, so that one port can serve every base URL.
    for root in [
        "/compat",
        "/openai/deployments",
        "/openai",
        "/anthropic",
        "/gemini",
        "/bedrock",
    ] {
        if let Some(rest) = path.strip_prefix(root).filter(|r| r.starts_with('/')) {
            compat = root == "/compat";
            path = rest;
            break;
        }
    }
    if let Some(rest) = path.strip_prefix("/model/") {
        for (suffix, verb) in [
            ("/converse-stream", ConverseVerb::Stream),
            ("/converse", ConverseVerb::Whole),
            ("/count-tokens", ConverseVerb::Count),
        ] {
            if let Some(model) = rest.strip_suffix(suffix) {
                return Route::Converse {
                    model: model.to_owned(),
                    verb,
                };
            }
        }
        return Route::Unknown(Surface::Converse);
    }
    if path.ends_with("/chat/completions") {
        return Route::Chat { compat };
    }
    let (version, rest) = match path.strip_prefix("/v1beta/") {
        Some(rest) => ("v1beta", rest),
        None => ("v1", path.strip_prefix("/v1/").unwrap_or("")),
    };
    versioned(head, version, rest)
}

fn versioned(head: &Parts, version: &str, rest: &str) -> Route {
    if let Some(model) = rest.strip_prefix("models/")
        && let Some((model, verb)) = model.rsplit_once(':')
        && head.method == Method::POST
    {
        return Route::Gemini {
            model: model.to_owned(),
            verb: verb.to_owned(),
        };
    }
    let lists = match (
        version,
        head.headers.contains_key("anthropic-version"),
        head.headers.contains_key("x-goog-api-key"),
    ) {
        ("v1beta", ..) | (_, false, true) => Surface::Gemini,
        (_, true, _) => Surface::Messages,
        _ => Surface::Chat,
    };
    match rest {
        "responses" => Route::Responses,
        "embeddings" => Route::Embeddings,
        "messages" => Route::Messages,
        "messages/count_tokens" => Route::CountTokens,
        "models" => Route::Models {
            surface: lists,
            id: None,
        },
        _ => match (
            rest.strip_prefix("models/"),
            rest.strip_prefix("responses/"),
        ) {
            (Some(id), _) => Route::Models {
                surface: lists,
                id: Some(id.to_owned()),
            },
            (_, Some(tail)) => {
                let (id, tail) = tail.split_once('/').unwrap_or((tail, ""));
                Route::Stored {
                    id: id.to_owned(),
                    tail: tail.to_owned(),
                }
            }
            (None, None) => Route::Unknown(lists),
        },
    }
}

/// Percent-decoding of a path.
fn decode(path: &str) -> String {
    let raw = path.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let hex = (raw[at] == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(raw[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A fault by header, query, model name, `[fault=name]` in the body, or the script queue.
fn pick(house: &House, head: &Parts, route: &Route, body: &[u8]) -> Result<Option<Fault>, Fail> {
    let header = |n: &str| {
        head.headers
            .get(n)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let query = head.uri.query().unwrap_or("");
    let in_query = |n: &str| {
        query
            .split('&')
            .find_map(|p| p.strip_prefix(n))
            .map(str::to_owned)
    };
    let model = match route {
        Route::Gemini { model, .. } | Route::Converse { model, .. } => model.clone(),
        Route::Models { .. } | Route::Stored { .. } | Route::Unknown(_) => String::new(),
        Route::Chat { .. }
        | Route::Responses
        | Route::Embeddings
        | Route::Messages
        | Route::CountTokens => serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|v| v["model"].as_str().map(str::to_owned))
            .unwrap_or_default(),
    };
    let by_model = model.rsplit_once("fault/").map(|(_, n)| n.to_owned());
    let named = header("x-fake-fault")
        .or(in_query("fault="))
        .or(by_model)
        .or(in_body(body));
    let ms = header("x-fake-fault-ms")
        .or(in_query("fault_ms="))
        .and_then(|s| s.parse().ok())
        .or(fast::marker(body, "fault_ms"));
    match named {
        Some(name) => match Fault::named(&name, ms) {
            Some(fault) => Ok(Some(fault)),
            None => Err(Fail::new(
                Kind::Invalid,
                format!("the fake upstream knows no fault '{name}'; GET /__faults lists them"),
            )),
        },
        None => Ok(scripted(house, head.uri.path(), &model)),
    }
}

fn in_body(body: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(body, b"[fault=")? + 7;
    let end = memchr::memchr(b']', &body[at..])?;
    Some(String::from_utf8_lossy(&body[at..at + end]).into_owned())
}

fn scripted(house: &House, path: &str, model: &str) -> Option<Fault> {
    let mut queue = house.scripts.lock().expect("no holder of this lock panics");
    let fits = |s: &Scripted| {
        s.path_contains.as_deref().is_none_or(|p| path.contains(p))
            && s.model.as_deref().is_none_or(|m| m == model)
    };
    let at = queue.iter().position(fits)?;
    let fault = queue[at].fault.clone();
    queue[at].times -= 1;
    if queue[at].times == 0 {
        queue.remove(at);
    }
    Some(fault)
}

/// One call, with what its answer needs.
struct Call<'a> {
    house: &'a House,
    head: &'a Parts,
    body: &'a Bytes,
    seed: String,
    fault: Option<&'a Fault>,
}

impl Call<'_> {
    fn answer(&self, route: &Route) -> Result<Answer, Fail> {
        let get = self.head.method == Method::GET;
        match route {
            Route::Models { surface, id } if get => match id {
                None => Ok(ok(&catalog::list(*surface))),
                Some(id) => Ok(ok(&catalog::one(*surface, id)?)),
            },
            Route::Stored { id, tail } => self.stored(id, tail),
            Route::Unknown(_) => Err(Fail::new(
                Kind::NotFound,
                format!(
                    "Invalid URL ({} {})",
                    self.head.method,
                    self.head.uri.path()
                ),
            )),
            Route::Models { .. } => Err(self.wrong_method()),
            _ if self.head.method != Method::POST => Err(self.wrong_method()),
            Route::Chat { compat } => self.chat(*compat),
            Route::Responses => self.responses(),
            Route::Embeddings => Ok(ok(&catalog::openai_embeddings(
                &self.parse(Surface::Chat)?,
            )?)),
            Route::Messages => self.messages(),
            Route::CountTokens => {
                let (prompt, _) = messages::read(
                    &self.parse(Surface::Messages)?,
                    &self.seed,
                    self.version(),
                    true,
                )?;
                Ok(ok(&json!({"input_tokens": prompt.input_tokens})))
            }
            Route::Gemini { model, verb } => self.gemini(model, verb),
            Route::Converse { model, verb } => self.converse(model, *verb),
        }
    }

    fn wrong_method(&self) -> Fail {
        Fail::new(
            Kind::Method,
            format!(
                "Not allowed to {} on {}",
                self.head.method,
                self.head.uri.path()
            ),
        )
    }

    fn version(&self) -> &str {
        self.head
            .headers
            .get("anthropic-version")
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
    }

    fn parse(&self, surface: Surface) -> Result<Value, Fail> {
        serde_json::from_slice(self.body).map_err(|e| Fail::invalid(match surface {
            Surface::Chat | Surface::Responses => "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)".to_owned(),
            Surface::Messages => format!("The request body is not valid JSON: {e}"),
            Surface::Gemini => format!("Invalid JSON payload received. {e}"),
            Surface::Converse => "Malformed input request, please reformat your input and try again.".to_owned(),
        }))
    }

    /// The mind's answer, with the text that some faults need.
    fn think(&self, prompt: &mut Prompt, surface: Surface) -> Reply {
        if self.fault.is_some_and(Fault::wants_unicode) {
            prompt.last_user = "unicode".to_owned();
        }
        mind::answer(prompt, surface)
    }

    fn chat(&self, compat: bool) -> Result<Answer, Fail> {
        let (mut prompt, knobs) = chat::read(&self.parse(Surface::Chat)?, &self.seed, compat)?;
        let reply = self.think(&mut prompt, Surface::Chat);
        Ok(match prompt.stream {
            true => Answer::stream(
                "text/event-stream; charset=utf-8",
                chat_write::stream(&prompt, &knobs, &reply),
            ),
            false => ok(&chat_write::whole(&prompt, &knobs, &reply)),
        })
    }

    fn messages(&self) -> Result<Answer, Fail> {
        let (mut prompt, knobs) = messages::read(
            &self.parse(Surface::Messages)?,
            &self.seed,
            self.version(),
            false,
        )?;
        let reply = self.think(&mut prompt, Surface::Messages);
        Ok(match prompt.stream {
            true => Answer::stream(
                "text/event-stream; charset=utf-8",
                messages_write::stream(&prompt, &knobs, &reply),
            ),
            false => ok(&messages_write::whole(&prompt, &knobs, &reply)),
        })
    }

    fn gemini(&self, model: &str, verb: &str) -> Result<Answer, Fail> {
        let body = self.parse(Surface::Gemini)?;
        match verb {
            "embedContent" => return Ok(ok(&catalog::gemini_embeddings(&body, false)?)),
            "batchEmbedContents" => return Ok(ok(&catalog::gemini_embeddings(&body, true)?)),
            "countTokens" => {
                // Either bare contents, or a whole request inside.
                let inner = body.get("generateContentRequest").unwrap_or(&body);
                let (prompt, _) = gemini::read(inner, model, &self.seed)?;
                return Ok(ok(&gemini_write::count(&prompt)));
            }
            "generateContent" | "streamGenerateContent" => {}
            other => {
                return Err(Fail::new(
                    Kind::NotFound,
                    format!("models/{model} is not supported for {other}"),
                ));
            }
        }
        let (mut prompt, knobs) = gemini::read(&body, model, &self.seed)?;
        let reply = self.think(&mut prompt, Surface::Gemini);
        let sse = self
            .head
            .uri
            .query()
            .is_some_and(|q| q.split('&').any(|p| p == "alt=sse"));
        Ok(match (verb, sse) {
            ("generateContent", _) => ok(&gemini_write::whole(&prompt, &knobs, &reply)),
            (_, true) => Answer::stream(
                "text/event-stream",
                gemini_write::sse(&prompt, &knobs, &reply),
            ),
            (_, false) => Answer::stream(
                "application/json; charset=UTF-8",
                gemini_write::array(&prompt, &knobs, &reply),
            ),
        })
    }

    fn converse(&self, model: &str, verb: ConverseVerb) -> Result<Answer, Fail> {
        let body = self.parse(Surface::Converse)?;
        let read = || -> Result<Reply, Fail> {
            let mut prompt = converse::read(&body, model, &self.seed)?;
            Ok(self.think(&mut prompt, Surface::Converse))
        };
        Ok(match verb {
            ConverseVerb::Whole => ok(&converse_write::whole(&read()?)),
            ConverseVerb::Stream => Answer::stream(
                "application/vnd.amazon.eventstream",
                converse_write::stream(&read()?),
            ),
            ConverseVerb::Count => {
                let prompt = converse::read_count(&body, model, &self.seed)?;
                ok(&json!({"inputTokens": prompt.input_tokens}))
            }
        })
    }

    fn responses(&self) -> Result<Answer, Fail> {
        let body = self.parse(Surface::Responses)?;
        let history = match body["previous_response_id"].as_str() {
            Some(id) => self.house.stored().recall(id)?.items,
            None => Vec::new(),
        };
        let (mut prompt, knobs) = responses::read(&body, &self.seed, &history)?;
        let reply = self.think(&mut prompt, Surface::Responses);
        let whole = responses_write::whole(&prompt, &knobs, &reply);
        if knobs.store {
            let mut items = history;
            items.extend(responses::input_items(&body));
            items.extend(replayable(&whole, &reply));
            self.house.stored().remember(&whole, items);
        }
        Ok(match prompt.stream {
            true => Answer::stream(
                "text/event-stream; charset=utf-8",
                responses_write::stream(&prompt, &knobs, &reply),
            ),
            false => ok(&whole),
        })
    }

    /// `/responses/{id}` and what hangs below it.
    fn stored(&self, id: &str, tail: &str) -> Result<Answer, Fail> {
        if id == "input_tokens" {
            let (prompt, _) = responses::read(&self.parse(Surface::Responses)?, &self.seed, &[])?;
            return Ok(ok(
                &json!({"object": "response.input_tokens", "input_tokens": prompt.input_tokens}),
            ));
        }
        let found = self.house.stored().recall(id).map_err(|_| {
            Fail::new(
                Kind::NotFound,
                format!("Response with id '{id}' not found."),
            )
        })?;
        match (&self.head.method, tail) {
            (&Method::GET, "") => Ok(ok(&found.body)),
            (&Method::GET, "input_items") => Ok(ok(
                &json!({"object": "list", "data": found.items, "has_more": false, "first_id": null, "last_id": null}),
            )),
            (&Method::POST, "cancel") => Err(Fail::invalid(
                "Only responses with background=true can be cancelled.",
            )),
            (&Method::DELETE, "") => {
                self.house.stored().forget(id);
                Ok(ok(
                    &json!({"id": id, "object": "response", "deleted": true}),
                ))
            }
            _ => Err(self.wrong_method()),
        }
    }
}

/// Output items as they may be put into an input; stored reasoning needs no blob.
fn replayable(whole: &Value, reply: &Reply) -> Vec<Value> {
    let reasoned = reply
        .parts
        .iter()
        .any(|p| matches!(p, Part::Thinking { .. }));
    let items = whole["output"].as_array().cloned().unwrap_or_default();
    items
        .into_iter()
        .filter(|i| reasoned || i["type"] != "reasoning")
        .collect()
}

fn ok(body: &Value) -> Answer {
    Answer::json(StatusCode::OK, body)
}
