//! The loop of a subtask that reads a table.
//!
//! It hears of the splits of its table, and of markers, from the table's discovery ([`discovery`](super::discovery)), and reads
//! those that are its own.
//!
//! A split is idle when the subtask has listened for long enough and heard nothing of it. What the subtask does with what it
//! hears does not count: it may have to wait for others then, and no split has the chance to deliver anything. Nor does the time
//! for which it does not ask its source for rows, because the table's limit is reached; nor that for which a split is held, because
//! it is ahead of the others.

mod presence;
mod rejected;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use weir_core::bugs::{self, Bug};
use weir_core::connector::{AssignedSplit, Rejected, SplitPosition};
use weir_core::{
    Batch, Element, Epoch, Error, EventTime, Marker, MarkerKind, OperatorUid, OutputPort, Result, Source, SourceEvent,
    SplitWatermarks, Watermark,
};
use weir_operators::{Scan, Scanned};

pub use self::presence::Presence;
use self::rejected::{rejected_rows, rows_without_time};
use super::rate_limit::RateLimit;
use super::{Interrupt, Outputs, TICK, TURNS, WorkerEvent, hand_over};
use crate::announcements;
use crate::chain::{Emission, NodeCapture, OperatorChain};
use crate::clock::Clock;
use crate::exchange::{ChannelSender, Gate, estimated_bytes};
use crate::metrics::{CheckpointMetrics, OperatorMetrics, Passage, Splits};
use crate::snapshot::SubtaskSnapshot;
use crate::source_state::{self, SourceState, SplitState};

/// A subtask whose head is a source.
pub struct SourceSubtask {
    /// Identity of the source's node.
    pub uid: OperatorUid,
    /// Name of the table, for rejected records.
    pub table: String,
    /// Which subtask of the source this is, and how many there are.
    pub place: (usize, usize),
    /// What the discovery says.
    pub discovery: Gate,
    /// To the discovery: how far this subtask is.
    pub reports: ChannelSender,
    /// The splits that it reads.
    pub source: Box<dyn Source>,
    /// Computed columns, watermark expression, filter.
    pub scan: Scan,
    /// The table's limit, if it has one.
    pub limit: Option<RateLimit>,
    /// Event time over its splits; `None` where the table has none.
    pub watermarks: Option<SplitWatermarks>,
    /// How long it has listened to its source.
    pub listened: Duration,
    /// Whether it counts for the subtasks behind it.
    pub presence: Presence,
    /// Where splits stand.
    pub state: SourceState,
    /// The source's own counters.
    pub metrics: Arc<OperatorMetrics>,
    /// Figures of the job's checkpoints.
    pub checkpoints: Arc<CheckpointMetrics>,
    /// Operators behind the source.
    pub chain: OperatorChain,
    /// Where its rows go.
    pub outputs: Outputs,
    /// Told once, when there is nothing more to read.
    pub exhausted: mpsc::Sender<()>,
    /// Where it asks for markers.
    pub events: mpsc::Sender<WorkerEvent>,
    /// The last epoch whose checkpoint is complete.
    pub completed: watch::Receiver<Epoch>,
    /// Where its snapshots go.
    pub snapshots: mpsc::Sender<SubtaskSnapshot>,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// The watermark that it has sent on, also in an earlier execution.
    pub emitted: EventTime,
}

/// How far reading is.
struct Reading {
    /// Splits of this subtask that are not finished.
    open: usize,
    /// Numbers of those that are assigned, by their names.
    numbers: BTreeMap<Arc<str>, usize>,
    /// Numbers of those that are finished, which the discovery has not been told yet.
    finished: Vec<usize>,
    /// The discovery has announced all splits.
    complete: bool,
    /// All of it has been said: the end of time, and that nothing is left to read.
    over: bool,
    /// When it was last looked at how far its splits are apart.
    splits_seen: Instant,
    /// `None`: a split has been announced since. The discovery counts on its reader from then on; but a report that was under
    /// way may have told it otherwise, so another one is due whatever was said last.
    last_report: Option<LastReport>,
}

/// What the discovery has been told last.
#[derive(PartialEq, Eq)]
struct LastReport {
    time: EventTime,
    /// There was something to say about time.
    speaks: bool,
}

