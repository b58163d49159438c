//! Gateways and the database that they share: real processes, real servers,
//! and all of them die.

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use evidence::RequestId;
use serde_json::Value;

use crate::gateway::{Gateway, Home, KEY, ask};
use crate::postgres::Server;
use crate::upstream::{Event, Upstream, gated};
use crate::{until, valkey};

const DOOR: &str = "/v1/chat/completions";
/// What a call comes to.
const TOKENS: i64 = 5;

fn config(upstream: &Upstream, server: &Server, more: &str) -> String {
    let url = server.url();
    upstream.config(&format!(
        "budgets: [{{name: all, measure: tokens, limit: '1000000', window: forever}}]\n\
         database: {{url: '{url}', max_lag: 1s{more}}}\n"
    ))
}

/// Statements, and one number that they give.
fn number(server: &Server, sql: &str) -> i64 {
    server.psql(sql).parse().unwrap()
}

fn records(server: &Server) -> i64 {
    number(server, "SELECT count(*) FROM tollgate.records")
}

/// Waits until a gateway has found the database.
fn finds_it(gateway: &Gateway) {
    until("the database is found", || {
        gateway.metric("tollgate_database_up") > 0.5
    });
}

/// `tollgate ledger verify --database --json`: exit code and result.
fn verify(home: &Home) -> (i32, Value) {
    let config = home.path("tollgate.yaml").display().to_string();
    let (code, out, err) = home.run(&[
        "ledger",
        "verify",
        "--database",
        "--json",
        "--config",
        &config,
    ]);
    let found = serde_json::from_str(&out);
    (code, found.unwrap_or_else(|_| panic!("{out}{err}")))
}

#[test]
fn a_gateway_starts_and_serves_whether_its_database_is_there_or_not() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let upstream = Upstream::good();
    let home = Home::with(&config(&upstream, &server, ""));
    server.kill();
    let gateway = home.start();
    gateway.hears("the database cannot be used");
    assert_eq!(gateway.chat("up/m").status, 200);
    assert!(gateway.metric("tollgate_database_up") < 0.5);
    until("a record waits", || {
        gateway.metric("tollgate_database_records_waiting") > 0.5
            && gateway.metric("tollgate_database_lag_seconds") > 0.0
    });

    server.start_again();
    gateway.hears("the database answers again");
    until("it is there", || records(&server) == 1);
    until("nothing waits", || {
        gateway.metric("tollgate_database_records_waiting") < 0.5
    });
    assert!(gateway.metric("tollgate_database_bring_failures") > 0.5);

    // Slow is as good as dead.
    server.freeze(true);
    until("it is down", || {
        gateway.metric("tollgate_database_up") < 0.5
    });
    assert_eq!(gateway.chat("up/m").status, 200);
    server.freeze(false);
    until("it is there", || records(&server) == 2);
    // What comes at the last moment is brought before the end.
    assert_eq!(gateway.chat("up/m").status, 200);
    gateway.stop();
    assert_eq!(records(&server), 3);
}

#[test]
fn calls_are_refused_while_records_wait_for_too_long_where_that_is_said() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let upstream = Upstream::good();
    let home = Home::with(&config(&upstream, &server, ", on_unavailable: closed"));
    let gateway = home.start();
    finds_it(&gateway);
    assert_eq!(gateway.chat("up/m").status, 200);
    until("it is there", || records(&server) == 1);

    server.kill();
    assert_eq!(gateway.chat("up/m").status, 200);
    let mut answer = None;
    until("calls are refused", || {
        let last = gateway.chat("up/m");
        let is_refused = last.status == 503;
        answer = Some(last);
        is_refused
    });
    let text = answer.unwrap().text();
    assert!(text.contains("bring its records"), "{text}");
    server.start_again();
    until("calls are let in", || gateway.chat("up/m").status == 200);
    gateway.stop();
    // Refusals are recorded too.
    let refused = "SELECT count(*) FROM tollgate.records WHERE outcome = 'refused'";
    assert!(number(&server, refused) > 0);
    let (code, found) = verify(&home);
    assert_eq!(code, 0, "{found}");
}

