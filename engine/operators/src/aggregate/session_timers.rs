//! When sessions have to be looked at: a queue of times that is cheap where many are due at once.
//!
//! Times far ahead lie in buckets, unsorted. A bucket whose time has come as a whole is handed over as it is; only that of a bucket
//! into which the watermark falls is a heap.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Buckets in a gap.
const BUCKETS: i64 = 16;

/// Sessions by when to look at them.
pub(super) struct Timers {
    /// Milliseconds of a bucket.
    width: i64,
    /// Times in front of this one are in `near`.
    horizon: i64,
    near: BinaryHeap<Reverse<(i64, u32)>>,
    far: BTreeMap<i64, Vec<(i64, u32)>>,
    /// A bucket of `far` that has been taken out: sessions tend to be added to the same one.
    open: (i64, Vec<(i64, u32)>),
    len: usize,
}

impl Timers {
    pub(super) fn new(gap: i64) -> Self {
        let width = (gap / BUCKETS).max(1);
        Self {
            width,
            horizon: i64::MIN,
            near: BinaryHeap::new(),
            far: BTreeMap::new(),
            open: (i64::MIN, Vec::new()),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn add(&mut self, time: i64, session: u32) {
        self.len += 1;
        if time < self.horizon {
            self.near.push(Reverse((time, session)));
            return;
        }
        let bucket = time.div_euclid(self.width);
        if bucket != self.open.0 {
            self.shut();
            self.open = (bucket, self.far.remove(&bucket).unwrap_or_default());
        }
        self.open.1.push((time, session));
    }

    /// Puts the open bucket back.
    fn shut(&mut self) {
        let (bucket, sessions) = std::mem::replace(&mut self.open, (i64::MIN, Vec::new()));
        if !sessions.is_empty() {
            self.far.insert(bucket, sessions);
        }
    }

    /// Takes out what is due at `now`, in no particular order.
    pub(super) fn due(&mut self, now: i64, due: &mut Vec<u32>) {
        let before = due.len();
        self.shut();
        let bucket = now.div_euclid(self.width);
        while let Some(entry) = self.far.first_entry().filter(|entry| *entry.key() <= bucket) {
            let is_whole = *entry.key() < bucket;
            self.horizon = (entry.key() + 1).saturating_mul(self.width);
            let sessions = entry.remove();
            if is_whole {
                due.extend(sessions.into_iter().map(|(_, session)| session));
            } else {
                self.near.extend(sessions.into_iter().map(Reverse));
            }
        }
        while let Some(Reverse((_, session))) = self.near.peek().filter(|Reverse((time, _))| *time <= now) {
            due.push(*session);
            self.near.pop();
        }
        self.len -= due.len() - before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_once_and_in_time() {
        let mut timers = Timers::new(100);
        let times = [5, -7, 12, 13, 18, 200, 6, 12];
        times.iter().zip(0..).for_each(|(time, session)| timers.add(*time, session));
        let due_at = |now: i64, timers: &mut Timers| {
            let mut due = Vec::new();
            timers.due(now, &mut due);
            due.sort_unstable();
            due
        };
        assert!(due_at(-8, &mut timers).is_empty());
        assert_eq!(due_at(12, &mut timers), [0, 1, 2, 6, 7]);
        // In front of what has been looked at already.
        timers.add(3, 8);
        timers.add(14, 9);
        assert_eq!(due_at(13, &mut timers), [3, 8]);
        assert_eq!(timers.len(), 3);
        assert_eq!(due_at(i64::MAX, &mut timers), [4, 5, 9]);
        assert!(due_at(i64::MAX, &mut timers).is_empty());
    }
}
