//! Which source is taken, by the variables and files that announce it.

use std::collections::HashMap;

use super::*;
use crate::lending::Step;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn found(whence: Whence<'_>, env: Pairs<'_>, files: Pairs<'_>) -> Result<Found, Wrong> {
    let env: HashMap<&str, &str> = env.iter().copied().collect();
    let files: HashMap<&str, &str> = files.iter().copied().collect();
    let around = Around {
        env: &|name| env.get(name).map(|value| (*value).to_owned()),
        file: &|path| files.get(path).map(|text| (*text).to_owned()),
        region: None,
        proxy: None,
        ca_pem: None,
    };
    (SIGNING.find)(&whence, &around)
}

/// What was found, in words: the id of keys, or the name of a lender.
fn name(found: &Found) -> String {
    match &found.keys {
        FoundKeys::Fixed(keys) => keys.access_key_id.clone(),
        FoundKeys::Lent(lender) => lender.name().to_owned(),
    }
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKENV"),
    ("AWS_SECRET_ACCESS_KEY", "s"),
];
const IDENTITY: [(&str, &str); 2] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
    ("AWS_ROLE_ARN", "arn:r"),
];
const CONTAINER: [(&str, &str); 1] = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")];
const CREDENTIALS: [(&str, &str); 1] = [(
    "h/.aws/credentials",
    "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n[other]\n\
     aws_access_key_id = AKOTHER\naws_secret_access_key = s\n[p]\ncredential_process = /x\n",
)];

