//! The steps of borrowing keys, taken in the world, each with its bounds.
//! What they bring is wiped when it is dropped.

use std::future::poll_fn;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use contract::Secret;
use contract::seams::{Outbound, Wire};
use providers::{Heard, Program};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Most bytes of an answer, a file or a program's output.
const BYTES_MAX: usize = 64 * 1024;
/// Longest time for a whole answer, from its head on.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Longest time that a program may run.
const PROGRAM_TIME: Duration = Duration::from_secs(60);

/// Sends a request and takes its whole answer.
pub(super) async fn send(wire: &dyn Wire, outbound: Outbound) -> Heard {
    let (host, port) = (outbound.endpoint.host.clone(), outbound.endpoint.port);
    let inbound = match wire.send(outbound).await {
        Ok(inbound) => inbound,
        Err(fault) => return Heard::Nothing(format!("{host}:{port} gave no answer ({fault})")),
    };
    let status = inbound.status.as_u16();
    let mut rest = inbound.body;
    let mut body = Secret::new(Vec::new());
    let collect = async {
        while let Some(piece) = poll_fn(|cx| rest.poll_chunk(cx)).await {
            let piece = piece.map_err(|fault| format!("{host}:{port} broke off ({fault})"))?;
            append(&mut body, &piece)?;
        }
        Ok(())
    };
    match timeout(BODY_TIME, collect).await {
        Ok(Ok(())) => Heard::Answer { status, body },
        Ok(Err(why)) => Heard::Nothing(why),
        Err(_) => Heard::Nothing(format!("the answer of {host}:{port} did not end")),
    }
}

/// Adds to what must be wiped, without leaving a copy behind where it grows.
fn append(body: &mut Secret<Vec<u8>>, piece: &[u8]) -> Result<(), String> {
    let whole = body.expose().len() + piece.len();
    if whole > BYTES_MAX {
        return Err(format!("it is larger than {BYTES_MAX} bytes"));
    }
    let mut longer = Vec::with_capacity(whole);
    longer.extend_from_slice(body.expose());
    longer.extend_from_slice(piece);
    *body = Secret::new(longer);
    Ok(())
}

/// Reads a file.
pub(super) async fn read(path: PathBuf) -> Heard {
    // A file on a network may hang: it must not stop the other loans.
    let read = tokio::task::spawn_blocking(move || {
        read_file(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()))
    });
    match read.await {
        Ok(Ok(text)) => Heard::Text(text),
        Ok(Err(why)) => Heard::Nothing(why),
        Err(_) => Heard::Nothing("reading it failed".to_owned()),
    }
}

fn read_file(path: &Path) -> Result<Secret<Vec<u8>>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(BYTES_MAX + 1);
    let read = file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map_err(|error| error.to_string())?;
    match bytes.expose().len() > BYTES_MAX {
        true => Err(format!("it is larger than {BYTES_MAX} bytes")),
        false => Ok(bytes),
    }
}

/// Runs a program to its end. Its standard error goes nowhere: it may hold
/// secrets.
pub(super) async fn run(program: Program) -> Heard {
    match timeout(PROGRAM_TIME, output(&program)).await {
        Ok(Ok(output)) => Heard::Text(output),
        Ok(Err(why)) => Heard::Nothing(why),
        // The future is gone, and with it the process.
        Err(_) => Heard::Nothing(format!("it ran for more than {} s", PROGRAM_TIME.as_secs())),
    }
}

async fn output(program: &Program) -> Result<Secret<Vec<u8>>, String> {
    let mut child = Command::new(&program.file)
        .args(&program.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let pipe = child.stdout.take().ok_or("it has no standard output")?;
    let mut bytes = Vec::with_capacity(BYTES_MAX + 1);
    let read = pipe
        .take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .await;
    let bytes = Secret::new(bytes);
    read.map_err(|error| format!("its output cannot be read: {error}"))?;
    if bytes.expose().len() > BYTES_MAX {
        return Err(format!("it wrote more than {BYTES_MAX} bytes"));
    }
    let status = child
        .wait()
        .await
        .map_err(|error| format!("its end cannot be awaited: {error}"))?;
    match status.success() {
        true => Ok(bytes),
        false => Err(format!("it failed ({status})")),
    }
}

#[cfg(test)]
mod tests;
