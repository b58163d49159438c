//! As much of `curl` as the book uses, so that its examples run on machines
//! without it: `-s`, `-i`, `-N`, `-X`, `-H`, `-d`.
//!
//! Deliberately not here: TLS, redirects, retries.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The words of a command: quotes group, and nothing is expanded.
pub(crate) fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    assert!(quote.is_none(), "a quote has no end: {command}");
    words.extend(word);
    words
}

/// Sends the request that `curl` would send; head and body of the answer.
pub(crate) fn curl(arguments: &[String]) -> (String, String) {
    let mut method = None;
    let mut url = None;
    let mut headers = String::new();
    let mut body = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has its value");
        match argument.as_str() {
            "-s" | "-i" | "-N" | "-si" | "-sN" => {}
            "-X" => method = Some(value().clone()),
            "-H" => headers.push_str(&format!("{}\r\n", value())),
            "-d" => body = Some(value().clone()),
            option if option.starts_with('-') => panic!("`{option}` is not known here"),
            address => url = Some(address.to_owned()),
        }
    }
    let url = url.expect("an address");
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
    let body = body.unwrap_or_default();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let body = match head.contains("transfer-encoding: chunked") {
        true => joined(body),
        false => body.to_owned(),
    };
    (head.to_owned(), body)
}

/// The chunks of a body, joined.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        if size == 0 {
            break;
        }
        body.push_str(&rest[..size]);
        chunks = &rest[size + 2..];
    }
    body
}
