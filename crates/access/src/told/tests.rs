//! Cases of what a call tells: each source, and how they disagree.

use http::{HeaderName, HeaderValue};

use super::*;
use crate::consumer::Asserts;
use crate::metadata::{CURRENT, VERSIONS};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A call: its headers, and the members of its body object (texts).
#[derive(Clone, Copy, Default)]
struct Case<'a> {
    headers: Pairs<'a>,
    body: Pairs<'a>,
}

fn consumer() -> Consumer {
    Consumer::new("k", "acme", "shop")
}

fn tell_as(case: Case<'_>, consumer: &Consumer) -> Result<Told, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in case.headers {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    let member = |(name, value): &(&'static str, &'static str)| Member {
        name: (*name).into(),
        value: Value::Text((*value).into()),
    };
    let owned: Vec<(&'static str, &'static str)> = case
        .body
        .iter()
        .map(|(name, value)| (&*name.to_string().leak(), &*value.to_string().leak()))
        .collect();
    let body: Vec<Member<'_>> = owned.iter().map(member).collect();
    read(&Telling {
        headers: &headers,
        body: &body,
        consumer,
        settings: &Settings::default(),
    })
}

fn tell(headers: Pairs<'_>, body: Pairs<'_>) -> Result<Told, Fault> {
    tell_as(Case { headers, body }, &consumer())
}

fn fields(told: &Told) -> Vec<(&'static str, String)> {
    let pairs = told.metadata.iter();
    pairs
        .map(|(field, value)| (field.name(), value.to_owned()))
        .collect()
}

#[test]
fn each_field_is_told_in_each_place() {
    let value = |field: Field| match field {
        Field::DataClass => "internal",
        Field::Quality => "cheap",
        Field::Retention => "digest",
        Field::PiiMode => "hash",
        Field::MaxTokens | Field::MaxLatencyMs => "12",
        Field::MaxCost => "0.5",
        Field::Contract => "2026-11-01",
        Field::Tags => "team=x",
        Field::User
        | Field::Channel
        | Field::UseCase
        | Field::Session
        | Field::Family
        | Field::Region
        | Field::Redaction => "some text",
    };
    for field in Field::ALL {
        let value = value(field);
        let header = format!("tollgate-{}", field.name().replace('_', "-"));
        let percent = value.replace(' ', "%20").replace('=', "%3D");
        let dotted = format!("a=b;c, tollgate.{}={percent};p=1,x=y", field.name());
        let hyphened = format!("tollgate-{} = {percent}", field.name().replace('_', "-"));
        let mut told = vec![
            tell(&[(&header, value)], &[]),
            tell(&[], &[(field.name(), value)]),
            tell(&[("baggage", &dotted)], &[]),
            tell(&[("baggage", "k=v"), ("baggage", &hyphened)], &[]),
            tell(&[(&header, value)], &[(field.name(), value)]),
        ];
        told.extend(field.alias().map(|alias| tell(&[], &[(alias, value)])));
        let expected = match field {
            Field::MaxCost => "500000000",
            _ => value,
        };
        for told in told {
            let told = told.expect("good");
            assert_eq!(fields(&told), [(field.name(), expected.to_owned())]);
            assert!(told.consumer.is_none());
        }
    }
}

#[test]
fn a_call_that_tells_nothing_is_not_touched() {
    let told = tell(
        &[("user-agent", "x"), ("baggage", "a=b"), ("tollgatex", "1")],
        &[],
    );
    let told = told.expect("good");
    assert!(told.metadata.is_empty());
    assert_eq!(told.version, &CURRENT);
}

/// Headers, body, words that the fault holds, its field.
type Refused = (
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
    u16,
    &'static str,
    &'static str,
);

