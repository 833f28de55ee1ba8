//! What stands behind the memory of an operator: its runs, in which rows are found by key hash, or by their time.
//!
//! A lookup reads the blocks of all runs that can hold one of its hashes, and finds the newest row of each key. The runs'
//! footers stay in memory once they have been read; blocks do not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::UInt64Type;
use weir_core::{Epoch, EventTime, HashRange, Result, TableSchema};

use crate::compaction::slices;
use crate::expiry::times;
use crate::restore::{Hashes, Live, compatible, read_live};
use crate::run::OpenRun;
use crate::{OperatorState, Run, Storage, TableDelta};

/// Bytes of blocks that are read at a time where rows are looked for by their time. Small in tests, so that they see several
/// slices.
const SLICE_BYTES: u64 = if cfg!(test) { 1024 } else { 8 << 20 };

/// Rows of one table, with their key hashes.
pub type TableRows = Vec<(RecordBatch, UInt64Array)>;

/// Times of the rows of one table that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Rows with a time up to this one are gone.
    pub expired: Option<EventTime>,
    /// Rows with a time up to this one are wanted; `None`: no row is.
    pub due: Option<EventTime>,
    /// Rows with a time up to this one are gone once they have been seen.
    pub expiring: Option<EventTime>,
}

/// Where rows that are due may be.
#[derive(Debug)]
pub struct DueSlices {
    /// Parts of the hash space, each small enough to be read as a whole.
    pub slices: Vec<HashRange>,
    /// Per table, a time before which there is no row outside of the slices.
    pub least: Vec<EventTime>,
}

/// Rows that are due in one slice.
#[derive(Debug)]
pub struct DueRows {
    /// Per table, the rows.
    pub rows: Vec<TableRows>,
    /// Per table, a time before which no row of the slice is left once these have been seen.
    pub least: Vec<EventTime>,
}

/// The stored state of one operator, as far as this process knows it: that of the checkpoint that the operator goes on from,
/// and what has been stored since. The operator's subtasks share it. What reads blocks.
pub struct StateStore {
    storage: Arc<dyn Storage>,
    tables: Vec<TableSchema>,
    stored: Mutex<Stored>,
}

struct Stored {
    tables: Vec<StoredTable>,
    /// The last epoch whose captures are in the runs.
    epoch: Epoch,
}

#[derive(Default)]
struct StoredTable {
    /// Oldest first, with their footers as far as they were read.
    runs: Vec<(Run, Option<Arc<OpenRun>>)>,
    /// What had expired at the checkpoint.
    expired: Option<EventTime>,
}

impl StateStore {
    /// The store behind an operator that declares `tables` and goes on from a checkpoint, if there is one.
    ///
    /// # Errors
    /// A user error if what is stored does not fit the operator.
    pub fn new(
        storage: Arc<dyn Storage>,
        tables: Vec<TableSchema>,
        checkpoint: Option<(Epoch, &OperatorState)>,
    ) -> Result<Self> {
        let state = checkpoint.map_or(&[] as &[_], |(_, state)| &state.tables);
        let stored = tables.iter().map(|declared| {
            let Some(table) = state.iter().find(|table| table.schema.name == declared.name) else {
                return Ok(StoredTable::default());
            };
            compatible(&table.schema, declared)?;
            Ok(StoredTable { runs: table.runs.iter().map(|run| (run.clone(), None)).collect(), expired: table.expired })
        });
        let stored = stored.collect::<Result<_>>()?;
        let epoch = checkpoint.map_or_else(Epoch::default, |(epoch, _)| epoch);
        Ok(Self { storage, tables, stored: Mutex::new(Stored { tables: stored, epoch }) })
    }

    /// All that was captured up to `epoch` is durable; what is new is in these runs.
    pub fn add(&self, epoch: Epoch, deltas: &[TableDelta]) {
        let mut stored = self.stored();
        for delta in deltas {
            if let Some(table) = self.tables.iter().position(|table| table.name == delta.schema.name) {
                stored.tables[table].runs.extend(delta.runs.iter().map(|run| (run.clone(), None)));
            }
        }
        stored.epoch = epoch;
    }

    /// The last epoch up to which all that was captured can be read here.
    pub fn epoch(&self) -> Epoch {
        self.stored().epoch
    }

    /// All rows with these key hashes, per table. `hashes` are sorted; `expired` says per table which rows are gone by now.
    ///
    /// # Errors
    /// A data error if a file is damaged, an environment error if it cannot be read.
    pub fn lookup(&self, hashes: &[u64], expired: &[Option<EventTime>]) -> Result<Vec<TableRows>> {
        let hashes = Hashes::These(hashes);
        let read = |(table, expired): (usize, &Option<EventTime>)| {
            let runs = self.runs(table, |run| hashes.meet(run.hashes()))?;
            read_live(&*self.storage, &self.live(table, *expired, EventTime::MAX), &runs, &hashes)
        };
        expired.iter().enumerate().map(read).collect()
    }

