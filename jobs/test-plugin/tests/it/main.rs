//! The boundary between the engine and a plugin in a file.

#![allow(clippy::unwrap_used)]

mod described;
mod functions;
mod handshake;
mod operators;
mod panics;
mod tables;
mod unloading;

use weir_core::Operator;
use weir_core::plugin::{OperatorRequest, Plugin};
use weir_plugin_abi::host::{Loaded, load};
use weir_test_plugin::{count_input, count_output, file};

fn plugin() -> Loaded {
    load(&file()).unwrap()
}

fn count(plugin: &Loaded, fault: &str) -> Box<dyn Operator> {
    let request = OperatorRequest {
        operator: "count".into(),
        config: fault.as_bytes().to_vec(),
        inputs: vec![count_input()],
        keys: vec![Some(vec![0])],
        output: count_output(),
        side_outputs: vec![count_input()],
    };
    plugin.operator(&request).unwrap()
}
