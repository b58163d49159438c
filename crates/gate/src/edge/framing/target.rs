//! The request target: which paths and queries are accepted.
//!
//! The rule behind all others: every reader of the path, here and upstream,
//! must see the same segments. So nothing that one reader would resolve and
//! another would not (dot segments, `//`, encoded slashes) gets in.
//! Deliberately not here: which paths exist.

use smallvec::SmallVec;

use super::violation::Rule;

/// The authority of an absolute-form target as a range of the target, or none
/// for the other forms.
pub(super) type Authority = Option<std::ops::Range<usize>>;

/// A byte of a path that needs no second look.
const PLAIN: u8 = 0;
/// `%`, or a `.` that may begin a dot segment.
const LOOK: u8 = 1;
/// A byte that is refused in a path but allowed in a query: `?[]^`{|}"`.
const QUERY_ONLY: u8 = 2;
/// A byte that is refused everywhere.
const REFUSED: u8 = 3;

/// Class of each byte, after `pchar` of RFC 3986. The few extra characters of
/// the query are those that URL parsers of browsers leave unencoded there.
static CLASS: [u8; 256] = class_table();

const fn class_table() -> [u8; 256] {
    let mut table = [REFUSED; 256];
    let mut i = 0usize;
    while i < 256 {
        table[i] = match i as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => PLAIN,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => PLAIN,
            b':' | b'@' | b'/' => PLAIN,
            b'%' | b'.' => LOOK,
            b'?' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => QUERY_ONLY,
            _ => REFUSED,
        };
        i += 1;
    }
    table
}

/// What stands behind a model id in the Bedrock API.
const BEDROCK_OPERATIONS: &[&[u8]] = &[
    b"/converse",
    b"/converse-stream",
    b"/invoke",
    b"/invoke-with-response-stream",
    b"/count-tokens",
];
/// Versions of the APIs that have `/models/{id}`.
const MODELS_VERSIONS: &[&[u8]] = &[b"/v1", b"/v1beta"];

/// Checks a whole target of HTTP/1 and says where its authority is, if any.
pub(super) fn check(target: &[u8], method: &[u8]) -> Result<Authority, Rule> {
    if target.first() == Some(&b'/') {
        check_path_and_query(target)?;
        return Ok(None);
    }
    if let Some(&b) = target.iter().find(|b| !b.is_ascii_graphic()) {
        return Err(character_rule(b));
    }
    if target == b"*" && method == b"OPTIONS" {
        return Ok(None);
    }
    let start = match scheme_length(target) {
        Some(length) => length,
        None => return Err(Rule::UnsupportedTargetForm),
    };
    let length = target[start..]
        .iter()
        .position(|b| matches!(b, b'/' | b'?' | b'#'));
    let end = length.map_or(target.len(), |length| start + length);
    match target.get(end) {
        None => {}
        Some(b'/') => check_path_and_query(&target[end..])?,
        Some(b'#') => return Err(Rule::Fragment),
        Some(_) => check_query(&target[end + 1..])?,
    }
    Ok(Some(start..end))
}

/// Length of `http://` or `https://` in any case.
fn scheme_length(target: &[u8]) -> Option<usize> {
    ["http://", "https://"]
        .iter()
        .find(|s| target.len() > s.len() && target[..s.len()].eq_ignore_ascii_case(s.as_bytes()))
        .map(|s| s.len())
}

/// Checks a path that begins with `/`, and its query.
pub(super) fn check_path_and_query(target: &[u8]) -> Result<(), Rule> {
    let path = match memchr::memchr(b'?', target) {
        Some(at) => {
            check_query(&target[at + 1..])?;
            &target[..at]
        }
        None => target,
    };
    let worst = path
        .iter()
        .fold(PLAIN, |worst, &b| worst.max(CLASS[usize::from(b)]));
    if worst >= QUERY_ONLY {
        let bad = path.iter().find(|&&b| CLASS[usize::from(b)] >= QUERY_ONLY);
        return Err(character_rule(*bad.expect("the fold saw such a byte")));
    }
    let mut at = 1usize;
    while let Some(length) = memchr::memchr(b'/', &path[at..]) {
        let end = at + length;
        if length == 0 {
            return Err(Rule::EmptySegment);
        }
        if worst == LOOK {
            check_segment(&path[at..end], is_model_id(&path[..at], &path[end..]))?;
        }
        at = end + 1;
    }
    if worst == LOOK {
        check_segment(&path[at..], is_model_id(&path[..at], b""))?;
    }
    Ok(())
}

