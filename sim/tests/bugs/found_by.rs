//! Which bugs there are, and what finds each of them.

use weir_core::bugs::Bug;

use crate::checks;

/// What finds a bug.
#[derive(Clone, Copy)]
pub enum By {
    /// A history. The one of this seed did so when it was last looked for; each change of what the cluster does moves these seeds,
    /// so they tell rare bugs from frequent ones and no more.
    History(u64),
    /// A check of the part that the bug is in.
    Check(fn()),
}

use By::{Check, History};

/// Bugs that have to be found.
pub const FOUND_BY: &[(Bug, By)] = &[
    (Bug::SkippedSync, History(1)),
    (Bug::DeposedLeaderActs, History(1)),
    (Bug::AnswerBeforeAgreement, History(1)),
    (Bug::StaleReport, History(25)),
    (Bug::ReportTwice, History(1)),
    (Bug::MissingReport, History(1)),
    (Bug::UnrepeatedReports, History(8)),
    (Bug::DroppedContents, History(3)),
    (Bug::GivenUpTime, History(1)),
    (Bug::StaleBase, History(2)),
    (Bug::EarlyCommit, History(4)),
    (Bug::DroppedCommit, History(16)),
    (Bug::LostCommitRequest, History(1)),
    (Bug::OvertakenCommit, History(1)),
    (Bug::EndBeforeCommit, History(1)),
    (Bug::FinishedByStop, History(1)),
    (Bug::ForgottenKind, History(3)),
    (Bug::MarkerBehindStop, History(1)),
    (Bug::EarlyDeletion, History(1)),
    (Bug::SavepointTrimmed, History(6)),
    (Bug::MisnamedMerge, Check(checks::files::merged_runs_are_no_orphans)),
    (Bug::IncarnationIgnored, History(10)),
    (Bug::NoFencing, History(25)),
    (Bug::ImpatientElection, History(5)),
    (Bug::OverbookedSlots, History(21)),
    (Bug::DrainIgnored, History(15)),
    (Bug::NoAlignment, History(6)),
    (Bug::MarkerOvertakesRows, History(1)),
    (Bug::OwnerByRemainder, History(1)),
    (
        Bug::UnreadSplitIgnored,
        Check(checks::time::splits_are_idle_after_their_timeout_and_hold_time_until_they_are_read),
    ),
    (Bug::TableTimeOfFirst, Check(checks::time::a_table_is_where_its_slowest_reader_is)),
    (Bug::RestoredTimeOfFirst, History(9)),
    (Bug::IdleAtOnce, Check(checks::time::splits_are_idle_after_their_timeout_and_hold_time_until_they_are_read)),
    (Bug::IdleBetweenMarkers, Check(checks::time::inputs_fall_idle_and_wake_up_with_a_marker)),
    (Bug::NeverCountsAgain, Check(checks::time::inputs_fall_idle_and_wake_up_with_a_marker)),
    (Bug::EndOverwritesTime, History(21)),
    (Bug::FinishedSplitForgotten, History(2)),
    (Bug::DroppedCommittables, History(3)),
    (Bug::DroppedStagedRows, History(3)),
    (Bug::UnstoredEviction, History(1)),
    (Bug::DueNotShown, History(1)),
    (Bug::OddRowLost, Check(checks::operators::windows_count_every_row)),
    (Bug::ClosedTooLate, Check(checks::operators::windows_count_every_row)),
    (Bug::PartnerMissed, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::MatchForgotten, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::JoinedSessionKept, Check(checks::operators::sessions_that_are_joined_are_one)),
    (Bug::CapturedRowsLost, Check(checks::operators::the_first_rows_of_a_window_come_out)),
];

/// Bugs that nothing has been seen to find yet: for each a history, an oracle or a check is missing.
pub const MISSED: &[Bug] = &[
    Bug::VoteForgotten,
    Bug::SnapshotAhead,
    Bug::LeadsTooEarly,
    Bug::ProposalsSurvive,
    Bug::StaleRead,
    Bug::BaseOfNewest,
    Bug::LateManifest,
    Bug::MissedMarkers,
    Bug::SweptUpload,
    Bug::StaleMerge,
    Bug::CreditLost,
    Bug::IdleHidesTime,
    Bug::RowsWhileIdle,
    Bug::KeptRowsSkipped,
    Bug::FirstSinkForgotten,
];
