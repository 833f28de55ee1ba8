//! One attempt as the leader sees it: what each of its workers has said, and which markers they were given.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, JobGraph, Marker, MarkerKind, OperatorSpec, OperatorUid, Placement, WorkerId};
use weir_proto::control::{AttemptFigures, AttemptPhase, AttemptStatus, Figures, Report, VertexFigures};

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
    /// How its vertices do there.
    pub figures: Vec<VertexFigures>,
    /// Markers that its sources had no room for yet when it last said so, and those that were sent to it since.
    pub waiting_markers: usize,
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
    /// How the job does.
    pub figures: Figures,
    /// How each node of its dataflow does, over all workers.
    pub vertices: Vec<Figures>,
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
        for part in &mut self.parts {
            part.waiting_markers = part.waiting_markers.saturating_add(1);
            if let Some(status) = &mut part.status {
                status.wants_marker = false;
            }
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
            part.figures.clone_from(&figures.vertices);
            part.waiting_markers = usize::try_from(figures.waiting_markers).unwrap_or(usize::MAX);
        }
    }

    /// The most markers that wait for sources at any worker.
    pub fn backlog(&self) -> usize {
        self.parts.iter().map(|part| part.waiting_markers).max().unwrap_or_default()
    }

    /// What others may know.
    pub fn view(&self, graph: &JobGraph, checkpoints: &CheckpointExecutor) -> AttemptView {
        let of = |uid: &OperatorUid| {
            let everywhere = self.parts.iter().flat_map(|part| &part.figures).filter(|vertex| vertex.uid == *uid);
            everywhere.fold(Figures::default(), |mut sum, vertex| {
                sum.add(&vertex.figures);
                sum
            })
        };
        let vertices: Vec<Figures> = graph.nodes().iter().map(|node| of(&node.uid)).collect();
        let mut figures = Figures::default();
        for (node, vertex) in graph.nodes().iter().zip(&vertices) {
            // Of what is read and written only the ends count.
            let (is_source, is_sink) = match node.spec.operator {
                OperatorSpec::Source(_) => (true, false),
                OperatorSpec::Sink(_) => (false, true),
                _ => (false, false),
            };
            figures.add(&Figures {
                rows_in: if is_source { vertex.rows_in } else { 0 },
                rows_out: if is_sink { vertex.rows_out } else { 0 },
                watermark: vertex.watermark.filter(|_| is_sink),
                activity: None,
                ..*vertex
            });
        }
        AttemptView {
            figures,
            vertices,
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
