//! The protocol, case by case.

use weir_core::{EventTime, OperatorUid};
use weir_state::OperatorDelta;

use super::*;

const NOTHING: [&str; 0] = [];

#[test]
fn an_attempt_is_opened_started_marked_and_reports() {
    let mut bench = Bench::running();
    assert_eq!(bench.hear(1, marker(1, 1, 5)), ["marker 1/1 Checkpoint 5"]);
    assert_eq!(bench.engine(1, 1, reported(5)), ["1: report 1/1 5"]);
    assert_eq!(bench.hear(1, completed(1, 1, 5)), ["completed 1/1 5"], "sources may want to know");
    assert_eq!(bench.engine(1, 1, EngineEvent::SourcesExhausted), ["1: status 1/1 Running at 5, exhausted"]);
    assert_eq!(bench.hear(1, marker_of(MarkerKind::Stop, 1, 1, 6)), ["marker 1/1 Stop 6"]);
    assert_eq!(bench.engine(1, 1, reported(6)), ["1: report 1/1 6"]);
    assert_eq!(bench.engine(1, 1, EngineEvent::Finished), ["1: status 1/1 Ended at 6, exhausted"]);
    assert_eq!(bench.hear(1, completed(1, 1, 6)), NOTHING, "there are no sources any more");
    assert_eq!(bench.hear(1, cancel(1, 1)), ["close 1/1"]);
    bench.lose(1);
    assert_eq!(bench.wait(), ["connect 2 to b"], "absence says that it is gone");
}

#[test]
fn what_comes_twice_is_done_once() {
    let mut bench = Bench::welcomed();
    assert_eq!(bench.hear(1, deploy(1, 1, 0)), ["open 1/1"]);
    assert_eq!(bench.hear(1, deploy(1, 1, 0)), ["1: status 1/1 Opening at 0"]);
    assert_eq!(bench.hear(1, start(1, 1)), ["1: status 1/1 Opening at 0"], "not ready");
    bench.engine(1, 1, EngineEvent::Opened);
    assert_eq!(bench.hear(1, start(1, 1)), ["start 1/1", "1: status 1/1 Running at 0"]);
    assert_eq!(bench.hear(1, start(1, 1)), ["1: status 1/1 Running at 0"]);
    assert_eq!(bench.hear(1, deploy(1, 1, 0)), ["1: status 1/1 Running at 0"]);
    assert_eq!(bench.hear(1, marker(1, 1, 1)), ["marker 1/1 Checkpoint 1"]);
    assert_eq!(bench.hear(1, marker(1, 1, 1)), NOTHING);
    assert_eq!(bench.hear(1, cancel(1, 1)), ["close 1/1"]);
    assert_eq!(bench.hear(1, cancel(1, 1)), NOTHING);
    assert_eq!(bench.hear(1, deploy(1, 1, 0)), NOTHING, "it stays cancelled");
}

#[test]
fn a_marker_that_does_not_follow_ends_the_attempt() {
    let mut bench = Bench::running();
    assert_eq!(bench.hear(1, marker(1, 1, 6)), ["close 1/1", "1: status 1/1 Failed(Internal) at 4"]);
    assert_eq!(bench.hear(1, marker(1, 1, 5)), NOTHING);
    let mut stopped = Bench::running();
    stopped.hear(1, marker_of(MarkerKind::Stop, 1, 1, 5));
    assert_eq!(stopped.hear(1, marker(1, 1, 6)), ["close 1/1", "1: status 1/1 Failed(Internal) at 5"]);
    let mut ready = Bench::welcomed();
    ready.hear(1, deploy(1, 1, 4));
    ready.engine(1, 1, EngineEvent::Opened);
    assert_eq!(ready.hear(1, marker(1, 1, 5)), ["close 1/1", "1: status 1/1 Failed(Internal) at 4"]);
}

#[test]
fn a_higher_attempt_closes_the_lower_one_and_silences_it() {
    let mut bench = Bench::running();
    bench.hear(1, marker(1, 1, 5));
    bench.hear(1, merge(1, 1, 4));
    assert_eq!(bench.hear(1, deploy(1, 2, 5)), ["close 1/1", "open 1/2"]);
    assert_eq!(bench.engine(1, 1, reported(5)), NOTHING);
    assert_eq!(bench.engine(1, 1, EngineEvent::Failed(failure())), NOTHING);
    assert_eq!(bench.step(merged(1, 1, 4)), NOTHING);
    assert_eq!(bench.hear(1, deploy(1, 1, 4)), NOTHING);
    assert_eq!(bench.hear(1, cancel(1, 1)), NOTHING, "that one is gone");
    assert_eq!(bench.engine(1, 2, EngineEvent::Opened), ["1: status 1/2 Ready at 5"]);
}

