//! A job is submitted again with other settings.

use super::*;

/// A job that reads a table with this error policy.
fn graph(policy: &str) -> JobGraph {
    let options = BTreeMap::from([("error-policy".to_owned(), policy.to_owned())]);
    let mut table = TableSpec::new("t", "filesystem", options, Arc::new(arrow_schema::Schema::empty()));
    table.settings.insert("error-policy".into());
    let mut graph = JobGraph::new();
    graph.discover(&table);
    graph
}

fn policy(graph: &JobGraph) -> &str {
    let OperatorSpec::Discover(discover) = &graph.nodes()[0].spec.operator else { panic!("it finds splits") };
    &discover.table.options["error-policy"]
}

fn submitted(answer: Result<ClientResponse, ClientError>) -> (bool, bool) {
    let ClientResponse::Submitted { already_there, updated, .. } = answer.unwrap() else { panic!() };
    (already_there, updated)
}

/// The policy that each deployment has been given.
fn deployed(cluster: &mut Cluster, session: SessionId) -> Vec<(u64, String)> {
    let said = std::mem::take(&mut cluster.said).into_iter();
    let deploys = said.filter(|(to, _)| *to == session).filter_map(|(_, message)| match message {
        ToWorker::Deploy(deploy) => Some((deploy.attempt.0, policy(&deploy.graph).to_owned())),
        _ => None,
    });
    deploys.collect()
}

#[test]
fn a_running_job_goes_on_with_other_settings_from_a_checkpoint() {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    assert_eq!(submitted(cluster.submit_with(graph("fail"), 1, 1000)), (false, false));
    assert_eq!(deployed(&mut cluster, a), [(1, "fail".to_owned())]);
    // Its attempt is on its way: it is what it was told to be.
    assert_eq!(submitted(cluster.submit_with(graph("skip"), 1, 1000)), (true, true));
    assert_eq!(submitted(cluster.submit_with(graph("skip"), 1, 1000)), (true, false));
    cluster.phase(a, 1, AttemptPhase::Ready);
    cluster.phase(a, 1, AttemptPhase::Running);
    assert_eq!(cluster.heard(a), ["start 1", "Stop 1"]);
    cluster.report(a, 1);
    cluster.say(a, FromWorker::Status(status(1, AttemptPhase::Ended, 1)));
    cluster.say(a, committed(1));
    assert_eq!(deployed(&mut cluster, a), [(2, "skip".to_owned())]);
    assert!(!cluster.job().checkpoints[0].savepoint, "nobody asked to keep it");

    cluster.phase(a, 2, AttemptPhase::Ready);
    cluster.phase(a, 2, AttemptPhase::Running);
    cluster.heard(a);
    assert_eq!(submitted(cluster.submit_with(graph("skip"), 1, 100)), (true, true));
    assert_eq!(cluster.heard(a), ["Stop 2"], "the interval is another one");
    assert_eq!(submitted(cluster.submit_with(graph("skip"), 1, 100)), (true, false));
    assert_eq!(submitted(cluster.submit_with(graph("skip"), 2, 100)), (true, true));
    assert_eq!(cluster.job().parallelism, 2);
}

#[test]
fn a_job_that_has_failed_can_be_given_other_settings_and_goes_on_with_them() {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    cluster.submit_with(graph("fail"), 1, 1000).unwrap();
    cluster.phase(a, 1, AttemptPhase::Failed(failure(ErrorKind::User, false)));
    assert_eq!(cluster.job().status.to_string(), "failed");
    deployed(&mut cluster, a);
    let same = cluster.submit_with(graph("fail"), 1, 1000).unwrap_err();
    assert!(same.help.unwrap().contains("`weir jobs restart 1` has it go on as it was"));
    assert_eq!(submitted(cluster.submit_with(graph("skip"), 1, 1000)), (true, true));
    assert_eq!(cluster.job().status.to_string(), "failed", "whoever wants it to go on says so");
    cluster.ask(ClientRequest::RestartJob { job: JobRef::Id(JobId(1)), from: None, adopted: None }).unwrap();
    assert_eq!(deployed(&mut cluster, a), [(2, "skip".to_owned())]);
}
