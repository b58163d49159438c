//! The rules of strict framing, one named variant each, and the words that
//! tell a caller which rule was broken, where, and what to do.
//!
//! Deliberately not here: the checks themselves (`head`, `target`, `chunks`)
//! and any rendering in a dialect, which is the door's business.

use contract::{Fault, FaultKind, Origin};

/// Longest excerpt of the caller's bytes that a message repeats.
const SUBJECT_BYTES_MAX: usize = 64;

/// One rule of the framing. The name of a rule is stable: it goes into metrics
/// and evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// Empty line or space before the request line.
    LeadingBlank,
    /// A TLS handshake on a plain-text port.
    TlsOnPlainText,
    /// A line of the head that ends with LF alone.
    BareLineFeed,
    /// A CR that is not followed by LF.
    BareCarriageReturn,
    /// A NUL byte in the head.
    NullByte,
    /// Another control character in the head.
    ControlCharacter,
    /// A header continued on the next line (obs-fold).
    ObsoleteFold,
    /// A header line without a colon.
    MissingColon,
    /// White space between a header name and its colon.
    SpaceBeforeColon,
    /// A header line that begins with its colon.
    EmptyHeaderName,
    /// A byte that is not allowed in a header name.
    InvalidHeaderName,
    /// A name with `_` whose `-` form the gateway reads.
    UnderscoreName,
    /// A header that must come once comes again.
    RepeatedHeader,
    /// A request line that is not `METHOD SP target SP HTTP/1.x`.
    MalformedRequestLine,
    /// A method that is not a token.
    InvalidMethod,
    /// The CONNECT method.
    ConnectMethod,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    UnsupportedVersion,
    /// A request target above the limit.
    TargetTooLong,
    /// A byte above 0x7F in the request target.
    NonAsciiTarget,
    /// A byte that RFC 3986 does not allow at its place.
    InvalidTargetCharacter,
    /// Neither origin-form, absolute-form nor `OPTIONS *`.
    UnsupportedTargetForm,
    /// A `#` in the request target.
    Fragment,
    /// A `.` or `..` segment, plain or percent-encoded.
    DotSegment,
    /// `//` in the path.
    EmptySegment,
    /// `%2F` in the path.
    EncodedSlash,
    /// `%5C` in the path.
    EncodedBackslash,
    /// `%00` in the target.
    EncodedNul,
    /// Another percent-encoded control character in the path.
    EncodedControl,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    InvalidPercentEncoding,
    /// No Host header on HTTP/1.1, no authority on HTTP/2.
    MissingHost,
    /// More than one Host header.
    RepeatedHost,
    /// An empty Host header.
    EmptyHost,
    /// A Host header that is not `host[:port]`.
    InvalidHost,
    /// The authority of the target differs from Host.
    AuthorityMismatch,
    /// Content-Length and Transfer-Encoding together.
    LengthAndTransferEncoding,
    /// More than one Content-Length, equal or not.
    RepeatedContentLength,
    /// A Content-Length that is not a number of at most 19 digits.
    InvalidContentLength,
    /// Transfer-Encoding on HTTP/1.0.
    TransferEncodingInHttp10,
    /// A Transfer-Encoding other than exactly `chunked`.
    UnsupportedTransferEncoding,
    /// More than one Transfer-Encoding header.
    RepeatedTransferEncoding,
    /// An Expect other than `100-continue`.
    UnsupportedExpectation,
    /// A head above the limit.
    HeadTooLarge,
    /// More header lines than the limit.
    TooManyHeaders,
    /// A chunk size that is not one to fifteen hexadecimal digits.
    InvalidChunkSize,
    /// Chunk extensions above the limit.
    ChunkExtensionTooLong,
    /// A chunk line or chunk that does not end with CR LF.
    ChunkDelimiter,
    /// Trailer fields after the last chunk.
    TrailersRefused,
    /// The head did not arrive in time.
    HeadTimeout,
}

