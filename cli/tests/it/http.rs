//! What processes answer over HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// Status and text of an answer; status 0 if nobody answers.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(address) else { return (0, String::new()) };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    if stream.read_to_string(&mut answer).is_err() {
        return (0, String::new());
    }
    let Some((head, text)) = answer.split_once("\r\n\r\n") else { return (0, String::new()) };
    (head.split(' ').nth(1).unwrap().parse().unwrap(), text.to_owned())
}

/// Whether a process is ready, and the codes of the reasons why not.
pub fn readiness(address: &str) -> Option<(bool, Vec<String>)> {
    let (_, text) = get(address, "/health/ready");
    let readiness: Value = serde_json::from_str(&text).ok()?;
    let codes = readiness["reasons"].as_array()?.iter().map(|reason| reason["code"].as_str().unwrap().to_owned());
    Some((readiness["ready"].as_bool()?, codes.collect()))
}

/// Samples by name and labels as they stand in the text.
pub fn samples(address: &str) -> BTreeMap<String, f64> {
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// Names of the metrics that have samples, as they are declared.
pub fn families(address: &str) -> Vec<String> {
    let (_, text) = get(address, "/metrics");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let name = |line: &str| {
        let (name, kind) = line.split_once(' ').unwrap();
        if kind == "counter" { format!("{name}_total") } else { name.to_owned() }
    };
    types.map(name).collect()
}
