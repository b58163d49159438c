//! Editing a body without writing it anew: spans are replaced, everything
//! else stays the bytes that came in.

use std::ops::Range;

use bytes::Bytes;
use contract::seams::Pieces;

use crate::json::Json;

/// One edit: this span becomes these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty to insert.
    pub span: Range<usize>,
    /// What stands there instead.
    pub with: Bytes,
}

/// Applies edits. They must not overlap; order does not matter.
pub fn apply(body: &Bytes, mut edits: Vec<Edit>) -> Pieces {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut pieces = Pieces::new();
    let mut at = 0;
    for edit in edits {
        debug_assert!(at <= edit.span.start, "edits must not overlap");
        push(&mut pieces, body.slice(at..edit.span.start));
        push(&mut pieces, edit.with);
        at = edit.span.end;
    }
    push(&mut pieces, body.slice(at..));
    pieces
}

fn push(pieces: &mut Pieces, piece: Bytes) {
    if !piece.is_empty() {
        pieces.push(piece);
    }
}

/// Replaces a value.
pub fn replace(value: Json<'_>, with: impl Into<Bytes>) -> Edit {
    Edit {
        span: value.span(),
        with: with.into(),
    }
}

/// Adds a member as the first of an object. `member` is `"key":value`.
pub fn insert_first(object: Json<'_>, member: &str) -> Edit {
    let at = object.span().start + 1;
    let comma = if object.is_empty() { "" } else { "," };
    Edit {
        span: at..at,
        with: format!("{member}{comma}").into(),
    }
}

/// Adds a member as the last of an object. `member` is `"key":value`.
pub fn insert_last(object: Json<'_>, member: &str) -> Edit {
    let at = object.span().end - 1;
    let comma = if object.is_empty() { "" } else { "," };
    Edit {
        span: at..at,
        with: format!("{comma}{member}").into(),
    }
}

/// Sets a member of an object: its value is replaced, or it comes last.
pub fn put(object: Json<'_>, key: &str, value: String) -> Edit {
    match object.get(key) {
        Some(old) => replace(old, value),
        None => insert_last(object, &format!("\"{key}\":{value}")),
    }
}

/// Removes a member and one comma beside it.
pub fn remove(object: Json<'_>, key: &str) -> Option<Edit> {
    remove_all(object, &[key]).pop()
}

/// Removes members, each with one comma. Members that stand side by side go
/// in one edit, so that no two of them touch the same comma.
pub fn remove_all(object: Json<'_>, keys: &[&str]) -> Vec<Edit> {
    let mut edits = Vec::new();
    // The end of the last member that stays, and the first that goes.
    let mut stays: Option<usize> = None;
    let mut goes: Option<Range<usize>> = None;
    for member in object.members() {
        let own = member.key.span().start..member.value.span().end;
        if keys.iter().any(|key| member.is(key)) {
            let start = goes.map_or(own.start, |run| run.start);
            goes = Some(start..own.end);
        } else {
            if let Some(run) = goes.take() {
                edits.push(run.start..own.start);
            }
            stays = Some(own.end);
        }
    }
    edits.extend(goes.map(|run| stays.unwrap_or(run.start)..run.end));
    let edit = |span| Edit {
        span,
        with: Bytes::new(),
    };
    edits.into_iter().map(edit).collect()
}

/// Holds the member of an object to a number: a larger value is replaced, a
/// missing one (or `null`) is put in. `names` are its names, the one to write
/// first.
pub fn cap(object: Json<'_>, names: &[&str], most: u64) -> Vec<Edit> {
    let mut null = None;
    let mut told = false;
    let mut edits = Vec::new();
    for member in object.members() {
        if !names.iter().any(|name| member.is(name)) {
            continue;
        }
        if member.value.is_null() {
            null = Some(member.value);
            continue;
        }
        told = true;
        if !at_most(member.value, most) {
            edits.push(replace(member.value, most.to_string()));
        }
    }
    if !told {
        edits.push(match (null, names.first()) {
            (Some(null), _) => replace(null, most.to_string()),
            (None, name) => {
                let name = name.copied().unwrap_or_default();
                insert_last(object, &format!("\"{name}\":{most}"))
            }
        });
    }
    edits
}

