//! How numbers are dealt to splits.
//!
//! Block `b` of [`BLOCK`] consecutive numbers belongs to split `b % SPLITS`. Neither constant depends on the parallelism, so a
//! position that is restored under another one means the same. A split's position is its next number, which can be anywhere in
//! a block.

use std::ops::Range;
use std::sync::Arc;

use weir_core::connector::{AssignedSplit, Split, SplitPosition};
use weir_core::{Error, Result};

/// Splits of a source; subtasks beyond so many have nothing to do.
pub(super) const SPLITS: u64 = 64;
/// Consecutive numbers of one split: few, so that subtasks stay close together in event time.
const BLOCK: u64 = 1000;

/// All splits of a source. A subtask reads the numbers of its own merged, in their order: they are one sequence.
pub(super) fn splits() -> Vec<Split> {
    let split =
        |number: u64| Split { name: number.to_string().into(), sequence: "numbers".into(), description: String::new() };
    (0..SPLITS).map(split).collect()
}

/// The splits of one subtask and how far each has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deal {
    total: u64,
    names: Vec<Arc<str>>,
    /// The next number of each.
    next: Vec<u64>,
}

/// Numbers to hand out at once, and where the splits stand behind them.
#[derive(Debug)]
pub(super) struct Step {
    /// Ascending.
    pub numbers: Vec<Range<u64>>,
    next: Vec<u64>,
}

impl Deal {
    /// No splits of a table of so many numbers, or without end.
    pub(super) fn new(total: Option<u64>) -> Self {
        Self { total: total.unwrap_or(u64::MAX), names: Vec::new(), next: Vec::new() }
    }

    /// What a subtask will be assigned on a fresh start.
    pub(super) fn expected(total: Option<u64>, subtask: usize, parallelism: usize) -> Self {
        let mut deal = Self::new(total);
        for number in (subtask as u64..SPLITS).step_by(parallelism.max(1)) {
            deal.names.push(number.to_string().into());
            deal.next.push(number * BLOCK);
        }
        deal
    }

    /// Adds a split, at its position or at the beginning.
    pub(super) fn add(&mut self, assigned: AssignedSplit) -> Result<()> {
        let AssignedSplit { split, position } = assigned;
        let number = split.name.parse().ok().filter(|number| *number < SPLITS);
        let number: u64 =
            number.ok_or_else(|| Error::data(format!("'{}' is no split of a generated table", split.name)))?;
        self.next.push(match position {
            None => number * BLOCK,
            Some(position) => parse(&position, number)?,
        });
        self.names.push(split.name);
        Ok(())
    }

    /// The splits that are not at their end.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Takes out a split; called when all are at their end.
    pub(super) fn finish(&mut self) -> Option<Arc<str>> {
        self.next.pop();
        self.names.pop()
    }

    /// The next `count` numbers of the subtask, fewer only at the end.
    pub(super) fn step(&self, count: u64) -> Step {
        let mut next = self.next.clone();
        let mut numbers: Vec<Range<u64>> = Vec::new();
        let mut missing = count;
        while missing > 0 {
            let Some(split) = next.iter_mut().min() else { break };
            let start = *split;
            if start >= self.total {
                break;
            }
            let end = start.saturating_add(missing.min(BLOCK - start % BLOCK)).min(self.total);
            *split = if end % BLOCK == 0 { end.saturating_add((SPLITS - 1) * BLOCK) } else { end };
            missing -= end - start;
            match numbers.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => numbers.push(start..end),
            }
        }
        Step { numbers, next }
    }

    /// Notes that a step has been handed out.
    pub(super) fn advance(&mut self, step: Step) {
        self.next = step.next;
    }

    /// The next number of each split that is not finished.
    pub(super) fn positions(&self) -> Vec<SplitPosition> {
        let position =
            |(split, next): (&Arc<str>, &u64)| SplitPosition { split: split.clone(), position: next.to_string() };
        self.names.iter().zip(&self.next).map(position).collect()
    }

    /// Numbers below `number` of each split that have not been handed out, and the first of them.
    pub(super) fn missing_below(&self, number: u64) -> impl Iterator<Item = (&Arc<str>, u64, u64)> {
        self.names.iter().zip(&self.next).map(move |(name, next)| {
            let of_split = |below: u64| {
                // Whole rounds of all splits, then what the last one has of this split.
                let (rounds, rest) = (below / (SPLITS * BLOCK), below % (SPLITS * BLOCK));
                let begin = (next / BLOCK % SPLITS) * BLOCK;
                rounds * BLOCK + rest.saturating_sub(begin).min(BLOCK)
            };
            let until = number.min(self.total);
            (name, *next, of_split(until).saturating_sub(of_split(*next)))
        })
    }
}

fn parse(position: &str, split: u64) -> Result<u64> {
    position
        .parse()
        .ok()
        .filter(|next: &u64| (next / BLOCK) % SPLITS == split)
        .ok_or_else(|| Error::data(format!("'{position}' is no position of split {split} of a generated table")))
}
