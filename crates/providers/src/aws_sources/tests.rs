//! Each source with the payloads of the vendor's documents: what is asked,
//! what is read, and what is said of refusals.

use contract::Secret;
use contract::seams::Outbound;

use super::read::time;
use super::*;
use crate::lending::{Heard, Lender, Lent, Program, SigningKeys, Source, Step};

/// 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600_000_000;
const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY";

fn answer(status: u16, body: &str) -> Heard {
    Heard::Answer {
        status,
        body: Secret::new(body.as_bytes().to_vec()),
    }
}

fn text(text: &str) -> Heard {
    Heard::Text(Secret::new(text.as_bytes().to_vec()))
}

fn sent(step: Step) -> Outbound {
    match step {
        Step::Send(outbound) => *outbound,
        other => panic!("nothing is sent: {other:?}"),
    }
}

fn done(step: Step) -> Lent {
    match step {
        Step::Done(lent) => lent,
        other => panic!("no keys: {other:?}"),
    }
}

fn failed(step: Step) -> String {
    match step {
        Step::Failed(why) => why,
        other => panic!("no failure: {other:?}"),
    }
}

fn body(outbound: &Outbound) -> String {
    let bytes: Vec<u8> = outbound
        .body
        .iter()
        .flat_map(|piece| piece.to_vec())
        .collect();
    String::from_utf8(bytes).expect("a form is ASCII")
}

fn place(url: &str) -> Place {
    Place::at(url, &Way::default()).expect("a place")
}

