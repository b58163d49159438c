//! Error bodies of providers, and paths: anything may come.

use contract::{Fault, FaultKind, Origin};
use http::{HeaderMap, Method};

use super::calls;

/// An error body, and the same bytes as a path.
pub(super) fn run(data: &[u8]) {
    let Some((dialect, choice, body)) = calls::chosen(data) else {
        return;
    };
    let error = dialect.read_error(400 + u16::from(choice), &HeaderMap::new(), &body);
    let kinds = FaultKind::ALL;
    let kind = kinds[usize::from(choice) % kinds.len()];
    let mut fault = Fault::new(kind, Origin::Provider, error.message.clone());
    fault.upstream = Some(Box::new(error));
    for client in dialects::DIALECTS {
        let written = client.write_fault(&fault, "0192f0c1-aaaa-7bbb-8ccc-ddddeeeeffff");
        calls::must_be_json(&written.body, *client);
        let frame = client.write_fault_frame(&fault, "0192f0c1-aaaa-7bbb-8ccc-ddddeeeeffff", 0);
        super::dialect_streams::must_frame(*client, &frame);
    }
    if let Ok(path) = std::str::from_utf8(&body) {
        let headers = HeaderMap::new();
        let head = dialects::Head {
            method: &Method::POST,
            path,
            query: None,
            headers: &headers,
        };
        let _ = dialects::route(&head);
        let _ = dialects::likely(&head);
    }
}