    /// Where rows of a range are that are due.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub fn due_slices(&self, range: HashRange, wanted: &[Times]) -> Result<DueSlices> {
        let (mut blocks, mut least) = (Vec::new(), Vec::new());
        for (table, times) in wanted.iter().enumerate() {
            let mut first = EventTime::MAX;
            if let Some(due) = times.due {
                let live = self.live(table, times.expired, due);
                let runs = self.runs(table, |run| run.hashes().overlaps(&range))?;
                for block in runs.iter().flat_map(|run| run.blocks()).filter(|block| block.hashes().overlaps(&range)) {
                    match block.first_time {
                        Some(time) if live.skips(block) && time > due.0 => first = first.min(EventTime(time)),
                        _ if live.skips(block) => {}
                        _ => blocks.push((block.first_hash, block.length)),
                    }
                }
            }
            least.push(first);
        }
        if blocks.is_empty() {
            return Ok(DueSlices { slices: Vec::new(), least });
        }
        let within = slices(blocks, SLICE_BYTES)
            .into_iter()
            .map(|slice| HashRange { first: slice.first.max(range.first), last: slice.last.min(range.last) });
        Ok(DueSlices { slices: within.filter(|slice| slice.first <= slice.last).collect(), least })
    }

    /// The rows of a slice that are due.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub fn due(&self, slice: HashRange, wanted: &[Times]) -> Result<DueRows> {
        let mut found = DueRows { rows: Vec::new(), least: Vec::new() };
        for (table, times) in wanted.iter().enumerate() {
            let (mut rows, mut least) = (Vec::new(), EventTime::MAX);
            if let Some(due) = times.due {
                let live = self.live(table, times.expired, due);
                let runs = self.runs(table, |run| run.hashes().overlaps(&slice))?;
                for (records, hashes) in read_live(&*self.storage, &live, &runs, &Hashes::In(slice))? {
                    least = least.min(least_left(&self.tables[table], &records, times.expiring)?);
                    rows.extend(up_to(due, &self.tables[table], (records, hashes))?);
                }
            }
            found.rows.push(rows);
            found.least.push(least);
        }
        Ok(found)
    }

    fn live(&self, table: usize, expired: Option<EventTime>, until: EventTime) -> Live<'_> {
        Live { schema: &self.tables[table], expired: expired.max(self.stored().tables[table].expired), until }
    }

    /// Runs of a table that are wanted, with their footers.
    fn runs(&self, table: usize, wanted: impl Fn(&Run) -> bool) -> Result<Vec<Arc<OpenRun>>> {
        let known: Vec<_> = {
            let stored = self.stored();
            let runs = stored.tables[table].runs.iter().enumerate().filter(|(_, (run, _))| wanted(run));
            runs.map(|(place, (run, open))| (place, run.clone(), open.clone())).collect()
        };
        // Read without the lock: others ask how far the store is while this waits for the disk. Runs are only ever added.
        let open = |(place, run, open): (usize, Run, Option<Arc<OpenRun>>)| match open {
            Some(open) => Ok(open),
            None => {
                let open = Arc::new(OpenRun::open(&*self.storage, &run)?);
                self.stored().tables[table].runs[place].1 = Some(open.clone());
                Ok(open)
            }
        };
        known.into_iter().map(open).collect()
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The least time of rows that are left once all up to `expiring` are gone.
fn least_left(table: &TableSchema, records: &RecordBatch, expiring: Option<EventTime>) -> Result<EventTime> {
    let times = times(table, records)?.into_iter().flatten().flatten().map(EventTime);
    Ok(times.filter(|time| expiring.is_none_or(|expiring| *time > expiring)).min().unwrap_or(EventTime::MAX))
}

/// The rows with a time up to `due`, if there are any.
fn up_to(
    due: EventTime,
    table: &TableSchema,
    (records, hashes): (RecordBatch, UInt64Array),
) -> Result<Option<(RecordBatch, UInt64Array)>> {
    let Some(times) = times(table, &records)? else { return Ok(None) };
    let is_due: BooleanArray = times.iter().map(|time| Some(time.is_some_and(|time| time <= due.0))).collect();
    Ok(match is_due.true_count() {
        0 => None,
        all if all == is_due.len() => Some((records, hashes)),
        _ => {
            let hashes = filter(&hashes, &is_due)?.as_primitive::<UInt64Type>().clone();
            Some((filter_record_batch(&records, &is_due)?, hashes))
        }
    })
}

#[cfg(test)]
mod tests;
