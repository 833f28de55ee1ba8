//! Jobs on whose slots no person decides, on processes that come and go.

use super::processes::Cluster;

const SCRIPT: &str = "
    CREATE TABLE numbers (n BIGINT, k INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000', 'fields.k.min' = '0', 'fields.k.max' = '9');
    CREATE TABLE sums (k INT, c BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'blackhole');
    SET 'parallelism.default' = 'auto';
    SET 'job.autoscaler.stabilization.interval' = '1s';
    SET 'execution.checkpointing.interval' = '200ms';
    INSERT INTO sums SELECT k, COUNT(*) FROM numbers GROUP BY k;";

#[test]
fn a_job_follows_the_slots_that_there_are() {
    let mut cluster = Cluster::start(2, 1);
    cluster.weir(&["submit", "-e", SCRIPT, "--name", "elastic", "--max-parallelism", "3", "--detach"]).code(0);
    let runs_on = |cluster: &Cluster, slots: u64| {
        cluster.until_job("elastic", &format!("runs on {slots}"), |job| {
            job["slots"] == slots && job["status"] == "running"
        })
    };
    assert_eq!(runs_on(&cluster, 2)["attempt"], 1);
    cluster.start_worker("another", 4);
    runs_on(&cluster, 3);
    cluster.kill("another");
    runs_on(&cluster, 2);
    cluster.weir(&["workers", "drain", "w1", "--wait"]).code(0);
    let job = runs_on(&cluster, 1);
    let told: Vec<(u64, u64)> = job["scaling_decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| (decision["from"].as_u64().unwrap(), decision["to"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [(1, 2), (2, 3), (3, 2), (2, 1)]);
    cluster.weir(&["jobs", "autoscale", "elastic"]).code(0);
    cluster.weir(&["jobs", "rescale", "elastic", "-p", "1"]).code(0);
    assert_eq!(cluster.job("elastic")["scaling"]["by"], "hand");
}
