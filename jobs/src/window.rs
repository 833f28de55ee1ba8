//! Windows of event time.
//!
//! A window is shown once, when the watermark says that it is complete. A row whose windows have all been shown is late, and so is one without event time: it is emitted on
//! the side output [`Windowed::late_to`] names, or else on the job's output of late rows.
//!
//! Windows are a [`KeyedProcess`] like any other: a map from where a window begins to what has been added up in it, and a timer for the
//! first end.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use weir_core::{Error, Result};

use crate::aggregate::Aggregate;
use crate::process::{Context, KeyedProcess, SideOutput};
use crate::record::{Column, Key, Record, Timestamp, millis};
use crate::state::{MapState, State, Timer};
use crate::stream::{KeyedStream, Stream};

/// What windows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hopping { size: i64, step: i64 },
    Sessions { gap: i64 },
}

impl Windows {
    /// One behind the other, all of one size.
    pub fn tumbling(size: Duration) -> Self {
        Self::hopping(size, size)
    }

    /// Of one size, one beginning every `step`. A row is in as many as there are steps in the size.
    pub fn hopping(size: Duration, step: Duration) -> Self {
        Self(Kind::Hopping { size: millis(size), step: millis(step) })
    }

    /// Rows of a key that follow each other within a gap. Two rows that are exactly one gap apart are in one session.
    pub fn sessions(gap: Duration) -> Self {
        Self(Kind::Sessions { gap: millis(gap) })
    }

    fn check(self) -> Result<()> {
        match self.0 {
            Kind::Hopping { size, step } if size < 1 || step < 1 => {
                Err(Error::user("a window, and the step to the next, is at least a millisecond long"))
            }
            Kind::Hopping { size, step } if size % step != 0 => {
                Err(Error::user("the size of hopping windows is a multiple of the step"))
            }
            Kind::Sessions { gap } if gap < 1 => {
                Err(Error::user("the gap between sessions is at least a millisecond long"))
            }
            _ => Ok(()),
        }
    }
}

/// From when to when, exclusively, a window goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where it begins.
    pub start: Timestamp,
    /// The first time behind it. The end of a session is a gap behind its last row.
    pub end: Timestamp,
}

impl Window {
    /// The last time in it: what a row about the window has as its event time.
    pub fn last(&self) -> Timestamp {
        self.end - Duration::from_millis(1)
    }
}

/// The rows of each key in windows.
#[must_use = "windows do nothing by themselves: aggregate them"]
pub struct Windowed<K: Key, R: Record> {
    keyed: KeyedStream<K, R>,
    windows: Windows,
    late: Option<SideOutput<R>>,
}

impl<K: Key, R: Record> Windowed<K, R> {
    pub(crate) fn new(keyed: KeyedStream<K, R>, windows: Windows) -> Self {
        Self { keyed, windows, late: None }
    }

    /// Emits late rows on a side output. Where nothing reads it they go where they would go without it.
    pub fn late_to(mut self, side: SideOutput<R>) -> Self {
        self.late = Some(side);
        self
    }

    /// Adds up the rows of each window, and makes a row of each result. `name` is what the step is called and its state is found by.
    pub fn aggregate<A: Aggregate<In = R>, O: Record>(
        self,
        name: &str,
        aggregate: A,
        row: impl Fn(&K, Window, A::Out) -> O + Send + Sync + 'static,
    ) -> Stream<O> {
        let Self { keyed, windows, late } = self;
        if let Err(problem) = windows.check() {
            keyed.complain(problem.context(format!("the windows of '{name}' cannot be")));
        }
        let row: WindowRow<K, A, O> = Arc::new(row);
        keyed.process(name, Process { windows, late, aggregate, row, of: PhantomData })
    }

    /// Makes a row of all rows of each window, in the order in which they came.
    pub fn process<O: Record>(
        self,
        name: &str,
        function: impl Fn(&K, Window, Vec<R>) -> O + Send + Sync + 'static,
    ) -> Stream<O>
    where
        R: Clone,
    {
        self.aggregate(name, Collect(PhantomData), function)
    }
}

/// All rows.
struct Collect<R>(PhantomData<fn() -> R>);

impl<R> Clone for Collect<R> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<R: Record + Clone> Aggregate for Collect<R> {
    type In = R;
    type Accumulator = Vec<R>;
    type Out = Vec<R>;

    fn add(&self, rows: &mut Vec<R>, row: &R) {
        rows.push(row.clone());
    }

    fn merge(&self, rows: &mut Vec<R>, other: Vec<R>) {
        rows.extend(other);
    }

    fn result(&self, rows: &Vec<R>) -> Vec<R> {
        rows.clone()
    }
}

type WindowRow<K, A, O> = Arc<dyn Fn(&K, Window, <A as Aggregate>::Out) -> O + Send + Sync>;

struct Process<K, A: Aggregate, O> {
    windows: Windows,
    late: Option<SideOutput<A::In>>,
    aggregate: A,
    row: WindowRow<K, A, O>,
    of: PhantomData<fn() -> K>,
}

impl<K, A: Aggregate, O> Clone for Process<K, A, O> {
    fn clone(&self) -> Self {
        let (aggregate, row) = (self.aggregate.clone(), self.row.clone());
        Self { windows: self.windows, late: self.late, aggregate, row, of: PhantomData }
    }
}