fn check(lent: &Lent, token: &str, end: &str) {
    assert_eq!(lent.keys.access_key_id, "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(lent.keys.secret_access_key.expose(), KEY);
    let given = lent.keys.session_token.as_ref().expect("a token");
    assert_eq!(given.expose(), token);
    assert_eq!(lent.expires_us, time(end));
    assert!(time(end).is_some());
}

fn sts_answer(action: &str, end: &str) -> Heard {
    answer(
        200,
        &format!(
            r#"<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <{action}Result>
    <SubjectFromWebIdentityToken>amzn1.account.AF6RHO7KZU5XRVQJGXK6HB56KR2A</SubjectFromWebIdentityToken>
    <Audience>client.5498841531868486423.1548@apps.example.com</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/FederatedWebIdentityRole/app1</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:app1</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>
      <SecretAccessKey>{KEY}</SecretAccessKey>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE==</SessionToken>
      <Expiration>{end}</Expiration>
    </Credentials>
    <Provider>www.amazon.com</Provider>
  </{action}Result>
  <ResponseMetadata>
    <RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId>
  </ResponseMetadata>
</{action}Response>"#
        ),
    )
}

const STS_TOKEN: &str = "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE==";

fn sts() -> Sts {
    Sts {
        place: place("https://sts.eu-west-1.amazonaws.com"),
        region: "eu-west-1".to_owned(),
    }
}

fn session() -> RoleSession {
    RoleSession {
        role_arn: "arn:aws:iam::123456789012:role/demo".to_owned(),
        name: "tollgate".to_owned(),
        duration_s: Some(3_600),
        external_id: Some("123 ABC".to_owned()),
    }
}

#[test]
fn a_web_identity_becomes_a_role() {
    let source = WebIdentity {
        sts: sts(),
        session: session(),
        token_file: "/var/run/token".into(),
    };
    assert!(matches!(source.next(&[], NOW), Step::Read(path) if path.ends_with("token")));
    let token = text("eyJ0.x+y/z=\n");
    let outbound = sent(source.next(std::slice::from_ref(&token), NOW));
    assert_eq!(outbound.method, "POST");
    assert_eq!(outbound.path, "/");
    assert_eq!(outbound.endpoint.host, "sts.eu-west-1.amazonaws.com");
    assert!(outbound.endpoint.tls);
    assert!(
        !outbound.headers.contains_key("authorization"),
        "the token is the credential"
    );
    assert_eq!(
        body(&outbound),
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdemo&RoleSessionName=tollgate\
         &DurationSeconds=3600&ExternalId=123%20ABC&WebIdentityToken=eyJ0.x%2By%2Fz%3D"
    );
    let good = sts_answer("AssumeRoleWithWebIdentity", "2026-01-01T01:00:00Z");
    let lent = done(source.next(&[token.clone(), good], NOW));
    check(&lent, STS_TOKEN, "2026-01-01T01:00:00Z");
    let refused = answer(
        400,
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
  <Type>Sender</Type><Code>ExpiredTokenException</Code>
  <Message>Token expired: current date/time must be before the expiration date/time</Message>
</Error><RequestId>x</RequestId></ErrorResponse>"#,
    );
    assert_eq!(
        failed(source.next(&[token.clone(), refused], NOW)),
        "AssumeRoleWithWebIdentity at sts.eu-west-1.amazonaws.com: it answered 400: \
         ExpiredTokenException: Token expired: current date/time must be before the expiration \
         date/time"
    );
    let rubbish = [
        (answer(200, "<html>"), "the answer has no `Credentials`"),
        (answer(500, ""), "it answered 500"),
        (Heard::Nothing("no way".into()), "no way"),
        (
            answer(
                200,
                "<Credentials><Expiration>soon</Expiration></Credentials>",
            ),
            "`soon` is no time",
        ),
    ];
    for (heard, why) in rubbish {
        let said = failed(source.next(&[token.clone(), heard], NOW));
        assert!(said.ends_with(why), "{said}");
    }
    assert_eq!(
        failed(source.next(&[text(" \n")], NOW)),
        "the token file is empty"
    );
    let missing = Heard::Nothing("no such file".into());
    assert_eq!(
        failed(source.next(&[missing], NOW)),
        "the token file: no such file"
    );
}

#[test]
fn keys_that_have_ended_are_no_keys() {
    let source = WebIdentity {
        sts: sts(),
        session: session(),
        token_file: "t".into(),
    };
    let lender = Lender::new(Box::new(source));
    let old = sts_answer("AssumeRoleWithWebIdentity", "2014-10-24T23:00:23Z");
    let heard = [text("t"), old];
    assert_eq!(
        failed(lender.next(&heard, NOW)),
        "the credentials it gave had expired already"
    );
    let before = time("2014-10-24T23:00:22Z").expect("a time");
    check(
        &done(lender.next(&heard, before)),
        STS_TOKEN,
        "2014-10-24T23:00:23Z",
    );
}

#[test]
fn a_role_is_assumed_with_signed_requests_and_by_other_sources() {
    let keys = SigningKeys {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: Secret::new("s".into()),
        session_token: None,
    };
    let fixed = AssumedRole {
        sts: sts(),
        session: session(),
        base: Base::Fixed(keys),
    };
    let outbound = sent(fixed.next(&[], NOW));
    let signature = outbound.headers["authorization"].to_str().expect("ASCII");
    assert!(
        signature.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/sts/aws4_request, \
             SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, "
        ),
        "{signature}"
    );
    assert!(body(&outbound).starts_with("Action=AssumeRole&Version=2011-06-15&RoleArn="));
    let good = || sts_answer("AssumeRole", "2026-01-01T01:00:00Z");
    check(
        &done(fixed.next(&[good()], NOW)),
        STS_TOKEN,
        "2026-01-01T01:00:00Z",
    );

    // A role by a role by the role of a container: the steps follow on.
    let container = Container::at(place("http://169.254.170.2/v2/x"), Token::None).expect("ok");
    let middle = AssumedRole {
        sts: sts(),
        session: session(),
        base: Base::Lent(Box::new(container)),
    };
    let outer = AssumedRole {
        sts: sts(),
        session: session(),
        base: Base::Lent(Box::new(middle)),
    };
    let mut heard = Vec::new();
    assert_eq!(sent(outer.next(&heard, NOW)).endpoint.host, "169.254.170.2");
    heard.push(container_answer());
    let first = sent(outer.next(&heard, NOW));
    assert_eq!(first.headers["x-amz-security-token"], "token");
    heard.push(good());
    let second = sent(outer.next(&heard, NOW));
    assert_eq!(second.headers["x-amz-security-token"], STS_TOKEN);
    heard.push(good());
    check(
        &done(outer.next(&heard, NOW)),
        STS_TOKEN,
        "2026-01-01T01:00:00Z",
    );
    let broken = [Heard::Nothing("no way".into())];
    assert_eq!(
        failed(outer.next(&broken, NOW)),
        "the credentials endpoint: no way"
    );
}

