//! One HTTP/1 head, checked line by line as its lines become complete, so that
//! a head in one piece and the same head byte by byte get the same verdict at
//! the same byte, and no byte is searched twice.
//!
//! Deliberately not here: the body that follows (`chunks`), the rules of the
//! target (`target`) and of names (`names`).

use std::ops::Range;

use super::Limits;
use super::names::{self, Name, Scan};
use super::target;
use super::violation::{Rule, Violation, excerpt};

/// The bit of Expect in the set of headers seen; names have the lower ones.
const EXPECT_BIT: u64 = 1 << 63;

/// How the body after an accepted head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// After this many bytes, possibly none.
    Known(u64),
    /// After the last chunk.
    Chunked,
}

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The head is accepted and this many bytes long.
    Accepted(usize, BodyLength),
    /// The head is not complete.
    Incomplete,
    /// A rule is broken.
    Refused(Violation),
}

/// A head in progress. Offsets are from its first byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// Where the current line begins.
    line_start: usize,
    /// Up to where no LF was found.
    searched: usize,
    /// Complete lines so far.
    lines: u32,
    /// The path, or the whole target where it is not a path.
    path: Range<usize>,
    /// The authority of an absolute-form target.
    authority: Option<Range<usize>>,
    /// The value of Host.
    host: Option<Range<usize>>,
    /// Whether the version is HTTP/1.0.
    http10: bool,
    /// Content-Length.
    length: Option<u64>,
    /// Whether there is a Transfer-Encoding.
    chunked: bool,
    /// Single-valued headers seen, by their bits.
    seen: u64,
}

impl Head {
    /// Checks what is new in `input`, which begins at the first byte of the
    /// head and holds at least what it held in the call before.
    pub(super) fn advance(&mut self, input: &[u8], limits: &Limits) -> Progress {
        if self.lines == 0
            && self.searched == 0
            && let Some(rule) = first_byte(input)
        {
            return Progress::Refused(self.violation(rule, b""));
        }
        while let Some(found) = memchr::memchr(b'\n', &input[self.searched..]) {
            let end = self.searched + found;
            if let Some(rule) = self.too_large(end, limits) {
                return Progress::Refused(self.violation(rule, b""));
            }
            match self.line(&input[..end], limits) {
                Ok(false) => {}
                Ok(true) => return self.accept(input, end + 1),
                Err((rule, subject)) => {
                    return Progress::Refused(self.violation(rule, &input[subject]));
                }
            }
            self.lines += 1;
            self.line_start = end + 1;
            self.searched = end + 1;
        }
        self.searched = input.len();
        match self.too_large(input.len(), limits) {
            Some(rule) => Progress::Refused(self.violation(rule, b"")),
            None => Progress::Incomplete,
        }
    }

