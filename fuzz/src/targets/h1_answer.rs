//! The HTTP/1.1 framing of answers: where a head and a body end does not depend on how the bytes
//! arrive, and no byte behind the end is taken. It is private to its crate, so the file is taken.

use bytes::Bytes;
use http::Method;

#[expect(dead_code, reason = "only the reading of answers is called from here")]
#[path = "../../../crates/transport/src/h1/framing.rs"]
mod framing;

/// The bytes of an answer; the first byte says in which pieces its body arrives.
pub(super) fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let Some(length) = framing::head_len(bytes) else {
        return;
    };
    let head = Bytes::copy_from_slice(&bytes[..length]);
    let method = [Method::POST, Method::GET, Method::HEAD][usize::from(cut) % 3].clone();
    let Ok(head) = framing::read_head(&head, &method) else {
        return;
    };
    let rest = &bytes[length..];
    let whole = body(head.body, rest, rest.len().max(1));
    let pieces = body(head.body, rest, usize::from(cut) + 1);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces, "the body depends on the pieces"),
        (Err(_), Err(_)) => {}
        _ => panic!("the verdict depends on the pieces: {whole:?} {pieces:?}"),
    }
}

/// Payload, bytes taken, and whether the end was met.
fn body(
    mut end: framing::BodyEnd,
    bytes: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, usize, bool), String> {
    let (mut payload, mut taken) = (Vec::new(), 0);
    for chunk in bytes.chunks(piece) {
        if end.is_met() {
            break;
        }
        let (some, count) = end.read(chunk)?;
        payload.extend_from_slice(&some);
        taken += count;
    }
    Ok((payload, taken, end.is_met()))
}
