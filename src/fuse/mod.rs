//! The kernel's side: what a mounted directory must answer ([`filesystem::FileSystem`]), the
//! adapter that speaks to the kernel, and the mirror of a local directory that both roles build on.

pub mod adapter;
pub mod errno;
pub mod filesystem;
pub mod hidden;
pub mod mirror;
pub mod mount;
pub mod status;
