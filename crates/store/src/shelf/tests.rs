//! Cases of shelves: the suite, and what a copy is good for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mirrored::COPY_FILES_MAX;
use super::*;

/// A database that can be away.
struct Server {
    cabinet: Cabinet,
    is_away: AtomicBool,
}

impl Server {
    fn ask(&self) -> io::Result<&Cabinet> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(io::Error::other("away")),
            false => Ok(&self.cabinet),
        }
    }
}

impl Shelf for Server {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Shelf::read(self.ask()?, name)
    }
    fn change(&self, name: &str, decide: &mut Decide<'_>) -> io::Result<()> {
        self.ask()?.change(name, decide)
    }
    fn last_change(&self) -> io::Result<Option<u64>> {
        let has_any = self.ask()?.read("book.json")?.is_some();
        Ok(Some(u64::from(has_any)))
    }
}

fn server(home: &tempfile::TempDir, name: &str) -> Arc<Server> {
    Arc::new(Server {
        cabinet: Cabinet::open(&home.path().join(name)).unwrap(),
        is_away: AtomicBool::new(false),
    })
}

#[test]
fn a_folder_and_one_with_a_copy_pass_the_suite() {
    let home = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    let next = || {
        made.set(made.get() + 1);
        Cabinet::open(&home.path().join(made.get().to_string())).unwrap()
    };
    conformance::check(&|| Arc::new(next()));
    conformance::check(&|| Arc::new(MirroredShelf::new(Arc::new(next()), next(), "book.json")));
}

#[test]
fn a_copy_is_read_and_never_changed_while_the_truth_is_away() {
    let home = tempfile::tempdir().unwrap();
    let server = server(&home, "server");
    let mirrored = |name: &str| {
        let copy = Cabinet::open(&home.path().join(name)).unwrap();
        MirroredShelf::new(server.clone(), copy, "book.json")
    };
    let (here, there) = (mirrored("here"), mirrored("there"));
    let write = |shelf: &MirroredShelf, text: &str| {
        let edit = Edit::Write("book.json".to_owned(), text.as_bytes().to_vec());
        shelf.change("book.json", &mut |_| Ok(vec![edit.clone()]))
    };
    write(&here, "one").unwrap();
    assert_eq!(there.read("book.json").unwrap().unwrap(), b"one");
    write(&here, "two").unwrap();
    server.is_away.store(true, Ordering::Relaxed);
    assert_eq!(here.read("book.json").unwrap().unwrap(), b"two");
    assert_eq!(there.read("book.json").unwrap().unwrap(), b"one");
    assert_eq!(write(&here, "three").unwrap_err().to_string(), "away");
    assert_eq!(here.read("book.json").unwrap().unwrap(), b"two");
    assert!(here.last_change().is_err(), "the copy does not answer");
    assert!(here.read("never.json").is_err(), "nobody knows");
}

#[test]
fn a_truth_that_lost_its_files_counts_as_away_until_it_is_brought_back() {
    let home = tempfile::tempdir().unwrap();
    let over = |name: &str| {
        let copy = Cabinet::open(&home.path().join("copy")).unwrap();
        MirroredShelf::new(server(&home, name), copy, "book.json")
    };
    let edits = |text: &str| {
        let edit = |name: &str| Edit::Write(name.to_owned(), text.as_bytes().to_vec());
        vec![edit("a.json"), edit("book.json")]
    };
    let write = |shelf: &MirroredShelf, text: &str| {
        let edits = edits(text);
        shelf.change("book.json", &mut |_| Ok(edits.clone()))
    };
    write(&over("right"), "one").unwrap();
    let wrong = over("wrong");
    for name in ["a.json", "book.json"] {
        assert_eq!(wrong.read(name).unwrap().unwrap(), b"one");
    }
    let refused = write(&wrong, "two").unwrap_err().to_string();
    assert!(refused.contains("bring the database back"), "{refused}");
    assert!(wrong.last_change().is_err(), "it cannot be asked");
    assert_eq!(wrong.truth.read("book.json").unwrap(), None, "left alone");
    let right = over("right");
    assert!(right.last_change().is_ok());
    write(&right, "two").unwrap();
    assert_eq!(right.read("book.json").unwrap().unwrap(), b"two");
}

#[test]
fn a_copy_is_bounded_and_keeps_what_is_new() {
    let home = tempfile::tempdir().unwrap();
    let server = server(&home, "server");
    let copy = Cabinet::open(&home.path().join("copy")).unwrap();
    let shelf = MirroredShelf::new(server.clone(), copy, "book.json");
    for n in 0..COPY_FILES_MAX + 10 {
        let edit = Edit::Write(format!("{n}.json"), vec![1]);
        let done = shelf.change("book.json", &mut |_| Ok(vec![edit.clone()]));
        done.unwrap();
    }
    let files = std::fs::read_dir(home.path().join("copy")).unwrap();
    let names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let kept = names.iter().filter(|name| name.ends_with(".json")).count();
    assert_eq!(kept, COPY_FILES_MAX);
    let last = format!("{}.json", COPY_FILES_MAX + 9);
    assert!(names.contains(&last));
}
