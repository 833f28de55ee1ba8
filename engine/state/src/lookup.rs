//! What stands behind the memory of an operator: its runs, in which rows are found by key hash, or by their time.
//!
//! A lookup reads the blocks of all runs that can hold one of its hashes, and finds the newest row of each key. The runs'
//! footers stay in memory once they have been read; blocks do not.
//!
//! Runs are merged meanwhile, and the merged ones deleted once no retained manifest names them. Whoever merges does not know who
//! reads. So every now and then, and when a run cannot be read, the store takes over what the newest manifest of its attempt
//! names, and goes on with that and with what was stored since. Whether that manifest counts does not matter: it was written
//! when all parts of the attempt had reported, and says what state was at its epoch. One of another attempt may speak of an
//! epoch that has not happened in this one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::UInt64Type;
use weir_core::{Attempt, Epoch, ErrorKind, EventTime, HashRange, OperatorUid, Result, TableSchema};

use crate::compaction::{MERGED_RUNS, slices};
use crate::expiry::times;
use crate::restore::{Hashes, Live, read_live};
use crate::run::{Block, OpenRun};
use crate::{Manifest, OperatorState, Run, Storage, TableDelta, TableState, layout};

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
    /// Rows with a time up to this one are not looked for again once they have been seen.
    pub settled: Option<EventTime>,
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
    /// Per table, a time before which no row of the slice has to be looked for once these have been seen.
    pub least: Vec<EventTime>,
}

/// The stored state of one operator, as far as this process knows it: that of the checkpoint that the operator goes on from,
/// and what has been stored since. The operator's subtasks share it. What reads blocks.
pub struct StateStore {
    storage: Arc<dyn Storage>,
    uid: OperatorUid,
    attempt: Attempt,
    tables: Vec<TableSchema>,
    stored: Mutex<Stored>,
}

struct Stored {
    tables: Vec<StoredTable>,
    /// The epoch of the manifest that the oldest runs are from.
    manifest: Epoch,
    /// The last epoch whose captures are in the runs.
    epoch: Epoch,
    /// Epochs that have been added since runs were last taken over from a manifest.
    added: usize,
}

#[derive(Default)]
struct StoredTable {
    /// Oldest first.
    runs: Vec<StoredRun>,
    /// What had expired at the manifest.
    expired: Option<EventTime>,
}

struct StoredRun {
    run: Run,
    /// The epoch by which it was stored.
    epoch: Epoch,
    /// Its footer, if that was read.
    open: Option<Arc<OpenRun>>,
}

impl StoredTable {
    fn of(table: &TableState, epoch: Epoch) -> Self {
        let runs = table.runs.iter().map(|run| StoredRun { run: run.clone(), epoch, open: None });
        Self { runs: runs.collect(), expired: table.expired }
    }
}

impl StateStore {
    /// The store behind the operator `uid` in this attempt, which declares `tables` and goes on from a checkpoint, if there is
    /// one.
    ///
    /// # Errors
    /// A user error if what is stored does not fit the operator.
    pub fn new(
        storage: Arc<dyn Storage>,
        (uid, attempt): (OperatorUid, Attempt),
        tables: Vec<TableSchema>,
        checkpoint: Option<(Epoch, &OperatorState)>,
    ) -> Result<Self> {
        let state = checkpoint.map_or(&[] as &[_], |(_, state)| &state.tables);
        let epoch = checkpoint.map_or_else(Epoch::default, |(epoch, _)| epoch);
        let stored = tables.iter().map(|declared| {
            let Some(table) = state.iter().find(|table| table.schema.name == declared.name) else {
                return Ok(StoredTable::default());
            };
            Ok(StoredTable::of(&table.declared_as(declared)?, epoch))
        });
        let stored = Stored { tables: stored.collect::<Result<_>>()?, manifest: epoch, epoch, added: 0 };
        Ok(Self { storage, uid, attempt, tables, stored: Mutex::new(stored) })
    }

    /// All that was captured up to `epoch` is durable; what is new is in these runs.
    pub fn add(&self, epoch: Epoch, deltas: &[TableDelta]) {
        let mut stored = self.stored();
        for delta in deltas {
            if let Some(table) = self.tables.iter().position(|table| table.name == delta.schema.name) {
                let runs = delta.runs.iter().map(|run| StoredRun { run: run.clone(), epoch, open: None });
                stored.tables[table].runs.extend(runs);
            }
        }
        stored.epoch = epoch;
        stored.added += 1;
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
        self.read(|| expired.iter().enumerate().map(read).collect())
    }

