//! A Valkey or Redis server of the tests' own: on a free port of this machine,
//! in a folder of its own, and gone with its handle.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Set where the tests must not do without a server.
const NEEDED: &str = "TOLLGATE_TEST_SERVERS";
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];
/// One that loses everything when it is killed.
const FORGETS: Keeping = &["--appendonly", "no"];

/// What a server keeps, in its own words.
pub(crate) type Keeping = &'static [&'static str];

pub(crate) struct Server {
    child: Child,
    port: u16,
    program: &'static str,
    keeping: Keeping,
    dir: TempDir,
}

impl Server {
    /// A server that keeps nothing; `None` where no program is installed and
    /// none is needed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(FORGETS)
    }

    /// One that keeps what is said.
    pub(crate) fn start_with(keeping: Keeping) -> Option<Self> {
        let answers = |program: &&&str| {
            let mut command = Command::new(program);
            command.arg("--version").stdout(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let Some(program) = PROGRAMS.iter().find(answers) else {
            assert!(
                std::env::var_os(NEEDED).is_none(),
                "no server is installed: install `valkey-server` or `redis-server`"
            );
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let dir = tempfile::tempdir().expect("a folder can be made");
        let child = run(program, port, (keeping, &dir));
        let server = Self {
            child,
            port,
            program,
            keeping,
            dir,
        };
        server.wait();
        Some(server)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it at once, as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again, with what it kept.
    pub(crate) fn start_again(&mut self) {
        self.child = run(self.program, self.port, (self.keeping, &self.dir));
        self.wait();
    }

    /// Stops it from answering, or lets it answer again.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { "-STOP" } else { "-CONT" };
        let mut command = Command::new("kill");
        command.arg(signal).arg(self.child.id().to_string());
        assert!(command.status().expect("there is kill").success());
    }

    fn wait(&self) {
        let address = ([127, 0, 0, 1], self.port).into();
        while std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, port: u16, (keeping, dir): (Keeping, &TempDir)) -> Child {
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--save", ""])
        .args(keeping)
        .args(["--port", &port.to_string()])
        .arg("--dir")
        .arg(dir.path())
        .stdout(Stdio::null());
    command.spawn().expect("the program is there")
}
