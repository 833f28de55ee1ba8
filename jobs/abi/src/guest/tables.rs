//! Sources and sinks of a plugin.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, SchemaRef};
use arrow::ffi::FFI_ArrowArray;
use serde::{Deserialize, Serialize};
use weir_core::plugin::{PluginReader, PluginSink, PluginSource, TableRequest};
use weir_core::{Error, Result};

use super::{ended, json, plugin, read as parsed};
use crate::errors::answer;
use crate::raw::{Answer, Handle, Lent, Rows, Tables};
use crate::rows::{exported, fields, imported, records};

pub(super) const TABLES: Tables =
    Tables { source, drop_source, splits, open_split, drop_reader, read, sink, drop_sink, commit, last_epoch };

/// Which split is opened, and where.
#[derive(Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) split: String,
    pub(crate) position: Option<String>,
}

/// What a reader has read, but for the rows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stand {
    pub(crate) has_rows: bool,
    pub(crate) position: String,
    pub(crate) time: Option<i64>,
    pub(crate) is_end: bool,
}

/// A source or a sink, and the columns of its rows.
struct Guest<T: ?Sized> {
    code: Box<T>,
    columns: SchemaRef,
}

type Source = Guest<dyn PluginSource>;
type Reader = Guest<dyn PluginReader>;
type Sink = Guest<dyn PluginSink>;

fn handed<T: ?Sized>(made: Option<Guest<T>>) -> Handle {
    made.map_or(std::ptr::null_mut(), |guest| Box::into_raw(Box::new(guest)).cast())
}

/// # Safety
/// The handle stands for such a guest, and nothing is called with it any more.
unsafe fn dropped<T: ?Sized>(handle: Handle) {
    if !handle.is_null() {
        // SAFETY: the caller promises it.
        ended(unsafe { Box::from_raw(handle.cast::<Guest<T>>()) });
    }
}

/// # Safety
/// The handle stands for such a guest, and there is no other call with it at this time.
unsafe fn guest<'a, T: ?Sized>(handle: Handle) -> &'a mut Guest<T> {
    // SAFETY: the caller promises it.
    unsafe { &mut *handle.cast::<Guest<T>>() }
}

extern "C" fn source(handle: Handle, request: Lent, told: *mut Answer) -> Handle {
    handed(answer(told, "making a source", || {
        // SAFETY: the host keeps the plugin for as long as it calls it; the request is lent for this call.
        let (plugin, request) = unsafe { (plugin(handle), request.bytes()) };
        let request: TableRequest = parsed(request)?;
        Ok((Source { code: plugin.source(&request)?, columns: request.columns }, Vec::new()))
    }))
}

extern "C" fn drop_source(source: Handle) {
    // SAFETY: `source` has made it, and the host gives it up.
    unsafe { dropped::<dyn PluginSource>(source) };
}

extern "C" fn splits(source: Handle, told: *mut Answer) {
    answer(told, "`splits`", || {
        // SAFETY: `source` has made it, and the host has one thread in it at a time.
        let source: &mut Source = unsafe { guest(source) };
        Ok(((), json(&source.code.splits()?)?))
    });
}

extern "C" fn open_split(source: Handle, split: Lent, told: *mut Answer) -> Handle {
    handed(answer(told, "opening a split", || {
        // SAFETY: as in `splits`; the split is lent for this call.
        let (source, split): (&mut Source, _) = unsafe { (guest(source), split.bytes()) };
        let Opening { split, position } = parsed(split)?;
        let code = source.code.open(&split, position.as_deref())?;
        Ok((Reader { code, columns: source.columns.clone() }, Vec::new()))
    }))
}

extern "C" fn drop_reader(reader: Handle) {
    // SAFETY: `open_split` has made it, and the host gives it up.
    unsafe { dropped::<dyn PluginReader>(reader) };
}

extern "C" fn read(reader: Handle, most: usize, rows: *mut FFI_ArrowArray, told: *mut Answer) {
    answer(told, "`read`", || {
        // SAFETY: `open_split` has made it, and the host has one thread in it at a time.
        let reader: &mut Reader = unsafe { guest(reader) };
        let read = reader.code.read(most)?;
        let stand = Stand {
            has_rows: read.records.is_some(),
            position: read.position,
            time: read.time.map(|time| time.0),
            is_end: read.is_end,
        };
        let said = json(&stand)?;
        if let Some(records) = read.records {
            let made = handed_over(&records, &reader.columns)?;
            // SAFETY: the host waits with room for an array.
            unsafe { rows.write(made) };
        }
        Ok(((), said))
    });
}

/// Rows with just these columns.
fn handed_over(rows: &RecordBatch, columns: &SchemaRef) -> Result<FFI_ArrowArray> {
    let types = |schema: &SchemaRef| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
    if types(&rows.schema()) != types(columns) {
        return Err(Error::user("a source of the plugin makes rows that are not those of its table"));
    }
    let columns: Vec<(&Field, ArrayRef)> =
        columns.fields().iter().map(AsRef::as_ref).zip(rows.columns().iter().cloned()).collect();
    exported(columns, rows.num_rows())
}

extern "C" fn sink(handle: Handle, request: Lent, told: *mut Answer) -> Handle {
    handed(answer(told, "making a sink", || {
        // SAFETY: as in `source`.
        let (plugin, request) = unsafe { (plugin(handle), request.bytes()) };
        let request: TableRequest = parsed(request)?;
        Ok((Sink { code: plugin.sink(&request)?, columns: request.columns }, Vec::new()))
    }))
}

extern "C" fn drop_sink(sink: Handle) {
    // SAFETY: `sink` has made it, and the host gives it up.
    unsafe { dropped::<dyn PluginSink>(sink) };
}

extern "C" fn commit(sink: Handle, commit: Lent, rows: *const Rows, told: *mut Answer) {
    answer(told, "`commit`", || {
        // SAFETY: `sink` has made it, and the host has one thread in it at a time; what is committed is lent for this call, and so are the rows.
        let (sink, commit, rows): (&mut Sink, _, _) = unsafe { (guest(sink), commit.bytes(), &*rows) };
        let (commit, columns) = (parsed(commit)?, sink.columns.clone());
        sink.code.commit(&commit, &mut || next(rows, &columns))?;
        Ok(((), Vec::new()))
    });
}

/// The next rows, asked of the host.
fn next(rows: &Rows, columns: &SchemaRef) -> Result<Option<RecordBatch>> {
    let (mut given, mut said) = (FFI_ArrowArray::empty(), Answer::empty());
    let is_there = (rows.next)(rows.context, &mut given, &mut said);
    said.into_result()?;
    if !is_there {
        return Ok(None);
    }
    // SAFETY: the host hands the rows over, with the columns of the request.
    let (given, length) = unsafe { imported(given, fields(columns, &[])) }?;
    records(columns, given, length).map(Some)
}

extern "C" fn last_epoch(sink: Handle, writer: Lent, told: *mut Answer) {
    answer(told, "`last_epoch`", || {
        // SAFETY: as in `commit`; the writer is lent for this call.
        let (sink, writer): (&mut Sink, _) = unsafe { (guest(sink), writer.bytes()) };
        Ok(((), json(&sink.code.last_epoch(&String::from_utf8_lossy(writer))?)?))
    });
}
