//! Waits for the disk without keeping all the threads that read the kernel's requests from it. One
//! sync at a time is done by the reader itself: for a single log stream, handing it over would cost
//! more than it frees. Whatever comes meanwhile goes to a few threads of our own.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

const THREADS: usize = 4;
/// Jobs that wait for a thread. Beyond it the caller does the job itself.
const QUEUE_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// The threads end when this is dropped and their jobs are done.
#[derive(Debug)]
pub(super) struct SyncPool {
    jobs: Sender<Job>,
    /// A caller does its job itself.
    occupied: AtomicBool,
}

impl SyncPool {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = bounded(QUEUE_MAX);
        for number in 0..THREADS {
            let queue: Receiver<Job> = queue.clone();
            let work = move || queue.iter().for_each(|job| job());
            thread::Builder::new().name(format!("walfs-fsync-{number}")).spawn(work)?;
        }
        Ok(Self { jobs, occupied: AtomicBool::new(false) })
    }

    /// Does this right here, or soon on one of the threads.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        if !self.occupied.swap(true, Ordering::Acquire) {
            job();
            self.occupied.store(false, Ordering::Release);
            return;
        }
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job(),
        }
    }
}
