//! Sources, their readers, and sinks whose calls go to a child, and are waited for.
//!
//! A thread that reads has a source of its own, and so a child of its own: what one split waits for holds up no thread that reads from another child. A
//! commit has a sink, and so a child, for as long as it takes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use weir_core::plugin::{
    LastEpoch, PluginCommit, PluginRead, PluginReader, PluginSink, PluginSource, PluginSplits, TableRequest,
};
use weir_core::{Batch, Result};

use super::Inner;
use super::lease::Lease;
use super::process::waiting;
use super::protocol::{Call, Stand, TableCall};

/// Something in a child, which is dropped there with this.
struct Made {
    lease: Arc<Lease>,
    number: u64,
}

impl Drop for Made {
    fn drop(&mut self) {
        self.lease.end(&Call::Table(TableCall::End(self.number)));
    }
}

impl Made {
    fn first(plugin: &Arc<Inner>, call: TableCall) -> Result<Self> {
        let call = Call::Table(call);
        let (lease, number) = plugin.lease(|lease| lease.ask(&call))?;
        Ok(Self { lease: Arc::new(lease), number })
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, call: TableCall) -> Result<T> {
        self.lease.ask(&Call::Table(call))
    }
}

/// A source in a child.
pub struct IsolatedSource(Made);

impl IsolatedSource {
    /// Has a child make the source.
    ///
    /// # Errors
    /// If the plugin has none, or there is no child.
    pub(super) fn new(plugin: &Arc<Inner>, request: &TableRequest) -> Result<Self> {
        Made::first(plugin, TableCall::Source(request.clone())).map(Self)
    }
}

impl PluginSource for IsolatedSource {
    fn splits(&mut self) -> Result<PluginSplits> {
        self.0.ask(TableCall::Splits(self.0.number))
    }

    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>> {
        let (split, position) = (split.to_owned(), position.map(str::to_owned));
        let number = self.0.ask(TableCall::Open { source: self.0.number, split, position })?;
        Ok(Box::new(IsolatedReader(Made { lease: self.0.lease.clone(), number })))
    }
}

/// A reader in the child of its source.
struct IsolatedReader(Made);

impl PluginReader for IsolatedReader {
    fn read(&mut self, most: usize) -> Result<PluginRead> {
        let mut records: Option<Batch> = None;
        let call = Call::Table(TableCall::Read { reader: self.0.number, most });
        let stand = waiting(|| self.0.lease.call::<Stand>(&call, None, &mut |_, rows| records = Some(rows)))?.value;
        let records = records.map(Batch::into_appended).transpose()?;
        Ok(PluginRead { records, position: stand.position, time: stand.time, is_end: stand.is_end })
    }
}

/// A sink in a child.
pub struct IsolatedSink(Made);

impl IsolatedSink {
    /// Has a child make the sink.
    ///
    /// # Errors
    /// If the plugin has none, or there is no child.
    pub(super) fn new(plugin: &Arc<Inner>, request: &TableRequest) -> Result<Self> {
        Made::first(plugin, TableCall::Sink(request.clone())).map(Self)
    }
}

impl PluginSink for IsolatedSink {
    fn commit(&mut self, commit: &PluginCommit, rows: &mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Result<()> {
        let call = Call::Table(TableCall::Commit { sink: self.0.number, commit: commit.clone() });
        self.0.lease.ask_giving(&call, &mut || Ok(rows()?.map(Batch::append)))
    }

    fn last_epoch(&mut self, writer: &str) -> Result<LastEpoch> {
        self.0.ask(TableCall::LastEpoch { sink: self.0.number, writer: writer.to_owned() })
    }
}
