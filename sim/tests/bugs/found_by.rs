//! Which bugs there are, and what finds each of them.

use weir_core::bugs::Bug;

use crate::checks;

/// What finds a bug.
#[derive(Clone, Copy)]
pub enum By {
    /// A history. The one of this seed did so when it was last looked for; each change of what the cluster does moves these seeds,
    /// so they tell rare bugs from frequent ones and no more.
    History(u64),
    /// As [`History`](By::History), of those in which inputs sleep, wake up, come and end.
    Naps(u64),
    /// A check of the part that the bug is in.
    Check(fn()),
}

use By::{Check, History, Naps};

/// All bugs.
pub const FOUND_BY: &[(Bug, By)] = &[
    (Bug::SkippedSync, History(1)),
    (Bug::VoteForgotten, Check(checks::coordinators::a_coordinator_votes_once_in_a_term)),
    (Bug::SnapshotAhead, History(14)),
    (Bug::LeadsTooEarly, Check(checks::coordinators::a_leader_leads_in_the_term_that_it_was_elected_in)),
    (Bug::DeposedLeaderActs, History(5)),
    (Bug::ProposalsSurvive, Check(checks::coordinators::a_change_ends_with_the_leader_that_could_not_propose_it)),
    (Bug::AnswerBeforeAgreement, History(1)),
    (Bug::StaleRead, Check(checks::coordinators::reads_see_what_was_confirmed_before_them)),
    (Bug::StaleReport, Check(checks::jobs::a_report_of_an_earlier_attempt_completes_nothing)),
    (Bug::ReportTwice, History(36)),
    (Bug::MissingReport, History(1)),
    (Bug::UnrepeatedReports, History(8)),
    (Bug::DroppedContents, History(66)),
    (Bug::GivenUpTime, Check(checks::files::time_has_come_as_far_as_the_epoch_of_the_checkpoint_says)),
    (Bug::StaleBase, History(2)),
    (Bug::BaseOfNewest, Check(checks::jobs::a_job_that_goes_back_goes_on_from_that_checkpoint)),
    (Bug::LateManifest, Check(checks::jobs::a_checkpoint_counts_when_its_manifest_is_written)),
    (Bug::EarlyCommit, History(4)),
    (Bug::DroppedCommit, History(52)),
    (Bug::LostCommitRequest, History(13)),
    (Bug::OvertakenCommit, History(69)),
    (Bug::EndBeforeCommit, History(1)),
    (Bug::FinishedByStop, History(1)),
    (Bug::ForgottenKind, History(15)),
    (Bug::MissedMarkers, Check(checks::jobs::a_worker_that_comes_back_is_given_the_markers_that_it_has_missed)),
    (Bug::MarkerBehindStop, History(1)),
    (Bug::EarlyDeletion, History(1)),
    (Bug::SweptUpload, Check(checks::files::uploads_are_no_orphans)),
    (Bug::SavepointTrimmed, History(14)),
    (Bug::MisnamedMerge, Check(checks::files::merged_runs_are_no_orphans)),
    (Bug::StaleMerge, Check(checks::jobs::runs_are_merged_by_the_worker_that_was_asked_last)),
    (Bug::RecoveredFromCopy, History(28)),
    (Bug::RecoveredCommitted, History(28)),
    (Bug::IncarnationIgnored, History(10)),
    (Bug::NoFencing, History(25)),
    (Bug::ImpatientElection, History(5)),
    (Bug::OverbookedSlots, History(21)),
    (Bug::DrainIgnored, History(17)),
    (Bug::HastyGain, History(11)),
    (Bug::NoAlignment, History(15)),
    (Bug::MarkerOvertakesRows, History(1)),
    (Bug::OwnerByRemainder, History(1)),
    (Bug::MissingMarkerIsDue, Check(checks::sinks::an_epoch_whose_marker_is_lost_is_not_written)),
    (Bug::DoubtIsDone, Check(checks::sinks::an_end_that_was_not_heard_of_is_found_out)),
    (Bug::CreditLost, Check(checks::exchange::a_sender_hears_what_its_reader_has_taken)),
    (
        Bug::UnreadSplitIgnored,
        Check(checks::time::splits_are_idle_after_their_timeout_and_hold_time_until_they_are_read),
    ),
    (Bug::TableTimeOfFirst, Check(checks::time::a_table_is_where_its_slowest_reader_is)),
    (Bug::HeldForEver, History(26)),
    (Bug::RestoredTimeOfFirst, History(9)),
    (Bug::IdleAtOnce, Check(checks::time::splits_are_idle_after_their_timeout_and_hold_time_until_they_are_read)),
    (Bug::IdleBetweenMarkers, Check(checks::time::inputs_fall_idle_and_wake_up_with_a_marker)),
    (Bug::IdleHidesTime, Check(checks::exchange::a_sender_that_falls_idle_says_how_far_it_has_come)),
    (Bug::RowsWhileIdle, Check(checks::time::rows_wait_until_those_behind_wait_for_their_source)),
    (Bug::KeptRowsSkipped, Check(checks::time::kept_rows_are_behind_the_checkpoint)),
    (Bug::NeverCountsAgain, Check(checks::time::inputs_fall_idle_and_wake_up_with_a_marker)),
    (Bug::EndOverwritesTime, History(21)),
    (Bug::FinishedSplitForgotten, Naps(1)),
    (Bug::DroppedCommittables, History(50)),
    (Bug::DroppedStagedRows, History(68)),
    (Bug::FirstSinkForgotten, Check(checks::sinks::a_checkpoint_is_committed_when_all_sinks_have)),
    (Bug::UnstoredEviction, History(100)),
    (Bug::DueNotShown, History(1)),
    (Bug::OddRowLost, Check(checks::operators::windows_count_every_row)),
    (Bug::ClosedTooLate, Check(checks::operators::windows_count_every_row)),
    (Bug::PartnerMissed, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::MatchForgotten, Check(checks::operators::partners_meet_at_both_bounds)),
    (Bug::JoinedSessionKept, Check(checks::operators::sessions_that_are_joined_are_one)),
    (Bug::CapturedRowsLost, Check(checks::operators::the_first_rows_of_a_window_come_out)),
];
