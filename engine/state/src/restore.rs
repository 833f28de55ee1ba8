//! From runs back to rows.

use arrow::array::{RecordBatch, UInt64Array};
use weir_core::{Distribution, Error, HashRange, Result, StateRows, TableSchema};

use crate::expiry::{Fate, Fates, is_past, rows_stand_alone, times};
use crate::newest::{join, newest};
use crate::run::{self, OpenRun, in_range};
use crate::{Storage, TableState};

/// Rows of a table as they stood at the checkpoint, with their hashes, in the table's columns: the newest of each key,
/// without those that were deleted or have expired. Of a [`Distribution::Keyed`] table only rows in `range`; of a
/// [`Distribution::Broadcast`] one all. Only the blocks that can hold such rows are fetched, and their checksums are
/// compared.
///
/// Rows of one key hash come in the order in which they were captured.
///
/// # Errors
/// A data error if a file is damaged, an environment error if it cannot be read.
pub fn read_table(
    storage: &dyn Storage,
    table: &TableState,
    range: HashRange,
) -> Result<Vec<(RecordBatch, UInt64Array)>> {
    let range = match table.schema.distribution {
        Distribution::Keyed => range,
        Distribution::Broadcast => HashRange::ALL,
    };
    let overlapping = table.runs.iter().filter(|run| range.overlaps(&run.hashes()));
    let runs = overlapping.map(|run| OpenRun::open(storage, run)).collect::<Result<Vec<_>>>()?;
    let pieces = read_runs(storage, table, &runs, range)?;
    if table.schema.key_columns == 0 {
        let mut batches = Vec::new();
        for piece in &pieces {
            let all: Vec<u32> = (0..piece.rows.num_rows() as u32).collect();
            batches.extend(live(table, piece, &all)?);
        }
        return Ok(batches);
    }
    let rows = join(&table.schema, &pieces)?;
    drop(pieces);
    let order = newest(&table.schema, &rows)?;
    live(table, &rows, &order)
}

/// Whether state that was stored as `stored` can be read by an operator that declares `declared`.
///
/// # Errors
/// A user error that says what differs.
pub fn compatible(stored: &TableSchema, declared: &TableSchema) -> Result<()> {
    let difference = if stored.version != declared.version {
        Some(format!("its layout has version {}, this program's has version {}", stored.version, declared.version))
    } else if stored.key_columns != declared.key_columns {
        Some(format!("its key has {} columns, now it has {}", stored.key_columns, declared.key_columns))
    } else if stored.time_column != declared.time_column || stored.distribution != declared.distribution {
        Some("its rows expire, or are spread over subtasks, by another rule".to_owned())
    } else {
        column_difference(stored, declared)
    };
    match difference {
        None => Ok(()),
        Some(difference) => Err(Error::user(format!("stored state '{}' does not fit: {difference}", declared.name))
            .with_help(
                "continue with the program and the query that wrote it, or start afresh: in another --state-dir, or in a cluster as \
                 another job",
            )),
    }
}

fn column_difference(stored: &TableSchema, declared: &TableSchema) -> Option<String> {
    let (stored, declared) = (stored.schema.fields(), declared.schema.fields());
    if stored.len() != declared.len() {
        return Some(format!("it has {} columns, now there are {}", stored.len(), declared.len()));
    }
    stored.iter().zip(declared).find_map(|(old, new)| {
        (old.name() != new.name() || old.data_type() != new.data_type())
            .then(|| format!("column '{}' {} is now '{}' {}", old.name(), old.data_type(), new.name(), new.data_type()))
    })
}

/// Rows of `runs` in `range`, oldest run first. Blocks that have expired as a whole are left out where that is safe.
pub(crate) fn read_runs(
    storage: &dyn Storage,
    table: &TableState,
    runs: &[OpenRun],
    range: HashRange,
) -> Result<Vec<StateRows>> {
    let skip_past = rows_stand_alone(&table.schema);
    let mut pieces = Vec::new();
    for run in runs {
        let blocks = run.read(storage, &table.schema, |block| {
            range.overlaps(&HashRange { first: block.first_hash, last: block.last_hash })
                && !(skip_past && is_past(block.last_time, table.expired))
        })?;
        pieces.extend(blocks.iter().map(|block| in_range(block, range)).filter(|piece| piece.rows.num_rows() > 0));
    }
    Ok(pieces)
}

fn live(table: &TableState, rows: &StateRows, order: &[u32]) -> Result<Vec<(RecordBatch, UInt64Array)>> {
    let times = times(&table.schema, &rows.rows)?;
    let fates = Fates::new(&table.schema, times, rows.deleted.as_ref(), table.expired, false);
    let live: Vec<u32> = order.iter().copied().filter(|row| fates.of(*row as usize) == Fate::Put).collect();
    run::batches_of(rows, &live)
}

#[cfg(test)]
mod tests;