/// Milliseconds from 1970 to the last times that can be put into windows: so many that no sum of them is too large.
const FURTHEST: u64 = i64::MAX as u64 / 4;

/// The times of a row and of the watermark.
#[derive(Clone, Copy)]
struct Place {
    time: i64,
    watermark: i64,
}

/// The windows of a key: by where they begin, where they end and what was added up.
struct Open<A: Column> {
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

    fn declarations() -> Vec<crate::state::parts::Declaration> {
        use crate::state::parts::Declaration;
        vec![Declaration::of::<MapState<Timestamp, (Timestamp, A)>>("windows"), Declaration::of::<Timer>("first_end")]
    }

    fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn crate::state::parts::AnyItem)) {
        visit(0, &mut self.windows);
        visit(1, &mut self.first_end);
    }

    fn item(&mut self, position: usize) -> Option<&mut dyn crate::state::parts::AnyItem> {
        match position {
            0 => Some(&mut self.windows),
            1 => Some(&mut self.first_end),
            _ => None,
        }
    }
}

impl<A: Column> Open<A> {
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
}

impl<K: Key, A: Aggregate<In: Record>, O: Record> Process<K, A, O> {
    /// Adds a row to the windows of one size that it is in and that have not been shown. Says whether there was one.
    fn add_hopping(
        &self,
        row: &A::In,
        (size, step): (i64, i64),
        open: &mut Open<A::Accumulator>,
        place: Place,
    ) -> bool {
        let newest = place.time - place.time.rem_euclid(step);
        let starts = (0..size / step).map(|back| newest - back * step);
        let mut added = false;
        for start in starts.filter(|start| start + size - 1 > place.watermark) {
            let (end, accumulator) = open.windows.or_default(Timestamp::from_millis(start));
            *end = Timestamp::from_millis(start + size);
            self.aggregate.add(accumulator, row);
            added = true;
        }
        added
    }

    /// Adds a row to its session, which may join two others.
    fn add_to_session(&self, row: &A::In, gap: i64, open: &mut Open<A::Accumulator>, place: Place) -> bool {
        let Place { time, watermark } = place;
        // Sessions that the row is in or touches.
        let near = |start: &Timestamp, end: &Timestamp| start.millis() <= time + gap && end.millis() >= time;
        let near: Vec<(Timestamp, Timestamp)> = open
            .windows
            .iter()
            .filter(|(start, (end, _))| near(start, end))
            .map(|(start, (end, _))| (*start, *end))
            .collect();
        if near.is_empty() && time + gap <= watermark {
            return false;
        }
        let (mut start, mut end) = (time, time + gap);
        let mut merged = A::Accumulator::default();
        for (position, (other_start, other_end)) in near.iter().enumerate() {
            (start, end) = (start.min(other_start.millis()), end.max(other_end.millis()));
            let Some((_, accumulator)) = open.windows.remove(other_start) else { continue };
            match position {
                0 => merged = accumulator,
                _ => self.aggregate.merge(&mut merged, accumulator),
            }
        }
        self.aggregate.add(&mut merged, row);
        open.windows.insert(Timestamp::from_millis(start), (Timestamp::from_millis(end), merged));
        true
    }
}

impl<K: Key, A: Aggregate<In: Record>, O: Record> KeyedProcess for Process<K, A, O> {
    type Key = K;
    type In = A::In;
    type State = Open<A::Accumulator>;
    type Out = O;

    fn process(&mut self, row: A::In, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        // It would come again after each restart: one such row is no reason for a job to fail for good.
        let Some(time) = ctx.time() else {
            ctx.output.late(self.late.map(|side| side.name()), &row);
            return Ok(());
        };
        let place = Place { time: time.millis(), watermark: ctx.watermark().millis() };
        if place.time.unsigned_abs() > FURTHEST {
            return Err(Error::data(format!(
                "a row has the event time {time}: windows are of the years that people write"
            ))
            .with_help("filter such rows out in front of the windows: `filter`, or a view with WHERE"));
        }
        let is_in_time = match self.windows.0 {
            Kind::Hopping { size, step } => self.add_hopping(&row, (size, step), open, place),
            Kind::Sessions { gap } => self.add_to_session(&row, gap, open, place),
        };
        if is_in_time {
            open.wait(self.windows.0);
        } else {
            ctx.output.late(self.late.map(|side| side.name()), &row);
        }
        Ok(())
    }

    fn watermark_delay(&self) -> i64 {
        match self.windows.0 {
            Kind::Hopping { .. } => 0,
            // A session is shown when the watermark is at its end, with an event time in front of that.
            Kind::Sessions { .. } => 1,
        }
    }

    fn on_timer(&mut self, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        // All at once, as far as event time has come.
        let time = ctx.watermark();
        let ended = |end: Timestamp| match self.windows.0 {
            Kind::Hopping { .. } => end.millis() - 1 <= time.millis(),
            Kind::Sessions { .. } => end <= time,
        };
        let starts: Vec<Timestamp> =
            open.windows.iter().filter(|(_, (end, _))| ended(*end)).map(|(start, _)| *start).collect();
        for start in starts {
            if let Some((end, accumulator)) = open.windows.remove(&start) {
                let result = self.aggregate.result(&accumulator);
                let row = (self.row)(ctx.key(), Window { start, end }, result);
                ctx.emit(row);
            }
        }
        open.wait(self.windows.0);
        Ok(())
    }
}
