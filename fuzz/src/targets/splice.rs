//! Edits of a body: what comes out is JSON that says what was asked for, and every other byte is
//! the byte that came in.

use bytes::Bytes;
use dialects::json::{Doc, Json, Kind};
use dialects::splice::{Edit, apply, insert_first, insert_last, remove, replace};
use serde_json::Value;

/// An object; the first byte chooses the edit and the second the member.
pub(super) fn run(data: &[u8]) {
    let [how, which, body @ ..] = data else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    let Ok(doc) = Doc::request(body.clone()) else {
        return;
    };
    let root = doc.root();
    if root.kind() != Kind::Object || root.get("\u{1}new").is_some() {
        return;
    }
    let members: Vec<_> = root.members().collect();
    let picked = members.get(usize::from(*which) % members.len().max(1));
    let name = picked.map(|member| member.name().into_owned());
    let Some((edit, wanted)) = edit(root, *how, name.as_deref()) else {
        return;
    };
    let span = edit.span.clone();
    let length = edit.with.len();
    let edited = apply(&body, vec![edit]).concat();
    assert_eq!(
        edited[..span.start],
        body[..span.start],
        "bytes before changed"
    );
    assert_eq!(
        edited[span.start + length..],
        body[span.end..],
        "bytes behind changed"
    );
    let after = Doc::request(edited.into()).expect("still JSON that a caller may send");
    if let (Some(wanted), Some(seen)) = (wanted, values(after.root())) {
        assert_eq!(seen, wanted);
    }
}

/// An edit, and what the body then says; `None` where serde_json cannot tell.
fn edit(root: Json<'_>, how: u8, name: Option<&str>) -> Option<(Edit, Option<Value>)> {
    let mut wanted = values(root);
    let object = wanted.as_mut().and_then(Value::as_object_mut);
    let edit = match (how % 4, name) {
        (0, _) => {
            object.map(|object| object.insert("\u{1}new".to_owned(), 1.into()));
            insert_first(root, "\"\\u0001new\":1")
        }
        (1, _) => {
            object.map(|object| object.insert("\u{1}new".to_owned(), 1.into()));
            insert_last(root, "\"\\u0001new\":1")
        }
        (2, Some(name)) => {
            object.map(|object| object.remove(name));
            remove(root, name)?
        }
        (3, Some(name)) => {
            object.map(|object| object.insert(name.to_owned(), "other".into()));
            replace(root.get(name)?, "\"other\"")
        }
        _ => return None,
    };
    Some((edit, wanted))
}

fn values(root: Json<'_>) -> Option<Value> {
    serde_json::from_str(root.raw()).ok()
}