#[test]
fn a_lost_call_and_one_of_a_hand_over_are_there_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let gate = Event::default();
    let upstream = gated(&gate);
    let home = Home::with(&config(&upstream, &server, ""));
    let body = "{\"model\":\"up/m\",\"stream\":true,\"max_tokens\":9,\
                \"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}";
    let open = |gateway: &Gateway| {
        let mut client = gateway.connect();
        crate::gateway::post(&mut client, KEY, DOOR, body).unwrap();
        client.head().unwrap();
        client.chunks_until("first");
        client
    };
    let killed = home.start();
    let _lost = open(&killed);
    killed.kill();

    let mut old = home.start();
    finds_it(&old);
    until("the lost call is there", || {
        let lost = "SELECT count(*) FROM tollgate.records WHERE outcome = 'lost'";
        number(&server, lost) == 1
    });
    let reserved = "SELECT count(*) FROM tollgate.ledger WHERE settled IS NULL AND reserved > 9";
    assert_eq!(number(&server, reserved), 1);
    let mut stream = open(&old);
    // The new process writes a lane as long as the old one has the journal.
    let new = home.start();
    assert_eq!(new.chat("up/m").status, 200);
    gate.happen();
    stream.chunks_until("[DONE]");
    assert!(old.wait().success());
    assert_eq!(new.chat("up/m").status, 200);
    until("all are there", || records(&server) == 4);
    assert_eq!(number(&server, "SELECT count(*) FROM tollgate.nodes"), 1);
    new.stop();
    let (code, found) = verify(&home);
    assert_eq!(
        (code, &found["database"]["equal"]),
        (0, &Value::from(4)),
        "{found}"
    );

    // A database that was put back from an older copy gets the rest again.
    server.psql(
        "DELETE FROM tollgate.records WHERE outcome = 'lost' OR sequence = 4;
         UPDATE tollgate.nodes SET sequence = 2, hash = decode(repeat('01', 32), 'hex')",
    );
    let again = home.start();
    again.hears("all of it is brought again");
    until("all are there", || records(&server) == 4);
    // It is emptied while the gateway runs.
    server.psql("TRUNCATE tollgate.nodes, tollgate.records, tollgate.legs, tollgate.ledger");
    assert_eq!(again.chat("up/m").status, 200);
    until("all are there", || records(&server) == 5);
    // What was altered there is found.
    server.psql("UPDATE tollgate.ledger SET settled = settled + 1 WHERE settled = 5");
    again.stop();
    let (code, found) = verify(&home);
    assert_eq!(code, 1, "{found}");
    assert_eq!(found["database"]["listed"][0]["what"], "ledger", "{found}");
}

/// What the clients of a test have seen.
#[derive(Default)]
struct Seen {
    gateways: Mutex<Vec<SocketAddr>>,
    /// Request ids of calls that were answered with 200.
    served: Mutex<Vec<String>>,
    admitted: AtomicUsize,
    /// Calls since then that were refused.
    refused: AtomicUsize,
    /// Clients make no calls once so many were served.
    enough: Mutex<usize>,
    more: Condvar,
    is_over: AtomicBool,
}

impl Seen {
    /// One call to one of the gateways.
    fn call(&self, nth: usize) {
        let gateways = self.gateways.lock().unwrap().clone();
        let address = gateways[nth % gateways.len()];
        let body = format!(
            "{{\"model\":\"up/m\",\"max_tokens\":{TOKENS},\
             \"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}"
        );
        // One that was killed does not answer.
        let Ok(answer) = ask(address, KEY, DOOR, &body) else {
            return;
        };
        match answer.status {
            200 => {
                let id = answer.header("tollgate-request-id").to_owned();
                self.served.lock().unwrap().push(id);
                self.admitted.fetch_add(1, Relaxed);
                self.refused.store(0, Relaxed);
            }
            402 | 503 => drop(self.refused.fetch_add(1, Relaxed)),
            other => panic!("{other}: {}", answer.text()),
        }
    }

    /// So many clients, each of which goes from gateway to gateway.
    fn clients(self: &Arc<Self>, count: usize) -> Vec<JoinHandle<()>> {
        let client = |nth: usize| {
            let seen = self.clone();
            std::thread::spawn(move || {
                let mut calls = nth;
                while seen.is_wanted() {
                    seen.call(calls);
                    calls += 1;
                }
            })
        };
        (0..count).map(client).collect()
    }

    /// Waits until one more call is wanted; `false` once it is over.
    fn is_wanted(&self) -> bool {
        let enough = self.enough.lock().unwrap();
        let has_enough = |enough: &mut usize| {
            !self.is_over.load(Relaxed) && self.admitted.load(Relaxed) >= *enough
        };
        drop(self.more.wait_while(enough, has_enough).unwrap());
        !self.is_over.load(Relaxed)
    }

    /// Lets clients call until so many were served.
    fn wants(&self, enough: usize) {
        *self.enough.lock().unwrap() = enough;
        self.more.notify_all();
    }

    /// Waits until so many more calls were served.
    fn goes_on(&self, more: usize) {
        let enough = self.admitted.load(Relaxed) + more;
        self.wants(enough);
        until("calls are served", || self.admitted.load(Relaxed) >= enough);
    }

    /// Lets clients call until nobody was served for a while.
    fn to_the_end(&self, refused: usize) {
        self.refused.store(0, Relaxed);
        self.wants(usize::MAX);
        until("all is spent", || self.refused.load(Relaxed) >= refused);
        self.is_over.store(true, Relaxed);
        self.wants(0);
    }
}

