//! The plugin's side: the functions that a file exports, over any [`Plugin`].
//!
//! [`export_plugin!`](crate::export_plugin) puts the one symbol into a `cdylib`:
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use weir_core::plugin::{JobDescription, OperatorRequest, Plugin, PluginInfo};
//! # use weir_core::{Error, Operator, Result};
//! struct Nothing;
//!
//! impl Plugin for Nothing {
//!     fn info(&self) -> PluginInfo {
//!         PluginInfo { name: "nothing".into(), version: "1.0.0".into() }
//!     }
//!
//!     fn job(&self, arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
//!         Ok(JobDescription::default())
//!     }
//!
//!     fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
//!         Err(Error::user(format!("there is no operator `{}`", request.operator)))
//!     }
//! }
//!
//! weir_plugin_abi::export_plugin!(Nothing);
//! ```

pub(crate) mod exports;
pub(crate) mod tables;

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::ffi::FFI_ArrowArray;
use serde::{Deserialize, Serialize};
use weir_core::plugin::{OperatorRequest, Plugin};
use weir_core::{
    CapturedRows, Collector, Error, EventTime, HashRange, OpenContext, Operator, OutputPort, Outstanding, Result,
    StateRows, TableSchema,
};

use crate::errors::answer;
use crate::panics::{self, caught};
use crate::raw::{Answer, Descriptor, Functions, Handle, Lent, OptionTime, Outputs, Pieces};
use crate::rows::{export_batch, exported, fields, import_batch, imported, records};
use crate::{ABI_VERSION, SDK_VERSION};

/// Makes the plugin that `$plugin` is, an expression, the one of this `cdylib`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:expr) => {
        const _: () = {
            extern "C" fn create(answer: *mut $crate::Answer) -> $crate::Handle {
                $crate::guest::create(answer, || ::std::boxed::Box::new($plugin))
            }

            static DESCRIPTOR: $crate::Descriptor = $crate::guest::descriptor(create);

            #[unsafe(no_mangle)]
            extern "C" fn weir_plugin() -> *const $crate::Descriptor {
                &DESCRIPTOR
            }
        };
    };
}

/// What a file says of itself whose plugin is made by `create`.
pub const fn descriptor(create: extern "C" fn(*mut Answer) -> Handle) -> Descriptor {
    Descriptor {
        abi: ABI_VERSION,
        unwinds: cfg!(panic = "unwind"),
        sdk: Lent::new(SDK_VERSION.as_bytes()),
        architecture: Lent::new(std::env::consts::ARCH.as_bytes()),
        system: Lent::new(std::env::consts::OS.as_bytes()),
        functions: Functions {
            create,
            destroy,
            info,
            job,
            operator,
            drop_operator,
            tables,
            open,
            load,
            bound,
            evict,
            process,
            watermark,
            tick,
            outstanding,
            wake_by,
            answers,
            release,
            flush,
            capture,
            make_rows,
            drop_rows,
            state_bytes,
        },
        exports: exports::EXPORTS,
        tables: tables::TABLES,
    }
}

/// Plugins of this file that there are.
static PLUGINS: AtomicUsize = AtomicUsize::new(0);

/// Makes the plugin. For [`export_plugin!`](crate::export_plugin) alone.
pub fn create(told: *mut Answer, make: impl FnOnce() -> Box<dyn Plugin>) -> Handle {
    if PLUGINS.fetch_add(1, Ordering::SeqCst) == 0 {
        panics::keep();
    }
    let made = answer(told, "its constructor", || Ok((make(), Vec::new())));
    made.map_or(std::ptr::null_mut(), |plugin| Box::into_raw(Box::new(plugin)).cast())
}

extern "C" fn destroy(plugin: Handle) {
    if !plugin.is_null() {
        // SAFETY: `create` has made it, and nothing is called with it any more.
        let plugin = unsafe { Box::from_raw(plugin.cast::<Box<dyn Plugin>>()) };
        ended(plugin);
    }
    if PLUGINS.fetch_sub(1, Ordering::SeqCst) == 1 {
        panics::forget();
    }
}

