//! Event time of a source: of one subtask's splits, and of a table as a whole.
//!
//! Nothing is known of the times of two sequences of splits (see [`Split`](crate::Split)) relative to each other. So a subtask's
//! watermark is the minimum over the sequences of which it has splits to read, those included that wait for their turn; an
//! idle one is left out. A subtask that has nothing to read knows nothing of time, and says what is known of the table
//! ([`TableTime`]): else it would hold up the others for as long as it has nothing to do.
//!
//! Where watermarks are *aligned*, a split that is further ahead of the table than is allowed is held until the others have come nearer:
//! what is read of it would only wait as state of the operators behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::bugs::{self, Bug};
use crate::{EventTime, Watermark};

/// The watermark of one source subtask. Pure, time comes in as an argument: it is the time in which splits could deliver
/// something, counted from the same instant in all calls; whoever reads them must leave out that in which it did not listen to
/// them.
#[derive(Debug)]
pub struct SplitWatermarks {
    sequences: BTreeMap<Arc<str>, Sequence>,
    /// The sequence of each split that is not finished.
    splits: BTreeMap<Arc<str>, Arc<str>>,
    /// How far the table is, and since when.
    table: (EventTime, Duration),
    idle_after: Option<Duration>,
    /// How far a sequence may be ahead of the table, in milliseconds; `None`: as far as it gets.
    max_drift: Option<i64>,
    emitted: EventTime,
    idle: bool,
}

#[derive(Debug)]
struct Sequence {
    time: EventTime,
    /// Splits of it that are not finished.
    open: usize,
    /// When the last row was read; `None`: none has been in this execution. Such a sequence is waiting for its turn, and not
    /// idle.
    last_row: Option<Duration>,
    /// It is too far ahead, and not listened to.
    is_held: bool,
}

impl SplitWatermarks {
    /// No splits yet. `restored` is what an earlier execution had sent on; `idle_after` without news, a sequence counts as
    /// idle, and so does the table for a subtask that has no split (`None`: never).
    pub fn new(restored: EventTime, idle_after: Option<Duration>) -> Self {
        Self {
            sequences: BTreeMap::new(),
            splits: BTreeMap::new(),
            table: (restored, Duration::ZERO),
            idle_after,
            max_drift: None,
            emitted: restored,
            idle: false,
        }
    }

    /// No sequence is to be read further than `max_drift` ahead of the table, if that is given.
    #[must_use]
    pub fn aligned(self, max_drift: Option<Duration>) -> Self {
        Self { max_drift: max_drift.map(|drift| i64::try_from(drift.as_millis()).unwrap_or(i64::MAX)), ..self }
    }

    /// How far the table has to go on until it is worth telling at once, because others are held by it; `None`: nobody is ever held.
    pub fn step(&self) -> Option<i64> {
        self.max_drift.map(|drift| drift / 4)
    }

    /// The splits that are not to be read for now, if these are others than the last time: their sequences are further ahead of the table
    /// than they may be. A sequence of which nothing has been read is not ahead of anything, and one that is held does not count as idle.
    pub fn held(&mut self, now: Duration) -> Option<BTreeSet<Arc<str>>> {
        let limit = EventTime(self.table.0.0.saturating_add(self.max_drift?));
        let mut is_news = false;
        for sequence in self.sequences.values_mut() {
            let is_held = sequence.time > limit || sequence.is_held && bugs::is_on(Bug::HeldForEver);
            if sequence.is_held && !is_held {
                // It is listened to from now on.
                sequence.last_row = Some(now);
            }
            is_news |= std::mem::replace(&mut sequence.is_held, is_held) != is_held;
        }
        let is_held = |sequence: &Arc<str>| self.sequences.get(sequence).is_some_and(|sequence| sequence.is_held);
        let splits = || self.splits.iter().filter(|(_, sequence)| is_held(sequence)).map(|(split, _)| split.clone());
        is_news.then(|| splits().collect())
    }

    /// How many sequences are held.
    pub fn waiting(&self) -> usize {
        self.sequences.values().filter(|sequence| sequence.is_held).count()
    }

