//! Steps on this machine: files and programs, and their bounds.

use super::*;

fn taken(step: impl Future<Output = Heard>) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match runtime.block_on(step) {
        Heard::Text(text) => {
            Ok(String::from_utf8(text.expose().clone()).expect("the tests write text"))
        }
        Heard::Nothing(why) => Err(why),
        Heard::Answer { .. } => panic!("nothing was sent"),
    }
}

fn sh(script: &str) -> Program {
    Program {
        file: "/bin/sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
    }
}

#[test]
fn programs_give_their_output_or_a_reason() {
    assert_eq!(taken(run(sh("printf '{}'; echo no >&2"))), Ok("{}".into()));
    let failed = taken(run(sh("echo key; exit 3"))).expect_err("it failed");
    assert!(failed.contains("exit status: 3") && !failed.contains("key"));
    let missing = Program {
        file: "/nowhere/at/all".to_owned(),
        arguments: Vec::new(),
    };
    let missing = taken(run(missing)).expect_err("it is not there");
    assert!(missing.starts_with("it cannot be started"), "{missing}");
    // It would write for ever; it is ended when it has written enough.
    let flood = taken(run(sh("yes"))).expect_err("too much");
    assert_eq!(flood, "it wrote more than 65536 bytes");
}

#[test]
fn files_are_read_within_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "abc").expect("written");
    assert_eq!(taken(read(path.clone())), Ok("abc".into()));
    std::fs::write(&path, vec![b'x'; BYTES_MAX + 1]).expect("written");
    let large = taken(read(path.clone())).expect_err("too large");
    assert!(large.contains("larger than 65536 bytes"), "{large}");
    let missing = taken(read(folder.path().join("no"))).expect_err("it is not there");
    assert!(missing.contains("cannot be read"), "{missing}");
}
