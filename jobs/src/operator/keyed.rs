//! A keyed step: the engine's contract around what is done with rows and timers.
//!
//! - *A batch* is decoded once, hashed once, and worked off row by row. What its rows emit leaves as one batch.
//! - *A watermark* has the timers go off that are due, by time, then by key. What they emit leaves in front of the watermark. *A tick* does
//!   the same for timers of processing time.
//! - *A capture* takes the keys that were touched since the last one.
//!
//! A timer may change what is kept of its key, which no row has touched then. So a step with timers, or with a time to live, has all of
//! its keys in memory, and says so by an empty table that every subtask has as a whole. Other steps hold the keys that rows
//! have touched lately.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{
    Batch, Capture, Collector, Distribution, Error, EventTime, OpenContext, Operator, Result, TableSchema, state_column,
};

use crate::process::{Context, Moment};
use crate::record::{Key, Record, Timestamp};
use crate::state::{Clock, State};

use super::output::{Output, Side};
use super::store::{EXPIRY, Store, TimeToLive, hash_of};

/// What is done with rows and timers.
pub(crate) trait Driver: Send + 'static {
    type Key: Key;
    type State: State;
    type Out: Record;

    /// Tables of its own, which every subtask has as a whole.
    fn shared_tables(&self) -> Vec<TableSchema> {
        Vec::new()
    }

    fn load_shared(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let _ = (table, rows, hashes);
        Err(Error::internal("a step without shared state was given some"))
    }

    fn capture_shared(&mut self) -> Vec<Capture> {
        Vec::new()
    }

    /// Rows of input `ordinal`.
    fn rows(
        &mut self,
        ordinal: usize,
        columns: &[ArrayRef],
        store: &mut Store<Self::Key, Self::State>,
        place: (Moment, &mut Output<Self::Out>),
    ) -> Result<()>;

    /// By how many milliseconds the watermark is held back.
    fn watermark_delay(&self) -> i64 {
        0
    }

    /// A timer has gone off.
    fn timer(&mut self, state: &mut Self::State, context: &mut Context<'_, Self::Key, Self::Out>) -> Result<()>;
}

/// Rows with a key each, worked off one after the other.
pub(super) fn each_row<In: Record, K: Key, S: State, Out: Record>(
    columns: &[ArrayRef],
    store: &mut Store<K, S>,
    (moment, output): (Moment, &mut Output<Out>),
    mut process: impl FnMut(In, &mut S, &mut Context<'_, K, Out>) -> Result<()>,
) -> Result<()> {
    let width = K::fields("key").len();
    let (rows, keys) = columns.split_at(columns.len().saturating_sub(width));
    let count = columns.first().map_or(0, |column| column.len());
    let hashes = hash_of(keys, count)?;
    let (rows, keys) = (In::columns_reader(rows, None)?, K::columns_reader(keys, None)?);
    let lives = store.time_to_live();
    let mut slots = [0; LOOKED_UP];
    for (chunk, hashes) in hashes.chunks(LOOKED_UP).enumerate() {
        let first = chunk * LOOKED_UP;
        for ((row, hash), slot) in (first..).zip(hashes).zip(&mut slots) {
            *slot = store.slot(*hash, |key| key.equals(&keys, row), || K::read(&keys, row));
        }
        for (row, slot) in (first..).zip(&slots[..hashes.len()]) {
            let row = In::read(&rows, row);
            let time = row.event_time();
            if let Some(lives) = lives {
                // A row without event time has come no earlier than where event time stands.
                let came = match lives.clock {
                    Clock::Event => time.unwrap_or(moment.watermark),
                    Clock::Processing => moment.now,
                };
                store.extend_life(*slot, came.millis());
            }
            let found = store.touch(*slot);
            process(row, &mut found.state, &mut Context { key: &found.key, time, moment, output })?;
            store.queue_timers(*slot);
        }
    }
    Ok(())
}

/// Rows whose keys are looked up before any of them is worked off, so that the processor waits for the memory of many at a time.
const LOOKED_UP: usize = 64;

/// What a step is beside what it does.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) name: String,
    /// Key columns of each input.
    pub(crate) keys: Vec<Option<Vec<usize>>>,
    pub(crate) time_to_live: Option<TimeToLive>,
}