fn container_answer() -> Heard {
    answer(
        200,
        &format!(
            r#"{{"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","Expiration":"2026-01-01T06:00:00Z",
            "RoleArn":"arn:aws:iam::123456789012:role/task","SecretAccessKey":"{KEY}",
            "Token":"token"}}"#
        ),
    )
}

#[test]
fn containers_are_asked_with_their_token() {
    let agent = "http://169.254.170.23/v1/credentials";
    let fresh = Container::at(place(agent), Token::File("/var/run/eks/token".into())).expect("ok");
    assert!(matches!(fresh.next(&[], NOW), Step::Read(_)));
    let outbound = sent(fresh.next(&[text("k8s-token\n")], NOW));
    assert_eq!(outbound.path, "/v1/credentials");
    assert_eq!(outbound.headers["authorization"], "k8s-token");
    assert!(outbound.headers["authorization"].is_sensitive());
    let lent = done(fresh.next(&[text("k8s-token"), container_answer()], NOW));
    check(&lent, "token", "2026-01-01T06:00:00Z");
    let injected = text("a\r\nx-evil: 1");
    let said = failed(fresh.next(&[injected], NOW));
    assert!(
        said.contains("a header cannot carry") && !said.contains("evil"),
        "{said}"
    );

    let url = "http://localhost:1/get?role=x";
    let given = Container::at(place(url), Token::Text(Secret::new("Basic abc".into())));
    let given = given.expect("this machine");
    let outbound = sent(given.next(&[], NOW));
    assert_eq!(outbound.headers["authorization"], "Basic abc");
    assert_eq!(outbound.path, "/get?role=x");
    let refused = answer(403, r#"{"code":"AccessDenied","message":"no role\nhere"}"#);
    assert_eq!(
        failed(given.next(&[refused], NOW)),
        "the credentials endpoint: it answered 403: AccessDenied: no role here"
    );
    let halves = answer(200, r#"{"AccessKeyId":"a","SecretAccessKey":""}"#);
    assert_eq!(
        failed(given.next(&[halves], NOW)),
        "the credentials endpoint: the answer has no `SecretAccessKey`"
    );
}

#[test]
fn containers_are_asked_only_where_a_token_may_go() {
    let may = |url: &str| Container::at(place(url), Token::None).is_ok();
    for url in [
        "http://127.0.0.1:8080/x",
        "http://127.9.9.9/x",
        "http://localhost/x",
        "http://[::1]:9/x",
        "http://169.254.170.2/x",
        "http://169.254.170.23/x",
        "http://[fd00:ec2::23]/x",
        "https://anything.example/x",
    ] {
        assert!(may(url), "{url}");
    }
    for url in [
        "http://anything.example/x",
        "http://169.254.170.3/x",
        "http://169.254.169.254/x",
        "http://10.0.0.1/x",
        "http://localhost.example/x",
    ] {
        assert!(!may(url), "{url}");
    }
}

#[test]
fn instances_are_asked_by_version_two() {
    let source = Instance {
        place: place("http://169.254.169.254"),
    };
    let outbound = sent(source.next(&[], NOW));
    assert_eq!(
        (outbound.method.as_str(), &*outbound.path),
        ("PUT", "/latest/api/token")
    );
    assert_eq!(
        outbound.headers["x-aws-ec2-metadata-token-ttl-seconds"],
        "21600"
    );
    let mut heard = vec![answer(200, "AQAEAFEXAMPLE==")];
    let outbound = sent(source.next(&heard, NOW));
    let roles = "/latest/meta-data/iam/security-credentials/";
    assert_eq!((outbound.method.as_str(), &*outbound.path), ("GET", roles));
    assert_eq!(
        outbound.headers["x-aws-ec2-metadata-token"],
        "AQAEAFEXAMPLE=="
    );
    heard.push(answer(200, "s3access"));
    let outbound = sent(source.next(&heard, NOW));
    assert_eq!(outbound.path, format!("{roles}s3access"));
    assert_eq!(
        outbound.headers["x-aws-ec2-metadata-token"],
        "AQAEAFEXAMPLE=="
    );
    let good = format!(
        r#"{{ "Code" : "Success", "LastUpdated" : "2012-04-26T16:39:16Z", "Type" : "AWS-HMAC",
        "AccessKeyId" : "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey" : "{KEY}", "Token" : "token",
        "Expiration" : "2026-05-17T15:09:54Z" }}"#
    );
    let with = |heard: &[Heard], last: Heard| {
        let all: Vec<Heard> = heard.iter().cloned().chain([last]).collect();
        source.next(&all, NOW)
    };
    check(
        &done(with(&heard, answer(200, &good))),
        "token",
        "2026-05-17T15:09:54Z",
    );
    let unable = answer(
        200,
        r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"no"}"#,
    );
    assert_eq!(
        failed(with(&heard, unable)),
        "the metadata service: it answered 200: AssumeRoleUnauthorizedAccess: no"
    );
    let none = "the metadata service: the instance has no role";
    assert_eq!(failed(with(&heard[..1], answer(404, "<html>"))), none);
    assert_eq!(failed(with(&heard[..1], answer(200, "\n"))), none);
    assert_eq!(
        failed(with(&[], answer(403, ""))),
        "the metadata service: its token: it answered 403"
    );
}

