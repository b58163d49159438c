//! Draining, cutting, signals, and the hand-over to another process.

use super::*;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::secure::Folder;
use crate::edge::control::Phase;
use crate::edge::handover::{Goods, Offer, take_over};
use crate::edge::signals;

#[test]
fn a_drain_ends_what_runs_and_accepts_nothing_new() {
    let mut plan = plan();
    plan.settings.timeouts.idle_draining = Duration::from_millis(20);
    let edge = TestEdge::with(plan, BodyLimits::default());
    let control = edge.running.control().clone();
    control.set_ready(true);
    assert!(control.is_ready());
    let mut busy = edge.connect();
    busy.write_all(post("/wait", "", "").as_bytes()).unwrap();
    assert_eq!(edge.next_seen(), Seen::Call("/wait".to_owned()));
    let mut idle = edge.connect();
    idle.write_all(post("/echo", "", "hello").as_bytes())
        .unwrap();
    read_until(&mut idle, "hello");
    let address = edge.address();
    control.leave();
    assert!(!control.is_ready());
    assert_eq!(read_to_end(idle), "", "idle connections end by themselves");
    edge.gate.send_replace(true);
    let answer = read_to_end(busy);
    assert!(
        answer.contains("connection: close\r\n") && answer.ends_with("waited"),
        "{answer}"
    );
    let report = edge.running.join();
    assert_eq!(
        report,
        DrainReport {
            finished: 2,
            cut: 0
        }
    );
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_deadline_or_an_order_cuts_what_hangs() {
    let plan = Plan {
        drain_max: Duration::from_millis(1),
        ..plan()
    };
    for by_order in [false, true] {
        let edge = TestEdge::with(plan.clone(), BodyLimits::default());
        let mut stream = edge.connect();
        stream.write_all(post("/hang", "", "").as_bytes()).unwrap();
        assert_eq!(edge.next_seen(), Seen::Call("/hang".to_owned()));
        let control = edge.running.control().clone();
        if by_order {
            control.cut()
        } else {
            control.leave()
        }
        assert_eq!(
            edge.running.join(),
            DrainReport {
                finished: 0,
                cut: 1
            }
        );
        assert_eq!(edge.seen.recv(), Ok(Seen::Dropped("/hang")));
    }
}

#[test]
fn signals_reload_then_leave_then_cut() {
    let edge = TestEdge::start();
    let mut stream = edge.connect();
    stream.write_all(post("/hang", "", "").as_bytes()).unwrap();
    assert_eq!(edge.next_seen(), Seen::Call("/hang".to_owned()));
    let (hangups, heard) = channel();
    let control = edge.running.control().clone();
    let watching = signals::watch(control.clone(), move || hangups.send(()).unwrap()).unwrap();
    let me = rustix::process::getpid();
    let kill = |signal| rustix::process::kill_process(me, signal).unwrap();
    kill(rustix::process::Signal::HUP);
    heard.recv_timeout(HANG).unwrap();
    assert_eq!(control.phase(), Phase::Serving);
    kill(rustix::process::Signal::TERM);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(control.reached(Phase::Draining));
    kill(rustix::process::Signal::INT);
    assert_eq!(edge.running.join().cut, 1);
    watching.join().unwrap();
}

/// Asks on connection after connection until told to stop; gives how many
/// answers came and how many failures.
fn load(address: SocketAddr, stop: &AtomicBool, answers: &AtomicU64) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let once = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(HANG))?;
            stream.write_all(post("/echo", CLOSE, "hello").as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        match once() {
            Ok(answer) if answer.ends_with("hello") => {}
            Ok(answer) => failures.push(answer),
            Err(e) => failures.push(e.to_string()),
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
    failures
}

/// Lets the load have this many more answers.
fn more(answers: &AtomicU64, count: u64) {
    let from = answers.load(Ordering::Relaxed);
    while answers.load(Ordering::Relaxed) < from + count {
        std::thread::yield_now();
    }
}

#[test]
fn a_new_process_takes_over_without_a_failure() {
    let folder = Folder::new();
    let control_path = folder.0.join("handover.sock");
    let listener = Listener::open(&tcp_spec(), &mut Inherited::default()).unwrap();
    let goods = Goods::of(std::iter::once(&listener)).unwrap();
    let edge = TestEdge::on(vec![listener], plan(), BodyLimits::default());
    let offer = Offer::open(&control_path, goods, vec![edge.running.control().clone()]).unwrap();
    let address = edge.address();
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| load(address, &stop, &answers)))
            .collect();
        more(&answers, 50);
        let mut successor = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "edge::tests::leaving::successor_process",
                "--nocapture",
            ])
            .env(SUCCESSOR, &control_path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let report = edge.running.join();
        offer.close();
        assert_eq!(report.cut, 0);
        // Whoever answers now is the other process.
        more(&answers, 50);
        stop.store(true, Ordering::Relaxed);
        for load in loads {
            assert_eq!(load.join().unwrap(), Vec::<String>::new());
        }
        assert!(
            control_path.exists(),
            "the control socket is the successor's"
        );
        drop(successor.stdin.take());
        assert!(successor.wait().unwrap().success());
    });
    assert!(edge.seen.try_recv().is_ok());
}

const SUCCESSOR: &str = "TOLLGATE_TEST_SUCCESSOR_OF";

/// The other process of the test above; without its variable there is nothing
/// to succeed.
#[test]
fn successor_process() {
    let Some(path) = std::env::var_os(SUCCESSOR) else {
        return;
    };
    let path = std::path::PathBuf::from(path);
    let (succession, sockets) = take_over(&path).unwrap().expect("somebody offers");
    let mut inherited = Inherited::default();
    inherited.extend(sockets);
    let listener = Listener::open(&tcp_spec(), &mut inherited).unwrap();
    let goods = Goods::of(std::iter::once(&listener)).unwrap();
    let edge = TestEdge::on(vec![listener], plan(), BodyLimits::default());
    let offer = Offer::open(&path, goods, vec![edge.running.control().clone()]).unwrap();
    succession.ready().unwrap();
    // Serves until the other test closes the pipe.
    let _ = read_to_end(std::io::stdin());
    edge.stop();
    offer.close();
    assert!(!path.exists(), "nobody came after");
}

#[test]
fn without_a_process_before_there_is_nothing_to_take() {
    let folder = Folder::new();
    assert!(take_over(&folder.0.join("none.sock")).unwrap().is_none());
}

#[test]
fn a_successor_that_dies_changes_nothing() {
    let folder = Folder::new();
    let path = folder.0.join("handover.sock");
    let listener = Listener::open(&tcp_spec(), &mut Inherited::default()).unwrap();
    let goods = Goods::of(std::iter::once(&listener)).unwrap();
    let edge = TestEdge::on(vec![listener], plan(), BodyLimits::default());
    let offer = Offer::open(&path, goods, vec![edge.running.control().clone()]).unwrap();
    let (succession, sockets) = take_over(&path).unwrap().expect("somebody offers");
    assert_eq!(sockets.len(), 1);
    drop((succession, sockets));
    // A second one is served only after the first conversation has ended.
    let (succession, _sockets) = take_over(&path).unwrap().expect("somebody still offers");
    assert_eq!(edge.running.control().phase(), Phase::Serving);
    drop(succession);
    assert!(
        edge.talk(post("/echo", CLOSE, "hello").as_bytes())
            .ends_with("hello")
    );
    edge.stop();
    offer.close();
    assert!(!path.exists());
}