impl Rule {
    /// Every rule, for docs, metrics and exhaustive tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by tests and by the docs"))]
    pub(crate) const ALL: [Rule; 48] = [
        Self::LeadingBlank,
        Self::TlsOnPlainText,
        Self::BareLineFeed,
        Self::BareCarriageReturn,
        Self::NullByte,
        Self::ControlCharacter,
        Self::ObsoleteFold,
        Self::MissingColon,
        Self::SpaceBeforeColon,
        Self::EmptyHeaderName,
        Self::InvalidHeaderName,
        Self::UnderscoreName,
        Self::RepeatedHeader,
        Self::MalformedRequestLine,
        Self::InvalidMethod,
        Self::ConnectMethod,
        Self::UnsupportedVersion,
        Self::TargetTooLong,
        Self::NonAsciiTarget,
        Self::InvalidTargetCharacter,
        Self::UnsupportedTargetForm,
        Self::Fragment,
        Self::DotSegment,
        Self::EmptySegment,
        Self::EncodedSlash,
        Self::EncodedBackslash,
        Self::EncodedNul,
        Self::EncodedControl,
        Self::InvalidPercentEncoding,
        Self::MissingHost,
        Self::RepeatedHost,
        Self::EmptyHost,
        Self::InvalidHost,
        Self::AuthorityMismatch,
        Self::LengthAndTransferEncoding,
        Self::RepeatedContentLength,
        Self::InvalidContentLength,
        Self::TransferEncodingInHttp10,
        Self::UnsupportedTransferEncoding,
        Self::RepeatedTransferEncoding,
        Self::UnsupportedExpectation,
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::InvalidChunkSize,
        Self::ChunkExtensionTooLong,
        Self::ChunkDelimiter,
        Self::TrailersRefused,
        Self::HeadTimeout,
    ];

