//! Fixtures of the two formats, and what damage does to them.

use std::path::PathBuf;

use proptest::prelude::*;

/// All fixture files of this name, with their folders.
pub(crate) fn of(dialect: &str, name: &str) -> Vec<(PathBuf, String)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let mut found: Vec<_> = std::fs::read_dir(PathBuf::from(root).join(dialect))
        .expect("the fixtures are in the repository")
        .map(|entry| entry.expect("readable").path())
        .filter_map(|folder| {
            let text = std::fs::read_to_string(folder.join(name)).ok()?;
            Some((folder, text))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixture is named {name}");
    found
}

/// Bytes of a fixture, some of them replaced.
pub(crate) fn mutated(dialect: &str, name: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let texts: Vec<String> = of(dialect, name)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<MutByte>()), 0..4);
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, with) in edits {
            let at = at.index(bytes.len());
            match with {
                MutByte::Set(byte) => bytes[at] = byte,
                MutByte::Cut => bytes.truncate(at.max(1)),
                MutByte::Token(token) => {
                    bytes.splice(at..at, token.bytes());
                }
            }
        }
        bytes
    })
}

#[derive(Clone, Debug)]
enum MutByte {
    Set(u8),
    Cut,
    Token(&'static str),
}

impl Arbitrary for MutByte {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        prop_oneof![
            4 => prop::sample::select(&b"\"{}[]:,0nt\\ \n"[..]).prop_map(MutByte::Set),
            1 => Just(MutByte::Cut),
            2 => prop::sample::select(&["null", "[]", "{}", "\"\"", "-1", "1e99"][..])
                .prop_map(MutByte::Token),
        ]
        .boxed()
    }
}
