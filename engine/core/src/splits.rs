//! The watermark of one source subtask, from the watermarks of its splits.
//!
//! A split is a part of a source that is read in its own order: a file, a range of one, a partition. The subtask's
//! watermark is the minimum over its splits that are not idle. A split that has not been read yet holds the watermark
//! at the beginning of time unless its rows are known to follow those of a split that is being read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{EventTime, Watermark};

/// Watermarks per split; pure, time comes in as an argument. It is the time in which splits could deliver something, counted
/// from the same instant in all calls: whoever reads them must leave out that in which it did not listen to them.
#[derive(Debug)]
pub struct SplitWatermarks {
    splits: BTreeMap<Arc<str>, Split>,
    idle_after: Option<Duration>,
    emitted: EventTime,
    idle: bool,
}

#[derive(Debug)]
struct Split {
    time: EventTime,
    holds: bool,
    /// When the last row was read; `None`: none has been in this execution. Such a split is waiting for its turn, and not
    /// idle.
    last_row: Option<Duration>,
    finished: bool,
}

impl SplitWatermarks {
    /// No splits yet. `restored` is what an earlier execution had sent on; `idle_after` without a row, a split counts
    /// as idle (`None`: never).
    pub fn new(restored: EventTime, idle_after: Option<Duration>) -> Self {
        Self { splits: BTreeMap::new(), idle_after, emitted: restored, idle: false }
    }

    /// A split is assigned. `holds` says that nothing is known of its times until it is read; `time` is where an
    /// earlier execution had arrived in it.
    pub fn add(&mut self, split: Arc<str>, holds: bool, time: EventTime) {
        self.splits.insert(split, Split { time, holds, last_row: None, finished: false });
    }

    /// Rows were read from `split`; `time` is the greatest value of the watermark expression over them.
    pub fn observe(&mut self, split: &Arc<str>, time: EventTime, now: Duration) {
        if let Some(split) = self.splits.get_mut(split) {
            split.time = split.time.max(time);
            split.holds = true;
            split.last_row = Some(now);
        }
    }

    /// Nothing more comes from `split`.
    pub fn finish(&mut self, split: &Arc<str>) {
        if let Some(split) = self.splits.get_mut(split) {
            split.finished = true;
        }
    }

    /// The watermark that an earlier or this execution has reached in `split`.
    pub fn of(&self, split: &str) -> EventTime {
        self.splits.get(split).map_or(EventTime::MIN, |split| split.time)
    }

    /// What the subtask says downstream, if that is news.
    pub fn advance(&mut self, now: Duration) -> Option<Watermark> {
        let mut minimum: Option<EventTime> = None;
        for split in self.splits.values().filter(|split| split.holds && !split.finished) {
            let quiet = split.last_row.map(|last_row| now.saturating_sub(last_row));
            let idle = self.idle_after.is_some_and(|limit| quiet.is_some_and(|quiet| quiet >= limit));
            if !idle {
                minimum = Some(minimum.map_or(split.time, |time| time.min(split.time)));
            }
        }
        match minimum {
            None if self.idle => None,
            None => {
                self.idle = true;
                Some(Watermark::Idle)
            }
            Some(time) if time > self.emitted || self.idle => {
                self.idle = false;
                self.emitted = self.emitted.max(time);
                Some(Watermark::At(self.emitted))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_splits(idle_after: Option<Duration>) -> (SplitWatermarks, Arc<str>, Arc<str>) {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut splits = SplitWatermarks::new(EventTime::MIN, idle_after);
        splits.add(a.clone(), true, EventTime::MIN);
        splits.add(b.clone(), true, EventTime::MIN);
        (splits, a, b)
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn an_unread_split_holds_the_watermark() {
        let (mut splits, a, b) = two_splits(None);
        splits.observe(&a, EventTime(10), at(1));
        assert_eq!(splits.advance(at(1)), None);
        splits.observe(&b, EventTime(5), at(2));
        assert_eq!(splits.advance(at(2)), Some(Watermark::At(EventTime(5))));
        splits.finish(&b);
        assert_eq!(splits.advance(at(3)), Some(Watermark::At(EventTime(10))));
    }

    #[test]
    fn a_split_without_rows_becomes_idle_and_wakes_up() {
        let (mut splits, a, b) = two_splits(Some(Duration::from_millis(100)));
        splits.observe(&a, EventTime(10), at(90));
        assert_eq!(splits.advance(at(500)), None, "b waits for its turn");
        splits.observe(&b, EventTime(2), at(500));
        splits.observe(&a, EventTime(10), at(590));
        assert_eq!(splits.advance(at(590)), Some(Watermark::At(EventTime(2))));
        assert_eq!(splits.advance(at(600)), Some(Watermark::At(EventTime(10))));
        assert_eq!(splits.advance(at(690)), Some(Watermark::Idle));
        splits.observe(&b, EventTime(4), at(800));
        assert_eq!(splits.advance(at(800)), Some(Watermark::At(EventTime(10))), "time does not go back");
    }
}
