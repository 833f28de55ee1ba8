//! What sinks have written, and what the cluster holds to be committed: when the two agree.

use weir_core::audit::{AuditedEpoch, AuditedSink, Found};
use weir_proto::client::{SinkAudit, SinksAudit, verdict};
use weir_proto::control::{AuditFindings, Failure};

use super::leftovers::running;
use super::*;

/// Asks for an audit; nobody answers before a worker has.
fn ask(cluster: &mut Cluster) {
    cluster.next += 1;
    let request = ClientRequest::AuditSinks { job: JobRef::Id(JobId(1)) };
    cluster.step(Event::Client(RequestId(cluster.next), Caller::trusted(), request));
}

fn answer(cluster: &mut Cluster) -> Result<SinksAudit, ClientError> {
    cluster.answers.pop().expect("there is an answer").map(|answer| match answer {
        ClientResponse::SinksAudited(audit) => audit,
        other => panic!("{other:?}"),
    })
}

/// The answer to the audit of this number of a leader.
fn says(cluster: &mut Cluster, session: SessionId, number: u64, sink: Result<Option<AuditedSink>, Failure>) {
    finds(cluster, session, number, AuditFindings { unread: Vec::new(), sinks: vec![sink] });
}

fn finds(cluster: &mut Cluster, session: SessionId, number: u64, findings: AuditFindings) {
    let term = cluster.node.leader.as_ref().unwrap().term();
    cluster.say(session, FromWorker::Audited { id: (term << 32) + number, findings: Ok(findings) });
}

/// What the system says: up to which epoch, and what of which checkpoint.
fn account(last: Option<u64>, epochs: &[(u64, Found)]) -> AuditedSink {
    let epoch = |(epoch, found): &(u64, Found)| AuditedEpoch {
        epoch: Epoch(*epoch),
        found: *found,
        rows: Some(epoch * 10),
        files: None,
    };
    AuditedSink {
        target: "there".into(),
        marker: "beside it".into(),
        last: last.map(Epoch),
        absent: false,
        epochs: epochs.iter().map(epoch).collect(),
    }
}

/// A job with one checkpoint that is committed, and one that is being committed.
fn committing() -> (Cluster, SessionId) {
    let (mut cluster, a) = running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.say(a, committed(1));
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 2);
    cluster.heard(a);
    let checkpoints = cluster.job().checkpoints.iter().map(|checkpoint| (checkpoint.epoch.0, checkpoint.committed));
    assert_eq!(checkpoints.collect::<Vec<_>>(), [(1, true), (2, false)]);
    (cluster, a)
}

/// What becomes of an account, in a word and a sentence.
fn judged(account: AuditedSink) -> (String, String) {
    let (mut cluster, a) = committing();
    ask(&mut cluster);
    says(&mut cluster, a, 1, Ok(Some(account)));
    let audit = answer(&mut cluster).unwrap();
    let SinkAudit { verdict, reason, .. } = audit.sinks[0].clone();
    assert_eq!(audit.passes(), verdict == verdict::AGREES);
    (verdict, reason.unwrap_or_default())
}

#[test]
fn an_account_is_compared_with_what_was_committed_and_what_may_be() {
    use Found::{Missing, Partly, Unknown, Written};
    let agrees = |account| assert_eq!(judged(account), (verdict::AGREES.to_owned(), String::new()));
    agrees(account(Some(1), &[(1, Written), (2, Missing)]));
    agrees(account(Some(1), &[(1, Written), (2, Partly)]));
    agrees(account(Some(2), &[(1, Written), (2, Written)]));
    // A checkpoint without rows of the sink.
    agrees(account(Some(2), &[(2, Written)]));
    agrees(account(None, &[]));
    let disagrees = |account, why: &str| assert_eq!(judged(account), (verdict::DISAGREES.to_owned(), why.to_owned()));
    disagrees(account(None, &[(1, Missing), (2, Missing)]), "epoch 1 was committed, and is not there");
    disagrees(account(Some(1), &[(1, Partly)]), "epoch 1 was committed, and not all of it is there");
    disagrees(account(None, &[(2, Unknown)]), "it cannot be told whether epoch 2 is there");
    disagrees(account(Some(3), &[(1, Written)]), "epoch 3 is there, and the last completed one is 2");
}

#[test]
fn what_is_completed_and_committed_while_the_question_is_under_way_is_no_contradiction() {
    let (mut cluster, a) = committing();
    ask(&mut cluster);
    assert_eq!(cluster.heard(a).len(), 1);
    cluster.say(a, committed(2));
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 3);
    says(&mut cluster, a, 1, Ok(Some(account(Some(3), &[(1, Found::Written), (2, Found::Missing)]))));
    let audit = answer(&mut cluster).unwrap();
    assert!(audit.passes(), "epoch 2 was not committed when it was asked for: {audit:?}");
    let shown: Vec<_> = audit.sinks[0].epochs.iter().map(|at| (at.epoch.0, at.committed, at.found.as_str())).collect();
    assert_eq!(shown, [(1, true, "written"), (2, false, "missing")]);
    assert_eq!((audit.last_completed, audit.sinks[0].written), (Epoch(3), Some(Epoch(3))));
}

#[test]
fn a_sink_that_cannot_be_asked_is_no_agreement_and_one_without_an_account_no_contradiction() {
    let (mut cluster, a) = committing();
    ask(&mut cluster);
    says(&mut cluster, a, 1, Err(failure(ErrorKind::Environment, false)));
    let audit = answer(&mut cluster).unwrap();
    assert_eq!((audit.sinks[0].verdict.as_str(), audit.passes()), (verdict::NOT_AUDITED, false));
    ask(&mut cluster);
    says(&mut cluster, a, 2, Ok(None));
    let audit = answer(&mut cluster).unwrap();
    assert_eq!((audit.sinks[0].verdict.as_str(), audit.passes()), (verdict::NO_ACCOUNT, true));
}

