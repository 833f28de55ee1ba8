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
    /// Nothing has been seen to find it yet. Here a history, or a check, is missing.
    Unknown,
}

use By::{Check, History, Unknown};

/// All bugs.
pub const FOUND_BY: &[(Bug, By)] = &[
    (Bug::SkippedSync, History(1)),
    (Bug::VoteForgotten, Unknown),
    (Bug::SnapshotAhead, Unknown),
    (Bug::LeadsTooEarly, Unknown),
    (Bug::DeposedLeaderActs, History(1)),
    (Bug::ProposalsSurvive, Unknown),
    (Bug::AnswerBeforeAgreement, History(1)),
    (Bug::StaleRead, Unknown),
    (Bug::StaleReport, History(25)),
    (Bug::ReportTwice, Unknown),
    (Bug::MissingReport, History(1)),
    (Bug::UnrepeatedReports, History(8)),
    (Bug::DroppedContents, History(3)),
    (Bug::GivenUpTime, Unknown),
    (Bug::StaleBase, History(2)),
    (Bug::BaseOfNewest, Unknown),
    (Bug::LateManifest, Unknown),
    (Bug::EarlyCommit, History(4)),
    (Bug::DroppedCommit, History(16)),
    (Bug::LostCommitRequest, Unknown),
    (Bug::OvertakenCommit, Unknown),
    (Bug::EndBeforeCommit, History(1)),
    (Bug::FinishedByStop, History(1)),
    (Bug::ForgottenKind, History(3)),
    (Bug::MissedMarkers, Unknown),
    (Bug::MarkerBehindStop, History(1)),
    (Bug::EarlyDeletion, History(1)),
    (Bug::SweptUpload, Unknown),
    (Bug::SavepointTrimmed, History(6)),
    (Bug::MisnamedMerge, Check(checks::files::merged_runs_are_no_orphans)),
    (Bug::StaleMerge, Unknown),
    (Bug::IncarnationIgnored, History(10)),
    (Bug::NoFencing, History(25)),
    (Bug::ImpatientElection, History(5)),
    (Bug::OverbookedSlots, History(21)),
    (Bug::DrainIgnored, History(15)),
    (Bug::NoAlignment, History(6)),
    (Bug::MarkerOvertakesRows, History(1)),
    (Bug::OwnerByRemainder, History(1)),
    (Bug::CreditLost, Unknown),
    (Bug::UnreadSplitIgnored, Unknown),
    (Bug::TableTimeOfFirst, Unknown),
    (Bug::RestoredTimeOfFirst, History(9)),
    (Bug::IdleAtOnce, Unknown),
    (Bug::IdleBetweenMarkers, Unknown),
    (Bug::IdleHidesTime, Unknown),
    (Bug::RowsWhileIdle, Unknown),
    (Bug::KeptRowsSkipped, Unknown),
    (Bug::NeverCountsAgain, Unknown),
    (Bug::EndOverwritesTime, History(21)),
    (Bug::FinishedSplitForgotten, History(2)),
    (Bug::DroppedCommittables, History(3)),
    (Bug::DroppedStagedRows, History(3)),
    (Bug::FirstSinkForgotten, Unknown),
    (Bug::UnstoredEviction, Unknown),
    (Bug::DueNotShown, History(1)),
    (Bug::OddRowLost, Check(checks::operators::windows_count_every_row)),
    (Bug::ClosedTooLate, Check(checks::operators::windows_count_every_row)),
    (Bug::PartnerMissed, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::MatchForgotten, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::JoinedSessionKept, Check(checks::operators::sessions_that_are_joined_are_one)),
    (Bug::CapturedRowsLost, Check(checks::operators::the_first_rows_of_a_window_come_out)),
];