/// # Safety
/// `create` has made it, and it was not destroyed.
unsafe fn plugin<'a>(plugin: Handle) -> &'a dyn Plugin {
    // SAFETY: the caller promises it.
    unsafe { &**plugin.cast::<Box<dyn Plugin>>() }
}

extern "C" fn info(handle: Handle, told: *mut Answer) {
    answer(told, "what it is called", || {
        // SAFETY: the host keeps the plugin for as long as it calls it.
        let plugin = unsafe { plugin(handle) };
        Ok(((), json(&plugin.info())?))
    });
}

extern "C" fn job(handle: Handle, arguments: Lent, told: *mut Answer) {
    answer(told, "the description of its job", || {
        // SAFETY: as in `info`; the arguments are lent for this call.
        let (plugin, arguments) = unsafe { (plugin(handle), arguments.bytes()) };
        let arguments: BTreeMap<String, String> = read(arguments)?;
        Ok(((), json(&plugin.job(&arguments)?)?))
    });
}

/// An operator, and what its rows look like.
struct Guest {
    operator: Box<dyn Operator>,
    request: OperatorRequest,
    tables: Vec<TableSchema>,
}

extern "C" fn operator(handle: Handle, request: Lent, told: *mut Answer) -> Handle {
    let made = answer(told, "making an operator", || {
        // SAFETY: as in `job`.
        let (plugin, request) = unsafe { (plugin(handle), request.bytes()) };
        let request: OperatorRequest = read(request)?;
        let operator = plugin.operator(&request)?;
        let tables = operator.tables();
        Ok((Guest { operator, request, tables }, Vec::new()))
    });
    made.map_or(std::ptr::null_mut(), |guest| Box::into_raw(Box::new(guest)).cast())
}

extern "C" fn drop_operator(operator: Handle) {
    if !operator.is_null() {
        // SAFETY: `operator` has made it, and nothing is called with it any more.
        let guest = unsafe { Box::from_raw(operator.cast::<Guest>()) };
        ended(guest);
    }
}

/// # Safety
/// `operator` has made it, and there is no other call with it at this time.
unsafe fn guest<'a>(operator: Handle) -> &'a mut Guest {
    // SAFETY: the caller promises it.
    unsafe { &mut *operator.cast::<Guest>() }
}

extern "C" fn tables(operator: Handle, told: *mut Answer) {
    answer(told, "`tables`", || {
        // SAFETY: the host has one thread in an operator at a time.
        let guest = unsafe { guest(operator) };
        Ok(((), json(&guest.tables)?))
    });
}

/// [`OpenContext`] on its way.
#[derive(Serialize, Deserialize)]
pub(crate) struct Context {
    first: u64,
    last: u64,
    watermark: i64,
    restored: bool,
    has_expired: bool,
}

impl From<&OpenContext> for Context {
    fn from(context: &OpenContext) -> Self {
        let OpenContext { range, watermark, restored, has_expired } = context;
        let (first, last) = (range.first, range.last);
        Self { first, last, watermark: watermark.0, restored: *restored, has_expired: *has_expired }
    }
}

extern "C" fn open(operator: Handle, context: Lent, told: *mut Answer) {
    answer(told, "`open`", || {
        // SAFETY: as in `tables`; the context is lent for this call.
        let (guest, context) = unsafe { (guest(operator), context.bytes()) };
        let Context { first, last, watermark, restored, has_expired } = read(context)?;
        let (range, watermark) = (HashRange { first, last }, EventTime(watermark));
        guest.operator.open(&OpenContext { range, watermark, restored, has_expired })?;
        Ok(((), Vec::new()))
    });
}

