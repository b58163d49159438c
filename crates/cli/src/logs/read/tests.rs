//! The command against a server that plays the admin listener.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use clap::Parser;
use serde_json::json;

use super::*;
use crate::{Cli, Command};

/// A server that gives these answers, one for each connection, and returns
/// the heads it was sent.
fn serve(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
    let address = listener.local_addr().expect("bound");
    let server = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut socket, _) = listener.accept().expect("a client");
            let reader = io::BufReader::new(socket.try_clone().expect("a second handle"));
            let head: Vec<String> = reader
                .lines()
                .map(|line| line.expect("a head"))
                .take_while(|line| !line.is_empty())
                .collect();
            socket
                .write_all(answer.as_bytes())
                .expect("the client reads");
            head.join("\n")
        };
        answers.into_iter().map(answer).collect()
    });
    (address, server)
}

fn whole(status: u16, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn page(sequences: &[u64], next: Option<u64>) -> String {
    let records: Vec<_> = sequences
        .iter()
        .map(|n| json!({"sequence": n, "status": 200}))
        .collect();
    whole(
        200,
        &json!({"records": records, "next": next, "head": 9, "unsearched": 0}),
    )
}

/// What is printed, and the trouble if there was any.
fn logs(address: SocketAddr, words: &[&str], setting: &Setting) -> (String, Option<String>) {
    let admin = format!("--admin=http://{address}");
    let typed = ["tollgate", "logs", &admin]
        .into_iter()
        .chain(words.iter().copied());
    let Command::Logs(args) = Cli::try_parse_from(typed).expect("typed well").command() else {
        panic!("not logs");
    };
    let mut out = Vec::new();
    let patience = Patience {
        retries_max: 3,
        retry_every: Duration::ZERO,
    };
    let result = read_with(&args, setting, patience, &mut out);
    let trouble = result.err().map(|trouble| trouble.to_string());
    (String::from_utf8(out).expect("text"), trouble)
}

#[test]
fn pages_are_joined_and_printed_oldest_first() {
    let (address, server) = serve(vec![page(&[9, 8], Some(8)), page(&[7], None)]);
    let words = [
        "-n", "5", "--tenant", "a b&c", "--status", "5xx", "--since", "2h", "--json",
    ];
    let (out, trouble) = logs(address, &words, &Setting::default());
    assert_eq!(trouble, None);
    let sequences: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["sequence"].clone())
        .collect();
    assert_eq!(sequences, [7, 8, 9]);
    let heads = server.join().expect("served");
    assert!(
        heads[0].starts_with(
            "GET /v1/records?tenant=a%20b%26c&status=5xx&since=7200000ms&limit=5 HTTP/1.1\n"
        ),
        "{}",
        heads[0]
    );
    assert!(heads[1].contains("limit=3&before=8 "), "{}", heads[1]);
}

#[test]
fn following_goes_on_where_the_list_ended() {
    let line = "{\"sequence\":11,\"status\":200,\"tenant\":\"later\"}\n";
    let stream = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n\n\r\n{:x}\r\n{line}\r\n",
        line.len()
    );
    let refused = whole(
        503,
        &json!({"error": {"code": "x", "message": "no more seats"}}),
    );
    let (address, server) = serve(vec![page(&[9], None), stream, String::new(), refused]);
    let (out, trouble) = logs(address, &["-f"], &Setting::default());
    assert!(out.contains("#9 ") && out.contains("later"), "{out}");
    assert_eq!(trouble.as_deref(), Some("no more seats"));
    let heads = server.join().expect("served");
    assert!(heads[1].contains("follow=1&after=9 "), "{}", heads[1]);
    assert!(heads[2].contains("follow=1&after=11 "), "{}", heads[2]);
    assert!(heads[3].contains("follow=1&after=11 "), "{}", heads[3]);
}

#[test]
fn one_record_by_number_or_id() {
    let record = json!({"request_id": "r", "status": 200});
    for (words, path, golden) in [
        (
            &["1042"][..],
            "/v1/records/1042",
            "request_id  r\nstatus      200\n",
        ),
        (
            &["--request-id", "a/b", "--json"],
            "/v1/records/a%2Fb",
            "{\"request_id\":\"r\",\"status\":200}\n",
        ),
    ] {
        let (address, server) = serve(vec![whole(200, &record)]);
        let (out, trouble) = logs(address, words, &Setting::default());
        assert_eq!((out.as_str(), trouble), (golden, None));
        assert!(server.join().expect("served")[0].starts_with(&format!("GET {path} ")));
    }
}

#[test]
fn the_key_of_this_machine_is_found() {
    let dir = std::env::temp_dir().join(format!("tollgate-logs-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("admin.key"), "tg-admin-1\n").expect("a file");
    let setting = Setting {
        key_file: Some(dir.join("admin.key")),
        ..Setting::default()
    };
    let (address, server) = serve(vec![page(&[], None)]);
    let (out, _) = logs(address, &[], &setting);
    fs::remove_dir_all(&dir).expect("removed");
    assert!(out.starts_with("No record matches"), "{out}");
    assert!(server.join().expect("served")[0].contains("\nauthorization: Bearer tg-admin-1"));
}

#[test]
fn troubles_say_what_to_do() {
    let refused = whole(
        401,
        &json!({"error": {"code": "x", "message": "The admin API needs a key.\u{1b}[2J"}}),
    );
    for (answer, says) in [
        (refused, "needs a key.\\u{1b}[2J"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<ht>".to_owned(),
            "not the admin listener",
        ),
        ("SSH-2.0-x\r\n".to_owned(), "does not speak HTTP"),
        (
            whole(404, &json!({"detail": "nope"})),
            "not the admin listener",
        ),
    ] {
        let (address, server) = serve(vec![answer]);
        let (out, trouble) = logs(address, &[], &Setting::default());
        let trouble = trouble.expect("trouble");
        assert!(trouble.contains(says) && out.is_empty(), "{trouble}");
        server.join().expect("served");
    }
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let (_, trouble) = logs(free.expect("bound once"), &[], &Setting::default());
    assert!(trouble.expect("trouble").contains("Check that it runs"));
}
