//! One window of all rows of a key, which is shown when a trigger says so.
//!
//! What is kept of a key is what has been added up since the window was shown last, how many rows that were, and their first and last times. Timers wait for what no row
//! brings about: the time since the first row, and the end of the input.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use weir_core::{Error, Result};

use super::Collect;
use crate::aggregate::Aggregate;
use crate::process::{Context, KeyedProcess};
use crate::record::{Column, Key, Record, Timestamp, millis};
use crate::state::parts::{AnyItem, Declaration};
use crate::state::{ProcessingTimer, State, Timer, ValueState};
use crate::stream::{KeyedStream, Stream};

/// When a window of all rows is shown, and the next one begins: when the first of several conditions holds, `Trigger::count(100).or_after(…)`.
///
/// What is left of a key when the input ends is shown too.
pub struct Trigger<R> {
    count: Option<u64>,
    after: Option<i64>,
    waiting: Option<i64>,
    row: Option<RowCondition<R>>,
}

type RowCondition<R> = Arc<dyn Fn(&R) -> bool + Send + Sync>;

impl<R> Clone for Trigger<R> {
    fn clone(&self) -> Self {
        Self { count: self.count, after: self.after, waiting: self.waiting, row: self.row.clone() }
    }
}

impl<R> Trigger<R> {
    const NEVER: Self = Self { count: None, after: None, waiting: None, row: None };

    /// With the row that makes so many.
    pub fn count(rows: u64) -> Self {
        Self { count: Some(rows), ..Self::NEVER }
    }

    /// When event time has come so far behind the window's first row. A row of that time, or a later one, is in the next window: so it makes no difference when watermarks come.
    pub fn after(time: Duration) -> Self {
        Self { after: Some(millis(time)), ..Self::NEVER }
    }

    /// When the worker's clock has gone on for so long since the window's first row came: so long do rows wait at most for others. What is in a window depends on how fast rows
    /// come, and may be another after a restart.
    pub fn waiting(time: Duration) -> Self {
        Self { waiting: Some(millis(time)), ..Self::NEVER }
    }

    /// With a row for which a condition holds: the last of the window.
    pub fn with_row(condition: impl Fn(&R) -> bool + Send + Sync + 'static) -> Self {
        Self { row: Some(Arc::new(condition)), ..Self::NEVER }
    }

    /// Also [then](Self::count).
    #[must_use]
    pub fn or_count(self, rows: u64) -> Self {
        Self { count: Some(self.count.map_or(rows, |count| count.min(rows))), ..self }
    }

    /// Also [then](Self::after).
    #[must_use]
    pub fn or_after(self, time: Duration) -> Self {
        let time = millis(time);
        Self { after: Some(self.after.map_or(time, |after| after.min(time))), ..self }
    }

    /// Also [then](Self::waiting).
    #[must_use]
    pub fn or_waiting(self, time: Duration) -> Self {
        let time = millis(time);
        Self { waiting: Some(self.waiting.map_or(time, |waiting| waiting.min(time))), ..self }
    }