extern "C" fn load(operator: Handle, table: usize, rows: *mut FFI_ArrowArray, told: *mut Answer) {
    answer(told, "`load`", || {
        // SAFETY: as in `tables`.
        let guest = unsafe { guest(operator) };
        let schema =
            &guest.tables.get(table).ok_or_else(|| Error::internal("state of a table that is not there"))?.schema;
        // SAFETY: the host hands the rows over, with the columns of the table and the hashes.
        let (mut columns, length) =
            unsafe { imported(FFI_ArrowArray::from_raw(rows), fields(schema, &[DataType::UInt64])) }?;
        let hashes: UInt64Array =
            columns.pop().ok_or_else(|| Error::internal("state without hashes"))?.as_primitive().clone();
        guest.operator.load(table, &records(schema, columns, length)?, &hashes)?;
        Ok(((), Vec::new()))
    });
}

extern "C" fn bound(operator: Handle, which: u32, table: usize, time: i64, told: *mut Answer) -> OptionTime {
    let bound = answer(told, "`expired`, `due` or `settled`", || {
        // SAFETY: as in `tables`.
        let operator = &unsafe { guest(operator) }.operator;
        let time = EventTime(time);
        let bound = match which {
            EXPIRED => operator.expired(table, time),
            DUE => operator.due(table, time),
            _ => operator.settled(table, time),
        };
        Ok((bound.into(), Vec::new()))
    });
    bound.unwrap_or_default()
}

pub(crate) const EXPIRED: u32 = 0;
pub(crate) const DUE: u32 = 1;
#[cfg(feature = "host")]
pub(crate) const SETTLED: u32 = 2;

impl From<Option<EventTime>> for OptionTime {
    fn from(time: Option<EventTime>) -> Self {
        Self { is_some: time.is_some(), time: time.map_or(0, |time| time.0) }
    }
}

impl From<OptionTime> for Option<EventTime> {
    fn from(time: OptionTime) -> Self {
        time.is_some.then_some(EventTime(time.time))
    }
}

extern "C" fn evict(
    operator: Handle,
    leaves: extern "C" fn(*const c_void, u64) -> bool,
    context: *const c_void,
    told: *mut Answer,
) {
    answer(told, "`evict`", || {
        // SAFETY: as in `tables`.
        let guest = unsafe { guest(operator) };
        let least = guest.operator.evict(&|hash| leaves(context, hash))?;
        let least: Vec<i64> = least.iter().map(|time| time.0).collect();
        Ok(((), json(&least)?))
    });
}

extern "C" fn process(
    operator: Handle,
    ordinal: usize,
    weighted: bool,
    rows: *mut FFI_ArrowArray,
    now: i64,
    outputs: *const Outputs,
    told: *mut Answer,
) {
    call(operator, now, outputs, told, "`process`", |guest, out| {
        let schema = guest.request.inputs.get(ordinal);
        let schema = schema.ok_or_else(|| Error::internal("rows of an input that is not there"))?;
        // SAFETY: the host hands the rows over, with the columns of the input.
        let batch = unsafe { import_batch(FFI_ArrowArray::from_raw(rows), schema, weighted) }?;
        guest.operator.process(ordinal, batch, out)
    });
}

extern "C" fn watermark(
    operator: Handle,
    time: i64,
    now: i64,
    outputs: *const Outputs,
    told: *mut Answer,
) -> OptionTime {
    let sent = call(operator, now, outputs, told, "`watermark`", |guest, out| {
        guest.operator.watermark(EventTime(time), out).map(OptionTime::from)
    });
    sent.unwrap_or_default()
}

extern "C" fn tick(operator: Handle, now: i64, outputs: *const Outputs, told: *mut Answer) -> OptionTime {
    let sent =
        call(operator, now, outputs, told, "`tick`", |guest, out| guest.operator.tick(out).map(OptionTime::from));
    sent.unwrap_or_default()
}

extern "C" fn outstanding(operator: Handle) -> u32 {
    // SAFETY: as in `tables`.
    let guest = unsafe { guest(operator) };
    let outstanding = caught("`outstanding`", || Ok(guest.operator.outstanding())).unwrap_or_default();
    match outstanding {
        Outstanding::None => 0,
        Outstanding::Some => SOME,
        Outstanding::Full => FULL,
    }
}

