//! State of one operator that is only partly in memory: brings in what is touched, has twins show what is due, and lets go of
//! what is over the budget. The contract is that of [`weir_core::Operator`].
//!
//! The budget is what memory may hold behind a batch. A batch may need more while it is processed, and what has changed since the
//! last stored checkpoint cannot leave at all.

use std::sync::Arc;

use arrow::array::ArrayRef;
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Collector, Distribution, Epoch, EventTime, HashRange, OpenContext, Operator, Result, TableSchema,
};
use weir_state::{Residency, StateStore, TableRows, Times};

use crate::blocking::{self, Blocking};

/// Makes another instance of an operator, as it is when it was just made.
pub type Twin = Arc<dyn Fn() -> Result<Box<dyn Operator>> + Send + Sync>;

/// What is known of the state of one operator in one subtask.
pub struct PartialState {
    residency: Residency,
    store: Arc<StateStore>,
    blocking: Arc<dyn Blocking>,
    twin: Twin,
    tables: usize,
    range: HashRange,
    /// Bytes that memory may hold.
    budget: usize,
    /// The stored epoch at which nothing more could leave: it is of no use to try again before the next.
    exhausted: Option<Epoch>,
    hashes: Vec<u64>,
}

impl PartialState {
    /// Whether an operator with these tables can do without a part of them.
    pub fn is_possible(tables: &[TableSchema]) -> bool {
        !tables.is_empty() && tables.iter().all(|table| table.distribution == Distribution::Keyed)
    }

    /// Nothing is in memory of an operator with so many tables that owns the keys of `range`.
    pub fn new(
        store: Arc<StateStore>,
        blocking: Arc<dyn Blocking>,
        twin: Twin,
        tables: usize,
        range: HashRange,
        budget: usize,
    ) -> Self {
        let residency = Residency::new(tables, store.epoch());
        Self { residency, store, blocking, twin, tables, range, budget, exhausted: None, hashes: Vec::new() }
    }

    /// Loads what a batch is about to touch. Event time stands at `watermark`.
    ///
    /// # Errors
    /// If the store cannot be read, or holds what the operator does not understand.
    pub async fn load(
        &mut self,
        operator: &mut dyn Operator,
        ordinal: usize,
        batch: &Batch,
        watermark: EventTime,
    ) -> Result<()> {
        let keys = operator.key_columns(ordinal).unwrap_or_default().iter();
        let columns: Vec<ArrayRef> = keys.map(|key| batch.records().column(*key).clone()).collect();
        hash_rows(&columns, batch.num_rows(), &mut self.hashes)?;
        let missing = self.residency.touch(&self.hashes);
        if missing.is_empty() {
            return Ok(());
        }
        let expired: Vec<_> = (0..self.tables).map(|table| operator.expired(table, watermark)).collect();
        let store = self.store.clone();
        let rows = blocking::run(&self.blocking, move || store.lookup(&missing, &expired)).await?;
        load(operator, &rows)
    }

    /// Has twins of an operator emit what is due of keys that are not in memory, when event time goes on from `before` to
    /// `time`.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and the operator's own.
    pub async fn show_due(
        &mut self,
        operator: &mut dyn Operator,
        (before, time): (EventTime, EventTime),
        out: &mut Collector,
    ) -> Result<()> {
        let due: Vec<_> = (0..self.tables).map(|table| operator.due(table, time)).collect();
        if !self.residency.is_due(&due) {
            return Ok(());
        }
        let times = |(table, due): (usize, &Option<EventTime>)| Times {
            expired: operator.expired(table, before),
            due: *due,
            expiring: operator.expired(table, time),
        };
        let wanted: Arc<[Times]> = due.iter().enumerate().map(times).collect();
        let (store, range, times) = (self.store.clone(), self.range, wanted.clone());
        let found = blocking::run(&self.blocking, move || store.due_slices(range, &times)).await?;
        let mut least = found.least;
        for slice in found.slices {
            let (store, times) = (self.store.clone(), wanted.clone());
            let found = blocking::run(&self.blocking, move || store.due(slice, &times)).await?;
            least.iter_mut().zip(found.least).for_each(|(least, other)| *least = (*least).min(other));
            let absent =
                |rows: TableRows| rows.iter().map(|(rows, hashes)| self.residency.absent(rows, hashes)).collect();
            let rows: Vec<TableRows> = found.rows.into_iter().map(absent).collect::<Result<_>>()?;
            let mut twin = (self.twin)()?;
            twin.open(&OpenContext { range: self.range, watermark: before })?;
            load(&mut *twin, &rows)?;
            twin.watermark(time, out)?;
        }
        self.residency.seen(&due, &least);
        Ok(())
    }

    /// The operator's state was captured for this epoch.
    pub fn captured(&mut self, epoch: Epoch) {
        self.residency.captured(epoch);
    }

    /// Lets go of what has not been touched for the longest time, if memory holds more than the budget.
    ///
    /// # Errors
    /// The operator's.
    pub fn evict(&mut self, operator: &mut dyn Operator) -> Result<()> {
        let bytes = operator.state_bytes() + self.residency.bytes();
        if bytes <= self.budget {
            return Ok(());
        }
        let stored = self.store.epoch();
        if self.exhausted == Some(stored) {
            return Ok(());
        }
        // To look for what leaves takes a look at everything, so it is done for an eighth of the budget at a time.
        let target = self.budget - self.budget / 8;
        let leaving = self.residency.leave(stored, 1.0 - target as f64 / bytes as f64);
        if leaving.is_empty() {
            self.exhausted = Some(stored);
            return Ok(());
        }
        self.residency.left(&operator.evict(&|hash| leaving.contains(hash))?);
        Ok(())
    }
}

fn load(operator: &mut dyn Operator, tables: &[TableRows]) -> Result<()> {
    for (table, rows) in tables.iter().enumerate() {
        for (rows, hashes) in rows.iter().filter(|(rows, _)| rows.num_rows() > 0) {
            operator.load(table, rows, hashes)?;
        }
    }
    Ok(())
}
