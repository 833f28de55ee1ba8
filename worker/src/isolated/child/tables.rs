//! Sources, their readers, and sinks in a child.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_core::plugin::{Plugin, PluginReader, PluginSink, PluginSource};
use weir_core::{Batch, Error, Result};

use super::super::protocol::{Given, Reply, Stand, TableCall};
use super::super::wire::{Receiver, Sender};
use super::{Host, given, misunderstood};

/// What was made, by number.
#[derive(Default)]
pub struct Tables {
    next: u64,
    made: BTreeMap<u64, Made>,
}

enum Made {
    Source(Box<dyn PluginSource>),
    Reader(Box<dyn PluginReader>),
    Sink(Box<dyn PluginSink>),
}

impl Tables {
    fn keep(&mut self, made: Made) -> u64 {
        self.next += 1;
        self.made.insert(self.next, made);
        self.next
    }

    fn source(&mut self, number: u64) -> Result<&mut dyn PluginSource> {
        match self.made.get_mut(&number) {
            Some(Made::Source(source)) => Ok(&mut **source),
            _ => Err(misunderstood()),
        }
    }

    fn reader(&mut self, number: u64) -> Result<&mut dyn PluginReader> {
        match self.made.get_mut(&number) {
            Some(Made::Reader(reader)) => Ok(&mut **reader),
            _ => Err(misunderstood()),
        }
    }

    fn sink(&mut self, number: u64) -> Result<&mut dyn PluginSink> {
        match self.made.get_mut(&number) {
            Some(Made::Sink(sink)) => Ok(&mut **sink),
            _ => Err(misunderstood()),
        }
    }
}

impl Host {
    pub(super) fn table(&mut self, call: TableCall, receiver: &mut Receiver) -> Result<()> {
        match call {
            TableCall::Source(request) => self.of_table(|host| {
                let source = host.plugin()?.source(&request)?;
                Ok(host.tables.keep(Made::Source(source)))
            }),
            TableCall::Splits(source) => self.of_table(|host| host.tables.source(source)?.splits()),
            TableCall::Open { source, split, position } => self.of_table(|host| {
                let reader = host.tables.source(source)?.open(&split, position.as_deref())?;
                Ok(host.tables.keep(Made::Reader(reader)))
            }),
            TableCall::Read { reader, most } => self.of_table(|host| {
                let read = host.tables.reader(reader)?.read(most)?;
                if let Some(records) = read.records {
                    host.out.emit(records.into());
                }
                Ok(Stand { position: read.position, time: read.time, is_end: read.is_end })
            }),
            TableCall::Sink(request) => self.of_table(|host| {
                let sink = host.plugin()?.sink(&request)?;
                Ok(host.tables.keep(Made::Sink(sink)))
            }),
            TableCall::Commit { sink, commit } => {
                // If rows were not understood, nothing that follows is: the process ends.
                let mut understood = Ok(());
                let (sender, tables) = (&mut self.sender, &mut self.tables);
                let committed = tables.sink(sink).and_then(|sink| {
                    sink.commit(&commit, &mut || match wanted(sender, receiver) {
                        Ok(rows) => rows?.map(Batch::into_appended).transpose(),
                        Err(error) => {
                            understood = Err(error);
                            Err(Error::environment("the rows of the epoch cannot be had"))
                        }
                    })
                });
                understood?;
                self.reply(committed)
            }
            TableCall::LastEpoch { sink, writer } => self.of_table(|host| host.tables.sink(sink)?.last_epoch(&writer)),
            TableCall::End(number) => {
                self.of_table(|host| host.tables.made.remove(&number).map(drop).ok_or_else(misunderstood))
            }
        }
    }

    fn of_table<T: Serialize>(&mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<()> {
        let outcome = call(self);
        self.reply(outcome)
    }
}

/// The next rows of an epoch, as the parent has them.
///
/// # Errors
/// If the parent is gone, or not understood.
fn wanted(sender: &mut Sender, receiver: &mut Receiver) -> Result<Result<Option<Batch>>> {
    sender.send(&Reply::<()>::Wanted, None)?;
    match receiver.receive()? {
        Some((Given::Rows, rows)) => Ok(Ok(Some(given(rows)?))),
        Some((Given::End, _)) => Ok(Ok(None)),
        Some((Given::Failed(error), _)) => Ok(Err(error.into())),
        None => Err(Error::environment("the parent of a plugin's process has ended")),
    }
}
