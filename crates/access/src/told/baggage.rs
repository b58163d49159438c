//! The W3C `baggage` header (<https://www.w3.org/TR/baggage/>, section 3.3):
//! members separated by commas, `key=value`, then properties behind `;`.
//! Values are percent-encoded UTF-8.
//!
//! Deliberately not here: members of others, which are none of our business,
//! so that what is wrong with them is passed over.

use std::borrow::Cow;

use contract::Fault;

/// Hands over the members, values decoded.
pub(super) fn members<'a>(
    header: &'a [u8],
    see: &mut dyn FnMut(&'a str, Cow<'a, str>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for member in header.split(|byte| *byte == b',') {
        let mut parts = member.split(|byte| *byte == b';');
        let pair = parts.next().unwrap_or_default();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let Ok(key) = std::str::from_utf8(&pair[..equals]) else {
            continue;
        };
        see(key.trim(), decoded(pair[equals + 1..].trim_ascii()))?;
    }
    Ok(())
}

/// Percent-decoding. As the specification has it, octets that are not UTF-8
/// become U+FFFD; a `%` that begins no code stays what it is.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    if !bytes.contains(&b'%') {
        return String::from_utf8_lossy(bytes);
    }
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%')
            .then(|| digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))))
            .flatten();
        match code {
            Some((high, low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
