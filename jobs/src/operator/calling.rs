//! A step whose rows wait for calls.
//!
//! - *A batch*: its rows are put behind those that are in flight; as many calls are begun as there may be at once. With rows left that have none,
//!   nothing more is taken.
//! - *Answers*: what has returned is emitted, in its order if there is one, and calls are begun for the rows that waited.
//! - *A watermark* leaves when all rows that came in front of it have left.
//! - *A capture* takes the rows in flight, each once, and those that have left since they were captured.
//!
//! In a checkpoint each row has a number, whose hash belongs to the subtask: numbers of others are passed over. So the rows come back
//! to the same subtask, in their order, and are spread over all of them at another parallelism.

mod attempts;
mod runner;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use weir_core::{
    Batch, Capture, Collector, Distribution, Error, EventTime, HashRange, OpenContext, Operator, Outstanding, Result,
    TableSchema,
};

use self::attempts::{Policy, Returned};
use self::runner::Runner;
use super::keyed::in_memory;
use super::output::{Output, Side, Sides};
use super::store::hash_of;
use super::tables::{Changes, table};
use crate::calls::{CallFailure, Calls};
use crate::record::{Column, Record};
use crate::state::ValueState;
use crate::state::parts::Declaration;

pub(crate) use self::attempts::{CallFunction, CallFuture};

/// Writes the row of a side output for one whose call has failed.
pub(crate) type FailureRow<R> = Arc<dyn Fn(R, &CallFailure, &mut Sides) + Send + Sync>;

/// The table of rows in flight.
const IN_FLIGHT: &str = "in flight";

/// So many rows behind one whose call takes long, at least, are taken.
const MOST: usize = 8192;

/// A row, from when it comes to when it leaves.
struct Flight<R, T> {
    /// What it is known as in checkpoints.
    id: u64,
    hash: u64,
    /// Empty once its call has returned.
    row: ValueState<R>,
    /// Whether a checkpoint has it.
    is_stored: bool,
    place: Place<T>,
}

enum Place<T> {
    Waiting,
    Called,
    Returned(Returned<T>),
    Gone,
}

/// The operator.
pub(crate) struct Calling<R: Record, T: Record> {
    // Fixed by the plan.
    name: String,
    calls: Arc<Calls<R>>,
    function: Option<CallFunction<R, T>>,
    declaration: Declaration,
    table: TableSchema,
    range: HashRange,
    // Kept in checkpoints.
    flights: VecDeque<Flight<R, T>>,
    /// Rows that a checkpoint has and that have left since.
    left: Vec<(u64, u64, ValueState<R>)>,
    // Where it stands.
    runner: Option<Runner<R, T>>,
    /// The number of the first flight, from the start of this execution.
    first: u64,
    /// How many flights, from the first on, have a call or had one.
    begun: usize,
    /// How many calls are under way.
    under_way: usize,
    next_id: u64,
    /// Watermarks, each with the number of the first row that came behind it.
    watermarks: VecDeque<(u64, EventTime)>,
    output: Output<T>,
    watermark: EventTime,
}

impl<R: Record + Clone, T: Record> Calling<R, T> {
    pub(crate) fn new(name: &str, calls: Arc<Calls<R>>, function: CallFunction<R, T>, sides: &[Side]) -> Result<Self> {
        let declaration = Declaration::of::<ValueState<R>>(IN_FLIGHT);
        let table = table::<u64>(&declaration, Distribution::Keyed)?;
        Ok(Self {
            name: name.to_owned(),
            calls,
            function: Some(function),
            declaration,
            table,
            range: HashRange::ALL,
            flights: VecDeque::new(),
            left: Vec::new(),
            runner: None,
            first: 0,
            begun: 0,
            under_way: 0,
            next_id: 0,
            watermarks: VecDeque::new(),
            output: Output::new(name, sides),
            watermark: EventTime::MIN,
        })
    }

