//! What the consumer group is told: the offsets of each checkpoint, once it is complete. Nothing is read from there but by a new job
//! that begins at `group-offsets`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use weir_core::Epoch;
use weir_core::connector::SplitPosition;

use crate::split::Position;

/// Positions at markers whose checkpoints are not complete yet.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    captured: VecDeque<(Epoch, BTreeMap<Arc<str>, i64>)>,
    /// Where splits ended that no position speaks of any more.
    ended: BTreeMap<Arc<str>, i64>,
    /// What the group knows.
    told: BTreeMap<Arc<str>, i64>,
}

impl Commits {
    /// A split is at its end.
    pub(crate) fn ended(&mut self, split: Arc<str>, offset: i64) {
        self.ended.insert(split, offset);
    }

    /// A marker has passed.
    pub(crate) fn captured(&mut self, epoch: Epoch, positions: &[SplitPosition]) {
        let mut offsets = self.ended.clone();
        let offset = |at: &SplitPosition| at.position.parse().ok().map(|Position { offset, .. }| offset);
        offsets.extend(positions.iter().filter_map(|at| Some((at.split.clone(), offset(at)?))));
        self.captured.push_back((epoch, offsets));
    }

    /// The checkpoint of an epoch is complete. Returns what is news to the group.
    pub(crate) fn completed(&mut self, epoch: Epoch) -> Vec<(Arc<str>, i64)> {
        let mut news = Vec::new();
        while let Some((captured, offsets)) = self.captured.pop_front_if(|(captured, _)| *captured <= epoch) {
            if captured == epoch {
                news = offsets.into_iter().filter(|(split, offset)| self.told.get(split) != Some(offset)).collect();
            }
        }
        self.told.extend(news.iter().cloned());
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(split: &str, position: &str) -> SplitPosition {
        SplitPosition { split: split.into(), position: position.into() }
    }

    #[test]
    fn the_group_learns_what_the_completed_checkpoint_holds_and_no_more() {
        let mut commits = Commits::default();
        commits.captured(Epoch(1), &[at("a", "1"), at("b", "5@77")]);
        commits.captured(Epoch(2), &[at("a", "2"), at("b", "5")]);
        commits.captured(Epoch(4), &[at("a", "4"), at("b", "5")]);
        assert_eq!(commits.completed(Epoch(2)), [("a".into(), 2), ("b".into(), 5)]);
        assert_eq!(commits.completed(Epoch(3)), []);
        assert_eq!(commits.completed(Epoch(4)), [("a".into(), 4)], "the group knows of b");
        commits.ended("b".into(), 7);
        commits.captured(Epoch(5), &[at("a", "4")]);
        assert_eq!(commits.completed(Epoch(5)), [("b".into(), 7)]);
    }
}
