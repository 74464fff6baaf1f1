//! Object storage in few verbs.
//!
//! | file | idea |
//! |---|---|
//! | [`mod@connect`] | URL to client; the only folder that names a cloud |
//! | `directory` | objects as files below one directory, if it is still the same |
//! | `hdfs` | objects as files of HDFS |
//! | [`objects`] | get, create, put, list, delete of one volume's objects, retried and metered |
//! | `answers` | what a client's error means |
//! | [`retry`] | our deadlines and back-off; the clients' own retries are off |
//! | [`meter`] | requests and bytes by kind |
//! | [`aims`], [`steering`] | lag and budget that were asked for, and the waits that follow |
//! | [`chain`] | the links: append with read-back, catch-up in parallel |
//! | [`checkpoints`] | whole manifests: where a reader of the chain begins |
//! | [`election`] | the fence that makes a node the primary |
//! | [`body`] | segment bodies: upload frame by frame, fetch of ranges |
//! | [`doctor`] | whether a store keeps what is promised of stores, and how fast it is |
//! | [`leftovers`] | what dead writers left unfinished, and which of it may go |
//! | [`volume`] | the `volume` object: created once, checked at each mount |
//! | [`contents`] | the bytes of a whole file, in order |
//! | [`faulty`], [`weather`] | for tests: a store with every fault that real ones have |
//! | `lab` | the same behind a URL: `sim+file:///…?put=65ms,300ms` |
//!
//! An error is not an answer: what a failed create means is decided here, by reading the object
//! back, and nowhere else.

pub mod aims;
mod answers;
pub mod body;
pub mod chain;
pub mod checkpoints;
pub mod connect;
pub mod contents;
mod directory;
pub mod doctor;
pub mod election;
pub mod faulty;
mod hdfs;
mod lab;
pub mod leftovers;
pub mod meter;
pub mod objects;
pub mod retry;
pub mod steering;
pub mod volume;
pub mod weather;

pub use aims::{Aims, Budget, Side};
pub use body::{Source, Uploaded, fetch_frames, upload};
pub use chain::{Appended, Chain};
pub use connect::{Place, connect};
pub use election::{Candidate, Claimed};
pub use objects::{Created, Store, StoreError};
pub use retry::Patience;
pub use steering::Steering;
pub use volume::{check_layout, create_volume, find_volume};