#[test]
fn what_is_wrong_is_named() {
    let cases: &[Refused] = &[
        // Two places disagree.
        (
            &[("tollgate-user", "a")],
            &[("user", "b")],
            400,
            "`tollgate.user` in the body says something else than the header `tollgate-user`",
            "tollgate.user",
        ),
        (
            &[],
            &[("user", "a"), ("user_id", "b")],
            400,
            "else than `tollgate.user`",
            "tollgate.user_id",
        ),
        (
            &[("tollgate-data-class", "public"), ("baggage", "x=1")],
            &[("data_classification", "internal")],
            400,
            "the header `tollgate-data-class`",
            "tollgate.data_classification",
        ),
        (
            &[("tollgate-user", "a"), ("tollgate-user", "b")],
            &[],
            400,
            "two values",
            "tollgate-user",
        ),
        (
            &[("tollgate-max-cost", "1"), ("tollgate-max-cost", "2")],
            &[],
            400,
            "two values",
            "tollgate-max-cost",
        ),
        (
            &[("baggage", "tollgate.user=a,tollgate.user=b")],
            &[],
            400,
            "two values",
            "baggage.tollgate.user",
        ),
        (
            &[("tollgate-contract", "2026-11-01")],
            &[("contract", "2026-06-01")],
            400,
            "something else",
            "tollgate.contract",
        ),
        // Names.
        (
            &[("tollgate_tenant", "x")],
            &[],
            400,
            "Write the name with `-`",
            "tollgate_tenant",
        ),
        (
            &[("tollgate-use_case", "x")],
            &[],
            400,
            "`tollgate-use-case`",
            "tollgate-use_case",
        ),
        (
            &[("tollgate-usr", "x")],
            &[],
            400,
            "Write `tollgate-user`",
            "tollgate-usr",
        ),
        (
            &[("tollgate-user-id", "x")],
            &[],
            400,
            "Write `tollgate-user`",
            "tollgate-user-id",
        ),
        (
            &[("tollgate-zzzzzzzz", "x")],
            &[],
            400,
            "There are `tollgate-user`,",
            "tollgate-zzzzzzzz",
        ),
        (
            &[],
            &[("use-case", "x")],
            400,
            "Write `use_case`",
            "tollgate.use-case",
        ),
        (
            &[],
            &[("user_di", "x")],
            400,
            "Write `user_id`",
            "tollgate.user_di",
        ),
        (
            &[("baggage", "tollgate.usr=x")],
            &[],
            400,
            "Write `tollgate.user`",
            "baggage.tollgate.usr",
        ),
        (
            &[("tollgate-purpose", "x")],
            &[],
            400,
            "in version 2026-06-01",
            "tollgate-purpose",
        ),
        // Values.
        (
            &[("tollgate-quality", "best")],
            &[],
            400,
            "`high`, `standard` or `cheap`",
            "tollgate-quality",
        ),
        (
            &[],
            &[("quality_tier", "best")],
            400,
            "`tollgate.quality_tier` in the body says `best`",
            "tollgate.quality_tier",
        ),
        (
            &[("baggage", "tollgate.quality=best")],
            &[],
            400,
            "`cheap`",
            "baggage.tollgate.quality",
        ),
        (
            &[("baggage", "tollgate.user=a%0Ab")],
            &[],
            400,
            "control character",
            "baggage.tollgate.user",
        ),
        (
            &[],
            &[("session", "a\nb")],
            400,
            "control character",
            "tollgate.session",
        ),
        (
            &[("tollgate-contract", "2027-01-01")],
            &[],
            400,
            "`2026-11-01`, `2026-06-01`",
            "tollgate-contract",
        ),
        // Identity.
        (
            &[("tollgate-tenant", "other")],
            &[],
            403,
            "come from the credential",
            "tollgate-tenant",
        ),
        (
            &[("tollgate-app", "other")],
            &[],
            403,
            "come from the credential",
            "tollgate-app",
        ),
        (
            &[],
            &[("tenant_id", "other")],
            403,
            "come from the credential",
            "tollgate.tenant_id",
        ),
        (
            &[],
            &[("tenant", "other")],
            403,
            "come from the credential",
            "tollgate.tenant",
        ),
        (
            &[],
            &[("app_id", "other")],
            403,
            "come from the credential",
            "tollgate.app_id",
        ),
        (
            &[("baggage", "tollgate.tenant=other")],
            &[],
            403,
            "come from the credential",
            "baggage.tollgate.tenant",
        ),
    ];
    for (headers, body, status, words, field) in cases {
        let fault = tell(headers, body).expect_err("refused");
        let place = format!("{headers:?} {body:?}: {}", fault.public);
        assert_eq!(fault.status(), *status, "{place}");
        assert!(fault.public.contains(words), "{place}");
        assert_eq!(fault.field.as_deref(), Some(*field), "{place}");
        let first = fault.public.chars().next().expect("a text");
        assert!(first.is_uppercase() || first == '`', "{place}");
    }
}

