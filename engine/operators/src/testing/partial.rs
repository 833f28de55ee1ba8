//! An operator with only a part of its state in memory, driven as its contract says, without waiting.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use weir_core::hash::hash_rows;
use weir_core::{Collector, Distribution, Epoch, EventTime, HashRange, OpenContext, Operator, Result, TableSchema};
use weir_state::{Residency, StateStore, TableRows, Times};

/// Which part of a subtask's state is in memory, and where the rest is.
pub(super) struct Partial {
    residency: Residency,
    store: Arc<StateStore>,
    tables: usize,
    range: HashRange,
    watermark: EventTime,
}

impl Partial {
    /// Whether an operator with such tables can do without a part of them.
    pub(super) fn is_possible(tables: &[TableSchema]) -> bool {
        !tables.is_empty() && tables.iter().all(|table| table.distribution == Distribution::Keyed)
    }

    /// Nothing is in memory of an operator that was opened at `watermark`.
    pub(super) fn new(store: Arc<StateStore>, tables: &[TableSchema], range: HashRange, watermark: EventTime) -> Self {
        let residency = Residency::new(tables.len(), store.epoch());
        Self { residency, store, tables: tables.len(), range, watermark }
    }

    /// Loads what a batch is about to touch.
    pub(super) fn load(&mut self, operator: &mut dyn Operator, ordinal: usize, rows: &RecordBatch) -> Result<()> {
        let keys = operator.key_columns(ordinal).unwrap_or_default();
        let columns: Vec<ArrayRef> = keys.iter().map(|key| rows.column(*key).clone()).collect();
        let mut hashes = Vec::new();
        hash_rows(&columns, rows.num_rows(), &mut hashes)?;
        let missing = self.residency.touch(&hashes);
        if missing.is_empty() {
            return Ok(());
        }
        let expired: Vec<_> = (0..self.tables).map(|table| operator.expired(table, self.watermark)).collect();
        load(operator, &self.store.lookup(&missing, &expired)?)
    }

    /// Lets twins of an operator emit what is due at `time` of keys that are not in memory.
    pub(super) fn watermark<O: Operator>(
        &mut self,
        operator: &O,
        time: EventTime,
        twin: impl Fn() -> Result<O>,
        out: &mut Collector,
    ) -> Result<()> {
        let before = std::mem::replace(&mut self.watermark, time);
        let due: Vec<_> = (0..self.tables).map(|table| operator.due(table, time)).collect();
        if !self.residency.is_due(&due) {
            return Ok(());
        }
        let times = |(table, due): (usize, &Option<EventTime>)| Times {
            expired: operator.expired(table, before),
            due: *due,
            expiring: operator.expired(table, time),
        };
        let wanted: Vec<Times> = due.iter().enumerate().map(times).collect();
        let found = self.store.due_slices(self.range, &wanted)?;
        let mut least = found.least;
        for slice in found.slices {
            let found = self.store.due(slice, &wanted)?;
            least = least.into_iter().zip(found.least).map(|(a, b)| a.min(b)).collect();
            let absent =
                |rows: TableRows| rows.iter().map(|(rows, hashes)| self.residency.absent(rows, hashes)).collect();
            let rows: Vec<TableRows> = found.rows.into_iter().map(absent).collect::<Result<_>>()?;
            let mut twin = twin()?;
            twin.open(&OpenContext { range: self.range, watermark: before })?;
            load(&mut twin, &rows)?;
            twin.watermark(time, out)?;
        }
        self.residency.seen(&due, &least);
        Ok(())
    }

    pub(super) fn captured(&mut self, epoch: Epoch) {
        self.residency.captured(epoch);
    }

    /// Lets go of a share of the keys, as far as they are stored.
    pub(super) fn evict(&mut self, operator: &mut dyn Operator, share: f64) -> Result<()> {
        let leaving = self.residency.leave(self.store.epoch(), share);
        if !leaving.is_empty() {
            self.residency.left(&operator.evict(&|hash| leaving.contains(hash))?);
        }
        Ok(())
    }
}

fn load(operator: &mut dyn Operator, tables: &[TableRows]) -> Result<()> {
    for (table, rows) in tables.iter().enumerate() {
        rows.iter()
            .filter(|(rows, _)| rows.num_rows() > 0)
            .try_for_each(|(rows, hashes)| operator.load(table, rows, hashes))?;
    }
    Ok(())
}
