//! An operator behind the boundary.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::Arc;
use std::task::Waker;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::OperatorRequest;
use weir_core::{
    Batch, Capture, CapturedRows, Collector, Error, EventTime, OpenContext, Operator, OutputPort, Outstanding, Result,
    StateRows, TableSchema,
};

use super::library::{Inner, holding, json};
use crate::guest::{Context, DUE, EXPIRED, FULL, SETTLED, SOME, columns, port};
use crate::panics::caught;
use crate::raw::{Answer, Handle, Lent, OptionTime, Outputs, Pieces};
use crate::rows::{export_batch, exported, fields, import_batch, imported, records};

/// An operator of a plugin that was loaded.
pub struct Remote {
    plugin: Arc<Inner>,
    operator: Handle,
    request: OperatorRequest,
    tables: Vec<TableSchema>,
    /// What the operator wakes. It stays where it is until the operator is gone.
    waker: Option<Box<Waker>>,
    /// What went wrong in a call that cannot fail, until one that can.
    failed: RefCell<Option<Error>>,
}

// SAFETY: operators are `Send`, and so is what the handle stands for.
unsafe impl Send for Remote {}

impl Drop for Remote {
    fn drop(&mut self) {
        (self.plugin.functions().drop_operator)(self.operator);
    }
}

impl Remote {
    /// The operator with this handle.
    ///
    /// # Errors
    /// If it cannot say what state it keeps.
    pub fn new(plugin: Arc<Inner>, operator: Handle, request: OperatorRequest) -> Result<Self> {
        let mut remote =
            Self { plugin, operator, request, tables: Vec::new(), waker: None, failed: RefCell::default() };
        remote.tables = remote.plugin.asked(|answer| (remote.plugin.functions().tables)(operator, answer))?;
        Ok(remote)
    }

    /// A call that may emit.
    fn call<T>(&self, out: &mut Collector, call: impl FnOnce(*const Outputs, *mut Answer) -> T) -> Result<T> {
        self.check()?;
        let (mut emitted, mut answer) =
            (Emitted { remote: self, rows: Vec::new(), late: 0, error: None }, Answer::empty());
        let context: *mut Emitted<'_> = &mut emitted;
        let outputs = Outputs { context: context.cast(), rows: take_rows, late: take_late };
        let value = call(&outputs, &mut answer);
        answer.into_result()?;
        if let Some(error) = emitted.error {
            return Err(error);
        }
        out.count_late(usize::try_from(emitted.late).unwrap_or(usize::MAX));
        emitted.rows.into_iter().for_each(|(port, batch)| out.emit_to(port, batch));
        Ok(value)
    }

    fn bound(&self, which: u32, table: usize, time: EventTime) -> Option<EventTime> {
        let mut answer = Answer::empty();
        let bound = (self.plugin.functions().bound)(self.operator, which, table, time.0, &mut answer);
        match answer.into_result() {
            Ok(_) => bound.into(),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                None
            }
        }
    }

    /// What went wrong before.
    fn check(&self) -> Result<()> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn table(&self, table: usize) -> Result<&TableSchema> {
        self.tables.get(table).ok_or_else(|| Error::internal("a plugin's operator has no such table"))
    }
}

/// What a call has emitted so far.
struct Emitted<'a> {
    remote: &'a Remote,
    rows: Vec<(OutputPort, Batch)>,
    late: u64,
    error: Option<Error>,
}

impl Emitted<'_> {
    fn take(&mut self, number: u32, weighted: bool, rows: FFI_ArrowArray) -> Result<()> {
        let output = port(number).and_then(|port| Some((port, columns(&self.remote.request, port)?)));
        let (port, schema) = output.ok_or_else(|| Error::user(format!("a plugin has no output {number}")))?;
        // SAFETY: the guest has compared them with what it has declared.
        let batch = unsafe { import_batch(holding(rows, self.remote.plugin.clone()), &schema, weighted) }?;
        self.rows.push((port, batch));
        Ok(())
    }
}

