//! The boundary between the engine and a plugin in a file.

#![allow(clippy::unwrap_used)]

mod described;
mod direct;
mod functions;
mod handshake;
mod operators;
mod panics;
mod tables;
mod unloading;

use weir_plugin_abi::host::{Loaded, load};
use weir_test_plugin::{count_input, count_output, file, table_columns};

fn plugin() -> Loaded {
    load(&file()).unwrap()
}
