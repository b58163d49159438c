//! How the lists and the secrets of a key are written in a column of text, by
//! every store that has such columns.
//!
//! Deliberately not here: the columns.

use super::SecretRow;

/// A list of texts.
pub fn of_list(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}

/// A list of texts again; `None`: no gateway wrote it.
pub fn list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// `[["hex digest", created_us, until_us or null], ..]`
pub fn of_secrets(secrets: &[SecretRow]) -> String {
    let rows = secrets.iter().map(|secret| {
        let digest = blake3::Hash::from_bytes(secret.digest).to_hex().to_string();
        serde_json::json!([digest, secret.created_us, secret.until_us])
    });
    serde_json::Value::from_iter(rows).to_string()
}

/// Secrets again; `None`: no gateway wrote them.
pub fn secrets(text: &str) -> Option<Vec<SecretRow>> {
    let rows: Vec<(String, u64, Option<u64>)> = serde_json::from_str(text).ok()?;
    rows.into_iter()
        .map(|(digest, created_us, until_us)| {
            Some(SecretRow {
                digest: *blake3::Hash::from_hex(digest).ok()?.as_bytes(),
                created_us,
                until_us,
            })
        })
        .collect()
}
