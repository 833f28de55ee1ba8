//! Another version of a job is looked at before the job goes on with it.

use weir_core::ChangelogKind;
use weir_core::plugin::{Artifact, ArtifactHash, PluginSpec};
use weir_proto::control::{FromWorker, Misfits};

use super::*;

/// A job of one operator, in the plugin whose hash begins with this byte.
fn version(byte: u8) -> JobGraph {
    let columns = || Arc::new(arrow_schema::Schema::empty());
    let hash = ArtifactHash::from_bytes([byte; 32]);
    let artifact =
        Artifact { hash, name: "p".into(), version: byte.to_string(), folder: Some("file:///plugins".into()) };
    let plugin = PluginSpec {
        artifact: Some(artifact),
        operator: "count".into(),
        config: Vec::new(),
        uid: None,
        inputs: Vec::new(),
        output: columns(),
        changelog: ChangelogKind::Append,
        side_outputs: Vec::new(),
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    };
    let mut graph = JobGraph::new();
    graph.add(NodeSpec::new("Plugin", OperatorSpec::Plugin(plugin), Vec::new(), columns()));
    graph
}

/// Asks for another version, which is not answered before a worker has looked. The number of the question.
fn submit(cluster: &mut Cluster, byte: u8) -> u64 {
    let settings = cluster.settings(1000);
    let submit = SubmitJob {
        namespace: "default".into(),
        name: "job".into(),
        graph: Arc::new(version(byte)),
        fingerprint: "f".into(),
        sql: "SELECT 1".into(),
        parallelism: 1,
        settings,
        awaits_state: false,
        scaling: None,
    };
    cluster.next += 1;
    cluster.step(Event::Client(RequestId(cluster.next), Caller::trusted(), ClientRequest::SubmitJob(submit)));
    let asked = cluster.said.iter().rev().find_map(|(_, message)| match message {
        ToWorker::CompareState { id, .. } => Some(*id),
        _ => None,
    });
    asked.unwrap_or_else(|| panic!("nobody was asked: {:?}", cluster.answers))
}

fn compared(id: u64, stored: &[&str], running: &[&str]) -> FromWorker {
    let sentences = |of: &[&str]| of.iter().map(|sentence| (*sentence).to_owned()).collect();
    FromWorker::StateCompared { id, misfits: Ok(Misfits { stored: sentences(stored), running: sentences(running) }) }
}

fn refused(cluster: &mut Cluster) -> String {
    let refused = cluster.answers.pop().expect("an answer").unwrap_err();
    format!("{} | {}", refused.message, refused.help.unwrap_or_default())
}

/// Version 1 runs on worker `a`, and has completed checkpoint 1.
fn running() -> (Cluster, SessionId) {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    cluster.submit_graph(version(1), 1).unwrap();
    cluster.phase(a, 1, AttemptPhase::Ready);
    cluster.phase(a, 1, AttemptPhase::Running);
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.say(a, committed(1));
    assert_eq!(cluster.job().checkpoints.len(), 1);
    cluster.heard(a);
    (cluster, a)
}

#[test]
fn one_that_does_not_fit_is_refused_with_the_reason_and_what_runs_is_left_alone() {
    let (mut cluster, a) = running();
    let before = cluster.job().clone();
    let id = submit(&mut cluster, 2);
    let asked = cluster.heard(a);
    assert!(
        asked[0].contains("Some(CheckpointRef { epoch: Epoch(1)") && asked[0].ends_with("running false"),
        "{asked:?}"
    );
    assert!(cluster.answers.is_empty(), "nobody has looked yet");
    cluster
        .say(a, compared(id, &["o/plugin count: state 'n' does not fit: column 'value' was Int64 and is Int32"], &[]));
    let refused = refused(&mut cluster);
    assert!(
        refused.starts_with(
            "job 1 is left as it is: this version could not go on with its state\n  checkpoint 1: o/plugin count: state 'n' does \
             not fit: column 'value' was Int64 and is Int32 | submit a version whose state fits"
        ),
        "{refused}"
    );
    assert_eq!(cluster.heard(a), [""; 0]);
    assert_eq!(*cluster.job(), before);
}

#[test]
fn one_that_fits_is_what_the_job_goes_on_with() {
    let (mut cluster, a) = running();
    let id = submit(&mut cluster, 2);
    cluster.heard(a);
    // What somebody else says is no answer.
    let b = cluster.connect(2, "b", 1, vec![]);
    cluster.say(b, compared(id, &["it does not"], &[]));
    assert!(cluster.answers.is_empty());
    cluster.say(a, compared(id, &[], &[]));
    let answer = cluster.answers.pop().unwrap().unwrap();
    assert!(matches!(answer, ClientResponse::Submitted { updated: true, unchecked: None, .. }), "{answer:?}");
    assert_eq!(cluster.heard(a), ["Stop 2"]);
    assert_eq!(cluster.job().wanted().graph.artifacts()[0].version, "2");
}

