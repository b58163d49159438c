//! The one suite that every [`Shelf`] passes.
//!
//! Each check panics with what it expected. Deliberately not here: what only a
//! disk or a server can show.

use std::io;
use std::sync::Arc;

use super::{Edit, Shelf};

const THREADS: usize = 4;
const ROUNDS: usize = 5;

/// Runs every check on shelves made by `make`, each empty.
pub fn check(make: &dyn Fn() -> Arc<dyn Shelf>) {
    keeps_what_it_is_given(&*make());
    changes_nothing_where_a_decision_fails(&*make());
    takes_only_plain_names(&*make());
    counts_from_many_threads(&make());
    numbers_its_changes(&*make());
}

fn text(shelf: &dyn Shelf, name: &str) -> Option<String> {
    let bytes = shelf.read(name).expect("readable");
    bytes.map(|bytes| String::from_utf8(bytes).expect("text"))
}

fn write(name: &str, text: &str) -> Edit {
    Edit::Write(name.to_owned(), text.as_bytes().to_vec())
}

fn do_all(shelf: &dyn Shelf, edits: &[Edit]) {
    let done = shelf.change("book.json", &mut |_| Ok(edits.to_vec()));
    done.expect("writable");
}

fn keeps_what_it_is_given(shelf: &dyn Shelf) {
    assert_eq!(text(shelf, "book.json"), None);
    do_all(shelf, &[write("a.json", "one"), write("book.json", "[a]")]);
    let mut told = None;
    let seen = shelf.change("book.json", &mut |bytes| {
        told = bytes.map(<[u8]>::to_vec);
        Ok(vec![
            write("a.json", "two"),
            write("b.json", ""),
            Edit::Remove("nobody.json".to_owned()),
        ])
    });
    seen.expect("writable");
    assert_eq!(told.as_deref(), Some(b"[a]".as_slice()));
    assert_eq!(text(shelf, "a.json").as_deref(), Some("two"));
    assert_eq!(text(shelf, "b.json").as_deref(), Some(""));
    do_all(shelf, &[Edit::Remove("a.json".to_owned())]);
    assert_eq!(text(shelf, "a.json"), None);
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    do_all(shelf, &[Edit::Write("large".to_owned(), bytes.clone())]);
    assert_eq!(shelf.read("large").expect("readable"), Some(bytes));
}

fn changes_nothing_where_a_decision_fails(shelf: &dyn Shelf) {
    do_all(shelf, &[write("book.json", "kept")]);
    let failed = shelf.change("book.json", &mut |_| Err(io::Error::other("no")));
    assert_eq!(failed.expect_err("it said no").to_string(), "no");
    assert_eq!(text(shelf, "book.json").as_deref(), Some("kept"));
    do_all(shelf, &[]);
    assert_eq!(text(shelf, "book.json").as_deref(), Some("kept"));
}

fn takes_only_plain_names(shelf: &dyn Shelf) {
    for name in ["", ".", "../x", "a/b", "a\0b", "lock", "a.draft", ".a"] {
        assert!(shelf.read(name).is_err(), "{name:?}");
        let written = shelf.change("book.json", &mut |_| Ok(vec![write(name, "x")]));
        assert!(written.is_err(), "{name:?}");
    }
}

/// Of changes at once none is lost.
fn counts_from_many_threads(shelf: &Arc<dyn Shelf>) {
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let shelf = shelf.clone();
            std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    let added = shelf.change("book.json", &mut |bytes| {
                        let mut bytes = bytes.unwrap_or_default().to_vec();
                        bytes.push(b'x');
                        Ok(vec![Edit::Write("book.json".to_owned(), bytes)])
                    });
                    added.expect("writable");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread fails");
    }
    let all = text(&**shelf, "book.json").expect("written");
    assert_eq!(all, "x".repeat(THREADS * ROUNDS));
}

fn numbers_its_changes(shelf: &dyn Shelf) {
    let Some(before) = shelf.last_change().expect("readable") else {
        return;
    };
    do_all(shelf, &[]);
    assert_eq!(shelf.last_change().expect("readable"), Some(before));
    do_all(shelf, &[write("book.json", "x")]);
    let after = shelf.last_change().expect("readable");
    assert!(after > Some(before), "{after:?}");
}
