//! Escapes inside JSON strings.

use std::borrow::Cow;

use super::scan::{Flaw, FlawKind};

/// Length in bytes of the escape that begins at `at` (a backslash). A
/// surrogate pair counts as one escape of twelve bytes.
pub(super) fn measure(text: &[u8], at: usize) -> Result<usize, Flaw> {
    let flaw = |kind| Flaw { kind, offset: at };
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match unit(text, at) {
            Some(0xD800..=0xDBFF) => match unit(text, at + 6) {
                Some(0xDC00..=0xDFFF) => Ok(12),
                Some(_) | None => Err(flaw(FlawKind::LoneSurrogate)),
            },
            Some(0xDC00..=0xDFFF) => Err(flaw(FlawKind::LoneSurrogate)),
            Some(_) => Ok(6),
            None if text.len() < at + 6 => Err(Flaw {
                kind: FlawKind::Truncated,
                offset: text.len(),
            }),
            None => Err(flaw(FlawKind::Escape)),
        },
        Some(_) => Err(flaw(FlawKind::Escape)),
        None => Err(Flaw {
            kind: FlawKind::Truncated,
            offset: text.len(),
        }),
    }
}

/// The text of a scanned string between its quotes.
pub(super) fn text(spelled: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', spelled).is_none() {
        return Cow::Borrowed(std::str::from_utf8(spelled).expect("the scan checked UTF-8"));
    }
    let mut out: Vec<u8> = Vec::with_capacity(spelled.len());
    let mut at = 0;
    while let Some(run) = memchr::memchr(b'\\', &spelled[at..]) {
        out.extend_from_slice(&spelled[at..at + run]);
        at += run;
        at += decode(spelled, at, &mut out);
    }
    out.extend_from_slice(&spelled[at..]);
    Cow::Owned(String::from_utf8(out).expect("UTF-8 and whole characters joined stay UTF-8"))
}

fn decode(spelled: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let single = match spelled[at + 1] {
        b'b' => b'\x08',
        b'f' => b'\x0C',
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return decode_unit(spelled, at, out),
        other => other,
    };
    out.push(single);
    2
}

fn decode_unit(spelled: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let high = unit(spelled, at).expect("the scan checked the escape");
    let (code, length) = if (0xD800..=0xDBFF).contains(&high) {
        let low = unit(spelled, at + 6).expect("the scan checked the pair");
        (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), 12)
    } else {
        (high, 6)
    };
    let character = char::from_u32(code).expect("the scan refused lone surrogates");
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

/// The UTF-16 unit that `\uXXXX` at `at` names.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let escape = text.get(at..at + 6)?;
    if &escape[..2] != b"\\u" {
        return None;
    }
    escape[2..].iter().try_fold(0, |unit, &digit| {
        Some(unit << 4 | (digit as char).to_digit(16)?)
    })
}
