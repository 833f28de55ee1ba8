//! From runs back to rows.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::UInt64Type;
use weir_core::{Distribution, Error, EventTime, HashRange, Result, StateRows, TableSchema};

use crate::columns::changes;
use crate::expiry::{Fate, Fates, is_past, rows_stand_alone, times};
use crate::newest::{join, newest};
use crate::pieces::Pieces;
use crate::run::{self, Block, OpenRun, in_range};
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
    let runs = overlapping.map(|run| Ok(Arc::new(OpenRun::open(storage, run)?))).collect::<Result<Vec<_>>>()?;
    read_live(storage, &Live::of(table), &runs, &Hashes::In(range))
}

/// Which rows of a table count, by their time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live<'a> {
    pub(crate) schema: &'a TableSchema,
    /// Rows with a time up to this one are gone.
    pub(crate) expired: Option<EventTime>,
    /// Rows with a later time need not be read.
    pub(crate) until: EventTime,
}

impl<'a> Live<'a> {
    /// What counted at the checkpoint.
    pub(crate) fn of(table: &'a TableState) -> Self {
        Self { schema: &table.schema, expired: table.expired, until: EventTime::MAX }
    }

    /// Whether no row of a block can be meant.
    pub(crate) fn skips(&self, block: &Block) -> bool {
        let later = block.first_time.is_some_and(|first| first > self.until.0);
        rows_stand_alone(self.schema) && (later || is_past(block.last_time, self.expired))
    }
}

/// Which key hashes are read.
pub(crate) enum Hashes<'a> {
    /// Those of a range.
    In(HashRange),
    /// These, which are sorted.
    These(&'a [u64]),
}

impl Hashes<'_> {
    /// Whether some may lie in the range.
    pub(crate) fn meet(&self, other: HashRange) -> bool {
        match self {
            Hashes::In(range) => range.overlaps(&other),
            Hashes::These(hashes) => {
                let next = hashes.partition_point(|hash| *hash < other.first);
                hashes.get(next).is_some_and(|hash| *hash <= other.last)
            }
        }
    }

    /// The rows, sorted by hash, that are meant.
    fn pick(&self, rows: &StateRows) -> Result<StateRows> {
        let hashes = match self {
            Hashes::In(range) => return Ok(in_range(rows, *range)),
            Hashes::These(hashes) => hashes,
        };
        let meant: BooleanArray =
            rows.hashes.values().iter().map(|hash| Some(hashes.binary_search(hash).is_ok())).collect();
        Ok(StateRows {
            rows: filter_record_batch(&rows.rows, &meant)?,
            hashes: filter(&rows.hashes, &meant)?.as_primitive::<UInt64Type>().clone(),
            deleted: match &rows.deleted {
                Some(deleted) => Some(filter(deleted, &meant)?.as_boolean().clone()),
                None => None,
            },
        })
    }
}

/// The rows of `runs` that count, with their hashes.
pub(crate) fn read_live(
    storage: &dyn Storage,
    live: &Live<'_>,
    runs: &[Arc<OpenRun>],
    hashes: &Hashes<'_>,
) -> Result<Vec<(RecordBatch, UInt64Array)>> {
    let pieces = read_runs(storage, live, runs, hashes)?;
    if live.schema.key_columns == 0 {
        let mut batches = Vec::new();
        for piece in &pieces {
            let all: Vec<u32> = (0..piece.rows.num_rows() as u32).collect();
            batches.extend(those_put(live, piece, &all)?);
        }
        return Ok(batches);
    }
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let rows = [join(live.schema, &pieces)?];
    drop(pieces);
    let order = newest(live.schema, &Pieces::new(live.schema, &rows)?)?;
    those_put(live, &rows[0], &order)
}

impl TableState {
    /// The table as an operator declares it now, with the runs that are there.
    ///
    /// # Errors
    /// A user error that says why they cannot be read so.
    pub fn declared_as(&self, declared: &TableSchema) -> Result<TableState> {
        match changes(&self.schema, declared) {
            Ok(_) => Ok(TableState { schema: declared.clone(), ..self.clone() }),
            Err(why) => Err(Error::user(format!("stored state '{}' does not fit: {why}", declared.name)).with_help(
                "continue with the program and the query that wrote it, or start afresh: in another --state-dir, or in \
                     a cluster as another job",
            )),
        }
    }
}

/// Rows of `runs` that may count, oldest run first. Blocks of which none does are left out where that is safe.
pub(crate) fn read_runs(
    storage: &dyn Storage,
    live: &Live<'_>,
    runs: &[Arc<OpenRun>],
    hashes: &Hashes<'_>,
) -> Result<Vec<StateRows>> {
    let mut pieces = Vec::new();
    for run in runs {
        let blocks = run.read(storage, live.schema, |block| hashes.meet(block.hashes()) && !live.skips(block))?;
        for block in &blocks {
            let piece = hashes.pick(block)?;
            if piece.rows.num_rows() > 0 {
                pieces.push(piece);
            }
        }
    }
    Ok(pieces)
}

fn those_put(live: &Live<'_>, rows: &StateRows, order: &[u32]) -> Result<Vec<(RecordBatch, UInt64Array)>> {
    let times = times(live.schema, &rows.rows)?;
    let fates = Fates::new(live.schema, times, rows.deleted.as_ref(), live.expired, false);
    let put: Vec<u32> = order.iter().copied().filter(|row| fates.of(*row as usize) == Fate::Put).collect();
    run::batches_of(rows, &put)
}

#[cfg(test)]
mod tests;
