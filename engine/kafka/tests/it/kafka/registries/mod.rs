//! Formats with schemas in a real registry, read and written by others on the other side.
//! `tests/services/kafka run tests/services/registry run cargo test --workspace --test it kafka::registries:: -- --ignored`
#![allow(clippy::disallowed_methods, reason = "the addresses of the services are in the environment")]

mod avro;
mod protobuf;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

fn registry() -> String {
    std::env::var("WEIR_TEST_REGISTRY").expect("see tests/services/registry")
}

/// What a program prints, as JSON.
fn python(program: &str, input: &Value) -> Value {
    let python = std::env::var("WEIR_TEST_PYTHON").expect("see tests/services/registry");
    let mut child =
        Command::new(python).args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect()
}
