//! Files of plugins that come and go.

use super::*;
use weir_proto::version;

use crate::access::tests::{graph_calling, graph_calling_isolated, graph_isolated};

pub(super) fn named(cluster: &mut Cluster, name: &str, graph: JobGraph) -> ClientRequest {
    let settings = cluster.settings(1000);
    ClientRequest::SubmitJob(SubmitJob {
        namespace: "default".into(),
        name: name.into(),
        graph: Arc::new(graph),
        fingerprint: name.into(),
        sql: "SELECT 1".into(),
        parallelism: 1,
        settings,
        awaits_state: false,
        scaling: None,
    })
}

#[test]
fn a_job_whose_file_is_about_to_be_deleted_is_answered_when_it_is() {
    let mut cluster = Cluster::new();
    let hash = "ab".repeat(32);
    let root = format!("{}/{}/artifacts", cluster.node.state().storage, cluster.node.state().cluster);
    let files = cluster.storage.open(&root).unwrap();
    files.put(&hash, b"content").unwrap();
    let first = named(&mut cluster, "first", graph_calling(&hash));
    let Ok(ClientResponse::Submitted { job, .. }) = cluster.ask(first) else { panic!("refused") };
    cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(job) }).unwrap();
    cluster.storage_hangs = true;
    cluster.ask(ClientRequest::DeleteJob { job: JobRef::Id(job), discard_results: false }).unwrap();

    // Another job that brings the file comes before it is deleted, and one that brings none.
    let second = named(&mut cluster, "second", graph_calling(&hash));
    cluster.step(Event::Client(RequestId(1000), Caller::trusted(), second));
    assert!(cluster.answers.is_empty(), "{:?}", cluster.answers);
    assert_eq!(cluster.node.state().jobs.len(), 1, "it is there already");
    let plain = named(&mut cluster, "plain", JobGraph::new());
    cluster.ask(plain).unwrap();
    cluster.storage_goes_on();
    assert!(matches!(cluster.answers.pop(), Some(Ok(ClientResponse::Submitted { .. }))));
    assert_eq!(files.list("").unwrap(), [""; 0], "the client puts it there again");

    // What is decided from now on knows the job.
    files.put(&hash, b"content").unwrap();
    let third = named(&mut cluster, "third", graph_calling(&"cd".repeat(32)));
    cluster.ask(third).unwrap();
    assert_eq!(files.list("").unwrap(), [hash]);
}

/// Request 1000 waits for a storage that does not answer; and what it asked for.
fn waiting_for_storage() -> (Cluster, ClientRequest) {
    let mut cluster = Cluster::new();
    let hash = "ab".repeat(32);
    cluster.storage_hangs = true;
    let first = named(&mut cluster, "first", graph_calling(&hash));
    cluster.ask(first).unwrap();
    let second = named(&mut cluster, "second", graph_calling(&hash));
    cluster.step(Event::Client(RequestId(1000), Caller::trusted(), second.clone()));
    (cluster, second)
}

#[test]
fn whoever_waits_for_a_storage_that_hangs_is_told_so_and_may_ask_again() {
    let (mut cluster, second) = waiting_for_storage();
    cluster.pass(Duration::from_secs(19));
    assert!(cluster.answers.is_empty(), "{:?}", cluster.answers);
    cluster.pass(Duration::from_secs(2));
    let told = cluster.answers.pop().unwrap().unwrap_err();
    assert!(told.message.contains("the checkpoint storage"), "{told:?}");
    // Who asks again waits for the same, and no longer than it takes.
    cluster.step(Event::Client(RequestId(1001), Caller::trusted(), second));
    assert!(cluster.answers.is_empty(), "{:?}", cluster.answers);
    cluster.storage_goes_on();
    assert!(matches!(cluster.answers.pop(), Some(Ok(ClientResponse::Submitted { already_there: true, .. }))));
}

#[test]
fn whoever_waits_for_files_to_be_deleted_is_told_when_another_leads() {
    let (mut cluster, _) = waiting_for_storage();
    assert!(cluster.answers.is_empty(), "{:?}", cluster.answers);
    let mut effects = Vec::new();
    let leader = cluster.node.leader.take().unwrap();
    cluster.node.step_down(&leader, &mut effects);
    let told = effects.iter().any(|effect| matches!(effect, Effect::Reply(RequestId(1000), Err(_))));
    assert!(told, "{effects:?}");
}

