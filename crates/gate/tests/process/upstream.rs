//! An upstream that does what a test tells it, on raw sockets, so that it can
//! also do what no HTTP library would.
//!
//! Deliberately not here: any judgement of what the gateway sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::HANG;

/// A request as the upstream got it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn is_stream(&self) -> bool {
        self.body.contains("\"stream\":true") || self.path.contains("tream")
    }

    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A running upstream.
pub(crate) struct Upstream {
    port: u16,
}

impl Upstream {
    /// Each request goes to `answer`, on a thread for each connection. The
    /// connection goes on while it gives `true`.
    pub(crate) fn start(
        answer: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(socket, &*answer));
            }
        });
        Self { port }
    }

    /// An upstream of chat completions that answers everything well.
    pub(crate) fn good() -> Self {
        Self::start(|asked, socket| {
            if asked.is_stream() {
                socket.write_all(sse_head().as_bytes()).unwrap();
                let rest = [piece("Hel"), piece("lo"), last_piece()].concat();
                let _ = socket.write_all(rest.as_bytes());
                return false;
            }
            socket.write_all(json(200, COMPLETION).as_bytes()).is_ok()
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A configuration with this upstream as provider `up`.
    pub(crate) fn config(&self, more: &str) -> String {
        let url = self.url();
        format!(
            "workers: 2\nproviders:\n  up: {{kind: compatible, base_url: '{url}/v1', \
             dialects: [openai_chat]}}\n{more}\n"
        )
    }
}

fn serve(socket: TcpStream, answer: &dyn Fn(&Asked, &mut TcpStream) -> bool) {
    socket.set_nodelay(true).unwrap();
    let mut writer = socket.try_clone().unwrap();
    let mut reader = BufReader::new(socket);
    while let Some(asked) = read(&mut reader) {
        if !answer(&asked, &mut writer) {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let (name, value) = match line.trim().split_once(':') {
            Some(header) => header,
            None => break,
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    Some(Asked {
        method,
        path,
        body,
        headers,
    })
}

/// A whole chat completion.
pub(crate) const COMPLETION: &str = r#"{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// A whole answer of JSON.
pub(crate) fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// The head of a stream that ends with the connection.
pub(crate) fn sse_head() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned()
}

/// A frame of a chat stream with this text.
pub(crate) fn piece(text: &str) -> String {
    format!(
        "data: {{\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\
         \"finish_reason\":null}}]}}\n\n"
    )
}

/// The frames at the end of a chat stream.
pub(crate) fn last_piece() -> String {
    "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
     \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
        .to_owned()
}

/// Something that happens once, and can be waited for.
#[derive(Clone, Default)]
pub(crate) struct Event(Arc<(Mutex<bool>, Condvar)>);

impl Event {
    pub(crate) fn happen(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let happened = self.0.0.lock().unwrap();
        let wait = self.0.1.wait_timeout_while(happened, HANG, |is| !*is);
        assert!(!wait.unwrap().1.timed_out(), "it never happened");
    }
}

/// An upstream whose streams stay open after their first piece until `gate`.
pub(crate) fn gated(gate: &Event) -> Upstream {
    let gate = gate.clone();
    Upstream::start(move |asked, socket| {
        if !asked.is_stream() {
            return socket.write_all(json(200, COMPLETION).as_bytes()).is_ok();
        }
        let first = sse_head() + &piece("first");
        socket.write_all(first.as_bytes()).unwrap();
        gate.wait();
        let rest = piece("second") + &last_piece();
        let _ = socket.write_all(rest.as_bytes());
        false
    })
}

/// Reads until the other side ends the connection.
pub(crate) fn await_end(socket: &mut TcpStream) {
    socket.set_read_timeout(Some(HANG)).unwrap();
    let mut bytes = [0; 64];
    while matches!(socket.read(&mut bytes), Ok(1..)) {}
}
