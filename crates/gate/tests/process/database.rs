//! Gateways and the database that they share: real processes, a real server.

use crate::gateway::Home;
use crate::postgres::Server;
use crate::until;
use crate::upstream::Upstream;

fn config(upstream: &Upstream, server: &Server) -> String {
    upstream.config(&format!("database: {{url: '{}'}}\n", server.url()))
}

#[test]
fn a_gateway_starts_and_serves_whether_its_database_is_there_or_not() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let upstream = Upstream::good();
    let home = Home::with(&config(&upstream, &server));
    server.kill();
    let gateway = home.start();
    gateway.hears("the database cannot be used");
    assert_eq!(gateway.chat("up/m").status, 200);
    assert!(gateway.metric("tollgate_database_up") < 0.5);

    server.start_again();
    gateway.hears("the database answers again");
    until("it is up", || gateway.metric("tollgate_database_up") > 0.5);
    assert_eq!(server.psql("SELECT count(*) > 0 FROM tollgate.steps"), "t");

    // Slow is as good as dead.
    server.freeze(true);
    until("it is down", || {
        gateway.metric("tollgate_database_up") < 0.5
    });
    assert_eq!(gateway.chat("up/m").status, 200);
    server.freeze(false);
    until("it is up", || gateway.metric("tollgate_database_up") > 0.5);
    gateway.stop();
}
