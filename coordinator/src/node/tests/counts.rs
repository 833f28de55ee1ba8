//! What a coordinator has counted, as it tells it.

use super::*;

/// The value of a sample, as its text has it; `None` if it is not told.
fn told(cluster: &Cluster, sample: &str) -> Option<f64> {
    let now = Now { elapsed: cluster.now, wall: i64::try_from(cluster.now.as_millis()).unwrap() };
    let text = weir_monitoring::encode(cluster.node.figures(now)).unwrap();
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

const LOST: &str = "weir_cluster_workers_lost_total ";

#[test]
fn a_process_counts_what_it_has_seen_and_not_what_it_replays() {
    let (mut cluster, a, b) = Cluster::running();
    let name = format!("{}/{}", cluster.job().namespace, cluster.job().name);
    let completed = format!("weir_cluster_checkpoints_completed_total{{job_name=\"{name}\"}}");
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.step(Event::WorkerDisconnected(a));
    cluster.pass(Duration::from_millis(300));
    assert_eq!((told(&cluster, LOST), told(&cluster, &completed)), (Some(1.0), Some(1.0)));
    let mut cluster = cluster.restart();
    assert_eq!(cluster.job().checkpoints.len(), 1, "it is known");
    assert_eq!((told(&cluster, LOST), told(&cluster, &completed)), (Some(0.0), Some(0.0)));
    // The other one never comes back.
    cluster.pass(Duration::from_secs(60));
    assert_eq!(told(&cluster, LOST), Some(1.0));
}

#[test]
fn a_checkpoint_is_too_old_only_where_one_was_due() {
    for (interval_ms, interval) in [(1000, Some(1.0)), (0, None)] {
        let mut cluster = Cluster::new();
        let worker = cluster.connect(1, "a", 1, vec![]);
        cluster.submit_with(JobGraph::default(), 1, interval_ms).unwrap();
        for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
            cluster.phase(worker, 1, phase);
        }
        let name = format!("{}/{}", cluster.job().namespace, cluster.job().name);
        let of_job = |metric: &str| told(&cluster, &format!("{metric}{{job_name=\"{name}\"}}"));
        assert_eq!(of_job("weir_cluster_job_up"), Some(1.0));
        assert_eq!(of_job("weir_cluster_checkpoint_interval_seconds"), interval);
        assert_eq!(of_job("weir_cluster_checkpoint_age_seconds").is_some(), interval.is_some());
    }
}