#[test]
fn as_long_as_an_attempt_has_no_checkpoint_of_its_own_it_counts_what_it_keeps() {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    cluster.submit_graph(version(1), 1).unwrap();
    let id = submit(&mut cluster, 2);
    assert_eq!(cluster.heard(a).last().unwrap(), &format!("compare state {id} with None, running true"));
    cluster.say(a, compared(id, &[], &["o/plugin count: state 'n' does not fit"]));
    let told = refused(&mut cluster);
    assert!(told.contains("what runs now: o/plugin count: state 'n' does not fit"), "{told}");
    assert!(told.ends_with("`weir jobs cancel 1` ends it without one, and then this version begins anew"), "{told}");

    // Version 2 runs from a checkpoint of version 1, which version 3 would fit.
    let (mut cluster, a) = running();
    let id = submit(&mut cluster, 2);
    cluster.say(a, compared(id, &[], &[]));
    cluster.answers.clear();
    cluster.report(a, 2);
    cluster.say(a, FromWorker::Status(status(1, AttemptPhase::Ended, 2)));
    cluster.say(a, committed(2));
    assert_eq!(cluster.job().attempt, Attempt(2));
    cluster.heard(a);
    let id = submit(&mut cluster, 3);
    let asked = cluster.heard(a);
    assert!(asked[0].contains("epoch: Epoch(2)") && asked[0].ends_with("running true"), "{asked:?}");
    cluster.say(a, compared(id, &[], &["o/plugin count: state 'n' does not fit"]));
    assert!(
        refused(&mut cluster)
            .contains("`weir jobs cancel 1` ends it without one, and then this version goes on from checkpoint 2")
    );
}

#[test]
fn whoever_waits_hears_when_nobody_will_say_and_nothing_has_changed() {
    let (mut cluster, a) = running();
    let before = cluster.job().clone();
    let id = submit(&mut cluster, 2);
    let failed = Failure { kind: ErrorKind::Environment, report: "the plugin p is not here".into(), peer_lost: false };
    cluster.say(a, FromWorker::StateCompared { id, misfits: Err(failed) });
    assert!(refused(&mut cluster).contains(
        "it cannot be told whether this version could go on with its state: the plugin p is not here | nothing was changed: submit it again"
    ));

    submit(&mut cluster, 2);
    cluster.step(Event::WorkerDisconnected(a));
    assert!(refused(&mut cluster).contains("is gone | nothing was changed: submit it again"));

    let a = cluster.connect(2, "a", 1, vec![status(1, AttemptPhase::Running, 1)]);
    submit(&mut cluster, 2);
    for _ in 0..30 {
        cluster.pass(Duration::from_secs(1));
        cluster.say(a, FromWorker::Heartbeat(Heartbeat::default()));
    }
    assert!(refused(&mut cluster).contains("has not said within 25 s"));
    assert_eq!(cluster.job().update, before.update);
}

#[test]
fn what_was_compared_with_another_job_than_it_is_now_decides_nothing() {
    let (mut cluster, a) = running();
    let (second, third) = (submit(&mut cluster, 2), submit(&mut cluster, 3));
    cluster.say(a, compared(second, &[], &[]));
    assert!(cluster.answers.pop().unwrap().is_ok());
    cluster.say(a, compared(third, &[], &[]));
    assert!(refused(&mut cluster).contains("job 1 was changed meanwhile"));
    assert_eq!(cluster.job().wanted().graph.artifacts()[0].version, "2");
}

/// What was answered since the last look: of each, whether the version is what the job goes on with by now.
fn taken(cluster: &mut Cluster) -> Vec<bool> {
    let answers = cluster.answers.drain(..);
    let is_updated = |answer: Result<ClientResponse, ClientError>| match answer {
        Ok(ClientResponse::Submitted { already_there: true, updated, .. }) => updated,
        other => panic!("{other:?}"),
    };
    answers.map(is_updated).collect()
}

#[test]
fn whoever_asks_again_waits_for_the_worker_that_looks_already() {
    let (mut cluster, a) = running();
    cluster.phase(a, 1, AttemptPhase::Failed(failure(ErrorKind::User, false)));
    assert_eq!(cluster.job().status.to_string(), "failed");
    let first = submit(&mut cluster, 2);
    assert!((0..10).all(|_| submit(&mut cluster, 2) == first));
    assert_ne!(submit(&mut cluster, 3), first, "which is another version");
    assert_eq!(cluster.answers.len(), 0, "none is too many");
    cluster.say(a, compared(first, &[], &[]));
    assert_eq!(taken(&mut cluster), [true; 11], "each of them has the job go on");
    assert_eq!(cluster.job().wanted().graph.artifacts()[0].version, "2");
}