#[test]
fn an_attempt_that_fails_is_dropped_and_remembered() {
    let mut bench = Bench::running();
    let lines = bench.engine(1, 1, EngineEvent::Failed(failure()));
    assert_eq!(lines, ["close 1/1", "1: status 1/1 Failed(Environment) at 4"]);
    assert_eq!(bench.engine(1, 1, EngineEvent::Finished), NOTHING);
    bench.lose(1);
    assert_eq!(bench.wait(), ["connect 2 to b, 1/1 Failed(Environment) at 4"]);
    let mut opening = Bench::welcomed();
    opening.hear(1, deploy(1, 1, 0));
    let lines = opening.engine(1, 1, EngineEvent::Failed(failure()));
    assert_eq!(lines, ["close 1/1", "1: status 1/1 Failed(Environment) at 0"]);
}

#[test]
fn a_report_that_the_leader_would_not_take_ends_the_attempt() {
    let mut bench = Bench::running();
    bench.hear(1, marker(1, 1, 5));
    let uid = OperatorUid("x".repeat(weir_proto::limits::WORKER_MESSAGE));
    let delta = OperatorDelta { uid, watermark: EventTime(0), tables: Vec::new() };
    let content = EpochContent { epoch: Epoch(5), operators: vec![delta], ..EpochContent::default() };
    let mut effects = Vec::new();
    let event = EngineEvent::Reported(content);
    bench.agent.step(bench.now, Event::Engine { job: JobId(1), attempt: Attempt(1), event }, &mut effects);
    let lines: Vec<String> = effects.iter().map(describe).collect();
    assert_eq!(lines, ["close 1/1", "1: status 1/1 Failed(Environment) at 5"]);
    let Some(Effect::Send(_, FromWorker::Status(AttemptStatus { phase: AttemptPhase::Failed(failure), .. }))) =
        effects.last()
    else {
        panic!("{effects:?}");
    };
    assert!(failure.report.contains("17.0 MiB to tell, and may take 17.0 MiB"), "{}", failure.report);
    bench.lose(1);
    bench.wait();
    assert_eq!(bench.hear(2, welcome(3)), NOTHING, "it is not repeated either");
}

#[test]
fn an_attempt_for_another_process_of_this_name_is_not_opened() {
    let mut bench = Bench::running();
    assert_eq!(bench.hear(1, deploy_on(6, 1, 2, 4)), ["close 1/1", "1: status 1/2 Failed(Environment) at 4"]);
}

#[test]
fn reports_are_repeated_in_order_until_they_are_confirmed() {
    let mut bench = Bench::running();
    for epoch in 5..=7 {
        bench.hear(1, marker(1, 1, epoch));
    }
    bench.engine(1, 1, reported(5));
    bench.lose(1);
    assert_eq!(bench.engine(1, 1, EngineEvent::ReportFailed(Epoch(6), failure())), NOTHING, "nobody to tell");
    assert_eq!(bench.engine(1, 1, reported(7)), NOTHING);
    assert_eq!(bench.wait(), ["connect 2 to b, 1/1 Running at 7"]);
    assert_eq!(bench.hear(2, welcome(4)), ["2: report 1/1 5", "2: report 1/1 6 failed", "2: report 1/1 7"]);
    bench.hear(2, completed(1, 1, 6));
    bench.hear(2, completed(1, 1, 5));
    bench.lose(2);
    bench.wait();
    assert_eq!(bench.hear(3, welcome(4)), ["3: report 1/1 7"]);
    bench.hear(3, cancel(1, 1));
    bench.lose(3);
    bench.wait();
    assert_eq!(bench.hear(4, welcome(4)), NOTHING);
}

