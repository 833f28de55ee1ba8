//! Nobody waits for ever: neither for a worker that does not answer, nor for a leader that is not there any more.

use weir_proto::client::QuotaInfo;
use weir_proto::control::Heartbeat;

use super::*;

fn failure(kind: ErrorKind, report: &str) -> Failure {
    Failure { kind, report: report.into(), peer_lost: false }
}

fn fail(cluster: &mut Cluster, session: SessionId, report: &str) {
    let attempt = cluster.job().attempt.0;
    cluster.phase(session, attempt, AttemptPhase::Failed(failure(ErrorKind::Environment, report)));
}

/// Seconds pass in which workers say that they live, and nothing else.
fn live(cluster: &mut Cluster, workers: [SessionId; 2], seconds: u64) {
    for _ in 0..seconds {
        workers.iter().for_each(|worker| cluster.say(*worker, FromWorker::Heartbeat(Heartbeat::default())));
        cluster.pass(Duration::from_secs(1));
    }
}

/// The first checkpoint is decided, and worker `a` is asked to commit it.
fn to_be_committed() -> (Cluster, SessionId, SessionId) {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.report(b, 1);
    assert!(cluster.heard(a).contains(&"commit 1".to_owned()));
    cluster.heard(b);
    (cluster, a, b)
}

#[test]
fn a_pause_after_a_failure_is_over_under_the_next_leader_too() {
    let (mut cluster, a, _) = Cluster::running();
    fail(&mut cluster, a, "no such host");
    assert_eq!(cluster.job().status.to_string(), "restarting");
    let mut cluster = cluster.restart();
    cluster.pass(Duration::from_secs(2));
    assert_eq!(cluster.job().status.to_string(), "scheduling");
}

#[test]
fn results_of_a_cancelled_job_are_committed_by_the_next_leader() {
    let (mut cluster, ..) = to_be_committed();
    cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(JobId(1)) }).unwrap();
    let mut cluster = cluster.restart();
    let a = cluster.connect(7, "a", 1, vec![]);
    cluster.pass(Duration::from_secs(1));
    assert!(cluster.heard(a).contains(&"commit 1".to_owned()));
    cluster.say(a, committed(1));
    assert!(cluster.job().checkpoints[0].committed);
}

#[test]
fn a_worker_that_does_not_answer_a_commit_is_not_waited_for() {
    let (mut cluster, a, b) = to_be_committed();
    live(&mut cluster, [a, b], 70);
    assert_eq!(cluster.heard(b), ["commit 1"]);
    // What comes too late from the first one changes nothing, and the second one's answer counts.
    cluster.say(a, committed(1));
    assert!(!cluster.job().checkpoints[0].committed);
    cluster.say(b, committed(1));
    assert!(cluster.job().checkpoints[0].committed);
}

#[test]
fn a_command_that_is_too_large_is_answered_and_holds_nobody_up() {
    let (mut cluster, ..) = Cluster::running();
    let name = "n".repeat(2 << 20);
    let quota = QuotaInfo { slots: None, jobs: None, state_bytes: None };
    let refused = cluster.ask(ClientRequest::SetNamespace { namespace: name, quota }).unwrap_err();
    assert_eq!(refused.kind, ClientErrorKind::Invalid);
    cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
    assert_eq!(cluster.job().desired.to_string(), "stopped");
}

#[test]
fn an_attempt_outlives_a_storage_that_is_away_when_the_leader_changes() {
    let (mut cluster, a, _) = to_be_committed();
    cluster.say(a, committed(1));
    let manifest = cluster.job().checkpoints[0].manifest.clone();
    let mut cluster = cluster.restart();
    let path = cluster.storage.0.path().join("store/test-1/jobs/1").join(&manifest);
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    let running = || vec![status(1, AttemptPhase::Running, 1)];
    let (a, b) = (cluster.connect(7, "a", 1, running()), cluster.connect(8, "b", 1, running()));
    cluster.pass(Duration::from_secs(3));
    let markers = |heard: Vec<String>| heard.into_iter().filter(|said| said.starts_with("Checkpoint")).count();
    assert_eq!((cluster.job().status.to_string(), markers(cluster.heard(a))), ("running".into(), 0));
    std::fs::rename(&away, &path).unwrap();
    cluster.pass(Duration::from_secs(3));
    assert_eq!((cluster.job().attempt.0, markers(cluster.heard(b))), (1, 1), "it goes on");
}