    /// Where rows of a range are that are due.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub fn due_slices(&self, range: HashRange, wanted: &[Times]) -> Result<DueSlices> {
        self.read(|| self.find_slices(range, wanted))
    }

    fn find_slices(&self, range: HashRange, wanted: &[Times]) -> Result<DueSlices> {
        let (mut blocks, mut least) = (Vec::new(), Vec::new());
        for (table, times) in wanted.iter().enumerate() {
            let mut first = EventTime::MAX;
            if let Some(due) = times.due {
                let live = self.live(table, times.expired, due);
                let runs = self.runs(table, |run| run.hashes().overlaps(&range))?;
                for block in runs.iter().flat_map(|run| run.blocks()).filter(|block| block.hashes().overlaps(&range)) {
                    match later(&live, block) {
                        Some(time) => first = first.min(time),
                        None if live.skips(block) => {}
                        None => blocks.push((block.first_hash, block.length)),
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
        self.read(|| self.find_due(slice, wanted))
    }

    fn find_due(&self, slice: HashRange, wanted: &[Times]) -> Result<DueRows> {
        let mut found = DueRows { rows: Vec::new(), least: Vec::new() };
        for (table, times) in wanted.iter().enumerate() {
            let (mut rows, mut least) = (Vec::new(), EventTime::MAX);
            if let Some(due) = times.due {
                let live = self.live(table, times.expired, due);
                let runs = self.runs(table, |run| run.hashes().overlaps(&slice))?;
                // These may be other blocks than those that the slices were made from: runs may have been taken over since,
                // and rows that stood beside ones that are due may now stand in blocks of their own.
                let blocks = runs.iter().flat_map(|run| run.blocks()).filter(|block| block.hashes().overlaps(&slice));
                least = blocks.filter_map(|block| later(&live, block)).fold(least, EventTime::min);
                for (records, hashes) in read_live(&*self.storage, &live, &runs, &Hashes::In(slice))? {
                    least = least.min(least_left(&self.tables[table], &records, times.settled)?);
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
            let runs = stored.tables[table].runs.iter().filter(|stored| wanted(&stored.run));
            runs.map(|stored| (stored.run.clone(), stored.open.clone())).collect()
        };
        // Read without the lock: others ask how far the store is while this waits for the disk.
        let open = |(run, open): (Run, Option<Arc<OpenRun>>)| match open {
            Some(open) => Ok(open),
            None => {
                let open = Arc::new(OpenRun::open(&*self.storage, &run)?);
                if let Some(stored) = self.stored().tables[table].runs.iter_mut().find(|stored| stored.run == run) {
                    stored.open = Some(open.clone());
                }
                Ok(open)
            }
        };
        known.into_iter().map(open).collect()
    }

    /// Reads, from what the newest manifest names if that is needed.
    fn read<T>(&self, read: impl Fn() -> Result<T>) -> Result<T> {
        if self.stored().added >= MERGED_RUNS {
            self.take_over()?;
        }
        match read() {
            // A run that was merged with others may be gone.
            Err(error) if error.kind() == ErrorKind::Environment => {
                self.take_over()?;
                read()
            }
            result => result,
        }
    }

    /// Goes on with the runs that the newest manifest of this attempt names, and with those that were stored behind it.
    fn take_over(&self) -> Result<()> {
        self.stored().added = 0;
        if let Some((epoch, manifest)) = self.newest_manifest()? {
            self.go_on_from(epoch, &manifest);
        }
        Ok(())
    }

    fn go_on_from(&self, epoch: Epoch, manifest: &Manifest) {
        let Some(state) = manifest.operator(&self.uid) else { return };
        let mut stored = self.stored();
        // Others may have gone on from a newer one while this one was read. Its runs hold what these do.
        if epoch <= stored.manifest {
            return;
        }
        for (declared, table) in self.tables.iter().zip(&mut stored.tables) {
            let Some(named) = state.tables.iter().find(|named| named.schema.name == declared.name) else { continue };
            let behind = std::mem::take(&mut table.runs).into_iter().filter(|stored| stored.epoch > epoch);
            let behind: Vec<StoredRun> = behind.collect();
            *table = StoredTable::of(named, epoch);
            table.runs.extend(behind);
        }
        stored.manifest = epoch;
    }

    /// The newest manifest of this attempt, if it is newer than that which the runs are from.
    fn newest_manifest(&self) -> Result<Option<(Epoch, Manifest)>> {
        let known = self.stored().manifest;
        let mut paths = self.storage.list(layout::CHECKPOINTS)?;
        paths.sort_by_key(|path| (layout::epoch_of_manifest(path), layout::of_manifest(path)));
        for path in paths.iter().rev() {
            let Some(epoch) = layout::epoch_of_manifest(path).filter(|epoch| *epoch > known) else { continue };
            if layout::of_manifest(path).is_some_and(|(_, attempt, _)| attempt != self.attempt) {
                continue;
            }
            let manifest = Manifest::load(&*self.storage, path, epoch)?;
            if manifest.attempt == self.attempt {
                return Ok(Some((epoch, manifest)));
            }
        }
        Ok(None)
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first time in a block that is not read because all of its rows are later than those that are wanted.
fn later(live: &Live<'_>, block: &Block) -> Option<EventTime> {
    block.first_time.filter(|first| *first > live.until.0 && live.skips(block)).map(EventTime)
}

/// The least time of rows that may have to be looked for again.
fn least_left(table: &TableSchema, records: &RecordBatch, settled: Option<EventTime>) -> Result<EventTime> {
    let times = times(table, records)?.into_iter().flatten().flatten().map(EventTime);
    Ok(times.filter(|time| settled.is_none_or(|settled| *time > settled)).min().unwrap_or(EventTime::MAX))
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
