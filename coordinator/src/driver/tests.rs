use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Only for those who ask.
const NEVER: FlushConfig = FlushConfig { interval: None, pause: Duration::from_millis(50) };

fn driver(interval: Option<Duration>) -> CheckpointDriver {
    let config = DriverConfig {
        interval,
        timeout: 10 * SECOND,
        tolerable_failures: 2,
        last_epoch: Epoch(4),
        first: None,
        participants: 1,
        flush: NEVER,
    };
    CheckpointDriver::new(config, Duration::ZERO)
}

fn content(epoch: u64) -> EpochContent {
    EpochContent { epoch: Epoch(epoch), bytes: epoch, ..EpochContent::default() }
}

fn reported(epoch: u64) -> Event {
    Event::Reported { participant: 0, content: content(epoch) }
}

/// Steps and prints the effects in a line each, short.
fn step(driver: &mut CheckpointDriver, seconds: u32, event: Event) -> Vec<String> {
    let mut effects = Vec::new();
    driver.step(seconds * SECOND, event, &mut effects);
    effects
        .into_iter()
        .map(|effect| match effect {
            Effect::SendMarker(marker) => format!("{:?} {}", marker.kind, marker.epoch),
            Effect::WriteManifest { epoch, contents, savepoint, finished } => {
                let epochs: Vec<u64> = contents.iter().map(|content| content.epoch.0).collect();
                assert_eq!(epochs.last(), Some(&epoch.0));
                format!(
                    "write {epochs:?}{}{}",
                    if savepoint { " savepoint" } else { "" },
                    if finished { " last" } else { "" }
                )
            }
            Effect::Commit(epoch) => format!("commit {epoch}"),
            Effect::Retire(epoch) => format!("retire <{epoch}"),
            Effect::Report(_) => "report".into(),
            Effect::Finish(AttemptEnd::Failed(_)) => "failed".into(),
            Effect::Finish(outcome) => format!("{outcome:?}"),
        })
        .collect()
}

fn environment() -> Error {
    Error::environment("the disk is full")
}

#[test]
fn a_checkpoint_goes_through_its_phases() {
    let mut driver = driver(Some(SECOND));
    assert_eq!(step(&mut driver, 0, Event::Tick), [""; 0]);
    assert_eq!(step(&mut driver, 1, Event::Tick), ["Checkpoint 5"]);
    assert_eq!(step(&mut driver, 2, Event::Tick), [""; 0], "one at a time");
    assert_eq!(step(&mut driver, 2, reported(5)), ["write [5]"]);
    assert_eq!(step(&mut driver, 3, Event::Completed(Epoch(5))), ["commit 5"]);
    assert_eq!(step(&mut driver, 3, Event::Committed(Epoch(5))), ["retire <5"]);
    assert_eq!(step(&mut driver, 3, Event::Tick), ["Checkpoint 6"], "the interval counts from start to start");
    assert_eq!(driver.stats().last, Some((Epoch(5), 2 * SECOND)));
}

#[test]
fn what_a_given_up_epoch_had_stored_goes_into_the_next_manifest() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 11, Event::Tick), ["report"]);
    assert_eq!(step(&mut driver, 12, Event::Tick), ["Checkpoint 6"]);
    assert_eq!(step(&mut driver, 12, reported(5)), [""; 0], "too late for a manifest of its own");
    assert_eq!(step(&mut driver, 13, reported(6)), ["write [5, 6]"]);
    let contents = vec![content(5), content(6)];
    let failed = Event::ManifestFailed { epoch: Epoch(6), contents, error: environment() };
    assert_eq!(step(&mut driver, 13, failed), ["report"]);
    assert_eq!(step(&mut driver, 14, Event::Tick), ["Checkpoint 7"]);
    assert_eq!(step(&mut driver, 15, reported(7)), ["write [5, 6, 7]"]);
}