#[test]
fn of_limits_the_smallest_counts_and_of_hints_the_strictest() {
    let cases: &[(Pairs<'_>, Pairs<'_>, &str, &str)] = &[
        (
            &[("tollgate-max-tokens", "50")],
            &[("max_tokens", "9")],
            "max_tokens",
            "9",
        ),
        (
            &[
                ("tollgate-max-tokens", "9"),
                ("baggage", "tollgate.max_tokens=5"),
            ],
            &[],
            "max_tokens",
            "5",
        ),
        (
            &[("tollgate-max-cost", "0.1")],
            &[("max_cost", "0.09")],
            "max_cost",
            "90000000",
        ),
        (
            &[("tollgate-max-latency-ms", "9")],
            &[("max_latency_ms", "10")],
            "max_latency_ms",
            "9",
        ),
        (
            &[("tollgate-retention", "full")],
            &[("retention_policy", "none")],
            "retention",
            "none",
        ),
        (
            &[
                ("tollgate-retention", "digest"),
                ("baggage", "tollgate.retention=full"),
            ],
            &[],
            "retention",
            "digest",
        ),
        (
            &[("tollgate-pii-mode", "hash")],
            &[("pii_mode", "mask")],
            "pii_mode",
            "mask",
        ),
    ];
    for (headers, body, field, value) in cases {
        let told = tell(headers, body).expect("good");
        assert_eq!(fields(&told), [(*field, (*value).to_owned())]);
    }
}

#[test]
fn baggage_is_the_weakest() {
    for (headers, body) in [
        (
            &[
                ("tollgate-user", "strong"),
                ("baggage", "tollgate.user=weak"),
            ][..],
            &[][..],
        ),
        (&[("baggage", "tollgate.user=weak")], &[("user", "strong")]),
    ] {
        let told = tell(headers, body).expect("good");
        assert_eq!(told.metadata.get(Field::User), Some("strong"));
    }
    // What is not UTF-8 is replaced, as the specification has it.
    let told = tell(&[("baggage", "tollgate.user=a%FFb%zz%2C")], &[]).expect("good");
    assert_eq!(told.metadata.get(Field::User), Some("a\u{fffd}b%zz,"));
    // Members of others may be anything.
    assert!(tell(&[("baggage", "=,;;,%,tollgate,tollgatex=1,\u{e9}=1")], &[]).is_ok());
}

#[test]
fn a_trusted_caller_speaks_for_others() {
    let with = |user, app, tenant| Consumer {
        asserts: Asserts { user, app, tenant },
        user: Some("alice".into()),
        ..consumer()
    };
    let other = [("tollgate-tenant", "other"), ("tollgate-app", "till")];
    let case = Case {
        headers: &other,
        body: &[],
    };
    let told = tell_as(case, &with(false, true, true)).expect("trusted");
    let spoken_for = told.consumer.expect("another");
    assert_eq!((&*spoken_for.tenant, &*spoken_for.app), ("other", "till"));
    assert_eq!(&*spoken_for.key_id, "k");
    for (app, tenant) in [(true, false), (false, true)] {
        assert_eq!(
            tell_as(case, &with(true, app, tenant))
                .expect_err("not both")
                .status(),
            403
        );
    }
    // Even a trusted caller's baggage asserts nothing.
    let case = Case {
        headers: &[("baggage", "tollgate.tenant=other")],
        body: &[],
    };
    assert_eq!(
        tell_as(case, &with(true, true, true))
            .expect_err("baggage")
            .status(),
        403
    );
    // Its own names are no assertion.
    let own = Case {
        headers: &[("tollgate-tenant", "acme")],
        body: &[("app_id", "shop")],
    };
    assert!(
        tell_as(own, &consumer())
            .expect("its own")
            .consumer
            .is_none()
    );
}

