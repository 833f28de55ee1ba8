//! A job on two workers is stopped, moved and rescaled, and every row comes once.

use serde_json::Value;

use super::nexmark::Bids;
use super::processes::{Cluster, until};

/// The workers that a job runs on.
fn workers(job: &Value) -> Vec<&str> {
    job["placement"]["workers"].as_array().unwrap().iter().map(|worker| worker["worker"].as_str().unwrap()).collect()
}

#[test]
fn a_job_is_stopped_rescaled_and_moved_and_writes_every_row_once() {
    let cluster = Cluster::start(2, 2);
    let bids = Bids { seconds: 20 };
    bids.submit(&cluster, "counts", 3);
    let job = cluster.until_checkpoint("counts");
    assert_eq!(workers(&job), ["w1", "w2"], "three slots do not fit into one worker");

    cluster.weir(&["jobs", "stop", "counts"]).code(0).says(&["stopped with savepoint"]);
    let stopped = cluster.job("counts");
    assert_eq!((&stopped["status"], &stopped["last_checkpoint"]["savepoint"]), (&"stopped".into(), &true.into()));
    let first_savepoint = stopped["last_checkpoint"]["epoch"].clone();
    let used: u64 =
        cluster.json(&["workers", "list"]).as_array().unwrap().iter().map(|w| w["used"].as_u64().unwrap()).sum();
    assert_eq!(used, 0, "a stopped job takes no slot");

    cluster.weir(&["jobs", "restart", "counts"]).code(0).says(&["attempt 2 runs on 3 slots"]);
    cluster.weir(&["jobs", "rescale", "counts", "-p", "2"]).code(0).says(&["attempt 3 runs on 2 slots"]);
    cluster.until_checkpoint("counts");
    cluster.weir(&["jobs", "rescale", "counts", "-p", "4"]).code(0).says(&["attempt 4 runs on 4 slots"]);
    cluster.until_checkpoint("counts");

    // More than there are: said at once, and forgotten when it is not wanted any more.
    let help = "--wait waits for";
    cluster.weir(&["jobs", "rescale", "counts", "-p", "5"]).code(4).says(&["runs on as it is", "needs 5 slots", help]);
    let job = cluster.job("counts");
    assert_eq!((&job["attempt"], &job["parallelism"]), (&4.into(), &5.into()), "{job:#}");
    assert_eq!(job["slots"], 4, "{job:#}");
    cluster.weir(&["jobs", "rescale", "counts", "-p", "4"]).code(0).says(&["has 4 slots already"]);
    assert!(cluster.job("counts")["waiting_for"].is_null());

    cluster.weir(&["jobs", "savepoint", "counts"]).code(0).says(&["savepoint", "is complete"]);
    let checkpoints = cluster.json(&["checkpoints", "list", "counts"]);
    let of_savepoints = |key: &str| -> Vec<Value> {
        let savepoints = checkpoints.as_array().unwrap().iter().filter(|checkpoint| checkpoint["savepoint"] == true);
        savepoints.map(|savepoint| savepoint[key].clone()).collect()
    };
    assert_eq!(of_savepoints("epoch")[0], first_savepoint, "savepoints are kept");
    assert_eq!(of_savepoints("parallelism"), [3, 4], "{checkpoints:#}");

    // Four slots need both workers: only at two can one of them be emptied.
    cluster.weir(&["jobs", "rescale", "counts", "-p", "2"]).code(0);
    let busy = workers(&cluster.job("counts"))[0].to_owned();
    let idle = if busy == "w1" { "w2" } else { "w1" };
    cluster.weir(&["workers", "drain", &busy, "--wait"]).code(0).says(&["runs nothing any more"]);
    let moved = cluster.until_checkpoint("counts");
    assert_eq!(workers(&moved), [idle]);
    until("the drained worker is listed as such", || {
        let workers = cluster.json(&["workers", "list"]);
        let drained = workers.as_array().unwrap().iter().find(|worker| worker["worker"] == *busy)?;
        (drained["draining"] == true && drained["used"] == 0).then_some(())
    });
    cluster.weir(&["workers", "undrain", &busy]).code(0);

    let finished = cluster.until_finished("counts");
    assert!(finished["last_failure"].is_null(), "{finished:#}");
    assert_eq!(finished["restarts"], 0, "nothing has failed: {finished:#}");
    bids.assert_result(&cluster, "counts");
}
