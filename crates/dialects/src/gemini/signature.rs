//! Thought signatures. The vendor's own travel byte for byte. One of another
//! vendor is shown to a client in the same place, but that place is a
//! protobuf `bytes` field, which SDKs decode: it must be base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use contract::chat::Signature;

use super::ID;
use crate::carry;

/// Marks the token of another vendor, inside the base64.
const FOREIGN: &str = "tgs.";
/// Marks the token of a redacted thinking part, inside the base64.
const REDACTED: &str = "tgr.";
/// How base64 of the two marks begins.
const WRAPPED: [&str; 2] = ["dGdz", "dGdy"];

/// A signature as a client of this dialect sees it. `redacted` tells that it
/// belongs to thinking that only its vendor can read.
pub(super) fn show(signature: &Signature, redacted: bool) -> String {
    if signature.dialect == ID && !redacted {
        return signature.value.clone();
    }
    let mark = if redacted { REDACTED } else { FOREIGN };
    let text = carry::show_signature(signature, ID);
    STANDARD.encode(format!("{mark}{text}"))
}

/// The signature behind what a client sent, and whether it belongs to
/// redacted thinking.
pub(super) fn read(text: &str) -> (Signature, bool) {
    if let Some(marked) = unwrapped(text) {
        if let Some(shown) = marked.strip_prefix(REDACTED) {
            return (carry::read_signature(shown, ID), true);
        }
        if let Some(shown) = marked.strip_prefix(FOREIGN) {
            return (carry::read_signature(shown, ID), false);
        }
    }
    let value = text.to_owned();
    (Signature { dialect: ID, value }, false)
}

/// The text inside the base64, if it is one of ours. SDKs encode bytes in the
/// URL-safe alphabet, whichever they came in.
fn unwrapped(text: &str) -> Option<String> {
    if !WRAPPED.iter().any(|mark| text.starts_with(mark)) {
        return None;
    }
    let plain = standard_base64(text.trim_end_matches('='));
    let bytes = STANDARD_NO_PAD.decode(plain.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

/// Base64 in the standard alphabet. The API takes the URL-safe one as well;
/// other vendors do not.
pub(super) fn standard_base64(text: &str) -> String {
    if text.bytes().any(|byte| byte == b'-' || byte == b'_') {
        text.replace('-', "+").replace('_', "/")
    } else {
        text.to_owned()
    }
}
