//! Editing a body without writing it anew: spans are replaced, everything
//! else stays the bytes that came in.

use std::ops::Range;

use bytes::Bytes;
use contract::seams::Pieces;

use crate::json::{Json, Member};

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

/// Removes a member and one comma beside it.
pub fn remove(object: Json<'_>, key: &str) -> Option<Edit> {
    let members: Vec<Member<'_>> = object.members().collect();
    let index = members.iter().position(|member| member.is(key))?;
    let own = members[index].key.span().start..members[index].value.span().end;
    let span = match (
        index.checked_sub(1).map(|before| members[before]),
        members.get(index + 1),
    ) {
        (_, Some(after)) => own.start..after.key.span().start,
        (Some(before), None) => before.value.span().end..own.end,
        (None, None) => own,
    };
    Some(Edit {
        span,
        with: Bytes::new(),
    })
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
        let last = |root: Json<'_>| vec![insert_last(root, "\"z\":1")];
        assert_eq!(edited("{}", last), r#"{"z":1}"#);
        assert_eq!(edited(r#"{"a":0 }"#, last), r#"{"a":0 ,"z":1}"#);
        let first = |root: Json<'_>| vec![insert_first(root, "\"z\":1")];
        assert_eq!(edited("{ }", first), r#"{"z":1 }"#);
        assert_eq!(edited(r#"{"a":0}"#, first), r#"{"z":1,"a":0}"#);
    }
}
