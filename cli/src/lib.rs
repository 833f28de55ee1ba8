//! What the `weir` binary is made of and tests of it use too.

pub mod test_file;
