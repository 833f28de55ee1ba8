//! Who is asked to commit, and whose word counts.

use super::*;

/// A job whose checkpoint is decided, and is being committed by the first worker.
fn committing() -> (Cluster, SessionId, SessionId) {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.report(b, 1);
    assert_eq!(cluster.heard(a).last().unwrap(), "commit 1");
    (cluster, a, b)
}

#[test]
fn a_worker_that_comes_back_repeats_its_last_commit_and_that_is_no_answer() {
    let (mut cluster, a, b) = committing();
    cluster.say(a, committed(1));
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 2);
    cluster.report(b, 2);
    assert_eq!(cluster.heard(a).last().unwrap(), "commit 2");
    let a = cluster.connect(3, "a", 1, vec![status(1, AttemptPhase::Running, 2)]);
    assert!(cluster.heard(a).contains(&"commit 2".to_owned()), "whether the first request was heard nobody knows");
    cluster.say(a, committed(1));
    assert!(!cluster.job().checkpoints.last().unwrap().committed);
    cluster.say(a, committed(2));
    assert!(cluster.job().checkpoints.last().unwrap().committed, "without being asked once more");
}

#[test]
fn a_worker_is_welcomed_before_it_is_told_to_commit() {
    let (mut cluster, ..) = committing();
    let a = cluster.connect(3, "a", 1, vec![status(1, AttemptPhase::Running, 1)]);
    let heard = cluster.heard(a);
    assert_eq!(heard.first().unwrap(), "welcome");
    assert!(heard.contains(&"commit 1".to_owned()), "{heard:?}");
}
