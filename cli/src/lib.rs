//! What the `weir` binary is made of and others run too: one job in one process.

pub mod blocking;
pub mod clock;
pub mod job;
pub mod leftovers;
pub mod random;
pub mod test_file;
