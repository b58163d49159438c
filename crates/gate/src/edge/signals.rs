//! Signals of the process: SIGTERM and SIGINT leave, the second one ends at
//! once; SIGHUP asks for a reload.
//!
//! Deliberately not here: what a reload reads, and how the edge leaves.

use std::io;
use std::thread::JoinHandle;

use tokio::signal::unix::{SignalKind, signal};

use super::control::{Control, Phase};

/// Listens to signals on a thread of its own until the edge was cut or the
/// process ends. `on_hangup` runs on that thread at each SIGHUP.
///
/// # Errors
/// When the thread or the handlers cannot be set up; they are, once this
/// returns.
pub(crate) fn watch(
    control: Control,
    mut on_hangup: impl FnMut() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut terminate, mut interrupt, mut hangup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        )
    };
    let listen = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => leave_or_cut(&control),
                _ = interrupt.recv() => leave_or_cut(&control),
                _ = hangup.recv() => on_hangup(),
                () = control.reached(Phase::Cut) => break,
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(listen))
}

fn leave_or_cut(control: &Control) {
    if control.phase() == Phase::Serving {
        control.leave();
    } else {
        control.cut();
    }
}
