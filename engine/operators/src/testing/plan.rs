//! The ways in which a script is run.

/// How a script is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// One subtask from beginning to end.
    Alone,
    /// Three subtasks from beginning to end.
    Parallel,
    /// At each marker the subtasks are thrown away and restored as 1, 2, 3, 2, 1, 2, … of them.
    Rescaled,
    /// Like [`Plan::Rescaled`], with a flush marker and a batch without rows on each input before and behind every step, and
    /// behind every marker an epoch of nothing else. Batches without rows are dropped before they reach an operator; one
    /// that comes through all the same must do no harm in a release build, where nothing checks.
    Padded,
    /// Like [`Plan::Rescaled`], but nothing is loaded at a restart: each key is when it is touched.
    Unloaded,
    /// Two subtasks from beginning to end, with memory for nothing: behind every step all that is stored is evicted.
    Evicted,
    /// Two subtasks from beginning to end. Every other checkpoint is given up, and what it captured stored with the next; behind
    /// every step half of the keys are evicted, as far as they are stored.
    Halved,
}

impl Plan {
    /// All ways to run a script.
    pub const ALL: [Plan; 7] =
        [Plan::Alone, Plan::Parallel, Plan::Rescaled, Plan::Padded, Plan::Unloaded, Plan::Evicted, Plan::Halved];

    /// How many subtasks there are after so many markers.
    pub(super) fn parallelism(self, markers: usize) -> usize {
        match self {
            Plan::Alone => 1,
            Plan::Parallel => 3,
            Plan::Evicted | Plan::Halved => 2,
            Plan::Rescaled | Plan::Padded | Plan::Unloaded => [1, 2, 3, 2][markers % 4],
        }
    }

    /// Whether subtasks are thrown away at a marker, and restored.
    pub(super) fn restores(self) -> bool {
        matches!(self, Plan::Rescaled | Plan::Padded | Plan::Unloaded)
    }

    /// Of the keys in memory, the share that leaves behind every step; `None`: all state is in memory.
    pub(super) fn leaving(self) -> Option<f64> {
        match self {
            Plan::Alone | Plan::Parallel | Plan::Rescaled | Plan::Padded => None,
            Plan::Unloaded => Some(0.0),
            Plan::Evicted => Some(1.0),
            Plan::Halved => Some(0.5),
        }
    }
}
