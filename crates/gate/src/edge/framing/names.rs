//! Which header names the gateway reads, and which of them may come only once.
//!
//! Deliberately not here: what the headers mean. A name that is read anywhere
//! in the house belongs into [`classify`], so that neither a second copy nor a
//! form with `_` can say something else to another reader of the same request.

/// Longest name that can be one of ours; a longer one is never classified.
const KNOWN_BYTES_MAX: usize = 48;

/// What a header name is to the framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `host`.
    Host,
    /// `content-length`.
    ContentLength,
    /// `transfer-encoding`.
    TransferEncoding,
    /// `expect`.
    Expect,
    /// Read by the gateway and allowed once; the bit of its own in a set.
    Single(u64),
    /// A `tollgate-*` name that has no bit. Allowed once.
    Ours,
    /// Read by the gateway, may be repeated.
    Repeatable,
    /// Not read.
    Other,
}

/// What a scan of a raw name found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// A valid name.
    Valid(Name),
    /// A valid name with `_` whose `-` form is one that the gateway reads.
    Shadow,
    /// A byte that is not a token character.
    Invalid,
}

/// Lower-case form of each token character (RFC 9110, 5.6.2), 0 for the rest.
static TOKEN: [u8; 256] = token_table();

const fn token_table() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0usize;
    while i < 256 {
        let b = i as u8;
        table[i] = match b {
            b'A'..=b'Z' => b + 32,
            b'a'..=b'z' | b'0'..=b'9' => b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' => b,
            _ => 0,
        };
        i += 1;
    }
    table
}

/// Whether every byte is a token character.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| TOKEN[usize::from(b)] != 0)
}

/// Validates and classifies a raw header name in one pass.
pub(super) fn scan(raw: &[u8]) -> Scan {
    if raw.len() > KNOWN_BYTES_MAX {
        return if is_token(raw) {
            Scan::Valid(Name::Other)
        } else {
            Scan::Invalid
        };
    }
    let mut lower = [0u8; KNOWN_BYTES_MAX];
    let (mut bad, mut underscore) = (false, false);
    for (slot, &b) in lower.iter_mut().zip(raw) {
        let token = TOKEN[usize::from(b)];
        bad |= token == 0;
        underscore |= b == b'_';
        *slot = token;
    }
    if bad {
        return Scan::Invalid;
    }
    let name = &mut lower[..raw.len()];
    if !underscore {
        return Scan::Valid(classify(name));
    }
    for b in name.iter_mut().filter(|b| **b == b'_') {
        *b = b'-';
    }
    match classify(name) {
        Name::Other => Scan::Valid(Name::Other),
        Name::Host
        | Name::ContentLength
        | Name::TransferEncoding
        | Name::Expect
        | Name::Single(_)
        | Name::Ours
        | Name::Repeatable => Scan::Shadow,
    }
}

/// Classifies a lower-case name.
pub(super) fn classify(name: &[u8]) -> Name {
    if let Some(rest) = name.strip_prefix(b"tollgate-") {
        return ours(rest);
    }
    match name {
        b"host" => Name::Host,
        b"content-length" => Name::ContentLength,
        b"transfer-encoding" => Name::TransferEncoding,
        b"expect" => Name::Expect,
        b"authorization" => Name::Single(1),
        b"x-api-key" => Name::Single(1 << 1),
        b"x-goog-api-key" => Name::Single(1 << 2),
        b"api-key" => Name::Single(1 << 3),
        b"content-type" => Name::Single(1 << 4),
        b"content-encoding" => Name::Single(1 << 5),
        b"idempotency-key" => Name::Single(1 << 6),
        b"anthropic-version" => Name::Single(1 << 7),
        b"traceparent" => Name::Single(1 << 8),
        b"openai-organization" => Name::Single(1 << 9),
        b"openai-project" => Name::Single(1 << 10),
        b"x-request-id" => Name::Single(1 << 11),
        b"x-client-request-id" => Name::Single(1 << 12),
        b"proxy-authorization" => Name::Single(1 << 13),
        b"upgrade" => Name::Single(1 << 14),
        b"sec-websocket-key" => Name::Single(1 << 15),
        b"sec-websocket-version" => Name::Single(1 << 16),
        b"user-agent" => Name::Single(1 << 17),
        b"x-amz-date" => Name::Single(1 << 18),
        b"x-amz-security-token" => Name::Single(1 << 19),
        b"x-goog-user-project" => Name::Single(1 << 20),
        b"anthropic-beta"
        | b"openai-beta"
        | b"x-goog-api-client"
        | b"accept"
        | b"accept-encoding"
        | b"baggage"
        | b"cache-control"
        | b"connection"
        | b"cookie"
        | b"forwarded"
        | b"keep-alive"
        | b"origin"
        | b"proxy-connection"
        | b"sec-websocket-protocol"
        | b"te"
        | b"tracestate"
        | b"trailer"
        | b"via"
        | b"x-forwarded-for"
        | b"x-forwarded-host"
        | b"x-forwarded-proto"
        | b"x-real-ip" => Name::Repeatable,
        _ => Name::Other,
    }
}

/// Classifies what follows `tollgate-`.
fn ours(rest: &[u8]) -> Name {
    match rest {
        b"user" => Name::Single(1 << 32),
        b"channel" => Name::Single(1 << 33),
        b"use-case" => Name::Single(1 << 34),
        b"data-class" => Name::Single(1 << 35),
        b"session" => Name::Single(1 << 36),
        b"family" => Name::Single(1 << 37),
        b"quality" => Name::Single(1 << 38),
        b"region" => Name::Single(1 << 39),
        b"redaction" => Name::Single(1 << 40),
        b"retention" => Name::Single(1 << 41),
        b"pii-mode" => Name::Single(1 << 42),
        b"max-cost" => Name::Single(1 << 43),
        b"max-latency-ms" => Name::Single(1 << 44),
        b"contract" => Name::Single(1 << 45),
        b"tags" => Name::Single(1 << 46),
        b"annotate" => Name::Single(1 << 47),
        b"approval" => Name::Single(1 << 48),
        _ => Name::Ours,
    }
}
