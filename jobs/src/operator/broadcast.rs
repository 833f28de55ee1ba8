//! A [`BroadcastProcess`] as a step. What every subtask is told is kept as the state of a single key, which all have.

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use weir_core::{Capture, Distribution, Error, Result, TableSchema};

use crate::process::{BroadcastProcess, Context, Moment};
use crate::record::Column;
use crate::state::State;

use super::keyed::{Driver, each_row};
use super::output::Output;
use super::store::Store;

/// What names of tables begin with that every subtask has: those of keys may be the same otherwise.
pub(crate) const SHARED: &str = "shared.";

/// The key of what is shared.
const ALL: bool = true;

pub(crate) struct Broadcast<P: BroadcastProcess> {
    process: P,
    shared: Store<bool, P::Shared>,
    slot: u32,
}

impl<P: BroadcastProcess> Broadcast<P> {
    pub(crate) fn new(process: P) -> Result<Self> {
        if P::Shared::TIMERS {
            return Err(Error::user("what every subtask is told has no timers: they would go off in each of them"));
        }
        let mut shared = Store::new(Distribution::Broadcast, None)?;
        let slot = shared.only(ALL)?;
        Ok(Self { process, shared, slot })
    }
}

impl<P: BroadcastProcess> Driver for Broadcast<P> {
    type Key = P::Key;
    type State = P::State;
    type Out = P::Out;

    fn shared_tables(&self) -> Vec<TableSchema> {
        let renamed = |table: &TableSchema| TableSchema { name: format!("{SHARED}{}", table.name), ..table.clone() };
        self.shared.tables().iter().map(renamed).collect()
    }

    fn load_shared(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        self.shared.load(table, rows, hashes)
    }

    fn capture_shared(&mut self) -> Vec<Capture> {
        self.shared.capture()
    }

    fn rows(
        &mut self,
        ordinal: usize,
        columns: &[ArrayRef],
        store: &mut Store<P::Key, P::State>,
        place: (Moment, &mut Output<P::Out>),
    ) -> Result<()> {
        // A store forgets a key of which nothing is kept.
        self.slot = self.shared.only(ALL)?;
        if ordinal == 0 {
            let shared = &self.shared.peek(self.slot).state;
            return each_row(columns, store, place, |row, state, context| {
                self.process.process(row, state, shared, context)
            });
        }
        let updates = P::Update::columns_reader(columns, None)?;
        let shared = &mut self.shared.touch(self.slot).state;
        let count = columns.first().map_or(0, |column| column.len());
        (0..count).try_for_each(|row| self.process.update(P::Update::read(&updates, row), shared))
    }

    fn timer(&mut self, state: &mut P::State, context: &mut Context<'_, P::Key, P::Out>) -> Result<()> {
        self.slot = self.shared.only(ALL)?;
        self.process.on_timer(state, &self.shared.peek(self.slot).state, context)
    }
}
