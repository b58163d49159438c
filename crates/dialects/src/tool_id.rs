//! Ids of tool calls on their way between vendors. Some vendors accept only
//! `[A-Za-z0-9_-]`; others mint ids such as `functions.search:0`. An id that
//! does not fit is wrapped so that it can be unwrapped again.
//!
//! Deliberately not here: tokens that ride in an id (`carry`).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::chat::Signature;

use crate::carry;

/// Marks a wrapped id; what follows is base64url.
const MARK: &str = "_tgc_id_";

/// The id in `[A-Za-z0-9_-]`.
pub(crate) fn safe(id: &str) -> Cow<'_, str> {
    let fits = !id.is_empty()
        && !id.starts_with(MARK)
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if fits {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(id)))
    }
}

/// The id that a client sees: safe, with the call's token riding in it.
pub(crate) fn show<'a>(id: &'a str, signature: Option<&Signature>) -> Cow<'a, str> {
    match signature {
        Some(signature) => Cow::Owned(carry::load_id(&safe(id), signature)),
        None => safe(id),
    }
}

/// The vendor's own id behind one that a client sent, and its token.
pub(crate) fn read(id: &str) -> (String, Option<Signature>) {
    let (plain, signature) = carry::unload_id(id);
    let unwrapped = plain
        .strip_prefix(MARK)
        .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    (unwrapped.unwrap_or_else(|| plain.into_owned()), signature)
}

#[cfg(test)]
mod tests {
    //! Every id comes back as it was, and every shown one fits.

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_id_comes_back(id in ".*") {
            let shown = super::show(&id, None);
            prop_assert!(shown.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            // An id that itself looks like a carried token is read as one.
            prop_assume!(!id.contains("_tgc_sig_"));
            prop_assert_eq!(super::read(&shown).0, id);
        }
    }
}
