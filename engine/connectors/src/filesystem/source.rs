//! The source: one subtask's share of the files.
//!
//! A blocking thread reads ([`reader`](super::reader)); this side keeps the positions and looks for new files. All its
//! state is in `self`, so that a dropped `next` loses nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use weir_core::connector::{Source, SourceContext, SourceEvent, SplitPosition};
use weir_core::{Error, Result, TableSpec};

use super::discovery::{Found, Subtask, discover, restore, write_position};
use super::layout::Layout;
use super::options::SourceOptions;
use super::reader::{Reading, Step, read};

/// Batches that may wait between the thread and the subtask: enough to keep both busy.
const READ_AHEAD: usize = 4;

/// Opens the share of a subtask.
///
/// # Errors
/// If the options are wrong, the path cannot be read, or a file that is to be read on was changed.
pub(super) async fn open(table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
    let options = SourceOptions::read(table)?;
    let layout = Layout::new(table)?;
    let reading = Arc::new(Reading { options, layout, batch_rows: context.batch_rows.max(1) });
    let subtask = Subtask { index: context.subtask, parallelism: context.parallelism.max(1) };
    let mut source = FileSource {
        reading: reading.clone(),
        subtask,
        known: BTreeSet::new(),
        events: VecDeque::new(),
        positions: BTreeMap::new(),
        modified: BTreeMap::new(),
        stage: Stage::Ended,
    };
    let restored = context.restored;
    let found = owned(spawn_blocking(move || {
        let mut found = restore(&reading.options, &restored, subtask)?;
        // A table whose files have all been read may have lost them since.
        let may_be_empty = reading.options.monitor_interval.is_some() || !restored.is_empty();
        let fresh = match discover(&reading.options, &found.paths, subtask, may_be_empty) {
            Err(error) if !restored.is_empty() && error.kind() == weir_core::ErrorKind::User => Found::default(),
            fresh => fresh?,
        };
        found.open.extend(fresh.open);
        found.open.sort_by(|left, right| left.split.cmp(&right.split));
        found.paths.extend(fresh.paths);
        Ok(found)
    }))
    .await?;
    source.assign(found);
    Ok(Box::new(source))
}

struct FileSource {
    reading: Arc<Reading>,
    subtask: Subtask,
    /// Files that have been seen.
    known: BTreeSet<Arc<str>>,
    /// What is to be told before anything else.
    events: VecDeque<SourceEvent>,
    positions: BTreeMap<Arc<str>, SplitPosition>,
    /// When the files of unfinished splits were modified.
    modified: BTreeMap<Arc<str>, i64>,
    stage: Stage,
}

enum Stage {
    /// The thread reads.
    Reading { steps: Receiver<Step>, thread: JoinHandle<Result<()>> },
    /// All that was found has been read; new files are looked for then.
    Waiting { until: Instant },
    /// New files are being looked for.
    Looking { thread: JoinHandle<Result<Found>> },
    /// All has been read.
    Ended,
    /// An error was returned.
    Failed,
}

/// What a thread has come to. A panic in it is ours.
async fn owned<T>(mut thread: JoinHandle<Result<T>>) -> Result<T> {
    joined((&mut thread).await)
}

fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.map_err(|error| Error::internal("reading files broke off").with_source(error))?
}

impl FileSource {
    /// Takes over what was found, and begins to read it.
    fn assign(&mut self, found: Found) {
        self.known.extend(found.paths);
        for position in found.finished {
            self.positions.insert(position.split.clone(), position);
        }
        let mut file: Option<Arc<str>> = None;
        for assigned in &found.open {
            // The ranges of a file follow each other in time; nothing is known of different files.
            let holds_watermark = file.as_ref() != Some(&assigned.split.path);
            file = Some(assigned.split.path.clone());
            let split = assigned.name.clone();
            let position = write_position(assigned.place, assigned.file.modified);
            self.modified.insert(split.clone(), assigned.file.modified);
            self.positions.insert(split.clone(), SplitPosition { split: split.clone(), position, finished: false });
            self.events.push_back(SourceEvent::SplitAdded { split, holds_watermark });
        }
        self.stage = if found.open.is_empty() {
            self.rest()
        } else {
            let (output, steps) = channel(READ_AHEAD);
            let reading = self.reading.clone();
            let splits = found.open;
            Stage::Reading { steps, thread: spawn_blocking(move || read(&reading, splits, &output)) }
        };
    }

    /// What follows when all that was found has been read.
    fn rest(&self) -> Stage {
        match self.reading.options.monitor_interval {
            None => Stage::Ended,
            Some(interval) => Stage::Waiting { until: Instant::now() + interval },
        }
    }

    fn look(&self) -> Stage {
        let (reading, known, subtask) = (self.reading.clone(), self.known.clone(), self.subtask);
        Stage::Looking { thread: spawn_blocking(move || discover(&reading.options, &known, subtask, true)) }
    }

    fn take(&mut self, step: Step) -> SourceEvent {
        match step {
            Step::Rows { split, records, rejected, place } => {
                let modified = self.modified.get(&split).copied().unwrap_or_default();
                if let Some(position) = self.positions.get_mut(&split) {
                    position.position = write_position(Some(place), modified);
                }
                SourceEvent::Rows { split, records, rejected }
            }
            Step::Finished { split } => {
                self.modified.remove(&split);
                if let Some(position) = self.positions.get_mut(&split) {
                    position.finished = true;
                }
                SourceEvent::SplitFinished { split }
            }
        }
    }

    async fn advance(&mut self) -> Result<SourceEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            match &mut self.stage {
                Stage::Reading { steps, thread } => match steps.recv().await {
                    Some(step) => return Ok(self.take(step)),
                    None => {
                        joined(thread.await)?;
                        self.stage = self.rest();
                    }
                },
                Stage::Waiting { until } => {
                    sleep_until(*until).await;
                    self.stage = self.look();
                }
                Stage::Looking { thread } => {
                    let found = joined(thread.await)?;
                    self.assign(found);
                }
                Stage::Ended => return Ok(SourceEvent::End),
                Stage::Failed => return Err(Error::internal("a source that has failed is asked for more")),
            }
        }
    }
}

#[async_trait]
impl Source for FileSource {
    async fn next(&mut self) -> Result<SourceEvent> {
        let event = self.advance().await;
        if event.is_err() {
            self.stage = Stage::Failed;
        }
        event
    }

    fn positions(&self) -> Vec<SplitPosition> {
        self.positions.values().cloned().collect()
    }
}
