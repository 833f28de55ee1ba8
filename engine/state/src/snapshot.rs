//! From what operators captured to the files of a checkpoint.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use weir_core::{Capture, Error, EventTime, OperatorUid, Result, StateRows, TableSchema, state_column};

use crate::newest::{check, newest};
use crate::pieces::Pieces;
use crate::run::{RunWriter, Survivors};
use crate::{ObjectWriter, Run, Storage};

/// Runs below this size share one object, so that a checkpoint writes a few objects and not one per table.
/// Small in this crate's tests, so that they see both kinds.
const SHARED_BELOW: usize = if cfg!(test) { 4096 } else { 256 * 1024 };
/// Runs in a shared object begin at multiples of this, as Arrow wants its buffers.
const ALIGNMENT: usize = 64;

/// What the subtasks of one process captured of one table.
pub struct CapturedTable {
    /// The operator.
    pub uid: OperatorUid,
    /// The least watermark that its subtasks had seen.
    pub watermark: EventTime,
    /// The table.
    pub schema: TableSchema,
    /// Captures, oldest first: those of checkpoints that failed since the last completed one, then this one's. All
    /// subtasks' captures of one epoch say the same of what has expired, since they have seen the same watermarks.
    pub capture: Vec<Capture>,
}

/// Files to be put into the storage, and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Path and content of each object.
    pub files: Vec<(String, Vec<u8>)>,
    /// What changed, per operator, in the order in which the operators first came.
    pub operators: Vec<OperatorDelta>,
}

/// What changed in an operator's state since the last completed checkpoint. It is reported when the files are durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorDelta {
    /// The operator.
    pub uid: OperatorUid,
    /// The least watermark that its subtasks had seen.
    pub watermark: EventTime,
    /// Its tables.
    pub tables: Vec<TableDelta>,
}

/// What changed in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDelta {
    /// The table.
    pub schema: TableSchema,
    /// New runs, oldest first; none if no row was put or deleted.
    pub runs: Vec<Run>,
    /// All rows with a time up to this one are gone.
    pub expired: Option<EventTime>,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What changed, per operator, in the order in which the operators first came.
    pub operators: Vec<OperatorDelta>,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Encodes what was captured and holds it. `prefix` is the beginning of the files' paths
/// ([`layout::runs_prefix`](crate::layout::runs_prefix)).
///
/// # Errors
/// Those of [`store`].
pub fn encode(tables: Vec<CapturedTable>, prefix: &str) -> Result<Snapshot> {
    let storage = crate::MemoryStorage::default();
    let operators = store(tables, prefix, &storage, &AtomicBool::new(false))?.operators;
    let files = storage.list("")?.into_iter().map(|path| Ok((path.clone(), storage.get(&path)?)));
    Ok(Snapshot { files: files.collect::<Result<_>>()?, operators })
}

/// Encodes what was captured and stores it. Large runs go to the storage block by block: to hold a whole one costs more than to
/// encode it. Ends soon, with an error, when it is `given_up` meanwhile.
///
/// # Errors
/// If captured rows do not fit their table or could not be made, or those of the storage.
pub fn store(tables: Vec<CapturedTable>, prefix: &str, storage: &dyn Storage, given_up: &AtomicBool) -> Result<Stored> {
    let mut stored = Stored { operators: Vec::new(), bytes: 0 };
    let shared_file = format!("{prefix}-shared.runs");
    let mut shared: Vec<u8> = Vec::new();
    for (number, captured) in tables.into_iter().enumerate() {
        let CapturedTable { uid, watermark, schema, capture } = captured;
        let expired = capture.iter().filter_map(|capture| capture.expired).max();
        let path = format!("{prefix}-{number}.arrow");
        let file = File { storage, path, begin: Vec::new(), object: None, given_up };
        let written = encode_table(&schema, capture, expired, file)
            .map_err(|error| error.context(format!("while encoding state table '{}' of {uid}", schema.name)))?;
        let mut runs = Vec::new();
        if let Some((file, mut run)) = written {
            match file.object {
                None => {
                    shared.resize(shared.len().next_multiple_of(ALIGNMENT), 0);
                    run.offset = shared.len() as u64;
                    run.file.clone_from(&shared_file);
                    shared.extend_from_slice(&file.begin);
                }
                Some(object) => {
                    object.finish()?;
                    stored.bytes += run.length;
                    run.file = file.path;
                }
            }
            runs.push(run);
        }
        let table = TableDelta { schema, runs, expired };
        match stored.operators.iter_mut().find(|operator| operator.uid == uid) {
            Some(operator) => {
                operator.watermark = operator.watermark.min(watermark);
                operator.tables.push(table);
            }
            None => stored.operators.push(OperatorDelta { uid, watermark, tables: vec![table] }),
        }
    }
    if !shared.is_empty() {
        storage.put(&shared_file, &shared)?;
        stored.bytes += shared.len() as u64;
    }
    Ok(stored)
}

/// A run's bytes: in memory while they are few, and in an object of their own from then on.
struct File<'a> {
    storage: &'a dyn Storage,
    path: String,
    begin: Vec<u8>,
    object: Option<Box<dyn ObjectWriter + 'a>>,
    given_up: &'a AtomicBool,
}

impl Write for File<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other(Error::environment("nobody needs the checkpoint any more")));
        }
        if self.object.is_none() && self.begin.len() + bytes.len() >= SHARED_BELOW {
            let mut object = self.storage.create(&self.path).map_err(io::Error::other)?;
            object.write_all(&std::mem::take(&mut self.begin))?;
            self.object = Some(object);
        }
        match &mut self.object {
            Some(object) => object.write(bytes),
            None => self.begin.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.as_mut().map_or(Ok(()), |object| object.flush())
    }
}

fn encode_table<'a>(
    table: &TableSchema,
    captures: Vec<Capture>,
    expired: Option<EventTime>,
    file: File<'a>,
) -> Result<Option<(File<'a>, Run)>> {
    let mut pieces: Vec<StateRows> = Vec::new();
    for capture in captures {
        pieces.extend((capture.rows)()?.into_iter().filter(|piece| piece.rows.num_rows() > 0));
    }
    check_ids(table)?;
    if table.key_columns == 0 && pieces.iter().any(|piece| piece.deleted.is_some()) {
        return Err(Error::internal("rows of a table without a key cannot be deleted"));
    }
    check(table, &pieces)?;
    let rows = Pieces::new(table, &pieces)?;
    let order = newest(table, &rows)?;
    let mut run = RunWriter::begin(Survivors { table, expired, above_others: true }, file)?;
    run.append(&rows, &order)?;
    run.finish()
}

/// Without ids nobody could tell what has become of the columns once the table is declared otherwise.
fn check_ids(table: &TableSchema) -> Result<()> {
    let ids: BTreeSet<u32> = table.schema.fields().iter().filter_map(|field| state_column::id(field)).collect();
    if ids.len() == table.schema.fields().len() {
        return Ok(());
    }
    Err(Error::internal(format!("columns of state table '{}' have no ids, or two have the same", table.name)))
}

#[cfg(test)]
mod tests;