#[test]
fn a_program_prints_keys() {
    let line = r#""/opt/my tools/keys" --user "He len" -x """#;
    let source = Helper::of(line).expect("a command");
    let program = Program {
        file: "/opt/my tools/keys".into(),
        arguments: ["--user", "He len", "-x", ""].map(String::from).into(),
    };
    assert!(matches!(source.next(&[], NOW), Step::Run(it) if it == program));
    assert_eq!(source.name(), "credential_process /opt/my tools/keys");
    let printed = |more: &str| {
        text(&format!(
            r#"{{"Version": 1, "AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "{KEY}"{more}}}"#
        ))
    };
    let more = r#", "SessionToken": "t", "Expiration": "2026-05-26T12:34:56.789+00:00""#;
    check(
        &done(source.next(&[printed(more)], NOW)),
        "t",
        "2026-05-26T12:34:56Z",
    );
    let lasting = done(source.next(&[printed("")], NOW));
    assert_eq!(
        (lasting.expires_us, lasting.keys.session_token),
        (None, None)
    );
    let second = text(r#"{"Version": 2}"#);
    assert_eq!(
        failed(source.next(&[second], NOW)),
        "the program: its output has no `\"Version\": 1`"
    );
    assert_eq!(
        failed(source.next(&[text("oops")], NOW)),
        "the program: the answer is no JSON"
    );
    for bad in ["", "  ", "\"", "\"\" x"] {
        assert!(Helper::of(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_sign_in_becomes_a_role() {
    let source = SignIn {
        portal: place("https://portal.sso.us-east-1.amazonaws.com"),
        token_file: "/h/.aws/sso/cache/x.json".into(),
        account_id: "111122223333".into(),
        role_name: "Sample Role".into(),
        profile: "dev".into(),
    };
    assert!(matches!(source.next(&[], NOW), Step::Read(_)));
    let file = |end: &str| {
        text(&format!(
            r#"{{"startUrl":"https://my-sso-portal.awsapps.com/start","region":"us-east-1",
            "accessToken":"sso-token","expiresAt":"{end}"}}"#
        ))
    };
    let good = file("2026-01-01T08:00:00Z");
    let outbound = sent(source.next(std::slice::from_ref(&good), NOW));
    assert_eq!(
        outbound.path,
        "/federation/credentials?account_id=111122223333&role_name=Sample%20Role"
    );
    assert_eq!(outbound.headers["x-amz-sso_bearer_token"], "sso-token");
    assert!(outbound.headers["x-amz-sso_bearer_token"].is_sensitive());
    let answered = answer(
        200,
        &format!(
            r#"{{"roleCredentials":{{"accessKeyId":"ASIAIOSFODNN7EXAMPLE","expiration":1767229200000,
            "secretAccessKey":"{KEY}","sessionToken":"token"}}}}"#
        ),
    );
    let lent = done(source.next(&[good.clone(), answered], NOW));
    check(&lent, "token", "2026-01-01T01:00:00Z");
    let advice = "sign in: `aws sso login --profile dev`";
    let cases = [
        (
            vec![file("2025-12-31T23:59:59UTC")],
            "the sign-in has ended",
        ),
        (vec![text("{}")], "it holds no `accessToken`"),
        (vec![Heard::Nothing("no such file".into())], "no such file"),
        (
            vec![
                good.clone(),
                answer(401, r#"{"message":"Session token not found or invalid"}"#),
            ],
            "Session token not found or invalid",
        ),
        (
            vec![good, answer(200, "{}")],
            "the answer has no `roleCredentials`",
        ),
    ];
    for (heard, why) in cases {
        let said = failed(source.next(&heard, NOW));
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("sso-token"), "{said}");
        let expects_advice = !why.contains("roleCredentials") && !why.contains("accessToken");
        assert_eq!(said.contains(advice), expects_advice, "{said}");
    }
}

