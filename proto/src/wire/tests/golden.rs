//! `tests/golden` holds what this version's predecessors wrote. A file is written once and never again: if a test here fails,
//! the change breaks whoever is one version behind.

use std::fmt::Debug;
use std::path::PathBuf;

use super::{decode_error, decode_request, decode_response, encode_error, encode_request, encode_response, samples};
use crate::{decode_from_worker, decode_to_worker, encode_from_worker, encode_to_worker};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// All files: name, bytes that would be written today, the value that was meant, and what is made of bytes.
type Golden = (String, Vec<u8>, String, Box<dyn Fn(&[u8]) -> String>);

fn shown<T: Debug>(value: &T) -> String {
    format!("{value:#?}")
}

fn all() -> Vec<Golden> {
    let mut all: Vec<Golden> = Vec::new();
    for (name, rpc, request) in samples::requests() {
        let read = move |bytes: &[u8]| shown(&decode_request(rpc, bytes).unwrap());
        all.push((format!("request-{name}.bin"), encode_request(&request), shown(&request), Box::new(read)));
    }
    for (name, rpc, response) in samples::responses() {
        let read = move |bytes: &[u8]| shown(&decode_response(rpc, bytes).unwrap());
        let meant = shown(&response);
        all.push((format!("response-{name}.bin"), encode_response(rpc, response), meant, Box::new(read)));
    }
    for (name, message) in samples::from_worker() {
        let read = |bytes: &[u8]| shown(&decode_from_worker(bytes).unwrap());
        all.push((format!("from-worker-{name}.bin"), encode_from_worker(&message), shown(&message), Box::new(read)));
    }
    for (name, message) in samples::to_worker() {
        let read = |bytes: &[u8]| shown(&decode_to_worker(bytes).unwrap());
        all.push((format!("to-worker-{name}.bin"), encode_to_worker(&message), shown(&message), Box::new(read)));
    }
    let (error, read) = (samples::error(), |bytes: &[u8]| shown(&decode_error(bytes).unwrap()));
    all.push(("error.bin".into(), encode_error(&error), shown(&error), Box::new(read)));
    all
}

#[test]
fn what_was_written_is_still_understood() {
    for (name, _, meant, read) in all() {
        let bytes = std::fs::read(path(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}; a new message gets its file from the ignored test below"));
        assert_eq!(read(&bytes), meant, "{name}");
    }
}

#[test]
fn no_file_is_left_without_a_message() {
    let known: Vec<String> = all().into_iter().map(|(name, ..)| name).collect();
    for entry in std::fs::read_dir(path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
#[ignore = "writes files of messages that have none yet"]
fn write_missing_files() {
    for (name, bytes, ..) in all() {
        if !path(&name).exists() {
            std::fs::write(path(&name), bytes).unwrap();
        }
    }
}