#[test]
fn the_chain_takes_the_first_that_is_announced() {
    let home = [("HOME", "h")];
    let all = [&KEYS[..], &IDENTITY, &CONTAINER, &home].concat();
    let mut env = all.as_slice();
    let take = |env: Pairs<'_>, files: Pairs<'_>| {
        name(&found(Whence::Chain, env, files).expect("something"))
    };
    assert_eq!(take(env, &CREDENTIALS), "AKENV");
    env = &env[2..];
    assert_eq!(
        take(env, &CREDENTIALS),
        "web identity (role arn:r, token file /t)"
    );
    env = &env[2..];
    assert_eq!(take(env, &CREDENTIALS), "AKFILE");
    let other = [env, &[("AWS_PROFILE", "other")]].concat();
    assert_eq!(take(&other, &CREDENTIALS), "AKOTHER");
    assert_eq!(take(env, &[]), "container credentials at 169.254.170.2");
    env = &env[1..];
    assert_eq!(take(env, &[]), "instance metadata at 169.254.169.254");
    let six = [env, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")]].concat();
    assert_eq!(take(&six, &[]), "instance metadata at fd00:ec2::254");
    let off = [env, &[("AWS_EC2_METADATA_DISABLED", "True")]].concat();
    let (what, _) = found(Whence::Chain, &off, &[]).expect_err("nothing is left");
    assert!(what.starts_with("no credentials are announced"), "{what}");
    // A profile that was named is the one that is meant, even if it is broken.
    let named = [env, &[("AWS_PROFILE", "nope")]].concat();
    let (what, _) = found(Whence::Chain, &named, &CREDENTIALS).expect_err("no such profile");
    assert_eq!(what, "there is no profile `nope` in the shared files");
}

const CONFIG: &str = "
[default]
region = eu-west-1
[profile base]
aws_access_key_id = AKBASE
aws_secret_access_key = s
[profile role]
role_arn = arn:role
source_profile = base
role_session_name = me@example
duration_seconds = 900
external_id = e
region = eu-central-1
[profile chained]
role_arn = arn:chained
source_profile = role
[profile self]
role_arn = arn:self
source_profile = self
aws_access_key_id = AKSELF
aws_secret_access_key = s
[profile on-instance]
role_arn = arn:i
credential_source = Ec2InstanceMetadata
[profile in-container]
role_arn = arn:c
credential_source = EcsContainer
[profile by-env]
role_arn = arn:e
credential_source = Environment
[profile identity]
role_arn = arn:w
web_identity_token_file = /tok
[profile dev]
sso_session = my-sso
sso_account_id = 111122223333
sso_role_name = SampleRole
[sso-session my-sso]
sso_region = us-east-1
sso_start_url = https://my-sso-portal.awsapps.com/start
[profile legacy]
sso_start_url = https://my-sso-portal.awsapps.com/start
sso_region = us-west-2
sso_account_id = 111122223333
sso_role_name = SampleRole
[profile helper]
credential_process = /opt/bin/awscreds-custom --username helen
[profile loop-a]
role_arn = arn:a
source_profile = loop-b
[profile loop-b]
role_arn = arn:b
source_profile = loop-a
[profile alone]
role_arn = arn:a
[profile both]
role_arn = arn:a
source_profile = base
credential_source = Environment
[profile mfa]
role_arn = arn:a
source_profile = base
mfa_serial = arn:mfa
[profile source]
role_arn = arn:a
credential_source = Elsewhere
[profile half]
web_identity_token_file = /tok
[profile lost]
role_arn = arn:a
source_profile = nowhere
[profile long]
role_arn = arn:a
source_profile = base
duration_seconds = 5
[profile named]
role_arn = arn:a
source_profile = base
role_session_name = a b
[profile no-session]
sso_session = none
sso_account_id = 1
sso_role_name = r
[profile empty]
output = json
";

fn profile(name: &str, env: Pairs<'_>) -> Result<Found, Wrong> {
    let home = [("HOME", "h")];
    let files = [("h/.aws/config", CONFIG), CREDENTIALS[0]];
    found(Whence::Profile(name), &[env, &home].concat(), &files)
}

#[test]
fn profiles_lead_to_their_sources() {
    let cases = [
        ("base", "AKBASE", None),
        ("default", "AKFILE", Some("eu-west-1")),
        ("role", "assumed role arn:role", Some("eu-central-1")),
        (
            "chained",
            "assumed role arn:chained by assumed role arn:role",
            None,
        ),
        ("self", "assumed role arn:self", None),
        (
            "on-instance",
            "assumed role arn:i by instance metadata at 169.254.169.254",
            None,
        ),
        (
            "in-container",
            "assumed role arn:c by container credentials at 169.254.170.2",
            None,
        ),
        ("by-env", "assumed role arn:e", None),
        (
            "identity",
            "web identity (role arn:w, token file /tok)",
            None,
        ),
        (
            "dev",
            "single sign-on (role SampleRole, account 111122223333)",
            None,
        ),
        (
            "legacy",
            "single sign-on (role SampleRole, account 111122223333)",
            None,
        ),
        (
            "helper",
            "credential_process /opt/bin/awscreds-custom",
            None,
        ),
    ];
    let env = [&KEYS[..], &CONTAINER].concat();
    for (profile_name, expected, region) in cases {
        let found = profile(profile_name, &env).unwrap_or_else(|(what, _)| panic!("{what}"));
        assert_eq!(name(&found), expected, "{profile_name}");
        assert_eq!(found.region.as_deref(), region, "{profile_name}");
    }
}

#[test]
fn profiles_that_cannot_be_used_say_why() {
    let cases = [
        ("nope", "there is no profile `nope`"),
        ("loop-a", "go in a circle"),
        ("alone", "nothing to assume it with"),
        ("both", "`source_profile` and `credential_source`"),
        ("mfa", "asks a person for a code"),
        ("source", "there is no credential source `Elsewhere`"),
        ("half", "and no role"),
        ("lost", "there is no profile `nowhere`"),
        ("long", "`duration_seconds`"),
        ("named", "is no name for a session"),
        ("no-session", "there is no `[sso-session none]`"),
        ("empty", "holds no credentials"),
        ("by-env", "takes keys of the environment; there are none"),
        ("p", "is in the wrong file"),
    ];
    for (name, expected) in cases {
        let (what, instead) = profile(name, &[]).expect_err(name);
        assert!(what.contains(expected), "{name}: {what}");
        assert!(!instead.is_empty());
    }
}

#[test]
fn tokens_of_sign_ins_lie_where_the_vendors_tools_put_them() {
    let file = |name: &str| {
        let found = profile(name, &[]).expect("it signs in");
        let FoundKeys::Lent(lender) = found.keys else {
            panic!("they are temporary");
        };
        match lender.next(&[], 0) {
            Step::Read(path) => path.display().to_string(),
            other => panic!("{other:?}"),
        }
    };
    // The SHA-1 of the session's name, and of the start URL, by `sha1sum`.
    assert_eq!(
        file("dev"),
        "h/.aws/sso/cache/0ad374308c5a4e22f723adf10145eafad7c4031c.json"
    );
    assert_eq!(
        file("legacy"),
        "h/.aws/sso/cache/c7aaaf71fcc8777ae2475525ed049d39fe16c484.json"
    );
}

fn sts_host(env: Pairs<'_>) -> Result<(String, String), Wrong> {
    let env = [env, &[("HOME", "h")]].concat();
    let files = [("h/.aws/config", CONFIG)];
    let found = found(Whence::Profile("role"), &env, &files)?;
    let FoundKeys::Lent(lender) = found.keys else {
        panic!("they are temporary");
    };
    match lender.next(&[], 0) {
        Step::Send(outbound) => {
            let signature = outbound.headers["authorization"].to_str().expect("ASCII");
            let region = signature.split('/').nth(2).expect("a region").to_owned();
            Ok((outbound.endpoint.host.clone(), region))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sts_is_asked_in_the_region() {
    let cases: [(Pairs<'_>, &str, &str); 6] = [
        (&[], "sts.eu-central-1.amazonaws.com", "eu-central-1"),
        (
            &[("AWS_REGION", "ap-east-1"), ("AWS_DEFAULT_REGION", "x")],
            "sts.ap-east-1.amazonaws.com",
            "ap-east-1",
        ),
        (
            &[("AWS_DEFAULT_REGION", "cn-north-1")],
            "sts.cn-north-1.amazonaws.com.cn",
            "cn-north-1",
        ),
        (
            &[("AWS_STS_REGIONAL_ENDPOINTS", "legacy")],
            "sts.amazonaws.com",
            "us-east-1",
        ),
        (
            &[
                ("AWS_STS_REGIONAL_ENDPOINTS", "legacy"),
                ("AWS_REGION", "ap-east-1"),
            ],
            "sts.ap-east-1.amazonaws.com",
            "ap-east-1",
        ),
        (
            &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")],
            "127.0.0.1",
            "eu-central-1",
        ),
    ];
    for (env, host, region) in cases {
        let asked = sts_host(env).unwrap_or_else(|(what, _)| panic!("{what}"));
        assert_eq!(asked, (host.to_owned(), region.to_owned()), "{env:?}");
    }
    let (what, instead) =
        sts_host(&[("AWS_STS_REGIONAL_ENDPOINTS", "global")]).expect_err("no such word");
    assert_eq!(what, "AWS_STS_REGIONAL_ENDPOINTS is `global`");
    assert_eq!(instead, "write `regional` or `legacy`");
    let (what, _) = sts_host(&[("AWS_ENDPOINT_URL_STS", "ftp://x")]).expect_err("no URL");
    assert!(what.starts_with("AWS_ENDPOINT_URL_STS gives STS"), "{what}");
}

#[test]
fn what_is_asked_for_must_be_announced() {
    let cases: [(Whence<'_>, Pairs<'_>, &str); 6] = [
        (Whence::WebIdentity, &[], "AWS_ROLE_ARN, which is not set"),
        (
            Whence::WebIdentity,
            &[("AWS_ROLE_ARN", "r")],
            "AWS_WEB_IDENTITY_TOKEN_FILE, which is not set",
        ),
        (
            Whence::WebIdentity,
            &[IDENTITY[0], IDENTITY[1], ("AWS_ROLE_SESSION_NAME", "a b")],
            "AWS_ROLE_SESSION_NAME is no name",
        ),
        (Whence::Container, &[], "neither AWS_CONTAINER_CREDENTIALS"),
        (
            Whence::Container,
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/")],
            "may not be asked in plain HTTP",
        ),
        (
            Whence::Instance,
            &[("AWS_EC2_METADATA_DISABLED", "true")],
            "AWS_EC2_METADATA_DISABLED forbids",
        ),
    ];
    for (whence, env, expected) in cases {
        let (what, _) = found(whence, env, &[]).expect_err(expected);
        assert!(what.contains(expected), "{what}");
    }
}
