//! Words in messages: names as they may be shown, and near matches of names
//! that nobody knows.

use std::borrow::Cow;

/// Longest name that a message repeats, in characters.
pub(super) const SHOWN_CHARS_MAX: usize = 80;

/// A name of a caller as it may stand in a message, a log or a header: ASCII
/// without controls, cut if it is long.
pub(super) fn shown(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(char::escape_default)
        .collect();
    if name.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// What to write instead of a name that is not known.
pub(super) fn did_you_mean<'a>(
    wrong: &str,
    known: impl Iterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    let wrong = wrong.to_lowercase();
    let nearest = known
        .map(|name| {
            (
                strsim::damerau_levenshtein(&wrong, &name.to_lowercase()),
                name,
            )
        })
        .min();
    match nearest {
        Some((far, name)) if far <= 2.max(wrong.len() / 3) => format!("did you mean `{name}`?"),
        _ => otherwise.to_owned(),
    }
}

/// The text in lower case; borrowed where it is so already.
pub(super) fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}
