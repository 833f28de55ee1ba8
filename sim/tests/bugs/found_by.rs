//! Which bugs there are, and what finds each of them.

use weir_core::bugs::Bug;

use crate::checks;

/// What finds a bug.
#[derive(Clone, Copy)]
pub enum By {
    /// A history. The one of this seed did so when it was last looked for; each change of what the cluster does moves these seeds,
    /// so they tell rare bugs from frequent ones and no more.
    History(u64),
    /// A history with inputs that sleep.
    HistoryWithNaps(u64),
    /// A check of the part that the bug is in.
    Check(fn()),
}

use By::{Check, History, HistoryWithNaps};

/// All bugs.
pub const FOUND_BY: &[(Bug, By)] = &[
    (Bug::SkippedSync, History(1)),
    (Bug::VoteForgotten, History(1)),
    (Bug::SnapshotAhead, History(1)),
    (Bug::LeadsTooEarly, History(1)),
    (Bug::DeposedLeaderActs, History(1)),
    (Bug::ProposalsSurvive, History(1)),
    (Bug::AnswerBeforeAgreement, History(1)),
    (Bug::StaleRead, History(1)),
    (Bug::StaleReport, History(1)),
    (Bug::ReportTwice, History(1)),
    (Bug::MissingReport, History(1)),
    (Bug::UnrepeatedReports, History(1)),
    (Bug::DroppedContents, History(1)),
    (Bug::GivenUpTime, History(1)),
    (Bug::StaleBase, History(1)),
    (Bug::BaseOfNewest, History(1)),
    (Bug::LateManifest, History(1)),
    (Bug::EarlyCommit, History(1)),
    (Bug::DroppedCommit, History(1)),
    (Bug::LostCommitRequest, History(1)),
    (Bug::OvertakenCommit, History(1)),
    (Bug::EndBeforeCommit, History(1)),
    (Bug::FinishedByStop, History(1)),
    (Bug::ForgottenKind, History(1)),
    (Bug::MissedMarkers, History(1)),
    (Bug::MarkerBehindStop, History(1)),
    (Bug::EarlyDeletion, History(1)),
    (Bug::SweptUpload, History(1)),
    (Bug::SavepointTrimmed, History(1)),
    (Bug::MisnamedMerge, Check(checks::files::merged_runs_are_no_orphans)),
    (Bug::StaleMerge, History(1)),
    (Bug::IncarnationIgnored, History(1)),
    (Bug::NoFencing, History(1)),
    (Bug::ImpatientElection, History(1)),
    (Bug::OverbookedSlots, History(1)),
    (Bug::DrainIgnored, History(1)),
    (Bug::NoAlignment, History(1)),
    (Bug::MarkerOvertakesRows, History(1)),
    (Bug::OwnerByRemainder, History(1)),
    (Bug::CreditLost, History(1)),
    (Bug::UnreadSplitIgnored, History(1)),
    (Bug::TableTimeOfFirst, History(1)),
    (Bug::RestoredTimeOfFirst, History(1)),
    (Bug::IdleAtOnce, HistoryWithNaps(1)),
    (Bug::IdleBetweenMarkers, HistoryWithNaps(1)),
    (Bug::IdleHidesTime, HistoryWithNaps(1)),
    (Bug::RowsWhileIdle, HistoryWithNaps(1)),
    (Bug::KeptRowsSkipped, HistoryWithNaps(1)),
    (Bug::NeverCountsAgain, HistoryWithNaps(1)),
    (Bug::EndOverwritesTime, HistoryWithNaps(1)),
    (Bug::FinishedSplitForgotten, History(1)),
    (Bug::DroppedCommittables, History(1)),
    (Bug::DroppedStagedRows, History(1)),
    (Bug::FirstSinkForgotten, History(1)),
    (Bug::UnsyncedFolder, Check(checks::files::prepared_files_outlive_a_loss_of_power)),
    (Bug::UnstoredEviction, History(1)),
    (Bug::DueNotShown, History(1)),
    (Bug::OddRowLost, Check(checks::operators::windows_count_every_row)),
    (Bug::ClosedTooLate, Check(checks::operators::windows_count_every_row)),
    (Bug::PartnerMissed, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::MatchForgotten, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::JoinedSessionKept, Check(checks::operators::sessions_that_are_joined_are_one)),
    (Bug::CapturedRowsLost, Check(checks::operators::the_first_rows_of_a_window_come_out)),
];
