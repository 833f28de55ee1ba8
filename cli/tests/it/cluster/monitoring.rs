//! What operators' tools read of a cluster: metrics, health, logs.

use serde_json::Value;

use super::processes::{Cluster, until};
use crate::http::{families, get, readiness, samples};

/// A job that goes on until it is stopped, and keeps state.
const JOB: &str = "
    CREATE TABLE numbers (n BIGINT, t TIMESTAMP(3), WATERMARK FOR t AS t)
        WITH ('connector' = 'datagen', 'rows-per-second' = '2000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0',
              'fields.n.end' = '100000000');
    CREATE TABLE out (w TIMESTAMP(3), k BIGINT, c BIGINT) WITH ('connector' = 'blackhole');
    SET 'execution.checkpointing.interval' = '200ms';
    INSERT INTO out SELECT window_start, n % 7, count(*)
        FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(t), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, n % 7;";

/// Submits a script under a name, and returns.
fn submit(cluster: &Cluster, name: &str, script: &str, parallelism: u32) {
    let path = cluster.path(&format!("{name}.sql"));
    std::fs::write(&path, script).unwrap();
    let parallelism = parallelism.to_string();
    cluster.weir(&["submit", &path, "--name", name, "--parallelism", &parallelism, "--detach"]).code(0);
}

/// What only sources say that know what they have not read.
const OF_SOME_SOURCES: [&str; 2] = ["weir_source_lag_records", "weir_source_lag_seconds"];

#[test]
fn every_declared_metric_is_told_and_no_other() {
    let mut cluster = Cluster::of_coordinators(3);
    cluster.add_workers(2, 1);
    submit(&cluster, "numbers", JOB, 2);
    let coordinators: Vec<String> = ["c1", "c2", "c3"].map(|name| cluster.http(name)).into();
    let workers: Vec<String> = ["w1", "w2"].map(|name| cluster.http(name)).into();
    let leads = |address: &&String| samples(address).get("weir_raft_leads") == Some(&1.0);
    let completed = "weir_cluster_checkpoints_completed_total{job_name=\"default/numbers\"}";
    let leader = until("a coordinator leads and has completed checkpoints", || {
        let leader = coordinators.iter().find(leads)?;
        (samples(leader).get(completed).copied().unwrap_or_default() >= 3.0).then(|| leader.clone())
    });
    // More is told of a job whose load is looked at.
    cluster.weir(&["jobs", "autoscale", "numbers", "--dry-run", "--settle", "1s"]).code(0);
    let load = "weir_autoscaler_job_load_ratio{job_name=\"default/numbers\"}";
    until("its load was looked at", || samples(&leader).get(load).copied());
    let mut told: Vec<String> = coordinators.iter().chain(&workers).flat_map(|address| families(address)).collect();
    told.sort();
    told.dedup();
    let declared =
        [weir_worker::METRICS, weir_coordinator::metrics::METRICS, weir_monitoring::PROCESS_METRICS].concat();
    let mut missing: Vec<&str> = declared.iter().map(|metric| metric.name).collect();
    missing.retain(|name| !told.iter().any(|told| told == name) && !OF_SOME_SOURCES.contains(name));
    // Nobody is asked for workers here, and only a restart or a rescale makes a pause.
    assert_eq!(missing, ["weir_autoscaler_wanted_workers", "weir_cluster_job_last_pause_seconds"]);
    let undeclared: Vec<&String> =
        told.iter().filter(|name| !declared.iter().any(|metric| metric.name == **name)).collect();
    assert!(undeclared.is_empty(), "{undeclared:?}");

    let cluster_of = samples(&leader);
    assert_eq!(cluster_of["weir_cluster_workers{state=\"connected\"}"], 2.0);
    assert_eq!(cluster_of["weir_cluster_job_up{job_name=\"default/numbers\"}"], 1.0);
    let others = coordinators.iter().filter(|address| **address != leader);
    assert_eq!(others.clone().count(), 2);
    for other in others.map(|address| samples(address)) {
        assert!(!other.contains_key("weir_cluster_job_up{job_name=\"default/numbers\"}"));
        assert!(other[completed] >= 2.0, "checkpoints are counted by all");
    }

    // Everything that went in at the head of a subtask's chain is somebody's work, and time adds up.
    let worker = samples(&workers[0]);
    let total = |name: &str| -> f64 {
        worker.iter().filter(|(sample, _)| sample.starts_with(&format!("{name}{{"))).map(|(_, value)| value).sum()
    };
    assert!(total("weir_operator_rows_in_total") > 0.0 && total("weir_exchange_sent_bytes_total") >= 0.0);
    assert!(total("weir_subtask_time_seconds_total") > 0.0 && total("weir_checkpoint_uploaded_bytes_total") > 0.0);
    assert!(worker["weir_exchange_sent_bytes_total"] > 0.0, "keys are on both workers");

    cluster.weir(&["jobs", "cancel", "numbers", "--wait"]).code(0);
    until("the job's series are gone with its attempt", || {
        let of_job =
            samples(&workers[0]).into_keys().filter(|name| name.contains("job_name=\"default/numbers\"")).count();
        (of_job == 0).then_some(())
    });
    assert!(
        !samples(&leader).contains_key("weir_cluster_job_up{job_name=\"default/numbers\"}"),
        "nobody wants it to run"
    );
}

