//! State that goes when it has not been touched for some time.
//!
//! Time is that of the stream, and is taken where a marker passes: there all subtasks of an operator stand at the same watermark. What
//! has been touched since the last marker is stamped with that time, rounded up to a *generation*; at later markers whole generations
//! go. So nothing is looked at but what is touched and what goes, and a restart finds the stamps in the state and goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use weir_core::{EventTime, OpenContext, state_column};

use crate::chunked::{Chunked, Shared};

/// A generation lasts so many times less than what is touched is kept: by so much longer it may be kept.
const GENERATIONS: i64 = 16;

/// The schema of a state table with a column behind it, of that id, for when a row was touched last, if it is known. It is there whether rows
/// expire or not, so that this may change while the state stays.
pub(crate) fn with_stamps(schema: &Schema, id: u32) -> SchemaRef {
    let stamp = Field::new("touched", DataType::Timestamp(TimeUnit::Millisecond, None), true);
    let stamp = Arc::new(state_column::with_id(stamp, id));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([stamp]).collect::<Vec<_>>()))
}

/// How long something is kept, and how far time is.
#[derive(Debug, Clone)]
pub(crate) struct TimeToLive {
    /// Milliseconds; `None`: for ever.
    length: Option<i64>,
    /// Where time stands; the least value if nothing is known of it.
    time: i64,
    /// Stamps up to this one are gone.
    expired: Option<EventTime>,
    /// Something may have been forgotten before the checkpoint that the job went on from, whatever is kept for how long now.
    forgot: bool,
}

impl TimeToLive {
    /// For what is kept so many milliseconds.
    pub(crate) fn new(length: Option<u64>) -> Self {
        let length = length.map(|length| i64::try_from(length).unwrap_or(i64::MAX));
        Self { length, time: i64::MIN, expired: None, forgot: false }
    }

    /// Whether anything goes at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.length.is_some()
    }

    /// Whether something may have been forgotten that is taken back later.
    pub(crate) fn forgets(&self) -> bool {
        self.is_limited() || self.forgot
    }

    /// What was so at the checkpoint.
    pub(crate) fn open(&mut self, context: &OpenContext) {
        self.forgot = context.has_expired;
        self.watermark(context.watermark);
        self.marker();
    }

    /// Time has gone on. Behind the end of the input nothing goes any more.
    pub(crate) fn watermark(&mut self, time: EventTime) {
        if time != EventTime::MAX {
            self.time = self.time.max(time.0);
        }
    }

    /// A marker passes: what has not been touched for long enough goes here.
    pub(crate) fn marker(&mut self) {
        let until = self.length.filter(|_| self.time > i64::MIN).and_then(|length| self.time.checked_sub(length));
        self.expired = self.expired.max(until.map(EventTime));
    }

    /// Stamps up to this one are gone.
    pub(crate) fn expired(&self) -> Option<EventTime> {
        self.expired
    }

    /// The stamp of what is touched now; `None` where it is kept for ever, or nothing is known of the time.
    pub(crate) fn stamp(&self) -> Option<i64> {
        let length = self.length.filter(|_| self.time > i64::MIN)?;
        let step = (length / GENERATIONS).max(1);
        let behind = self.time.rem_euclid(step);
        Some(if behind == 0 { self.time } else { self.time.saturating_add(step - behind) })
    }
}

/// Slots by when they were touched last.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    /// Stamp of each slot, [`NEVER`] of one that has none.
    stamps: Chunked<i64>,
    /// Slots that got each stamp; those that have another one by now are among them.
    slots: BTreeMap<i64, Vec<u32>>,
    /// Slots that have been touched since they were stamped, and perhaps some that have nothing in them by now.
    touched: Vec<u32>,
    /// Whether each slot is among those, and has something in it.
    waits: Vec<bool>,
    /// Slots that a checkpoint may hold without a stamp: it would keep them for ever.
    unstamped: HashSet<u32, FixedState>,
    /// So many of those touched were there at the last marker, at which nothing was known of the time.
    waited: usize,
}

/// No stamp.
const NEVER: i64 = i64::MIN;

/// Stamps as they were at a capture.
#[derive(Debug)]
pub(crate) struct Stamps {
    stamps: Shared<i64>,
    slots: usize,
}

impl Stamps {
    /// The stamp of a slot.
    pub(crate) fn of(&self, slot: u32) -> Option<i64> {
        ((slot as usize) < self.slots).then(|| *self.stamps.get(slot)).filter(|stamp| *stamp != NEVER)
    }
}

impl Generations {
    /// A slot is touched; it is stamped at the next marker.
    pub(crate) fn touch(&mut self, slot: u32) {
        let place = slot as usize;
        if place >= self.waits.len() {
            self.waits.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.waits[place], true) {
            self.touched.push(slot);
        }
    }

    /// A slot is touched that a checkpoint holds without a stamp.
    pub(crate) fn touch_unstamped(&mut self, slot: u32) {
        self.touch(slot);
        self.unstamped.insert(slot);
    }

