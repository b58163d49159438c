//! Hearing what other replicas push, over a connection of its own.
//!
//! Pushes are lost while the connection is; so whoever listens is told of
//! every beginning, and looks for itself what it missed.

use std::time::Duration;

use tokio::sync::oneshot;

use super::carry::Shared;
use super::link::Link;

/// Time between two looks whether a silent connection still is one, and the
/// longest wait for its answer.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Time between two attempts to connect, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Everything from now on will be heard; what was pushed before may have
    /// been missed.
    Began,
    /// A push.
    Note {
        /// The channel, by the name it was asked for.
        channel: &'a str,
        /// What was pushed.
        payload: &'a str,
    },
}

/// Listens for as long as it is held.
#[derive(Debug)]
pub struct Listening {
    _stop: oneshot::Sender<()>,
}

impl Listening {
    pub(super) fn new(stop: oneshot::Sender<()>) -> Self {
        Self { _stop: stop }
    }
}

/// The channel of a schema: channels are of a whole database.
pub(super) fn channel(schema: &str, name: &str) -> String {
    format!("{schema}.{name}")
}

/// Somebody who listens.
pub(super) struct Listener {
    schema: String,
    channels: Vec<String>,
    heard: Box<dyn FnMut(Heard<'_>) + Send>,
    stopped: oneshot::Receiver<()>,
}

impl Listener {
    pub(super) fn new(
        schema: &str,
        channels: &[&str],
        heard: impl FnMut(Heard<'_>) + Send + 'static,
        stopped: oneshot::Receiver<()>,
    ) -> Self {
        Self {
            schema: schema.to_owned(),
            channels: channels.iter().map(|it| (*it).to_owned()).collect(),
            heard: Box::new(heard),
            stopped,
        }
    }

    /// Listens until it is stopped.
    pub(super) async fn run(mut self, shared: &Shared) {
        let mut again = AGAIN.0;
        loop {
            tokio::select! {
                _ = &mut self.stopped => return,
                heard_some = Self::hear(
                    (&self.schema, &self.channels), &mut self.heard, shared,
                ) => if heard_some {
                    again = AGAIN.0;
                },
            }
            shared.doubt("the connection for pushes was lost");
            tokio::select! {
                _ = &mut self.stopped => return,
                () = tokio::time::sleep(again) => {}
            }
            again = (again * 2).min(AGAIN.1);
        }
    }

    /// One connection, until it is lost; whether it began.
    async fn hear(
        (schema, channels): (&str, &[String]),
        heard: &mut (dyn FnMut(Heard<'_>) + Send),
        shared: &Shared,
    ) -> bool {
        let (to, mut notes) = Link::notes();
        let opened = tokio::time::timeout(LOOK_EVERY, shared.open(Some(to))).await;
        let Ok(Ok(link)) = opened else {
            return false;
        };
        let wanted: String = channels
            .iter()
            .map(|name| format!("LISTEN \"{}\";", channel(schema, name)))
            .collect();
        let listens = tokio::time::timeout(LOOK_EVERY, link.client.batch_execute(&wanted)).await;
        if !matches!(listens, Ok(Ok(()))) {
            return false;
        }
        heard(Heard::Began);
        loop {
            match tokio::time::timeout(LOOK_EVERY, notes.recv()).await {
                Ok(Some(note)) => {
                    let name = note.channel().strip_prefix(schema);
                    let name = name.and_then(|it| it.strip_prefix('.'));
                    heard(Heard::Note {
                        channel: name.unwrap_or(note.channel()),
                        payload: note.payload(),
                    });
                }
                Ok(None) => return true,
                Err(_) => {
                    let answer = link.client.batch_execute("");
                    let answer = tokio::time::timeout(LOOK_EVERY, answer).await;
                    if !matches!(answer, Ok(Ok(()))) {
                        return true;
                    }
                }
            }
        }
    }
}
