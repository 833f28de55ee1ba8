//! The loop of a subtask that reads a table.
//!
//! A split is idle when the subtask has listened for long enough and heard nothing of it. What the subtask does with what it
//! hears does not count: it may have to wait for others then, and no split has the chance to deliver anything.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{BinaryViewArray, Int64Array, RecordBatch, StringViewArray};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use weir_core::connector::{Rejected, rejected_schema};
use weir_core::{
    Batch, Element, Error, EventTime, Marker, MarkerKind, OperatorUid, OutputPort, Result, Source, SourceEvent,
    SplitWatermarks, Watermark,
};
use weir_operators::Scan;

use super::{Command, Interrupt, Outputs, TICK, TURNS};
use crate::chain::{Emission, NodeCapture, OperatorChain};
use crate::clock::Clock;
use crate::metrics::OperatorMetrics;
use crate::snapshot::SubtaskSnapshot;
use crate::source_state::{self, SourceState, SplitState};

/// A subtask whose head is a source.
pub struct SourceSubtask {
    /// Identity of the source's node.
    pub uid: OperatorUid,
    /// Name of the table, for rejected records.
    pub table: String,
    /// The splits that it reads.
    pub source: Box<dyn Source>,
    /// Computed columns, watermark expression, filter.
    pub scan: Scan,
    /// Event time over its splits; `None` where the table has none.
    pub watermarks: Option<SplitWatermarks>,
    /// How long it has listened to its source.
    pub listened: Duration,
    /// Where the splits stood at the restored checkpoint.
    pub restored: Vec<SplitState>,
    /// What the last checkpoint knows of its splits.
    pub state: SourceState,
    /// The source's own counters.
    pub metrics: Arc<OperatorMetrics>,
    /// Operators behind the source.
    pub chain: OperatorChain,
    /// Where its rows go.
    pub outputs: Outputs,
    /// What the driver says.
    pub commands: mpsc::Receiver<Command>,
    /// Told once, when there is nothing more to read.
    pub exhausted: mpsc::Sender<()>,
    /// Where its snapshots go.
    pub snapshots: mpsc::Sender<SubtaskSnapshot>,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// The watermark that it has sent on, also in an earlier execution.
    pub emitted: EventTime,
}

/// What a subtask has listened for.
enum Heard {
    Command(Option<Command>),
    Event(Result<SourceEvent>),
    Timer,
}

