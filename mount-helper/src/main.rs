//! What mount(8) runs for `mount -t walfs`.
fn main() {}
