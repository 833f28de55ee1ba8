//! A job that shall have more slots than there are goes on with those that it had.

use super::*;

fn rescale(parallelism: u32) -> ClientRequest {
    ClientRequest::RescaleJob { job: JobRef::Id(JobId(1)), parallelism }
}

fn slots(cluster: &Cluster) -> usize {
    cluster.job().execution.as_ref().map_or(0, |execution| execution.placement.slots.len())
}

fn waiting_for(cluster: &mut Cluster) -> Option<String> {
    let ClientResponse::Job(job) = cluster.ask(describe()).unwrap() else { panic!() };
    job.summary.waiting_for
}

/// All workers of the current attempt open and run it.
fn run_attempt(cluster: &mut Cluster, sessions: &[SessionId]) {
    let attempt = cluster.job().attempt.0;
    for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
        sessions.iter().for_each(|session| cluster.phase(*session, attempt, phase.clone()));
    }
    assert_eq!(cluster.job().status.to_string(), "running");
}

fn stop_with(cluster: &mut Cluster, sessions: [SessionId; 2], epoch: u64) {
    for session in sessions {
        cluster.report(session, epoch);
        cluster.say(session, FromWorker::Status(status(1, AttemptPhase::Ended, epoch)));
    }
    cluster.say(sessions[0], committed(epoch));
}

#[test]
fn a_lost_worker_does_not_make_an_outage_of_slots_that_were_only_wished_for() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.ask(rescale(9)).unwrap();
    // Another process has taken the name of the one that is gone.
    cluster.step(Event::WorkerDisconnected(b));
    cluster.connect(3, "b", 2, vec![]);
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(2), 2), "as before");
    assert_eq!(cluster.job().parallelism, 9, "and the wish is kept");
    assert!(cluster.heard(a).contains(&"deploy 2".to_owned()));
}

#[test]
fn a_job_that_is_stopped_and_restarted_goes_on_with_its_slots_under_any_leader() {
    for changes_leader in [false, true] {
        let (mut cluster, mut a, mut b) = Cluster::running();
        cluster.ask(rescale(9)).unwrap();
        cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
        stop_with(&mut cluster, [a, b], 1);
        assert_eq!(cluster.job().status.to_string(), "stopped");
        if changes_leader {
            cluster = cluster.restart();
            (a, b) = (cluster.connect(5, "a", 1, vec![]), cluster.connect(6, "b", 1, vec![]));
        }
        cluster.ask(ClientRequest::RestartJob { job: JobRef::Id(JobId(1)), from: None, adopted: None }).unwrap();
        assert_eq!(slots(&cluster), 2);
        run_attempt(&mut cluster, &[a, b]);
        assert!(waiting_for(&mut cluster).unwrap().contains("needs 9 slots"), "it is still wished for");
        cluster.ask(rescale(4)).unwrap();
        assert!(cluster.heard(a).iter().any(|said| said.starts_with("Stop")), "four slots are there");
    }
}

#[test]
fn a_job_leaves_a_worker_that_goes_with_the_slots_that_it_has() {
    let (mut cluster, a, _) = Cluster::running();
    cluster.ask(rescale(9)).unwrap();
    cluster.ask(ClientRequest::DrainWorker { worker: WorkerId("a".into()), draining: true }).unwrap();
    assert_eq!(cluster.heard(a), ["Stop 1"], "the other worker has room for the two that it has");
}

/// How an attempt with the slots that the job had before comes about.
#[derive(Debug, Clone, Copy)]
enum Again {
    WorkerLost,
    Restarted,
    RestartedUnderNewLeader,
    AllProcessesAnew,
    OnlyLeaderAnew,
}

