//! The primary: disk → capture → uploader → publisher → barrier (who waits for what).
//!
//! One loop, one batch at a time; bodies of sealed segments upload beside it. What to ship is
//! derived at each cut: disk minus manifest. Nothing about progress is kept on the host.

pub mod disk;