#[test]
fn a_leader_of_an_older_term_is_left() {
    let mut bench = Bench::running();
    bench.lose(1);
    bench.wait();
    assert_eq!(bench.hear(2, welcome(2)), ["disconnect 2"]);
    assert_eq!(bench.hear(2, cancel(1, 1)), NOTHING, "nobody listens to it");
    bench.wait();
    assert_eq!(bench.hear(3, deploy(1, 2, 0)), ["disconnect 3"], "whoever has not said welcome does not lead");
    bench.wait();
    assert_eq!(bench.hear(4, welcome(3)), NOTHING);
    assert_eq!(bench.hear(1, cancel(1, 1)), NOTHING, "on the way since the first session");
    assert_eq!(bench.hear(4, welcome(3)), NOTHING, "once more");
    assert_eq!(bench.hear(4, welcome(4)), ["disconnect 4"], "a term does not change within a session");
}

#[test]
fn redirects_are_followed_at_once_but_not_in_a_circle() {
    let mut bench = Bench::new();
    bench.tick();
    let redirect = |to: Option<&str>| ToWorker::Redirect { leader: to.map(str::to_owned) };
    assert_eq!(bench.hear(1, redirect(Some("x"))), ["disconnect 1", "connect 2 to x"]);
    assert_eq!(bench.hear(2, redirect(Some("b"))), ["disconnect 2", "connect 3 to b"]);
    assert_eq!(bench.hear(3, redirect(Some("x"))), ["disconnect 3", "connect 4 to x"]);
    assert_eq!(bench.hear(4, redirect(Some("b"))), ["disconnect 4"]);
    assert_eq!(bench.wait(), ["connect 5 to b"], "after a pause");
    assert_eq!(bench.hear(5, redirect(None)), ["disconnect 5"], "nobody leads");
    assert_eq!(bench.wait(), ["connect 6 to b"], "in turn, behind a");
    bench.hear(6, welcome(1));
    assert_eq!(bench.hear(6, redirect(Some("c"))), ["disconnect 6", "connect 7 to c"], "it has stepped down");
}

#[test]
fn coordinators_that_a_leader_names_are_tried_before_those_that_were_given() {
    let mut bench = Bench::new();
    assert_eq!(bench.wait(), ["connect 1 to a"]);
    let ToWorker::Welcome(named) = welcome(1) else { unreachable!() };
    let coordinators = ["a", "x", "y"].map(str::to_owned).to_vec();
    bench.hear(1, ToWorker::Welcome(Welcome { coordinators, ..named }));
    bench.lose(1);
    let mut tried = Vec::new();
    for session in 2..5 {
        tried.extend(bench.wait());
        bench.lose(session);
    }
    tried.sort();
    assert_eq!(tried, ["connect 2 to x", "connect 3 to y", "connect 4 to b"]);
}

#[test]
fn a_coordinator_that_was_lost_is_tried_last_whoever_points_to_it() {
    let redirect = |to: Option<&str>| ToWorker::Redirect { leader: to.map(str::to_owned) };
    let mut bench = Bench::new();
    bench.tick();
    assert_eq!(bench.hear(1, redirect(Some("b"))), ["disconnect 1", "connect 2 to b"]);
    bench.hear(2, welcome(1));
    bench.lose(2);
    let lost = bench.now;
    assert_eq!(bench.wait(), ["connect 3 to c"], "though it is the turn of b");
    assert_eq!(bench.hear(3, redirect(Some("b"))), ["disconnect 3", "connect 4 to a"], "it has not noticed");
    assert!(bench.now - lost <= 100 * MILLISECOND, "{:?}", bench.now - lost);
    assert_eq!(bench.hear(4, redirect(Some("b"))), ["disconnect 4", "connect 5 to b"], "nobody else is left");
    assert_eq!(bench.wait(), ["disconnect 5", "connect 6 to c"]);
    assert!(bench.now - lost <= 2100 * MILLISECOND, "{:?}", bench.now - lost);
    bench.hear(6, welcome(2));
    assert_eq!(bench.hear(6, redirect(Some("b"))), ["disconnect 6", "connect 7 to b"], "it has come back, and leads");
}

#[test]
fn tries_are_spread_and_their_pauses_grow() {
    let mut bench = Bench::new();
    let mut pauses = Vec::new();
    for session in 1..=9 {
        let begun = bench.now;
        let address = ["a", "b", "c"][(session as usize - 1) % 3];
        assert_eq!(bench.wait(), [format!("connect {session} to {address}")]);
        pauses.push(bench.now - begun);
        bench.lose(session);
    }
    for (pause, full) in pauses[1..].iter().zip([50, 100, 200, 400, 800, 1000, 1000, 1000]) {
        assert!(*pause >= full * MILLISECOND / 2 && *pause <= full * MILLISECOND, "{pauses:?}");
    }
    assert!(pauses[6] != pauses[7], "{pauses:?}");
}

