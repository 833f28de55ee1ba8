//! What is told of starts and checkpoints, whatever becomes of them.

use weir_monitoring::{Attribute, Trace};

use super::*;

/// What was told since the last look: the name of each span, who it is of, from when to when in milliseconds, and how it failed.
fn told(cluster: &mut Cluster) -> Vec<String> {
    let span = |span: Span| {
        let worker = span.attributes.iter().find_map(|(key, value)| match value {
            Attribute::Text(worker) if *key == "weir.worker" => Some(format!(" {worker}")),
            _ => None,
        });
        let (began, ended) = (span.began / 1_000_000, span.ended / 1_000_000);
        let error = span.error.map_or_else(String::new, |error| format!(": {error}"));
        format!("{}{} {began}-{ended}{error}", span.name, worker.unwrap_or_default())
    };
    std::mem::take(&mut cluster.traced).into_iter().map(span).collect()
}

fn identity(cluster: &Cluster) -> weir_core::JobIdentity {
    let state = cluster.node.state();
    state.identity(JobId(1), &state.jobs[&JobId(1)])
}

#[test]
fn a_start_is_told_from_the_submission_until_all_run() {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    let begun = cluster.now.as_millis();
    cluster.submit(4).unwrap();
    assert_eq!(told(&mut cluster), [""; 0], "nothing has ended");
    cluster.pass(Duration::from_millis(100));
    let b = cluster.connect(2, "b", 1, vec![]);
    let scheduled = cluster.now.as_millis();
    assert_eq!(told(&mut cluster), [format!("decide {begun}-{begun}"), format!("schedule {begun}-{scheduled}")]);
    cluster.pass(Duration::from_millis(40));
    for session in [a, b] {
        cluster.phase(session, 1, AttemptPhase::Ready);
    }
    let ready = cluster.now.as_millis();
    assert_eq!(told(&mut cluster), ["a", "b"].map(|worker| format!("deploy {worker} {scheduled}-{ready}")));
    cluster.phase(a, 1, AttemptPhase::Running);
    cluster.pass(Duration::from_millis(20));
    cluster.phase(b, 1, AttemptPhase::Running);
    let runs = cluster.now.as_millis();
    let spans = cluster.traced.clone();
    let expected =
        [format!("start a {ready}-{ready}"), format!("start b {ready}-{runs}"), format!("submit {begun}-{runs}")];
    assert_eq!(told(&mut cluster), expected);
    let trace = Trace::start(identity(&cluster), Attempt(1)).root("", 0, 0);
    assert!(spans.iter().all(|span| span.trace == trace.trace), "{spans:?}");
    let parents: Vec<_> = spans.iter().map(|span| span.parent).collect();
    assert_eq!(parents, [Some(trace.id), Some(trace.id), None]);
}

#[test]
fn a_checkpoint_is_told_from_its_marker_until_it_is_visible() {
    let (mut cluster, a, b) = Cluster::running();
    told(&mut cluster);
    cluster.pass(Duration::from_secs(1));
    let told_at = told(&mut cluster);
    let [of_a, of_b] = &told_at[..] else { panic!("{told_at:?}") };
    let began: u128 = of_a.rsplit_once('-').unwrap().1.parse().unwrap();
    assert_eq!((of_a, of_b), (&format!("trigger a {began}-{began}"), &format!("trigger b {began}-{began}")));
    cluster.report(a, 1);
    let now = cluster.now.as_millis();
    cluster.pass(Duration::from_millis(40));
    cluster.report(b, 1);
    let later = cluster.now.as_millis();
    let expected = [
        format!("gather a {began}-{now}"),
        format!("gather b {began}-{later}"),
        format!("manifest {later}-{later}"),
        format!("decide {later}-{later}"),
    ];
    assert_eq!(told(&mut cluster), expected);
    cluster.pass(Duration::from_millis(20));
    cluster.say(a, committed(1));
    let end = cluster.now.as_millis();
    let trace = Trace::checkpoint(identity(&cluster), Attempt(1), Epoch(1)).root("", 0, 0);
    assert!(cluster.traced.iter().all(|span| span.trace == trace.trace));
    let expected =
        [format!("commit a {later}-{end}"), format!("acknowledge {end}-{end}"), format!("checkpoint {began}-{end}")];
    assert_eq!(told(&mut cluster), expected);
}

#[test]
fn what_comes_to_nothing_is_told_with_the_reason() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    told(&mut cluster);
    // One worker reports, the other one fails.
    cluster.report(a, 1);
    let failure = Failure { kind: ErrorKind::Environment, report: "the disk is full".into(), peer_lost: false };
    cluster.phase(b, 1, AttemptPhase::Failed(failure));
    let spans = told(&mut cluster);
    let [gathered, unheard, root] = &spans[..] else { panic!("{spans:?}") };
    assert!(gathered.starts_with("gather a ") && !gathered.contains(':'), "{gathered}");
    assert!(unheard.starts_with("gather b ") && unheard.ends_with(": it was not heard of any more"), "{unheard}");
    assert!(root.starts_with("checkpoint ") && root.ends_with(": the disk is full"), "{root}");
    // The next attempt is another trace, and no submission.
    cluster.pass(Duration::from_secs(2));
    cluster.heard(a);
    for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
        cluster.phase(a, 2, phase.clone());
        cluster.phase(b, 2, phase);
    }
    let spans = told(&mut cluster);
    assert!(spans.last().unwrap().starts_with("restart "), "{spans:?}");
    assert!(!spans.iter().any(|span| span.starts_with("schedule")), "{spans:?}");
}
