//! Room `transport`: the real implementations of the seams `Wire`, `Clock`
//! and `Dice`. Outbound HTTP/1.1 and HTTP/2, TLS, proxies, name resolution,
//! connection pools and their deadlines.
//!
//! HTTP/1.1 is spoken by the request's own future: there is no task for each
//! connection and no buffer behind an idle or silent one. HTTP/2 has one task
//! for each connection.
//!
//! Deliberately not here: retries by policy, health, circuit breaking and
//! anything that knows what a request means. The only retry is of a request
//! of which no byte left this process, or which the peer declared unprocessed.

#![expect(
    clippy::disallowed_methods,
    reason = "this room owns the real clock and the tasks of its connections"
)]

mod clock;
mod connect;
mod dice;
mod dns;
mod fault;
mod h1;
mod h2conn;
mod options;
mod pool;
mod stream;
mod tls;
mod wire;

pub use clock::RealClock;
pub use dice::RealDice;
pub use options::WireOptions;
pub use wire::{HttpWire, PoolStats, WireStats};
