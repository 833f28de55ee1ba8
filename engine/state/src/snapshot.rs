//! From what operators captured to the files of a checkpoint.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weir_core::{Capture, Error, EventTime, OperatorUid, Result, StateRows, TableSchema, state_column};

use crate::Run;
use crate::newest::{join, newest};
use crate::run::{RunWriter, Survivors};

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

/// Encodes what was captured. `prefix` is the beginning of the files' paths
/// ([`layout::runs_prefix`](crate::layout::runs_prefix)).
///
/// # Errors
/// If captured rows do not fit their table, or could not be made.
pub fn encode(tables: Vec<CapturedTable>, prefix: &str) -> Result<Snapshot> {
    let mut snapshot = Snapshot { files: Vec::new(), operators: Vec::new() };
    let shared_file = format!("{prefix}-shared.runs");
    let mut shared: Vec<u8> = Vec::new();
    for (number, captured) in tables.into_iter().enumerate() {
        let CapturedTable { uid, watermark, schema, capture } = captured;
        let expired = capture.iter().filter_map(|capture| capture.expired).max();
        let written = encode_table(&schema, capture, expired)
            .map_err(|error| error.context(format!("while encoding state table '{}' of {uid}", schema.name)))?;
        let mut runs = Vec::new();
        if let Some((bytes, mut run)) = written {
            if bytes.len() < SHARED_BELOW {
                shared.resize(shared.len().next_multiple_of(ALIGNMENT), 0);
                run.offset = shared.len() as u64;
                run.file.clone_from(&shared_file);
                shared.extend_from_slice(&bytes);
            } else {
                run.file = format!("{prefix}-{number}.arrow");
                snapshot.files.push((run.file.clone(), bytes));
            }
            runs.push(run);
        }
        let table = TableDelta { schema, runs, expired };
        match snapshot.operators.iter_mut().find(|operator| operator.uid == uid) {
            Some(operator) => {
                operator.watermark = operator.watermark.min(watermark);
                operator.tables.push(table);
            }
            None => snapshot.operators.push(OperatorDelta { uid, watermark, tables: vec![table] }),
        }
    }
    if !shared.is_empty() {
        snapshot.files.push((shared_file, shared));
    }
    Ok(snapshot)
}

fn encode_table(
    table: &TableSchema,
    captures: Vec<Capture>,
    expired: Option<EventTime>,
) -> Result<Option<(Vec<u8>, Run)>> {
    let mut pieces: Vec<StateRows> = Vec::new();
    for capture in captures {
        pieces.extend((capture.rows)()?.into_iter().filter(|piece| piece.rows.num_rows() > 0));
    }
    check_ids(table)?;
    if table.key_columns == 0 && pieces.iter().any(|piece| piece.deleted.is_some()) {
        return Err(Error::internal("rows of a table without a key cannot be deleted"));
    }
    let rows = join(table, &pieces)?;
    drop(pieces);
    let order = newest(table, &rows)?;
    let size = rows.rows.get_array_memory_size() + rows.rows.num_rows() * 9;
    let mut run = RunWriter::begin(Survivors { table, expired, above_others: true }, Vec::with_capacity(size))?;
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