/// Dataflows that isolate plugins, each with the last protocol in which workers did not do that: those that isolate operators alone know nothing
/// of functions.
fn isolated_and_too_old() -> [(JobGraph, u32); 2] {
    [(graph_isolated(), version::ISOLATES - 1), (graph_calling_isolated(), version::ISOLATES)]
}

/// A worker of an earlier version; it is as welcome as others.
fn connect_old(cluster: &mut Cluster, session: u64, worker: &str, protocol: u32) -> SessionId {
    let session = SessionId(session);
    let old = Hello { protocol, ..hello(worker, 1, vec![]) };
    cluster.step(Event::WorkerConnected(session, old));
    assert_eq!(cluster.heard(session), ["welcome"]);
    session
}

fn is_deployed(heard: &[String]) -> bool {
    heard.iter().any(|said| said.starts_with("deploy"))
}

#[test]
fn a_job_that_isolates_its_plugins_runs_on_workers_that_do_and_waits_rather_than_on_older_ones() {
    for (graph, too_old) in isolated_and_too_old() {
        runs_on_workers_that_isolate(graph, too_old);
    }
}

fn runs_on_workers_that_isolate(graph: JobGraph, too_old: u32) {
    let mut cluster = Cluster::new();
    let (a, b) = (cluster.connect(1, "a", 1, vec![]), connect_old(&mut cluster, 2, "b", too_old));
    cluster.submit_graph(graph, 4).unwrap();
    cluster.pass(Duration::from_secs(4));
    assert!(!is_deployed(&cluster.heard(a)) && !is_deployed(&cluster.heard(b)));
    assert_eq!((cluster.job().attempt, &cluster.job().last_failure), (Attempt(0), &None), "it is not tried in vain");
    let request = ClientRequest::DescribeJob { job: JobRef::Id(JobId(1)), graph: false };
    let Ok(ClientResponse::Job(told)) = cluster.ask(request) else { panic!("it is there") };
    assert_eq!(
        told.summary.waiting_for.unwrap(),
        "needs 4 slots; 2 free on 1 worker (2 more are on workers that are too old to run plugins in processes of their own): \
         upgrade such workers, or add one"
    );
    // It is started when the worker has been replaced.
    cluster.step(Event::WorkerDisconnected(b));
    let b = cluster.connect(3, "b", 2, vec![]);
    cluster.pass(Duration::from_secs(5));
    assert!(is_deployed(&cluster.heard(a)) && is_deployed(&cluster.heard(b)));
}

#[test]
fn an_older_worker_gets_other_jobs_and_none_that_isolates_its_plugins() {
    for (graph, too_old) in isolated_and_too_old() {
        is_not_on_an_older_worker(graph, too_old);
    }
}

fn is_not_on_an_older_worker(graph: JobGraph, too_old: u32) {
    let mut cluster = Cluster::new();
    let (a, b) = (connect_old(&mut cluster, 1, "a", too_old), cluster.connect(2, "b", 1, vec![]));
    let isolated = named(&mut cluster, "isolated", graph);
    cluster.ask(isolated).unwrap();
    assert!(
        !is_deployed(&cluster.heard(a)) && is_deployed(&cluster.heard(b)),
        "of equals the first by name would have it"
    );
    let plain = named(&mut cluster, "plain", JobGraph::new());
    cluster.ask(plain).unwrap();
    assert!(is_deployed(&cluster.heard(a)) && !is_deployed(&cluster.heard(b)));
}

#[test]
fn no_worker_that_would_run_a_plugins_sink_in_its_own_process_commits_what_isolates_it() {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    cluster.submit_graph(graph_calling_isolated(), 2).unwrap();
    cluster.phase(a, 1, AttemptPhase::Ready);
    cluster.phase(a, 1, AttemptPhase::Running);
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    assert!(cluster.heard(a).contains(&"commit 1".to_owned()));
    // Whoever is left cannot do it.
    cluster.step(Event::WorkerDisconnected(a));
    let b = SessionId(2);
    cluster.step(Event::WorkerConnected(b, Hello { protocol: version::ISOLATES, ..hello("b", 1, vec![]) }));
    cluster.pass(Duration::from_secs(60));
    let heard = cluster.heard(b);
    assert!(!heard.iter().any(|said| said.starts_with("commit")), "{heard:?}");
    let c = cluster.connect(3, "c", 1, vec![]);
    cluster.pass(Duration::from_secs(60));
    let heard = cluster.heard(c);
    assert!(heard.iter().any(|said| said.starts_with("commit")), "{heard:?}");
}
