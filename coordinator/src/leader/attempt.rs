//! One attempt as the leader sees it: what each of its workers has said, and which markers they were given.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Marker, MarkerKind, Placement, WorkerId};
use weir_proto::control::{AttemptFigures, AttemptPhase, AttemptStatus, Figures, Report};

use super::SessionId;
use crate::checkpoints::CheckpointExecutor;
use crate::cluster::Execution;

/// The current attempt of a job.
#[derive(Debug)]
pub struct LiveAttempt {
    pub number: Attempt,
    /// Where it runs.
    pub placement: Placement,
    /// When this leader first knew of it.
    pub since: Duration,
    /// Its workers, by their position in the placement.
    pub parts: Vec<Part>,
    /// Reports that came before there was a driver, by position of the worker.
    pub reports: Vec<(usize, Report)>,
    /// Of the markers that were sent behind the last completed checkpoint, those at which state is captured, oldest first. All
    /// others were flush markers.
    pub captures: Vec<Marker>,
}

/// What is known of the attempt on one of its workers.
#[derive(Debug, Default)]
pub struct Part {
    /// What the worker said last.
    pub status: Option<AttemptStatus>,
    /// The connection on which it was told to deploy.
    pub deployed_on: Option<SessionId>,
    /// The connection on which it was told to start.
    pub started_on: Option<SessionId>,
    /// The last marker that it was given, as far as is known.
    pub last_marker: Epoch,
    /// How it does.
    pub figures: Figures,
}

impl Part {
    /// Whether the worker is in a phase for which this holds.
    pub fn is(&self, phase: fn(&AttemptPhase) -> bool) -> bool {
        self.status.as_ref().is_some_and(|status| phase(&status.phase))
    }
}

/// What others may know of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttemptView {
    /// Figures of all workers: sums, and the least watermark.
    pub figures: Figures,
    /// The checkpoint that is under way, and since when.
    pub under_way: Option<(Epoch, Duration)>,
    /// Why the last checkpoint failed.
    pub checkpoint_failure: Option<String>,
}

impl LiveAttempt {
    /// An attempt of which nothing but its place is known.
    pub fn new(number: Attempt, execution: &Execution, now: Duration) -> Self {
        let placement = execution.placement.clone();
        Self {
            number,
            parts: placement.workers.iter().map(|_| Part::default()).collect(),
            placement,
            since: now,
            reports: Vec::new(),
            captures: Vec::new(),
        }
    }

    /// Whether all workers are in a phase for which this holds.
    pub fn all(&self, phase: fn(&AttemptPhase) -> bool) -> bool {
        self.parts.iter().all(|part| part.is(phase))
    }

    /// Whether all sources have come to their end.
    pub fn exhausted(&self) -> bool {
        self.parts.iter().all(|part| part.status.as_ref().is_some_and(|status| status.exhausted))
    }

    /// Whether a subtask waits for a marker.
    pub fn wants_marker(&self) -> bool {
        self.parts.iter().any(|part| part.status.as_ref().is_some_and(|status| status.wants_marker))
    }

    /// A marker is being sent: the subtasks that wait for one need not any more.
    pub fn sent(&mut self, marker: Marker) {
        if marker.kind.captures() && self.captures.last().is_none_or(|last| last.epoch < marker.epoch) {
            self.captures.push(marker);
        }
        for status in self.parts.iter_mut().filter_map(|part| part.status.as_mut()) {
            status.wants_marker = false;
        }
    }

    /// A marker that was sent behind the last completed checkpoint.
    pub fn marker(&self, epoch: Epoch) -> Marker {
        let flush = Marker { epoch, kind: MarkerKind::Flush };
        let forgotten = Marker { epoch, kind: MarkerKind::Checkpoint };
        let known = self.captures.iter().copied().find(|marker| marker.epoch == epoch);
        known.unwrap_or(if bugs::is_on(Bug::ForgottenKind) { forgotten } else { flush })
    }

    /// All markers behind the `completed` checkpoint, as the workers know them, were sent in this attempt: by another leader,
    /// for this one knows of none yet. Returns the last of them.
    pub fn learn_markers(&mut self, completed: Epoch) -> Option<Marker> {
        let statuses = self.parts.iter().filter_map(|part| part.status.as_ref());
        let captures = statuses.clone().flat_map(|status| status.captures.iter().copied());
        let captures: BTreeMap<Epoch, Marker> =
            captures.filter(|marker| marker.epoch > completed).map(|marker| (marker.epoch, marker)).collect();
        self.captures = captures.into_values().collect();
        let last = statuses.map(|status| status.last_epoch).max().filter(|last| *last > completed)?;
        let known = self.captures.iter().copied().find(|marker| marker.epoch == last);
        Some(known.unwrap_or(Marker { epoch: last, kind: MarkerKind::Flush }))
    }

    /// Whether a worker has a part of it.
    pub fn is_on(&self, worker: &WorkerId) -> bool {
        self.placement.position(worker).is_some()
    }

    /// A worker's connection is gone: what it was told may not have arrived.
    pub fn part_left(&mut self, worker: &WorkerId) {
        if let Some(part) = self.placement.position(worker).and_then(|position| self.parts.get_mut(position)) {
            part.deployed_on = None;
            part.started_on = None;
        }
    }

    /// A worker has said how it does.
    pub fn take_figures(&mut self, worker: &WorkerId, figures: &AttemptFigures) {
        if figures.attempt == self.number
            && let Some(part) = self.placement.position(worker).and_then(|position| self.parts.get_mut(position))
        {
            part.figures = figures.figures;
        }
    }

    /// What others may know.
    pub fn view(&self, checkpoints: &CheckpointExecutor) -> AttemptView {
        let mut figures = Figures::default();
        for part in &self.parts {
            figures.rows_in = figures.rows_in.saturating_add(part.figures.rows_in);
            figures.rows_out = figures.rows_out.saturating_add(part.figures.rows_out);
            figures.late_rows = figures.late_rows.saturating_add(part.figures.late_rows);
            figures.rejected_rows = figures.rejected_rows.saturating_add(part.figures.rejected_rows);
            figures.state_bytes = figures.state_bytes.saturating_add(part.figures.state_bytes);
            figures.watermark = [figures.watermark, part.figures.watermark].into_iter().flatten().min();
        }
        AttemptView {
            figures,
            under_way: checkpoints.under_way(),
            checkpoint_failure: checkpoints.failure().map(str::to_owned),
        }
    }
}

/// The worker has everything open, or is further than that.
pub fn is_ready(phase: &AttemptPhase) -> bool {
    matches!(phase, AttemptPhase::Ready) || is_running(phase)
}

/// The worker runs its part, or has run it to its end.
pub fn is_running(phase: &AttemptPhase) -> bool {
    matches!(phase, AttemptPhase::Running | AttemptPhase::Ended)
}

/// The worker has run its part to its end.
pub fn is_ended(phase: &AttemptPhase) -> bool {
    matches!(phase, AttemptPhase::Ended)
}