/// A worker whose connection breaks says again whatever may not have been heard.
#[test]
fn a_report_counts_once_whenever_it_comes_again() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    step(&mut driver, 11, Event::Tick);
    step(&mut driver, 12, Event::Tick);
    assert_eq!(step(&mut driver, 12, reported(5)), [""; 0]);
    assert_eq!(step(&mut driver, 12, reported(5)), [""; 0], "of an epoch that was given up");
    assert_eq!(step(&mut driver, 13, reported(6)), ["write [5, 6]"]);
    assert_eq!(step(&mut driver, 13, reported(6)), [""; 0], "while its manifest is written");
    step(&mut driver, 13, Event::Completed(Epoch(6)));
    assert_eq!(step(&mut driver, 13, reported(6)), [""; 0], "when it is written");
    step(&mut driver, 13, Event::Committed(Epoch(6)));
    step(&mut driver, 14, Event::Tick);
    assert_eq!(step(&mut driver, 14, reported(7)), ["write [7]"]);
}

#[test]
fn an_attempt_whose_results_cannot_be_committed_fails() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::CommitFailed { epoch: Epoch(5), error: environment() }), ["report"]);
    assert_eq!(step(&mut driver, 2, Event::CommitFailed { epoch: Epoch(5), error: environment() }), ["report"]);
    assert_eq!(step(&mut driver, 3, Event::CommitFailed { epoch: Epoch(5), error: environment() }), ["failed"]);
}

#[test]
fn the_end_takes_the_place_of_a_checkpoint_that_is_not_written_yet() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 1, Event::SourcesExhausted), ["Drain 6"]);
    assert_eq!(step(&mut driver, 1, Event::ReportFailed { epoch: Epoch(5), error: environment() }), [""; 0]);
    assert_eq!(step(&mut driver, 1, reported(6)), ["write [6] last"]);
    step(&mut driver, 2, Event::Completed(Epoch(6)));
    step(&mut driver, 2, Event::Committed(Epoch(6)));
    assert_eq!(step(&mut driver, 2, Event::Ended), ["Finished"]);
}

#[test]
fn what_was_reported_of_a_checkpoint_that_the_end_has_replaced_is_committed_with_the_end() {
    let mut driver = CheckpointDriver::new(two_workers(), Duration::ZERO);
    step(&mut driver, 1, Event::Tick);
    step(&mut driver, 1, of_two(0, 5));
    assert_eq!(step(&mut driver, 1, Event::SourcesExhausted), ["Drain 6"]);
    assert_eq!(step(&mut driver, 1, of_two(0, 6)), [""; 0]);
    assert_eq!(step(&mut driver, 1, of_two(1, 5)), [""; 0]);
    assert_eq!(step(&mut driver, 1, of_two(1, 6)), ["write [5, 6, 5, 6] last"]);
}

#[test]
fn the_end_waits_for_a_savepoint() {
    let mut driver = driver(Some(SECOND));
    assert_eq!(step(&mut driver, 1, Event::Savepoint), ["Savepoint 5"]);
    assert_eq!(step(&mut driver, 1, Event::SourcesExhausted), [""; 0]);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5", "Drain 6"]);
}

#[test]
fn the_end_waits_for_the_commit_under_way_and_for_its_own() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    step(&mut driver, 1, reported(5));
    assert_eq!(step(&mut driver, 1, Event::SourcesExhausted), [""; 0]);
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5", "Drain 6"]);
    assert_eq!(step(&mut driver, 2, Event::Ended), [""; 0], "subtasks may end before their state is stored");
    assert_eq!(step(&mut driver, 2, reported(6)), ["write [6] last"]);
    step(&mut driver, 2, Event::Completed(Epoch(6)));
    assert_eq!(step(&mut driver, 2, Event::Committed(Epoch(6))), ["retire <6", "Finished"]);
}

#[test]
fn a_stop_takes_a_savepoint_and_ends() {
    let mut driver = driver(None);
    assert_eq!(driver.next_tick(), None);
    assert_eq!(step(&mut driver, 1, Event::Stop(StopKind::Savepoint)), ["Stop 5"]);
    assert_eq!(step(&mut driver, 1, Event::Stop(StopKind::Savepoint)), [""; 0]);
    assert_eq!(step(&mut driver, 1, reported(5)), ["write [5] savepoint"]);
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5"]);
    assert_eq!(step(&mut driver, 2, Event::Ended), ["Stopped(Epoch(5))"]);
}

