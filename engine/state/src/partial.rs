//! An operator with only a part of its state in memory: what has to be read before it goes on, and what is done with what was read.
//! The contract is that of [`weir_core::Operator`].
//!
//! Reads block. They are handed out as values, to be run on a thread that may wait.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use weir_core::bugs::{self, Bug};
use weir_core::hash::hash_rows;
use weir_core::{Collector, Distribution, Epoch, EventTime, HashRange, OpenContext, Operator, Result, TableSchema};

use crate::{DueRows, DueSlices, Residency, StateStore, TableRows, Times};

/// A read from the store.
pub type StoreRead<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// Which part of the state of one subtask's operator is in memory, and where the rest is.
pub struct Partial {
    residency: Residency,
    store: Arc<StateStore>,
    tables: usize,
    range: HashRange,
    /// Reused from batch to batch.
    hashes: Vec<u64>,
}

/// The search for what is due of keys that are not in memory, when event time goes on.
pub struct DueSearch {
    store: Arc<StateStore>,
    range: HashRange,
    before: EventTime,
    time: EventTime,
    times: Arc<[Times]>,
    /// Per table, a time before which nothing that has not been seen is due.
    least: Vec<EventTime>,
}

impl Partial {
    /// Whether an operator with these tables can do without a part of them.
    pub fn is_possible(tables: &[TableSchema]) -> bool {
        !tables.is_empty() && tables.iter().all(|table| table.distribution == Distribution::Keyed)
    }

    /// Nothing is in memory of an operator with so many tables that owns the keys of `range`.
    pub fn new(store: Arc<StateStore>, tables: usize, range: HashRange) -> Self {
        let residency = Residency::new(tables, store.epoch());
        Self { residency, store, tables, range, hashes: Vec::new() }
    }

    /// What has to be read, and given to [`load`](Self::load), before the operator processes these rows. Event time stands at `watermark`.
    ///
    /// # Errors
    /// If the key columns cannot be hashed.
    pub fn touch(
        &mut self,
        operator: &dyn Operator,
        ordinal: usize,
        rows: &RecordBatch,
        watermark: EventTime,
    ) -> Result<Option<StoreRead<Vec<TableRows>>>> {
        let keys = operator.key_columns(ordinal).unwrap_or_default().iter();
        let columns: Vec<ArrayRef> = keys.map(|key| rows.column(*key).clone()).collect();
        hash_rows(&columns, rows.num_rows(), &mut self.hashes)?;
        let missing = self.residency.touch(&self.hashes);
        if missing.is_empty() {
            return Ok(None);
        }
        let expired: Vec<_> = (0..self.tables).map(|table| operator.expired(table, watermark)).collect();
        let store = self.store.clone();
        Ok(Some(Box::new(move || store.lookup(&missing, &expired))))
    }

    /// Gives an operator what was read of its tables.
    ///
    /// # Errors
    /// The operator's.
    pub fn load(operator: &mut dyn Operator, tables: &[TableRows]) -> Result<()> {
        for (table, rows) in tables.iter().enumerate() {
            for (rows, hashes) in rows.iter().filter(|(rows, _)| rows.num_rows() > 0) {
                operator.load(table, rows, hashes)?;
            }
        }
        Ok(())
    }

    /// What has to be looked for when event time goes on from `before` to `time`; `None`: nothing that is not in memory is due.
    pub fn due(&self, operator: &dyn Operator, before: EventTime, time: EventTime) -> Option<DueSearch> {
        let due: Vec<_> = (0..self.tables).map(|table| operator.due(table, time)).collect();
        if !self.residency.is_due(&due) || bugs::is_on(Bug::DueNotShown) {
            return None;
        }
        let times = |(table, due): (usize, &Option<EventTime>)| Times {
            expired: operator.expired(table, before),
            due: *due,
            settled: operator.settled(table, time),
        };
        let times = due.iter().enumerate().map(times).collect();
        Some(DueSearch { store: self.store.clone(), range: self.range, before, time, times, least: Vec::new() })
    }

    /// Has `twin`, an operator as it is when it was just made, emit what is due of the rows of a slice.
    ///
    /// # Errors
    /// The operator's.
    pub fn show(
        &self,
        search: &mut DueSearch,
        found: DueRows,
        twin: &mut dyn Operator,
        out: &mut Collector,
    ) -> Result<()> {
        search.least.iter_mut().zip(found.least).for_each(|(least, other)| *least = (*least).min(other));
        let absent = |rows: TableRows| rows.iter().map(|(rows, hashes)| self.residency.absent(rows, hashes)).collect();
        let rows: Vec<TableRows> = found.rows.into_iter().map(absent).collect::<Result<_>>()?;
        twin.open(&OpenContext { range: self.range, watermark: search.before, restored: true, has_expired: false })?;
        Self::load(twin, &rows)?;
        twin.watermark(search.time, out)?;
        Ok(())
    }

    /// All slices of the search have been shown.
    pub fn shown(&mut self, search: &DueSearch) {
        let due: Vec<_> = search.times.iter().map(|times| times.due).collect();
        self.residency.seen(&due, &search.least);
    }

    /// The operator's state was captured for this epoch.
    pub fn captured(&mut self, epoch: Epoch) {
        self.residency.captured(epoch);
    }

    /// The last epoch whose captures can be read.
    pub fn stored(&self) -> Epoch {
        self.store.epoch()
    }

    /// Bytes that it takes to know what is in memory.
    pub fn bytes(&self) -> usize {
        self.residency.bytes()
    }

    /// Lets go of the `share` of the keys that have not been touched for the longest time, as far as they are stored. Says whether
    /// any left.
    ///
    /// # Errors
    /// The operator's.
    pub fn evict(&mut self, operator: &mut dyn Operator, share: f64) -> Result<bool> {
        let leaving = self.residency.leave(self.store.epoch(), share);
        if leaving.is_empty() {
            return Ok(false);
        }
        self.residency.left(&operator.evict(&|hash| leaving.contains(hash))?);
        Ok(true)
    }
}

impl DueSearch {
    /// Where the rows are: each slice is to be read by [`rows`](Self::rows), once [`found`](Self::found) has the answer.
    pub fn slices(&self) -> StoreRead<DueSlices> {
        let (store, range, times) = (self.store.clone(), self.range, self.times.clone());
        Box::new(move || store.due_slices(range, &times))
    }

    /// Takes in where the rows are.
    pub fn found(&mut self, found: DueSlices) -> Vec<HashRange> {
        self.least = found.least;
        found.slices
    }

    /// The rows of a slice, to be given to [`Partial::show`].
    pub fn rows(&self, slice: HashRange) -> StoreRead<DueRows> {
        let (store, times) = (self.store.clone(), self.times.clone());
        Box::new(move || store.due(slice, &times))
    }
}