/// Whether a number, which may stand in quotes, is at most this.
fn at_most(value: Json<'_>, most: u64) -> bool {
    let quoted = || value.str().and_then(|text| text.parse().ok());
    let number = value.f64().or_else(quoted);
    number.is_some_and(|number: f64| number <= most as f64)
}

#[cfg(test)]
mod tests {
    //! Edits leave valid JSON and every other byte alone.

    use super::*;
    use crate::json::Doc;

    fn edited(body: &'static str, edit: impl FnOnce(Json<'_>) -> Vec<Edit>) -> String {
        let doc = Doc::request(Bytes::from_static(body.as_bytes())).expect("well-formed");
        let pieces = apply(doc.bytes(), edit(doc.root()));
        String::from_utf8(pieces.concat()).expect("UTF-8")
    }

    #[test]
    fn each_edit() {
        let model = |with: &'static str| {
            move |root: Json<'_>| vec![replace(root.get("model").expect("there"), with)]
        };
        assert_eq!(
            edited(r#"{ "model" : "a" }"#, model("\"b\"")),
            r#"{ "model" : "b" }"#
        );
        let drop_x = |root: Json<'_>| remove(root, "x").into_iter().collect();
        assert_eq!(edited(r#"{"x":1}"#, drop_x), "{}");
        assert_eq!(edited(r#"{"x":1, "y":2}"#, drop_x), r#"{"y":2}"#);
        assert_eq!(edited(r#"{"y":2 , "x":{"a":[1]}}"#, drop_x), r#"{"y":2}"#);
        assert_eq!(
            edited(r#"{"a":0, "x":1 , "y":2}"#, drop_x),
            r#"{"a":0, "y":2}"#
        );
        assert_eq!(edited(r#"{"y":2}"#, drop_x), r#"{"y":2}"#);
        let both = |root: Json<'_>| remove_all(root, &["x", "z"]);
        for (body, left) in [
            (r#"{"x":1, "z":2}"#, "{}"),
            (r#"{"a":0, "x":1 , "z":2 }"#, r#"{"a":0 }"#),
            (r#"{"x":1,"z":2, "a":0}"#, r#"{"a":0}"#),
            (r#"{"x":1,"a":0,"z":2}"#, r#"{"a":0}"#),
            (r#"{"a":0,"z":2,"x":1,"b":0}"#, r#"{"a":0,"b":0}"#),
            (r#"{"a":0,"z":2,"b":0,"x":{"x":1}}"#, r#"{"a":0,"b":0}"#),
        ] {
            assert_eq!(edited(body, both), left);
        }
        let cap = |root: Json<'_>| cap(root, &["n", "old"], 10);
        for (body, capped) in [
            (r#"{"n":11}"#, r#"{"n":10}"#),
            (r#"{"n":10}"#, r#"{"n":10}"#),
            (r#"{"n":"11","a":0}"#, r#"{"n":10,"a":0}"#),
            (r#"{"n":"9"}"#, r#"{"n":"9"}"#),
            (r#"{"n":1e9}"#, r#"{"n":10}"#),
            (r#"{"n":null}"#, r#"{"n":10}"#),
            (r#"{"old":12,"n":null}"#, r#"{"old":10,"n":null}"#),
            (r#"{"old":12,"n":5}"#, r#"{"old":10,"n":5}"#),
            (r#"{"a":0}"#, r#"{"a":0,"n":10}"#),
            ("{}", r#"{"n":10}"#),
        ] {
            assert_eq!(edited(body, cap), capped);
        }
        let last = |root: Json<'_>| vec![insert_last(root, "\"z\":1")];
        assert_eq!(edited("{}", last), r#"{"z":1}"#);
        assert_eq!(edited(r#"{"a":0 }"#, last), r#"{"a":0 ,"z":1}"#);
        let first = |root: Json<'_>| vec![insert_first(root, "\"z\":1")];
        assert_eq!(edited("{ }", first), r#"{"z":1 }"#);
        assert_eq!(edited(r#"{"a":0}"#, first), r#"{"z":1,"a":0}"#);
    }
}
