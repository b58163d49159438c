//! Vendors that speak a known protocol with a bearer key: entries of
//! `catalog/*.toml`, no code.

use dialects::Quirks;
use serde::Deserialize;

use crate::bearer::Bearer;
use crate::kind::Kind;

/// The catalog files, compiled in.
const FILES: &[&str] = &[
    include_str!("../catalog/vendors.toml"),
    include_str!("../catalog/engines.toml"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    doc: String,
    base_url: Option<String>,
    #[serde(default)]
    key_env: Vec<String>,
    url_env: Option<String>,
    #[serde(default)]
    url_suffix: String,
    dialects: Vec<String>,
    #[serde(default)]
    serves: Vec<String>,
    local_port: Option<u16>,
    #[serde(default = "yes")]
    needs_key: bool,
    /// What it calls the cap on output tokens, where it does not know the
    /// name of its dialect.
    output_cap: Option<String>,
    /// It tells usage in every stream, and refuses to be asked for it.
    #[serde(default)]
    usage_unasked: bool,
}

fn yes() -> bool {
    true
}

/// The kinds of the catalog. Read once per process; their texts live as long
/// as it does.
pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    FILES
        .iter()
        .flat_map(|text| {
            toml::from_str::<File>(text)
                .expect("a test reads the catalog")
                .provider
        })
        .map(kind)
}

fn kind(entry: Entry) -> Kind {
    Kind {
        base_url: entry.base_url.map(keep),
        key_env: keep_all(entry.key_env),
        url_env: entry.url_env.map(keep),
        url_suffix: keep(entry.url_suffix),
        dialects: keep_all(entry.dialects),
        serves: keep_all(entry.serves),
        local_port: entry.local_port,
        needs_key: entry.needs_key,
        quirks: Quirks {
            output_cap: entry.output_cap.map(keep),
            usage_unasked: entry.usage_unasked,
        },
        ..Kind::new(keep(entry.name), keep(entry.doc), &Bearer)
    }
}

fn keep(text: String) -> &'static str {
    text.leak()
}

fn keep_all(texts: Vec<String>) -> &'static [&'static str] {
    texts.into_iter().map(keep).collect::<Vec<_>>().leak()
}
