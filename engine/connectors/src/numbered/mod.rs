//! Sources whose rows follow from their number alone, which makes them the same under every parallelism and lets them
//! start anywhere: what [`crate::nexmark`] and [`crate::datagen`] have in common.
//!
//! The numbers are dealt in small blocks to a fixed number of splits ([`deal`]), and a subtask reads the blocks of all
//! its splits merged in order of their numbers. So its rows come in order of event time, whatever the parallelism, and
//! all splits are one sequence.

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
use weir_core::connector::{
    AssignedSplit, DiscoveryContext, SourceContext, Split, SplitDiscovery, SplitLag, SplitPosition,
};
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
    /// Whether all rows of a fresh start are made before it begins. Wants a `total`.
    pub preload: bool,
}

/// Announces all splits, which are always the same.
pub(crate) struct FixedSplits(Option<Vec<Split>>);

impl FixedSplits {
    pub(crate) fn new(context: &DiscoveryContext) -> Self {
        Self(context.known.is_empty().then(deal::splits))
    }
}

#[async_trait]
impl SplitDiscovery for FixedSplits {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        Ok(self.0.take())
    }
}

/// One subtask's part of such a source.
pub(crate) struct NumberedSource {
    generator: Arc<dyn Generator>,
    deal: Deal,
    pace: Option<Pace>,
    numbers_per_batch: u64,
    preloaded: Option<Preloaded>,
}

/// Rows that were made in advance, one batch for each time that the source will be asked for one.
struct Preloaded {
    /// For these splits, from there on. When others are assigned, the rows are of no use.
    deal: Deal,
    batches: VecDeque<RecordBatch>,
}

impl NumberedSource {
    pub(crate) async fn open(
        generator: Arc<dyn Generator>,
        delivery: Delivery,
        context: &SourceContext,
    ) -> Result<Self> {
        let rows = delivery.batch_rows.unwrap_or(context.batch_rows).max(1);
        let mut numbers_per_batch = generator.numbers_for(rows).max(1);
        let pace = delivery.pace.map(Pace::new);
        if let Some(pace) = &pace {
            numbers_per_batch = numbers_per_batch.min(pace.numbers_per_step(context.parallelism));
        }
        let preloaded = match delivery.preload {
            false => None,
            true => {
                let deal = Deal::expected(delivery.total, context.subtask, context.parallelism);
                Some(preload(generator.clone(), deal, numbers_per_batch).await?)
            }
        };
        Ok(Self { generator, deal: Deal::new(delivery.total), pace, numbers_per_batch, preloaded })
    }
}

async fn preload(generator: Arc<dyn Generator>, deal: Deal, numbers_per_batch: u64) -> Result<Preloaded> {
    let work = move || {
        let (mut batches, mut reading) = (VecDeque::new(), deal.clone());
        loop {
            let step = reading.step(numbers_per_batch);
            if step.numbers.is_empty() {
                return Ok(Preloaded { deal, batches });
            }
            batches.push_back(generator.generate(&step.numbers)?);
            reading.advance(step);
        }
    };
    blocking(work).await
}

#[async_trait]
impl Source for NumberedSource {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        splits.into_iter().try_for_each(|split| self.deal.add(split))?;
        self.preloaded = self.preloaded.take().filter(|preloaded| preloaded.deal == self.deal);
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let split = self.deal.names().first().cloned();
        let split = split.ok_or_else(|| Error::internal("a source without splits is asked for rows"))?;
        loop {
            // Nothing is noted before the wait is over: it can be given up and begun again.
            let step = self.deal.step(self.numbers_per_batch);
            let Some(last) = step.numbers.last().map(|range| range.end - 1) else { break };
            if let Some(pace) = &mut self.pace {
                pace.wait_for(last).await;
            }
            let records = match self.preloaded.as_mut().and_then(|preloaded| preloaded.batches.pop_front()) {
                Some(records) => records,
                None => self.generator.generate(&step.numbers)?,
            };
            self.deal.advance(step);
            if records.num_rows() > 0 {
                return Ok(SourceEvent::Rows { split, records, rejected: Vec::new() });
            }
        }
        Ok(SourceEvent::SplitFinished { split: self.deal.finish().unwrap_or(split) })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        self.deal.positions()
    }

    /// Rows that follow from their number are there when their time has come.
    fn lag(&self) -> Vec<SplitLag> {
        let Some(pace) = &self.pace else { return Vec::new() };
        let Some(due) = pace.due() else { return Vec::new() };
        let lag = |(split, next, missing): (&Arc<str>, u64, u64)| SplitLag {
            split: split.clone(),
            records: Some(missing),
            time: (missing > 0).then(|| pace.overdue(next)).flatten(),
        };
        self.deal.missing_below(due).map(lag).collect()
    }
}