#[test]
fn the_last_checkpoint_cannot_be_tried_again() {
    let mut driver = driver(None);
    step(&mut driver, 1, Event::SourcesExhausted);
    assert_eq!(step(&mut driver, 2, Event::ReportFailed { epoch: Epoch(5), error: environment() }), ["failed"]);
    assert_eq!(step(&mut driver, 3, Event::Ended), [""; 0], "a job ends once");
}

#[test]
fn an_answer_to_an_older_epoch_is_ignored() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 1, Event::Completed(Epoch(4))), [""; 0]);
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(4))), [""; 0]);
    assert_eq!(step(&mut driver, 1, Event::ReportFailed { epoch: Epoch(4), error: environment() }), [""; 0]);
    assert_eq!(step(&mut driver, 2, reported(5)), ["write [5]"]);
}

#[test]
fn nothing_is_begun_behind_the_last_marker() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::SourcesExhausted);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    step(&mut driver, 1, Event::Committed(Epoch(5)));
    assert_eq!(step(&mut driver, 9, Event::Tick), [""; 0], "though the interval is long over");
    assert_eq!(step(&mut driver, 9, Event::Ended), ["Finished"]);
}

fn of_two(participant: usize, epoch: u64) -> Event {
    Event::Reported { participant, content: content(epoch) }
}

fn two_workers() -> DriverConfig {
    DriverConfig {
        interval: Some(SECOND),
        timeout: 10 * SECOND,
        tolerable_failures: 2,
        last_epoch: Epoch(4),
        first: Some(SECOND / 4),
        participants: 2,
        flush: NEVER,
    }
}

#[test]
fn an_epoch_is_complete_when_every_worker_has_reported_it() {
    let mut driver = CheckpointDriver::new(two_workers(), Duration::ZERO);
    assert_eq!(driver.next_tick(), Some(SECOND / 4), "the first checkpoint comes early");
    assert_eq!(step(&mut driver, 1, Event::Tick), ["Checkpoint 5"]);
    assert_eq!(step(&mut driver, 1, of_two(1, 5)), [""; 0]);
    assert_eq!(step(&mut driver, 1, of_two(1, 5)), [""; 0], "the same report twice is one");
    assert_eq!(step(&mut driver, 1, of_two(0, 5)), ["write [5, 5]"]);
}

#[test]
fn what_one_worker_reported_of_a_given_up_epoch_goes_into_the_next() {
    let mut driver = CheckpointDriver::new(two_workers(), Duration::ZERO);
    step(&mut driver, 1, Event::Tick);
    step(&mut driver, 1, of_two(0, 5));
    assert_eq!(step(&mut driver, 1, Event::ReportFailed { epoch: Epoch(5), error: environment() }), ["report"]);
    assert_eq!(step(&mut driver, 2, Event::Tick), ["Checkpoint 6"]);
    step(&mut driver, 2, of_two(0, 6));
    assert_eq!(step(&mut driver, 2, of_two(1, 6)), ["write [5, 6, 6]"]);
}

#[test]
fn a_new_leader_brings_the_epoch_under_way_to_its_end() {
    let takeover = Takeover {
        completed_end: None,
        committed: true,
        reported: vec![(1, content(5)), (1, content(6))],
        last_marker: Some(checkpoint(6)),
        last_capture: Some(checkpoint(6)),
        ..Takeover::default()
    };
    let mut effects = Vec::new();
    let mut driver = CheckpointDriver::take_over(two_workers(), Duration::ZERO, takeover, &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::SendMarker(marker)] if marker.epoch == Epoch(6)));
    assert_eq!(step(&mut driver, 1, of_two(0, 6)), ["write [5, 6, 6]"]);
}

#[test]
fn a_drained_job_has_finished() {
    let mut driver = driver(None);
    assert_eq!(step(&mut driver, 1, Event::Stop(StopKind::Drain)), ["Drain 5"]);
    assert_eq!(step(&mut driver, 1, reported(5)), ["write [5] last"]);
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    step(&mut driver, 1, Event::Committed(Epoch(5)));
    assert_eq!(step(&mut driver, 2, Event::Ended), ["Finished"]);
}