    /// A split is assigned; `time` is where an earlier execution had arrived in its sequence.
    pub fn add(&mut self, split: Arc<str>, sequence: Arc<str>, time: EventTime) {
        let entry = self.sequences.entry(sequence.clone()).or_insert(Sequence {
            time,
            open: 0,
            last_row: None,
            is_held: false,
        });
        // Others had read the splits of one sequence differently far before this subtask got them. What it has read itself it
        // has read in order.
        if entry.last_row.is_none() {
            entry.time = entry.time.min(time);
        }
        entry.open += 1;
        self.splits.insert(split, sequence);
    }

    /// Rows were read from `split`; `time` is the greatest value of the watermark expression over them.
    pub fn observe(&mut self, split: &str, time: EventTime, now: Duration) {
        if let Some(sequence) = self.splits.get(split).and_then(|sequence| self.sequences.get_mut(sequence)) {
            sequence.time = sequence.time.max(time);
            sequence.last_row = Some(now);
        }
    }

    /// Nothing more comes from `split`.
    pub fn finish(&mut self, split: &str, now: Duration) {
        let Some(sequence) = self.splits.remove(split) else { return };
        if let Some(entry) = self.sequences.get_mut(&sequence) {
            entry.open -= 1;
            if entry.open == 0 {
                self.sequences.remove(&sequence);
            }
        }
        self.table.1 = now;
    }

    /// The table has come to `time`.
    pub fn table(&mut self, time: EventTime, now: Duration) {
        if time > self.table.0 {
            self.table = (time, now);
        }
    }

    /// Where the sequence of a split that is not finished stands.
    pub fn of(&self, split: &str) -> EventTime {
        let sequence = self.splits.get(split).and_then(|sequence| self.sequences.get(sequence));
        sequence.map_or(EventTime::MIN, |sequence| sequence.time)
    }

    /// Whether a split of this subtask has something to say about time, now.
    pub fn speaks(&self, now: Duration) -> bool {
        self.own(now).is_some()
    }

    fn own(&self, now: Duration) -> Option<EventTime> {
        let counts = |sequence: &&Sequence| match sequence.last_row {
            Some(last_row) => sequence.is_held || !self.is_idle(last_row, now),
            None => !bugs::is_on(Bug::UnreadSplitIgnored),
        };
        self.sequences.values().filter(counts).map(|sequence| sequence.time).min()
    }

    /// Where those stand that have fallen idle after all others: for a moment they spoke alone, also if nobody asked just then.
    fn last_to_fall_idle(&self) -> Option<EventTime> {
        let last = self.sequences.values().map(|sequence| sequence.last_row).max()?;
        self.sequences.values().filter(|sequence| sequence.last_row == last).map(|sequence| sequence.time).min()
    }

    fn is_idle(&self, last_news: Duration, now: Duration) -> bool {
        let at_once = bugs::is_on(Bug::IdleAtOnce);
        self.idle_after.is_some_and(|limit| at_once || now.saturating_sub(last_news) >= limit)
    }

    /// What the subtask says downstream, if that is news.
    pub fn advance(&mut self, now: Duration) -> Option<Watermark> {
        let time = match self.own(now) {
            None if self.sequences.is_empty() && !self.is_idle(self.table.1, now) => Some(self.table.0),
            own => own,
        };
        match time {
            None => match self.last_to_fall_idle() {
                Some(time) if time > self.emitted => {
                    self.idle = false;
                    self.emitted = time;
                    Some(Watermark::At(time))
                }
                _ if self.idle => None,
                _ => {
                    self.idle = true;
                    Some(Watermark::Idle)
                }
            },
            Some(time) if time > self.emitted || self.idle => {
                self.idle = false;
                self.emitted = self.emitted.max(time);
                Some(Watermark::At(self.emitted))
            }
            Some(_) => None,
        }
    }
}

/// How far a table is, from what the subtasks that read it tell whoever finds its splits: the minimum over those that have
/// something to say, and when there is none, the greatest that any of them has said. Never goes back.
#[derive(Debug)]
pub struct TableTime {
    readers: Vec<Reader>,
    told: EventTime,
}

#[derive(Debug, Clone)]
struct Reader {
    time: EventTime,
    speaks: bool,
}

impl TableTime {
    /// For so many subtasks, none of which has said anything.
    pub fn new(readers: usize) -> Self {
        Self { readers: vec![Reader { time: EventTime::MIN, speaks: false }; readers], told: EventTime::MIN }
    }

    /// How many subtasks read the table.
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// A split is announced that `reader` will read.
    pub fn announced(&mut self, reader: usize) {
        self.readers[reader].speaks = true;
    }