pub(crate) const SOME: u32 = 1;
pub(crate) const FULL: u32 = 2;

/// The host's waker. It is there until the operator has been dropped.
struct HostWaker {
    wake: extern "C" fn(*const c_void),
    context: *const c_void,
}

// SAFETY: the host says that it may be called from any thread.
unsafe impl Send for HostWaker {}
// SAFETY: as above.
unsafe impl Sync for HostWaker {}

impl Wake for HostWaker {
    fn wake(self: Arc<Self>) {
        (self.wake)(self.context);
    }
}

extern "C" fn wake_by(operator: Handle, wake: extern "C" fn(*const c_void), context: *const c_void, told: *mut Answer) {
    answer(told, "`wake_by`", || {
        // SAFETY: as in `tables`.
        let guest = unsafe { guest(operator) };
        guest.operator.wake_by(&Waker::from(Arc::new(HostWaker { wake, context })))?;
        Ok(((), Vec::new()))
    });
}

extern "C" fn answers(operator: Handle, now: i64, outputs: *const Outputs, told: *mut Answer) -> OptionTime {
    let sent =
        call(operator, now, outputs, told, "`answers`", |guest, out| guest.operator.answers(out).map(OptionTime::from));
    sent.unwrap_or_default()
}

extern "C" fn release(operator: Handle, now: i64, outputs: *const Outputs, told: *mut Answer) {
    call(operator, now, outputs, told, "`release`", |guest, out| guest.operator.release(out));
}

extern "C" fn flush(operator: Handle, now: i64, outputs: *const Outputs, told: *mut Answer) {
    call(operator, now, outputs, told, "`flush`", |guest, out| guest.operator.flush(out));
}

/// A call that may emit.
fn call<T>(
    operator: Handle,
    now: i64,
    outputs: *const Outputs,
    told: *mut Answer,
    what: &str,
    call: impl FnOnce(&mut Guest, &mut Collector) -> Result<T>,
) -> Option<T> {
    answer(told, what, || {
        // SAFETY: as in `tables`; the host has its outputs on the stack of the thread that calls.
        let (guest, outputs) = unsafe { (guest(operator), &*outputs) };
        let mut out = Collector::new(now);
        let value = call(guest, &mut out)?;
        let late = out.take_late_rows();
        if late > 0 {
            (outputs.late)(outputs.context, late);
        }
        for (port, batch) in out.take() {
            guest.check(port, &batch.schema())?;
            let (mut rows, weighted) = export_batch(&batch)?;
            (outputs.rows)(outputs.context, number(port), weighted, &mut rows);
        }
        Ok((value, Vec::new()))
    })
}

/// Outputs by number.
pub(crate) fn number(port: OutputPort) -> u32 {
    match port {
        OutputPort::Main => 0,
        OutputPort::Late => 1,
        OutputPort::Rejected => 2,
        OutputPort::Side(number) => FIRST_SIDE + u32::from(number),
    }
}

/// The output of that number.
#[cfg(feature = "host")]
pub(crate) fn port(number: u32) -> Option<OutputPort> {
    Some(match number {
        0 => OutputPort::Main,
        1 => OutputPort::Late,
        number => OutputPort::Side(u16::try_from(number.checked_sub(FIRST_SIDE)?).ok()?),
    })
}

const FIRST_SIDE: u32 = 16;

/// Columns of an output.
pub(crate) fn columns(request: &OperatorRequest, port: OutputPort) -> Option<SchemaRef> {
    match port {
        OutputPort::Main => Some(request.output.clone()),
        OutputPort::Late => Some(Collector::late_schema()),
        OutputPort::Rejected => None,
        OutputPort::Side(number) => request.side_outputs.get(usize::from(number)).cloned(),
    }
}