    /// Gives what has been touched its stamp. Without one it waits for the next marker. Returns slots that a checkpoint may hold without the
    /// stamp that they have now: they are to be stored again.
    pub(crate) fn stamp(&mut self, stamp: Option<i64>) -> Vec<u32> {
        let Some(stamp) = stamp else {
            let waiting = self.touched[self.waited..].iter().filter(|slot| self.waits[**slot as usize]);
            self.unstamped.extend(waiting);
            self.waited = self.touched.len();
            return Vec::new();
        };
        self.waited = 0;
        let mut again = Vec::new();
        for slot in std::mem::take(&mut self.touched) {
            if std::mem::take(&mut self.waits[slot as usize]) {
                self.set(slot, stamp);
                if self.unstamped.contains(&slot) {
                    again.push(slot);
                }
            }
        }
        again
    }

    /// Slots that have been touched and got no stamp since. They count as stamped.
    pub(crate) fn take_touched(&mut self) -> Vec<u32> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.retain(|slot| std::mem::take(&mut self.waits[*slot as usize]));
        self.waited = 0;
        touched
    }

    /// The stamps as they are now.
    pub(crate) fn share(&mut self) -> Stamps {
        Stamps { slots: self.stamps.len(), stamps: self.stamps.share() }
    }

    /// All that has a stamp has been captured with it.
    pub(crate) fn captured(&mut self) {
        if !self.unstamped.is_empty() {
            let mut unstamped = std::mem::take(&mut self.unstamped);
            unstamped.retain(|slot| self.of(*slot).is_none());
            self.unstamped = unstamped;
        }
    }

    /// Which of the slots that [went](Self::take) a checkpoint may hold without a stamp: it is to be told that they are gone.
    pub(crate) fn left_unstamped(&mut self, gone: &[u32]) -> Vec<u32> {
        gone.iter().copied().filter(|slot| self.unstamped.remove(slot)).collect()
    }

    /// A slot has this stamp.
    pub(crate) fn set(&mut self, slot: u32, stamp: i64) {
        let place = slot as usize;
        while self.stamps.len() <= place {
            self.stamps.push(NEVER);
        }
        if std::mem::replace(self.stamps.get_mut(slot), stamp) != stamp {
            self.slots.entry(stamp).or_default().push(slot);
        }
    }

    /// The stamp of a slot.
    pub(crate) fn of(&self, slot: u32) -> Option<i64> {
        ((slot as usize) < self.stamps.len()).then(|| *self.stamps.get(slot)).filter(|stamp| *stamp != NEVER)
    }

    /// There is nothing in a slot any more.
    pub(crate) fn leave(&mut self, slot: u32) {
        if self.of(slot).is_some() {
            *self.stamps.get_mut(slot) = NEVER;
        }
        if let Some(waits) = self.waits.get_mut(slot as usize) {
            *waits = false;
        }
        self.unstamped.remove(&slot);
    }

    /// Slots whose stamp is up to this one. They have none any more.
    pub(crate) fn take(&mut self, until: Option<EventTime>) -> Vec<u32> {
        let mut taken = Vec::new();
        while let Some(first) =
            self.slots.first_entry().filter(|first| until.is_some_and(|until| *first.key() <= until.0))
        {
            let (stamp, slots) = first.remove_entry();
            for slot in slots {
                if *self.stamps.get(slot) == stamp {
                    *self.stamps.get_mut(slot) = NEVER;
                    taken.push(slot);
                }
            }
        }
        taken
    }

    /// Slots have other numbers: that at each place was `before`.
    pub(crate) fn renumber(&mut self, before: &[u32]) {
        let mut renumbered = Self::default();
        for (place, before) in (0..).zip(before) {
            if let Some(stamp) = self.of(*before) {
                renumbered.set(place, stamp);
            }
            if self.waits.get(*before as usize).is_some_and(|waits| *waits) {
                renumbered.touch(place);
            }
            if self.unstamped.contains(before) {
                renumbered.unstamped.insert(place);
            }
        }
        *self = renumbered;
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        8 * self.stamps.len()
            + self.waits.len()
            + 4 * (self.touched.len() + self.unstamped.capacity() + self.slots.values().map(Vec::len).sum::<usize>())
    }
}

/// Partitions by when they have changed last. All that is kept of one goes at once, so its stamp is that of all its rows: they are stored
/// again when it gets another one, which is once in a generation.
#[derive(Debug)]
pub(crate) struct Partitions<K> {
    /// Partitions that got each stamp; those that have another one by now, or are gone, are among them.
    by_stamp: BTreeMap<i64, Vec<K>>,
    /// Partitions that have changed when nothing was known of the time.
    waiting: Vec<K>,
}

impl<K> Default for Partitions<K> {
    fn default() -> Self {
        Self { by_stamp: BTreeMap::new(), waiting: Vec::new() }
    }
}