    /// `reader` has come to a time, or has nothing to say any more. Returns the table's time if that is news.
    pub fn update(&mut self, reader: usize, watermark: Watermark) -> Option<EventTime> {
        let entry = &mut self.readers[reader];
        match watermark {
            Watermark::At(time) => *entry = Reader { time: entry.time.max(time), speaks: true },
            Watermark::Idle => entry.speaks = false,
        }
        let speaking = || self.readers.iter().filter(|reader| reader.speaks).map(|reader| reader.time);
        let speaking = if bugs::is_on(Bug::TableTimeOfFirst) { speaking().max() } else { speaking().min() };
        let time = speaking.or_else(|| self.readers.iter().map(|reader| reader.time).max())?;
        (time > self.told).then(|| {
            self.told = time;
            time
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(time: i64) -> Option<Watermark> {
        Some(Watermark::At(EventTime(time)))
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn two_files(idle_after: Option<Duration>) -> SplitWatermarks {
        let mut splits = SplitWatermarks::new(EventTime::MIN, idle_after);
        for file in ["a", "b"] {
            splits.add(file.into(), file.into(), EventTime::MIN);
        }
        splits
    }

    #[test]
    fn an_unread_split_holds_the_watermark() {
        let mut splits = two_files(None);
        splits.observe("a", EventTime(10), ms(1));
        assert_eq!(splits.advance(ms(1)), None);
        splits.observe("b", EventTime(5), ms(2));
        assert_eq!(splits.advance(ms(2)), at(5));
        splits.finish("b", ms(3));
        assert_eq!(splits.advance(ms(3)), at(10));
    }

    #[test]
    fn splits_of_one_sequence_move_on_together() {
        let mut splits = SplitWatermarks::new(EventTime::MIN, None);
        for range in ["f 0", "f 1", "f 2"] {
            splits.add(range.into(), "f".into(), EventTime::MIN);
        }
        splits.observe("f 0", EventTime(10), ms(1));
        assert_eq!(splits.advance(ms(1)), at(10), "later ranges do not hold it");
        splits.finish("f 0", ms(2));
        assert_eq!(splits.advance(ms(2)), None);
        assert_eq!(splits.of("f 2"), EventTime(10));
        splits.observe("f 1", EventTime(20), ms(3));
        assert_eq!(splits.advance(ms(3)), at(20));
    }

    #[test]
    fn splits_of_a_sequence_that_come_from_several_readers_begin_where_the_last_of_them_was() {
        let mut splits = SplitWatermarks::new(EventTime(3), None);
        splits.add("f 2".into(), "f".into(), EventTime(30));
        splits.add("f 3".into(), "f".into(), EventTime(20));
        assert_eq!(splits.advance(ms(1)), at(20));
    }

    #[test]
    fn a_split_without_rows_becomes_idle_and_wakes_up() {
        let mut splits = two_files(Some(ms(100)));
        splits.observe("a", EventTime(10), ms(90));
        assert_eq!(splits.advance(ms(500)), None, "b waits for its turn");
        splits.observe("b", EventTime(2), ms(500));
        splits.observe("a", EventTime(10), ms(590));
        assert_eq!(splits.advance(ms(590)), at(2));
        assert_eq!(splits.advance(ms(600)), at(10));
        assert!(splits.speaks(ms(600)));
        assert_eq!(splits.advance(ms(690)), Some(Watermark::Idle));
        assert!(!splits.speaks(ms(690)));
        splits.observe("b", EventTime(4), ms(800));
        assert_eq!(splits.advance(ms(800)), at(10), "time does not go back");
    }

    #[test]
    fn splits_that_fall_idle_one_after_the_other_between_two_looks_leave_time_where_the_last_one_was() {
        let mut splits = two_files(Some(ms(100)));
        splits.observe("a", EventTime::MIN, ms(1));
        splits.observe("b", EventTime(5), ms(2));
        assert_eq!(splits.advance(ms(50)), None);
        assert_eq!(splits.advance(ms(150)), at(5), "of a nothing had come for longer");
        assert_eq!(splits.advance(ms(151)), Some(Watermark::Idle));
        splits.observe("a", EventTime(7), ms(200));
        splits.observe("b", EventTime(6), ms(200));
        assert_eq!(splits.advance(ms(400)), at(6), "they fell idle together");
        assert_eq!(splits.advance(ms(401)), Some(Watermark::Idle));
    }

    #[test]
    fn without_a_split_a_subtask_says_what_is_known_of_the_table_and_is_idle_when_that_is_nothing_new() {
        let mut splits = SplitWatermarks::new(EventTime::MIN, Some(ms(100)));
        assert_eq!(splits.advance(ms(99)), None);
        splits.table(EventTime(5), ms(99));
        assert_eq!(splits.advance(ms(99)), at(5));
        assert_eq!(splits.advance(ms(198)), None);
        assert_eq!(splits.advance(ms(199)), Some(Watermark::Idle));
        splits.add("a".into(), "a".into(), EventTime::MIN);
        assert_eq!(splits.advance(ms(300)), at(5), "it has something to read, and others have to wait for it");
        splits.table(EventTime(7), ms(310));
        assert_eq!(splits.advance(ms(310)), None, "who has a split speaks for itself");
        splits.observe("a", EventTime(6), ms(320));
        splits.finish("a", ms(320));
        assert_eq!(splits.advance(ms(419)), at(7));
        assert_eq!(splits.advance(ms(420)), Some(Watermark::Idle), "after its last split as if there had been none");
    }

    #[test]
    fn a_split_that_is_too_far_ahead_of_the_table_is_held_until_the_table_has_come_nearer() {
        let mut splits = two_files(Some(ms(100))).aligned(Some(ms(10)));
        let held = |names: &[&str]| Some(names.iter().map(|name| Arc::from(*name)).collect::<BTreeSet<Arc<str>>>());
        assert_eq!(splits.held(ms(0)), None);
        splits.observe("a", EventTime(10), ms(1));
        splits.observe("b", EventTime(0), ms(1));
        assert_eq!(splits.held(ms(1)), held(&["a", "b"]), "nothing is known of the table");
        splits.table(EventTime(0), ms(2));
        assert_eq!(splits.held(ms(2)), held(&[]), "as far as may be");
        splits.observe("a", EventTime(11), ms(3));
        assert_eq!((splits.held(ms(3)), splits.held(ms(3)), splits.waiting()), (held(&["a"]), None, 1));
        assert_eq!(splits.advance(ms(100)), at(0));
        splits.observe("b", EventTime(5), ms(200));
        assert_eq!(splits.advance(ms(200)), at(5), "who is held counts, though nothing comes");
        splits.table(EventTime(5), ms(201));
        assert_eq!((splits.held(ms(201)), splits.waiting()), (held(&[]), 0));
        assert_eq!(splits.advance(ms(299)), None);
        assert_eq!(splits.advance(ms(300)), at(11), "b is idle, and a is listened to for 99 ms");
        assert_eq!(splits.advance(ms(301)), Some(Watermark::Idle));
    }

    #[test]
    fn a_split_that_waits_for_one_that_is_idle_goes_on() {
        let mut splits = two_files(Some(ms(100))).aligned(Some(ms(10)));
        splits.observe("a", EventTime(50), ms(1));
        splits.observe("b", EventTime(0), ms(1));
        splits.table(EventTime(0), ms(1));
        assert_eq!(splits.held(ms(1)).map(|held| held.len()), Some(1));
        assert_eq!(splits.advance(ms(1)), at(0));
        assert_eq!(splits.advance(ms(101)), at(50), "it speaks for the table now");
        splits.table(EventTime(50), ms(102));
        assert_eq!(splits.held(ms(102)).map(|held| held.len()), Some(0));
    }

    #[test]
    fn a_table_is_where_the_slowest_of_those_is_that_have_something_to_read() {
        let mut table = TableTime::new(3);
        table.announced(0);
        table.announced(1);
        assert_eq!(table.update(0, Watermark::At(EventTime(10))), None, "the split of 1 is unread");
        assert_eq!(table.update(1, Watermark::At(EventTime(5))), Some(EventTime(5)));
        assert_eq!(table.update(1, Watermark::At(EventTime(30))), Some(EventTime(10)));
        assert_eq!(table.update(0, Watermark::Idle), Some(EventTime(30)));
        table.announced(2);
        assert_eq!(table.update(1, Watermark::At(EventTime(40))), None);
        assert_eq!(table.update(2, Watermark::At(EventTime(20))), None, "it does not go back");
        assert_eq!(table.update(1, Watermark::Idle), None);
        assert_eq!(table.update(2, Watermark::Idle), Some(EventTime(40)), "all has been read up to there");
    }
}
