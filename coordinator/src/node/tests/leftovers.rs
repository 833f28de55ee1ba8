//! What workers are told to remove behind jobs that have ended.

use super::*;

/// A dataflow with a table behind it.
fn into_table() -> JobGraph {
    let schema = Arc::new(arrow_schema::Schema::empty());
    let table = TableSpec::new("o", "filesystem", BTreeMap::new(), schema.clone());
    let mut graph = JobGraph::new();
    let operator = OperatorSpec::Sink(SinkSpec { table });
    graph.add(NodeSpec::new("Sink(o)", operator, Vec::new(), schema));
    graph
}

/// A job that runs, and the session of its worker.
pub(super) fn running() -> (Cluster, SessionId) {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    cluster.submit_graph(into_table(), 1).unwrap();
    for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
        cluster.phase(a, 1, phase);
    }
    cluster.heard(a);
    (cluster, a)
}

fn discards(cluster: &mut Cluster, session: SessionId) -> Vec<String> {
    cluster.heard(session).into_iter().filter(|heard| heard.starts_with("discard")).collect()
}

#[test]
fn what_a_job_had_prepared_in_vain_goes_when_it_is_cancelled_and_the_rest_when_it_is_deleted() {
    let (mut cluster, a) = running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.say(a, committed(1));
    assert_eq!(discards(&mut cluster, a), [""; 0]);
    cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(JobId(1)) }).unwrap();
    assert_eq!(discards(&mut cluster, a), ["discard Some((Attempt(1), Epoch(1)))"]);
    cluster.ask(ClientRequest::DeleteJob { job: JobRef::Id(JobId(1)), discard_results: false }).unwrap();
    assert_eq!(discards(&mut cluster, a), ["discard None"]);
}

#[test]
fn what_a_job_had_prepared_in_vain_goes_when_it_has_failed_for_good_and_not_before() {
    let (mut cluster, a) = running();
    cluster.phase(a, 1, AttemptPhase::Failed(failure(ErrorKind::Environment, false)));
    assert_eq!(discards(&mut cluster, a), [""; 0], "it is started again");
    let (mut cluster, a) = running();
    cluster.phase(a, 1, AttemptPhase::Failed(failure(ErrorKind::User, false)));
    assert_eq!(cluster.job().status.to_string(), "failed");
    assert_eq!(discards(&mut cluster, a), ["discard Some((Attempt(1), Epoch(0)))"]);
}

#[test]
fn two_jobs_have_two_identities_also_if_one_takes_the_name_of_the_other() {
    let (cluster, _) = running();
    let identity = |cluster: &Cluster| {
        let (id, job) = cluster.node.state().jobs.last_key_value().unwrap();
        cluster.node.state().identity(*id, job)
    };
    let first = identity(&cluster);
    let same = cluster.restart();
    assert_eq!(identity(&same), first);
    let mut cluster = same;
    cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(JobId(1)) }).unwrap();
    cluster.ask(ClientRequest::DeleteJob { job: JobRef::Id(JobId(1)), discard_results: false }).unwrap();
    cluster.submit_graph(into_table(), 1).unwrap();
    assert_ne!(identity(&cluster), first);
}
