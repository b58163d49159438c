//! The testbed: what the gateway is proved and measured against.
//!
//! `upstream` plays the vendors, strictly and deterministically; `load` sends load and measures;
//! `bench` puts both around a proxy; `issuer` plays an identity provider. Deliberately not here: any
//! crate of the gateway. The testbed reads and writes the wire formats on its own, so that a
//! misreading in the gateway cannot confirm itself.

#![expect(
    clippy::disallowed_methods,
    reason = "the testbed is a peer of the gateway: it owns sockets, clocks and tasks"
)]

pub mod bench;
mod http1;
pub mod issuer;
pub mod load;
pub mod upstream;