impl Guest {
    /// Rows are read on the other side as what was declared: they have to be that.
    fn check(&self, port: OutputPort, emitted: &SchemaRef) -> Result<()> {
        let operator = &self.request.operator;
        let declared = columns(&self.request, port)
            .ok_or_else(|| Error::user(format!("operator `{operator}` emits to an output that it has not declared")))?;
        let types = |schema: &SchemaRef| {
            let types: Vec<String> = schema.fields().iter().map(|field| field.data_type().to_string()).collect();
            types.join(", ")
        };
        let same = emitted.fields().len() == declared.fields().len()
            && emitted.fields().iter().zip(declared.fields()).all(|(one, other)| one.data_type() == other.data_type());
        if same {
            return Ok(());
        }
        let (emitted, declared) = (types(emitted), types(&declared));
        Err(Error::user(format!("operator `{operator}` emits rows of ({emitted}), and has declared ({declared})")))
    }
}

/// Rows of a table that were captured, and its columns.
struct Captured {
    rows: CapturedRows,
    schema: SchemaRef,
}

extern "C" fn capture(
    operator: Handle,
    take: extern "C" fn(*mut c_void, Handle, OptionTime),
    context: *mut c_void,
    told: *mut Answer,
) {
    answer(told, "`capture`", || {
        // SAFETY: as in `tables`.
        let guest = unsafe { guest(operator) };
        let captures = guest.operator.capture()?;
        if captures.len() != guest.tables.len() {
            let (captures, tables) = (captures.len(), guest.tables.len());
            return Err(Error::user(format!("an operator of the plugin makes {captures} captures of {tables} tables")));
        }
        for (capture, table) in captures.into_iter().zip(&guest.tables) {
            let captured = Captured { rows: capture.rows, schema: table.schema.clone() };
            take(context, Box::into_raw(Box::new(captured)).cast(), capture.expired.into());
        }
        Ok(((), Vec::new()))
    });
}

extern "C" fn make_rows(rows: Handle, pieces: *const Pieces, told: *mut Answer) {
    answer(told, "captured rows", || {
        // SAFETY: `capture` has made it, and the host uses it once; `pieces` is on the stack of the thread that calls.
        let (captured, pieces) = unsafe { (Box::from_raw(rows.cast::<Captured>()), &*pieces) };
        let Captured { rows, schema } = *captured;
        for StateRows { rows, hashes, deleted } in rows()? {
            let same = rows.num_columns() == schema.fields().len()
                && rows
                    .columns()
                    .iter()
                    .zip(schema.fields())
                    .all(|(column, field)| column.data_type() == field.data_type());
            if !same {
                return Err(Error::user("an operator of the plugin captures rows that are not those of its table"));
            }
            let behind = [Field::new("", DataType::UInt64, true), Field::new("", DataType::Boolean, true)];
            let mut columns: Vec<(&Field, ArrayRef)> =
                schema.fields().iter().map(AsRef::as_ref).zip(rows.columns().iter().cloned()).collect();
            columns.push((&behind[0], Arc::new(hashes)));
            let deletes = deleted.is_some();
            columns.extend(deleted.map(|deleted| (&behind[1], Arc::new(deleted) as ArrayRef)));
            let mut array = exported(columns, rows.num_rows())?;
            (pieces.rows)(pieces.context, deletes, &mut array);
        }
        Ok(((), Vec::new()))
    });
}

extern "C" fn drop_rows(rows: Handle) {
    // SAFETY: `capture` has made it, and the host uses it once.
    let captured = unsafe { Box::from_raw(rows.cast::<Captured>()) };
    ended(captured);
}

/// There is nobody to tell what goes wrong at the end.
fn ended<T>(value: T) {
    let _ = caught("its end", || {
        drop(value);
        Ok(())
    });
}

extern "C" fn state_bytes(operator: Handle) -> usize {
    // SAFETY: as in `tables`.
    let guest = unsafe { guest(operator) };
    caught("`state_bytes`", || Ok(guest.operator.state_bytes())).unwrap_or_default()
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal("a plugin's answer cannot be written").with_source(error))
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::user("the plugin does not understand what it is told: its SDK is of another version").with_source(error)
    })
}
