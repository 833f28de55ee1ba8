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
        cluster.ask(ClientRequest::RestartJob { job: JobRef::Id(JobId(1)), from: None }).unwrap();
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
