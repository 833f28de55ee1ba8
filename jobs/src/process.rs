//! What users write for each key.

use std::marker::PhantomData;

use weir_core::Result;

use crate::operator::Output;
use crate::record::{Key, Record, Timestamp};
use crate::state::State;

/// What is done with the rows of each key, one after the other, beside what is kept of the key.
///
/// A value of the type is cloned for each subtask. What is in it is no state: it is gone after a restart.
///
/// How many subtasks there are makes no difference, and rows of a key come in their order. But event time moves between batches, not between
/// rows: a source sends a watermark behind a batch, so a timer goes off only after all rows of the batch that it came with, also those whose
/// times are behind the timer. **What has to hold within a time compares the times of rows; a timer only cleans up, or tells what no
/// row has told.** (A [time to live](crate::KeyedStream::time_to_live) compares them by itself.)
pub trait KeyedProcess: Clone + Send + Sync + 'static {
    /// By what rows are told apart.
    type Key: Key;
    /// The rows that come.
    type In: Record;
    /// What is kept of a key.
    type State: State;
    /// The rows that are emitted.
    type Out: Record;

    /// A row has come.
    ///
    /// # Errors
    /// One ends the attempt: the job goes back to its last checkpoint, and fails if that does not help.
    fn process(
        &mut self,
        row: Self::In,
        state: &mut Self::State,
        ctx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<()>;

    /// A timer of the key has gone off. [`Context::time`] is what it was set for; which one it is, its
    /// [`fired`](crate::Timer::fired) tells.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn on_timer(&mut self, state: &mut Self::State, ctx: &mut Context<'_, Self::Key, Self::Out>) -> Result<()> {
        let _ = (state, ctx);
        Ok(())
    }

    /// By how many milliseconds the watermark is held back: emitted rows may be that much earlier than the timer.
    #[doc(hidden)]
    fn watermark_delay(&self) -> i64 {
        0
    }
}

/// What is done with rows of two streams that have the same key.
pub trait KeyedConnect: Clone + Send + Sync + 'static {
    /// By what rows are told apart.
    type Key: Key;
    /// The rows of the first stream.
    type Left: Record;
    /// The rows of the other.
    type Right: Record;
    /// What is kept of a key.
    type State: State;
    /// The rows that are emitted.
    type Out: Record;

    /// A row of the first stream has come.
    ///
    /// # Errors
    /// As [`KeyedProcess::process`].
    fn left(
        &mut self,
        row: Self::Left,
        state: &mut Self::State,
        ctx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<()>;

    /// A row of the other stream has come.
    ///
    /// # Errors
    /// As [`KeyedProcess::process`].
    fn right(
        &mut self,
        row: Self::Right,
        state: &mut Self::State,
        ctx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<()>;

    /// A timer of the key has gone off, as in [`KeyedProcess::on_timer`].
    ///
    /// # Errors
    /// As [`KeyedProcess::process`].
    fn on_timer(&mut self, state: &mut Self::State, ctx: &mut Context<'_, Self::Key, Self::Out>) -> Result<()> {
        let _ = (state, ctx);
        Ok(())
    }

    /// As [`KeyedProcess::watermark_delay`].
    #[doc(hidden)]
    fn watermark_delay(&self) -> i64 {
        0
    }
}

/// What is done with the rows of each key, beside what every subtask has learnt from a stream that is sent to all of them: rules, rates,
/// settings.
pub trait BroadcastProcess: Clone + Send + Sync + 'static {
    /// By what rows are told apart.
    type Key: Key;
    /// The rows that come.
    type In: Record;
    /// The rows that every subtask is told.
    type Update: Record;
    /// What is kept of a key.
    type State: State;
    /// What is kept of the updates, in every subtask. Without timers.
    type Shared: State;
    /// The rows that are emitted.
    type Out: Record;

    /// An update has come. Each subtask is told each of them, in an order of its own if they come from several places, so what becomes of
    /// the shared state must not depend on their order.
    ///
    /// # Errors
    /// As [`KeyedProcess::process`].
    fn update(&mut self, update: Self::Update, shared: &mut Self::Shared) -> Result<()>;

    /// A row has come.
    ///
    /// # Errors
    /// As [`KeyedProcess::process`].
    fn process(
        &mut self,
        row: Self::In,
        state: &mut Self::State,
        shared: &Self::Shared,
        ctx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<()>;

    /// A timer of the key has gone off, as in [`KeyedProcess::on_timer`].
    ///
    /// # Errors
    /// As [`KeyedProcess::process`].
    fn on_timer(
        &mut self,
        state: &mut Self::State,
        shared: &Self::Shared,
        ctx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<()> {
        let _ = (state, shared, ctx);
        Ok(())
    }
}

/// A further output of a step, and what rows it has.
///
/// ```
/// # use weir_jobs::prelude::*;
/// # #[derive(Record)] struct Order { id: u64 }
/// const REFUSED: SideOutput<Order> = SideOutput::new("refused");
/// ```
///
/// A step emits on it by [`Context::emit_to`], and [`Stream::side`](crate::Stream::side) is what has come out. What nobody reads is dropped.
pub struct SideOutput<R> {
    name: &'static str,
    rows: PhantomData<fn() -> R>,
}

impl<R> Clone for SideOutput<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for SideOutput<R> {}

impl<R: Record> SideOutput<R> {
    /// One with a name: unique in its step, and the name of the view by which SQL reads it behind that of the step.
    pub const fn new(name: &'static str) -> Self {
        Self { name, rows: PhantomData }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Where a step stands, and where its rows go.
pub struct Context<'a, K, Out: Record> {
    pub(crate) key: &'a K,
    pub(crate) time: Option<Timestamp>,
    pub(crate) moment: Moment,
    pub(crate) output: &'a mut Output<Out>,
}

/// Event time and processing time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) watermark: Timestamp,
    pub(crate) now: Timestamp,
}

impl<K, Out: Record> Context<'_, K, Out> {
    /// The key.
    pub fn key(&self) -> &K {
        self.key
    }

    /// The event time of the row, if it has one; what the timer was set for.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// How far event time has come: no row with this time or an earlier one is expected, and one that comes all the same is late.
    /// [`Timestamp::MIN`] as long as that is unknown.
    pub fn watermark(&self) -> Timestamp {
        self.moment.watermark
    }

    /// Whether the row is late: see [`watermark`](Self::watermark).
    pub fn is_late(&self) -> bool {
        self.time.is_some_and(|time| time <= self.moment.watermark)
    }

    /// What the clock of the worker says: the same for all rows of a batch.
    pub fn now(&self) -> Timestamp {
        self.moment.now
    }

    /// Emits a row.
    #[inline]
    pub fn emit(&mut self, row: Out) {
        self.output.emit(&row);
    }

    /// Emits a row on a side output. Drops it where nobody reads that.
    pub fn emit_to<R: Record>(&mut self, side: &SideOutput<R>, row: R) {
        self.output.sides().emit_to(side.name, &row);
    }
}
