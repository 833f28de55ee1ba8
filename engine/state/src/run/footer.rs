//! What the footer of a run says of its blocks.
//!
//! It is the one entry of metadata that a run has: Arrow's writer puts entries in a random order, and the same rows have to give
//! the same bytes.

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::root_as_footer;
use serde::{Deserialize, Serialize};
use weir_core::{HashRange, TableSchema};

/// Key of the entry.
pub(crate) const KEY: &str = "weir.run";
/// What Arrow writes behind the footer: its length and `ARROW1`.
const TRAILER: usize = 10;

/// One record batch of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Number of rows, deletions included.
    pub(crate) rows: u64,
    /// Smallest hash.
    pub(crate) first_hash: u64,
    /// Greatest hash.
    pub(crate) last_hash: u64,
    /// Smallest time, in milliseconds; `None` if a row has none.
    pub(crate) first_time: Option<i64>,
    /// Greatest time, in milliseconds; `None` if a row has none, so that the block never expires as a whole.
    pub(crate) last_time: Option<i64>,
    /// First byte of the block in the run.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
    /// CRC-32 of these bytes.
    pub(crate) crc32: u32,
}

impl Block {
    /// Hashes of its rows, and what lies between them.
    pub(crate) fn hashes(&self) -> HashRange {
        HashRange { first: self.first_hash, last: self.last_hash }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    table: &'a str,
    version: u32,
    key_columns: usize,
    blocks: &'a [Block],
}

/// What a reader of state needs of the entry; the rest is for people.
#[derive(Deserialize)]
struct Read {
    blocks: Vec<Block>,
}

/// The entry of a run of `table`.
pub(crate) fn entry(table: &TableSchema, blocks: &[Block]) -> serde_json::Result<String> {
    let TableSchema { name, version, key_columns, .. } = table;
    serde_json::to_string(&Written { table: name, version: *version, key_columns: *key_columns, blocks })
}

/// The columns of a run, and its blocks, as they stand in its footer; `bytes` end with the run.
pub(crate) fn read(bytes: &[u8]) -> Result<(Schema, Vec<Block>), ArrowError> {
    let invalid = |what: &str| ArrowError::IpcError(what.to_owned());
    let end = bytes.len().checked_sub(TRAILER).ok_or_else(|| invalid("the footer is cut off"))?;
    let length = bytes[end..].first_chunk().map(|length| i32::from_le_bytes(*length));
    let start = length.and_then(|length| end.checked_sub(usize::try_from(length).ok()?));
    let start = start.ok_or_else(|| invalid("the footer's length makes no sense"))?;
    let footer = root_as_footer(&bytes[start..end]).map_err(|error| invalid(&error.to_string()))?;
    let entry = footer.custom_metadata().and_then(|entries| entries.iter().find(|entry| entry.key() == Some(KEY)));
    let entry = entry.and_then(|entry| entry.value()).ok_or_else(|| invalid("the footer has no index of blocks"))?;
    let read: Read = serde_json::from_str(entry).map_err(|error| invalid(&error.to_string()))?;
    let schema = footer.schema().ok_or_else(|| invalid("the footer has no schema"))?;
    Ok((fb_to_schema(schema), read.blocks))
}