impl<K: Clone> Partitions<K> {
    /// A partition was stored with this stamp, or without one.
    pub(crate) fn loaded(&mut self, key: &K, stamp: Option<i64>) {
        match stamp {
            Some(stamp) => self.by_stamp.entry(stamp).or_default().push(key.clone()),
            None => self.waiting.push(key.clone()),
        }
    }

    /// A marker passes, at which these have changed. `restamp` gives a partition its stamp, and says whether it is another one than before.
    pub(crate) fn changed(&mut self, keys: Vec<K>, stamp: Option<i64>, mut restamp: impl FnMut(&K, i64) -> bool) {
        self.waiting.extend(keys);
        let Some(stamp) = stamp else { return };
        for key in std::mem::take(&mut self.waiting) {
            if restamp(&key, stamp) {
                self.by_stamp.entry(stamp).or_default().push(key);
            }
        }
    }

    /// Partitions that may have a stamp up to this one, each with the stamp that it had.
    pub(crate) fn due(&mut self, until: Option<EventTime>) -> Vec<(K, i64)> {
        let mut due = Vec::new();
        while let Some(first) =
            self.by_stamp.first_entry().filter(|first| until.is_some_and(|until| *first.key() <= until.0))
        {
            let (stamp, keys) = first.remove_entry();
            due.extend(keys.into_iter().map(|key| (key, stamp)));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use weir_core::HashRange;

    use super::*;

    #[test]
    fn what_is_touched_is_kept_for_as_long_again() {
        let mut life = TimeToLive::new(Some(1600));
        let mut slots = Generations::default();
        let mut at = |time: i64, touched: &[u32]| {
            life.watermark(EventTime(time));
            life.marker();
            touched.iter().for_each(|slot| slots.touch(*slot));
            slots.stamp(life.stamp());
            slots.take(life.expired())
        };
        assert_eq!(at(1_050, &[0, 1]), [] as [u32; 0], "stamped 1100");
        assert_eq!(at(1_990, &[1, 2]), [] as [u32; 0], "stamped 2000");
        assert_eq!(at(2_699, &[]), [] as [u32; 0]);
        assert_eq!(at(2_700, &[]), [0]);
        assert_eq!(at(3_599, &[]), [] as [u32; 0]);
        assert_eq!(at(9_000, &[]), [1, 2]);
        assert_eq!(at(20_000, &[]), [] as [u32; 0]);
        assert!(slots.slots.is_empty() && slots.touched.is_empty(), "{slots:?}");
    }

    #[test]
    fn what_was_stored_before_time_was_known_is_stored_again() {
        let mut slots = Generations::default();
        slots.touch(0);
        slots.touch(1);
        assert_eq!(slots.stamp(None), [] as [u32; 0]);
        slots.captured();
        slots.leave(0);
        slots.touch(0);
        slots.touch(2);
        slots.touch_unstamped(3);
        assert_eq!(slots.stamp(Some(10)), [1, 3], "0 is another one now");
        assert_eq!(slots.take(Some(EventTime(10))), [0, 1, 2, 3]);
        assert_eq!(slots.left_unstamped(&[1, 0, 2, 3]), [1, 3], "they went before they were stored again");
        slots.touch_unstamped(3);
        slots.stamp(Some(20));
        slots.captured();
        assert_eq!(slots.take(Some(EventTime(20))), [3]);
        assert_eq!(slots.left_unstamped(&[3]), [] as [u32; 0]);
    }

    #[test]
    fn time_that_is_not_known_or_over_lets_nothing_go() {
        let mut life = TimeToLive::new(Some(10));
        life.marker();
        assert_eq!((life.expired(), life.stamp()), (None, None));
        life.watermark(EventTime(100));
        life.watermark(EventTime::MAX);
        life.watermark(EventTime(50));
        life.marker();
        assert_eq!((life.expired(), life.stamp()), (Some(EventTime(90)), Some(100)));
        let mut for_ever = TimeToLive::new(None);
        for_ever.open(&OpenContext {
            range: HashRange::ALL,
            watermark: EventTime(100),
            restored: true,
            has_expired: false,
        });
        assert_eq!((for_ever.expired(), for_ever.stamp(), for_ever.is_limited()), (None, None, false));
    }

    #[test]
    fn slots_keep_their_stamps_under_other_numbers() {
        let mut slots = Generations::default();
        slots.set(0, 10);
        slots.set(3, 20);
        slots.touch(5);
        slots.leave(0);
        slots.touch(6);
        slots.leave(6);
        slots.renumber(&[3, 5, 6]);
        assert_eq!((slots.of(0), slots.of(1)), (Some(20), None));
        slots.stamp(Some(30));
        assert_eq!((slots.of(1), slots.of(2)), (Some(30), None));
        assert_eq!(slots.take(Some(EventTime(25))), [0]);
        assert_eq!(slots.take(Some(EventTime(30))), [1]);
    }
}