extern "C" fn take_rows(context: *mut c_void, number: u32, weighted: bool, rows: *mut FFI_ArrowArray) {
    // SAFETY: `call` waits for the plugin, which hands the rows over.
    let (emitted, rows) = unsafe { (&mut *context.cast::<Emitted<'_>>(), FFI_ArrowArray::from_raw(rows)) };
    if let Err(error) = caught("emitting", || emitted.take(number, weighted, rows)) {
        emitted.error.get_or_insert(error);
    }
}

extern "C" fn take_late(context: *mut c_void, rows: u64) {
    // SAFETY: as in `take_rows`.
    unsafe { (*context.cast::<Emitted<'_>>()).late += rows };
}

extern "C" fn wake(context: *const c_void) {
    // SAFETY: `Remote::wake_by` has lent it for as long as the operator is there.
    let waker = unsafe { &*context.cast::<Waker>() };
    // That cannot be told to anyone.
    let _ = caught("waking", || {
        waker.wake_by_ref();
        Ok(())
    });
}

extern "C" fn leaves(context: *const c_void, hash: u64) -> bool {
    // SAFETY: `evict` waits for the plugin.
    let leaves = unsafe { *context.cast::<&dyn Fn(u64) -> bool>() };
    // What cannot be told stays.
    caught("evicting", || Ok(leaves(hash))).unwrap_or(false)
}

extern "C" fn take_capture(context: *mut c_void, rows: Handle, expired: OptionTime) {
    // SAFETY: `capture` waits for the plugin.
    let captures = unsafe { &mut *context.cast::<Vec<(Handle, OptionTime)>>() };
    captures.push((rows, expired));
}

/// Rows that a plugin has captured and not made yet.
struct Kept {
    plugin: Arc<Inner>,
    rows: Handle,
    schema: SchemaRef,
}

// SAFETY: captured rows are `Send`, and so is what the handle stands for.
unsafe impl Send for Kept {}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.rows.is_null() {
            (self.plugin.functions().drop_rows)(self.rows);
        }
    }
}

/// Pieces of captured rows so far.
struct Made<'a> {
    kept: &'a Kept,
    pieces: Vec<StateRows>,
    error: Option<Error>,
}

impl Made<'_> {
    fn take(&mut self, deletes: bool, rows: FFI_ArrowArray) -> Result<()> {
        let behind: &[DataType] = if deletes { &[DataType::UInt64, DataType::Boolean] } else { &[DataType::UInt64] };
        let schema = &self.kept.schema;
        // SAFETY: the guest has compared them with its table.
        let (mut columns, length) =
            unsafe { imported(holding(rows, self.kept.plugin.clone()), fields(schema, behind)) }?;
        let deleted = deletes.then(|| columns.pop()).flatten().map(|column| column.as_boolean().clone());
        let hashes = columns.pop().ok_or_else(|| Error::internal("captured rows without hashes"))?;
        let hashes: UInt64Array = hashes.as_primitive().clone();
        self.pieces.push(StateRows { rows: records(schema, columns, length)?, hashes, deleted });
        Ok(())
    }
}

