//! The kernel's side: what a mounted directory must answer ([`filesystem::FileSystem`]), the
//! adapter that speaks to the kernel, and the mirror of a local directory that both roles build on.
//! What must outlive the process that serves a mount is its [`estate`].

pub mod adapter;
pub mod errno;
pub mod estate;
pub mod file_handle;
pub mod filesystem;
pub mod hidden;
pub mod mirror;
pub mod mount;
mod privileges;
pub mod status;
