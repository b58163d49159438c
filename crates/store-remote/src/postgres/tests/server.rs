//! A PostgreSQL server of the tests' own: on a free port of this machine, in a
//! folder of its own, and gone with its handle.
//!
//! It does not run as root, so where the tests do, it is the user `postgres`,
//! whom its package makes, or `nobody`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Set where the tests must not do without a server.
const NEEDED: &str = "TOLLGATE_TEST_SERVERS";
/// Where Debian puts the programs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";
const USERS: [&str; 2] = ["postgres", "nobody"];

pub(crate) struct Server {
    child: Child,
    programs: Programs,
    dir: TempDir,
    port: u16,
}

/// Its programs, and who runs them.
struct Programs {
    folder: Option<PathBuf>,
    /// User and group; none where the tests are not root.
    user: Option<(u32, u32)>,
}

impl Server {
    /// A server; `None` where no program is installed and none is needed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = Programs::find() else {
            assert!(
                std::env::var_os(NEEDED).is_none(),
                "no server is installed: install `postgresql`"
            );
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let dir = tempfile::tempdir().expect("a folder can be made");
        if let Some((user, group)) = programs.user {
            chown(dir.path(), Some(user), Some(group)).expect("root may do that");
        }
        let mut initdb = programs.command("initdb");
        initdb
            .args(["--username=tollgate", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(dir.path().join("data"))
            .stdout(Stdio::null());
        assert!(initdb.status().expect("the program is there").success());
        let child = run(&programs, port, dir.path());
        let mut server = Self {
            child,
            programs,
            dir,
            port,
        };
        server.wait();
        Some(server)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://tollgate@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// Ends all of it at once, as a power cut does.
    pub(crate) fn kill(&mut self) {
        let children = children_of(self.child.id());
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        signal("-KILL", &children);
    }

    /// Starts it again, with what it had written.
    pub(crate) fn start_again(&mut self) {
        self.child = run(&self.programs, self.port, self.dir.path());
        self.wait();
    }

    /// Stops all of it from answering, or lets it answer again.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let mut all = children_of(self.child.id());
        all.push(self.child.id());
        signal(if is_frozen { "-STOP" } else { "-CONT" }, &all);
    }

    /// Runs statements with its own client.
    pub(crate) fn psql(&self, statements: &str) -> String {
        let mut psql = self.programs.command("psql");
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url()]);
        let output = psql.args(["-c", statements]).output();
        let output = output.expect("the program is there");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let text = String::from_utf8(output.stdout).expect("it writes UTF-8");
        text.trim().to_owned()
    }

    /// Waits until it answers. What an earlier one left may have to end first.
    fn wait(&mut self) {
        let is_ready = |programs: &Programs, port: u16| {
            let mut ready = programs.command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            ready.status().is_ok_and(|status| status.success())
        };
        while !is_ready(&self.programs, self.port) {
            if let Ok(Some(_)) = self.child.try_wait() {
                self.child = run(&self.programs, self.port, self.dir.path());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut all = children_of(self.child.id());
        all.push(self.child.id());
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        all.pop();
        signal("-KILL", &all);
    }
}

impl Programs {
    fn find() -> Option<Self> {
        let number =
            |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse::<u32>().ok() };
        let folders = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
        let mut versions: Vec<PathBuf> = folders.map(|it| it.path()).collect();
        versions.retain(|path| number(path).is_some() && path.join("bin/initdb").is_file());
        versions.sort_by_key(number);
        let folder = versions.pop().map(|path| path.join("bin"));
        let this = Self { folder, user: None };
        let mut asked = this.command("initdb");
        asked.arg("--version").stdout(Stdio::null());
        if !asked.status().is_ok_and(|status| status.success()) {
            return None;
        }
        Some(Self {
            user: other_user(),
            ..this
        })
    }

    fn command(&self, name: &str) -> Command {
        let path = match &self.folder {
            Some(folder) => folder.join(name),
            None => name.into(),
        };
        let mut command = match self.user {
            Some((user, group)) => {
                // It becomes the program, with the same number.
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid", &user.to_string(), "--regid", &group.to_string()])
                    .arg("--clear-groups")
                    .arg(path);
                command
            }
            None => Command::new(path),
        };
        // A folder that this user may not read is no place to be.
        command.current_dir("/");
        command
    }
}

/// Somebody to be instead of root.
fn other_user() -> Option<(u32, u32)> {
    let own = fs::metadata("/proc/self").ok()?;
    if own.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    let found = USERS.iter().find_map(|name| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    });
    Some(found.expect("there is somebody else than root"))
}

fn run(programs: &Programs, port: u16, dir: &Path) -> Child {
    let mut command = programs.command("postgres");
    command
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-k")
        .arg(dir)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        // The machine lives on when it is killed.
        .args(["-c", "fsync=off", "-c", "shared_buffers=16MB"])
        .args(["-c", "log_min_messages=panic", "-c", "log_checkpoints=off"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("the program is there")
}

/// Processes that this one has started.
fn children_of(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything.
        let after = stat.rsplit_once(") ").map(|(_, after)| after);
        let found = after.and_then(|after| after.split(' ').nth(1)?.parse::<u32>().ok());
        found == Some(parent)
    };
    pids.filter(is_child).collect()
}

fn signal(name: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let mut command = Command::new("kill");
    command.arg(name).args(processes.iter().map(u32::to_string));
    // Some of them may be gone.
    let _ = command.stderr(Stdio::null()).status();
}