#[test]
fn all_who_wait_are_told_when_another_leads() {
    let (mut cluster, _) = running();
    submit(&mut cluster, 2);
    submit(&mut cluster, 2);
    let mut effects = Vec::new();
    let leader = cluster.node.leader.take().unwrap();
    cluster.node.step_down(&leader, &mut effects);
    let is_told =
        |effect: &&Effect| matches!(effect, Effect::Reply(_, Err(error)) if error.kind == ClientErrorKind::Unavailable);
    assert_eq!(effects.iter().filter(is_told).count(), 2, "{effects:?}");
}

#[test]
fn one_that_was_taken_meanwhile_is_no_other_job_with_that_name() {
    let (mut cluster, a) = running();
    cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(JobId(1)) }).unwrap();
    let stale = submit(&mut cluster, 2);
    cluster.submit_with(version(1), 1, 2000).unwrap();
    let again = submit(&mut cluster, 2);
    assert_ne!(stale, again, "the job is another one than it was");
    cluster.say(a, compared(again, &[], &[]));
    cluster.say(a, compared(stale, &[], &[]));
    assert_eq!(taken(&mut cluster), [true, true], "whoever has asked first may not have heard of it");
}

#[test]
fn what_is_in_the_way_twice_is_said_once() {
    let (mut cluster, a) = running();
    let id = submit(&mut cluster, 2);
    cluster.say(a, compared(id, &["'n' does not fit"], &["'n' does not fit", "'m' does not fit"]));
    let told = refused(&mut cluster);
    assert!(told.contains("\n  checkpoint 1: 'n' does not fit\n  what runs now: 'm' does not fit |"), "{told}");
}

#[test]
fn a_new_leader_takes_no_version_unchecked_while_workers_are_on_their_way_to_it() {
    let mut cluster = running().0.restart();
    assert_eq!(cluster.submit_graph(version(2), 1).unwrap_err().kind, ClientErrorKind::Unavailable);
    let old = Hello { compares_state: false, ..hello("b", 1, vec![]) };
    cluster.step(Event::WorkerConnected(SessionId(2), old));
    assert_eq!(cluster.submit_graph(version(2), 1).unwrap_err().kind, ClientErrorKind::Unavailable);
    let a = cluster.connect(3, "a", 1, vec![status(1, AttemptPhase::Running, 1)]);
    let id = submit(&mut cluster, 2);
    cluster.say(a, compared(id, &["it does not"], &[]));
    assert!(refused(&mut cluster).contains("checkpoint 1: it does not"));

    // Those that do not come are lost, and nobody waits for them any more.
    let mut cluster = cluster.restart();
    cluster.pass(Duration::from_secs(6));
    let answer = cluster.submit_graph(version(2), 1).unwrap();
    let ClientResponse::Submitted { updated: true, unchecked: Some(why), .. } = answer else { panic!("{answer:?}") };
    assert_eq!(why, "no worker is here");
}

#[test]
fn a_worker_that_is_to_go_looks_if_there_is_no_other() {
    let (mut cluster, a) = running();
    cluster.say(a, FromWorker::Leaving);
    let id = submit(&mut cluster, 2);
    assert!(cluster.heard(a).iter().any(|said| said.starts_with(&format!("compare state {id} "))));
    let b = cluster.connect(2, "b", 1, vec![]);
    let id = submit(&mut cluster, 3);
    assert!(cluster.heard(b).iter().any(|said| said.starts_with(&format!("compare state {id} "))));
}

#[test]
fn where_no_worker_knows_how_to_look_the_answer_says_so() {
    let mut cluster = Cluster::new();
    let old = Hello { compares_state: false, ..hello("a", 1, vec![]) };
    cluster.step(Event::WorkerConnected(SessionId(1), old));
    cluster.submit_graph(version(1), 1).unwrap();
    let answer = cluster.submit_graph(version(2), 1).unwrap();
    let ClientResponse::Submitted { updated: true, unchecked: Some(why), .. } = answer else { panic!("{answer:?}") };
    assert_eq!(why, "the workers are of an earlier version, which cannot look");
}

#[test]
fn files_of_a_version_that_is_looked_at_are_not_deleted() {
    let (mut cluster, a) = running();
    let root = format!("{}/{}/artifacts", cluster.node.state().storage, cluster.node.state().cluster);
    let files = cluster.storage.open(&root).unwrap();
    let hash = version(2).artifacts()[0].hash.to_string();
    files.put(&hash, b"content").unwrap();
    let id = submit(&mut cluster, 2);
    let collects = ClientRequest::ReplaceCatalog { namespace: "default".into(), version: 0, statements: vec![] };
    cluster.ask(collects).unwrap();
    assert_eq!(files.list("").unwrap(), [hash]);
    cluster.say(a, compared(id, &["it does not fit"], &[]));
    let collects = ClientRequest::ReplaceCatalog { namespace: "default".into(), version: 1, statements: vec![] };
    cluster.ask(collects).unwrap();
    assert_eq!(files.list("").unwrap(), [""; 0]);
}
