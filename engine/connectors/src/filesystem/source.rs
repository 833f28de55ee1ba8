//! The source: one subtask's share of the files.
//!
//! A blocking thread reads ([`reader`](super::reader)); this side keeps the positions. All its state is in `self`, so that a
//! dropped `next` loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use weir_core::connector::{AssignedSplit, Source, SourceContext, SourceEvent, SplitPosition};
use weir_core::{Error, Result, TableSpec};

use super::joined;
use super::layout::Layout;
use super::options::SourceOptions;
use super::place::Place;
use super::reader::{Assigned, Reading, Step, read};
use super::seen::Seen;
use super::split::FileRange;
use super::store::FileStore;
use crate::blocking::begin;

/// Batches that may wait between the thread and the subtask: enough to keep both busy.
const READ_AHEAD: usize = 4;

/// Opens the share of a subtask.
///
/// # Errors
/// If the options are wrong.
pub(super) fn open(table: &TableSpec, context: &SourceContext, files: Arc<dyn FileStore>) -> Result<Box<dyn Source>> {
    let options = SourceOptions::read(table)?;
    let layout = Layout::new(table)?;
    let reading = Arc::new(Reading { options, layout, files, batch_rows: context.batch_rows.max(1) });
    Ok(Box::new(FileSource { reading, waiting: Vec::new(), places: BTreeMap::new(), stage: Stage::Resting }))
}

struct FileSource {
    reading: Arc<Reading>,
    /// What the thread has not been given yet, in the order of its assignment: of files, and of the ranges of each.
    waiting: Vec<Assigned>,
    /// Where splits stand of which something has been read.
    places: BTreeMap<Arc<str>, Place>,
    stage: Stage,
}

enum Stage {
    /// There is no thread.
    Resting,
    /// The thread reads.
    Reading { steps: Receiver<Step>, thread: JoinHandle<Result<()>> },
    /// An error was returned.
    Failed,
}

impl FileSource {
    fn take(&mut self, step: Step) -> SourceEvent {
        match step {
            Step::Rows { split, records, rejected, place } => {
                self.places.insert(split.clone(), place);
                SourceEvent::Rows { split, records, rejected }
            }
            Step::Finished { split } => {
                self.places.remove(&split);
                SourceEvent::SplitFinished { split }
            }
        }
    }

    async fn advance(&mut self) -> Result<SourceEvent> {
        loop {
            match &mut self.stage {
                Stage::Resting if self.waiting.is_empty() => {
                    return Err(Error::internal("files are read, and none was assigned"));
                }
                Stage::Resting => {
                    let (output, steps) = channel(READ_AHEAD);
                    let (reading, splits) = (self.reading.clone(), std::mem::take(&mut self.waiting));
                    self.stage = Stage::Reading { steps, thread: begin(move || read(&reading, splits, &output)) };
                }
                Stage::Reading { steps, thread } => match steps.recv().await {
                    Some(step) => return Ok(self.take(step)),
                    None => {
                        joined(thread.await)?;
                        self.stage = Stage::Resting;
                    }
                },
                Stage::Failed => return Err(Error::internal("a source that has failed is asked for more")),
            }
        }
    }
}

#[async_trait]
impl Source for FileSource {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        for AssignedSplit { split, position } in splits {
            let unknown = |what: &str| Error::internal(format!("'{what}' does not belong to a range of a file"));
            let range = FileRange::parse(&split.name).ok_or_else(|| unknown(&split.name))?;
            let seen = Seen::parse(&split.description).ok_or_else(|| unknown(&split.description))?;
            let place = position.map(|position| position.parse().map_err(|_| unknown(&position))).transpose()?;
            self.places.extend(place.map(|place| (split.name.clone(), place)));
            self.waiting.push(Assigned { name: split.name, split: range, seen, place });
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let event = self.advance().await;
        if event.is_err() {
            self.stage = Stage::Failed;
        }
        event
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position =
            |(split, place): (&Arc<str>, &Place)| SplitPosition { split: split.clone(), position: place.to_string() };
        self.places.iter().map(position).collect()
    }
}
