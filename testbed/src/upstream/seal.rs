//! Opaque signatures of reasoning: minted here, checked here, meaningless to everyone between.
//!
//! A seal binds a dialect and a text; it is long and has every byte that base64 can show, so a
//! carrier that trims, re-encodes or re-wraps it is caught. Not here: when a vendor demands one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Digest, Sha256};

const KEY: &[u8] = b"fake-upstream-seal-key";
const DIGEST: usize = 32;

/// Seals `text` for one surface (`messages`, `responses`, `gemini`, `converse`).
pub(crate) fn seal(surface: &str, text: &str) -> String {
    let mut raw = surface.as_bytes().to_vec();
    raw.push(0);
    raw.extend_from_slice(&Sha256::digest(text.as_bytes()));
    let tag = mac(&raw);
    raw.extend_from_slice(&tag);
    // The tail makes a seal as long as the vendors' own, and is covered by the comparison.
    raw.extend_from_slice(&Sha256::digest(tag));
    STANDARD.encode(raw)
}

/// True when `sealed` was minted for `surface`, whatever its text.
pub(crate) fn is_ours(surface: &str, sealed: &str) -> bool {
    let Ok(raw) = STANDARD.decode(sealed) else {
        return false;
    };
    let body = surface.len() + 1 + DIGEST;
    if raw.len() != body + 2 * DIGEST || &raw[..surface.len()] != surface.as_bytes() {
        return false;
    }
    let tag = mac(&raw[..body]);
    raw[body..body + DIGEST] == tag && raw[body + DIGEST..] == Sha256::digest(tag)[..]
}

/// True when `sealed` was minted for `surface` over exactly `text`.
pub(crate) fn covers(surface: &str, text: &str, sealed: &str) -> bool {
    seal(surface, text) == sealed
}

fn mac(data: &[u8]) -> [u8; DIGEST] {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}
