//! The first minutes of a newcomer: no configuration, a wrong one, a port
//! that is taken.

use std::net::TcpListener;

use crate::client::Client;
use crate::gateway::{Gateway, Home, ask, chat, post};

const ANY_PORTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

#[test]
fn the_curl_of_the_banner_is_answered_by_the_sandbox() {
    let home = Home::new();
    let gateway = Gateway::start(home.command(&ANY_PORTS));
    let banner = gateway.banner();
    let (data, key) = (gateway.told("data"), gateway.told("key"));
    assert_eq!(gateway.told("providers"), "sandbox");
    assert!(key.starts_with("tg-dev-"), "{banner}");
    for line in [
        format!("OpenAI(base_url=\"{data}/v1\", api_key=\"{key}\")"),
        format!("Anthropic(base_url=\"{data}\", api_key=\"{key}\")"),
    ] {
        assert!(banner.contains(&line), "{banner}");
    }
    let curl = Curl::parse(&banner);
    let (address, path) = curl.target();
    let mut client = Client::connect(address).unwrap();
    let headers: Vec<(&str, &str)> = curl.headers();
    let sent = client.send("POST", path, &headers, curl.body.as_bytes());
    let answer = sent.and_then(|()| client.answer()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("tollgate-provider"), "sandbox");
    assert_eq!(answer.header("tollgate-plan"), gateway.told("plan"));
    let json = answer.json();
    assert_eq!(json["model"], "sandbox/echo");
    let content = json["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(content.starts_with("[sandbox]"), "{content}");
    let logs = gateway.logs(&home, &[]);
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0]["request_id"], answer.header("tollgate-request-id"));
    gateway.stop();
}

/// The command as the banner prints it.
struct Curl {
    url: String,
    headers: Vec<String>,
    body: String,
}

impl Curl {
    /// Takes the command apart as a shell would: words, single quotes, lines
    /// that go on.
    fn parse(banner: &str) -> Self {
        let command = banner.split_once("curl ").expect("a curl").1;
        let command = command.split_once("\n\n").expect("an end").0;
        let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
        for sign in command.replace("\\\n", " ").chars() {
            match sign {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
                sign => word.push(sign),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        let mut words = words.into_iter();
        let url = words.next().unwrap();
        let (mut headers, mut body) = (Vec::new(), String::new());
        while let Some(flag) = words.next() {
            let value = words.next().unwrap();
            match flag.as_str() {
                "-H" => headers.push(value),
                "-d" => body = value,
                other => panic!("{other} is new"),
            }
        }
        Self { url, headers, body }
    }

    fn target(&self) -> (std::net::SocketAddr, &str) {
        let rest = self.url.strip_prefix("http://").unwrap();
        let slash = rest.find('/').unwrap();
        (rest[..slash].parse().unwrap(), &rest[slash..])
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers
            .iter()
            .map(|header| header.split_once(": ").unwrap())
            .collect()
    }
}

#[test]
fn the_development_key_works_on_loopback_and_on_a_unix_socket() {
    let home = Home::new();
    let socket = home.path("data.sock");
    let listen = format!(
        "listen: {{data: [{{address: '127.0.0.1:0'}}, {{unix: '{}'}}], \
         admin: {{address: '127.0.0.1:0'}}}}\nproviders: {{sandbox: {{}}}}\nkeys: []\n",
        socket.display()
    );
    home.configure(&listen);
    let gateway = home.start();
    let key = gateway.told("key");
    let body = chat("sandbox/echo", false);
    let path = "/v1/chat/completions";
    assert_eq!(ask(gateway.data(), &key, path, &body).unwrap().status, 200);
    let mut client = Client::unix(&socket).unwrap();
    post(&mut client, &key, path, &body).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    let wrong = format!("{key}0");
    let refused = ask(gateway.data(), &wrong, path, &body).unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["code"], "invalid_api_key");
    gateway.stop();
}

#[test]
fn beside_a_real_provider_the_sandbox_is_neither_listed_nor_used() {
    let home = Home::new();
    let mut command = home.command(&ANY_PORTS);
    // Nothing listens there, and nothing is to be sent there.
    command
        .env("OPENAI_API_KEY", "sk-not-a-key")
        .env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    let gateway = Gateway::start(command);
    assert_eq!(gateway.told("providers"), "openai");
    let key = gateway.told("key");
    let mut client = gateway.connect();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    client.send("GET", "/v1/models", &headers, b"").unwrap();
    let models = client.answer().unwrap();
    assert_eq!(models.status, 200);
    assert!(!models.text().contains("sandbox"), "{}", models.text());
    let path = "/v1/chat/completions";
    let refused = ask(gateway.data(), &key, path, &chat("sandbox/echo", false)).unwrap();
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "model_not_found");
    gateway.stop();
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let home = Home::new();
    let (code, out, err) = home.run(&["--config", "nowhere.yaml"]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("nowhere.yaml") && err.contains("cannot be read"),
        "{err}"
    );
}

#[test]
fn a_configuration_that_is_wrong_is_explained_with_line_and_column() {
    let home = Home::new();
    let text = "listen:\n  data: {adress: '127.0.0.1:0'}\nmodells: {}\n";
    std::fs::write(home.path("tollgate.yaml"), text).unwrap();
    let (code, out, err) = home.run(&[]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    for words in [
        "tollgate.yaml:2:10",
        "write `address`",
        "tollgate.yaml:3:1",
        "`models`",
    ] {
        assert!(err.contains(words), "no {words:?} in {err}");
    }
}

#[test]
fn a_port_that_is_taken_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Home::new();
    let arguments = ["--listen", &address, "--admin-listen", "127.0.0.1:0"];
    let (code, out, err) = home.run(&arguments);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    for words in [
        "`data`",
        &address,
        "Another program listens there",
        "--listen",
    ] {
        assert!(err.contains(words), "no {words:?} in {err}");
    }
}