#[test]
fn an_attempt_as_before_is_ended_for_more_slots_only_when_they_are_there() {
    use Again::{AllProcessesAnew, OnlyLeaderAnew, Restarted, RestartedUnderNewLeader, WorkerLost};
    for again in [WorkerLost, Restarted, RestartedUnderNewLeader, AllProcessesAnew, OnlyLeaderAnew] {
        let (mut cluster, mut a, mut b) = Cluster::running();
        cluster.ask(rescale(6)).unwrap();
        match again {
            WorkerLost => {
                cluster.step(Event::WorkerDisconnected(b));
                b = cluster.connect(3, "b", 2, vec![]);
            }
            AllProcessesAnew => {
                cluster = cluster.restart();
                (a, b) = (cluster.connect(5, "a", 2, vec![]), cluster.connect(6, "b", 2, vec![]));
            }
            OnlyLeaderAnew => {
                cluster = cluster.restart();
                let running = || vec![status(1, AttemptPhase::Running, 0)];
                (a, b) = (cluster.connect(5, "a", 1, running()), cluster.connect(6, "b", 1, running()));
            }
            Restarted | RestartedUnderNewLeader => {
                cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
                stop_with(&mut cluster, [a, b], 1);
                if matches!(again, RestartedUnderNewLeader) {
                    cluster = cluster.restart();
                    (a, b) = (cluster.connect(5, "a", 1, vec![]), cluster.connect(6, "b", 1, vec![]));
                }
                cluster.said.clear();
                cluster
                    .ask(ClientRequest::RestartJob { job: JobRef::Id(JobId(1)), from: None, adopted: None })
                    .unwrap();
            }
        }
        // The first of two new processes has room for both slots.
        let sessions = if matches!(again, AllProcessesAnew) { vec![a] } else { vec![a, b] };
        if !matches!(again, OnlyLeaderAnew) {
            run_attempt(&mut cluster, &sessions);
        }
        let attempt = cluster.job().attempt;
        let heard = [cluster.heard(a), cluster.heard(b)].concat();
        assert!(!heard.iter().any(|said| said.starts_with("Stop")), "{again:?}: {heard:?}");
        assert!(waiting_for(&mut cluster).unwrap().contains("needs 6 slots"), "{again:?}");
        cluster.pass(Duration::from_secs(1));
        let epoch = cluster.job().last_epoch.0 + 1;
        for session in sessions {
            assert_eq!(cluster.heard(session), [format!("Checkpoint {epoch}")], "{again:?}: its checkpoints go on");
            cluster.report(session, epoch);
        }
        cluster.say(a, committed(epoch));
        assert_eq!((cluster.job().attempt, slots(&cluster)), (attempt, 2), "{again:?}");
        cluster.heard(a);
        cluster.connect(9, "c", 1, vec![]);
        assert_eq!(cluster.heard(a), [format!("Stop {}", epoch + 1)], "{again:?}: six slots are there");
    }
}

#[test]
fn a_rescale_whose_slots_went_while_it_stopped_the_job_leaves_no_savepoint_under_a_new_leader() {
    let (mut cluster, a, _) = Cluster::running();
    cluster.ask(rescale(4)).unwrap();
    assert_eq!(cluster.heard(a), ["Stop 1"]);
    cluster.ask(rescale(9)).unwrap();
    let mut cluster = cluster.restart();
    let stop = Marker { epoch: Epoch(1), kind: MarkerKind::Stop };
    let ended = || AttemptStatus {
        last_kind: Some(stop.kind),
        captures: vec![stop],
        ..status(1, AttemptPhase::Ended, stop.epoch.0)
    };
    let (a, b) = (cluster.connect(5, "a", 1, vec![ended()]), cluster.connect(6, "b", 1, vec![ended()]));
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.say(a, committed(1));
    assert!(!cluster.job().checkpoints[0].savepoint, "no user asked to keep it");
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(2), 2), "as before");
}

#[test]
fn a_rescale_while_the_job_starts_is_done_once_the_attempt_runs_under_any_leader() {
    for changes_leader in [false, true] {
        let (mut cluster, mut a, mut b) = Cluster::running();
        cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
        stop_with(&mut cluster, [a, b], 1);
        if changes_leader {
            cluster = cluster.restart();
            (a, b) = (cluster.connect(5, "a", 1, vec![]), cluster.connect(6, "b", 1, vec![]));
        }
        cluster.ask(ClientRequest::RestartJob { job: JobRef::Id(JobId(1)), from: None, adopted: None }).unwrap();
        cluster.ask(rescale(4)).unwrap();
        cluster.heard(a);
        run_attempt(&mut cluster, &[a, b]);
        assert_eq!(cluster.heard(a), ["start 2", "Stop 2"]);
    }
}
