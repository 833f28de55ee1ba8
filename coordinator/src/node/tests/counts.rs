//! What a coordinator has counted, as it tells it.

use super::*;

/// The value of a sample, as its text has it; `None` if it is not told.
fn told(cluster: &Cluster, sample: &str) -> Option<f64> {
    told_after(cluster, sample, Duration::ZERO)
}

/// The same when nothing has happened for so long.
fn told_after(cluster: &Cluster, sample: &str, pause: Duration) -> Option<f64> {
    let elapsed = cluster.now + pause;
    let now = Now { elapsed, wall: i64::try_from(elapsed.as_millis()).unwrap() };
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

#[test]
fn a_job_that_has_ended_makes_series_for_an_hour_and_one_that_has_failed_says_so_for_ever() {
    const HOUR: Duration = Duration::from_secs(3600);
    for fails in [false, true] {
        let (mut cluster, a, _) = Cluster::running();
        let name = format!("{}/{}", cluster.job().namespace, cluster.job().name);
        let label = format!("{{job_name=\"{name}\"}}");
        let of_job = [
            format!("weir_cluster_job_attempts_total{label}"),
            format!("weir_cluster_checkpoints_completed_total{label}"),
            format!("weir_cluster_checkpoint_duration_seconds_count{label}"),
        ];
        let up = format!("weir_cluster_job_up{label}");
        for sample in &of_job {
            assert!(told_after(&cluster, sample, HOUR).is_some(), "it runs: {sample}");
        }
        if fails {
            let failure = Failure { kind: ErrorKind::User, report: "division by zero".into(), peer_lost: false };
            cluster.phase(a, 1, AttemptPhase::Failed(failure));
        } else {
            cluster.ask(ClientRequest::CancelJob { job: JobRef::Id(JobId(1)) }).unwrap();
        }
        assert!(!cluster.job().status.is_active(), "{}", cluster.job().status);
        for sample in &of_job {
            assert!(told_after(&cluster, sample, HOUR / 2).is_some(), "it has just ended: {sample}");
            assert_eq!(told_after(&cluster, sample, HOUR), None, "{sample}");
        }
        assert_eq!(told_after(&cluster, &up, 24 * HOUR), fails.then_some(0.0));
    }
}
