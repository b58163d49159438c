//! How findings name a field: `providers.acme.api_key`, `keys[0].secret`.

/// The path of a field below another.
pub(crate) fn join(path: &str, key: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = match !key.is_empty() && key.chars().all(simple) {
        true => key.to_owned(),
        false => format!("\"{}\"", key.escape_debug()),
    };
    match path {
        "" => key,
        path => format!("{path}.{key}"),
    }
}
