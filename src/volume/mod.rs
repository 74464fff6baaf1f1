//! The model: what a volume is, as values. Pure: no I/O, no clock, no async.
//!
//! | file | idea |
//! |---|---|
//! | [`ids`] | numbers and names that must not mix |
//! | [`path`] | a path inside the volume, valid by construction |
//! | [`checksum`] | how bytes prove that they are the right ones |
//! | [`edit`] | one step of the volume's history |
//! | [`link`] | what stands in the chain: a batch or a fence |
//! | [`manifest`] | what the volume contains at a position: a fold over edits |
//! | [`frames`] | bodies: compressed frames, each with its checksum |
//! | [`codec`] | links, checkpoints and bodies as bytes |
//! | [`keys`] | how objects are named |

pub mod checksum;
pub mod codec;
pub mod edit;
pub mod frames;
pub mod ids;
pub mod keys;
pub mod link;
pub mod manifest;
pub mod path;

pub use checksum::{Checksum, Digest};
pub use edit::{Edit, Seal, Write};
pub use ids::{
    BatchNumber, Clock, Epoch, NodeId, Position, SegmentId, VolumeId, WallTime, WriterId,
};
pub use link::{Batch, Fence, Link};
pub use manifest::{Content, Extent, File, Manifest};
pub use path::RelPath;
