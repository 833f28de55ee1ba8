//! Known bugs that the simulator switches on to find out whether it finds them.
//!
//! A switch stands where the defence stands: `if bugs::is_on(Bug::X)` takes the defence away. Without the feature `sim-bugs`,
//! which no production build has, every switch is off for good, and the compiler removes what hangs on it.

/// A defence that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// What was written to the log of the coordinators is told to others before it is synced, and never synced.
    SkippedSync,
    /// Reports count whatever attempt they are of.
    StaleReport,
    /// A report counts as often as it comes.
    ReportTwice,
    /// Results are committed as soon as the manifest is written, before the replicated state has it.
    EarlyCommit,
    /// A worker that was restarted under its name is taken for the process that it was.
    IncarnationIgnored,
    /// A new attempt begins although the last checkpoint's results are not visible yet, and that checkpoint is forgotten.
    DroppedCommit,
    /// Files are deleted that the newest checkpoint still names.
    EarlyDeletion,
    /// An operator with several inputs does not wait for the marker on all of them.
    NoAlignment,
    /// An older attempt goes on when a newer one has begun.
    NoFencing,
    /// What a part of the workers said of an epoch that was given up counts for all.
    GivenUpTime,
    /// A commit that was asked for on a session that was replaced is waited for for ever.
    LostCommitRequest,
    /// Whoever takes an attempt over goes on with the next checkpoint although the last one's results are not visible yet.
    OvertakenCommit,
    /// A marker that a worker has missed is sent to it as a checkpoint's, whatever it was.
    ForgottenKind,
    /// Flush markers are sent behind the marker that ends the job.
    MarkerBehindStop,
    /// What sinks have staged for an epoch that could not be stored is not kept for the next one.
    DroppedStagedRows,
    /// Keys leave memory although storing what has happened to them has failed.
    UnstoredEviction,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 16] = [
        Bug::SkippedSync,
        Bug::StaleReport,
        Bug::ReportTwice,
        Bug::EarlyCommit,
        Bug::IncarnationIgnored,
        Bug::DroppedCommit,
        Bug::EarlyDeletion,
        Bug::NoAlignment,
        Bug::NoFencing,
        Bug::GivenUpTime,
        Bug::LostCommitRequest,
        Bug::OvertakenCommit,
        Bug::ForgottenKind,
        Bug::MarkerBehindStop,
        Bug::DroppedStagedRows,
        Bug::UnstoredEviction,
    ];

    /// The name of the switch.
    pub fn name(self) -> &'static str {
        match self {
            Bug::SkippedSync => "skipped-sync",
            Bug::StaleReport => "stale-report",
            Bug::ReportTwice => "report-twice",
            Bug::EarlyCommit => "early-commit",
            Bug::IncarnationIgnored => "incarnation-ignored",
            Bug::DroppedCommit => "dropped-commit",
            Bug::EarlyDeletion => "early-deletion",
            Bug::NoAlignment => "no-alignment",
            Bug::NoFencing => "no-fencing",
            Bug::GivenUpTime => "given-up-time",
            Bug::LostCommitRequest => "lost-commit-request",
            Bug::OvertakenCommit => "overtaken-commit",
            Bug::ForgottenKind => "forgotten-kind",
            Bug::MarkerBehindStop => "marker-behind-stop",
            Bug::DroppedStagedRows => "dropped-staged-rows",
            Bug::UnstoredEviction => "unstored-eviction",
        }
    }
}

#[cfg(feature = "sim-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        /// A history runs on one thread.
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread has the bug.
    pub fn is_on(bug: Bug) -> bool {
        ON.get() == Some(bug)
    }

    /// From here on this thread has this bug, and no other.
    pub fn set(bug: Option<Bug>) {
        ON.set(bug);
    }
}

#[cfg(not(feature = "sim-bugs"))]
mod switch {
    use super::Bug;

    /// Never: bugs can be switched on only with the feature `sim-bugs`.
    #[inline(always)]
    pub const fn is_on(_: Bug) -> bool {
        false
    }
}

pub use switch::*;