    /// So many numbers that are the subtask's, with their hashes.
    fn ids(&mut self, count: usize) -> Result<Vec<(u64, u64)>> {
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let tried = (count - ids.len()).max(64) as u64;
            let column: ArrayRef =
                Arc::new(UInt64Array::from_iter_values(self.next_id..self.next_id.wrapping_add(tried)));
            let hashes = hash_of(&[column], tried as usize)?;
            for (id, hash) in (self.next_id..).zip(hashes) {
                if ids.len() < count {
                    self.next_id = id + 1;
                    if self.range.contains(hash) {
                        ids.push((id, hash));
                    }
                }
            }
        }
        Ok(ids)
    }

    /// Begins as many calls as there may be.
    fn begin(&mut self) {
        let Some(runner) = &mut self.runner else { return };
        let mut rows = Vec::new();
        while self.begun < self.flights.len() {
            // In order, what has returned and waits for its turn takes room too.
            let at_once = if self.calls.is_ordered { self.begun } else { self.under_way };
            if at_once >= self.calls.at_once {
                break;
            }
            let number = self.first + self.begun as u64;
            let flight = &mut self.flights[self.begun];
            if let Some(row) = flight.row.get() {
                rows.push((number, row.clone()));
            }
            flight.place = Place::Called;
            self.begun += 1;
            self.under_way += 1;
        }
        runner.begin(rows);
    }

    /// The row leaves.
    fn leave(&mut self, position: usize, returned: Returned<T>) -> Result<()> {
        let flight = &mut self.flights[position];
        flight.place = Place::Gone;
        let row = flight.row.take();
        if std::mem::take(&mut flight.is_stored) {
            self.left.push((flight.id, flight.hash, std::mem::take(&mut flight.row)));
        }
        match (returned, &self.calls.failures) {
            (Returned::Rows(rows), _) => rows.iter().for_each(|row| self.output.emit(row)),
            (Returned::Failed(failure), Some((_, write))) => {
                if let Some(row) = row {
                    write(row, &failure, self.output.sides());
                }
            }
            (Returned::Failed(CallFailure { error, attempts }), None) => {
                let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                return Err(error.context(format!("a call of step '{}' was tried {times} and has failed", self.name)));
            }
            (Returned::Broken(error), _) => return Err(error),
        }
        Ok(())
    }

    /// Takes what has returned.
    fn land(&mut self) -> Result<()> {
        let returned = self.runner.as_ref().map(Runner::take).unwrap_or_default();
        for (number, returned) in returned {
            if let Returned::Broken(error) = returned {
                return Err(error);
            }
            let position = (number - self.first) as usize;
            self.under_way -= 1;
            match self.calls.is_ordered {
                true => self.flights[position].place = Place::Returned(returned),
                false => self.leave(position, returned)?,
            }
        }
        while let Some(flight) = self.flights.front_mut() {
            match std::mem::replace(&mut flight.place, Place::Gone) {
                Place::Returned(returned) => self.leave(0, returned)?,
                Place::Gone => {}
                place => {
                    flight.place = place;
                    break;
                }
            }
            self.flights.pop_front();
            self.first += 1;
            self.begun -= 1;
        }
        Ok(())
    }
}

impl<R: Record + Clone, T: Record> Operator for Calling<R, T> {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.table.clone(), in_memory()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        (self.range, self.watermark) = (context.range, context.watermark);
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        if table > 0 {
            return Ok(());
        }
        let (ids, values) = rows.columns().split_at(u64::fields("key").len().min(rows.num_columns()));
        let ids = ids.first().and_then(|ids| ids.as_primitive_opt::<UInt64Type>());
        let ids = ids.ok_or_else(|| Error::internal("rows in flight came without their numbers"))?;
        let flights = ids.values().iter().zip(hashes.values()).map(|(id, hash)| Flight {
            id: *id,
            hash: *hash,
            row: ValueState::default(),
            is_stored: true,
            place: Place::Waiting,
        });
        let mut flights: Vec<Flight<R, T>> = flights.collect();
        (self.declaration.load)(values, rows.num_rows(), &mut |row, visit| visit(&mut flights[row].row))?;
        self.flights.extend(flights);
        self.flights.make_contiguous().sort_by_key(|flight| flight.id);
        self.next_id = self.flights.back().map_or(0, |last| last.id + 1);
        Ok(())
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        let reader = R::columns_reader(records.columns(), None)?;
        for (row, (id, hash)) in self.ids(records.num_rows())?.into_iter().enumerate() {
            let mut value = ValueState::default();
            value.set(R::read(&reader, row));
            self.flights.push_back(Flight { id, hash, row: value, is_stored: false, place: Place::Waiting });
        }
        self.begin();
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        if self.flights.is_empty() {
            return Ok(Some(time));
        }
        let behind = self.first + self.flights.len() as u64;
        match self.watermarks.back_mut() {
            Some((number, last)) if *number == behind => *last = time,
            _ => self.watermarks.push_back((behind, time)),
        }
        Ok(None)
    }

    /// Rows that have left in front of others stay in the queue until the first has: its call is under way, so there is room again when it returns.
    fn outstanding(&self) -> Outstanding {
        match self.flights.len() {
            0 => Outstanding::None,
            some if self.begun < some || some >= MOST.max(self.calls.at_once.saturating_mul(16)) => Outstanding::Full,
            _ => Outstanding::Some,
        }
    }

    fn wake_by(&mut self, waker: &Waker) -> Result<()> {
        let calls = &self.calls;
        let policy =
            Policy { step: self.name.clone(), timeout: calls.timeout, retries: calls.retries, backoff: calls.backoff };
        // The function ends with the thread: what is in it is of its runtime.
        if let Some(function) = self.function.take() {
            self.runner = Some(Runner::start(&self.name, function, policy, waker)?);
        }
        self.begin();
        Ok(())
    }

    fn answers(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.land()?;
        self.begin();
        self.output.send(self.watermark, out)?;
        let mut onward = None;
        while let Some((number, time)) = self.watermarks.front().filter(|(number, _)| *number <= self.first) {
            debug_assert!(*number <= self.first + self.flights.len() as u64, "a watermark came behind rows that did");
            onward = Some(*time);
            self.watermarks.pop_front();
        }
        Ok(onward)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let mut changes = Changes::<u64>::new(&self.declaration, &self.table);
        for (id, hash, mut row) in self.left.drain(..) {
            changes.take(&id, hash, &mut row);
        }
        let in_flight = self.flights.iter_mut().filter(|flight| !flight.is_stored && flight.row.is_set());
        for flight in in_flight {
            changes.take(&flight.id, flight.hash, &mut flight.row);
            flight.is_stored = true;
        }
        let rows = Capture { rows: Box::new(|| changes.rows()), expired: None };
        Ok(vec![rows, Capture::unchanged(None)])
    }

    fn state_bytes(&self) -> usize {
        (self.flights.len() + self.left.len()) * size_of::<Flight<R, T>>()
    }
}
