//! The replica: follower → view → cache ← fetcher, and the union of the view with the directory
//! beneath the mount.
//!
//! | file | idea |
//! |---|---|
//! | [`start`] | a replica as a whole |
//! | [`settings`] | what an operator may choose |
//! | [`follower`] | the loop: asks for the next link, shows it, tells the kernel |
//! | [`polling`], `curve` | when to ask for the next link, and what lag and budget make of that |
//! | [`health`] | how it is doing |
//! | [`view`] | what is shown, as one value that is swapped whole |
//! | [`shown`] | the present view, and how a link changes it |
//! | [`reading`] | the bytes of a file of the view |
//! | [`tails`] | what a batch means to the cache |
//! | [`cache`] | bytes that are here already |
//! | [`fetch`] | brings bytes from the store into the cache |
//! | [`flights`] | one flight per thing |
//! | [`delivery`] | a database's server on this host takes in what is shown |
//! | [`union`] | the mount: the view over the writable directory beneath |
//! | [`handover`] | a database that was delivered to becomes a primary's |
//! | [`removed`] | names from the store that the local database removed |

pub mod cache;
mod curve;
pub mod delivery;
pub mod fetch;
pub mod flights;
pub mod follower;
pub mod handover;
pub mod health;
pub mod polling;
pub mod reading;
pub mod removed;
pub mod settings;
pub mod shown;
pub mod start;
pub mod tails;
pub mod union;
pub mod view;

#[cfg(test)]
mod lab;
#[cfg(test)]
mod tests;

pub use handover::Handover;
pub use settings::{Access, Settings};
pub use start::{Parts, Replica, StartError};
