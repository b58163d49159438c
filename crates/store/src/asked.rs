//! What a thread of a store will answer: asked without waiting, awaited by
//! whoever wants to know. It is told exactly once, also where the thread is
//! gone or has too much to do.
//!
//! Deliberately not here: the thread, and what is asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An error that says that nobody looked.
pub trait Unasked {
    /// The store has too much to do.
    fn busy() -> Self;
}

struct Slot<T, E> {
    found: Option<Result<T, E>>,
    waker: Option<Waker>,
}

fn locked<T, E>(slot: &Mutex<Slot<T, E>>) -> MutexGuard<'_, Slot<T, E>> {
    // Nothing that can panic runs under this lock.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two ends of a question.
pub(crate) fn question<T, E: Unasked>() -> (Teller<T, E>, Asked<T, E>) {
    let slot = Arc::new(Mutex::new(Slot {
        found: None,
        waker: None,
    }));
    (Teller(slot.clone()), Asked(slot))
}

/// Tells what was found, or that nobody looked.
pub(crate) struct Teller<T, E: Unasked>(Arc<Mutex<Slot<T, E>>>);

impl<T, E: Unasked> Teller<T, E> {
    pub(crate) fn tell(&self, found: Result<T, E>) {
        let waker = {
            let mut slot = locked(&self.0);
            slot.found.get_or_insert(found);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T, E: Unasked> Drop for Teller<T, E> {
    fn drop(&mut self) {
        // Changes nothing where the answer was told.
        self.tell(Err(E::busy()));
    }
}

/// What a store will answer. It is asked whether anybody waits for the answer
/// or not.
#[must_use = "the answer is not there before it is awaited"]
pub struct Asked<T, E>(Arc<Mutex<Slot<T, E>>>);

impl<T, E> Future for Asked<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = locked(&self.0);
        match slot.found.take() {
            Some(found) => Poll::Ready(found),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
