//! The cases: one file per concern, one test per claim.

mod alone;