#[test]
fn times_as_the_services_write_them() {
    let cases = [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2026-01-01T00:00:00Z", Some(NOW / 1_000_000)),
        ("2026-01-01T00:00:00.123Z", Some(NOW / 1_000_000)),
        ("2026-01-01T00:00:00UTC", Some(NOW / 1_000_000)),
        ("2026-01-01T02:00:00+02:00", Some(NOW / 1_000_000)),
        ("2025-12-31T19:30:00-04:30", Some(NOW / 1_000_000)),
        ("2024-02-29T12:34:56Z", Some(1_709_210_096)),
        ("2026-01-01T00:00:00", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-01-01", None),
        ("+026-01-01T00:00:00Z", None),
        ("EXPIRATION_DATE", None),
        (
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
            None,
        ),
        ("", None),
    ];
    for (text, seconds) in cases {
        let expected = seconds.map(|seconds: u64| seconds * 1_000_000);
        assert_eq!(time(text), expected, "{text}");
    }
}

#[test]
fn lenders_are_told_apart_and_give_nothing_away() {
    let with = |secret: &str, role: &str| {
        let keys = SigningKeys {
            access_key_id: "AKID".into(),
            secret_access_key: Secret::new(secret.into()),
            session_token: None,
        };
        let source = AssumedRole {
            sts: sts(),
            session: RoleSession {
                role_arn: role.into(),
                ..session()
            },
            base: Base::Fixed(keys),
        };
        Lender::new(Box::new(source))
    };
    let first = with("never-shown", "r");
    assert_eq!(first.id(), with("never-shown", "r").id());
    assert_ne!(first.id(), with("other", "r").id());
    assert_ne!(first.id(), with("never-shown", "q").id());
    let shown = format!("{first:?} {} {}", first.name(), first.id());
    assert!(!shown.contains("never-shown"), "{shown}");
}
