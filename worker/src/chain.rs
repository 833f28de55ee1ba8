//! The operators of one subtask, called one behind the other without a queue in between.

use std::sync::Arc;

use weir_core::{
    Batch, Capture, Collector, EventTime, Operator, OperatorUid, OutputPort, Result, TableSchema, Watermark,
};

use crate::metrics::OperatorMetrics;

/// Operators in order, upstream first.
pub struct OperatorChain {
    stages: Vec<Stage>,
    /// Position in the chain of the first stage: 1 behind a source, else 0.
    first: usize,
    collector: Collector,
}

/// One operator of a chain.
pub struct Stage {
    /// Identity of its node.
    pub uid: OperatorUid,
    /// The operator, restored and open.
    pub operator: Box<dyn Operator>,
    /// Its declared state.
    pub tables: Vec<TableSchema>,
    /// The last watermark that it was given, in an earlier execution or in this one.
    pub watermark: EventTime,
    /// Whether it was given that one in this execution: what stands behind it is new and has to be told again.
    pub told: bool,
    /// Whether it makes watermarks of its own from processing time: idleness upstream means nothing behind it.
    pub makes_watermarks: bool,
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
        Self { stages, first, collector: Collector::new(0) }
    }

    /// Sets the processing time that operators see.
    pub fn set_now(&mut self, now: i64) {
        self.collector.set_now(now);
    }

    /// Whether an operator of the chain waits for processing time.
    pub fn wants_ticks(&self) -> bool {
        self.stages.iter().any(|stage| stage.makes_watermarks)
    }

    /// Rows for input `ordinal` of the first stage.
    pub fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Vec<Emission>) -> Result<()> {
        self.rows_at(0, ordinal, batch, out)
    }

    /// A watermark for the first stage.
    pub fn watermark(&mut self, watermark: Watermark, out: &mut Vec<Emission>) -> Result<()> {
        match watermark {
            Watermark::At(time) => self.watermark_at(0, time, out),
            Watermark::Idle => {
                if !self.wants_ticks() {
                    // Once this input is idle the others' time goes on without it: what is held back has to be ahead.
                    self.release(out)?;
                    out.push(Emission::Watermark(Watermark::Idle));
                }
                Ok(())
            }
        }
    }

    /// Processing time has gone on.
    pub fn tick(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        for index in 0..self.stages.len() {
            let watermark = self.stages[index].operator.tick(&mut self.collector)?;
            self.forward(index, out)?;
            if let Some(time) = watermark {
                self.watermark_at(index + 1, time, out)?;
            }
        }
        Ok(())
    }

    /// Every stage emits what it holds back for the sake of larger batches.
    fn release(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        for index in 0..self.stages.len() {
            self.stages[index].operator.release(&mut self.collector)?;
            self.forward(index, out)?;
        }
        Ok(())
    }

    /// A marker passes: every stage emits what it holds back, then what it owes at the end of an epoch, both before the next
    /// stage does.
    pub fn flush(&mut self, out: &mut Vec<Emission>) -> Result<()> {
        for index in 0..self.stages.len() {
            self.stages[index].operator.release(&mut self.collector)?;
            self.stages[index].operator.flush(&mut self.collector)?;
            self.forward(index, out)?;
        }
        Ok(())
    }

    /// Captures the state of every stage. Follows a [`flush`](Self::flush).
    pub fn capture(&mut self) -> Result<Vec<NodeCapture>> {
        self.stages
            .iter_mut()
            .map(|stage| {
                let captures = stage.operator.capture()?;
                stage.metrics.set_state_bytes(stage.operator.state_bytes());
                let tables = stage.tables.iter().cloned().zip(captures).collect();
                Ok(NodeCapture { uid: stage.uid.clone(), watermark: stage.watermark, tables })
            })
            .collect()
    }

    fn rows_at(&mut self, index: usize, ordinal: usize, batch: Batch, out: &mut Vec<Emission>) -> Result<()> {
        let Some(stage) = self.stages.get_mut(index) else {
            out.push(Emission::Rows {
                position: (self.first + index).saturating_sub(1),
                port: OutputPort::Main,
                batch,
            });
            return Ok(());
        };
        stage.metrics.count_in(batch.num_rows());
        stage.operator.process(ordinal, batch, &mut self.collector)?;
        self.forward(index, out)
    }

    fn watermark_at(&mut self, index: usize, time: EventTime, out: &mut Vec<Emission>) -> Result<()> {
        let Some(stage) = self.stages.get_mut(index) else {
            out.push(Emission::Watermark(Watermark::At(time)));
            return Ok(());
        };
        if time < stage.watermark || (time == stage.watermark && stage.told) {
            return Ok(());
        }
        stage.watermark = time;
        stage.told = true;
        stage.metrics.set_watermark(time);
        let onward = stage.operator.watermark(time, &mut self.collector)?;
        self.forward(index, out)?;
        match onward {
            Some(time) => self.watermark_at(index + 1, time, out),
            None => Ok(()),
        }
    }

    /// Hands what stage `index` has emitted to the next one.
    fn forward(&mut self, index: usize, out: &mut Vec<Emission>) -> Result<()> {
        let metrics = &self.stages[index].metrics;
        metrics.count_late(self.collector.take_late_rows());
        for (port, batch) in self.collector.take() {
            match port {
                OutputPort::Main => {
                    self.stages[index].metrics.count_out(batch.num_rows());
                    self.rows_at(index + 1, 0, batch, out)?;
                }
                side => out.push(Emission::Rows { position: self.first + index, port: side, batch }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