/// Issue 4: three gateways, 200 clients and one small budget, while a gateway,
/// the server of the counters and the database are killed.
#[test]
fn nothing_is_overspent_or_lost_whoever_is_killed() {
    const LIMIT: i64 = 8_000;
    // As the page says: what a replica that dies had spent, only the server
    // knows.
    let counters = valkey::Server::start_with(&["--appendonly", "yes"]);
    let (Some(mut database), Some(mut counters)) = (Server::start(), counters) else {
        return;
    };
    let upstream = Upstream::good();
    let homes: Vec<Home> = (0..3)
        .map(|_| {
            Home::with(&upstream.config(&format!(
                "budgets: [{{name: all, measure: tokens, limit: '{LIMIT}', window: forever}}]\n\
                 counters: {{backend: valkey, url: '{}', lease: 1s, deadline: 500ms}}\n\
                 database: {{url: '{}'}}\n",
                counters.url(),
                database.url()
            )))
        })
        .collect();
    let mut gateways: Vec<Gateway> = homes.iter().map(Home::start).collect();
    let seen = Arc::<Seen>::default();
    let addresses = |gateways: &[Gateway]| gateways.iter().map(Gateway::data).collect();
    *seen.gateways.lock().unwrap() = addresses(&gateways);
    let clients = seen.clients(200);

    seen.goes_on(60);
    database.kill();
    seen.goes_on(60);
    counters.kill();
    counters.start_again();
    seen.goes_on(60);
    gateways.remove(0).kill();
    *seen.gateways.lock().unwrap() = addresses(&gateways);
    seen.goes_on(60);
    gateways.push(homes[0].start());
    *seen.gateways.lock().unwrap() = addresses(&gateways);
    database.start_again();
    seen.goes_on(60);
    seen.to_the_end(600);
    clients.into_iter().for_each(|it| it.join().unwrap());

    // What is left of the budget can be spent, and no more.
    until("all is spent", || {
        let statuses = gateways.iter().map(|it| {
            let answer = it.post(
                DOOR,
                "{\"model\":\"up/m\",\"max_tokens\":40,\
                 \"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}",
            );
            if answer.status == 200 {
                let id = answer.header("tollgate-request-id").to_owned();
                seen.served.lock().unwrap().push(id);
            }
            answer.status
        });
        statuses.collect::<Vec<_>>() == [402; 3]
    });
    for gateway in gateways {
        // One that ends while it has not found the database again leaves the
        // rest to its next start.
        finds_it(&gateway);
        gateway.stop();
    }

    let spent = "SELECT sum(coalesce(settled, reserved)) FROM tollgate.ledger WHERE quota = 'all'
                 AND EXISTS (SELECT 1 FROM tollgate.records r
                   WHERE r.request_id = ledger.request_id AND outcome <> 'refused')";
    let spent = number(&database, spent);
    let served = seen.served.lock().unwrap();
    assert!(spent <= LIMIT, "{spent}");
    assert!(spent >= served.len() as i64 * TOKENS, "{spent}");
    complete(&database, &homes, &served);

    // Reports of all of it, by whichever replica, are the sums of the parts.
    let again: Vec<Gateway> = homes.iter().map(Home::start).collect();
    let spent = |gateway: &Gateway, home: &Home, replicas: &str| {
        let path = format!("/v1/spend?group_by=day,key&replicas={replicas}");
        let told = gateway.admin_call(home, "GET", &path).json();
        ["calls", "input_tokens", "output_tokens", "failed_calls"]
            .map(|name| told["total"][name].as_i64().unwrap_or_default())
    };
    let each = homes.iter().zip(&again);
    let parts: Vec<_> = each.map(|(home, it)| spent(it, home, "this")).collect();
    let sums = [0, 1, 2, 3].map(|at| parts.iter().map(|part| part[at]).sum::<i64>());
    assert!(sums[0] > 0 && sums[1] > 0, "{sums:?}");
    for (home, gateway) in homes.iter().zip(&again) {
        finds_it(gateway);
        assert_eq!(spent(gateway, home, "all"), sums);
    }
    let admin = format!("http://{}", again[0].admin());
    let arguments = ["spend", "--all-replicas", "--by", "key", "--admin", &admin];
    let (code, out, err) = homes[0].run(&arguments);
    assert!(
        code == 0 && out.contains(&sums[0].to_string()),
        "{out}{err}"
    );
}

/// The database has each call that was answered, and says what the journals
/// say.
fn complete(database: &Server, homes: &[Home], served: &[String]) {
    let ids = database.psql("SELECT encode(request_id, 'hex') FROM tollgate.records");
    let ids: std::collections::HashSet<&str> = ids.lines().collect();
    for id in served {
        let bytes = *RequestId::from_str(id).unwrap().as_bytes();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(ids.contains(&*digits), "{id} was answered");
    }
    let (mut journaled, mut settled) = (0, 0);
    for home in homes {
        let (code, found) = verify(home);
        assert_eq!(code, 0, "{found}");
        assert_eq!(found["database"]["waiting"], 0, "{found}");
        journaled += found["database"]["equal"].as_i64().unwrap();
        let windows = found["windows"].as_array().unwrap();
        settled += windows
            .iter()
            .filter_map(|it| it["settled"].as_i64())
            .sum::<i64>();
    }
    assert_eq!(records(database), journaled);
    let sum = "SELECT sum(greatest(coalesce(settled, reserved), 0)) FROM tollgate.ledger
               WHERE from_us < until_us AND measure <> 'concurrency'";
    assert_eq!(number(database, sum), settled);
}
