//! Commands and the state as bytes: in the log, between coordinators, in snapshots.
//!
//! A command is a byte with the format and then JSON; whoever stores it adds the checksum. The state stands alone, so it has a
//! first line with the format, the CRC-32 and the length of the rest, as manifests do:
//!
//! ```text
//!   weir-cluster 1 9ae0daaf 5124
//!   {"cluster":…
//! ```

use weir_core::{Error, Result};
use weir_proto::json;

use super::{ClusterState, Command};

/// Version of commands.
const COMMAND_FORMAT: u8 = 1;
/// Version of the state.
const STATE_FORMAT: u32 = 1;
const MAGIC: &str = "weir-cluster";

impl Command {
    /// As it stands in the log.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = match self {
            // There is a dataflow in it.
            Command::SubmitJob { .. } => json::encode_deep(self),
            _ => json::encode(self),
        };
        [&[COMMAND_FORMAT], &body[..]].concat()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// A data error if it is not a command, a user error if a later version of Weir wrote it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            None => Err(Error::data("a command of the log is empty")),
            Some((format, _)) if *format > COMMAND_FORMAT => Err(later("a command of the log", u32::from(*format))),
            Some((0, _)) => Err(Error::data("a command of the log is damaged: it has format 0")),
            Some((_, body)) => json::decode(body, "its content").map_err(|error| {
                Error::data("a command of the log is damaged: it is not what it should be").with_source(error)
            }),
        }
    }
}

impl ClusterState {
    /// As it stands in a snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = json::encode_deep(self);
        let mut bytes = first_line(&body).into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made. `name` is how errors call it.
    ///
    /// # Errors
    /// A data error if a byte has changed, a user error if a later version of Weir wrote it.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let damaged = |what: &str| Error::data(format!("the cluster's state {name} is damaged: {what}"));
        let line = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no first line"))?;
        let (line, body) = bytes.split_at(line + 1);
        if line != first_line(body).as_bytes() {
            // A later format may look different behind its number, so that comes first.
            return Err(match format_of(line) {
                Some(format) if format > STATE_FORMAT => later(&format!("the cluster's state {name}"), format),
                _ => damaged("the checksum in its first line does not match what follows"),
            });
        }
        json::decode(body, "its content").map_err(|error| damaged("it is not what it should be").with_source(error))
    }
}

fn first_line(body: &[u8]) -> String {
    format!("{MAGIC} {STATE_FORMAT} {:08x} {}\n", crc32fast::hash(body), body.len())
}

fn format_of(line: &[u8]) -> Option<u32> {
    std::str::from_utf8(line).ok()?.strip_prefix(MAGIC)?.split_whitespace().next()?.parse().ok()
}

fn later(what: &str, format: u32) -> Error {
    Error::user(format!("{what} has format {format}, which this version of Weir cannot read"))
        .with_help("run this coordinator with the version of Weir that wrote it, or a later one")
}