    /// The stable name in metrics and records.
    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    /// The HTTP status of the refusal.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::TargetTooLong => 414,
            Self::UnsupportedExpectation => 417,
            Self::HeadTimeout => 408,
            Self::LeadingBlank
            | Self::TlsOnPlainText
            | Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::NullByte
            | Self::ControlCharacter
            | Self::ObsoleteFold
            | Self::MissingColon
            | Self::SpaceBeforeColon
            | Self::EmptyHeaderName
            | Self::InvalidHeaderName
            | Self::UnderscoreName
            | Self::RepeatedHeader
            | Self::MalformedRequestLine
            | Self::InvalidMethod
            | Self::ConnectMethod
            | Self::UnsupportedVersion
            | Self::NonAsciiTarget
            | Self::InvalidTargetCharacter
            | Self::UnsupportedTargetForm
            | Self::Fragment
            | Self::DotSegment
            | Self::EmptySegment
            | Self::EncodedSlash
            | Self::EncodedBackslash
            | Self::EncodedNul
            | Self::EncodedControl
            | Self::InvalidPercentEncoding
            | Self::MissingHost
            | Self::RepeatedHost
            | Self::EmptyHost
            | Self::InvalidHost
            | Self::AuthorityMismatch
            | Self::LengthAndTransferEncoding
            | Self::RepeatedContentLength
            | Self::InvalidContentLength
            | Self::TransferEncodingInHttp10
            | Self::UnsupportedTransferEncoding
            | Self::RepeatedTransferEncoding
            | Self::InvalidChunkSize
            | Self::ChunkExtensionTooLong
            | Self::ChunkDelimiter
            | Self::TrailersRefused => 400,
        }
    }

    /// Name, what is wrong, and what to do. One row for each rule; the table
    /// is longer than a function should be because it is a table.
    #[rustfmt::skip]
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::LeadingBlank => ("leading_blank", "there is an empty line or white space before the request line", "Begin with the method, and send nothing after the body of the request before."),
            Self::TlsOnPlainText => ("tls_on_plain_text", "a TLS handshake arrived on a plain-text port", "Use http:// with this port, or configure a certificate for the listener."),
            Self::BareLineFeed => ("bare_line_feed", "a line of the head ends with LF alone", "End every line with CR LF."),
            Self::BareCarriageReturn => ("bare_carriage_return", "a CR in the head is not followed by LF", "Remove the CR, or end the line with CR LF."),
            Self::NullByte => ("null_byte", "there is a NUL byte in the head", "Remove it; binary values belong in the body or must be encoded."),
            Self::ControlCharacter => ("control_character", "there is a control character in the head", "Remove it; only printable characters and tab are allowed in header values."),
            Self::ObsoleteFold => ("obsolete_fold", "a header is continued on the next line", "Write the whole header on one line."),
            Self::MissingColon => ("missing_colon", "a header line has no colon", "Write each header as `name: value`."),
            Self::SpaceBeforeColon => ("space_before_colon", "there is white space between a header name and its colon", "Remove the white space."),
            Self::EmptyHeaderName => ("empty_header_name", "a header line begins with its colon", "Give the header a name, or leave the line out."),
            Self::InvalidHeaderName => ("invalid_header_name", "a header name holds a character that is not allowed", "Use letters, digits and `-` only."),
            Self::UnderscoreName => ("underscore_name", "a header name with `_` could be mistaken for one that the gateway reads", "Write the name with `-`."),
            Self::RepeatedHeader => ("repeated_header", "a header that may come only once was sent more than once", "Send it once."),
            Self::MalformedRequestLine => ("malformed_request_line", "the request line is not `METHOD target HTTP/1.1` with single spaces", "Check for spaces in the URL; encode them as %20."),
            Self::InvalidMethod => ("invalid_method", "the method is not a valid token", "Use GET, POST or another standard method."),
            Self::ConnectMethod => ("connect_method", "CONNECT is not served", "This is a gateway, not a forward proxy; call its paths directly."),
            Self::UnsupportedVersion => ("unsupported_version", "the protocol version is not HTTP/1.1 or HTTP/1.0", "Use HTTP/1.1 or HTTP/2."),
            Self::TargetTooLong => ("target_too_long", "the request target is too long", "Move the data from the URL into the body."),
            Self::NonAsciiTarget => ("non_ascii_target", "the request target holds a byte that is not ASCII", "Percent-encode it."),
            Self::InvalidTargetCharacter => ("invalid_target_character", "the request target holds a character that is not allowed there", "Percent-encode it."),
            Self::UnsupportedTargetForm => ("unsupported_target_form", "the request target is neither a path nor an http(s) URL", "Begin the target with `/`."),
            Self::Fragment => ("fragment", "the request target holds a fragment (`#`)", "Leave the fragment out, or encode `#` as %23."),
            Self::DotSegment => ("dot_segment", "the path holds a `.` or `..` segment", "Send the resolved path."),
            Self::EmptySegment => ("empty_segment", "the path holds `//`", "Check the base URL for a trailing slash that doubles the next one."),
            Self::EncodedSlash => ("encoded_slash", "the path holds %2F", "Use a plain `/`; only the id of a model may hold %2F."),
            Self::EncodedBackslash => ("encoded_backslash", "the path holds %5C", "Remove the backslash."),
            Self::EncodedNul => ("encoded_nul", "the request target holds %00", "Remove it."),
            Self::EncodedControl => ("encoded_control", "the path holds a percent-encoded control character", "Remove it."),
            Self::InvalidPercentEncoding => ("invalid_percent_encoding", "a `%` in the request target is not followed by two hexadecimal digits, or the bytes it encodes are not UTF-8", "Encode a literal `%` as %25."),
            Self::MissingHost => ("missing_host", "the request names no host", "Send a Host header (HTTP/1.1) or :authority (HTTP/2)."),
            Self::RepeatedHost => ("repeated_host", "there is more than one Host header", "Send it once."),
            Self::EmptyHost => ("empty_host", "the Host header is empty", "Send the host name of the gateway."),
            Self::InvalidHost => ("invalid_host", "the Host header is not `host` or `host:port`", "Send only the host name or address and, if needed, the port."),
            Self::AuthorityMismatch => ("authority_mismatch", "the host in the request target differs from the Host header", "Send the same host in both, or only a path as the target."),
            Self::LengthAndTransferEncoding => ("length_and_transfer_encoding", "Content-Length and Transfer-Encoding were sent together", "Send one of them."),
            Self::RepeatedContentLength => ("repeated_content_length", "there is more than one Content-Length", "Send it once."),
            Self::InvalidContentLength => ("invalid_content_length", "the Content-Length is not a decimal number", "Send the number of bytes of the body, digits only."),
            Self::TransferEncodingInHttp10 => ("transfer_encoding_in_http10", "HTTP/1.0 has no Transfer-Encoding", "Use HTTP/1.1, or send Content-Length."),
            Self::UnsupportedTransferEncoding => ("unsupported_transfer_encoding", "the Transfer-Encoding is not exactly `chunked`", "Send `Transfer-Encoding: chunked` or Content-Length."),
            Self::RepeatedTransferEncoding => ("repeated_transfer_encoding", "there is more than one Transfer-Encoding header", "Send it once."),
            Self::UnsupportedExpectation => ("unsupported_expectation", "the Expect header asks for something other than 100-continue", "Leave it out."),
            Self::HeadTooLarge => ("head_too_large", "the request line and headers together are too large", "Send fewer or shorter headers; look for large cookies."),
            Self::TooManyHeaders => ("too_many_headers", "there are too many header lines", "Send fewer headers."),
            Self::InvalidChunkSize => ("invalid_chunk_size", "a chunk size in the body is not a hexadecimal number of at most 15 digits", "Send well-formed chunks, or use Content-Length."),
            Self::ChunkExtensionTooLong => ("chunk_extension_too_long", "the chunk extensions in the body are too long or malformed", "Leave chunk extensions out."),
            Self::ChunkDelimiter => ("chunk_delimiter", "a chunk of the body does not end with CR LF", "Make each chunk size match its data, or use Content-Length."),
            Self::TrailersRefused => ("trailers_refused", "there are trailer fields after the last chunk", "Send them as headers, or leave them out."),
            Self::HeadTimeout => ("head_timeout", "the request line and headers did not arrive in time", "Send the head at once; check the network between you and the gateway."),
        }
    }
}

