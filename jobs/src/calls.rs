//! How a step calls functions that wait for something: a service, a database, another program.
//!
//! What is in flight when a checkpoint is made belongs to it: the rows that have no answer yet are the state of the step. After a restart they
//! are called again, so nothing is lost, and what a call returns is emitted once. The function itself may be called more than once for a row: by a
//! retry, and when the job goes back to a checkpoint.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weir_core::plugin::Spread;
use weir_core::{Error, ErrorKind, Result};

use crate::job::Make;
use crate::operator::{CallFunction, CallFuture, Calling, FailureRow};
use crate::process::SideOutput;
use crate::record::Record;
use crate::stream::{Needs, Stream, add};

/// How many calls of a step there are at once, in which order their rows leave, and what becomes of those that fail.
///
/// ```
/// use std::time::Duration;
/// use weir_jobs::prelude::*;
/// # #[derive(Record, Clone)] struct Order { id: i64 }
/// # #[derive(Record)] struct Refused { id: i64, reason: String }
/// const REFUSED: SideOutput<Refused> = SideOutput::new("refused");
///
/// let calls = Calls::unordered(64)
///     .timeout(Duration::from_secs(2))
///     .retry(5, Duration::from_millis(100), Duration::from_secs(10))
///     .failures_to(&REFUSED, |order: Order, failure| Refused { id: order.id, reason: failure.to_string() });
/// # drop(calls);
/// ```
pub struct Calls<R> {
    pub(crate) is_ordered: bool,
    pub(crate) at_once: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) failures: Option<(&'static str, FailureRow<R>)>,
}

impl<R: Record> Calls<R> {
    /// Rows leave in the order in which they came to their subtask: one whose call takes long holds back those behind it. In each subtask so
    /// many calls are under way, or have returned and wait for their turn, at once. (When a job goes on in another number of subtasks, the rows that
    /// were in flight may have moved to others.)
    pub fn ordered(at_once: usize) -> Self {
        Self { is_ordered: true, ..Self::unordered(at_once) }
    }

    /// Rows leave as soon as their calls have returned, and none behind a watermark in front of which it came. In each subtask so many calls are under
    /// way at once.
    pub fn unordered(at_once: usize) -> Self {
        Self {
            is_ordered: false,
            at_once,
            timeout: None,
            retries: 0,
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            failures: None,
        }
    }

    /// How long a call may take. Each retry has as long again. Without it, a call takes as long as it takes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Repeats a call up to so many times if it has timed out or failed for a reason that may pass, which is an
    /// [environment error](weir_core::ErrorKind::Environment); others are final at once. Waits `first` before the first retry, twice as long before each
    /// further one, and never longer than `longest`; up to half of that is left out, by chance, so that calls that have failed together are not repeated
    /// together.
    pub fn retry(mut self, times: u32, first: Duration, longest: Duration) -> Self {
        (self.retries, self.backoff) = (times, (first, longest));
        self
    }

    /// Makes a row of a side output of each row whose call has failed for good. Without it, a failure ends the attempt: the job goes back to its last
    /// checkpoint. (A panic always does.)
    pub fn failures_to<S: Record>(
        mut self,
        side: &SideOutput<S>,
        row: impl Fn(R, &CallFailure) -> S + Send + Sync + 'static,
    ) -> Self {
        let name = side.name();
        let write: FailureRow<R> = Arc::new(move |failed, failure, sides| sides.emit_to(name, &row(failed, failure)));
        self.failures = Some((name, write));
        self
    }

    pub(crate) fn check(&self, step: &str) -> Result<()> {
        if self.at_once == 0 {
            return Err(Error::user(format!("step '{step}' would make no call at once: that is at least one")));
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::user(format!("calls of step '{step}' have no time: their timeout is zero")));
        }
        Ok(())
    }
}

/// Why a call has failed for good.
#[derive(Debug)]
pub struct CallFailure {
    pub(crate) error: Error,
    pub(crate) attempts: u32,
}

impl CallFailure {
    /// What the last attempt has failed with.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// How often it was tried: at least once.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether a later call might have succeeded: see [`Calls::retry`].
    pub fn may_pass(&self) -> bool {
        self.error.kind() == ErrorKind::Environment
    }
}

/// The error with its causes, in one line.
impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        let mut cause = std::error::Error::source(&self.error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<R: Record + Clone> Stream<R> {
    /// Makes a row of each row by a function that waits, such as a request to a service. `name` is what the step is called and the rows in
    /// flight are found by.
    ///
    /// Each subtask calls the function on a thread of its own, which runs tokio: time, network and `tokio::spawn` are there. **What blocks that
    /// thread holds up all of the subtask's calls.** Clients that the function uses are made in the first call, on that thread, and not where the job is
    /// described: they belong to the runtime that they are made in, and end with it.
    ///
    /// ```
    /// use weir_jobs::prelude::*;
    /// # #[derive(Record, Clone)] struct Order { id: i64 }
    /// # #[derive(Record)] struct Priced { id: i64, cents: i64 }
    /// # async fn price_of(id: i64) -> Result<i64> { Ok(id * 100) }
    ///
    /// fn prices(job: &mut Job) -> Result<()> {
    ///     job.table::<Order>("orders")
    ///         .async_map("prices", Calls::unordered(64), |order| async move {
    ///             Ok(Priced { id: order.id, cents: price_of(order.id).await? })
    ///         })
    ///         .insert_into("priced");
    ///     Ok(())
    /// }
    /// # let mut test = weir_jobs::testing::TestJob::new(prices)?;
    /// # test.send("orders", [Order { id: 7 }])?;
    /// # test.settle()?;
    /// # assert_eq!(test.take::<Priced>("priced")?.len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn async_map<T: Record, F: Future<Output = Result<T>> + Send + 'static>(
        self,
        name: &str,
        calls: Calls<R>,
        function: impl Fn(R) -> F + Send + Sync + 'static,
    ) -> Stream<T> {
        self.called(name, calls, move |row| {
            let call = function(row);
            Box::pin(async move { Ok(vec![call.await?]) })
        })
    }

    /// As [`async_map`](Self::async_map), with any number of rows for each.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn async_flat_map<T: Record, I: IntoIterator<Item = T>, F: Future<Output = Result<I>> + Send + 'static>(
        self,
        name: &str,
        calls: Calls<R>,
        function: impl Fn(R) -> F + Send + Sync + 'static,
    ) -> Stream<T> {
        self.called(name, calls, move |row| {
            let call = function(row);
            Box::pin(async move { Ok(call.await?.into_iter().collect()) })
        })
    }

    fn called<T: Record>(
        self,
        name: &str,
        calls: Calls<R>,
        function: impl Fn(R) -> CallFuture<T> + Send + Sync + 'static,
    ) -> Stream<T> {
        if let Err(problem) = calls.check(name) {
            self.plan.borrow_mut().complain(problem);
        }
        let failures = calls.failures.as_ref().map(|(side, _)| *side);
        let input = self.input(name, Spread::Stay, false);
        let (calls, function): (_, CallFunction<R, T>) = (Arc::new(calls), Arc::new(function));
        let (step, plan) = (name.to_owned(), self.plan.clone());
        let make: Make =
            Arc::new(move |sides| Ok(Box::new(Calling::<R, T>::new(&step, calls.clone(), function.clone(), sides)?)));
        let made = add::<T>(self.plan, name, (vec![input], Needs { answers: true, ..Needs::default() }), make);
        if let (Some(side), Some(step)) = (failures, made.step) {
            plan.borrow_mut().need_side(step, side);
        }
        made
    }
}
