//! Cases of the framing: one line each, raw bytes in, a rule or none out.

#[path = "../../../tests/page/mod.rs"]
mod page;

use super::*;

use proptest::prelude::*;

/// The rule that a connection of these bytes breaks, and what passed before.
fn run(bytes: &[u8]) -> (Option<Rule>, usize, u64) {
    let (passed, heads, refusal) = trace(std::iter::once(bytes));
    assert!(
        bytes.starts_with(&passed),
        "passed bytes are those that came"
    );
    let bytewise = trace(bytes.chunks(1));
    assert_eq!(
        (&passed, heads, &refusal),
        (&bytewise.0, bytewise.1, &bytewise.2)
    );
    if let Some(refusal) = &refusal {
        let message = refusal.violation.message();
        assert!(
            message.starts_with("The HTTP request is malformed: "),
            "{message}"
        );
    }
    (refusal.map(|r| r.violation.rule), passed.len(), heads)
}

fn refused(bytes: impl AsRef<[u8]>, rule: Rule) {
    let (found, passed, heads) = run(bytes.as_ref());
    let shown = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    assert_eq!(found, Some(rule), "{shown:?}");
    assert_eq!(
        (passed, heads),
        (0, 0),
        "nothing of a bad head passes: {shown:?}"
    );
}

fn accepted(bytes: impl AsRef<[u8]>, heads: u64) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(run(bytes), (None, bytes.len(), heads), "{shown:?}");
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")
}