#[test]
fn a_savepoint_is_taken_as_soon_as_nothing_else_is_under_way() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 1, Event::Savepoint), [""; 0]);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5", "Savepoint 6"]);
    assert_eq!(step(&mut driver, 1, reported(6)), ["write [6] savepoint"]);
}

#[test]
fn a_checkpoint_that_is_asked_for_is_an_ordinary_one_and_comes_at_once() {
    let mut driver = CheckpointDriver::new(DriverConfig { interval: None, flush: NEVER, ..two_workers() }, SECOND);
    assert_eq!(step(&mut driver, 1, Event::Checkpoint), ["Checkpoint 5"]);
    assert_eq!(step(&mut driver, 1, Event::Checkpoint), [""; 0], "one after the other");
    step(&mut driver, 1, of_two(0, 5));
    assert_eq!(step(&mut driver, 1, of_two(1, 5)), ["write [5, 5]"], "not kept as a savepoint");
    step(&mut driver, 1, Event::Completed(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5", "Checkpoint 6"]);
    assert_eq!(step(&mut driver, 1, Event::Savepoint), [""; 0]);
    assert_eq!(step(&mut driver, 1, Event::Checkpoint), [""; 0], "the savepoint does for both");
    step(&mut driver, 1, of_two(0, 6));
    step(&mut driver, 1, of_two(1, 6));
    step(&mut driver, 1, Event::Completed(Epoch(6)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(6))), ["retire <6", "Savepoint 7"]);
}

fn checkpoint(epoch: u64) -> Marker {
    Marker { epoch: Epoch(epoch), kind: MarkerKind::Checkpoint }
}

fn flush(epoch: u64) -> Marker {
    Marker { epoch: Epoch(epoch), kind: MarkerKind::Flush }
}

fn updating() -> CheckpointDriver {
    let flush = FlushConfig { interval: Some(SECOND), pause: SECOND / 2 };
    CheckpointDriver::new(DriverConfig { interval: Some(4 * SECOND), flush, ..two_workers() }, Duration::ZERO)
}

#[test]
fn flush_markers_wait_for_no_checkpoint() {
    let mut driver = updating();
    assert_eq!(driver.next_tick(), Some(SECOND / 4));
    assert_eq!(step(&mut driver, 1, Event::Tick), ["Checkpoint 5"], "the first checkpoint was due sooner");
    assert_eq!(step(&mut driver, 2, Event::Tick), ["Flush 6"], "while it is gathered");
    step(&mut driver, 2, of_two(0, 5));
    assert_eq!(step(&mut driver, 2, of_two(1, 5)), ["write [5, 5]"]);
    assert_eq!(step(&mut driver, 3, Event::Tick), ["Flush 7"], "while it is written");
    assert_eq!(step(&mut driver, 3, Event::Completed(Epoch(5))), ["commit 5"]);
    assert_eq!(step(&mut driver, 4, Event::Tick), ["Flush 8"], "while it is committed");
    assert_eq!(step(&mut driver, 4, Event::Committed(Epoch(5))), ["retire <5"]);
    assert_eq!(step(&mut driver, 5, Event::Tick), ["Checkpoint 9"], "which is a flush as well");
    assert_eq!(driver.next_tick(), Some(6 * SECOND));
    step(&mut driver, 5, of_two(0, 9));
    assert_eq!(step(&mut driver, 5, of_two(1, 9)), ["write [9, 9]"]);
    assert_eq!(step(&mut driver, 5, Event::SourcesExhausted), [""; 0]);
    step(&mut driver, 5, Event::Completed(Epoch(9)));
    assert_eq!(step(&mut driver, 5, Event::Committed(Epoch(9))), ["retire <9", "Drain 10"]);
    assert_eq!(step(&mut driver, 9, Event::Tick), [""; 0], "behind the end there is nothing to flush");
}

#[test]
fn who_wants_a_marker_gets_the_next_one() {
    let mut driver = CheckpointDriver::new(DriverConfig { interval: None, flush: NEVER, ..two_workers() }, SECOND);
    assert_eq!(driver.next_tick(), None);
    assert_eq!(step(&mut driver, 2, Event::MarkerWanted), ["Flush 5"]);
    assert_eq!(step(&mut driver, 2, Event::MarkerWanted), [""; 0], "not so soon");
    assert_eq!(step(&mut driver, 2, Event::MarkerWanted), [""; 0], "and one for all who ask");
    assert_eq!(driver.next_tick(), Some(2 * SECOND + Duration::from_millis(50)));
    assert_eq!(step(&mut driver, 3, Event::Tick), ["Flush 6"]);
    assert_eq!(driver.next_tick(), None);
    assert_eq!(step(&mut driver, 3, Event::MarkerWanted), [""; 0]);
    assert_eq!(step(&mut driver, 3, Event::Savepoint), ["Savepoint 7"], "any marker will do");
    assert_eq!(driver.next_tick(), Some(13 * SECOND), "for the savepoint only");
}

#[test]
fn a_new_leader_finishes_the_checkpoint_behind_which_others_were_flushed() {
    let takeover = Takeover {
        committed: true,
        reported: vec![(1, content(6))],
        last_marker: Some(flush(9)),
        last_capture: Some(checkpoint(6)),
        ..Takeover::default()
    };
    let mut effects = Vec::new();
    let mut driver = CheckpointDriver::take_over(two_workers(), Duration::ZERO, takeover, &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::SendMarker(marker)] if *marker == flush(9)), "{effects:?}");
    assert_eq!(step(&mut driver, 1, of_two(0, 6)), ["write [6, 6]"]);
    step(&mut driver, 1, Event::Completed(Epoch(6)));
    step(&mut driver, 1, Event::Committed(Epoch(6)));
    assert_eq!(step(&mut driver, 2, Event::Savepoint), ["Savepoint 10"], "numbers go on behind the last marker");
}

