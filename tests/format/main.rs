//! The on-store format: old objects open for ever, damage is refused, forgery does no harm.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod damage;
mod fixtures;
mod properties;
mod values;