/// A rule that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which rule.
    pub(crate) rule: Rule,
    /// Line of the head, from 1; 0 where lines mean nothing (bodies, HTTP/2).
    pub(crate) line: u32,
    /// Bytes from the start of the message.
    pub(crate) offset: u64,
    /// The header name, method or piece of the target concerned; printable
    /// ASCII, at most 64 bytes, possibly empty. Never a header value, which
    /// could be a credential.
    pub(crate) subject: String,
}

impl Violation {
    /// A violation without a place in bytes, as HTTP/2 and timeouts have it.
    pub(crate) fn of(rule: Rule, subject: &[u8]) -> Self {
        Self {
            rule,
            line: 0,
            offset: 0,
            subject: excerpt(subject),
        }
    }

    /// What happened, where, and what to do next.
    pub(crate) fn message(&self) -> String {
        let (_, what, advice) = self.rule.words();
        let mut place = String::new();
        if !self.subject.is_empty() {
            place = format!(": `{}`", self.subject);
        }
        if self.line > 0 {
            place.push_str(&format!(" (line {}, byte {})", self.line, self.offset));
        } else if self.offset > 0 {
            place.push_str(&format!(" (byte {})", self.offset));
        }
        format!("The HTTP request is malformed: {what}{place}. {advice}")
    }

    /// The HTTP status of the refusal.
    pub(crate) fn status(&self) -> u16 {
        self.rule.status()
    }

    /// The same as a fault of the taxonomy. Its kind has a coarser status
    /// than [`Violation::status`], which wins on the wire.
    pub(crate) fn fault(&self) -> Fault {
        let kind = match self.status() {
            413 | 414 | 431 => FaultKind::TooLarge,
            _ => FaultKind::BadRequest,
        };
        Fault::new(kind, Origin::Client, self.message())
            .because(format!("framing rule {}", self.rule.name()))
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Violation {}

/// Printable ASCII of the caller's bytes; everything else as `?`, so that no
/// log or terminal can be played with.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(SUBJECT_BYTES_MAX)
        .map(|&b| {
            if (0x20..0x7f).contains(&b) {
                char::from(b)
            } else {
                '?'
            }
        })
        .collect()
}