#[test]
fn a_new_leader_commits_what_is_completed_before_anything_else() {
    let takeover = Takeover { last_marker: Some(flush(5)), ..Takeover::default() };
    let mut effects = Vec::new();
    let mut driver = CheckpointDriver::take_over(two_workers(), Duration::ZERO, takeover, &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::SendMarker(_), Effect::Commit(Epoch(4))]), "{effects:?}");
    assert_eq!(step(&mut driver, 9, Event::Tick), [""; 0], "however long it takes");
    assert_eq!(step(&mut driver, 9, Event::Stop(StopKind::Savepoint)), [""; 0]);
    assert_eq!(step(&mut driver, 9, Event::Committed(Epoch(4))), ["retire <4", "Stop 6"]);
}

#[test]
fn sources_that_are_held_up_get_no_more_flush_markers() {
    let mut driver = updating();
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 2, Event::Backlog(16)), [""; 0]);
    assert_eq!(step(&mut driver, 3, Event::MarkerWanted), [""; 0]);
    assert_eq!(driver.next_tick(), Some(11 * SECOND), "the checkpoint has its time all the same");
    assert_eq!(step(&mut driver, 3, Event::Backlog(15)), ["Flush 6"]);
}

#[test]
fn a_worker_of_which_nothing_is_heard_gets_a_limited_number_of_flush_markers() {
    let mut driver = CheckpointDriver::new(DriverConfig { interval: None, flush: NEVER, ..two_workers() }, SECOND);
    let sent = (2..60).flat_map(|second| step(&mut driver, second, Event::MarkerWanted));
    assert_eq!(sent.filter(|marker| marker.starts_with("Flush")).count(), 16);
    assert_eq!(step(&mut driver, 60, Event::Backlog(0)), ["Flush 21"], "one is still wanted");
}

/// Who is woken for nothing is woken again at once.
#[test]
fn nothing_is_due_while_a_manifest_is_on_its_way() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(driver.next_tick(), Some(11 * SECOND), "then the checkpoint is given up");
    assert_eq!(step(&mut driver, 2, reported(5)), ["write [5]"]);
    assert_eq!(driver.next_tick(), None);
    assert_eq!(step(&mut driver, 20, Event::Tick), [""; 0]);
    assert_eq!(step(&mut driver, 20, Event::Completed(Epoch(5))), ["commit 5"]);
    assert_eq!(driver.next_tick(), None);
}
