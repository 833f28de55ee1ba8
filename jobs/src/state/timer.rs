//! When to be called for a key.

use std::fmt;

use crate::record::Timestamp;

use super::parts::{Item, ItemRows, NoKey};

/// What time a timer goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The watermark.
    Event,
    /// The worker's clock.
    Processing,
}

/// What timers have in common.
pub struct Alarm {
    pub(crate) clock: Clock,
    time: Option<Timestamp>,
    changed: bool,
    stored: bool,
    /// It was set since the queue of timers was told.
    moved: bool,
    /// The time for which the queue has it. Not later than the one that it is set for, if it is: it is queued again when that has come.
    queued: Option<i64>,
    fired: bool,
}

impl Alarm {
    fn new(clock: Clock) -> Self {
        Self { clock, time: None, changed: false, stored: false, moved: false, queued: None, fired: false }
    }

    fn set(&mut self, time: Option<Timestamp>) {
        if self.time != time {
            (self.time, self.changed, self.moved) = (time, true, time.is_some());
        }
    }

    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The time for which it has to be queued, if it has been set since the last call for one that the queue would miss.
    #[inline]
    pub(crate) fn take_moved(&mut self) -> Option<i64> {
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        let time = self.time?.millis();
        if self.queued.is_some_and(|queued| queued <= time) {
            return None;
        }
        self.queued = Some(time);
        Some(time)
    }

    /// The queue no longer has it for this time. Returns the one for which it is to be queued in place of that.
    pub(crate) fn unqueue(&mut self, time: i64) -> Option<i64> {
        if self.queued != Some(time) {
            return None;
        }
        self.queued = self.time.map(Timestamp::millis).filter(|set| *set > time);
        self.queued
    }

    /// Goes off, if it is set for this time.
    pub(crate) fn fire(&mut self, time: i64) -> bool {
        let fires = self.time == Some(Timestamp::from_millis(time));
        if fires {
            self.set(None);
            self.fired = true;
        }
        fires
    }

    /// What was called for it has returned.
    pub(crate) fn end(&mut self) {
        self.fired = false;
    }

    fn captured(&mut self) -> Option<Option<Timestamp>> {
        let changed = std::mem::take(&mut self.changed) && (self.stored || self.time.is_some());
        self.stored = self.time.is_some();
        changed.then_some(self.time)
    }

    fn loaded(&mut self, time: Timestamp) {
        (self.time, self.stored, self.moved) = (Some(time), true, true);
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.time.fmt(f)
    }
}

macro_rules! timers {
    ($($(#[doc = $doc:literal])+ $name:ident = $clock:expr;)+) => { $(
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $name(Alarm);

        impl Default for $name {
            fn default() -> Self {
                Self(Alarm::new($clock))
            }
        }

        impl $name {
            /// Sets it for a time, whatever it was set for before. One that has passed is the next there is.
            pub fn set(&mut self, time: Timestamp) {
                self.0.set(Some(time));
            }

            /// Unsets it.
            pub fn cancel(&mut self) {
                self.0.set(None);
            }

            /// What it is set for.
            pub fn time(&self) -> Option<Timestamp> {
                self.0.time
            }

            /// Whether it is set.
            pub fn is_set(&self) -> bool {
                self.0.time.is_some()
            }

            /// Whether it is the one that has gone off, where a timer has.
            pub fn fired(&self) -> bool {
                self.0.fired
            }
        }

        impl Item for $name {
            type Key = NoKey;
            type Value = Timestamp;

            const VALUE_NAME: &'static str = "time";
            const IS_TIMER: bool = true;

            fn capture(&mut self, rows: &mut ItemRows<Self>) {
                match self.0.captured() {
                    Some(Some(time)) => rows.put(&NoKey, &time),
                    Some(None) => rows.delete(&NoKey),
                    None => {}
                }
            }

            fn load(&mut self, _key: NoKey, time: Timestamp) {
                self.0.loaded(time);
            }

            fn is_empty(&self) -> bool {
                self.0.time.is_none()
            }

            fn clear(&mut self) {
                self.cancel();
            }

            fn alarm(&mut self) -> Option<&mut Alarm> {
                Some(&mut self.0)
            }
        }
    )+ };
}

timers! {
    /// Goes off when event time has come to where it is set: when the watermark says that no row with an earlier time is expected. The step is called with the key's state then, and
    /// [`fired`](Self::fired) is true. It is unset by then, and may be set again.
    ///
    /// The watermark moves behind a batch of rows: a row may come whose time is behind the timer, before the timer goes off. Where that makes a
    /// difference, compare [`time`](Self::time) with the row's.
    ///
    /// At the end of its input, when all rows have come, every timer that is still set goes off once; those that are set from then on
    /// do not.
    Timer = Clock::Event;
    /// Goes off when the clock of the worker has come to where it is set, to within a few hundred milliseconds; otherwise as [`Timer`].
    ProcessingTimer = Clock::Processing;
}
