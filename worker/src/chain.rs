//! The operators of one subtask, called one behind the other without a queue in between.
//!
//! Nothing here waits, unless an operator has only a part of its state in memory, or looks rows up in another table: then what it is about
//! to touch is read first.

mod together;

use std::sync::Arc;
use std::task::Waker;

use weir_core::{
    Batch, Capture, Collector, Epoch, EventTime, Operator, OperatorUid, OutputPort, Outstanding, Result, TableSchema,
    Watermark,
};

use self::together::together;
use crate::lookup::Lookup;
use crate::metrics::OperatorMetrics;
use crate::partial_state::PartialState;

/// Operators in order, upstream first.
pub struct OperatorChain {
    stages: Vec<Stage>,
    /// Position in the chain of the first stage: 1 behind a source, else 0.
    first: usize,
    collector: Collector,
    /// What is still to be done of the call at hand, the next thing last: all that follows from a batch is done before what
    /// stands behind it. Empty between calls.
    steps: Vec<Step>,
    /// How far time is behind the last stage, and whether the chain has said since that it is idle.
    told: (EventTime, bool),
    /// Whether its input is idle, which is not told as long as rows wait for answers.
    is_idle_behind_answers: bool,
}

/// What one stage does next.
enum Step {
    Rows { index: usize, ordinal: usize, batch: Batch },
    Watermark { index: usize, time: EventTime },
    Emit(Emission),
}

/// One operator of a chain.
pub struct Stage {
    /// Identity of its node.
    pub uid: OperatorUid,
    /// The operator, restored and open.
    pub operator: Box<dyn Operator>,
    /// Its declared state.
    pub tables: Vec<TableSchema>,
    /// Which part of that is in memory; `None`: all of it.
    pub partial: Option<PartialState>,
    /// What it looks rows up in, if it does.
    pub lookup: Option<Lookup>,
    /// The last watermark that it was given, in an earlier execution or in this one.
    pub watermark: EventTime,
    /// Whether it was given that one in this execution: what stands behind it is new and has to be told again.
    pub told: bool,
    /// Whether it makes watermarks of its own from processing time: idleness upstream means nothing behind it.
    pub makes_watermarks: bool,
    /// Whether it is told of processing time between rows.
    pub wants_ticks: bool,
    /// Whether its rows wait for answers. Only the first one's do.
    pub awaits_answers: bool,
    /// Counters of its node.
    pub metrics: Arc<OperatorMetrics>,
}

/// What leaves a chain.
#[derive(Debug)]
pub enum Emission {
    /// Rows from the output `port` of a node.
    Rows {
        /// The node's position in the chain.
        position: usize,
        /// Output of that node.
        port: OutputPort,
        /// The rows.
        batch: Batch,
    },
    /// A watermark behind the last stage.
    Watermark(Watermark),
}

/// State of one node as one subtask captured it.
pub struct NodeCapture {
    /// Identity of the node.
    pub uid: OperatorUid,
    /// The last watermark that the node was given.
    pub watermark: EventTime,
    /// Each declared table with what changed in it.
    pub tables: Vec<(TableSchema, Capture)>,
}

impl OperatorChain {
    /// A chain of `stages`, the first of which stands at position `first`. May be empty, and then passes everything on.
    pub fn new(stages: Vec<Stage>, first: usize) -> Self {
        Self {
            stages,
            first,
            collector: Collector::new(0),
            steps: Vec::new(),
            told: (EventTime::MIN, false),
            is_idle_behind_answers: false,
        }
    }

    /// Sets the processing time that operators see.
    pub fn set_now(&mut self, now: i64) {
        self.collector.set_now(now);
    }

    /// Whether an operator of the chain waits for processing time.
    pub fn wants_ticks(&self) -> bool {
        self.stages.iter().any(|stage| stage.wants_ticks)
    }

