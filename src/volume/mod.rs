//! The model: what a volume is, as values. Pure: no I/O, no clock, no async.
//!
//! | file | idea |
//! |---|---|
//! | [`ids`] | numbers and names that must not mix |
//! | [`path`] | a path inside the volume, valid by construction |
//! | [`checksum`] | how bytes prove that they are the right ones |
//! | [`edit`] | one step of the volume's history |
//! | [`link`] | what stands in the chain: a batch or a fence |
//! | [`manifest`] | what the volume contains at a position |
//! | [`extents`] | which ranges of an open file were written, and by which batches |
//! | [`fold`] | how a link changes a manifest: all of it or nothing |
//! | [`frames`] | bodies: compressed frames, each with its checksum |
//! | [`codec`] | links, checkpoints and bodies as bytes |
//! | [`info`] | what stands in the `volume` object |
//! | [`about`] | what replicas should know although no log says it |
//! | [`keys`] | how objects are named |

pub mod about;
pub mod checksum;
pub mod codec;
pub mod edit;
pub mod extents;
pub mod fold;
pub mod frames;
pub mod ids;
pub mod info;
pub mod keys;
pub mod link;
pub mod manifest;
pub mod path;

pub use about::{About, LeftOut};
pub use checksum::{Checksum, Digest};
pub use edit::{Edit, Seal, Write};
pub use extents::{Block, Extent, Extents};
pub use ids::{
    BatchNumber, Clock, Epoch, NodeId, Position, SegmentId, VolumeId, WallTime, WriterId,
};
pub use info::VolumeInfo;
pub use link::{Batch, Fence, Link};
pub use manifest::{Content, File, Manifest, Node};
pub use path::RelPath;
