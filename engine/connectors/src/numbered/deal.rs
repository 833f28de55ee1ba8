//! How numbers are dealt to splits, and splits to subtasks.
//!
//! Block `b` of [`BLOCK`] consecutive numbers belongs to split `b % SPLITS`, and split `s` to subtask `s % parallelism`.
//! Neither constant depends on the parallelism, so a position that is restored under another one means the same. A
//! split's position is its next number, which can be anywhere in a block.

use std::ops::Range;
use std::sync::Arc;

use weir_core::connector::{SourceContext, SplitPosition};
use weir_core::{Error, Result};

/// Splits of a source; subtasks beyond so many have nothing to do.
const SPLITS: u64 = 64;
/// Consecutive numbers of one split: few, so that subtasks stay close together in event time.
const BLOCK: u64 = 1000;

/// The splits of one subtask and how far each has been read.
#[derive(Debug, Clone)]
pub(super) struct Deal {
    total: u64,
    /// Those still to be read when the source was opened. The first is the lead.
    names: Vec<Arc<str>>,
    /// The next number of each.
    next: Vec<u64>,
    /// Those that were at their end already.
    ended: Vec<SplitPosition>,
}

/// Numbers to hand out at once, and where the splits stand behind them.
#[derive(Debug)]
pub(super) struct Step {
    /// Ascending.
    pub numbers: Vec<Range<u64>>,
    next: Vec<u64>,
}

impl Deal {
    /// The subtask's splits at their restored positions, or at the beginning.
    pub(super) fn new(total: Option<u64>, context: &SourceContext) -> Result<Self> {
        let (mut names, mut next, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for split in (0..SPLITS).filter(|split| split % context.parallelism.max(1) as u64 == context.subtask as u64) {
            let name: Arc<str> = split.to_string().into();
            match context.restored.iter().find(|restored| restored.split == name) {
                Some(restored) if restored.finished => ended.push(restored.clone()),
                Some(restored) => {
                    names.push(name);
                    next.push(parse(restored, split)?);
                }
                None => {
                    names.push(name);
                    next.push(split * BLOCK);
                }
            }
        }
        // The split that is furthest behind leads: all rows to come are at or after its next one, so where it stood in
        // event time bounds the others too.
        if let Some(lead) = (0..next.len()).min_by_key(|index| next[*index]) {
            next.swap(0, lead);
            names.swap(0, lead);
        }
        Ok(Self { total: total.unwrap_or(u64::MAX), names, next, ended })
    }

    /// The lowest number to be read.
    pub(super) fn first(&self) -> u64 {
        self.next.first().copied().unwrap_or(self.total)
    }

    /// The splits to be read. The first is the lead, in whose name all rows are handed out.
    pub(super) fn splits(&self) -> &[Arc<str>] {
        &self.names
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

    /// Positions of all splits, of which the last `ended` and those that were restored as such are at their end.
    pub(super) fn positions(&self, ended: usize) -> Vec<SplitPosition> {
        let split = |(index, name): (usize, &Arc<str>)| SplitPosition {
            split: name.clone(),
            position: self.next[index].to_string(),
            finished: index + ended >= self.names.len(),
        };
        self.names.iter().enumerate().map(split).chain(self.ended.iter().cloned()).collect()
    }
}

fn parse(restored: &SplitPosition, split: u64) -> Result<u64> {
    restored.position.parse().ok().filter(|next: &u64| (next / BLOCK) % SPLITS == split).ok_or_else(|| {
        Error::data(format!("'{}' is no position of split {} of a generated table", restored.position, restored.split))
    })
}