fn with(headers: &str) -> String {
    format!("POST /v1/x HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

#[test]
fn what_real_clients_send_is_accepted() {
    accepted(get("/"), 1);
    accepted(get("/v1/models?limit=2&after=a%20b"), 1);
    accepted(get("/v1/models/gemini-2:generateContent?alt=sse"), 1);
    accepted(get("/v1beta/models/a%3Ab:streamGenerateContent"), 1);
    accepted(get("/model/anthropic.claude-v2%3A1/converse-stream"), 1);
    accepted(
        get("/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Aprofile%2Fabc/converse"),
        1,
    );
    for target in [
        "/v1/models/sandbox%2Fecho",
        "/models/sandbox%2fecho",
        "/openai/v1/models/a%2Fb%2Fc",
        "/anthropic/v1/models/a%2Fb?limit=1",
        "/v1/models/sandbox%2Fecho:generateContent",
        "/gemini/v1beta/models/a%2Fb%3AstreamGenerateContent?alt=sse",
        "/v1beta/models/sandbox/echo:generateContent",
        "/bedrock/model/a%2Fb/converse",
    ] {
        accepted(get(target), 1);
    }
    accepted(get("/v1/files/a.b..c/.hidden/..."), 1);
    accepted(get("http://A/v1/x?y"), 1);
    accepted(get("https://a"), 1);
    accepted("OPTIONS * HTTP/1.1\r\nHost: [::1]:4100\r\n\r\n", 1);
    accepted("GET / HTTP/1.0\r\n\r\n", 1);
    accepted(
        with("content-length: 3\r\n")
            .into_bytes()
            .into_iter()
            .chain(*b"abc")
            .collect::<Vec<_>>(),
        1,
    );
    accepted(
        with("Expect: 100-Continue\r\nX-Thing_Of: their own\r\nx-note: caf\u{e9}\t1\r\n"),
        1,
    );
    accepted(
        with(
            "accept: a\r\naccept: b\r\ntollgate-user: u\r\ntollgate-new: 1\r\ntollgate-newer: 1\r\n",
        ),
        1,
    );
    accepted(
        with("connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n"),
        1,
    );
}

#[test]
fn bodies_are_followed_to_the_next_head() {
    let chunked = with("Transfer-Encoding: Chunked\r\n");
    let one = format!("{chunked}5\r\nab\r\nc\r\n0a;q=\"1\"\r\n0123456789\r\n0\r\n\r\n");
    accepted(&one, 1);
    let head = get("/next");
    accepted(format!("{one}{head}{one}{head}"), 4);
    let known = format!("{}GET / HTTP/1.1\n", with("content-length: 15\r\n"));
    accepted(format!("{known}{head}"), 2);
    let (rule, passed, heads) = run(format!("{known}{head}GET / HTTP/1.1\n").as_bytes());
    assert_eq!((rule, heads), (Some(Rule::BareLineFeed), 2));
    assert_eq!(passed, known.len() + head.len());
}

#[test]
fn broken_lines_are_refused() {
    refused("\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", Rule::LeadingBlank);
    refused(" GET / HTTP/1.1\r\nhost: a\r\n\r\n", Rule::LeadingBlank);
    refused(b"\x16\x03\x01\x02\x00\x01\x00", Rule::TlsOnPlainText);
    refused("GET / HTTP/1.1\nhost: a\r\n\r\n", Rule::BareLineFeed);
    refused("GET / HTTP/1.1\r\nhost: a\n\r\n", Rule::BareLineFeed);
    refused("GET / HTTP/1.1\r\nhost: a\r\n\n", Rule::BareLineFeed);
    refused(with("x: a\rb\r\n"), Rule::BareCarriageReturn);
    refused(with("x: a\r\r\n"), Rule::BareCarriageReturn);
    refused(with("x: a\0b\r\n"), Rule::NullByte);
    refused(with("x: a\x07b\r\n"), Rule::ControlCharacter);
    refused(with("x: a\x7fb\r\n"), Rule::ControlCharacter);
    refused(with("x: a\r\n b\r\n"), Rule::ObsoleteFold);
    refused(with("x: a\r\n\tb: c\r\n"), Rule::ObsoleteFold);
    refused(with("nothing\r\n"), Rule::MissingColon);
    refused(with("x : a\r\n"), Rule::SpaceBeforeColon);
    refused(with("content-length\t: 1\r\n"), Rule::SpaceBeforeColon);
    refused(with(": a\r\n"), Rule::EmptyHeaderName);
    refused(with("x y: a\r\n"), Rule::InvalidHeaderName);
    refused(with("x(y): a\r\n"), Rule::InvalidHeaderName);
    refused(with("caf\u{e9}: a\r\n"), Rule::InvalidHeaderName);
}

#[test]
fn names_that_shadow_ours_are_refused() {
    for name in [
        "tollgate_user",
        "Tollgate_Anything",
        "tollgate-use_case",
        "x_api_key",
        "X-Api_Key",
        "content_length",
        "Transfer_Encoding",
        "Authorization_",
        "HOST_",
    ] {
        let ours = !name.ends_with('_');
        let head = with(&format!("{name}: 1\r\n"));
        if ours {
            refused(head, Rule::UnderscoreName);
        } else {
            accepted(head, 1);
        }
    }
    for name in [
        "api_key",
        "idempotency_key",
        "anthropic_version",
        "x_forwarded_for",
    ] {
        refused(with(&format!("{name}: 1\r\n")), Rule::UnderscoreName);
    }
}

#[test]
fn single_headers_come_once() {
    for name in [
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "content-type",
        "content-encoding",
        "idempotency-key",
        "anthropic-version",
        "traceparent",
        "tollgate-user",
        "tollgate-max-cost",
        "tollgate-unknown",
        "expect",
    ] {
        let value = if name == "expect" {
            "100-continue"
        } else {
            "1"
        };
        let upper = name.to_uppercase();
        let head = with(&format!(
            "{name}: {value}\r\nother: 1\r\n{upper}: {value}\r\n"
        ));
        refused(head, Rule::RepeatedHeader);
    }
}

#[test]
fn request_lines_are_exact() {
    refused(
        "GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::MalformedRequestLine,
    );
    refused(
        "GET / \tHTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::MalformedRequestLine,
    );
    refused(
        "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::MalformedRequestLine,
    );
    refused("GET /\r\nhost: a\r\n\r\n", Rule::MalformedRequestLine);
    refused("GET\r\nhost: a\r\n\r\n", Rule::MalformedRequestLine);
    refused("G@T / HTTP/1.1\r\nhost: a\r\n\r\n", Rule::InvalidMethod);
    refused(b"\x80", Rule::InvalidMethod);
    refused(
        "CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::ConnectMethod,
    );
    for version in [
        "HTTP/2.0",
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.1.1",
        "HTTP/1",
        "HTTP/01.1",
    ] {
        refused(
            format!("GET / {version}\r\nhost: a\r\n\r\n"),
            Rule::UnsupportedVersion,
        );
    }
    refused(
        "GET / http/1.1\r\nhost: a\r\n\r\n",
        Rule::MalformedRequestLine,
    );
}

#[test]
fn targets_have_one_reading() {
    refused(
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::NonAsciiTarget,
    );
    refused(
        b"GET http://\xc3\xa9/ HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::NonAsciiTarget,
    );
    for target in [
        "/a\"b", "/a<b", "/a\\b", "/a{b}", "/a|b", "/a?b\\c", "/a?<b>",
    ] {
        refused(get(target), Rule::InvalidTargetCharacter);
    }
    for target in ["v1/x", "*", "ftp://a/b", "a:80", "http://", "?x"] {
        refused(get(target), Rule::UnsupportedTargetForm);
    }
    for target in ["/a#b", "/a?b#c", "http://a#b"] {
        refused(get(target), Rule::Fragment);
    }
    for target in [
        "/v1/../admin",
        "/..",
        "/.",
        "/a/./b",
        "/%2e%2E/b",
        "/a/.%2e",
        "/a/..;x/b",
        "http://a/../b",
    ] {
        refused(get(target), Rule::DotSegment);
    }
    for target in ["//", "//a", "/a//b", "/v1//models", "/a//"] {
        refused(get(target), Rule::EmptySegment);
    }
    for target in [
        "/a%2fb",
        "/a%2Fb/converse",
        "/model/a%2fb",
        "/model/a%2fb/other",
        "/x/model/a%2Fb/converse",
        "/model/a%2f%2fb/converse",
        "/model/%2fa/converse",
        "/model/x/a%2Fb/converse",
        "/v1/models%2Fa",
        "/v1/models/a%2Fb/c",
        "/v1/models/a/b%2Fc",
        "/v1/models/%2Fa",
        "/v1/models/a%2F",
        "/v1/models/a%2F%2Fb",
        "/v1/x/models/a%2Fb",
        "/x/v1/models/a%2Fb",
        "/admin/models/a%2Fb",
    ] {
        refused(get(target), Rule::EncodedSlash);
    }
    refused(get("/model/a%2F..%2Fb/converse"), Rule::DotSegment);
    refused(get("/v1/models/a%2F..%2Fb"), Rule::DotSegment);
    refused(get("/a%5cb"), Rule::EncodedBackslash);
    refused(get("/a%00"), Rule::EncodedNul);
    refused(get("/a?b=%00"), Rule::EncodedNul);
    refused(get("/a%0d%0ab"), Rule::EncodedControl);
    for target in ["/a%", "/a%2", "/a%zz", "/a?b=%1", "/a%ff"] {
        refused(get(target), Rule::InvalidPercentEncoding);
    }
    refused(get(&format!("/{}", "a".repeat(8192))), Rule::TargetTooLong);
    refused(
        get(&format!("/{}", "a".repeat(80_000))),
        Rule::TargetTooLong,
    );
    accepted(get(&format!("/{}", "a".repeat(8191))), 1);
}

#[test]
fn there_is_one_host() {
    refused("GET / HTTP/1.1\r\n\r\n", Rule::MissingHost);
    refused("GET http://a/ HTTP/1.1\r\n\r\n", Rule::MissingHost);
    refused(
        "GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n",
        Rule::RepeatedHost,
    );
    refused("GET / HTTP/1.1\r\nhost:\r\n\r\n", Rule::EmptyHost);
    refused("GET / HTTP/1.1\r\nhost: \t \r\n\r\n", Rule::EmptyHost);
    for host in [
        "a b", "a,b", "a/b", "u@a", "a:b", "a:123456", "[::1", "[]", ":80", "a:1:2",
    ] {
        refused(
            format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            Rule::InvalidHost,
        );
    }
    refused(
        "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::AuthorityMismatch,
    );
    refused(
        "GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::AuthorityMismatch,
    );
    refused(
        "GET http://a:80/ HTTP/1.1\r\nhost: a\r\n\r\n",
        Rule::AuthorityMismatch,
    );
}

#[test]
fn there_is_one_length() {
    let both = Rule::LengthAndTransferEncoding;
    refused(
        with("content-length: 1\r\ntransfer-encoding: chunked\r\n"),
        both,
    );
    refused(
        with("transfer-encoding: chunked\r\ncontent-length: 1\r\n"),
        both,
    );
    refused(
        with("content-length: 1\r\ncontent-length: 1\r\n"),
        Rule::RepeatedContentLength,
    );
    refused(
        with("content-length: 1\r\ncontent-length: 2\r\n"),
        Rule::RepeatedContentLength,
    );
    for length in [
        "",
        "x",
        "+1",
        "-1",
        "1 1",
        "1,1",
        "0x1",
        "1.0",
        "99999999999999999999",
    ] {
        refused(
            with(&format!("content-length: {length}\r\n")),
            Rule::InvalidContentLength,
        );
    }
    let twice = "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n";
    refused(with(twice), Rule::RepeatedTransferEncoding);
    for coding in [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunked;q=1",
    ] {
        let head = with(&format!("transfer-encoding: {coding}\r\n"));
        refused(head, Rule::UnsupportedTransferEncoding);
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    refused(old, Rule::TransferEncodingInHttp10);
    refused(with("expect: a-miracle\r\n"), Rule::UnsupportedExpectation);
}

#[test]
fn heads_are_bounded() {
    refused(with(&"x: y\r\n".repeat(100)), Rule::TooManyHeaders);
    accepted(with(&"x: y\r\n".repeat(99)), 1);
    refused(
        with(&format!("x: {}\r\n", "y".repeat(70_000))),
        Rule::HeadTooLarge,
    );
    refused(
        with(&format!("x: {}\r\n", "y".repeat(2_000)).repeat(40)),
        Rule::HeadTooLarge,
    );
}

#[test]
fn chunks_are_exact() {
    let head = with("transfer-encoding: chunked\r\n");
    let cases: [(&str, usize, Rule); 16] = [
        ("x\r\n", 0, Rule::InvalidChunkSize),
        ("\r\n", 0, Rule::InvalidChunkSize),
        ("0x5\r\n", 1, Rule::InvalidChunkSize),
        ("-5\r\n", 0, Rule::InvalidChunkSize),
        (" 5\r\n", 0, Rule::InvalidChunkSize),
        ("5 \r\n", 1, Rule::InvalidChunkSize),
        ("1234567890abcdef\r\n", 15, Rule::InvalidChunkSize),
        ("5\nabcde\r\n0\r\n\r\n", 1, Rule::ChunkDelimiter),
        ("5\rabcde", 2, Rule::ChunkDelimiter),
        ("5;a\nb", 3, Rule::ChunkDelimiter),
        ("3\r\nabcd", 6, Rule::ChunkDelimiter),
        ("3\r\nabc\n", 6, Rule::ChunkDelimiter),
        ("0\r\n\n", 3, Rule::ChunkDelimiter),
        ("0\r\n\rx", 4, Rule::ChunkDelimiter),
        ("0\r\nx: y\r\n\r\n", 3, Rule::TrailersRefused),
        ("5;\0", 2, Rule::ChunkExtensionTooLong),
    ];
    for (body, good, rule) in cases {
        let bytes = format!("{head}{body}");
        assert_eq!(
            run(bytes.as_bytes()),
            (Some(rule), head.len() + good, 1),
            "{body:?}"
        );
    }
    let long = format!("{head}{}", "1;x\r\na\r\n".repeat(5_000));
    assert_eq!(run(long.as_bytes()).0, Some(Rule::ChunkExtensionTooLong));
}

#[test]
fn a_refusal_names_the_path_for_the_dialect() {
    let (_, _, refusal) = trace(std::iter::once(
        &b"POST /v1/messages?x HTTP/1.1\r\nhost\r\n\r\n"[..],
    ));
    let refusal = refusal.expect("no colon");
    assert_eq!(refusal.path, "/v1/messages");
    assert_eq!((refusal.violation.line, refusal.violation.offset), (2, 30));
    let (_, _, refusal) = trace(std::iter::once(
        &b"GET http://a/v1/x HTTP/1.1\r\nhost: b\r\n\r\n"[..],
    ));
    assert_eq!(refusal.expect("another host").path, "/v1/x");
}

#[test]
fn a_message_never_repeats_a_header_value() {
    let head = with("authorization: Bearer tg-secret\r\nauthorization: Bearer tg-secret\r\n");
    let (_, _, refusal) = trace(std::iter::once(head.as_bytes()));
    let message = refusal.expect("repeated").violation.message();
    assert!(
        message.contains("`authorization`") && !message.contains("secret"),
        "{message}"
    );
}

#[test]
fn rules_have_distinct_names_and_client_statuses() {
    let names: std::collections::HashSet<_> = Rule::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    assert!(Rule::ALL.iter().all(|r| (400..500).contains(&r.status())));
}

#[test]
fn the_rules_are_in_the_book() {
    let mut table = String::from("| rule | status | what is refused |\n|---|---|---|\n");
    for rule in Rule::ALL {
        let message = Violation::of(rule, b"").message();
        let words = message.trim_start_matches("The HTTP request is malformed: ");
        table.push_str(&format!(
            "| `{}` | {} | {words} |\n",
            rule.name(),
            rule.status()
        ));
    }
    page::hold("docs/edge.md", "rules", &table);
}

#[test]
fn http2_requests_are_held_to_the_same_rules() {
    let check = |request: http::request::Builder| {
        let (parts, ()) = request.body(()).expect("hyper would build it").into_parts();
        check_parts(&parts, &Limits::default())
            .err()
            .map(|v| v.rule)
    };
    let of = |uri: &str| http::Request::builder().uri(uri);
    assert_eq!(check(of("http://a/v1/x?y")), None);
    assert_eq!(check(of("http://a/v1/x").header("host", "A")), None);
    assert_eq!(check(of("/v1/x")), Some(Rule::MissingHost));
    assert_eq!(check(of("http://a/v1/../x")), Some(Rule::DotSegment));
    assert_eq!(check(of("http://a//x")), Some(Rule::EmptySegment));
    assert_eq!(
        check(of("http://a/x").header("host", "b")),
        Some(Rule::AuthorityMismatch)
    );
    assert_eq!(check(of("http://u@a/x")), Some(Rule::InvalidHost));
    assert_eq!(
        check(of("http://a/x").method("CONNECT")),
        Some(Rule::ConnectMethod)
    );
    let twice = |name: &str| of("http://a/x").header(name, "1").header(name, "1");
    assert_eq!(check(twice("authorization")), Some(Rule::RepeatedHeader));
    assert_eq!(check(twice("tollgate-new")), Some(Rule::RepeatedHeader));
    assert_eq!(
        check(twice("content-length")),
        Some(Rule::RepeatedContentLength)
    );
    let hosts = of("http://a/x").header("host", "a").header("host", "a");
    assert_eq!(check(hosts), Some(Rule::RepeatedHost));
    assert_eq!(check(twice("accept")), None);
    assert_eq!(
        check(of("http://a/x").header("x_api_key", "1")),
        Some(Rule::UnderscoreName)
    );
    assert_eq!(
        check(of("http://a/x").header("content-length", "+1")),
        Some(Rule::InvalidContentLength)
    );
    assert_eq!(
        check(of("http://a/x").header("expect", "more")),
        Some(Rule::UnsupportedExpectation)
    );
    let many = (0..101).fold(of("http://a/x"), |r, i| r.header(format!("x-{i}"), "1"));
    assert_eq!(check(many), Some(Rule::TooManyHeaders));
}

/// Pieces that together make requests, good and bad.
const PIECES: [&[u8]; 22] = [
    b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    b"POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"1;x=y\r\na\r\n",
    b"0\r\n\r\n",
    b"0\r\nx: y\r\n\r\n",
    b"GET ",
    b"/b/%2e%2e ",
    b"HTTP/1.1\r\n",
    b"host: a\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"content-length: 3\r\n",
    b"content_length: 3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"tollgate-zzz: 1\r\n",
    b"\x16\x03\x01",
    b"http://a/x",
];

proptest! {
    #[test]
    fn every_partition_gives_the_verdict_of_one_chunk(
        pieces in prop::collection::vec(0..PIECES.len(), 1..12),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes: Vec<u8> = pieces.iter().flat_map(|&i| PIECES[i]).copied().collect();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).filter(|part| !part.is_empty());
        prop_assert_eq!(trace(parts), trace(std::iter::once(&bytes[..])));
    }

    #[test]
    fn no_bytes_break_the_fuzz_entry(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_framing(&bytes);
    }
}
