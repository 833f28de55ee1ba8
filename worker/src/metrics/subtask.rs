//! What a subtask does with its time.
//!
//! A subtask waits for input (*idle*), or for those behind it to take what it has, the world behind its sink among them
//! (*backpressured*). All else is *busy*: its operators at work, state being read, a sink that does its work in this thread.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::future::poll_fn;
use tokio::time::Instant;
use weir_core::{Epoch, Marker};

use super::{CheckpointMetrics, Position};
use crate::exchange::GateWatch;

/// Figures of one subtask, over all of its operators.
#[derive(Debug, Default)]
pub struct SubtaskMetrics {
    times: Mutex<Times>,
    sent_bytes: AtomicU64,
    marker: AtomicU64,
    gate: OnceLock<GateWatch>,
    position: OnceLock<Position>,
}

/// What a subtask does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Busy,
    Idle,
    Backpressured,
}

#[derive(Debug, Default)]
struct Times {
    /// What it does, and since when; `None` before it runs, and behind its end.
    now: Option<(State, Instant)>,
    spent: Spent,
}

/// How a subtask has spent its time since it began to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Working.
    pub busy: Duration,
    /// Waiting for input.
    pub idle: Duration,
    /// Waiting for room behind it.
    pub backpressured: Duration,
}

impl Spent {
    fn add(&mut self, state: State, time: Duration) {
        match state {
            State::Busy => self.busy += time,
            State::Idle => self.idle += time,
            State::Backpressured => self.backpressured += time,
        }
    }
}

impl SubtaskMetrics {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, state: Option<State>) {
        let mut times = self.times();
        let now = Instant::now();
        if let Some((before, since)) = times.now {
            times.spent.add(before, now - since);
        }
        times.now = state.map(|state| (state, now));
    }

    /// Runs the subtask; its time counts from here to its end.
    pub async fn running<F: Future>(&self, subtask: F) -> F::Output {
        self.enter(Some(State::Busy));
        let ended = subtask.await;
        self.enter(None);
        ended
    }

    /// Waits for input.
    pub async fn idle<F: Future>(&self, input: F) -> F::Output {
        self.waiting(State::Idle, input).await
    }

    /// Waits for room behind it.
    pub async fn backpressured<F: Future>(&self, room: F) -> F::Output {
        self.waiting(State::Backpressured, room).await
    }

    /// What is ready at once takes no time and costs no look at the clock; what the future does itself is work.
    async fn waiting<F: Future>(&self, state: State, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut waits = false;
        poll_fn(|context| {
            if std::mem::take(&mut waits) {
                self.enter(Some(State::Busy));
            }
            let polled = future.as_mut().poll(context);
            if polled.is_pending() {
                waits = true;
                self.enter(Some(state));
            }
            match polled {
                Poll::Ready(output) => Poll::Ready(output),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// How it has spent its time up to now.
    pub fn spent(&self) -> Spent {
        let times = self.times();
        let mut spent = times.spent;
        if let Some((state, since)) = times.now {
            spent.add(state, since.elapsed());
        }
        spent
    }

    /// Rows of so many bytes went to other subtasks.
    pub fn count_sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Relaxed);
    }

    /// Bytes of rows that went to other subtasks.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Relaxed)
    }

    /// A marker has passed it.
    pub fn passed(&self, marker: Marker) {
        self.marker.fetch_max(marker.epoch.0, Relaxed);
    }

    /// The last marker that has passed it in this attempt; 0 before the first.
    pub fn marker(&self) -> Epoch {
        Epoch(self.marker.load(Relaxed))
    }

    /// It is at this place.
    pub fn place(&self, position: Position) {
        let _ = self.position.set(position);
    }

    /// Where it is.
    pub(super) fn position(&self) -> Option<&Position> {
        self.position.get()
    }

    /// Its inputs are these.
    pub fn watch(&self, gate: GateWatch) {
        let _ = self.gate.set(gate);
    }

    /// Its inputs.
    pub fn gate(&self) -> Option<&GateWatch> {
        self.gate.get()
    }
}

/// Measures one marker on its way through a subtask: from where it comes on the first channel to where it is sent on.
#[derive(Debug)]
pub struct Passage {
    /// When the marker came on the first channel.
    came: Instant,
    /// When it had come on the last, if there are several.
    aligned: Option<Instant>,
    flushed: Option<Instant>,
    /// When what is under way began.
    began: Instant,
}

impl Passage {
    /// The marker has come, on some channel.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { came: now, aligned: None, flushed: None, began: now }
    }

    /// It has come on all channels: how long that has taken counts as alignment, and the work begins.
    pub fn aligned(self, metrics: &CheckpointMetrics) -> Self {
        let now = Instant::now();
        metrics.alignment.observe(now - self.began);
        Self { aligned: Some(now), began: now, ..self }
    }

    /// Operators have emitted what they owe at the end of an epoch, and it has been taken: how long that took counts as flushing.
    pub fn flushed(self, metrics: &CheckpointMetrics) -> Self {
        let now = Instant::now();
        metrics.flush.observe(now - self.began);
        Self { flushed: Some(now), began: now, ..self }
    }

    /// State is captured, and the sink has prepared.
    pub fn captured(self, metrics: &CheckpointMetrics, epoch: Epoch, subtask: &SubtaskMetrics) {
        let now = Instant::now();
        metrics.capture.observe(now - self.began);
        let Some((traces, position)) = metrics.traces().zip(subtask.position()) else { return };
        let begins = self.aligned.unwrap_or(self.came);
        let flushed = self.flushed.unwrap_or(begins);
        let aligned = self.aligned.map(|aligned| ("align", self.came, aligned));
        let phases = aligned.into_iter().chain([("flush", begins, flushed), ("capture", flushed, now)]);
        phases.for_each(|(name, began, ended)| traces.subtask(name, epoch, position, (began, ended)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, sleep_until};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_is_spent_on_what_a_subtask_waits_for() {
        let metrics = SubtaskMetrics::default();
        advance(Duration::from_secs(5)).await;
        assert_eq!(metrics.spent(), Spent::default(), "it does not run");
        let seconds = Duration::from_secs;
        metrics
            .running(async {
                advance(seconds(1)).await;
                metrics.idle(sleep_until(Instant::now() + seconds(2))).await;
                metrics.idle(std::future::ready(())).await;
                metrics.backpressured(sleep_until(Instant::now() + seconds(4))).await;
                let so_far = Spent { busy: seconds(1), idle: seconds(2), backpressured: seconds(4) };
                assert_eq!(metrics.spent(), so_far);
                // What is under way counts as well.
                let mut waiting = pin!(metrics.idle(std::future::pending::<()>()));
                assert!(futures::poll!(&mut waiting).is_pending());
                advance(seconds(8)).await;
                assert_eq!(metrics.spent(), Spent { idle: seconds(10), ..so_far });
            })
            .await;
        let over = metrics.spent();
        advance(seconds(60)).await;
        assert_eq!(metrics.spent(), over);
    }
}
