//! A thread that asks a store of approvals on behalf of calls, so that none of
//! them waits for the disk in the thread that serves others as well.
//!
//! Deliberately not here: what is asked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::{ApprovalRow, Approvals, ApprovalsError};
use crate::asked::{Unasked, question};

/// What a store of approvals will answer.
pub type Asked<T> = crate::asked::Asked<T, ApprovalsError>;

impl Unasked for ApprovalsError {
    fn busy() -> Self {
        Self::Busy
    }
}

/// Most questions that wait for the store.
const QUEUED_MAX: usize = 1_024;
/// Most calls that wait for people at the same time.
const WAITERS_MAX: usize = 256;

type Job = Box<dyn FnOnce(&dyn Approvals) + Send>;

/// The way of calls to the store of approvals; clones share it.
#[derive(Clone)]
pub struct ApprovalLane {
    store: Arc<dyn Approvals>,
    jobs: SyncSender<Job>,
    waiters: Arc<AtomicUsize>,
}

/// A place among the calls that wait for people.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl ApprovalLane {
    /// The way to this store. Its thread ends with the last clone.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(store: Arc<dyn Approvals>) -> io::Result<Self> {
        let (jobs, next) = sync_channel::<Job>(QUEUED_MAX);
        let served = store.clone();
        std::thread::Builder::new()
            .name("approvals".to_owned())
            .spawn(move || {
                while let Ok(job) = next.recv() {
                    job(&*served);
                }
            })?;
        Ok(Self {
            store,
            jobs,
            waiters: Arc::default(),
        })
    }

    /// The store itself, for those who may wait for the disk.
    pub fn store(&self) -> &Arc<dyn Approvals> {
        &self.store
    }

    /// A place among the calls that wait for people; none where too many do.
    pub fn seat(&self) -> Option<Seat> {
        let taken = self.waiters.fetch_add(1, Relaxed);
        let seat = Seat(self.waiters.clone());
        (taken < WAITERS_MAX).then_some(seat)
    }

    /// Keeps a question.
    pub fn ask(&self, row: ApprovalRow) -> Asked<ApprovalRow> {
        self.run(move |store| store.ask(&row))
    }

    /// Finds an approval.
    pub fn find(&self, id: String) -> Asked<Option<ApprovalRow>> {
        self.run(move |store| store.find(&id))
    }

    /// Uses an approval for the call with the id `by`.
    pub fn spend(&self, id: String, by: String, now_us: u64) -> Asked<bool> {
        self.run(move |store| store.spend(&id, &by, now_us))
    }

    fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Approvals) -> Result<T, ApprovalsError> + Send + 'static,
    ) -> Asked<T> {
        let (teller, asked) = question();
        let job: Job = Box::new(move |store| {
            let found = act(store);
            teller.tell(found);
        });
        // A job that is not taken is dropped, and its teller says so.
        drop(self.jobs.try_send(job));
        asked
    }
}
