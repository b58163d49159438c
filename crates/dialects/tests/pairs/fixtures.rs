//! The fixtures of the repository, found by their names: for each dialect's
//! folder `request.<dialect>.json`, `answer.json` (the provider's whole
//! answer), and `stream.sse` or `events.json` (its stream).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use tollgate_dialects::Dialect;
use tollgate_dialects::framing::Framing;

use crate::drive;

/// One fixture.
#[derive(Debug)]
pub(crate) struct Fixture {
    /// Its folder, as `dialect/case`.
    pub(crate) name: String,
    /// Its bytes, as they travel.
    pub(crate) bytes: Bytes,
}

/// Requests of clients of this dialect. Several may be in one folder.
pub(crate) fn requests(dialect: &dyn Dialect) -> Vec<Fixture> {
    let own = format!("request.{}.json", dialect.id());
    all(dialect, |name| name == own || name == "request.json")
}

/// Embedding requests, counts and chats share a name; the body tells.
pub(crate) fn is_embedding(body: &Bytes) -> bool {
    let value: Value = serde_json::from_slice(body).expect("fixtures are JSON");
    let has = |key: &str| value.get(key).is_some();
    (has("input") && !has("instructions") && value["input"] != Value::Null && has("dimensions"))
        || has("encoding_format")
        || (has("content") && !has("contents"))
        || value["requests"].is_array()
}

/// Whole answers of providers to chats.
pub(crate) fn answers(dialect: &dyn Dialect) -> Vec<Fixture> {
    let mut found = all(dialect, |name| name == "answer.json");
    found.retain(|fixture| !fixture.name.contains("embed") && !fixture.name.contains("count"));
    found
}

/// Streams of providers.
pub(crate) fn streams(dialect: &dyn Dialect) -> Vec<Fixture> {
    match dialect.framing() {
        Framing::Sse => all(dialect, |name| name == "stream.sse"),
        Framing::EventStream => {
            let mut found = all(dialect, |name| name == "events.json");
            for fixture in &mut found {
                let events = serde_json::from_slice(&fixture.bytes).expect("fixtures are JSON");
                fixture.bytes = drive::encoded(&events).into();
            }
            found
        }
    }
}

fn all(dialect: &dyn Dialect, wanted: impl Fn(&str) -> bool) -> Vec<Fixture> {
    let root = root().join(dialect.id().0);
    let mut found = Vec::new();
    for folder in entries(&root) {
        for file in entries(&folder) {
            let name = file.file_name().expect("it has one").to_string_lossy();
            if wanted(&name) {
                let case = folder.file_name().expect("it has one").to_string_lossy();
                found.push(Fixture {
                    name: format!("{}/{case}", dialect.id()),
                    bytes: std::fs::read(&file).expect("readable").into(),
                });
            }
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(list) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = list.map(|entry| entry.expect("readable").path()).collect();
    found.sort();
    found
}
