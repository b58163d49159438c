//! How a vendor's opaque tokens travel through a client that speaks another
//! dialect, so that they come back byte for byte on the next turn.
//!
//! A signature of another vendor is shown to the client in its own dialect's
//! place for signatures, marked with where it belongs. A token that belongs
//! to a tool call also rides inside the call's id, for clients that drop
//! fields they do not know.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::DialectId;
use contract::chat::Signature;
use memchr::memchr3_iter;

use crate::json::Doc;

/// Stands in every mark, so that one search finds them all.
const SEAL: &str = "_tgc_";
/// The seal in base64, where a mark begins with it. Dialects whose place for
/// tokens is a field of bytes show their marks so.
const SEAL_AT_0: &str = "X3RnY1";
/// The seal in base64, where three bytes and a dot stand before it.
const SEAL_AT_4: &str = "Ll90Z2Nf";
/// Marks a foreign signature: `_tgc_1.<dialect>.<token>`.
const SIGNATURE_MARK: &str = "_tgc_1.";
/// Joins a call id and the token that rides in it.
const ID_MARK: &str = "_tgc_sig_";

/// Begins an id that was too long to stand before its token as it is: what
/// follows, up to the token, is the id in base64url.
const LONG_ID_MARK: &str = "_tgc_lid_";
/// Longest id that stands before its token as it is, in bytes. Vendors mint
/// ids of at most 64.
const PLAIN_ID_BYTES_MAX: usize = 128;

/// How deep in a string a mark may begin, in bytes: signatures and long ids
/// begin with it, and behind other ids it comes soon. So the depth of a long
/// prompt is not searched.
const MARK_WITHIN_BYTES: usize = 1_024;
/// Most bytes that a client may write for one byte of an id: `\u0000`.
const ESCAPE_BYTES_MAX: usize = 6;
const _: () = assert!(PLAIN_ID_BYTES_MAX * ESCAPE_BYTES_MAX + ID_MARK.len() < MARK_WITHIN_BYTES);

/// Whether a caller's body may hold a token that an earlier answer of another
/// vendor left with it. Such a body is read and written anew even for its own
/// dialect, because the vendor would refuse the mark.
pub fn may_carry(doc: &Doc) -> bool {
    let bytes = doc.bytes();
    let mut from = 0;
    for deep in doc.strings_over(2 * MARK_WITHIN_BYTES) {
        if holds_mark(&bytes[from..deep.start + MARK_WITHIN_BYTES]) {
            return true;
        }
        from = deep.end;
    }
    holds_mark(&bytes[from..])
}

fn holds_mark(text: &[u8]) -> bool {
    let [own, at_0, at_4] = [SEAL, SEAL_AT_0, SEAL_AT_4].map(str::as_bytes);
    // One pass for all three by the bytes that they begin with, all of which
    // are rare in prompts.
    memchr3_iter(own[0], at_0[0], at_4[0], text).any(|at| {
        let rest = &text[at..];
        [own, at_0, at_4].iter().any(|mark| rest.starts_with(mark))
    })
}

/// The text that a client of dialect `shown_in` sees for a signature.
pub fn show_signature(signature: &Signature, shown_in: DialectId) -> String {
    if signature.dialect == shown_in {
        signature.value.clone()
    } else {
        format!("{SIGNATURE_MARK}{}.{}", signature.dialect, signature.value)
    }
}

/// The signature behind the text that a client of dialect `seen_in` sent.
pub fn read_signature(text: &str, seen_in: DialectId) -> Signature {
    let foreign = text.strip_prefix(SIGNATURE_MARK).and_then(|rest| {
        let (dialect, value) = rest.split_once('.')?;
        Some(Signature {
            dialect: owner(dialect)?,
            value: value.to_owned(),
        })
    });
    foreign.unwrap_or_else(|| Signature {
        dialect: seen_in,
        value: text.to_owned(),
    })
}

/// Whose token it is, by the name that a mark bears.
fn owner(name: &str) -> Option<DialectId> {
    if name == DialectId::LOCAL.0 {
        return Some(DialectId::LOCAL);
    }
    Some(crate::by_name(name)?.id())
}

/// A tool-call id that carries a signature: `<id>_tgc_sig_<base64url>`. The id
/// stays within `[A-Za-z0-9_-]`, which every vendor accepts.
pub fn load_id(id: &str, signature: &Signature) -> String {
    let text = format!("{}.{}", signature.dialect, signature.value);
    let token = URL_SAFE_NO_PAD.encode(text);
    if id.len() <= PLAIN_ID_BYTES_MAX {
        format!("{id}{ID_MARK}{token}")
    } else {
        let id = URL_SAFE_NO_PAD.encode(id);
        format!("{LONG_ID_MARK}{id}{ID_MARK}{token}")
    }
}

/// The plain id and the signature that rode in it.
pub fn unload_id(id: &str) -> (Cow<'_, str>, Option<Signature>) {
    let Some((plain, encoded)) = id.split_once(ID_MARK) else {
        return (Cow::Borrowed(id), None);
    };
    let long = plain
        .strip_prefix(LONG_ID_MARK)
        .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let plain = long.map_or(Cow::Borrowed(plain), Cow::Owned);
    let signature = URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|bytes| {
        let text = String::from_utf8(bytes).ok()?;
        let (dialect, value) = text.split_once('.')?;
        Some(Signature {
            dialect: owner(dialect)?,
            value: value.to_owned(),
        })
    });
    match signature {
        Some(signature) => (plain, Some(signature)),
        None => (Cow::Borrowed(id), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool_id;

    const OWNER: DialectId = DialectId("gemini");

    fn signature(bytes: usize) -> Signature {
        Signature {
            dialect: OWNER,
            value: "s".repeat(bytes),
        }
    }

    fn is_found(id: &str) -> bool {
        let prompt = "long ".repeat(2_000);
        let body = serde_json::json!({"a": prompt, "call_id": id, "b": prompt});
        may_carry(&Doc::request(body.to_string().into()).expect("JSON"))
    }

    /// However long the id before a token, and however long the token: the
    /// mark is seen, and both come back.
    #[test]
    fn a_token_behind_a_long_id_is_seen() {
        assert!(!is_found(&"x".repeat(9_000)));
        let sizes: [usize; 11] = [
            1, 64, 127, 128, 129, 1_000, 1_024, 1_025, 2_000, 2_049, 5_000,
        ];
        for id_bytes in sizes {
            for token_bytes in [1, 3_000] {
                for piece in ["x", "\u{1}", "\"", "é"] {
                    let id = piece.repeat(id_bytes.div_ceil(piece.len()));
                    let token = signature(token_bytes);
                    let loaded = load_id(&id, &token);
                    assert!(is_found(&loaded), "{id_bytes} bytes of {piece:?}");
                    assert_eq!(
                        unload_id(&loaded),
                        (id.as_str().into(), Some(token.clone()))
                    );
                    let shown = tool_id::show(&id, Some(&token));
                    assert!(is_found(&shown), "{id_bytes} bytes of {piece:?}, wrapped");
                    assert_eq!(tool_id::read(&shown), (id, Some(token)));
                }
            }
        }
    }

    #[test]
    fn a_long_prompt_is_not_searched() {
        let body = serde_json::json!({"a": format!("{}{SEAL}", "x".repeat(4_096))});
        let doc = Doc::request(body.to_string().into()).expect("JSON");
        assert!(!may_carry(&doc));
    }
}
