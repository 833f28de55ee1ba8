//! A source or a sink behind the boundary.

use std::ffi::c_void;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, SchemaRef};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{
    LastEpoch, PluginCommit, PluginRead, PluginReader, PluginSink, PluginSource, PluginSplits, TableRequest,
};
use weir_core::{Error, EventTime, Result};

use super::library::{Inner, asked, holding, json};
use crate::errors::answer;
use crate::guest::tables::{Opening, Stand};
use crate::raw::{Answer, Handle, Lent, Rows, Tables};
use crate::rows::{exported, fields, imported, records};

/// A source, a reader or a sink of a plugin that was loaded.
struct Remote {
    plugin: Arc<Inner>,
    tables: &'static Tables,
    handle: Handle,
    end: extern "C" fn(Handle),
    columns: SchemaRef,
}

// SAFETY: sources, readers and sinks are `Send`, and so is what the handle stands for.
unsafe impl Send for Remote {}

impl Drop for Remote {
    fn drop(&mut self) {
        (self.end)(self.handle);
    }
}

struct RemoteSource(Remote);

struct RemoteReader(Remote);

struct RemoteSink(Remote);

/// The source that a plugin makes for a request.
///
/// # Errors
/// If it has none.
pub(super) fn source(
    plugin: Arc<Inner>,
    tables: &'static Tables,
    request: &TableRequest,
) -> Result<Box<dyn PluginSource>> {
    let (text, mut told) = (json(request)?, Answer::empty());
    let handle = (tables.source)(plugin.handle(), Lent::new(&text), &mut told);
    let (end, columns) = (tables.drop_source, request.columns.clone());
    told.into_result()?;
    Ok(Box::new(RemoteSource(Remote { plugin, tables, handle, end, columns })))
}

/// The sink that a plugin makes for a request.
///
/// # Errors
/// If it has none.
pub(super) fn sink(plugin: Arc<Inner>, tables: &'static Tables, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
    let (text, mut told) = (json(request)?, Answer::empty());
    let handle = (tables.sink)(plugin.handle(), Lent::new(&text), &mut told);
    let (end, columns) = (tables.drop_sink, request.columns.clone());
    told.into_result()?;
    Ok(Box::new(RemoteSink(Remote { plugin, tables, handle, end, columns })))
}

impl PluginSource for RemoteSource {
    fn splits(&mut self) -> Result<PluginSplits> {
        asked(|told| (self.0.tables.splits)(self.0.handle, told))
    }

    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>> {
        let Remote { plugin, tables, handle, columns, .. } = &self.0;
        let opening = json(&Opening { split: split.to_owned(), position: position.map(str::to_owned) })?;
        let mut told = Answer::empty();
        let handle = (tables.open_split)(*handle, Lent::new(&opening), &mut told);
        told.into_result()?;
        let end = tables.drop_reader;
        Ok(Box::new(RemoteReader(Remote { plugin: plugin.clone(), tables, handle, end, columns: columns.clone() })))
    }
}

impl PluginReader for RemoteReader {
    fn read(&mut self, most: usize) -> Result<PluginRead> {
        let Remote { plugin, tables, handle, columns, .. } = &self.0;
        let mut rows = FFI_ArrowArray::empty();
        let Stand { has_rows, position, time, is_end } = asked(|told| (tables.read)(*handle, most, &mut rows, told))?;
        let read = || {
            // SAFETY: the guest has compared them with the columns of the request.
            let (read, length) = unsafe { imported(holding(rows, plugin.clone()), fields(columns, &[])) }?;
            records(columns, read, length)
        };
        let records = has_rows.then(read).transpose()?;
        Ok(PluginRead { records, position, time: time.map(EventTime), is_end })
    }
}

/// Rows that the plugin asks for during a call.
struct Given<'a> {
    next: &'a mut dyn FnMut() -> Result<Option<RecordBatch>>,
    columns: &'a SchemaRef,
}

extern "C" fn give(context: *mut c_void, rows: *mut FFI_ArrowArray, told: *mut Answer) -> bool {
    let given = answer(told, "the rows of an epoch", || {
        // SAFETY: `commit` waits for the plugin, which asks on the same thread.
        let given = unsafe { &mut *context.cast::<Given<'_>>() };
        let Some(batch) = (given.next)()? else { return Ok((false, Vec::new())) };
        let types =
            |schema: &SchemaRef| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        if types(&batch.schema()) != types(given.columns) {
            return Err(Error::internal("staged rows are not those of the sink's table"));
        }
        let columns: Vec<(&Field, ArrayRef)> =
            given.columns.fields().iter().map(AsRef::as_ref).zip(batch.columns().iter().cloned()).collect();
        let made = exported(columns, batch.num_rows())?;
        // SAFETY: the plugin waits with room for an array.
        unsafe { rows.write(made) };
        Ok((true, Vec::new()))
    });
    given.unwrap_or(false)
}

impl PluginSink for RemoteSink {
    fn commit(&mut self, commit: &PluginCommit, rows: &mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Result<()> {
        let Remote { tables, handle, columns, .. } = &self.0;
        let (commit, mut told) = (json(commit)?, Answer::empty());
        let mut given = Given { next: rows, columns };
        let context: *mut Given<'_> = &mut given;
        let rows = Rows { context: context.cast(), next: give };
        (tables.commit)(*handle, Lent::new(&commit), &rows, &mut told);
        told.into_result().map(drop)
    }

    fn last_epoch(&mut self, writer: &str) -> Result<LastEpoch> {
        asked(|told| (self.0.tables.last_epoch)(self.0.handle, Lent::new(writer.as_bytes()), told))
    }
}