    /// Has `waker` woken by answers that rows wait for. Whether there ever are any.
    pub fn wake_by(&mut self, waker: &Waker) -> Result<bool> {
        match self.stages.first_mut() {
            Some(first) if first.awaits_answers => first.operator.wake_by(waker).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Whether rows wait for answers.
    pub fn outstanding(&self) -> Outstanding {
        let first = self.stages.first().filter(|first| first.awaits_answers);
        first.map_or(Outstanding::None, |first| first.operator.outstanding())
    }

    /// There may be answers.
    pub async fn answers(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        let Some(first) = self.stages.first_mut() else { return Ok(()) };
        let watermark = first.operator.answers(&mut self.collector)?;
        self.forward(0, watermark)?;
        self.take_steps(out).await?;
        if self.is_idle_behind_answers && self.outstanding() == Outstanding::None {
            self.watermark(Watermark::Idle, out).await?;
        }
        Ok(())
    }

    /// Rows for input `ordinal` of the first stage.
    pub async fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Vec<Emission>) -> Result<()> {
        self.steps.push(Step::Rows { index: 0, ordinal, batch });
        self.take_steps(out).await
    }

    /// A watermark for the first stage.
    pub async fn watermark(&mut self, watermark: Watermark, out: &mut Vec<Emission>) -> Result<()> {
        match watermark {
            Watermark::At(time) => {
                self.is_idle_behind_answers = false;
                let was_idle = std::mem::take(&mut self.told.1);
                if was_idle {
                    self.stages.iter().for_each(|stage| stage.metrics.set_active());
                }
                self.steps.push(Step::Watermark { index: 0, time });
                self.take_steps(out).await?;
                // That it is idle no longer is news, also where time is as it was.
                if was_idle && !out.iter().any(|emission| matches!(emission, Emission::Watermark(_))) {
                    out.push(Emission::Watermark(Watermark::At(self.told.0)));
                }
                Ok(())
            }
            Watermark::Idle => {
                // Rows are still to come, and nobody behind waits for them once this is told.
                self.is_idle_behind_answers = self.outstanding() != Outstanding::None;
                if !self.is_idle_behind_answers && !self.stages.iter().any(|stage| stage.makes_watermarks) {
                    // Once this input is idle the others' time goes on without it: what is held back has to be ahead.
                    self.release(out).await?;
                    out.push(Emission::Watermark(Watermark::Idle));
                    self.told.1 = true;
                    self.stages.iter().for_each(|stage| stage.metrics.set_idle());
                }
                Ok(())
            }
        }
    }

    /// Processing time has gone on.
    pub async fn tick(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        for index in 0..self.stages.len() {
            let watermark = self.stages[index].operator.tick(&mut self.collector)?;
            self.forward(index, watermark)?;
            self.take_steps(out).await?;
        }
        Ok(())
    }

    /// Every stage emits what it holds back for the sake of larger batches.
    async fn release(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        for index in 0..self.stages.len() {
            self.stages[index].operator.release(&mut self.collector)?;
            self.forward(index, None)?;
            self.take_steps(out).await?;
        }
        Ok(())
    }

    /// A marker passes: every stage emits what it holds back, then what it owes at the end of an epoch, both before the next
    /// stage does.
    pub async fn flush(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        for index in 0..self.stages.len() {
            self.stages[index].operator.release(&mut self.collector)?;
            self.stages[index].operator.flush(&mut self.collector)?;
            self.forward(index, None)?;
            self.take_steps(out).await?;
        }
        Ok(())
    }

    /// Captures the state of every stage for `epoch`. Follows a [`flush`](Self::flush).
    pub fn capture(&mut self, epoch: Epoch) -> Result<Vec<NodeCapture>> {
        self.stages
            .iter_mut()
            .map(|stage| {
                let captures = stage.operator.capture()?;
                if let Some(partial) = &mut stage.partial {
                    partial.captured(epoch);
                }
                stage.metrics.set_state_bytes(stage.operator.state_bytes());
                let tables = stage.tables.iter().cloned().zip(captures).collect();
                Ok(NodeCapture { uid: stage.uid.clone(), watermark: stage.watermark, tables })
            })
            .collect()
    }

    async fn take_steps(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Rows { index, ordinal, batch } if index < self.stages.len() => {
                    self.rows_at(index, ordinal, batch).await?;
                }
                Step::Rows { index, batch, .. } => {
                    let position = (self.first + index).saturating_sub(1);
                    out.push(Emission::Rows { position, port: OutputPort::Main, batch });
                }
                Step::Watermark { index, time } if index < self.stages.len() => self.watermark_at(index, time).await?,
                Step::Watermark { time, .. } => {
                    self.told.0 = time;
                    out.push(Emission::Watermark(Watermark::At(time)));
                }
                Step::Emit(emission) => out.push(emission),
            }
        }
        Ok(())
    }

    async fn rows_at(&mut self, index: usize, ordinal: usize, batch: Batch) -> Result<()> {
        let stage = &mut self.stages[index];
        stage.metrics.count_in(batch.num_rows());
        if let Some(partial) = &mut stage.partial {
            partial.load(&mut *stage.operator, ordinal, &batch, stage.watermark).await?;
        }
        if let Some(lookup) = &mut stage.lookup {
            lookup.prepare(&mut *stage.operator, &batch, self.collector.now()).await?;
        }
        stage.operator.process(ordinal, batch, &mut self.collector)?;
        if let Some(partial) = &mut stage.partial {
            partial.evict(&mut *stage.operator)?;
        }
        self.forward(index, None)
    }

    async fn watermark_at(&mut self, index: usize, time: EventTime) -> Result<()> {
        let stage = &mut self.stages[index];
        if time < stage.watermark || (time == stage.watermark && stage.told) {
            return Ok(());
        }
        let before = std::mem::replace(&mut stage.watermark, time);
        stage.told = true;
        stage.metrics.set_watermark(time);
        if let Some(partial) = &mut stage.partial {
            partial.show_due(&mut *stage.operator, (before, time), &mut self.collector).await?;
        }
        let onward = stage.operator.watermark(time, &mut self.collector)?;
        self.forward(index, onward)
    }

    /// Hands what stage `index` has emitted to the next one, and behind it a watermark.
    fn forward(&mut self, index: usize, watermark: Option<EventTime>) -> Result<()> {
        let metrics = &self.stages[index].metrics;
        metrics.count_late(self.collector.take_late_rows());
        let next = index + 1;
        self.steps.extend(watermark.map(|time| Step::Watermark { index: next, time }));
        for (port, batch) in together(self.collector.take())?.into_iter().rev() {
            self.steps.push(match port {
                OutputPort::Main => {
                    metrics.count_out(batch.num_rows());
                    Step::Rows { index: next, ordinal: 0, batch }
                }
                side => Step::Emit(Emission::Rows { position: self.first + index, port: side, batch }),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
