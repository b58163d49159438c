//! How a vendor's opaque tokens travel through a client that speaks another
//! dialect, so that they come back byte for byte on the next turn.
//!
//! A signature of another vendor is shown to the client in its own dialect's
//! place for signatures, marked with where it belongs. A token that belongs
//! to a tool call also rides inside the call's id, for clients that drop
//! fields they do not know.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::DialectId;
use contract::chat::Signature;
use memchr::memmem::Finder;

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

/// How deep in a string a mark may begin, in bytes: signatures begin with it,
/// and ids of calls end with it, which are far shorter in every vendor's
/// format. So the depth of a long prompt is not searched.
const MARK_WITHIN_BYTES: usize = 1_024;

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
    static FINDERS: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| [SEAL, SEAL_AT_0, SEAL_AT_4].map(Finder::new));
    FINDERS.iter().any(|finder| finder.find(text).is_some())
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
    format!("{id}{ID_MARK}{}", URL_SAFE_NO_PAD.encode(text))
}

/// The plain id and the signature that rode in it.
pub fn unload_id(id: &str) -> (&str, Option<Signature>) {
    let Some((plain, encoded)) = id.split_once(ID_MARK) else {
        return (id, None);
    };
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
        None => (id, None),
    }
}