impl SourceSubtask {
    /// Runs until a stop marker.
    pub async fn run(mut self) -> Result<(), Interrupt> {
        let mut emissions = Vec::new();
        let mut reading = true;
        let mut next_tick = Instant::now() + TICK;
        // Channels behind are new and know nothing of where an earlier execution had arrived.
        if self.emitted > EventTime::MIN {
            self.watermark(Watermark::At(self.emitted), &mut emissions).await?;
        }
        let mut turns = 0_u32;
        loop {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS) {
                tokio::task::yield_now().await;
            }
            let wake = self.outputs.deadline().map_or(next_tick, |deadline| deadline.min(next_tick));
            // Not by the clock: it may be set while the subtask listens.
            let listening = Instant::now();
            let heard = tokio::select! {
                biased;
                command = self.commands.recv() => Heard::Command(command),
                // Asked before the timer: a subtask that has not yet heard of its splits would take itself for idle.
                event = self.source.next(), if reading => Heard::Event(event),
                () = sleep_until(wake) => Heard::Timer,
            };
            self.listened += listening.elapsed();
            match heard {
                Heard::Command(None) => return Err(Interrupt::Disconnected),
                Heard::Command(Some(Command::Marker(marker))) => {
                    if marker.kind == MarkerKind::Drain && self.emitted < EventTime::MAX {
                        self.watermark(Watermark::At(EventTime::MAX), &mut emissions).await?;
                    }
                    self.marker(marker, &mut emissions).await?;
                    if marker.kind.ends() {
                        return self.outputs.end().await;
                    }
                }
                Heard::Event(event) => {
                    reading = self.event(event?, &mut emissions).await?;
                    if wake <= Instant::now() {
                        next_tick = self.wake(next_tick, &mut emissions).await?;
                    }
                }
                Heard::Timer => next_tick = self.wake(next_tick, &mut emissions).await?,
            }
        }
    }

    /// Something has come from the source. Returns whether there is more to read.
    async fn event(&mut self, event: SourceEvent, emissions: &mut Vec<Emission>) -> Result<bool, Interrupt> {
        match event {
            SourceEvent::SplitAdded { split, holds_watermark } => {
                let time = self.restored_time(&split);
                if let Some(watermarks) = &mut self.watermarks {
                    if self.emitted == EventTime::MAX {
                        return Err(more_than_the_end(&self.table, &split).into());
                    }
                    watermarks.add(split, holds_watermark, time);
                }
            }
            SourceEvent::Rows { split, records, rejected } => {
                self.rejected(&rejected).await?;
                if records.num_rows() > 0 {
                    self.rows(&split, records, emissions).await?;
                }
            }
            SourceEvent::SplitFinished { split } => {
                if let Some(watermarks) = &mut self.watermarks {
                    watermarks.finish(&split);
                }
                self.advance(emissions).await?;
            }
            SourceEvent::End => {
                self.watermark(Watermark::At(EventTime::MAX), emissions).await?;
                self.outputs.flush().await?;
                self.exhausted.send(()).await.map_err(|_| Interrupt::Disconnected)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn restored_time(&self, split: &str) -> EventTime {
        let state = self.restored.iter().find(|state| &*state.position.split == split);
        state.map_or(EventTime::MIN, |state| state.watermark)
    }

    async fn rows(
        &mut self,
        split: &Arc<str>,
        records: RecordBatch,
        emissions: &mut Vec<Emission>,
    ) -> Result<(), Interrupt> {
        self.chain.set_now(self.clock.now());
        self.metrics.count_out(records.num_rows());
        let (batch, time) = self.scan.rows(records)?;
        if batch.num_rows() > 0 {
            self.chain.process(0, batch, emissions).await?;
            self.outputs.deliver(emissions).await?;
        }
        if let Some(watermarks) = &mut self.watermarks {
            watermarks.observe(split, time.unwrap_or(EventTime::MIN), self.listened);
        }
        self.advance(emissions).await
    }

    async fn advance(&mut self, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        let listened = self.listened;
        match self.watermarks.as_mut().and_then(|watermarks| watermarks.advance(listened)) {
            Some(news) => self.watermark(news, emissions).await,
            None => Ok(()),
        }
    }

    async fn watermark(&mut self, watermark: Watermark, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        if let Watermark::At(time) = watermark {
            self.emitted = time;
            self.metrics.set_watermark(time);
        }
        self.chain.watermark(watermark, emissions).await?;
        self.outputs.deliver(emissions).await
    }

    async fn rejected(&mut self, rejected: &[Rejected]) -> Result<(), Interrupt> {
        if rejected.is_empty() {
            return Ok(());
        }
        self.metrics.count_rejected(rejected.len());
        let batch = Batch::append(rejected_rows(&self.table, rejected)?);
        self.outputs.side_rows(0, OutputPort::Rejected, batch).await
    }

    /// A row has lingered, or processing time has gone on.
    async fn wake(&mut self, next_tick: Instant, emissions: &mut Vec<Emission>) -> Result<Instant, Interrupt> {
        let now = Instant::now();
        if self.outputs.deadline().is_some_and(|deadline| deadline <= now) {
            self.outputs.flush().await?;
        }
        if next_tick > now {
            return Ok(next_tick);
        }
        self.chain.set_now(self.clock.now());
        if self.emitted < EventTime::MAX {
            self.advance(emissions).await?;
        }
        self.chain.tick(emissions).await?;
        self.outputs.deliver(emissions).await?;
        Ok(now + TICK)
    }

    async fn marker(&mut self, marker: Marker, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        self.chain.set_now(self.clock.now());
        self.chain.flush(emissions).await?;
        self.outputs.deliver(emissions).await?;
        if marker.kind.captures() {
            let mut nodes = vec![self.capture()?];
            nodes.extend(self.chain.capture(marker.epoch)?);
            let prepared = self.outputs.prepare(marker.epoch).await?;
            let snapshot = SubtaskSnapshot { epoch: marker.epoch, nodes, prepared };
            self.snapshots.send(snapshot).await.map_err(|_| Interrupt::Disconnected)?;
        }
        self.outputs.control(Element::Marker(marker)).await
    }

    fn capture(&mut self) -> Result<NodeCapture> {
        let watermarks = &self.watermarks;
        let splits = self.source.positions().into_iter().map(|position| SplitState {
            watermark: watermarks.as_ref().map_or(EventTime::MIN, |watermarks| watermarks.of(&position.split)),
            position,
        });
        let capture = self.state.capture(splits)?;
        Ok(NodeCapture {
            uid: self.uid.clone(),
            watermark: self.emitted,
            tables: vec![(source_state::table(), capture)],
        })
    }
}

/// The end of the input has been told to everybody behind: all rows that come now would be late.
fn more_than_the_end(table: &str, split: &str) -> Error {
    Error::user(format!("an earlier run has read table {table} to its end, and now there is more: {split}")).with_help(
        "start afresh with another --state-dir, or in a cluster as another job; a table that grows wants \
             'source.monitor-interval'",
    )
}

fn rejected_rows(table: &str, rejected: &[Rejected]) -> Result<RecordBatch> {
    let offsets = rejected.iter().map(|record| i64::try_from(record.offset).unwrap_or(i64::MAX));
    Ok(RecordBatch::try_new(
        rejected_schema(),
        vec![
            Arc::new(StringViewArray::from_iter_values(rejected.iter().map(|_| table))),
            Arc::new(StringViewArray::from_iter_values(rejected.iter().map(|record| &*record.origin))),
            Arc::new(Int64Array::from_iter_values(offsets)),
            Arc::new(BinaryViewArray::from_iter_values(rejected.iter().map(|record| record.raw.as_slice()))),
            Arc::new(StringViewArray::from_iter_values(rejected.iter().map(|record| record.reason.as_str()))),
        ],
    )?)
}

#[cfg(test)]
mod tests;