#[test]
fn a_connection_that_breaks_at_once_is_not_tried_in_a_tight_loop() {
    let mut bench = Bench::new();
    let mut last = Duration::ZERO;
    for session in 1..=8 {
        let begun = bench.now;
        bench.wait();
        last = bench.now - begun;
        bench.hear(session, welcome(3));
        bench.lose(session);
    }
    assert!(last >= 500 * MILLISECOND, "{last:?}");
    bench.wait();
    bench.hear(9, welcome(3));
    assert_eq!(bench.wait(), ["9: heartbeat"]);
    bench.lose(9);
    let begun = bench.now;
    bench.wait();
    assert!(bench.now - begun <= 50 * MILLISECOND, "that one had lasted");
}

#[test]
fn a_coordinator_that_says_nothing_is_left() {
    let mut bench = Bench::new();
    assert_eq!(bench.tick(), ["connect 1 to a"]);
    assert_eq!(bench.wait(), ["disconnect 1", "connect 2 to b"]);
    assert_eq!(bench.hear(1, welcome(3)), NOTHING, "too late");
    assert!(bench.now < Duration::from_secs(3), "{:?}", bench.now);
}

#[test]
fn a_try_that_hung_was_pause_enough() {
    let mut bench = Bench::new();
    for session in 1..=6 {
        bench.wait();
        bench.lose(session);
    }
    bench.wait();
    let begun = bench.now;
    let mut said = Vec::new();
    while !said.iter().any(|said: &String| said.starts_with("connect 8")) {
        said.extend(bench.wait());
    }
    assert_eq!(said[0], "disconnect 7");
    assert!(bench.now - begun <= 2010 * MILLISECOND, "{:?}", bench.now - begun);
}

#[test]
fn heartbeats_come_regularly_and_name_what_runs() {
    let mut bench = Bench::running();
    bench.hear(1, deploy(2, 1, 0));
    assert_eq!(bench.wait(), ["1: heartbeat 1/1"]);
    assert_eq!(bench.now, 500 * MILLISECOND);
    assert_eq!(bench.tick(), NOTHING);
    bench.now += Duration::from_secs(3);
    assert_eq!(bench.tick(), ["1: heartbeat 1/1"], "one for all that were missed");
    assert_eq!(bench.agent.next_tick(), Some(bench.now + 500 * MILLISECOND));
}

#[test]
fn a_commit_in_processes_of_plugins_begins_anew_when_it_is_asked_for_again() {
    let mut bench = Bench::welcomed();
    let isolated = |epoch| commit_in(Isolation::Process { memory_limit: None }, 1, epoch);
    assert_eq!(bench.hear(1, isolated(5)), ["commit 1 at 5"]);
    assert_eq!(bench.hear(1, isolated(6)), NOTHING);
    assert_eq!(bench.hear(1, isolated(5)), ["commit 1 at 5"], "what hangs is ended");
    assert_eq!(bench.step(committed(1, 5)), ["commit 1 at 6", "1: committed 1 at 5"]);
    assert_eq!(bench.step(committed(1, 5)), NOTHING, "of the one that was given up");
    assert_eq!(bench.hear(1, isolated(5)), ["1: committed 1 at 5"]);
}

#[test]
fn commits_of_a_job_are_made_one_by_one_and_answered_again_after_a_break() {
    let mut bench = Bench::welcomed();
    assert_eq!(bench.hear(1, commit(1, 5)), ["commit 1 at 5"]);
    assert_eq!(bench.hear(1, commit(1, 5)), NOTHING);
    assert_eq!(bench.hear(1, commit(1, 6)), NOTHING);
    assert_eq!(bench.hear(1, commit(2, 6)), ["commit 2 at 6"], "another job's");
    assert_eq!(bench.step(committed(1, 5)), ["commit 1 at 6", "1: committed 1 at 5"]);
    assert_eq!(bench.step(committed(1, 5)), NOTHING);
    bench.lose(1);
    assert_eq!(bench.step(committed(1, 6)), NOTHING);
    bench.wait();
    assert_eq!(bench.hear(2, welcome(3)), ["2: committed 1 at 6"]);
    assert_eq!(bench.hear(2, commit(1, 6)), ["2: committed 1 at 6"], "it is done");
    let failed = Event::Committed { job: JobId(2), epoch: Epoch(6), result: Err(failure()) };
    assert_eq!(bench.step(failed), ["2: committed 2 at 6 failed"]);
    assert_eq!(bench.hear(2, commit(2, 6)), ["commit 2 at 6"], "tried again");
    bench.lose(2);
    bench.wait();
    assert_eq!(bench.hear(3, welcome(3)), ["3: committed 1 at 6", "3: committed 2 at 6 failed"]);
    bench.lose(3);
    bench.wait();
    assert_eq!(bench.hear(4, welcome(3)), NOTHING, "both were sent twice");
}