/// Whether the segment between `before` and `after` is the id of a model,
/// whose `/` (`vendor/name`, or one of an ARN) many SDKs send as %2F: in
/// `/model/{id}/{operation}`, in `/v1/models/{id}` and in
/// `/v1beta/models/{id}:{verb}`. Exactly these places, so that no other path
/// means two things.
fn is_model_id(before: &[u8], after: &[u8]) -> bool {
    if let Some(root) = before.strip_suffix(b"/model/") {
        return is_api_root(root) && BEDROCK_OPERATIONS.contains(&after);
    }
    let Some(root) = before.strip_suffix(b"/models/") else {
        return false;
    };
    let unversioned = MODELS_VERSIONS
        .iter()
        .find_map(|version| root.strip_suffix(*version));
    after.is_empty() && is_api_root(unversioned.unwrap_or(root))
}

/// Nothing, or the prefix under which the paths of one vendor are accepted
/// alone: its name, with which the names of its dialects begin.
fn is_api_root(root: &[u8]) -> bool {
    let Some((b'/', vendor)) = root.split_first() else {
        return root.is_empty();
    };
    dialects::DIALECTS.iter().any(|dialect| {
        let name = dialect.id().0;
        name.split('_').next().unwrap_or(name).as_bytes() == vendor
    })
}

/// Checks one segment after decoding it once.
fn check_segment(segment: &[u8], slashes_allowed: bool) -> Result<(), Rule> {
    if memchr::memchr(b'%', segment).is_none() {
        return if is_dots(segment) {
            Err(Rule::DotSegment)
        } else {
            Ok(())
        };
    }
    let mut decoded: SmallVec<[u8; 128]> = SmallVec::new();
    let mut rest = segment;
    while let Some((&b, after)) = rest.split_first() {
        if b != b'%' {
            decoded.push(b);
            rest = after;
            continue;
        }
        let byte = decode(after).ok_or(Rule::InvalidPercentEncoding)?;
        match byte {
            0 => return Err(Rule::EncodedNul),
            b'\\' => return Err(Rule::EncodedBackslash),
            b'/' if !slashes_allowed => return Err(Rule::EncodedSlash),
            1..=0x1f | 0x7f => return Err(Rule::EncodedControl),
            _ => decoded.push(byte),
        }
        rest = &after[2..];
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Rule::InvalidPercentEncoding);
    }
    for piece in decoded.split(|&b| b == b'/') {
        if is_dots(piece) {
            return Err(Rule::DotSegment);
        }
        if piece.is_empty() {
            return Err(Rule::EncodedSlash);
        }
    }
    Ok(())
}

/// `.` or `..`, also with a path parameter behind (`..;x`), which some servers
/// strip before they resolve the path.
fn is_dots(segment: &[u8]) -> bool {
    let end = segment
        .iter()
        .position(|&b| b == b';')
        .unwrap_or(segment.len());
    matches!(&segment[..end], b"." | b"..")
}

/// Checks the part after `?`.
fn check_query(query: &[u8]) -> Result<(), Rule> {
    if let Some(&b) = query.iter().find(|b| CLASS[usize::from(**b)] == REFUSED) {
        return Err(character_rule(b));
    }
    for at in memchr::memchr_iter(b'%', query) {
        match decode(&query[at + 1..]) {
            None => return Err(Rule::InvalidPercentEncoding),
            Some(0) => return Err(Rule::EncodedNul),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The byte that two hexadecimal digits encode.
fn decode(digits: &[u8]) -> Option<u8> {
    let high = char::from(*digits.first()?).to_digit(16)?;
    let low = char::from(*digits.get(1)?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// The rule that a refused byte of a target breaks.
fn character_rule(byte: u8) -> Rule {
    match byte {
        b'#' => Rule::Fragment,
        0 => Rule::NullByte,
        0x80.. => Rule::NonAsciiTarget,
        1..=0x1f | 0x7f => Rule::ControlCharacter,
        _ => Rule::InvalidTargetCharacter,
    }
}

/// Whether `value` is `host` or `host:port`: a name, an IPv4 address or an
/// IPv6 address in brackets.
pub(super) fn is_authority(value: &[u8]) -> bool {
    let (host_ok, rest) = if value.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', value) else {
            return false;
        };
        let inside = &value[1..end];
        let ok = !inside.is_empty()
            && inside
                .iter()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        (ok, &value[end + 1..])
    } else {
        let end = memchr::memchr(b':', value).unwrap_or(value.len());
        let ok = end > 0
            && value[..end]
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~'));
        (ok, &value[end..])
    };
    let port_ok = match rest.split_first() {
        None => true,
        Some((b':', port)) => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    host_ok && port_ok
}