    /// Also [then](Self::with_row).
    #[must_use]
    pub fn or_with_row(self, condition: impl Fn(&R) -> bool + Send + Sync + 'static) -> Self
    where
        R: 'static,
    {
        let row: RowCondition<R> = match self.row {
            Some(other) => Arc::new(move |row| other(row) || condition(row)),
            None => Arc::new(condition),
        };
        Self { row: Some(row), ..self }
    }

    fn check(&self) -> Result<()> {
        match (self.count, self.after, self.waiting) {
            (Some(0), ..) => Err(Error::user("a window has at least one row")),
            (_, Some(time), _) | (_, _, Some(time)) if time < 1 => {
                Err(Error::user("a window is at least a millisecond long"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn wants_event_time(&self) -> bool {
        self.after.is_some()
    }
}

/// What is known of a window that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane {
    /// How many rows have come into it since it was shown last.
    pub rows: u64,
    /// The event time of the first of them, if it has one.
    pub first: Option<Timestamp>,
    /// The greatest of their event times.
    pub last: Option<Timestamp>,
    /// What a row about it has as its event time: of a window that is over after some time, the last time that is in it, and else that of the row with which it was shown. Of what is
    /// left when the input ends it is `last`, and may be late for windows behind.
    pub at: Option<Timestamp>,
}

/// The rows of each key, in windows that a [`Trigger`] ends.
#[must_use = "windows do nothing by themselves: aggregate them"]
pub struct Triggered<K: Key, R: Record> {
    keyed: KeyedStream<K, R>,
    trigger: Trigger<R>,
    keeps: bool,
}

impl<K: Key, R: Record> Triggered<K, R> {
    pub(crate) fn new(keyed: KeyedStream<K, R>, trigger: Trigger<R>) -> Self {
        Self { keyed, trigger, keeps: false }
    }

    /// Keeps what was added up when a window is shown: the next result is that of all rows of the key so far. What the trigger goes by begins anew.
    pub fn keeping(self) -> Self {
        Self { keeps: true, ..self }
    }

    /// Adds up the rows of each window, and makes a row of each result. `name` is what the step is called and its state is found by.
    pub fn aggregate<A: Aggregate<In = R>, O: Record>(
        self,
        name: &str,
        aggregate: A,
        row: impl Fn(&K, Pane, A::Out) -> O + Send + Sync + 'static,
    ) -> Stream<O> {
        let Self { keyed, trigger, keeps } = self;
        if let Err(problem) = trigger.check() {
            keyed.complain(problem.context(format!("the windows of '{name}' cannot be")));
        }
        let row: PaneRow<K, A, O> = Arc::new(row);
        keyed.process(name, Process { trigger, keeps, aggregate, row, of: PhantomData })
    }

    /// Makes a row of all rows of each window, in the order in which they came.
    pub fn process<O: Record>(
        self,
        name: &str,
        function: impl Fn(&K, Pane, Vec<R>) -> O + Send + Sync + 'static,
    ) -> Stream<O>
    where
        R: Clone,
    {
        self.aggregate(name, Collect(PhantomData), function)
    }
}

type PaneRow<K, A, O> = Arc<dyn Fn(&K, Pane, <A as Aggregate>::Out) -> O + Send + Sync>;

struct Process<K, A: Aggregate, O> {
    trigger: Trigger<A::In>,
    keeps: bool,
    aggregate: A,
    row: PaneRow<K, A, O>,
    of: PhantomData<fn() -> K>,
}

impl<K, A: Aggregate, O> Clone for Process<K, A, O> {
    fn clone(&self) -> Self {
        let (trigger, aggregate, row) = (self.trigger.clone(), self.aggregate.clone(), self.row.clone());
        Self { trigger, keeps: self.keeps, aggregate, row, of: PhantomData }
    }
}

/// What is kept of a key.
pub struct Gathered<A: Column> {
    accumulator: ValueState<A>,
    rows: ValueState<u64>,
    first: ValueState<Timestamp>,
    last: ValueState<Timestamp>,
    over: Timer,
    waited: ProcessingTimer,
    /// The end of the input.
    end: Timer,
}

impl<A: Column> Default for Gathered<A> {
    fn default() -> Self {
        Self {
            accumulator: ValueState::default(),
            rows: ValueState::default(),
            first: ValueState::default(),
            last: ValueState::default(),
            over: Timer::default(),
            waited: ProcessingTimer::default(),
            end: Timer::default(),
        }
    }
}

impl<A: Column> State for Gathered<A> {
    const TIMERS: bool = true;

    fn declarations() -> Vec<Declaration> {
        vec![
            Declaration::of::<ValueState<A>>("accumulator"),
            Declaration::of::<ValueState<u64>>("rows"),
            Declaration::of::<ValueState<Timestamp>>("first"),
            Declaration::of::<ValueState<Timestamp>>("last"),
            Declaration::of::<Timer>("over"),
            Declaration::of::<ProcessingTimer>("waited"),
            Declaration::of::<Timer>("end"),
        ]
    }

    fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn AnyItem)) {
        let items: [&mut dyn AnyItem; 7] = [
            &mut self.accumulator,
            &mut self.rows,
            &mut self.first,
            &mut self.last,
            &mut self.over,
            &mut self.waited,
            &mut self.end,
        ];
        items.into_iter().enumerate().for_each(|(position, item)| visit(position, item));
    }

    fn item(&mut self, position: usize) -> Option<&mut dyn AnyItem> {
        match position {
            0 => Some(&mut self.accumulator),
            1 => Some(&mut self.rows),
            2 => Some(&mut self.first),
            3 => Some(&mut self.last),
            4 => Some(&mut self.over),
            5 => Some(&mut self.waited),
            6 => Some(&mut self.end),
            _ => None,
        }
    }
}

impl<K: Key, A: Aggregate<In: Record>, O: Record> Process<K, A, O> {
    /// Shows the window. The next one begins with the next row.
    fn show(&self, state: &mut Gathered<A::Accumulator>, at: Option<Timestamp>, ctx: &mut Context<'_, K, O>) {
        let pane = Pane {
            rows: state.rows.take().unwrap_or_default(),
            first: state.first.take(),
            last: state.last.take(),
            at,
        };
        state.over.cancel();
        state.waited.cancel();
        state.end.cancel();
        let result = self.aggregate.result(state.accumulator.or_default());
        if !self.keeps {
            state.accumulator.clear();
        }
        let row = (self.row)(ctx.key(), pane, result);
        ctx.emit(row);
    }
}

impl<K: Key, A: Aggregate<In: Record>, O: Record> KeyedProcess for Process<K, A, O> {
    type Key = K;
    type In = A::In;
    type State = Gathered<A::Accumulator>;
    type Out = O;

    fn process(&mut self, row: A::In, state: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        let time = ctx.time();
        // A row may come before the timer goes off that stands in front of it.
        if let (Some(over), Some(time)) = (state.over.time(), time)
            && time > over
        {
            self.show(state, Some(over), ctx);
        }
        self.aggregate.add(state.accumulator.or_default(), &row);
        let rows = state.rows.or_default();
        *rows += 1;
        let rows = *rows;
        if rows == 1 {
            if let Some(time) = time {
                state.first.set(time);
            }
            if let (Some(after), Some(time)) = (self.trigger.after, time) {
                // The last time that is in the window.
                state.over.set(Timestamp::from_millis(time.millis().saturating_add(after - 1)));
            }
            if let Some(waiting) = self.trigger.waiting {
                state.waited.set(Timestamp::from_millis(ctx.now().millis().saturating_add(waiting)));
            }
            state.end.set(Timestamp::MAX);
        }
        if let Some(time) = time {
            let last = state.last.get().copied().map_or(time, |last| last.max(time));
            state.last.set(last);
        }
        let is_last = self.trigger.row.as_ref().is_some_and(|condition| condition(&row));
        if is_last || self.trigger.count.is_some_and(|count| rows >= count) {
            self.show(state, time, ctx);
        }
        Ok(())
    }

    fn on_timer(&mut self, state: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        // Of several that go off together the first has shown the window.
        if state.rows.get().is_some() {
            let at = if state.over.fired() { ctx.time() } else { state.last.get().copied() };
            self.show(state, at, ctx);
        }
        Ok(())
    }
}