#[test]
fn a_stop_that_is_complete_but_for_one_worker_is_finished_by_the_next_leader() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.ask(ClientRequest::RescaleJob { job: JobRef::Id(JobId(1)), parallelism: 3 }).unwrap();
    assert_eq!(cluster.heard(a), ["Stop 1"]);
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.say(a, committed(1));
    let ended = |phase| AttemptStatus { last_kind: Some(MarkerKind::Stop), ..status(1, phase, 1) };
    cluster.say(a, FromWorker::Status(ended(AttemptPhase::Ended)));
    let mut cluster = cluster.restart();
    let a = cluster.connect(7, "a", 1, vec![ended(AttemptPhase::Ended)]);
    let b = cluster.connect(8, "b", 1, vec![ended(AttemptPhase::Running)]);
    assert!(!cluster.heard(a).iter().any(|said| said.starts_with("Stop")), "there is nothing behind the last marker");
    cluster.say(b, FromWorker::Status(ended(AttemptPhase::Ended)));
    assert_eq!((cluster.job().attempt.0, cluster.job().failures), (2, 0), "the next attempt, and no failure");
}

#[test]
fn a_savepoint_that_was_promised_is_taken_with_the_next_marker_if_its_own_fails() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.ask(ClientRequest::TakeSavepoint { job: JobRef::Id(JobId(1)) }).unwrap();
    assert_eq!(cluster.heard(a), ["Savepoint 1"]);
    let outcome = Err(failure(ErrorKind::Environment, "disk full"));
    let report = Report { job: JobId(1), attempt: Attempt(1), epoch: Epoch(1), outcome };
    cluster.say(a, FromWorker::Report(report));
    assert_eq!((cluster.heard(a), cluster.heard(b).len()), (vec!["Savepoint 2".to_owned()], 2));
    cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
    let refused = cluster.ask(ClientRequest::TakeSavepoint { job: JobRef::Id(JobId(1)) }).unwrap_err();
    assert_eq!(refused.kind, ClientErrorKind::Conflict, "behind the end there is none");
}

#[test]
fn numbers_that_nobody_can_mean_are_refused() {
    let (mut cluster, a, _) = Cluster::running();
    cluster.say(a, FromWorker::Status(status(1, AttemptPhase::Running, u64::MAX - 1)));
    assert_eq!(cluster.job().attempt.0, 1);
    assert!(cluster.job().last_failure.as_ref().unwrap().report.contains("has come to epoch"));
    assert!(cluster.submit(1 << 20).is_err());
}

#[test]
fn a_manifest_that_storage_does_not_take_is_given_up_and_the_next_one_holds_what_it_should_have() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    cluster.storage_hangs = true;
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.storage_hangs = false;
    live(&mut cluster, [a, b], 9);
    assert_eq!((cluster.heard(a), cluster.heard(b).len()), (vec!["Checkpoint 1".to_owned()], 1));
    live(&mut cluster, [a, b], 3);
    assert_eq!(cluster.heard(a), ["Checkpoint 2"]);
    cluster.report(a, 2);
    cluster.report(b, 2);
    let checkpoint = cluster.job().checkpoints[0].clone();
    let place = StoragePlace { url: "file:///store/test-1/jobs/1".into() };
    let manifest =
        crate::server::storage::load(&*cluster.storage.open(&place.url).unwrap(), &checkpoint.manifest).unwrap();
    let committables: usize = manifest.committables.iter().map(|sink| sink.committables.len()).sum();
    assert_eq!((checkpoint.epoch, committables), (Epoch(2), 4), "of two workers and two epochs");
}

#[test]
fn workers_come_again_to_hear_who_the_coordinators_are_when_these_change() {
    let (mut cluster, a, _) = Cluster::running();
    let add = ClientRequest::AddCoordinator { id: CoordinatorId(2), address: "there:2".into(), log: 2 };
    cluster.ask(add).unwrap();
    assert_eq!((cluster.heard(a), cluster.closed.contains(&a)), (vec!["redirect".to_owned()], true));
    cluster.step(Event::WorkerDisconnected(a));
    let again = cluster.connect(7, "a", 1, vec![status(1, AttemptPhase::Running, 0)]);
    let named = cluster.said.iter().find_map(|(to, message)| match message {
        ToWorker::Welcome(welcome) if *to == again => Some(welcome.coordinators.clone()),
        _ => None,
    });
    assert_eq!(named.unwrap(), ["here:1", "there:2"]);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.job().attempt.0, 1, "the job runs on");
}
