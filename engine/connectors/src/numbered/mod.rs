//! Sources whose rows follow from their number alone, which makes them the same under every parallelism and lets them
//! start anywhere: what [`crate::nexmark`] and [`crate::datagen`] have in common.
//!
//! The numbers are dealt in small blocks to a fixed number of splits ([`deal`]), and a subtask reads the blocks of all
//! its splits merged in order of their numbers. So its rows come in order of event time, whatever the parallelism, and
//! one split, the *lead*, can speak for all: its rows stand for those of the others, which do not hold the watermark.

mod deal;
mod pace;
pub(crate) mod random;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_core::connector::{SourceContext, SplitPosition};
use weir_core::{Error, Result, Source, SourceEvent};

use crate::blocking::blocking;
use deal::Deal;
use pace::Pace;

/// Makes rows from numbers.
pub(crate) trait Generator: Send + Sync {
    /// How many consecutive numbers bring about `rows` rows.
    fn numbers_for(&self, rows: usize) -> u64;

    /// The rows of these numbers, in order.
    fn generate(&self, numbers: &[Range<u64>]) -> Result<RecordBatch>;
}

/// How a source hands out what its generator makes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delivery {
    /// Numbers that there are, from 0; without end if `None`.
    pub total: Option<u64>,
    /// Numbers per second of wall time; as fast as possible if `None`.
    pub pace: Option<u64>,
    /// Rows of a batch, instead of what the engine proposes.
    pub batch_rows: Option<usize>,
    /// Whether all rows are made before the first is handed out. Wants a `total`.
    pub preload: bool,
}

/// One subtask's part of such a source.
pub(crate) struct NumberedSource {
    generator: Arc<dyn Generator>,
    deal: Deal,
    pace: Option<Pace>,
    numbers_per_batch: u64,
    announced: usize,
    ended: usize,
    preloaded: Option<VecDeque<RecordBatch>>,
}

impl NumberedSource {
    pub(crate) async fn open(
        generator: Arc<dyn Generator>,
        delivery: Delivery,
        context: &SourceContext,
    ) -> Result<Self> {
        let deal = Deal::new(delivery.total, context)?;
        let rows = delivery.batch_rows.unwrap_or(context.batch_rows).max(1);
        let mut numbers_per_batch = generator.numbers_for(rows).max(1);
        let pace = delivery.pace.map(|rate| Pace::new(rate, deal.first()));
        if let Some(pace) = &pace {
            numbers_per_batch = numbers_per_batch.min(pace.numbers_per_step(context.parallelism));
        }
        let preloaded = match delivery.preload {
            false => None,
            true => Some(preload(generator.clone(), deal.clone(), numbers_per_batch).await?),
        };
        Ok(Self { generator, deal, pace, numbers_per_batch, announced: 0, ended: 0, preloaded })
    }
}

/// Makes all rows of the subtask, one batch for each time that its source will ask for one.
async fn preload(
    generator: Arc<dyn Generator>,
    mut deal: Deal,
    numbers_per_batch: u64,
) -> Result<VecDeque<RecordBatch>> {
    let work = move || {
        let mut batches = VecDeque::new();
        loop {
            let step = deal.step(numbers_per_batch);
            if step.numbers.is_empty() {
                return Ok(batches);
            }
            batches.push_back(generator.generate(&step.numbers)?);
            deal.advance(step);
        }
    };
    blocking(work).await
}

#[async_trait]
impl Source for NumberedSource {
    async fn next(&mut self) -> Result<SourceEvent> {
        if let Some(split) = self.deal.splits().get(self.announced) {
            let holds_watermark = self.announced == 0;
            self.announced += 1;
            return Ok(SourceEvent::SplitAdded { split: split.clone(), holds_watermark });
        }
        loop {
            // Nothing is noted before the wait is over: it can be given up and begun again.
            let step = self.deal.step(self.numbers_per_batch);
            let Some(last) = step.numbers.last().map(|range| range.end - 1) else { break };
            if let Some(pace) = &mut self.pace {
                pace.wait_for(last).await;
            }
            let records = match self.preloaded.as_mut().and_then(VecDeque::pop_front) {
                Some(records) => records,
                None => self.generator.generate(&step.numbers)?,
            };
            self.deal.advance(step);
            if records.num_rows() > 0 {
                let lead = self.deal.splits().first();
                let split = lead.cloned().ok_or_else(|| Error::internal("rows were dealt without a split"))?;
                return Ok(SourceEvent::Rows { split, records, rejected: Vec::new() });
            }
        }
        // The lead comes last, so that the subtask never seems to be without a split that speaks for its event time.
        match self.deal.splits().iter().rev().nth(self.ended).cloned() {
            Some(split) => {
                self.ended += 1;
                Ok(SourceEvent::SplitFinished { split })
            }
            None => Ok(SourceEvent::End),
        }
    }

    fn positions(&self) -> Vec<SplitPosition> {
        self.deal.positions(self.ended)
    }
}