impl LastReport {
    /// What the discovery takes for granted of who has not said anything.
    const NONE: LastReport = LastReport { time: EventTime::MIN, speaks: false };
}

/// Time between two looks at how far the splits are apart, of which there may be thousands.
const LOOK_AT_SPLITS: Duration = Duration::from_secs(1);

/// What a subtask has listened for.
enum Heard {
    Discovery(Element),
    Completed,
    Event(Result<SourceEvent>),
    Timer,
}

impl SourceSubtask {
    /// Runs until a stop marker.
    pub async fn run(mut self) -> Result<(), Interrupt> {
        let mut emissions = Vec::new();
        let mut reading = Reading {
            open: 0,
            numbers: BTreeMap::new(),
            finished: Vec::new(),
            complete: false,
            over: false,
            splits_seen: Instant::now(),
            last_report: Some(LastReport::NONE),
        };
        let mut next_tick = Instant::now() + TICK;
        // Channels behind are new and know nothing of where an earlier execution had arrived.
        if self.emitted > EventTime::MIN {
            self.watermark(Watermark::At(self.emitted), &mut emissions).await?;
        }
        let mut turns = 0_u32;
        let metrics = self.outputs.metrics.clone();
        loop {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS) {
                tokio::task::yield_now().await;
            }
            let paused = self.limit.as_ref().and_then(RateLimit::paused_until);
            let wake = [self.outputs.deadline(), paused].into_iter().flatten().fold(next_tick, Instant::min);
            let asks = reading.open > 0 && paused.is_none() && self.presence.may_read();
            let before = (asks && self.presence.is_idle()).then(|| self.source.positions());
            // Not by the clock: it may be set while the subtask listens.
            let listening = Instant::now();
            let heard = metrics.idle(async {
                tokio::select! {
                    biased;
                    (_, element) = self.discovery.next() => Heard::Discovery(element),
                    Ok(()) = self.completed.changed() => Heard::Completed,
                    event = self.source.next(), if asks => Heard::Event(event),
                    () = sleep_until(wake) => Heard::Timer,
                }
            });
            let heard = heard.await;
            if asks || reading.open == 0 {
                self.listened += listening.elapsed();
            }
            match heard {
                Heard::Discovery(Element::Marker(marker)) => {
                    if marker.kind == MarkerKind::Drain && self.emitted < EventTime::MAX {
                        self.watermark(Watermark::At(EventTime::MAX), &mut emissions).await?;
                    }
                    self.marker(marker, &mut emissions).await?;
                    if marker.kind.ends() {
                        return self.end().await;
                    }
                    if let Some(kept) = self.presence.marker() {
                        self.event(kept, &mut reading, &mut emissions).await?;
                    }
                }
                Heard::Discovery(element) => self.discovered(element, &mut reading, &mut emissions).await?,
                Heard::Completed => {
                    let epoch = *self.completed.borrow_and_update();
                    metrics.idle(self.source.completed(epoch)).await?;
                }
                Heard::Event(event) => {
                    match (event?, before) {
                        (rows @ SourceEvent::Rows { .. }, Some(before)) => {
                            self.keep(rows, before);
                            self.advance(&mut emissions).await?;
                        }
                        (event, _) => self.event(event, &mut reading, &mut emissions).await?,
                    }
                    if self.frees_others(&reading) {
                        self.report(&mut reading)?;
                    }
                    if wake <= Instant::now() {
                        next_tick = self.wake(next_tick, &mut reading, &mut emissions).await?;
                    }
                }
                Heard::Timer => next_tick = self.wake(next_tick, &mut reading, &mut emissions).await?,
            }
            let ends = reading.complete && reading.open == 0 && !reading.over;
            if ends && self.presence.is_idle() {
                // What the end makes operators emit is for those behind to wait for.
                self.watermark(Watermark::At(self.emitted), &mut emissions).await?;
            }
            if self.presence.wants_marker(reading.open > 0 || ends) {
                // Not worth waiting for room in the queue: it asks again.
                let _ = self.events.try_send(WorkerEvent::MarkerWanted);
            }
            if ends && self.presence.counts() {
                reading.over = true;
                self.watermark(Watermark::At(EventTime::MAX), &mut emissions).await?;
                self.outputs.flush().await?;
                let told = metrics.backpressured(self.exhausted.send(())).await;
                told.map_err(|_| Interrupt::Disconnected)?;
            }
        }
    }

    /// The discovery has said something, and it is no marker.
    async fn discovered(
        &mut self,
        element: Element,
        reading: &mut Reading,
        emissions: &mut Vec<Emission>,
    ) -> Result<(), Interrupt> {
        match element {
            Element::Batch(batch) => self.announced(batch.records(), reading)?,
            Element::Watermark(Watermark::At(EventTime::MAX)) => reading.complete = true,
            Element::Watermark(Watermark::At(time)) => {
                if let Some(watermarks) = &mut self.watermarks {
                    watermarks.table(time, self.listened);
                }
            }
            Element::Watermark(Watermark::Idle) | Element::Marker(_) => {}
            Element::End => return Err(Interrupt::Disconnected),
        }
        self.advance(emissions).await
    }

    /// Splits of the table are announced. Those of this subtask are added to what it reads.
    fn announced(&mut self, rows: &RecordBatch, reading: &mut Reading) -> Result<()> {
        let (subtask, subtasks) = self.place;
        let mut assigned = Vec::new();
        for announced in announcements::decode(rows)? {
            let split = &announced.split;
            let is_own = announced.reader(subtasks) == subtask;
            if announced.is_forgotten {
                self.state.forget(&split.name, is_own);
                continue;
            }
            if !is_own {
                continue;
            }
            // Also for one that is finished: the discovery does not know that it is.
            reading.last_report = None;
            let known = self.state.of(&split.name).cloned();
            if known.as_ref().is_some_and(|known| known.finished) && !bugs::is_on(Bug::FinishedSplitForgotten) {
                reading.finished.push(announced.number);
                continue;
            }
            reading.numbers.insert(split.name.clone(), announced.number);
            let known = known.unwrap_or_else(|| SplitState::new(split.name.clone()));
            if let Some(watermarks) = &mut self.watermarks {
                if self.emitted == EventTime::MAX {
                    return Err(more_than_the_end(&self.table, &split.name));
                }
                watermarks.add(split.name.clone(), split.sequence.clone(), known.watermark);
            }
            assigned.push(AssignedSplit { position: known.position.clone(), split: announced.split });
            self.state.set(known);
        }
        reading.open += assigned.len();
        self.source.assign(assigned)
    }

    /// Something has come from the source.
    async fn event(
        &mut self,
        event: SourceEvent,
        reading: &mut Reading,
        emissions: &mut Vec<Emission>,
    ) -> Result<(), Interrupt> {
        match event {
            SourceEvent::Rows { split, records, rejected } => {
                if let Some(limit) = &mut self.limit {
                    limit.spend(records.num_rows() + rejected.len());
                }
                self.rejected(&rejected).await?;
                if records.num_rows() > 0 {
                    self.rows(&split, records, emissions).await?;
                }
            }
            SourceEvent::Time { split, time } => {
                if let Some(watermarks) = &mut self.watermarks {
                    watermarks.observe(&split, time, self.listened);
                }
                self.advance(emissions).await?;
            }
            SourceEvent::SplitFinished { split } => {
                reading.open = reading.open.saturating_sub(1);
                reading.finished.extend(reading.numbers.remove(&split));
                if let Some(watermarks) = &mut self.watermarks {
                    watermarks.finish(&split, self.listened);
                }
                self.state.set(SplitState { finished: true, ..SplitState::new(split) });
                self.advance(emissions).await?;
                if reading.open == 0 {
                    self.report(reading)?;
                }
            }
        }
        Ok(())
    }

    /// Rows that have come to an idle subtask wait for a marker.
    fn keep(&mut self, rows: SourceEvent, before: Vec<SplitPosition>) {
        if let (SourceEvent::Rows { split, .. }, Some(watermarks)) = (&rows, &mut self.watermarks) {
            watermarks.observe(split, EventTime::MIN, self.listened);
        }
        self.presence.keep(rows, before);
    }

    async fn rows(
        &mut self,
        split: &Arc<str>,
        records: RecordBatch,
        emissions: &mut Vec<Emission>,
    ) -> Result<(), Interrupt> {
        self.chain.set_now(self.clock.now());
        self.metrics.count_out(records.num_rows());
        self.metrics.count_bytes(estimated_bytes(&records));
        let Scanned { rows, time, without_time } = self.scan.rows(records)?;
        if let Some(without_time) = without_time {
            self.without_time(split, &without_time).await?;
        }
        if rows.num_rows() > 0 {
            self.chain.process(0, rows, emissions).await?;
            self.outputs.deliver(emissions).await?;
        }
        if let Some(watermarks) = &mut self.watermarks {
            watermarks.observe(split, time.unwrap_or(EventTime::MIN), self.listened);
        }
        self.advance(emissions).await
    }

    async fn advance(&mut self, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        if self.emitted == EventTime::MAX {
            return Ok(());
        }
        let listened = self.listened;
        if let Some(held) = self.watermarks.as_mut().and_then(|watermarks| watermarks.held(listened)) {
            self.source.hold(&held);
        }
        match self.watermarks.as_mut().and_then(|watermarks| watermarks.advance(listened)) {
            Some(news) => self.watermark(news, emissions).await,
            None => Ok(()),
        }
    }

    async fn watermark(&mut self, watermark: Watermark, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        match watermark {
            Watermark::At(time) => {
                self.emitted = time;
                self.metrics.set_watermark(time);
            }
            Watermark::Idle => self.metrics.set_idle(),
        }
        self.presence.says(watermark);
        self.chain.watermark(watermark, emissions).await?;
        self.outputs.deliver(emissions).await
    }

    /// Whether others, which are held, may go on because of how far this subtask has come.
    fn frees_others(&self, reading: &Reading) -> bool {
        let step = self.watermarks.as_ref().and_then(SplitWatermarks::step);
        step.is_some_and(|step| {
            let told = reading.last_report.as_ref().map_or(EventTime::MIN, |report| report.time);
            self.emitted.0.saturating_sub(told.0) > step
        })
    }

    /// Tells the discovery how far this subtask is, if that is news. Once all splits are announced nobody waits for it, but where they are
    /// aligned.
    fn report(&mut self, reading: &mut Reading) -> Result<(), Interrupt> {
        let is_wanted = |watermarks: &&SplitWatermarks| !reading.complete || watermarks.step().is_some();
        let Some(watermarks) = self.watermarks.as_ref().filter(is_wanted) else { return Ok(()) };
        let report = LastReport { time: self.emitted, speaks: watermarks.speaks(self.listened) };
        let news = reading.last_report.as_ref().is_none_or(|last| (report.speaks || last.speaks) && report != *last);
        if news {
            // An end of time that an earlier execution has come to. That nothing more will be found this one has yet to find out,
            // and it is the discovery that says so.
            if report.time < EventTime::MAX {
                self.reports.send_control(Element::Watermark(Watermark::At(report.time)))?;
            }
            if !report.speaks {
                self.reports.send_control(Element::Watermark(Watermark::Idle))?;
            }
            reading.last_report = Some(report);
        }
        Ok(())
    }

    /// Tells the discovery which splits are finished: it may find that they can be forgotten. A table that comes to its end needs not.
    async fn report_finished(&mut self, reading: &mut Reading) -> Result<(), Interrupt> {
        let finished = std::mem::take(&mut reading.finished);
        if finished.is_empty() || reading.complete {
            return Ok(());
        }
        let finished = Batch::append(announcements::encode_finished(&finished)?);
        self.outputs.metrics.backpressured(self.reports.send(finished)).await?;
        Ok(())
    }

    async fn rejected(&mut self, rejected: &[Rejected]) -> Result<(), Interrupt> {
        if rejected.is_empty() {
            return Ok(());
        }
        self.metrics.count_rejected(rejected.len());
        let batch = Batch::append(rejected_rows(&self.table, rejected)?);
        self.outputs.side_rows(0, OutputPort::Rejected, batch).await
    }

    async fn without_time(&mut self, split: &str, rows: &RecordBatch) -> Result<(), Interrupt> {
        self.metrics.count_rejected(rows.num_rows());
        let Some(column) = self.scan.kept_without_time() else { return Ok(()) };
        let batch = Batch::append(rows_without_time(&self.table, split, column, rows)?);
        self.outputs.side_rows(0, OutputPort::Rejected, batch).await
    }

    /// A row has lingered, or processing time has gone on.
    async fn wake(
        &mut self,
        next_tick: Instant,
        reading: &mut Reading,
        emissions: &mut Vec<Emission>,
    ) -> Result<Instant, Interrupt> {
        let now = Instant::now();
        if self.outputs.deadline().is_some_and(|deadline| deadline <= now) {
            self.outputs.flush().await?;
        }
        if next_tick > now {
            return Ok(next_tick);
        }
        self.chain.set_now(self.clock.now());
        self.advance(emissions).await?;
        self.report(reading)?;
        self.report_finished(reading).await?;
        self.presence.tick();
        self.metrics.set_lag(&self.source.lag());
        if reading.splits_seen + LOOK_AT_SPLITS <= now {
            reading.splits_seen = now;
            self.metrics.set_splits(self.splits(reading));
        }
        self.chain.tick(emissions).await?;
        self.outputs.deliver(emissions).await?;
        Ok(now + TICK)
    }

    /// How far the splits that are being read are apart.
    fn splits(&self, reading: &Reading) -> Splits {
        let time = |split: &Arc<str>| Some(self.watermarks.as_ref()?.of(split)).filter(|time| *time > EventTime::MIN);
        let times = || reading.numbers.keys().filter_map(time);
        let spread = times().min().zip(times().max()).map(|(least, greatest)| {
            Duration::from_millis(u64::try_from(greatest.0.saturating_sub(least.0)).unwrap_or_default())
        });
        let silent = if self.watermarks.is_some() { reading.numbers.len() - times().count() } else { 0 };
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let held = self.watermarks.as_ref().map_or(0, SplitWatermarks::waiting);
        Splits { count: count(reading.numbers.len()), silent: count(silent), held: count(held), spread }
    }

    async fn marker(&mut self, marker: Marker, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        let passage = Passage::begin();
        self.chain.set_now(self.clock.now());
        // What a checkpoint holds does not depend on when the last tick was.
        self.chain.tick(emissions).await?;
        self.chain.flush(emissions).await?;
        self.outputs.deliver(emissions).await?;
        if marker.kind.captures() {
            let capturing = passage.flushed(&self.checkpoints);
            let mut nodes = vec![self.capture(marker.epoch)];
            if marker.kind.keeps_state() {
                nodes.extend(self.chain.capture(marker.epoch)?);
            }
            let prepared = self.outputs.prepare(marker.epoch).await?;
            let snapshot = SubtaskSnapshot { marker, nodes, prepared };
            hand_over(&self.snapshots, snapshot, &self.outputs.metrics).await?;
            capturing.captured(&self.checkpoints, marker.epoch, &self.outputs.metrics);
        }
        self.outputs.passed(marker, &self.checkpoints).await
    }

    fn capture(&mut self, epoch: Epoch) -> NodeCapture {
        let positions = self.presence.positions().unwrap_or_else(|| self.source.positions());
        self.source.captured(epoch, &positions);
        for position in positions {
            let watermark =
                self.watermarks.as_ref().map_or(EventTime::MIN, |watermarks| watermarks.of(&position.split));
            let SplitPosition { split, position } = position;
            self.state.set(SplitState { position: Some(position), watermark, ..SplitState::new(split) });
        }
        NodeCapture {
            uid: self.uid.clone(),
            watermark: self.emitted,
            tables: vec![(source_state::table(), self.state.capture())],
        }
    }

    /// Behind the last marker.
    async fn end(mut self) -> Result<(), Interrupt> {
        self.outputs.end().await?;
        let metrics = self.outputs.metrics.clone();
        while !matches!(metrics.idle(self.discovery.next()).await, (_, Element::End)) {}
        self.reports.send_control(Element::End)?;
        Ok(metrics.backpressured(self.reports.arrived()).await?)
    }
}

/// The end of the input has been told to everybody behind: all rows that come now would be late.
fn more_than_the_end(table: &str, split: &str) -> Error {
    Error::user(format!("an earlier run has read table {table} to its end, and now there is more: {split}")).with_help(
        "start afresh with another --state-dir, or in a cluster as another job; a table that grows wants \
             'source.monitor-interval'",
    )
}

#[cfg(test)]
mod tests;
