//! What a worker tells of the checkpoints of an attempt as traces.

use std::time::Duration;

use tokio::time::Instant;
use weir_core::{Attempt, Epoch, JobId, JobIdentity, WorkerId};
use weir_monitoring::{Span, Spans, Trace};

use super::Position;

/// Where and of whom it is told.
#[derive(Debug)]
pub struct AttemptTraces {
    /// Where to.
    pub spans: Spans,
    /// Who tells it.
    pub worker: WorkerId,
    /// Which job.
    pub job: JobId,
    /// By what it is known everywhere.
    pub identity: JobIdentity,
    /// Its name, and that of its namespace.
    pub name: String,
    /// Which attempt.
    pub attempt: Attempt,
    /// A moment, and what time it was then, in milliseconds since 1970: durations are measured, and times follow from them.
    pub anchor: (Instant, i64),
}

impl AttemptTraces {
    /// What a subtask has done for a checkpoint.
    pub(super) fn subtask(&self, name: &'static str, epoch: Epoch, at: &Position, (began, ended): (Instant, Instant)) {
        let Position { vertex, subtask } = at;
        let span = self.part(name, epoch, &format!("{vertex} {subtask}"), began, ended);
        self.spans.record(span.text("weir.vertex", vertex).number("weir.subtask", *subtask as u64));
    }

    /// Storing what the subtasks here have captured has ended now, with so many bytes or an error.
    pub(super) fn upload(&self, epoch: Epoch, began: Instant, outcome: Result<u64, String>) {
        let span = self.part("upload", epoch, &self.worker.0, began, Instant::now());
        self.spans.record(match outcome {
            Ok(bytes) => span.number("weir.bytes", bytes),
            Err(error) => span.failed(Some(error)),
        });
    }

    fn part(&self, name: &'static str, epoch: Epoch, place: &str, began: Instant, ended: Instant) -> Span {
        let trace = Trace::checkpoint(self.identity, self.attempt, epoch);
        let span = trace.part(name, place, self.time(began), self.time(ended));
        span.number("weir.job.id", self.job.0)
            .text("weir.job.name", &self.name)
            .number("weir.attempt", self.attempt.0)
            .number("weir.epoch", epoch.0)
            .text("weir.worker", &self.worker)
    }

    /// Nanoseconds since 1970.
    fn time(&self, at: Instant) -> u64 {
        let (anchor, wall) = self.anchor;
        let wall = Duration::from_millis(u64::try_from(wall).unwrap_or(0));
        u64::try_from((wall + at.saturating_duration_since(anchor)).as_nanos()).unwrap_or(u64::MAX)
    }
}