#[test]
fn a_checkpoint_that_cannot_be_read_counts_if_it_is_still_kept() {
    for (epoch, passes) in [(1, false), (7, true)] {
        let (mut cluster, a) = committing();
        ask(&mut cluster);
        let unread = vec![(Epoch(epoch), failure(ErrorKind::Environment, false))];
        let sinks = vec![Ok(Some(account(Some(2), &[(2, Found::Written)])))];
        finds(&mut cluster, a, 1, AuditFindings { unread, sinks });
        assert_eq!(answer(&mut cluster).unwrap().passes(), passes, "{epoch}");
    }
}

#[test]
fn who_waits_is_told_when_the_worker_goes_or_is_slow_or_there_is_none() {
    let (mut cluster, a) = committing();
    let other = cluster.connect(2, "b", 1, vec![]);
    ask(&mut cluster);
    says(&mut cluster, other, 1, Ok(None));
    assert!(cluster.answers.is_empty(), "only who was asked has an answer");
    cluster.step(Event::WorkerDisconnected(a));
    assert_eq!(answer(&mut cluster).unwrap_err().kind, ClientErrorKind::Unavailable);
    ask(&mut cluster);
    for _ in 0..30 {
        cluster.say(other, FromWorker::Heartbeat(Heartbeat::default()));
        cluster.pass(Duration::from_secs(1));
    }
    assert!(answer(&mut cluster).unwrap_err().message.contains("have not answered within 25 s"));
    cluster.step(Event::WorkerDisconnected(other));
    ask(&mut cluster);
    assert_eq!(answer(&mut cluster).unwrap_err().kind, ClientErrorKind::Conflict);
}

#[test]
fn there_are_so_many_audits_at_once_and_no_more() {
    let (mut cluster, a) = committing();
    (0..8).for_each(|_| ask(&mut cluster));
    assert!(cluster.answers.is_empty());
    ask(&mut cluster);
    assert!(answer(&mut cluster).unwrap_err().message.contains("8 audits are under way"));
    says(&mut cluster, a, 3, Ok(None));
    assert!(answer(&mut cluster).unwrap().passes());
    ask(&mut cluster);
    assert!(cluster.answers.is_empty(), "there is room again");
}

#[test]
fn an_answer_to_the_leader_of_an_earlier_term_or_for_other_sinks_is_taken_for_no_account() {
    let (mut cluster, a) = committing();
    ask(&mut cluster);
    cluster.say(
        a,
        FromWorker::Audited { id: 1, findings: Ok(AuditFindings { unread: Vec::new(), sinks: vec![Ok(None)] }) },
    );
    assert!(cluster.answers.is_empty(), "that number is not of this term");
    finds(&mut cluster, a, 1, AuditFindings { unread: Vec::new(), sinks: vec![] });
    ask(&mut cluster);
    finds(&mut cluster, a, 2, AuditFindings { unread: Vec::new(), sinks: vec![Ok(None), Ok(None)] });
    for _ in 0..2 {
        let audit = answer(&mut cluster).unwrap();
        assert_eq!((audit.sinks.len(), audit.sinks[0].verdict.as_str()), (1, verdict::NOT_AUDITED));
    }
}

#[test]
fn where_nothing_is_known_nothing_agrees() {
    let not_audited = |judged: (String, String), why: &str| {
        assert!(judged.0 == verdict::NOT_AUDITED && judged.1.contains(why), "{judged:?}");
    };
    not_audited(judged(AuditedSink { absent: true, ..account(None, &[]) }), "there is no account");

    // All checkpoints that were asked about are given up meanwhile.
    let (mut cluster, a) = committing();
    ask(&mut cluster);
    let unread = [1, 2].map(|epoch| (Epoch(epoch), failure(ErrorKind::Environment, false)));
    cluster.say(a, committed(2));
    for epoch in 3..20 {
        cluster.pass(Duration::from_secs(1));
        cluster.report(a, epoch);
        cluster.say(a, committed(epoch));
    }
    assert!(cluster.job().checkpoints.iter().all(|kept| kept.epoch > Epoch(2)));
    finds(&mut cluster, a, 1, AuditFindings { unread: unread.into(), sinks: vec![Ok(Some(account(Some(9), &[])))] });
    let SinkAudit { verdict, reason, .. } = answer(&mut cluster).unwrap().sinks.remove(0);
    not_audited((verdict, reason.unwrap()), "have been given up meanwhile");
}

#[test]
fn a_sink_that_has_not_begun_agrees_before_the_first_checkpoint() {
    let (mut cluster, a) = running();
    ask(&mut cluster);
    says(&mut cluster, a, 1, Ok(Some(AuditedSink { absent: true, ..account(None, &[]) })));
    assert!(answer(&mut cluster).unwrap().passes());
}

#[test]
fn a_worker_that_does_not_audit_is_not_asked() {
    let (mut cluster, a) = committing();
    cluster.step(Event::WorkerDisconnected(a));
    let older = Hello { audits: false, ..hello("b", 1, vec![]) };
    cluster.step(Event::WorkerConnected(SessionId(2), older));
    ask(&mut cluster);
    assert_eq!(answer(&mut cluster).unwrap_err().kind, ClientErrorKind::Conflict);
}
