//! A job that takes the slots that there are.

use weir_proto::client::ScalingBy;

use super::*;

fn elastic(max_slots: u32) -> Option<Scaling> {
    Some(Scaling { by: ScalingBy::Slots, max_slots, settle_ms: 10_000, ..Scaling::default() })
}

fn slots(cluster: &Cluster) -> usize {
    cluster.job().execution.as_ref().map_or(0, |execution| execution.placement.slots.len())
}

/// All workers of the current attempt open and run it.
fn run_attempt(cluster: &mut Cluster, sessions: &[SessionId]) {
    let attempt = cluster.job().attempt.0;
    for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
        sessions.iter().for_each(|session| cluster.phase(*session, attempt, phase.clone()));
    }
    assert_eq!(cluster.job().status.to_string(), "running");
}

/// The attempt ends behind the marker that it was stopped with.
fn end_attempt(cluster: &mut Cluster, sessions: &[SessionId], epoch: u64) {
    let attempt = cluster.job().attempt.0;
    for session in sessions {
        cluster.report(*session, epoch);
        cluster.say(*session, FromWorker::Status(status(attempt, AttemptPhase::Ended, epoch)));
    }
    cluster.say(sessions[0], committed(epoch));
}

/// Time passes, and workers say that they are there.
fn live(cluster: &mut Cluster, sessions: &[SessionId], seconds: u64) {
    for _ in 0..seconds {
        cluster.pass(Duration::from_secs(1));
        sessions.iter().for_each(|session| cluster.say(*session, FromWorker::Heartbeat(Heartbeat::default())));
    }
}

fn stops(heard: &[String]) -> bool {
    heard.iter().any(|said| said.starts_with("Stop"))
}

/// Two workers with two slots each, and a job that takes them.
fn running(max_slots: u32) -> (Cluster, SessionId, SessionId) {
    let mut cluster = Cluster::new();
    let (a, b) = (cluster.connect(1, "a", 1, vec![]), cluster.connect(2, "b", 1, vec![]));
    cluster.submit_scaled(JobGraph::new(), 1, 0, elastic(max_slots)).unwrap();
    run_attempt(&mut cluster, &[a, b]);
    cluster.heard(a);
    (cluster, a, b)
}

#[test]
fn it_begins_with_all_of_them() {
    let (cluster, ..) = running(1024);
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(1), 4));
    let decisions = &cluster.job().scaling_decisions;
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0].reason, "more slots are there for it: 2 workers with 4 slots, 1 job to run");
    let (cluster, ..) = running(3);
    assert_eq!(slots(&cluster), 3);
}

#[test]
fn it_goes_on_with_fewer_when_a_worker_is_lost_and_takes_another_ones_when_that_has_settled() {
    let (mut cluster, a, b) = running(1024);
    cluster.step(Event::WorkerDisconnected(b));
    cluster.pass(Duration::from_millis(500));
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(2), 2));
    run_attempt(&mut cluster, &[a]);
    cluster.heard(a);
    let c = cluster.connect(3, "c", 1, vec![]);
    live(&mut cluster, &[a, c], 9);
    assert!(!stops(&cluster.heard(a)), "{:?}", cluster.job().scaling_decisions);
    live(&mut cluster, &[a, c], 2);
    assert!(stops(&cluster.heard(a)));
    end_attempt(&mut cluster, &[a], 1);
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(3), 4));
}

#[test]
fn a_connection_that_breaks_for_a_moment_changes_nothing() {
    let (mut cluster, a, b) = running(1024);
    cluster.step(Event::WorkerDisconnected(b));
    cluster.pass(Duration::from_millis(100));
    let b = cluster.connect(3, "b", 1, vec![status(1, AttemptPhase::Running, 0)]);
    live(&mut cluster, &[a, b], 30);
    assert!(!stops(&cluster.heard(a)));
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(1), 4));
}

