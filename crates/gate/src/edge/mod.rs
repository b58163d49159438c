//! The edge: how calls come in. Listeners, TLS, strict framing, HTTP/1.1 and
//! HTTP/2, bodies, drain and hand-over.
//!
//! Deliberately not here: what a call means. The edge knows one seam,
//! [`Door`](serve::Door), and everything behind it belongs to other rooms.

mod accept;
pub(crate) mod body;
pub(crate) mod conn;
pub(crate) mod control;
pub(crate) mod framing;
pub(crate) mod handover;
pub(crate) mod listen;
pub(crate) mod serve;
pub(crate) mod signals;
mod strict_io;
pub(crate) mod tls;
pub(crate) mod warden;
pub(crate) mod workers;

#[cfg(test)]
mod tests;
