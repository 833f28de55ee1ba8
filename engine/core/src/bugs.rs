//! Known bugs that tests switch on, one at a time, to find out whether they find them.
//!
//! A switch stands where the defence stands: `if bugs::is_on(Bug::X)` takes the defence away. Without the feature `sim-bugs`,
//! which no production build has, every switch is off for good, and the compiler removes what hangs on it.

/// The bugs: what is wrong, and the name of the switch.
macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident = $name:literal,)+) => {
        /// A defence that is taken away.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$bug),+];

            /// The name of the switch.
            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => $name,)+
                }
            }
        }
    };
}

bugs! {
    // What coordinators agree on.
    /// What was written to the log of the coordinators is told to others before it is synced, and never synced.
    SkippedSync = "skipped-sync",
    /// A coordinator forgets on its disk for whom it has voted.
    VoteForgotten = "vote-forgotten",
    /// A snapshot says that it stands for one entry less than it does.
    SnapshotAhead = "snapshot-ahead",
    /// A coordinator takes up the duties of the leader at the first entry of any term.
    LeadsTooEarly = "leads-too-early",
    /// A coordinator that leads no longer goes on with the leader's duties.
    DeposedLeaderActs = "deposed-leader-acts",
    /// What consensus would not take from a leader that has stepped down is proposed when it leads again.
    ProposalsSurvive = "proposals-survive",
    /// A client is answered when its command is proposed.
    AnswerBeforeAgreement = "answer-before-agreement",
    /// A leader answers reads without asking whether it still leads.
    StaleRead = "stale-read",

    // Checkpoints.
    /// Reports count whatever attempt they are of.
    StaleReport = "stale-report",
    /// A report counts as often as it comes.
    ReportTwice = "report-twice",
    /// A manifest is written although one report is missing.
    MissingReport = "missing-report",
    /// A worker does not say again what it has reported on a session that broke.
    UnrepeatedReports = "unrepeated-reports",
    /// What was reported of an epoch that was given up does not go into the next manifest.
    DroppedContents = "dropped-contents",
    /// What a part of the workers said of an epoch that was given up counts for all.
    GivenUpTime = "given-up-time",
    /// A manifest follows the one that the attempt began with, whatever was completed since.
    StaleBase = "stale-base",
    /// A job that goes back to an older checkpoint has manifests that follow the newest one.
    BaseOfNewest = "base-of-newest",
    /// That one manifest is written is taken for the news that another one is, which was given up.
    LateManifest = "late-manifest",
    /// Results are committed as soon as the manifest is written, before the replicated state has it.
    EarlyCommit = "early-commit",
    /// A new attempt begins although the last checkpoint's results are not visible yet, and that checkpoint is forgotten.
    DroppedCommit = "dropped-commit",
    /// A commit that was asked for on a session that was replaced is waited for for ever.
    LostCommitRequest = "lost-commit-request",
    /// Whoever takes an attempt over goes on with the next checkpoint although the last one's results are not visible yet.
    OvertakenCommit = "overtaken-commit",
    /// An attempt ends although the results of its last checkpoint are not visible yet.
    EndBeforeCommit = "end-before-commit",
    /// The last checkpoint of a job that is stopped says that all input was read.
    FinishedByStop = "finished-by-stop",
    /// A marker that a worker has missed is sent to it as a checkpoint's, whatever it was.
    ForgottenKind = "forgotten-kind",
    /// A worker that comes back is not given the markers that it has missed.
    MissedMarkers = "missed-markers",
    /// Flush markers are sent behind the marker that ends the job.
    MarkerBehindStop = "marker-behind-stop",

    // Files of checkpoints.
    /// Files are deleted that the newest checkpoint still names.
    EarlyDeletion = "early-deletion",
    /// Files of an epoch that may yet be completed are taken for orphans.
    SweptUpload = "swept-upload",
    /// Savepoints are forgotten like other checkpoints.
    SavepointTrimmed = "savepoint-trimmed",
    /// A merged run is named as if it belonged to the checkpoint whose runs were merged.
    MisnamedMerge = "misnamed-merge",
    /// Merged runs count whichever request they answer.
    StaleMerge = "stale-merge",

    // Clusters that are recovered.
    /// A job goes on from the checkpoint that the copy of the replicated state has, whatever was completed since.
    RecoveredFromCopy = "recovered-from-copy",
    /// The checkpoint that a recovered job goes on from is taken for committed.
    RecoveredCommitted = "recovered-committed",

    // Workers and slots.
    /// A worker that was restarted under its name is taken for the process that it was.
    IncarnationIgnored = "incarnation-ignored",
    /// An older attempt goes on when a newer one has begun.
    NoFencing = "no-fencing",
    /// A new leader does not wait for workers to come to it.
    ImpatientElection = "impatient-election",
    /// Slots that other jobs have count as free.
    OverbookedSlots = "overbooked-slots",
    /// Workers that are being drained get new work.
    DrainIgnored = "drain-ignored",
    /// A job that runs is stopped for more slots as soon as they are there.
    HastyGain = "hasty-gain",

    // Between subtasks.
    /// An operator with several inputs does not wait for the marker on all of them.
    NoAlignment = "no-alignment",
    /// A marker is sent ahead of rows that linger.
    MarkerOvertakesRows = "marker-overtakes-rows",
    /// Keys belong to subtasks by their remainder, and their state by ranges.
    OwnerByRemainder = "owner-by-remainder",
    /// A reader does not say that it has taken a batch of another worker.
    CreditLost = "credit-lost",

    // Sinks that are written by transactions.
    /// A marker that is not there is taken for one that says that nothing was written.
    MissingMarkerIsDue = "missing-marker-is-due",
    /// A transaction whose end was not heard of is taken for one that was committed.
    DoubtIsDone = "doubt-is-done",

    // Event time.
    /// A split that is waiting for its turn does not hold the watermark.
    UnreadSplitIgnored = "unread-split-ignored",
    /// A table is where the first of its readers is.
    TableTimeOfFirst = "table-time-of-first",
    /// A split that was held is not let go.
    HeldForEver = "held-for-ever",
    /// A source goes on from the time of the first of its subtasks.
    RestoredTimeOfFirst = "restored-time-of-first",
    /// An input is idle as soon as it has nothing to say.
    IdleAtOnce = "idle-at-once",
    /// That an input is idle holds from when it says so, at each subtask at another time.
    IdleBetweenMarkers = "idle-between-markers",
    /// That a sender is idle hides how far its time has come.
    IdleHidesTime = "idle-hides-time",
    /// Rows that come to an idle source are sent before those behind it wait for it.
    RowsWhileIdle = "rows-while-idle",
    /// A checkpoint has the positions behind rows that a source still keeps.
    KeptRowsSkipped = "kept-rows-skipped",
    /// A channel that has been idle never counts again.
    NeverCountsAgain = "never-counts-again",
    /// The end of a channel hides how far its time had come.
    EndOverwritesTime = "end-overwrites-time",

    // Sources and sinks.
    /// A split that was read to its end is read again after a restart.
    FinishedSplitForgotten = "finished-split-forgotten",
    /// What sinks have prepared for an epoch that could not be stored is not kept for the next one.
    DroppedCommittables = "dropped-committables",
    /// What sinks have staged for an epoch that could not be stored is not kept for the next one.
    DroppedStagedRows = "dropped-staged-rows",
    /// That the first of two sinks could not commit is forgotten when the second one could.
    FirstSinkForgotten = "first-sink-forgotten",

    // State of operators.
    /// Keys leave memory although storing what has happened to them has failed.
    UnstoredEviction = "unstored-eviction",
    /// What is due of keys that are not in memory is not shown.
    DueNotShown = "due-not-shown",
    /// The last row is lost where a batch of an odd number of rows is split.
    OddRowLost = "odd-row-lost",
    /// A window takes rows for a millisecond after it has closed.
    ClosedTooLate = "closed-too-late",
    /// Rows of an interval join leave a millisecond before their last partner comes.
    PartnerMissed = "partner-missed",
    /// A checkpoint does not know which rows of an outer join were matched.
    MatchForgotten = "match-forgotten",
    /// A checkpoint keeps sessions that have become part of others.
    JoinedSessionKept = "joined-session-kept",
    /// Rows of a Top-N that a checkpoint has are not looked at when the window closes.
    CapturedRowsLost = "captured-rows-lost",
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
