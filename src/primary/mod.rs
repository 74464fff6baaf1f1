//! The primary: disk → capture → uploader → publisher → barrier (who waits for what).
//!
//! One loop, one batch at a time; bodies of sealed segments upload beside it. What to ship is
//! derived at each cut: disk minus manifest. Nothing about progress is kept on the host.
//!
//! | file | idea |
//! |---|---|
//! | `service` | the whole, as the daemon runs it |
//! | `reign`, `note` | who may be primary; what a node remembers of itself |
//! | `materialise`, `likeness` | a takeover puts files in place; how a local file compares |
//! | `pipeline` | the loop: wait, look, cut, publish |
//! | `pace`, `ticks`, `watch` | when to look: what the mount noticed, and what `stat` tells |
//! | `signals`, `mapped` | commits that no call tells of |
//! | `capture`, `witness`, `durable` | plan, read, then sync: only what is durable is cut |
//! | `bodies` | uploads of sealed segments, beside the loop |
//! | `publisher`, `checkpoints`, `outage` | into the store, with patience |
//! | `about` | what replicas should know although no log says it |
//! | `front`, `barrier`, `status` | shared with the mount: who waits for what, how things stand |
//! | `view`, `hooks`, `guard` | the mount: hints, commits that wait, bytes that are kept |
//! | `disk`, `local_disk`, `beneath`, `held`, `own` | the disk, the real one, and walfs's place on it |

mod about;
mod barrier;
mod beneath;
mod bodies;
mod capture;
mod checkpoints;
pub mod disk;
mod durable;
mod front;
mod guard;
mod held;
mod hooks;
mod likeness;
mod local_disk;
mod mapped;
mod materialise;
mod note;
mod outage;
mod own;
mod pace;
mod pipeline;
mod publisher;
mod reign;
mod service;
mod settings;
mod signals;
mod status;
mod ticks;
mod view;
mod watch;
mod witness;

pub use barrier::Barrier;
pub use disk::{Disk, Home, NewFile, Signal};
pub use front::{Account, Front, Leftover};
pub use guard::wanted;
pub use local_disk::{LocalDisk, Writers};
pub use materialise::{Means, Progress, Settle, Tell};
pub use note::Note;
pub use pipeline::{Ended, Parts, Pipeline};
pub use reign::{Applicant, Claim, Reign, StartError, begin};
pub use service::{Primary, Setup};
pub use settings::{BacklogFull, Durability, Settings};
pub use ticks::{Ticks, Touch, Touched};

#[cfg(test)]
mod tests;
