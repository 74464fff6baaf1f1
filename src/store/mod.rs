//! Object storage in few verbs.
//!
//! | file | idea |
//! |---|---|
//! | `connect` | URL to client; the only file that names a cloud |
//! | `objects` | get, create, put, list, delete of one volume's objects, retried and metered |
//! | `retry` | our deadlines and back-off; the clients' own retries are off |
//! | `meter` | requests and bytes by kind |
//! | `chain` | the links: append with read-back, catch-up in parallel, the election |
//! | `body` | segment bodies: upload frame by frame, fetch of ranges |
//! | `volume` | the `volume` object: created once, checked at each mount |
//!
//! An error is not an answer: what a failed create means is decided here, by reading the object
//! back, and nowhere else.

pub mod body;
pub mod chain;
pub mod objects;

pub use chain::{Appended, Chain};
pub use objects::{Created, Store, StoreError};
