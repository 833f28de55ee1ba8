//! The windows of a key that have not been shown.

use std::time::Duration;

use weir_core::{Error, Result};

use super::{Kind, Window};
use crate::process::Context;
use crate::record::{Column, Record, Timestamp};
use crate::state::parts::{AnyItem, Declaration};
use crate::state::{MapState, State, Timer};

/// Milliseconds from 1970 to the last times that can be put into windows: so many that no sum of them is too large.
const FURTHEST: u64 = i64::MAX as u64 / 4;

/// The times of a row and of the watermark.
#[derive(Clone, Copy)]
pub(super) struct Place {
    time: Option<i64>,
    watermark: i64,
}

impl Place {
    /// Those of the row that a step is called with.
    ///
    /// # Errors
    /// A data error if the row is of no time that people write.
    pub(super) fn of<K, O: Record>(ctx: &Context<'_, K, O>) -> Result<Self> {
        let time = ctx.time();
        if let Some(time) = time.filter(|time| time.millis().unsigned_abs() > FURTHEST) {
            return Err(Error::data(format!(
                "a row has the event time {time}: windows are of the years that people write"
            ))
            .with_help("filter such rows out in front of the windows: `filter`, or a view with WHERE"));
        }
        Ok(Self { time: time.map(Timestamp::millis), watermark: ctx.watermark().millis() })
    }
}

/// The windows of a key: by where they begin, where they end and what was added up.
pub(super) struct Open<A: Column> {
    windows: MapState<Timestamp, (Timestamp, A)>,
    first_end: Timer,
}

impl<A: Column> Default for Open<A> {
    fn default() -> Self {
        Self { windows: MapState::default(), first_end: Timer::default() }
    }
}

impl<A: Column> State for Open<A> {
    const TIMERS: bool = true;

    fn declarations() -> Vec<Declaration> {
        vec![Declaration::of::<MapState<Timestamp, (Timestamp, A)>>("windows"), Declaration::of::<Timer>("first_end")]
    }

    fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn AnyItem)) {
        visit(0, &mut self.windows);
        visit(1, &mut self.first_end);
    }

    fn item(&mut self, position: usize) -> Option<&mut dyn AnyItem> {
        match position {
            0 => Some(&mut self.windows),
            1 => Some(&mut self.first_end),
            _ => None,
        }
    }
}

impl Kind {
    pub(super) fn watermark_delay(self) -> i64 {
        match self {
            Kind::Hopping { .. } => 0,
            // A session is shown when the watermark is at its end, with an event time in front of that.
            Kind::Sessions { .. } => 1,
        }
    }

    fn has_ended(self, end: Timestamp, watermark: Timestamp) -> bool {
        match self {
            Kind::Hopping { .. } => end.millis() - 1 <= watermark.millis(),
            Kind::Sessions { .. } => end <= watermark,
        }
    }
}

impl<A: Column + Default> Open<A> {
    /// Adds a row to the windows that it is in and that have not been shown. Says whether there was one: a row without event time is in none. (It
    /// would come again after each restart: one such row is no reason for a job to fail for good.)
    pub(super) fn add(
        &mut self,
        kind: Kind,
        place: Place,
        add: impl FnMut(&mut A),
        merge: impl FnMut(&mut A, A),
    ) -> bool {
        let Some(time) = place.time else { return false };
        let is_in_time = match kind {
            Kind::Hopping { size, step } => self.add_hopping((size, step), (time, place.watermark), add),
            Kind::Sessions { gap } => self.add_to_session(gap, (time, place.watermark), add, merge),
        };
        if is_in_time {
            self.wait(kind);
        }
        is_in_time
    }

    /// Takes out the windows that have ended, in the order in which they begin.
    pub(super) fn ended(&mut self, kind: Kind, watermark: Timestamp) -> Vec<(Window, A)> {
        let starts: Vec<Timestamp> = self
            .windows
            .iter()
            .filter(|(_, (end, _))| kind.has_ended(*end, watermark))
            .map(|(start, _)| *start)
            .collect();
        let taken = starts.into_iter().filter_map(|start| {
            let (end, accumulator) = self.windows.remove(&start)?;
            Some((Window { start, end }, accumulator))
        });
        let taken = taken.collect();
        self.wait(kind);
        taken
    }

    /// Waits for the window that ends first.
    fn wait(&mut self, kind: Kind) {
        let first = match kind {
            // They end in the order in which they begin.
            Kind::Hopping { .. } => self.windows.values().next().map(|(end, _)| *end - Duration::from_millis(1)),
            // A row at the end is still of the session.
            Kind::Sessions { .. } => self.windows.values().next().map(|(end, _)| *end),
        };
        match first {
            Some(time) => self.first_end.set(time),
            None => self.first_end.cancel(),
        }
    }

    /// Adds a row to the windows of one size.
    fn add_hopping(
        &mut self,
        (size, step): (i64, i64),
        (time, watermark): (i64, i64),
        mut add: impl FnMut(&mut A),
    ) -> bool {
        let newest = time - time.rem_euclid(step);
        let starts = (0..size / step).map(|back| newest - back * step);
        let mut added = false;
        for start in starts.filter(|start| start + size - 1 > watermark) {
            let (end, accumulator) = self.windows.or_default(Timestamp::from_millis(start));
            *end = Timestamp::from_millis(start + size);
            add(accumulator);
            added = true;
        }
        added
    }

    /// Adds a row to its session, which may join two others.
    fn add_to_session(
        &mut self,
        gap: i64,
        (time, watermark): (i64, i64),
        mut add: impl FnMut(&mut A),
        mut merge: impl FnMut(&mut A, A),
    ) -> bool {
        // Sessions that the row is in or touches.
        let near = |start: &Timestamp, end: &Timestamp| start.millis() <= time + gap && end.millis() >= time;
        let near: Vec<(Timestamp, Timestamp)> = self
            .windows
            .iter()
            .filter(|(start, (end, _))| near(start, end))
            .map(|(start, (end, _))| (*start, *end))
            .collect();
        if near.is_empty() && time + gap <= watermark {
            return false;
        }
        let (mut start, mut end) = (time, time + gap);
        let mut merged = A::default();
        for (position, (other_start, other_end)) in near.iter().enumerate() {
            (start, end) = (start.min(other_start.millis()), end.max(other_end.millis()));
            let Some((_, accumulator)) = self.windows.remove(other_start) else { continue };
            match position {
                0 => merged = accumulator,
                _ => merge(&mut merged, accumulator),
            }
        }
        add(&mut merged);
        self.windows.insert(Timestamp::from_millis(start), (Timestamp::from_millis(end), merged));
        true
    }
}
