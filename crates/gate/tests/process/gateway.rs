//! A gateway process with a folder of its own: started, told things, asked
//! about, and always ended.
//!
//! Deliberately not here: what a test asks of it.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::{HANG, until};

/// A key that most configurations here have.
pub(crate) const KEY: &str = "tg-0123456789abcdef01234567";
/// The last line of the banner.
const BANNER_END: &str = "See what happened: tollgate logs\n";

/// The folder of a gateway: its configuration and its data.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A home with this configuration, on ports of the system's choice, with
    /// [`KEY`] for callers unless the configuration names keys.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self::new();
        home.configure(config);
        home
    }

    /// Writes the configuration; beside its place first, as careful tools do.
    pub(crate) fn configure(&self, config: &str) {
        let mut text = config.to_owned();
        if !config.contains("listen:") {
            text += "\nlisten: {data: {address: '127.0.0.1:0'}, admin: {address: '127.0.0.1:0'}}\n";
        }
        if !config.contains("keys:") {
            text += &format!("\nkeys: [{{id: test, secret: {KEY}}}]\n");
        }
        let beside = self.path("tollgate.yaml.new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.path("tollgate.yaml")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, in a clean environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        self.prepare(&mut command);
        command.args(arguments);
        command
    }

    /// Gives a command this home and nothing else.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("TOLLGATE_DATA_DIR", self.path("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Starts with what is configured here, and waits for the banner.
    pub(crate) fn start(&self) -> Gateway {
        Gateway::start(self.command(&[]))
    }

    /// Runs a command to its end: exit code, standard output and error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    }
}

/// What a process says, as it says it.
#[derive(Clone, Default)]
struct Transcript(Arc<(Mutex<Said>, Condvar)>);

#[derive(Default)]
struct Said {
    text: String,
    is_over: bool,
}

impl Transcript {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let this = Self::default();
        let to = this.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = pipe.read(&mut bytes).unwrap_or(0);
                let mut said = to.said();
                said.text += &String::from_utf8_lossy(&bytes[..count]);
                said.is_over = count == 0;
                to.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        this
    }

    /// A test that failed meanwhile has done no harm to the text.
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        self.said().text.clone()
    }

    /// Waits for this text, or the end; whether the text came.
    fn wait_for(&self, text: &str) -> bool {
        let said = self.said();
        let waits = |said: &mut Said| !said.text.contains(text) && !said.is_over;
        let (said, timeout) = self.0.1.wait_timeout_while(said, HANG, waits).unwrap();
        assert!(!timeout.timed_out(), "no {text:?} in {:?}", said.text);
        said.text.contains(text)
    }

    fn wait_for_end(&self) {
        let said = self.said();
        let waits = |said: &mut Said| !said.is_over;
        let (said, timeout) = self.0.1.wait_timeout_while(said, HANG, waits).unwrap();
        assert!(!timeout.timed_out(), "it goes on after {:?}", said.text);
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    out: Transcript,
    err: Transcript,
}

impl Gateway {
    pub(crate) fn start(command: Command) -> Self {
        let gateway = Self::spawn(command);
        gateway.comes_up();
        gateway
    }

    /// Waits until it serves.
    pub(crate) fn comes_up(&self) {
        let is_up = self.out.wait_for(BANNER_END);
        assert!(is_up, "it did not start: {}", self.err.text());
    }

    /// Starts without waiting for anything.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = Transcript::of(child.stdout.take().unwrap());
        let err = Transcript::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    pub(crate) fn banner(&self) -> String {
        self.out.text()
    }

    /// What the banner says after a word at the beginning of a line.
    pub(crate) fn told(&self, word: &str) -> String {
        let banner = self.banner();
        let line = banner
            .lines()
            .find_map(|line| line.strip_prefix(&format!("  {word} ")));
        let line = line.unwrap_or_else(|| panic!("no {word:?} in {banner}"));
        line.split_whitespace().next().unwrap_or("").to_owned()
    }

    pub(crate) fn data(&self) -> SocketAddr {
        address(&self.told("data"))
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        address(&self.told("admin"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for words on standard error.
    pub(crate) fn hears(&self, words: &str) {
        assert!(self.err.wait_for(words), "{}", self.err.text());
    }

    pub(crate) fn complaints(&self) -> String {
        self.err.text()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.out.wait_for_end();
        self.child.wait().unwrap()
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.err.text());
    }

    /// Ends it as a power switch does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.data()).unwrap()
    }

    /// One call on a connection of its own, with [`KEY`].
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        ask(self.data(), KEY, path, body).unwrap()
    }

    /// One chat with [`KEY`].
    pub(crate) fn chat(&self, model: &str) -> Answer {
        self.post("/v1/chat/completions", &chat(model, false))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut client = self.connect();
        let bearer = format!("Bearer {KEY}");
        let sent = client.send("GET", path, &[("authorization", &bearer)], b"");
        sent.and_then(|()| client.answer()).unwrap()
    }

    /// The lines of `tollgate logs --json`, oldest first.
    pub(crate) fn logs(&self, home: &Home, filters: &[&str]) -> Vec<Value> {
        let admin = format!("http://{}", self.admin());
        let mut arguments = vec!["logs", "--json", "-n", "1000", "--admin", &admin];
        arguments.extend(filters);
        let (code, out, err) = home.run(&arguments);
        assert_eq!(code, 0, "{err}");
        let mut lines: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line["sequence"].as_u64());
        lines
    }

    /// The value of a sample, as `/metrics` gives it; 0 where there is none.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        let mut client = Client::connect(self.admin()).unwrap();
        client.send("GET", "/metrics", &[], b"").unwrap();
        let text = client.answer().unwrap().text();
        let line = text.lines().find_map(|line| line.strip_prefix(sample));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Calls the admin API with its key.
    pub(crate) fn admin_call(&self, home: &Home, method: &str, path: &str) -> Answer {
        let key = std::fs::read_to_string(home.path("data/admin.key")).unwrap();
        let bearer = format!("Bearer {}", key.trim());
        let mut client = Client::connect(self.admin()).unwrap();
        let sent = client.send(method, path, &[("authorization", &bearer)], b"");
        sent.and_then(|()| client.answer()).unwrap()
    }

    pub(crate) fn await_ready(&self) {
        until("ready", || {
            let mut client = self.connect();
            client.send("GET", "/readyz", &[], b"").unwrap();
            client.answer().unwrap().status == 200
        });
    }

    /// Whether anything answers at the data address.
    pub(crate) fn is_listening(&self) -> bool {
        TcpStream::connect(self.data()).is_ok()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may be gone, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("a gateway said: {}{}", self.out.text(), self.err.text());
        }
    }
}

/// One call on a connection of its own.
pub(crate) fn ask(address: SocketAddr, key: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut client = Client::connect(address)?;
    post(&mut client, key, path, body)?;
    client.answer()
}

/// Sends a POST.
pub(crate) fn post(client: &mut Client, key: &str, path: &str, body: &str) -> io::Result<()> {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    client.send("POST", path, &headers, body.as_bytes())
}

/// The body of a chat in the dialect of `/v1/chat/completions`.
pub(crate) fn chat(model: &str, stream: bool) -> String {
    format!(
        "{{\"model\":\"{model}\",\"stream\":{stream},\
         \"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}"
    )
}

fn address(url: &str) -> SocketAddr {
    let at = url.split_once("://").map_or(url, |(_, rest)| rest);
    at.parse().unwrap_or_else(|_| panic!("no address: {url}"))
}

/// A file in a folder, if it is there.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}
