//! The real binary in a folder of its own, and the commands of the book run
//! against it.
//!
//! Deliberately not here: what the commands should say.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::client;

/// The addresses and the key that the book writes.
const DATA: &str = "http://127.0.0.1:4100";
const ADMIN: &str = "http://127.0.0.1:4101";
const KEY: &str = "$KEY";
/// The id that the last pending answer held.
const APPROVAL: &str = "$APPROVAL";
/// The id of the virtual key that was made last.
const MADE: &str = "$ID";

/// What the examples meet where their page has no configuration.
const SANDBOX: &str =
    "providers: {sandbox: {models: ['*']}}\nmodels: {sandbox/echo: sandbox/echo}\n";
/// Any key that passes the checks; for configurations that name a variable.
const SOME_KEY: &str = "tg-0123456789abcdef-docs";

/// What a command said. `head` is the head of an HTTP answer.
pub(crate) struct Said {
    pub(crate) head: Option<String>,
    pub(crate) text: String,
}

/// A running gateway.
pub(crate) struct Gateway {
    process: Child,
    folder: tempfile::TempDir,
    data: String,
    admin: String,
    key: String,
    approval: RefCell<String>,
    made: RefCell<String>,
}

impl Gateway {
    /// Starts one on free ports and waits for its banner.
    pub(crate) fn start(configuration: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = configuration.unwrap_or(SANDBOX);
        // An address that is given by argument has no settings of its own.
        let listens = configuration.contains("\nlisten:");
        let address: &[&str] = match listens {
            true => &[],
            false => &["--listen", "127.0.0.1:0"],
        };
        prepare(
            folder.path(),
            &configuration.replace("127.0.0.1:4100", "127.0.0.1:0"),
        );
        let mut process = tollgate(folder.path())
            .args(["--config", "tollgate.yaml", "--data-dir", "data"])
            .args(address)
            .args(["--admin-listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let banner = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut data, mut admin) = (String::new(), String::new());
        let mut key = SOME_KEY.to_owned();
        for line in banner.map(Result::unwrap) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("data"), Some(url)) => url.clone_into(&mut data),
                (Some("admin"), Some(url)) => url.clone_into(&mut admin),
                (Some("key"), Some(made)) => made.clone_into(&mut key),
                (Some("See"), _) => break,
                _ => {}
            }
        }
        assert!(!data.is_empty(), "the gateway did not start");
        Self {
            process,
            folder,
            data,
            admin,
            key,
            approval: RefCell::default(),
            made: RefCell::default(),
        }
    }

    /// Puts a file into its folder.
    pub(crate) fn give(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Runs one command of the book.
    pub(crate) fn run(&self, command: &str) -> Said {
        let command = command
            .replace(DATA, &self.data)
            .replace(ADMIN, &self.admin)
            .replace(KEY, &self.key)
            .replace(APPROVAL, &self.approval.borrow())
            .replace(MADE, &self.made.borrow());
        let words = client::words(&command);
        match words[0].as_str() {
            "curl" => {
                let (head, text) = client::curl(&words[1..]);
                let pending = head.split_once("tollgate-approval: ");
                if let Some(id) = pending.and_then(|(_, rest)| rest.lines().next()) {
                    self.approval.replace(id.trim().to_owned());
                }
                Said {
                    head: Some(head),
                    text,
                }
            }
            "tollgate" => {
                let admin_key = fs::read_to_string(self.folder.path().join("data/admin.key"));
                let output = tollgate(self.folder.path())
                    .args(&words[1..])
                    .env("TOLLGATE_ADMIN", &self.admin)
                    .env("TOLLGATE_ADMIN_KEY", admin_key.unwrap().trim())
                    .output()
                    .unwrap();
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let error = String::from_utf8_lossy(&output.stderr);
                let id = text.lines().find_map(|line| line.strip_prefix("id "));
                if let Some(id) = id.filter(|_| words[1] == "keys") {
                    self.made.replace(id.trim().to_owned());
                }
                Said {
                    head: None,
                    text: text + &error,
                }
            }
            other => panic!("`{other}` cannot be an example that is run"),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The process may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a configuration is usable, and what is said about it.
pub(crate) fn check(configuration: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), configuration);
    let output = tollgate(folder.path())
        .args(["config", "check", "tollgate.yaml"])
        .output()
        .unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout))
    }
}

/// Runs cases of policy against a configuration.
pub(crate) fn policy_test(configuration: &str, cases: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), configuration);
    fs::write(folder.path().join("cases.yaml"), cases).unwrap();
    let output = tollgate(folder.path())
        .args(["policy", "test", "cases.yaml", "--config", "tollgate.yaml"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(said),
    }
}

/// The configuration, and the files that those of the book name.
fn prepare(folder: &Path, configuration: &str) {
    fs::write(folder.join("tollgate.yaml"), configuration).unwrap();
    for name in ["secrets", "certs", "run"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("secrets/batch.key"), "tg-0123456789abcdef-file").unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("certs/server.pem"), cert.pem()).unwrap();
    fs::write(folder.join("certs/internal-ca.pem"), cert.pem()).unwrap();
    fs::write(folder.join("certs/server.key"), signing_key.serialize_pem()).unwrap();
}

/// The binary, with nothing of this machine's environment but fixed keys.
fn tollgate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("OPENAI_API_KEY", "k")
        .env("ANTHROPIC_API_KEY", "k")
        .env("AWS_ACCESS_KEY_ID", "k")
        .env("AWS_SECRET_ACCESS_KEY", "k")
        .env("TOLLGATE_KEY_CHAT", SOME_KEY)
        .env("TOLLGATE_WEB_KEY", SOME_KEY)
        .env("TOLLGATE_DATABASE_URL", "postgres://u:p@db.internal/t")
        .env("TOLLGATE_SHARED_SECRET", "0123456789abcdef".repeat(2));
    for who in ["ALICE", "DASHBOARDS", "ACME"] {
        let secret = format!("tg-op-{who}-0123456789abcdef0123");
        command.env(format!("TOLLGATE_ADMIN_{who}"), secret);
    }
    command
}
