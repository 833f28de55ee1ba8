//! Windows of event time.
//!
//! A window is shown once, when the watermark says that it is complete. A row whose windows have all been shown is late, and so is one without event time: it is emitted on
//! the side output [`Windowed::late_to`] names, or else on the job's output of late rows.
//!
//! Windows are a [`KeyedProcess`] like any other: a map from where a window begins to what has been added up in it, and a timer for the
//! first end.
//!
//! - `open`: the windows of a key that have not been shown
//! - `pairs`: windows of two streams
//! - `triggered`: a window that goes on until a trigger ends it

mod open;
mod pairs;
mod triggered;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use weir_core::{Error, Result};

use crate::aggregate::Aggregate;
use crate::process::{Context, KeyedProcess, SideOutput};
use crate::record::{Key, Record, Timestamp, millis};
use crate::stream::{KeyedStream, Stream};

use self::open::{Open, Place};
pub use self::pairs::WindowedPairs;
pub use self::triggered::{Pane, Trigger, Triggered};

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

    pub(crate) fn check(self) -> Result<()> {
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

impl<K: Key, A: Aggregate<In: Record>, O: Record> KeyedProcess for Process<K, A, O> {
    type Key = K;
    type In = A::In;
    type State = Open<A::Accumulator>;
    type Out = O;

    fn process(&mut self, row: A::In, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        let aggregate = &self.aggregate;
        let is_in_time = open.add(
            self.windows.0,
            Place::of(ctx)?,
            |accumulator| aggregate.add(accumulator, &row),
            |accumulator, other| aggregate.merge(accumulator, other),
        );
        if !is_in_time {
            ctx.output.late(self.late.map(|side| side.name()), &row);
        }
        Ok(())
    }

    fn watermark_delay(&self) -> i64 {
        self.windows.0.watermark_delay()
    }

    fn on_timer(&mut self, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        // All at once, as far as event time has come.
        for (window, accumulator) in open.ended(self.windows.0, ctx.watermark()) {
            let result = self.aggregate.result(&accumulator);
            let row = (self.row)(ctx.key(), window, result);
            ctx.emit(row);
        }
        Ok(())
    }
}
