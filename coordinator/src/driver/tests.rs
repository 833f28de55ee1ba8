use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn driver(interval: Option<Duration>) -> CheckpointDriver {
    let config = DriverConfig {
        interval,
        timeout: 10 * SECOND,
        tolerable_failures: 2,
        last_epoch: Epoch(4),
        first: None,
        participants: 1,
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
            Effect::WriteManifest { contents, savepoint, finished } => {
                let epochs: Vec<u64> = contents.iter().map(|content| content.epoch.0).collect();
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
    assert_eq!(step(&mut driver, 3, Event::ManifestWritten(Epoch(5))), ["commit 5"]);
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
    step(&mut driver, 13, Event::ManifestWritten(Epoch(6)));
    assert_eq!(step(&mut driver, 13, reported(6)), [""; 0], "when it is written");
    step(&mut driver, 13, Event::Committed(Epoch(6)));
    step(&mut driver, 14, Event::Tick);
    assert_eq!(step(&mut driver, 14, reported(7)), ["write [7]"]);
}

#[test]
fn a_decided_epoch_is_committed_until_it_succeeds() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::ManifestWritten(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::CommitFailed { epoch: Epoch(5), error: environment() }), ["report"]);
    assert_eq!(step(&mut driver, 2, Event::Tick), ["commit 5"]);
    assert_eq!(step(&mut driver, 2, Event::CommitFailed { epoch: Epoch(5), error: environment() }), ["report"]);
    assert_eq!(step(&mut driver, 3, Event::Tick), ["commit 5"]);
    assert_eq!(step(&mut driver, 3, Event::CommitFailed { epoch: Epoch(5), error: environment() }), ["failed"]);
}

#[test]
fn the_end_waits_for_the_checkpoint_under_way_and_for_its_own() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 1, Event::SourcesExhausted), [""; 0]);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::ManifestWritten(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5", "Stop 6"]);
    assert_eq!(step(&mut driver, 2, Event::Ended), [""; 0], "subtasks may end before their state is stored");
    assert_eq!(step(&mut driver, 2, reported(6)), ["write [6] last"]);
    step(&mut driver, 2, Event::ManifestWritten(Epoch(6)));
    assert_eq!(step(&mut driver, 2, Event::Committed(Epoch(6))), ["retire <6", "Finished"]);
}

#[test]
fn a_stop_takes_a_savepoint_and_ends() {
    let mut driver = driver(None);
    assert_eq!(driver.next_tick(), None);
    assert_eq!(step(&mut driver, 1, Event::Stop(StopKind::Savepoint)), ["Stop 5"]);
    assert_eq!(step(&mut driver, 1, Event::Stop(StopKind::Savepoint)), [""; 0]);
    assert_eq!(step(&mut driver, 1, reported(5)), ["write [5] savepoint"]);
    step(&mut driver, 1, Event::ManifestWritten(Epoch(5)));
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
    assert_eq!(step(&mut driver, 1, Event::ManifestWritten(Epoch(4))), [""; 0]);
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(4))), [""; 0]);
    assert_eq!(step(&mut driver, 1, Event::ReportFailed { epoch: Epoch(4), error: environment() }), [""; 0]);
    assert_eq!(step(&mut driver, 2, reported(5)), ["write [5]"]);
}

#[test]
fn nothing_is_begun_behind_the_last_marker() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::SourcesExhausted);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::ManifestWritten(Epoch(5)));
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
        last_marker: Some(Marker { epoch: Epoch(6), kind: MarkerKind::Checkpoint }),
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
    step(&mut driver, 1, Event::ManifestWritten(Epoch(5)));
    step(&mut driver, 1, Event::Committed(Epoch(5)));
    assert_eq!(step(&mut driver, 2, Event::Ended), ["Finished"]);
}

#[test]
fn a_savepoint_is_taken_as_soon_as_nothing_else_is_under_way() {
    let mut driver = driver(Some(SECOND));
    step(&mut driver, 1, Event::Tick);
    assert_eq!(step(&mut driver, 1, Event::Savepoint), [""; 0]);
    step(&mut driver, 1, reported(5));
    step(&mut driver, 1, Event::ManifestWritten(Epoch(5)));
    assert_eq!(step(&mut driver, 1, Event::Committed(Epoch(5))), ["retire <5", "Savepoint 6"]);
    assert_eq!(step(&mut driver, 1, reported(6)), ["write [6] savepoint"]);
}
