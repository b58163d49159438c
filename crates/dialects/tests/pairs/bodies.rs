//! Writes what the matrix makes to `target/pairs/<dialect>/<kind>/<case>.json`,
//! where the suite `types` of the testbed holds it against the types of the
//! vendors' SDKs. Kinds: `chat`, `count_tokens`, `embeddings` (bodies for an
//! upstream), `answer`, `stream` (the data of each event) and `fault`.

use std::path::{Path, PathBuf};

use contract::{Fault, FaultKind, Origin};
use serde_json::{Value, json};
use tollgate_dialects::framing::Framing;
use tollgate_dialects::{Dialect, fold};

use crate::account::Findings;
use crate::answer_matrix::{Answered, answered};
use crate::drive::{self, REQUEST_ID, dialects};
use crate::request_matrix::{Asking, askings};

#[test]
fn bodies_are_written_for_the_types_of_the_sdks() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../pairs");
    if root.exists() {
        std::fs::remove_dir_all(&root).expect("an earlier run is ours");
    }
    let mut written = 0;
    for to in dialects() {
        for from in dialects() {
            let folder = root.join(to.id().0);
            written += requests(from, to, &folder) + answers(from, to, &folder);
        }
        written += faults(to, &root.join(to.id().0));
    }
    assert!(written > 500, "only {written} bodies");
}

fn requests(from: &dyn Dialect, to: &dyn Dialect, folder: &Path) -> usize {
    let mut written = 0;
    for asking in askings(from, &mut Findings::default()) {
        let Asking {
            name,
            request,
            is_fixture,
        } = asking;
        let operation = drive::operation_of(&request);
        // Its own unknown fields a caller gets back, whatever the types say.
        let is_own = is_fixture && from.id() == to.id();
        if is_own || !to.operations().contains(&operation) {
            continue;
        }
        if let Ok(body) = drive::write(to, &request) {
            let body = parsed(&body.body);
            put(&folder.join(operation.name()), &name, &body);
            written += 1;
        }
    }
    written
}

fn answers(from: &dyn Dialect, to: &dyn Dialect, folder: &Path) -> usize {
    let mut written = 0;
    for Answered { name, answer } in answered(from, &mut Findings::default()) {
        let name = name.replace(['/', ' ', '(', ')'], "-");
        let body = drive::write_answer(to, &answer).body;
        put(&folder.join("answer"), &name, &parsed(&body));
        let (stream, _) = drive::write_stream(to, &fold::unfold(answer));
        put(&folder.join("stream"), &name, &events(to, &stream));
        written += 2;
    }
    written
}

/// The data of each event; with its name where the framing keeps it apart.
fn events(dialect: &dyn Dialect, stream: &[u8]) -> Value {
    let mut events = Vec::new();
    let seen = drive::each_frame(dialect.framing(), stream, stream.len(), |frame| {
        if frame.data != b"[DONE]" {
            let data = parsed(frame.data);
            events.push(match dialect.framing() {
                Framing::Sse => data,
                Framing::EventStream => json!([String::from_utf8_lossy(frame.event), data]),
            });
        }
        Ok(())
    });
    seen.expect("our own frames");
    Value::from(events)
}

fn faults(to: &dyn Dialect, folder: &Path) -> usize {
    for kind in FaultKind::ALL {
        let fault = Fault::new(kind, Origin::Gateway, "It broke. Do this next.");
        let body = to.write_fault(&fault, REQUEST_ID);
        let shown = json!({"status": fault.status(), "body": parsed(&body.body)});
        put(&folder.join("fault"), kind.name(), &shown);
    }
    FaultKind::ALL.len()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("what we write is JSON")
}

fn put(folder: &Path, name: &str, body: &Value) {
    std::fs::create_dir_all(folder).expect("the target folder is ours");
    let file: PathBuf = folder.join(format!("{name}.json"));
    std::fs::write(file, body.to_string()).expect("the target folder is ours");
}
