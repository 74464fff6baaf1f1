//! A few threads that wait for the disk, so that the threads which read the kernel's requests
//! stay free. Measured: with four writers on their own files it is worth more than more readers.

use std::io;
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
}

impl SyncPool {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = bounded(QUEUE_MAX);
        for number in 0..THREADS {
            let queue: Receiver<Job> = queue.clone();
            let work = move || queue.iter().for_each(|job| job());
            thread::Builder::new().name(format!("walfs-fsync-{number}")).spawn(work)?;
        }
        Ok(Self { jobs })
    }

    /// Does this soon, on one of the threads or right here.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job(),
        }
    }
}