#[test]
fn merges_belong_to_an_attempt() {
    let mut bench = Bench::running();
    assert_eq!(bench.hear(1, merge(1, 1, 4)), ["merge 1/1 at 4"]);
    assert_eq!(bench.hear(1, merge(1, 1, 4)), NOTHING);
    assert_eq!(bench.hear(1, merge(1, 1, 5)), ["1: merged 1/1 at 5 failed"], "one at a time, and nobody waits in vain");
    assert_eq!(bench.step(merged(1, 1, 4)), ["1: merged 1/1 at 4"]);
    assert_eq!(bench.hear(1, merge(1, 1, 5)), ["merge 1/1 at 5"]);
    bench.hear(1, cancel(1, 1));
    assert_eq!(bench.step(merged(1, 1, 5)), NOTHING);
    assert_eq!(bench.hear(1, merge(1, 1, 6)), NOTHING);
    bench.lose(1);
    bench.wait();
    assert_eq!(bench.hear(2, welcome(3)), NOTHING, "nor is the earlier answer repeated");
}

#[test]
fn a_worker_that_is_to_go_waits_until_it_is_released() {
    let mut bench = Bench::running();
    assert_eq!(bench.hear(1, ToWorker::Farewell), NOTHING, "nobody told it to go");
    assert_eq!(bench.step(Event::Drain), ["1: leaving"]);
    assert_eq!(bench.hear(1, marker(1, 1, 5)), ["marker 1/1 Checkpoint 5"], "it goes on until then");
    bench.lose(1);
    assert_eq!(bench.wait(), ["connect 2 to b, leaving, 1/1 Running at 5"]);
    bench.hear(2, welcome(3));
    assert_eq!(bench.hear(2, ToWorker::Farewell), ["exit Released"]);
    assert_eq!(bench.tick(), NOTHING);
    assert_eq!(bench.agent.next_tick(), None);
}

#[test]
fn patience_with_going_has_an_end() {
    let mut bench = Bench::running();
    bench.step(Event::Drain);
    assert_eq!(bench.step(Event::Drain), ["exit Forced"]);
    let mut bench = Bench::running();
    bench.step(Event::Drain);
    bench.lose(1);
    bench.now += Duration::from_secs(60);
    assert_eq!(bench.agent.next_tick().map(|due| due <= bench.now), Some(true));
    assert_eq!(bench.tick(), ["exit Late"]);
    let mut stranger = Bench::new();
    stranger.tick();
    assert_eq!(stranger.step(Event::Drain), ["exit Released"], "no cluster knows of it");
}

#[test]
fn a_worker_that_is_refused_ends() {
    let mut bench = Bench::new();
    bench.tick();
    let refused = ToWorker::Refused { reason: "the name is taken".into() };
    assert_eq!(bench.hear(1, refused), [r#"exit Refused { reason: "the name is taken" }"#]);
    let mut bench = Bench::welcomed();
    bench.lose(1);
    bench.wait();
    let other = Welcome {
        cluster: "owl".into(),
        term: 9,
        heartbeat_interval: Duration::from_secs(1),
        coordinators: Vec::new(),
    };
    assert_eq!(bench.hear(2, ToWorker::Welcome(other)), [r#"exit OtherCluster { own: "fox", theirs: "owl" }"#]);
}

#[test]
fn what_happens_between_hello_and_welcome_is_told() {
    let mut bench = Bench::welcomed();
    bench.hear(1, deploy(1, 1, 0));
    bench.hear(1, deploy(2, 1, 0));
    bench.lose(1);
    assert_eq!(bench.wait(), ["connect 2 to b, 1/1 Opening at 0, 2/1 Opening at 0"]);
    assert_eq!(bench.engine(1, 1, EngineEvent::Opened), NOTHING);
    assert_eq!(bench.step(Event::Drain), NOTHING);
    assert_eq!(bench.hear(2, welcome(3)), ["2: leaving", "2: status 1/1 Ready at 0"]);
}