/// The operator.
pub(crate) struct Keyed<D: Driver> {
    // Fixed by the plan.
    driver: D,
    keys: Vec<Option<Vec<usize>>>,
    // Kept in checkpoints.
    store: Store<D::Key, D::State>,
    // Where it stands.
    output: Output<D::Out>,
    watermark: EventTime,
}

impl<D: Driver> Keyed<D> {
    pub(crate) fn new(driver: D, shape: &Shape, sides: &[Side]) -> Result<Self> {
        let store = Store::new(Distribution::Keyed, shape.time_to_live)?;
        let output = Output::new(&shape.name, sides);
        Ok(Self { driver, keys: shape.keys.clone(), store, output, watermark: EventTime::MIN })
    }

    fn moment(&self, out: &Collector) -> Moment {
        Moment { watermark: Timestamp::from_millis(self.watermark.0), now: Timestamp::from_millis(out.now()) }
    }

    /// Has everything go off that is due. At the end of time, what is set from now on does not.
    fn go_off(&mut self, clock: Clock, time: i64, out: &mut Collector) -> Result<()> {
        let moment = self.moment(out);
        let mut last = Vec::new();
        if time == i64::MAX {
            last.extend(std::iter::from_fn(|| self.store.due(clock, time)));
            if matches!(clock, Clock::Event) {
                last.extend(self.store.due_at_the_end());
            }
            // The end of a life is queued where it was when the key was new.
            last.iter_mut().for_each(|due| self.store.put_off(due));
            last.sort_unstable();
        }
        let is_last = !last.is_empty();
        let mut last = last.into_iter();
        while let Some(due) = if is_last { last.next() } else { self.store.due(clock, time) } {
            if due.item == EXPIRY {
                self.store.expire(due);
                continue;
            }
            if !self.store.fire(due) {
                continue;
            }
            let slot = self.store.touch(due.slot);
            let time = Some(Timestamp::from_millis(due.time));
            let mut context = Context { key: &slot.key, time, moment, output: &mut self.output };
            self.driver.timer(&mut slot.state, &mut context)?;
            self.store.end_fire(due)?;
            self.store.queue_timers(due.slot);
        }
        self.output.send(self.watermark, out)
    }
}

/// The name of a table without rows.
pub(crate) const IN_MEMORY: &str = "(in memory)";

/// The table that says that all keys have to be in memory. It has no rows.
pub(super) fn in_memory() -> TableSchema {
    let column = state_column::with_id(Field::new("none", DataType::Boolean, false), 1);
    TableSchema {
        name: IN_MEMORY.to_owned(),
        version: 1,
        schema: Arc::new(Schema::new(vec![column])),
        key_columns: 1,
        time_column: None,
        distribution: Distribution::Broadcast,
    }
}

impl<D: Driver> Operator for Keyed<D> {
    fn tables(&self) -> Vec<TableSchema> {
        let mut tables = self.store.tables().to_vec();
        tables.extend(self.driver.shared_tables());
        if self.store.has_timers() {
            tables.push(in_memory());
        }
        tables
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        match table.checked_sub(self.store.tables().len()) {
            None => self.store.load(table, rows, hashes),
            Some(shared) => self.driver.load_shared(shared, rows, hashes),
        }
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.store.evict(leaves);
        Ok(vec![EventTime::MAX; self.tables().len()])
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        self.keys.get(ordinal)?.as_deref()
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        if records.num_rows() == 0 {
            return Ok(());
        }
        let moment = self.moment(out);
        self.driver.rows(ordinal, records.columns(), &mut self.store, (moment, &mut self.output))?;
        self.output.send(self.watermark, out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        // After a restart the end of time is told again. What was set at the end did not go off then, and does not now.
        let was_over = std::mem::replace(&mut self.watermark, time) == EventTime::MAX;
        if !was_over {
            self.go_off(Clock::Event, time.0, out)?;
        }
        Ok(Some(if time == EventTime::MAX {
            time
        } else {
            EventTime(time.0.saturating_sub(self.driver.watermark_delay()))
        }))
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.go_off(Clock::Processing, out.now(), out)?;
        Ok(None)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let mut captures = self.store.capture();
        captures.extend(self.driver.capture_shared());
        if self.store.has_timers() {
            captures.push(Capture::unchanged(None));
        }
        Ok(captures)
    }

    fn state_bytes(&self) -> usize {
        self.store.bytes()
    }
}
