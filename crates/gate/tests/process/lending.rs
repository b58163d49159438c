//! Temporary keys: fetched where the environment says, used, renewed in time,
//! and missed clearly where their source is silent.
//!
//! One server plays the metadata service, STS and the model alike; it listens
//! on loopback as all others here.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::gateway::{Gateway, Home, KEY};
use crate::until;
use crate::upstream::{Asked, Upstream, json};

const CONVERSED: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":1}}"#;
/// The path of instances, and a role there.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// What the server saw.
#[derive(Default)]
struct Seen {
    /// Loans so far; each has its number in its keys.
    loans: AtomicU64,
    /// Life of a loan, seconds.
    life_s: AtomicU64,
    is_silent: AtomicBool,
    /// Session tokens and key ids of calls to the model, in order.
    calls: Mutex<Vec<(String, String)>>,
    /// Bodies that STS got.
    forms: Mutex<Vec<String>>,
}

impl Seen {
    fn lasting(life_s: u64) -> Arc<Self> {
        let seen = Self::default();
        seen.life_s.store(life_s, Ordering::Relaxed);
        Arc::new(seen)
    }

    fn server(self: &Arc<Self>) -> Upstream {
        let seen = self.clone();
        Upstream::start(move |asked, socket| {
            let answer = seen.answer(asked);
            socket.write_all(answer.as_bytes()).is_ok()
        })
    }

    fn answer(&self, asked: &Asked) -> String {
        if asked.path.starts_with("/model/") {
            return self.converse(asked);
        }
        if self.is_silent.load(Ordering::Relaxed) {
            return json(503, "{}");
        }
        let path = asked.path.as_str();
        match asked.method.as_str() {
            "PUT" if path == "/latest/api/token" => json(200, "metadata-token"),
            "GET" if path == ROLES && is_known(asked) => json(200, "role"),
            "GET" if path == format!("{ROLES}role") && is_known(asked) => {
                let (number, end) = self.lend();
                let keys = format!(
                    r#"{{"Code":"Success","AccessKeyId":"ASIA{number}","SecretAccessKey":"s","Token":"session-{number}","Expiration":"{end}"}}"#
                );
                json(200, &keys)
            }
            "POST" if path == "/" => {
                self.forms.lock().unwrap().push(asked.body.clone());
                let (number, end) = self.lend();
                json(
                    200,
                    &format!(
                        "<R><Credentials><AccessKeyId>ASIA{number}</AccessKeyId>\
                         <SecretAccessKey>s</SecretAccessKey>\
                         <SessionToken>session-{number}</SessionToken>\
                         <Expiration>{end}</Expiration></Credentials></R>"
                    ),
                )
            }
            _ => json(404, "{}"),
        }
    }

    fn converse(&self, asked: &Asked) -> String {
        let signature = asked.header("authorization");
        let id = signature
            .strip_prefix("AWS4-HMAC-SHA256 Credential=")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        let call = (
            asked.header("x-amz-security-token").to_owned(),
            id.to_owned(),
        );
        self.calls.lock().unwrap().push(call);
        json(200, CONVERSED)
    }

    /// The number of a new loan and its end.
    fn lend(&self) -> (u64, String) {
        let number = self.loans.fetch_add(1, Ordering::Relaxed) + 1;
        let life = Duration::from_secs(self.life_s.load(Ordering::Relaxed));
        (number, rfc3339(SystemTime::now() + life))
    }

    fn last_call(&self) -> (String, String) {
        self.calls
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

fn is_known(asked: &Asked) -> bool {
    asked.header("x-aws-ec2-metadata-token") == "metadata-token"
}

/// A time of this year or a later one, by the calendar of `date`.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let date = Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

fn pair(number: u64) -> (String, String) {
    (format!("session-{number}"), format!("ASIA{number}"))
}

fn start(home: &Home, env: &[(&str, &str)]) -> Gateway {
    let mut command = home.command(&[]);
    command.envs(env.iter().copied());
    Gateway::start(command)
}

fn by_instance(url: &str, more: &str) -> String {
    format!(
        "workers: 2\nproviders:\n  cloud: {{kind: bedrock, region: us-east-1, base_url: '{url}', \
         aws: {{credentials: instance}}}}\n{more}"
    )
}

#[test]
fn temporary_keys_are_fetched_used_and_renewed() {
    // They are renewed half way to their end, so there are seconds to spare.
    let seen = Seen::lasting(12);
    let server = seen.server();
    let home = Home::with(&by_instance(&server.url(), "models: {m: cloud/m}\n"));
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*server.url());
    let gateway = start(&home, &[metadata]);
    let first = gateway.chat("m");
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(
        seen.last_call(),
        pair(1),
        "no call is early for the first keys"
    );
    until("the keys are renewed", || {
        let answer = gateway.chat("m");
        assert_eq!(answer.status, 200, "{}", answer.text());
        seen.last_call() == pair(2)
    });
    assert_eq!(gateway.complaints(), "");
    gateway.stop();
}

#[test]
fn a_plan_that_is_rolled_out_has_its_keys_from_the_first_call_on() {
    let seen = Seen::lasting(3_600);
    let server = seen.server();
    let rest = "plans: {owner: api}\nkeys: [{id: test, secret: '${file:test.key}'}]\n\
                listen: {data: {address: '127.0.0.1:0'}, admin: {address: '127.0.0.1:0'}}\n";
    let home = Home::new();
    std::fs::write(home.path("test.key"), KEY).unwrap();
    home.configure(&Upstream::good().config(&format!("{rest}models: {{m: up/m}}")));
    let candidate = by_instance(&server.url(), &format!("{rest}models: {{m: cloud/m}}"));
    std::fs::write(home.path("new.yaml"), candidate).unwrap();
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*server.url());
    let gateway = start(&home, &[metadata]);
    assert_eq!(gateway.chat("m").status, 200);
    assert_eq!(seen.loans.load(Ordering::Relaxed), 0);
    let admin = format!("http://{}", gateway.admin());
    for words in [
        &["apply", "new.yaml", "--percent", "100"][..],
        &[
            "rollout",
            "set",
            "--percent",
            "99.99",
            "--tenant",
            "default",
        ],
        &["rollout", "promote"],
    ] {
        let (code, _, err) = home.run(&[&["plan"], words, &["--admin", &admin]].concat());
        assert_eq!(code, 0, "{words:?}: {err}");
        let answer = gateway.chat("m");
        assert_eq!(answer.status, 200, "{words:?}: {}", answer.text());
        assert_eq!(seen.last_call(), pair(1), "{words:?}");
    }
    gateway.stop();
}