    /// The path of the head, as far as it is known: of a refused head, the
    /// target without its query, or nothing.
    pub(super) fn path<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        input.get(self.path.clone()).unwrap_or_default()
    }

    /// Which limit is broken when the line in progress reaches `end`.
    fn too_large(&self, end: usize, limits: &Limits) -> Option<Rule> {
        // The target's limit holds for a request line that never ends, too.
        // 48 bytes are room for the method and the version.
        if self.lines == 0 && end > limits.target_bytes_max + 48 {
            return Some(Rule::TargetTooLong);
        }
        (end >= limits.head_bytes_max).then_some(Rule::HeadTooLarge)
    }

    fn violation(&self, rule: Rule, subject: &[u8]) -> Violation {
        Violation {
            rule,
            line: self.lines + 1,
            offset: self.line_start as u64,
            subject: excerpt(subject),
        }
    }

    /// Checks the line that ends before the LF at the end of `upto`. Gives
    /// whether it is the empty line that ends the head.
    fn line(&mut self, upto: &[u8], limits: &Limits) -> Result<bool, (Rule, Range<usize>)> {
        let start = self.line_start;
        let nothing = start..start;
        if upto.len() == start || upto[upto.len() - 1] != b'\r' {
            return Err((Rule::BareLineFeed, nothing));
        }
        let end = upto.len() - 1;
        let line = &upto[start..end];
        if line.is_empty() {
            return if self.lines == 0 {
                Err((Rule::LeadingBlank, nothing))
            } else {
                Ok(true)
            };
        }
        if let Some(rule) = control(line) {
            return Err((rule, nothing));
        }
        if self.lines == 0 {
            return self.request_line(upto, start..end, limits).map(|()| false);
        }
        if self.lines as usize > limits.headers_max {
            return Err((Rule::TooManyHeaders, nothing));
        }
        self.header(upto, start..end).map(|()| false)
    }

    fn request_line(
        &mut self,
        input: &[u8],
        at: Range<usize>,
        limits: &Limits,
    ) -> Result<(), (Rule, Range<usize>)> {
        let line = &input[at.clone()];
        let malformed = (Rule::MalformedRequestLine, at.start..at.start);
        let method_end = memchr::memchr(b' ', line).ok_or(malformed.clone())?;
        let version_gap = memchr::memrchr(b' ', line).ok_or(malformed.clone())?;
        let method = &line[..method_end];
        if !names::is_token(method) {
            return Err((Rule::InvalidMethod, at.start..at.start + method_end));
        }
        if version_gap <= method_end + 1 {
            return Err(malformed);
        }
        let target = &line[method_end + 1..version_gap];
        let target_at = at.start + method_end + 1;
        let path_end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
        self.path = target_at..target_at + path_end;
        self.http10 = match &line[version_gap + 1..] {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            other if other.starts_with(b"HTTP/") => {
                return Err((Rule::UnsupportedVersion, at.start + version_gap + 1..at.end));
            }
            _ => return Err(malformed),
        };
        if memchr::memchr(b' ', target).is_some() {
            return Err(malformed);
        }
        if target.len() > limits.target_bytes_max {
            return Err((Rule::TargetTooLong, at.start..at.start));
        }
        if method == b"CONNECT" {
            return Err((Rule::ConnectMethod, at.start..at.start));
        }
        let authority = target::check(target, method).map_err(|rule| (rule, self.path.clone()))?;
        if let Some(authority) = authority {
            self.path = target_at + authority.end..self.path.end.max(target_at + authority.end);
            self.authority = Some(target_at + authority.start..target_at + authority.end);
        }
        Ok(())
    }

    fn header(&mut self, input: &[u8], at: Range<usize>) -> Result<(), (Rule, Range<usize>)> {
        let line = &input[at.clone()];
        if matches!(line[0], b' ' | b'\t') {
            return Err((Rule::ObsoleteFold, at.start..at.start));
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err((Rule::MissingColon, at.start..at.start));
        };
        let name_at = at.start..at.start + colon;
        let raw = &line[..colon];
        match raw.last() {
            None => return Err((Rule::EmptyHeaderName, name_at)),
            Some(b' ' | b'\t') => return Err((Rule::SpaceBeforeColon, name_at)),
            Some(_) => {}
        }
        let name = match names::scan(raw) {
            Scan::Valid(name) => name,
            Scan::Shadow => return Err((Rule::UnderscoreName, name_at)),
            Scan::Invalid => return Err((Rule::InvalidHeaderName, name_at)),
        };
        let value_at = trim(input, name_at.end + 1..at.end);
        self.meaning(name, input, value_at, name_at.clone())
            .map_err(|rule| (rule, name_at))
    }

    /// Takes in a header that matters for the framing.
    fn meaning(
        &mut self,
        name: Name,
        input: &[u8],
        value_at: Range<usize>,
        name_at: Range<usize>,
    ) -> Result<(), Rule> {
        let value = &input[value_at.clone()];
        match name {
            Name::Other | Name::Repeatable => {}
            Name::Single(bit) => {
                if self.seen & bit != 0 {
                    return Err(Rule::RepeatedHeader);
                }
                self.seen |= bit;
            }
            Name::Ours => {
                if comes_before(input, name_at) {
                    return Err(Rule::RepeatedHeader);
                }
            }
            Name::Host => {
                if self.host.is_some() {
                    return Err(Rule::RepeatedHost);
                }
                check_host(value)?;
                self.host = Some(value_at);
            }
            Name::ContentLength => {
                if self.chunked {
                    return Err(Rule::LengthAndTransferEncoding);
                }
                if self.length.is_some() {
                    return Err(Rule::RepeatedContentLength);
                }
                self.length = Some(parse_length(value).ok_or(Rule::InvalidContentLength)?);
            }
            Name::TransferEncoding => self.transfer_encoding(value)?,
            Name::Expect => {
                if self.seen & EXPECT_BIT != 0 {
                    return Err(Rule::RepeatedHeader);
                }
                self.seen |= EXPECT_BIT;
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Rule::UnsupportedExpectation);
                }
            }
        }
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Rule> {
        if self.http10 {
            return Err(Rule::TransferEncodingInHttp10);
        }
        if self.length.is_some() {
            return Err(Rule::LengthAndTransferEncoding);
        }
        if self.chunked {
            return Err(Rule::RepeatedTransferEncoding);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Rule::UnsupportedTransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// What can only be judged at the end of the head.
    fn accept(&mut self, input: &[u8], length: usize) -> Progress {
        let rule = match (&self.host, &self.authority) {
            // HTTP/1.0 has no Host (health checks of load balancers use it).
            (None, None) if self.http10 => None,
            (None, _) => Some(Rule::MissingHost),
            (Some(_), None) => None,
            (Some(host), Some(authority)) => {
                let (host, authority) = (&input[host.clone()], &input[authority.clone()]);
                (!host.eq_ignore_ascii_case(authority)).then_some(Rule::AuthorityMismatch)
            }
        };
        if let Some(rule) = rule {
            return Progress::Refused(self.violation(rule, b""));
        }
        let body = if self.chunked {
            BodyLength::Chunked
        } else {
            BodyLength::Known(self.length.unwrap_or(0))
        };
        Progress::Accepted(length, body)
    }
}

/// A head whose first byte cannot begin a method is refused at once: waiting
/// for a line end that may never come would only time out.
fn first_byte(input: &[u8]) -> Option<Rule> {
    match input.first()? {
        0x16 => Some(Rule::TlsOnPlainText),
        b' ' | b'\t' => Some(Rule::LeadingBlank),
        b'\r' | b'\n' => None,
        first if !names::is_token(&[*first]) => Some(Rule::InvalidMethod),
        _ => None,
    }
}

/// The rule that a control character in a line breaks. Tab is allowed here;
/// where it is not, the checks of the parts say so.
fn control(line: &[u8]) -> Option<Rule> {
    let is_control = |b: u8| (b < 0x20 && b != b'\t') | (b == 0x7f);
    // Without an early exit the compiler makes vector instructions of it.
    if !line.iter().fold(false, |any, &b| any | is_control(b)) {
        return None;
    }
    match line.iter().copied().find(|&b| is_control(b)) {
        Some(b'\r') => Some(Rule::BareCarriageReturn),
        Some(0) => Some(Rule::NullByte),
        Some(_) | None => Some(Rule::ControlCharacter),
    }
}

/// `at` without the white space at both ends.
fn trim(input: &[u8], at: Range<usize>) -> Range<usize> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let (mut start, mut end) = (at.start, at.end);
    while start < end && blank(&input[start]) {
        start += 1;
    }
    while end > start && blank(&input[end - 1]) {
        end -= 1;
    }
    start..end
}

/// Whether a header of the same name stands before `name_at`. Only for names
/// that have no bit of their own, which are rare.
fn comes_before(input: &[u8], name_at: Range<usize>) -> bool {
    let name = &input[name_at.clone()];
    input[..name_at.start]
        .split(|&b| b == b'\n')
        .skip(1)
        .any(|line| {
            line.len() > name.len()
                && line[name.len()] == b':'
                && line[..name.len()].eq_ignore_ascii_case(name)
        })
}

fn check_host(value: &[u8]) -> Result<(), Rule> {
    if value.is_empty() {
        return Err(Rule::EmptyHost);
    }
    if target::is_authority(value) {
        Ok(())
    } else {
        Err(Rule::InvalidHost)
    }
}

/// Digits only, at most 19 of them, which always fit.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        value
            .iter()
            .fold(0, |sum, b| sum * 10 + u64::from(b - b'0')),
    )
}
