//! An operator whose calls go to a child, and are waited for.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::Waker;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use serde::de::DeserializeOwned;
use weir_core::{
    Batch, Capture, CapturedRows, Collector, Error, EventTime, OpenContext, Operator, Outstanding, Result, StateRows,
    TableSchema,
};

use super::lease::{Lease, Outcome, Rows};
use super::protocol::{Bound, Call, Captured, Stream};
use super::waiting;

/// An operator in a child.
pub struct IsolatedOperator {
    lease: Arc<Lease>,
    tables: Vec<TableSchema>,
    /// How it stood behind the last call, as with the bytes of its state.
    outstanding: Outstanding,
    state_bytes: Cell<usize>,
    /// What went wrong in a call that cannot fail, until one that can.
    failed: RefCell<Option<Error>>,
}

impl IsolatedOperator {
    /// The operator that a child has made, which has these tables.
    pub(super) fn new(lease: Lease, made: Outcome<Vec<TableSchema>>) -> Self {
        let Outcome { value: tables, outstanding, state_bytes, .. } = made;
        let state_bytes = Cell::new(state_bytes);
        Self { lease: Arc::new(lease), tables, outstanding, state_bytes, failed: RefCell::default() }
    }

    /// A call that emits nothing and changes nothing of what is outstanding.
    fn ask<T: DeserializeOwned>(&self, call: &Call, rows: Option<Rows<'_>>) -> Result<T> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)?;
        let outcome = waiting(|| self.lease.call(call, rows, &mut |_, _| ()))?;
        self.state_bytes.set(outcome.state_bytes);
        Ok(outcome.value)
    }

    /// A call that may emit.
    fn call<T: DeserializeOwned>(&mut self, call: &Call, rows: Option<Rows<'_>>, out: &mut Collector) -> Result<T> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)?;
        let mut emitted = Vec::new();
        let outcome = waiting(|| self.lease.call(call, rows, &mut |port, batch| emitted.push((port, batch))))?;
        emitted.into_iter().for_each(|(port, batch)| out.emit_to(port, batch));
        out.count_late(usize::try_from(outcome.late).unwrap_or(usize::MAX));
        self.outstanding = outcome.outstanding;
        self.state_bytes.set(outcome.state_bytes);
        Ok(outcome.value)
    }

    fn bound(&self, which: Bound, table: usize, time: EventTime) -> Option<EventTime> {
        self.ask(&Call::Bound { which, table, time }, None).unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            None
        })
    }

    /// The key hashes of rows that it holds.
    fn hashes(&mut self) -> Result<UInt64Array> {
        let mut hashes = Vec::new();
        waiting(|| self.lease.call::<()>(&Call::Hashes, None, &mut |_, batch| hashes.push(batch)))?;
        let Some(batch) = hashes.pop() else { return Ok(UInt64Array::from(Vec::<u64>::new())) };
        let columns = batch.records().columns();
        let column = columns.first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
        column.cloned().ok_or_else(|| Error::environment("a plugin's process has sent no hashes"))
    }
}

impl Drop for IsolatedOperator {
    fn drop(&mut self) {
        self.lease.child().later.wake(None);
        self.lease.end(&Call::Drop);
    }
}

/// Captured rows that are in the child, until they are made or dropped.
struct Kept {
    lease: Arc<Lease>,
    number: u64,
    schema: SchemaRef,
    made: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.made {
            self.lease.child().later.forget(self.number);
        }
    }
}

impl Kept {
    fn make(mut self) -> Result<Vec<StateRows>> {
        self.made = true;
        let mut pieces = Vec::new();
        let (child, schema) = (self.lease.child(), &self.schema);
        let made = child.later.make(self.number, |rows, deletes| {
            pieces.push(piece(rows, deletes, schema)?);
            Ok(())
        });
        match made? {
            Some(()) => Ok(pieces),
            None => Err(child.process.why(Error::environment("captured rows were not made"))),
        }
    }
}

/// Rows of a table, behind whose columns stand their hashes, and maybe whether they are gone.
fn piece(rows: Batch, deletes: bool, schema: &SchemaRef) -> Result<StateRows> {
    let broken = || Error::environment("captured rows of a plugin are not those of its table");
    let rows = rows.into_appended()?;
    let (mut columns, length) = (rows.columns().to_vec(), rows.num_rows());
    let deleted = match deletes {
        false => None,
        true => {
            let column = columns.pop().ok_or_else(broken)?;
            Some(column.as_boolean_opt().ok_or_else(broken)?.clone())
        }
    };
    let hashes = columns.pop().ok_or_else(broken)?.as_primitive_opt::<UInt64Type>().ok_or_else(broken)?.clone();
    let options = RecordBatchOptions::new().with_row_count(Some(length));
    let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| broken().with_source(error))?;
    Ok(StateRows { rows, hashes, deleted })
}

/// Rows with further columns behind them.
pub(super) fn with_columns(rows: &RecordBatch, behind: Vec<(DataType, ArrayRef)>) -> Result<Batch> {
    let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    for (data_type, column) in behind {
        fields.push(Arc::new(Field::new("", data_type, true)));
        columns.push(column);
    }
    Ok(Batch::append(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?))
}

/// Hashes as rows.
pub(super) fn of_hashes(hashes: UInt64Array) -> Result<Batch> {
    let rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
    with_columns(&rows, vec![(DataType::UInt64, Arc::new(hashes))])
}

impl Operator for IsolatedOperator {
    fn tables(&self) -> Vec<TableSchema> {
        self.tables.clone()
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.ask(&Call::Open(context.clone()), None)
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let rows = with_columns(rows, vec![(DataType::UInt64, Arc::new(hashes.clone()))])?;
        self.ask(&Call::Load { table }, Some((Stream::Table(table), &rows)))
    }

    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.bound(Bound::Expired, table, watermark)
    }

    fn due(&self, table: usize, time: EventTime) -> Option<EventTime> {
        self.bound(Bound::Due, table, time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.bound(Bound::Settled, table, watermark)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        // In two steps: to ask about each would take a call of this process for each.
        let hashes: UInt64Array = self.hashes()?.values().iter().copied().filter(|hash| leaves(*hash)).collect();
        self.ask(&Call::Evict, Some((Stream::Hashes, &of_hashes(hashes)?)))
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let now = out.now();
        self.call(&Call::Process { ordinal, now }, Some((Stream::Input(ordinal), &batch)), out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.call(&Call::Watermark { time, now: out.now() }, None, out)
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.call(&Call::Tick { now: out.now() }, None, out)
    }

    fn outstanding(&self) -> Outstanding {
        self.outstanding
    }

    fn wake_by(&mut self, waker: &Waker) -> Result<()> {
        self.lease.child().later.wake(Some(waker.clone()));
        // What waits in the state is asked for now.
        self.call(&Call::WakeBy, None, &mut Collector::new(0))
    }

    fn answers(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.call(&Call::Answers { now: out.now() }, None, out)
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        self.call(&Call::Release { now: out.now() }, None, out)
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        self.call(&Call::Flush { now: out.now() }, None, out)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let captured: Vec<Captured> = self.ask(&Call::Capture, None)?;
        let kept = captured.into_iter().zip(&self.tables).map(|(Captured { number, expired }, table)| {
            let kept = Kept { lease: self.lease.clone(), number, schema: table.schema.clone(), made: false };
            Capture { rows: Box::new(move || kept.make()) as CapturedRows, expired }
        });
        Ok(kept.collect())
    }

    fn state_bytes(&self) -> usize {
        self.state_bytes.get()
    }
}