#[test]
fn a_silent_source_fails_alone_until_it_speaks() {
    let seen = Seen::lasting(3_600);
    seen.is_silent.store(true, Ordering::Relaxed);
    let server = seen.server();
    let good = Upstream::good();
    let more = format!(
        "  up: {{kind: compatible, base_url: '{}/v1', dialects: [openai_chat]}}\n\
         models: {{m: cloud/m, other: up/m, either: {{candidates: \
         [{{provider: cloud, model: m}}, {{provider: up, model: m}}]}}}}\n",
        good.url()
    );
    let home = Home::with(&by_instance(&server.url(), &more));
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*server.url());
    let gateway = start(&home, &[metadata]);
    gateway.hears("temporary credentials by instance metadata at 127.0.0.1 cannot be fetched");

    let missed = gateway.chat("m");
    assert_eq!(missed.status, 502, "{}", missed.text());
    let told = missed.json();
    assert_eq!(told["error"]["code"], "upstream_error");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("no valid credential"), "{message}");
    assert!(!missed.text().contains("metadata"), "{}", missed.text());
    assert_eq!(gateway.chat("other").status, 200, "others go on");
    assert_eq!(
        gateway.chat("either").status,
        200,
        "another candidate takes it"
    );
    assert_eq!(
        seen.last_call(),
        Default::default(),
        "nothing was sent unsigned"
    );

    seen.is_silent.store(false, Ordering::Relaxed);
    until("the source is asked again", || {
        gateway.chat("m").status == 200
    });
    assert_eq!(seen.last_call(), pair(1));
    gateway.hears("are there again");
    gateway.stop();
}

#[test]
fn a_source_that_is_not_there_stops_nothing() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let good = Upstream::good();
    let more = format!(
        "  up: {{kind: compatible, base_url: '{}/v1', dialects: [openai_chat]}}\n\
         models: {{m: cloud/m, other: up/m}}\n",
        good.url()
    );
    let home = Home::with(&by_instance(&closed, &more));
    let gateway = start(&home, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &closed)]);
    assert_eq!(gateway.chat("other").status, 200);
    assert_eq!(gateway.chat("m").status, 502);
    gateway.hears("gave no answer (connect");
    gateway.stop();
}

#[test]
fn a_web_identity_of_the_environment_is_found_without_configuration() {
    let seen = Seen::lasting(3_600);
    let server = seen.server();
    let home = Home::with("workers: 1\nproviders: auto\n");
    std::fs::write(home.path("token"), "eyJ.identity\n").unwrap();
    let token = home.path("token").display().to_string();
    let gateway = start(
        &home,
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/demo"),
            ("AWS_ROLE_SESSION_NAME", "pod-1"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL_STS", &server.url()),
            ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &server.url()),
        ],
    );
    let answer = gateway.chat("anthropic.claude-x");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(seen.last_call(), pair(1));
    let forms = seen.forms.lock().unwrap().clone();
    assert!(
        forms[0].contains("Action=AssumeRoleWithWebIdentity"),
        "{forms:?}"
    );
    assert!(forms[0].contains("RoleSessionName=pod-1"), "{forms:?}");
    assert!(
        forms[0].ends_with("WebIdentityToken=eyJ.identity"),
        "{forms:?}"
    );
    gateway.stop();
}

#[test]
fn a_profile_may_ask_a_program_and_assume_a_role_by_it() {
    let seen = Seen::lasting(3_600);
    let server = seen.server();
    let home = Home::with(&format!(
        "workers: 1\nproviders:\n  plain: {{kind: bedrock, base_url: '{0}', \
         aws: {{profile: helper}}}}\n  role: {{kind: bedrock, base_url: '{0}', \
         aws: {{profile: role}}}}\nmodels: {{p: plain/m, r: role/m}}\n",
        server.url()
    ));
    let keys = home.path("keys.json").display().to_string();
    std::fs::write(
        &keys,
        r#"{"Version":1,"AccessKeyId":"AKHELPER","SecretAccessKey":"s","SessionToken":"helped"}"#,
    )
    .unwrap();
    let config = format!(
        "[profile helper]\nregion = us-east-1\ncredential_process = /bin/cat \"{keys}\"\n\
         [profile role]\nregion = us-east-1\nrole_arn = arn:aws:iam::1:role/r\n\
         source_profile = helper\n"
    );
    std::fs::create_dir(home.path(".aws")).unwrap();
    std::fs::write(home.path(".aws/config"), config).unwrap();
    let gateway = start(&home, &[("AWS_ENDPOINT_URL_STS", &server.url())]);
    assert_eq!(gateway.chat("p").status, 200);
    assert_eq!(seen.last_call(), ("helped".into(), "AKHELPER".into()));
    assert_eq!(gateway.chat("r").status, 200);
    assert_eq!(seen.last_call(), pair(1));
    assert_eq!(gateway.complaints(), "");
    gateway.stop();
}