#[test]
fn it_leaves_a_worker_that_is_drained_and_makes_room_for_a_job_with_a_number_of_its_own() {
    let (mut cluster, a, b) = running(1024);
    cluster.ask(ClientRequest::DrainWorker { worker: WorkerId("b".into()), draining: true }).unwrap();
    assert!(stops(&cluster.heard(a)), "at once");
    end_attempt(&mut cluster, &[a, b], 1);
    assert_eq!(slots(&cluster), 2);
    assert_eq!(cluster.job().execution.as_ref().unwrap().placement.workers.len(), 1);

    let (mut cluster, a, b) = running(1024);
    let settings = cluster.settings(0);
    cluster
        .ask(ClientRequest::SubmitJob(SubmitJob {
            namespace: "default".into(),
            name: "fixed".into(),
            graph: Arc::new(JobGraph::new()),
            fingerprint: "g".into(),
            sql: String::new(),
            parallelism: 3,
            settings,
            scaling: None,
            awaits_state: false,
        }))
        .unwrap();
    assert!(stops(&cluster.heard(a)), "at once");
    end_attempt(&mut cluster, &[a, b], 1);
    assert_eq!(slots(&cluster), 1);
    let fixed = &cluster.node.state().jobs[&JobId(2)];
    assert_eq!(fixed.execution.as_ref().map(|execution| execution.placement.slots.len()), Some(3));
}

#[test]
fn a_new_leader_lets_it_settle_anew() {
    let (mut cluster, a, b) = running(1024);
    cluster.connect(3, "c", 1, vec![]);
    live(&mut cluster, &[a, b, SessionId(3)], 9);
    let mut cluster = cluster.restart();
    let runs = || vec![status(1, AttemptPhase::Running, 0)];
    let (a, b, c) =
        (cluster.connect(5, "a", 1, runs()), cluster.connect(6, "b", 1, runs()), cluster.connect(7, "c", 1, vec![]));
    live(&mut cluster, &[a, b, c], 8);
    assert!(!stops(&cluster.heard(a)));
    live(&mut cluster, &[a, b, c], 3);
    assert!(stops(&cluster.heard(a)));
}

#[test]
fn the_same_submission_changes_nothing_and_a_number_ends_it() {
    let (mut cluster, a, _) = running(1024);
    let submitted = |answer| match answer {
        Ok(ClientResponse::Submitted { already_there, updated, .. }) => (already_there, updated),
        other => panic!("{other:?}"),
    };
    let again = cluster.submit_scaled(JobGraph::new(), 1, 0, elastic(1024));
    assert_eq!(submitted(again), (true, false));
    let unsaid = cluster.submit_scaled(JobGraph::new(), 1, 0, None);
    assert_eq!(submitted(unsaid), (true, false), "nothing is said of slots");
    let bounded = cluster.submit_scaled(JobGraph::new(), 1, 0, elastic(9));
    assert_eq!(submitted(bounded), (true, true));
    assert!(!stops(&cluster.heard(a)), "nobody has to stop for that");
    let fixed = cluster.submit_scaled(JobGraph::new(), 2, 0, Some(Scaling::by_hand()));
    assert_eq!(submitted(fixed), (true, true));
    assert_eq!((cluster.job().parallelism, &cluster.job().scaling), (2, &None));
    assert!(stops(&cluster.heard(a)));
}

#[test]
fn workers_are_asked_for_that_jobs_lack() {
    let (mut cluster, a, b) = running(1024);
    let asked = |cluster: &mut Cluster| {
        live(cluster, &[SessionId(1), SessionId(2)], 2);
        std::mem::take(&mut cluster.asked_workers).pop()
    };
    assert_eq!(asked(&mut cluster), None, "there are enough");
    let wish = Scaling { min_slots: 7, ..elastic(1024).unwrap() };
    cluster.ask(ClientRequest::SetScaling { job: JobRef::Id(JobId(1)), scaling: wish }).unwrap();
    assert_eq!(asked(&mut cluster), Some(4), "seven slots are four workers with two each");
    cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(JobId(1)) }).unwrap();
    assert_eq!(asked(&mut cluster), None, "nobody is sent away at once");
    live(&mut cluster, &[a, b], 620);
    assert_eq!(cluster.asked_workers.last(), Some(&1));
}

#[test]
fn a_job_that_has_waited_for_workers_begins_with_all_that_it_may_have() {
    let mut cluster = Cluster::new();
    cluster.submit_scaled(JobGraph::new(), 1, 0, elastic(1024)).unwrap();
    let a = cluster.connect(1, "a", 1, vec![]);
    run_attempt(&mut cluster, &[a]);
    assert_eq!((cluster.job().attempt, slots(&cluster)), (Attempt(1), 2));
    assert!(!stops(&cluster.heard(a)));
}
