//! What is measured: direct, nginx, and the gateway; and the stage they stand on.

use super::figures::Figures;
use super::process::{self, Process, Reading};
use super::workloads::{Counters, Drive, Generated, Workload};
use super::{Options, cores_of};
use super::{limits, plan};
use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a proxy may take to listen.
const START_MAX: Duration = Duration::from_secs(15);
/// Pause between looks at a port that does not listen yet.
const LOOK: Duration = Duration::from_millis(50);
/// Time that memory is given to settle before it is read.
const SETTLE: Duration = Duration::from_secs(2);

/// One way from the client to the upstream.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    url: String,
    process: Option<Process>,
    /// The gateway's configuration and its listener for operators.
    gateway: Option<(PathBuf, SocketAddr)>,
    /// Resident memory after the start and before any load.
    idle: Reading,
    /// What it cannot do without: dropped behind it.
    beside: Option<Process>,
}

impl Subject {
    pub(super) fn is_proxy(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn idle_reading(&self) -> Reading {
        self.process
            .as_ref()
            .map(|p| process::read(p.id()))
            .unwrap_or_default()
    }

    /// Memory after the start and before any load.
    pub(super) fn idle_kib(&self) -> f64 {
        self.idle.rss_kib
    }

    /// The gateway's process, its configuration and its listener for operators.
    pub(super) fn gateway(&self) -> Option<(&Process, &Path, SocketAddr)> {
        let (config, admin) = self.gateway.as_ref()?;
        Some((self.process.as_ref()?, config, *admin))
    }

    /// CPU since `before`, and memory now.
    pub(super) fn reading_since(&self, before: &Reading) -> Option<Reading> {
        let now = process::read(self.process.as_ref()?.id());
        Some(Reading {
            cpu_seconds: now.cpu_seconds - before.cpu_seconds,
            rss_kib: now.rss_kib,
        })
    }
}

/// The fake upstream, and a directory for everything that is written.
#[derive(Debug)]
pub(super) struct Stage {
    upstream: SocketAddr,
    /// Held so that it lives as long as the stage.
    _upstream: Process,
    dir: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Left-over files in the temporary directory harm nobody.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Stage {
    pub(super) fn set(options: &Options) -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("tollgate-bench-{}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let args = ["--listen", "127.0.0.1:0", "--fast"].map(str::to_owned);
        let (upstream, url) = Process::start_with_line(
            &options.tools.join("fake-upstream"),
            &args,
            cores_of(options).load,
        )?;
        let addr = url
            .strip_prefix("http://")
            .and_then(|a| a.parse().ok())
            .ok_or_else(|| format!("the fake upstream said {url}"))?;
        Ok(Self {
            upstream: addr,
            _upstream: upstream,
            dir,
        })
    }

    /// Direct, and freshly started proxies; for a generated plan, the gateway with the plain
    /// configuration and with that plan.
    pub(super) fn subjects(
        &self,
        options: &Options,
        workload: &Workload,
    ) -> Result<Vec<Subject>, String> {
        if let Some(generated) = workload.generated() {
            let Some(program) = &options.gateway else {
                return Ok(Vec::new());
            };
            let plain = self.gateway(options, program, "plain", &|plain| Ok(plain.to_owned()))?;
            return Ok(vec![plain, self.with_more(options, program, generated)?]);
        }
        let direct = Subject {
            name: "direct",
            url: format!("http://{}", self.upstream),
            process: None,
            gateway: None,
            idle: Reading::default(),
            beside: None,
        };
        let mut out = vec![direct];
        if let Some(nginx) = find("nginx") {
            out.push(self.nginx(options, &nginx)?);
        }
        if let Some(gateway) = &options.gateway {
            out.push(self.gateway(options, gateway, "gateway", &|plain| Ok(plain.to_owned()))?);
        }
        Ok(out)
    }

    /// The gateway with a generated plan.
    fn with_more(
        &self,
        options: &Options,
        program: &Path,
        generated: Generated,
    ) -> Result<Subject, String> {
        let counters = match generated {
            Generated::Policy { conditions } => {
                let make = |plain: &str| plan::document(plain, conditions);
                return self.gateway(options, program, "gateway", &make);
            }
            Generated::Limits { counters } => counters,
        };
        let server = match counters {
            Counters::Own => None,
            Counters::Shared => Some(limits::start(options, &self.dir)?),
        };
        let url = server.as_ref().map(|server| server.url.clone());
        let make = |plain: &str| Ok(limits::document(plain, url.as_deref()));
        let mut subject = self.gateway(options, program, "gateway", &make)?;
        subject.beside = server.map(|server| server.process);
        Ok(subject)
    }

    fn nginx(&self, options: &Options, program: &Path) -> Result<Subject, String> {
        let listen = free_port()?;
        let dir = self.dir.display();
        let conf = format!(
            "worker_processes 1;\nworker_rlimit_nofile 65536;\npid {dir}/nginx.pid;\nerror_log {dir}/nginx-error.log;\ndaemon off;\n\
             events {{ worker_connections 20000; }}\n\
             http {{\n  access_log off;\n  client_max_body_size 64m;\n  client_body_buffer_size 2m;\n  keepalive_requests 1000000000;\n\
             \x20 client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
             \x20 upstream fake {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; }}\n\
             \x20 server {{\n    listen {listen} backlog=8192;\n    location / {{\n      proxy_pass http://fake;\n      proxy_http_version 1.1;\n\
             \x20     proxy_set_header Connection \"\";\n      proxy_buffering off;\n      tcp_nodelay on;\n    }}\n  }}\n}}\n",
            upstream = self.upstream
        );
        let file = self.dir.join("nginx.conf");
        fs::write(&file, conf).map_err(|e| format!("{}: {e}", file.display()))?;
        let args = [
            "-c".to_owned(),
            file.display().to_string(),
            "-e".to_owned(),
            format!("{dir}/nginx-error.log"),
        ];
        let process = Process::start(
            program,
            &args,
            cores_of(options).proxy,
            &self.dir.join("nginx.log"),
        )?;
        self.started("nginx", listen, process)
    }

    /// A gateway whose configuration `make` makes from the filled-in template.
    fn gateway(
        &self,
        options: &Options,
        program: &Path,
        name: &'static str,
        make: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Subject, String> {
        let (listen, admin) = (free_port()?, free_port()?);
        let data = self.dir.join(format!("data-{}", listen.port()));
        let file = self.dir.join(format!("{name}.yaml"));
        if let Some(template) = &options.config {
            let text =
                fs::read_to_string(template).map_err(|e| format!("{}: {e}", template.display()))?;
            let text = text
                .replace("{{upstream}}", &format!("http://{}", self.upstream))
                .replace("{{listen}}", &listen.to_string())
                .replace("{{admin}}", &admin.to_string())
                .replace("{{data_dir}}", &data.display().to_string());
            fs::write(&file, make(&text)?).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        let args: Vec<String> = options
            .gateway_args
            .iter()
            .map(|a| {
                a.replace("{config}", &file.display().to_string())
                    .replace("{data_dir}", &data.display().to_string())
            })
            .collect();
        let process = Process::start(
            program,
            &args,
            cores_of(options).proxy,
            &self.dir.join(format!("{name}.log")),
        )?;
        let mut subject = self.started(name, listen, process)?;
        subject.gateway = Some((file, admin));
        Ok(subject)
    }

    fn started(
        &self,
        name: &'static str,
        listen: SocketAddr,
        process: Process,
    ) -> Result<Subject, String> {
        let begun = Instant::now();
        while TcpStream::connect(listen).is_err() {
            if begun.elapsed() > START_MAX {
                let log =
                    fs::read_to_string(self.dir.join(format!("{name}.log"))).unwrap_or_default();
                return Err(format!(
                    "{name} does not listen on {listen}; it said: {log}"
                ));
            }
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(LOOK);
        let idle = process::read(process.id());
        Ok(Subject {
            name,
            url: format!("http://{listen}"),
            process: Some(process),
            gateway: None,
            idle,
            beside: None,
        })
    }

    pub(super) fn request_file(
        &self,
        options: &Options,
        workload: &Workload,
    ) -> Result<PathBuf, String> {
        let file = self.dir.join(format!("{}.json", workload.name));
        fs::write(&file, workload.body(options)).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(file)
    }

    /// One request has to come back whole before anything is measured. A server of counters that
    /// has just begun gives nothing for a while, so there that is waited for.
    pub(super) fn check(
        &self,
        subject: &Subject,
        options: &Options,
        workload: &Workload,
        request: &Path,
    ) -> Result<(), String> {
        if workload.is_memory() {
            return Ok(());
        }
        let begun = Instant::now();
        loop {
            let checked = self.check_once(subject, options, workload, request);
            let may_wait = subject.beside.is_some() && begun.elapsed() < START_MAX;
            if checked.is_ok() || !may_wait {
                return checked;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn check_once(
        &self,
        subject: &Subject,
        options: &Options,
        workload: &Workload,
        request: &Path,
    ) -> Result<(), String> {
        let drive = [
            "closed",
            "--connections",
            "1",
            "--requests",
            "1",
            "--seconds",
            "10",
        ]
        .map(str::to_owned);
        let report = self.generate(subject, options, workload, request, &drive)?;
        let events = report["events"].as_u64().unwrap_or(0);
        match (report["ok"].as_u64(), workload.stream && events < 64) {
            (Some(1), false) => Ok(()),
            (Some(1), true) => Err(format!(
                "{} passed {events} events of a stream of more than 64",
                subject.name
            )),
            _ => Err(format!(
                "{} refused the request: {}",
                subject.name, report["first_error"]
            )),
        }
    }

    /// One run of the workload's load; gives the generator's report.
    pub(super) fn load(
        &self,
        subject: &Subject,
        options: &Options,
        workload: &Workload,
        request: &Path,
        time: Duration,
    ) -> Result<Value, String> {
        let seconds = time.as_secs_f64().to_string();
        let drive: Vec<String> = match workload.drive {
            Drive::Closed { connections } => vec![
                "closed".into(),
                "--connections".into(),
                connections.to_string(),
                "--seconds".into(),
                seconds,
            ],
            Drive::Open { rate, connections } => vec![
                "open".into(),
                "--rate".into(),
                rate.to_string(),
                "--connections".into(),
                connections.to_string(),
                "--seconds".into(),
                seconds,
            ],
            Drive::Hold => return self.hold(subject, options, workload, request),
        };
        let report = self.generate(subject, options, workload, request, &drive)?;
        match report["errors"].as_u64() {
            Some(0) => Ok(report),
            _ => Err(format!(
                "{}: {} errors, the first: {}",
                subject.name, report["errors"], report["first_error"]
            )),
        }
    }

    fn generate(
        &self,
        subject: &Subject,
        options: &Options,
        workload: &Workload,
        request: &Path,
        drive: &[String],
    ) -> Result<Value, String> {
        let args = self.arguments(subject, options, workload, request, drive);
        let output = process::command(&options.tools.join("load"), &args, cores_of(options).load)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("load: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).map_err(|e| format!("load said {last:?}: {e}"))
    }

    fn arguments(
        &self,
        subject: &Subject,
        options: &Options,
        workload: &Workload,
        request: &Path,
        drive: &[String],
    ) -> Vec<String> {
        let mut args = drive.to_vec();
        args.extend([
            "--url".to_owned(),
            format!("{}{}", subject.url, workload.path()),
        ]);
        args.extend(["--body-file".to_owned(), request.display().to_string()]);
        for header in workload.headers(options, subject) {
            args.extend(["--header".to_owned(), header]);
        }
        args
    }

    /// Opens the streams, reads memory while they are open, and gives both.
    fn hold(
        &self,
        subject: &Subject,
        options: &Options,
        workload: &Workload,
        request: &Path,
    ) -> Result<Value, String> {
        let before = subject.idle_reading();
        let drive = [
            "hold".to_owned(),
            "--connections".to_owned(),
            options.streams.to_string(),
            "--seconds".to_owned(),
            "8".to_owned(),
        ];
        let args = self.arguments(subject, options, workload, request, &drive);
        let (held, line) =
            Process::start_with_line(&options.tools.join("load"), &args, cores_of(options).load)?;
        let mut report: Value =
            serde_json::from_str(&line).map_err(|e| format!("load said {line:?}: {e}"))?;
        std::thread::sleep(SETTLE);
        let now = subject.idle_reading();
        drop(held);
        let open = report["open"].as_f64().unwrap_or(0.0);
        if open < 0.95 * options.streams as f64 {
            return Err(format!(
                "{}: only {open} of {} streams came to be open",
                subject.name, options.streams
            ));
        }
        report["rss_per_stream_kib"] = Value::from((now.rss_kib - before.rss_kib) / open);
        // Let the proxy see that its clients have left.
        std::thread::sleep(SETTLE);
        Ok(report)
    }

    /// Memory at rest: after the start, and two seconds after the load.
    pub(super) fn settle(&self, subjects: &[Subject], figures: &mut Figures) {
        std::thread::sleep(SETTLE);
        for subject in subjects.iter().filter(|s| s.is_proxy()) {
            figures.record_memory(
                subject.name,
                subject.idle.rss_kib,
                subject.idle_reading().rss_kib,
            );
        }
    }
}

/// A loopback address that is free now.
pub(super) fn free_port() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    listener.local_addr().map_err(|e| e.to_string())
}

/// A program on the path, or where system daemons live.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(daemons)
        .map(|d| d.join(name))
        .find(|p| p.is_file())
}
