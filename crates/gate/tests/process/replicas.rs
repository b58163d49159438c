//! Two gateways that share a budget in a real server, which dies and comes
//! back empty.

use crate::gateway::{Gateway, Home};
use crate::until;
use crate::upstream::Upstream;
use crate::valkey::Server;

const CALLS: usize = 20;

fn replica(upstream: &Upstream, server: &Server) -> (Home, Gateway) {
    let home = Home::with(&upstream.config(&format!(
        "budgets: [{{name: calls, measure: requests, limit: '{CALLS}', window: forever}}]\n\
         counters: {{backend: valkey, url: '{}', lease: 1s, deadline: 200ms}}\n",
        server.url()
    )));
    let gateway = home.start();
    (home, gateway)
}

fn status(gateway: &Gateway) -> u16 {
    gateway.chat("up/m").status
}

#[test]
fn replicas_share_a_budget_over_the_death_of_its_server() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let upstream = Upstream::good();
    let (_home, first) = replica(&upstream, &server);
    let (_other_home, second) = replica(&upstream, &server);
    let both = [&first, &second];
    let mut let_in = 0;
    let spend = |let_in: &mut usize| {
        let statuses = both.map(status);
        *let_in += statuses.iter().filter(|status| **status == 200).count();
        statuses
    };
    until("half of the budget is spent", || {
        spend(&mut let_in);
        let_in >= CALLS / 2
    });
    for gateway in both {
        assert!(gateway.metric("tollgate_counters_up") > 0.5);
        let of = |name: &str| gateway.metric(&format!("{name}{{measure=\"requests\"}}"));
        let outstanding = of("tollgate_counter_lease_outstanding");
        assert!(outstanding <= of("tollgate_counter_lease_bound"));
    }

    // Without its server nothing is let in that is not leased.
    server.kill();
    until("calls are refused with 503", || {
        spend(&mut let_in) == [503, 503]
    });
    assert!(let_in < CALLS, "{let_in}");
    assert!(first.metric("tollgate_counters_up") < 0.5);

    // It comes back empty, and is told what was spent.
    server.start_again();
    until("all is spent", || {
        spend(&mut let_in);
        let_in >= CALLS
    });
    until("both say so", || spend(&mut let_in) == [402, 402]);
    assert_eq!(let_in, CALLS);

    // Slow is as good as dead: nobody waits for longer than the deadline.
    server.freeze(true);
    until("it is given up", || spend(&mut let_in) == [503, 503]);
    server.freeze(false);
    until("it answers again", || spend(&mut let_in) == [402, 402]);
    assert_eq!(let_in, CALLS);
}