extern "C" fn take_piece(context: *mut c_void, deletes: bool, rows: *mut FFI_ArrowArray) {
    // SAFETY: `make` waits for the plugin, which hands the rows over.
    let (made, rows) = unsafe { (&mut *context.cast::<Made<'_>>(), FFI_ArrowArray::from_raw(rows)) };
    if let Err(error) = caught("capturing", || made.take(deletes, rows)) {
        made.error.get_or_insert(error);
    }
}

impl Kept {
    fn make(mut self) -> Result<Vec<StateRows>> {
        let rows = std::mem::replace(&mut self.rows, std::ptr::null_mut());
        let (mut made, mut answer) = (Made { kept: &self, pieces: Vec::new(), error: None }, Answer::empty());
        let context: *mut Made<'_> = &mut made;
        let pieces = Pieces { context: context.cast(), rows: take_piece };
        (self.plugin.functions().make_rows)(rows, &pieces, &mut answer);
        answer.into_result()?;
        made.error.map_or(Ok(made.pieces), Err)
    }
}

impl Operator for Remote {
    fn tables(&self) -> Vec<TableSchema> {
        self.tables.clone()
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        let (context, mut answer) = (json(&Context::from(context))?, Answer::empty());
        (self.plugin.functions().open)(self.operator, Lent::new(&context), &mut answer);
        answer.into_result().map(drop)
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let schema = self.table(table)?.schema.clone();
        let behind = Field::new("", DataType::UInt64, true);
        let mut columns: Vec<(&Field, ArrayRef)> =
            schema.fields().iter().map(AsRef::as_ref).zip(rows.columns().iter().cloned()).collect();
        columns.push((&behind, Arc::new(hashes.clone())));
        let (mut array, mut answer) = (exported(columns, rows.num_rows())?, Answer::empty());
        (self.plugin.functions().load)(self.operator, table, &mut array, &mut answer);
        answer.into_result().map(drop)
    }

    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.bound(EXPIRED, table, watermark)
    }

    fn due(&self, table: usize, time: EventTime) -> Option<EventTime> {
        self.bound(DUE, table, time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.bound(SETTLED, table, watermark)
    }

    fn evict(&mut self, which: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let context: *const &dyn Fn(u64) -> bool = &which;
        let call = |answer| (self.plugin.functions().evict)(self.operator, leaves, context.cast(), answer);
        let least: Vec<i64> = self.plugin.asked(call)?;
        Ok(least.into_iter().map(EventTime).collect())
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let (mut rows, weighted) = export_batch(&batch)?;
        let (process, now) = (self.plugin.functions().process, out.now());
        self.call(out, |outputs, answer| process(self.operator, ordinal, weighted, &mut rows, now, outputs, answer))
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        let (watermark, now) = (self.plugin.functions().watermark, out.now());
        self.call(out, |outputs, answer| watermark(self.operator, time.0, now, outputs, answer)).map(Into::into)
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        let (tick, now) = (self.plugin.functions().tick, out.now());
        self.call(out, |outputs, answer| tick(self.operator, now, outputs, answer)).map(Into::into)
    }

    fn outstanding(&self) -> Outstanding {
        match (self.plugin.functions().outstanding)(self.operator) {
            SOME => Outstanding::Some,
            FULL => Outstanding::Full,
            _ => Outstanding::None,
        }
    }

    fn wake_by(&mut self, waker: &Waker) -> Result<()> {
        let waker = &**self.waker.insert(Box::new(waker.clone()));
        let (context, mut answer) = (std::ptr::from_ref(waker).cast(), Answer::empty());
        (self.plugin.functions().wake_by)(self.operator, wake, context, &mut answer);
        answer.into_result().map(drop)
    }

    fn answers(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        let (answers, now) = (self.plugin.functions().answers, out.now());
        self.call(out, |outputs, answer| answers(self.operator, now, outputs, answer)).map(Into::into)
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        let (release, now) = (self.plugin.functions().release, out.now());
        self.call(out, |outputs, answer| release(self.operator, now, outputs, answer))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        let (flush, now) = (self.plugin.functions().flush, out.now());
        self.call(out, |outputs, answer| flush(self.operator, now, outputs, answer))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.check()?;
        let (mut captures, mut answer) = (Vec::<(Handle, OptionTime)>::new(), Answer::empty());
        let context: *mut Vec<(Handle, OptionTime)> = &mut captures;
        (self.plugin.functions().capture)(self.operator, take_capture, context.cast(), &mut answer);
        let plugin = &self.plugin;
        let kept = captures.into_iter().zip(&self.tables).map(|((rows, expired), table)| {
            let kept = Kept { plugin: plugin.clone(), rows, schema: table.schema.clone() };
            Capture { rows: Box::new(move || kept.make()) as CapturedRows, expired: expired.into() }
        });
        let kept = kept.collect();
        answer.into_result().map(|_| kept)
    }

    fn state_bytes(&self) -> usize {
        (self.plugin.functions().state_bytes)(self.operator)
    }
}
