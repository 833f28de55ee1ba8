//! Markers of all kinds, as workers are given them.

use super::*;

fn at(last: Marker, captures: &[u64]) -> AttemptStatus {
    let capture = |epoch: &u64| Marker { epoch: Epoch(*epoch), kind: MarkerKind::Checkpoint };
    AttemptStatus {
        last_kind: Some(last.kind),
        captures: captures.iter().map(capture).collect(),
        ..status(1, AttemptPhase::Running, last.epoch.0)
    }
}

fn flush(epoch: u64) -> Marker {
    Marker { epoch: Epoch(epoch), kind: MarkerKind::Flush }
}

#[test]
fn a_worker_that_wants_a_marker_has_all_flush() {
    let (mut cluster, a, b) = Cluster::running();
    let wants = AttemptStatus { wants_marker: true, ..status(1, AttemptPhase::Running, 0) };
    cluster.say(b, FromWorker::Status(wants.clone()));
    cluster.pass(Duration::from_millis(60));
    assert_eq!((cluster.heard(a), cluster.heard(b)), (vec!["Flush 1".to_owned()], vec!["Flush 1".to_owned()]));
    cluster.pass(Duration::from_secs(1));
    assert_eq!((cluster.heard(a), cluster.heard(b).len()), (vec!["Checkpoint 2".to_owned()], 1));
    cluster.say(b, FromWorker::Status(AttemptStatus { wants_marker: true, ..at(flush(1), &[]) }));
    cluster.pass(Duration::from_millis(60));
    assert_eq!(cluster.heard(a), ["Flush 3"], "while the checkpoint is gathered");
}

#[test]
fn a_new_leader_gives_every_worker_the_markers_that_the_others_had() {
    let (cluster, ..) = Cluster::running();
    let mut cluster = cluster.restart();
    let a = cluster.connect(3, "a", 1, vec![at(flush(4), &[2])]);
    let b = cluster.connect(4, "b", 1, vec![at(flush(1), &[])]);
    assert_eq!(cluster.heard(b), ["welcome", "Checkpoint 2", "Flush 3", "Flush 4"]);
    assert_eq!(cluster.heard(a), ["welcome"]);
    cluster.report(a, 2);
    cluster.report(b, 2);
    assert_eq!(cluster.heard(a), ["completed 2", "commit 2"], "the checkpoint behind which the others were flushed");
    cluster.say(a, committed(2));
    let begun = cluster.ask(ClientRequest::TakeSavepoint { job: JobRef::Id(JobId(1)) }).unwrap();
    assert!(matches!(begun, ClientResponse::SavepointBegun { after: Epoch(4) }), "{begun:?}");
    assert_eq!(cluster.heard(b).last().unwrap(), "Savepoint 5");
}

#[test]
fn a_new_leader_begins_no_checkpoint_before_the_last_one_is_committed() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.report(b, 1);
    assert!(!cluster.job().checkpoints[0].committed);
    let mut cluster = cluster.restart();
    let checkpoint = Marker { epoch: Epoch(1), kind: MarkerKind::Checkpoint };
    let a = cluster.connect(3, "a", 1, vec![at(checkpoint, &[1])]);
    cluster.connect(4, "b", 1, vec![at(checkpoint, &[1])]);
    assert!(cluster.heard(a).contains(&"commit 1".to_owned()));
    for _ in 0..4 {
        cluster.pass(Duration::from_millis(500));
        for session in [3, 4] {
            cluster.say(SessionId(session), FromWorker::Heartbeat(Default::default()));
        }
    }
    assert_eq!(cluster.heard(a), [""; 0], "though the interval is over");
    cluster.say(a, committed(1));
    cluster.pass(Duration::from_millis(500));
    assert_eq!(cluster.heard(a), ["Checkpoint 2"]);
}

/// The flush marker goes again to those who may have missed it, and the stop follows at once: each with the kind that it has.
#[test]
fn a_new_leader_stops_a_job_whose_last_marker_captured_nothing() {
    let (mut cluster, ..) = Cluster::running();
    cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
    let mut cluster = cluster.restart();
    let a = cluster.connect(3, "a", 1, vec![at(flush(4), &[])]);
    let b = cluster.connect(4, "b", 1, vec![at(flush(3), &[])]);
    assert_eq!(cluster.heard(a), ["welcome", "Stop 5"]);
    assert_eq!(cluster.heard(b), ["welcome", "Flush 4", "Stop 5"]);
}
