//! Inference servers on this machine. A port alone says nothing (half of all
//! development servers sit on 8000 and 8080), so the server is asked for its
//! list of models.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for a connection, for one read, and for the whole answer.
const WAIT: Duration = Duration::from_millis(300);
/// Most bytes of the answer that are looked at.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Those of the ports where an inference server answers.
pub(super) fn answering(ports: impl Iterator<Item = u16>) -> Vec<u16> {
    ports
        .filter(|port| answers(*port).unwrap_or(false))
        .collect()
}

fn answers(port: u16) -> std::io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let end = Instant::now() + WAIT;
    while answer.len() < ANSWER_BYTES_MAX && Instant::now() < end {
        match stream.read(&mut piece)? {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
        if is_model_list(&answer) {
            return Ok(true);
        }
    }
    Ok(is_model_list(&answer))
}

/// A 200 with a body that has `data`. A server that wants a key for the list
/// is not taken: nobody gave us one for it.
fn is_model_list(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let is_ok = ["HTTP/1.1 200", "HTTP/1.0 200"]
        .iter()
        .any(|start| text.starts_with(start));
    is_ok
        && text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.contains("\"data\""))
}

#[cfg(test)]
mod tests;
