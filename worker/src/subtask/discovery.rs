//! The loop of the subtask that finds the splits of a table. There is one in a job for each table that is read.
//!
//! ```text
//!                   splits, the table's time, markers
//!    ┌───────────┐ ─────────────────────────────────▶ ┌─────────┐
//!    │ discovery │                                    │ readers │ ──▶ rows
//!    └───────────┘ ◀───────────────────────────────── └─────────┘
//!                    how far each of them has come
//! ```
//!
//! 1. What earlier executions have announced it announces again, so that a source learns of all splits in one way. It waits for the first
//!    look at what is new, and announces that with it.
//! 2. It announces what is new. All readers see it at the same place between the same two markers, whatever worker they are on;
//!    a checkpoint holds the splits that were announced in front of its marker.
//! 3. When there will be no more it says so, as a stream does that has come to its end: a watermark at the end of time. A reader
//!    that has read all of its splits then is at its end.
//! 4. Until then readers tell how far they are, and it tells them how far the table is as a whole. That is what a reader says that
//!    has nothing to read, and where splits are aligned no reader goes much further; there they tell also afterwards.
//! 5. Markers enter the dataflow here. Behind the last one it waits for the readers to end.
//! 6. Readers tell which splits they have read to their end. Of what cannot be found again both forget all, in front of a marker, so
//!    that a checkpoint knows of a split in both places or in neither.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use weir_core::{Batch, Element, EventTime, Marker, OperatorUid, Split, SplitDiscovery, TableTime, Watermark};

use super::{Interrupt, Outputs, hand_over};
use crate::announcements::{self, Announced, DiscoveryState};
use crate::chain::NodeCapture;
use crate::exchange::Gate;
use crate::snapshot::SubtaskSnapshot;

/// A subtask that finds splits.
pub struct DiscoverySubtask {
    /// Identity of its node.
    pub uid: OperatorUid,
    /// What finds them.
    pub discovery: Box<dyn SplitDiscovery>,
    /// What was announced.
    pub state: DiscoveryState,
    /// What readers say of time, a channel each.
    pub reports: Gate,
    /// For each of these channels, which of the sources behind the outputs its reader belongs to, and which subtask of it.
    pub readers: Vec<(usize, usize)>,
    /// To the readers; an edge for each source.
    pub outputs: Outputs,
    /// The driver's markers.
    pub markers: mpsc::Receiver<Marker>,
    /// Where its snapshots go.
    pub snapshots: mpsc::Sender<SubtaskSnapshot>,
}

/// What a discovery has waited for.
enum Heard {
    Marker(Option<Marker>),
    Found(weir_core::Result<Option<Vec<Split>>>),
    Report(usize, Element),
}

impl DiscoverySubtask {
    /// Runs until a stop marker has passed all readers.
    pub async fn run(mut self) -> Result<(), Interrupt> {
        let mut times = self.table_times();
        let mut known: Vec<Announced> = self.state.announced().cloned().collect();
        let mut complete = false;
        let metrics = self.outputs.metrics.clone();
        loop {
            let heard = metrics.idle(async {
                tokio::select! {
                    biased;
                    marker = self.markers.recv() => Heard::Marker(marker),
                    found = self.discovery.next(), if !complete => Heard::Found(found),
                    (channel, report) = self.reports.next() => Heard::Report(channel, report),
                }
            });
            match heard.await {
                Heard::Marker(marker) => {
                    let Some(marker) = marker else { return Err(Interrupt::Disconnected) };
                    self.marker(marker).await?;
                    if marker.kind.ends() {
                        return self.end().await;
                    }
                }
                Heard::Found(found) => {
                    let found = found?;
                    complete = found.is_none();
                    let mut announced = std::mem::take(&mut known);
                    announced.extend(self.state.announce(found.unwrap_or_default()));
                    self.announce(&announced, &mut times).await?;
                    if complete {
                        self.outputs.control(Element::Watermark(Watermark::At(EventTime::MAX))).await?;
                        // Else a time of the table would take its place while it waits: of consecutive watermarks the last one counts.
                        self.outputs.control(Element::Watermark(Watermark::Idle)).await?;
                    }
                }
                Heard::Report(channel, report) => {
                    let (source, subtask) = self.readers[channel];
                    if let Element::Batch(finished) = &report {
                        self.finished(source, times.len(), finished)?;
                    }
                    if let (Element::Watermark(watermark), Some(table)) = (report, times.get_mut(&source))
                        && let Some(time) = table.update(subtask, watermark)
                    {
                        self.outputs.main[source].send(Element::Watermark(Watermark::At(time))).await?;
                    }
                }
            }
        }
    }

    /// The time of the table as each source sees it.
    fn table_times(&self) -> BTreeMap<usize, TableTime> {
        let mut subtasks: BTreeMap<usize, usize> = BTreeMap::new();
        for (source, _) in &self.readers {
            *subtasks.entry(*source).or_default() += 1;
        }
        subtasks.into_iter().map(|(source, subtasks)| (source, TableTime::new(subtasks))).collect()
    }

    async fn announce(
        &mut self,
        announced: &[Announced],
        times: &mut BTreeMap<usize, TableTime>,
    ) -> Result<(), Interrupt> {
        if announced.is_empty() {
            return Ok(());
        }
        for table in times.values_mut() {
            announced.iter().for_each(|announced| table.announced(announced.reader(table.readers())));
        }
        self.outputs.rows(Batch::append(announcements::encode(announced)?)).await?;
        self.outputs.flush().await
    }

    /// A reader of one of so many sources has come to the end of splits.
    fn finished(&mut self, source: usize, sources: usize, finished: &Batch) -> Result<(), Interrupt> {
        for number in announcements::decode_finished(finished.records())? {
            if let Some(sequence) = self.state.finished(source, number, sources) {
                self.discovery.finished(&sequence);
            }
        }
        Ok(())
    }

    async fn marker(&mut self, marker: Marker) -> Result<(), Interrupt> {
        if marker.kind.captures() {
            let forgotten = self.state.forget(&self.discovery.forgotten());
            if !forgotten.is_empty() {
                self.outputs.rows(Batch::append(announcements::encode(&forgotten)?)).await?;
                self.outputs.flush().await?;
            }
            let tables = vec![(announcements::table(), self.state.capture()?)];
            let nodes = vec![NodeCapture { uid: self.uid.clone(), watermark: EventTime::MIN, tables }];
            let snapshot = SubtaskSnapshot { marker, nodes, prepared: None };
            hand_over(&self.snapshots, snapshot, &self.outputs.metrics).await?;
        }
        self.outputs.metrics.passed(marker);
        self.outputs.control(Element::Marker(marker)).await
    }

    /// Readers tell how far they are until they end, and would fail if nobody heard them.
    async fn end(mut self) -> Result<(), Interrupt> {
        self.outputs.end().await?;
        let mut open = self.readers.len();
        while open > 0 {
            if let (_, Element::End) = self.outputs.metrics.idle(self.reports.next()).await {
                open -= 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