#[test]
fn a_process_says_why_it_is_not_ready_and_lives_all_the_same() {
    let mut cluster = Cluster::of_coordinators(3);
    cluster.add_workers(1, 1);
    let (coordinator, worker) = (cluster.http("c1"), cluster.http("w1"));
    let ready = |address: &str| readiness(address).filter(|(ready, _)| *ready).map(drop);
    until("the coordinator is ready", || ready(&coordinator));
    until("the worker is ready", || ready(&worker));
    cluster.kill("c2");
    cluster.kill("c3");
    let not_ready =
        |address: &str, code: &str| readiness(address).filter(|(ready, codes)| !ready && *codes == [code]).map(drop);
    until("the last coordinator is not ready", || not_ready(&coordinator, "no-leader"));
    until("the worker is not ready", || not_ready(&worker, "no-coordinator"));
    until("it says how many are there", || {
        get(&coordinator, "/health/ready").1.contains("1 of 3 is no majority").then_some(())
    });
    assert_eq!((get(&coordinator, "/health/live").0, get(&worker, "/health/live").0), (200, 200));
    let refused = cluster.weir(&["jobs", "list", "--timeout", "1s"]);
    assert!(refused.err.contains("1 of 3 is no majority"), "{}", refused.err);

    until("the coordinator says so", || cluster.said("c1").contains("1 of 3 is no majority").then_some(()));
    cluster.start_coordinator(2);
    until("the coordinator is ready again", || ready(&coordinator));
    until("the worker is ready again", || ready(&worker));
    until("that is told, too", || cluster.said("c1").contains("a coordinator leads again").then_some(()));
}

#[test]
fn logs_are_objects_with_fields_if_that_is_wanted() {
    let mut cluster = Cluster::start(0, 0);
    let coordinator = cluster.coordinator().to_owned();
    let worker = ["worker", "--name", "w1", "--slots", "1", "--coordinators", &coordinator, "--log-format", "json"];
    cluster.begin("w1", &worker);
    submit(&cluster, "numbers", JOB, 1);
    let event = until("the worker says that the attempt runs", || {
        let said = cluster.said("w1");
        let mut events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.find(|event| event["message"] == "an attempt runs")
    });
    assert_eq!((&event["job"], &event["attempt"], &event["level"]), (&1.into(), &1.into(), &"INFO".into()), "{event}");
    assert!(event["timestamp"].as_str().unwrap().contains('T') && event["target"].is_string(), "{event}");
    // People read the same elsewhere.
    until("the coordinator says that the job runs", || {
        let said = cluster.said("c1");
        said.lines().any(|line| line.contains("a job runs job=1 name=\"default/numbers\"")).then_some(())
    });
}