#[test]
fn the_user_of_the_credential_stays() {
    let named = |user| Consumer {
        user: Some("alice".into()),
        asserts: Asserts {
            user,
            ..Asserts::default()
        },
        ..consumer()
    };
    let user = |case, consumer: &Consumer| {
        tell_as(case, consumer).map(|told| told.metadata.get(Field::User).map(str::to_owned))
    };
    let alice = Ok(Some("alice".to_owned()));
    let nobody = Case::default();
    let bob = Case {
        headers: &[("tollgate-user", "bob")],
        body: &[],
    };
    let same = Case {
        headers: &[],
        body: &[("user", "alice")],
    };
    assert_eq!(user(nobody, &named(false)), alice);
    assert_eq!(user(same, &named(false)), alice);
    assert_eq!(user(bob, &named(true)), Ok(Some("bob".to_owned())));
    assert_eq!(user(bob, &consumer()), Ok(Some("bob".to_owned())));
    let fault = user(bob, &named(false)).expect_err("another");
    assert_eq!(fault.status(), 403);
    assert!(fault.public.contains("another user"), "{}", fault.public);
}

#[test]
fn the_older_version_is_translated() {
    let old = VERSIONS[1];
    let told = tell(
        &[
            ("tollgate-contract", "2026-06-01"),
            ("tollgate-end-user", "ann"),
            ("tollgate-quality", "bronze"),
            ("baggage", "tollgate.purpose=triage"),
        ],
        &[("channel", "web")],
    )
    .expect("good");
    assert_eq!(told.version, old);
    assert_eq!(
        fields(&told),
        [
            ("user", "ann"),
            ("channel", "web"),
            ("use_case", "triage"),
            ("quality", "cheap"),
            ("contract", "2026-06-01"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    );
    let fault = tell(
        &[
            ("tollgate-contract", "2026-06-01"),
            ("tollgate-user", "ann"),
        ],
        &[],
    );
    let fault = fault.expect_err("a name of the other version");
    assert!(
        fault.public.contains("`tollgate-end-user`"),
        "{}",
        fault.public
    );
    // A consumer's own default.
    let consumer = Consumer {
        contract: Some(old),
        ..consumer()
    };
    let case = Case {
        headers: &[],
        body: &[("purpose", "triage")],
    };
    assert_eq!(tell_as(case, &consumer).expect("good").version, old);
    let case = Case {
        headers: &[],
        body: &[("use_case", "triage"), ("contract", "2026-11-01")],
    };
    assert_eq!(tell_as(case, &consumer).expect("good").version, &CURRENT);
}

#[test]
fn members_of_every_kind() {
    let tell = |name: &'static str, value: Value<'static>| {
        let body = [Member {
            name: name.into(),
            value,
        }];
        read(&Telling {
            headers: &HeaderMap::new(),
            body: &body,
            consumer: &consumer(),
            settings: &Settings::default(),
        })
        .map(|told| fields(&told).remove(0).1)
    };
    assert_eq!(tell("max_tokens", Value::Number("12")).as_deref(), Ok("12"));
    assert_eq!(
        tell("max_cost", Value::Number("1e-05")).as_deref(),
        Ok("10000")
    );
    let pairs = |value: &'static str| {
        Value::Pairs(vec![("b".into(), value.into()), ("a".into(), "1".into())])
    };
    assert_eq!(tell("tags", pairs("2")).as_deref(), Ok("a=1,b=2"));
    for (name, value, words) in [
        ("max_tokens", Value::Number("1.5"), "whole number"),
        ("tags", pairs("2,c=3"), "comma"),
        ("user", pairs("2"), "is an object"),
        ("user", Value::Other("a boolean"), "is a boolean"),
        ("tags", Value::Other("an array"), "object of strings"),
    ] {
        let fault = tell(name, value).expect_err(words);
        assert_eq!(fault.status(), 400);
        assert!(fault.public.contains(words), "{}", fault.public);
    }
}

/// A message shows the head of a name, in one line, however long it is.
#[test]
fn names_are_shown_in_bounds() {
    let long = "x".repeat(100_000);
    for fault in [
        tell(&[], &[(&long, "x")]),
        tell(&[], &[("use_c\nase\u{1b}[31m", "x")]),
        tell(&[("baggage", &format!("tollgate.{long}=x"))], &[]),
    ] {
        let fault = fault.expect_err("unknown");
        assert!(fault.public.len() < 700, "{}", fault.public.len());
        assert!(fault.field.is_some_and(|field| field.len() < 100));
        assert!(!fault.public.contains(char::is_control), "{}", fault.public);
    }
}

/// What is no text of one line is refused; everything else is kept as it is.
#[test]
fn hostile_texts_are_kept_as_texts() {
    let hostile = [
        "'; DROP TABLE records; --",
        "\" OR 1=1 --",
        "<script>alert(1)</script>",
        "{{7*7}} ${jndi:ldap://x}",
        "%0a%0dlevel=error",
        "a\\nb",
    ];
    for text in hostile {
        for field in [Field::User, Field::UseCase, Field::Session, Field::Channel] {
            let told = tell(&[], &[(field.name(), text)]).expect("kept");
            assert_eq!(told.metadata.get(field), Some(text));
        }
    }
}

proptest::proptest! {
    /// Whatever is told: it is refused in a bounded message of one line, or
    /// kept as text of one line within bounds.
    #[test]
    fn anything_told_is_refused_or_harmless(
        name in "[a-z_]{0,12}",
        text in ".{0,40}",
        baggage in proptest::collection::vec(0x20_u8..0xff, 0..60),
        nth in 0..Field::ALL.len(),
    ) {
        let mut headers = HeaderMap::new();
        let noise = [b"tollgate.user=", &baggage[..]].concat();
        if let Ok(value) = HeaderValue::from_bytes(&noise) {
            headers.insert(BAGGAGE, value);
        }
        let member = |name: &str| Member {
            name: name.to_owned().into(),
            value: Value::Text(text.clone().into()),
        };
        let body = [member(Field::ALL[nth].name()), member(&name)];
        for body in [&body[..1], &body] {
            let told = read(&Telling {
                headers: &headers,
                body,
                consumer: &consumer(),
                settings: &Settings::default(),
            });
            match told {
                Ok(told) => for (_, value) in told.metadata.iter() {
                    assert!(!value.contains(char::is_control) && value.len() <= 512);
                    assert!(!value.is_empty());
                },
                Err(fault) => {
                    assert!(matches!(fault.status(), 400 | 403), "{fault:?}");
                    assert!(fault.public.len() < 1_000 && fault.field.is_some());
                    assert!(!fault.public.contains(char::is_control), "{}", fault.public);
                }
            }
        }
    }

    /// A normal form is its own normal form.
    #[test]
    fn a_normal_form_stays(text in "\\PC{1,20}|[0-9a-z=, ]{1,20}", nth in 0..Field::ALL.len()) {
        let field = Field::ALL[nth];
        let normal = |text: &str| {
            metadata::normal(field, text, &CURRENT, &Settings::default())
        };
        // Money is told in dollars and kept in nano-dollars.
        if let Ok(value) = normal(&text) && field != Field::MaxCost {
            assert_eq!(normal(&value), Ok(value));
        }
    }
}
