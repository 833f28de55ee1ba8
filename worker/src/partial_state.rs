//! State of one operator that is only partly in memory, within a budget. The store is read beside the runtime's threads.
//!
//! The budget is what memory may hold behind a batch. A batch may need more while it is processed, and what has changed since the
//! last stored checkpoint cannot leave at all.

use std::sync::Arc;

use weir_core::{Batch, Collector, Epoch, EventTime, HashRange, Operator, Result};
use weir_state::{Partial, StateStore};

use crate::blocking::{self, Blocking};

/// Makes another instance of an operator, as it is when it was just made.
pub type Twin = Arc<dyn Fn() -> Result<Box<dyn Operator>> + Send + Sync>;

/// What is known of the state of one operator in one subtask.
pub struct PartialState {
    partial: Partial,
    blocking: Arc<dyn Blocking>,
    twin: Twin,
    /// Bytes that memory may hold.
    budget: usize,
    /// The stored epoch at which nothing more could leave: it is of no use to try again before the next.
    exhausted: Option<Epoch>,
}

impl PartialState {
    /// Nothing is in memory of an operator with so many tables that owns the keys of `range`.
    pub fn new(
        store: Arc<StateStore>,
        blocking: Arc<dyn Blocking>,
        twin: Twin,
        tables: usize,
        range: HashRange,
        budget: usize,
    ) -> Self {
        Self { partial: Partial::new(store, tables, range), blocking, twin, budget, exhausted: None }
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
        match self.partial.touch(operator, ordinal, batch.records(), watermark)? {
            Some(read) => Partial::load(operator, &blocking::run(&self.blocking, read).await?),
            None => Ok(()),
        }
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
        let Some(mut search) = self.partial.due(operator, before, time) else { return Ok(()) };
        let found = blocking::run(&self.blocking, search.slices()).await?;
        for slice in search.found(found) {
            let rows = blocking::run(&self.blocking, search.rows(slice)).await?;
            self.partial.show(&mut search, rows, &mut *(self.twin)()?, out)?;
        }
        self.partial.shown(&search);
        Ok(())
    }

    /// The operator's state was captured for this epoch.
    pub fn captured(&mut self, epoch: Epoch) {
        self.partial.captured(epoch);
    }

    /// Lets go of what has not been touched for the longest time, if memory holds more than the budget.
    ///
    /// # Errors
    /// The operator's.
    pub fn evict(&mut self, operator: &mut dyn Operator) -> Result<()> {
        let bytes = operator.state_bytes() + self.partial.bytes();
        let stored = self.partial.stored();
        if bytes <= self.budget || self.exhausted == Some(stored) {
            return Ok(());
        }
        // To look for what leaves takes a look at everything, so it is done for an eighth of the budget at a time.
        let target = self.budget - self.budget / 8;
        if !self.partial.evict(operator, 1.0 - target as f64 / bytes as f64)? {
            self.exhausted = Some(stored);
        }
        Ok(())
    }
}
