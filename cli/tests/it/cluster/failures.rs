//! SIGKILL of a worker and of the only coordinator while a job runs.

use rustix::process::Signal;

use serde_json::Value;

use super::nexmark::Bids;
use super::processes::{Cluster, until};

#[test]
fn killed_workers_cost_a_restart_and_a_killed_coordinator_costs_nothing() {
    let mut cluster = Cluster::start(3, 2);
    let bids = Bids { seconds: 12 };
    bids.submit(&cluster, "counts", 3);
    let job = cluster.until_checkpoint("counts");
    assert_eq!(job["restarts"], 0);
    let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();

    cluster.kill(&victim);
    let runs_again = |job: &Value| job["status"] == "running" && job["attempt"].as_u64() > Some(1);
    let job = cluster.until_job("counts", "runs elsewhere", runs_again);
    // Who hears of the dead worker from another one first may place the next attempt there once more.
    let attempt = job["attempt"].as_u64().unwrap();
    let restarts = Value::from(attempt - 1);
    let placed = job["placement"]["workers"].as_array().unwrap();
    assert!(placed.iter().all(|worker| worker["worker"] != *victim), "{job:#}");
    assert_eq!((&job["restarts"], &job["last_failure"]["attempt"]), (&restarts, &restarts), "{job:#}");
    let before = cluster.until_checkpoint("counts");

    cluster.kill("c1");
    cluster.start_coordinator(1);
    let after = cluster.until_job("counts", "completes checkpoints under the new coordinator", |job| {
        job["last_checkpoint"]["epoch"].as_u64() > before["last_checkpoint"]["epoch"].as_u64()
    });
    assert_eq!((&after["restarts"], &after["attempt"]), (&restarts, &attempt.into()), "{after:#}");

    // The killed worker comes back to its place.
    cluster.start_worker(&victim, 2);
    let finished = cluster.until_finished("counts");
    assert_eq!((&finished["restarts"], &finished["attempt"]), (&restarts, &attempt.into()), "{finished:#}");
    bids.assert_result(&cluster, "counts");
}

#[test]
fn a_worker_says_whether_its_work_was_moved_away() {
    let mut cluster = Cluster::start(2, 1);
    assert_eq!(cluster.terminate("w1").code(), Some(0));
    assert!(cluster.said("w1").contains("it ran nothing any more"), "{}", cluster.said("w1"));

    // Nobody is there who could move its work.
    cluster.kill("c1");
    cluster.signal("w2", Signal::TERM);
    until("it says what it waits for", || cluster.said("w2").contains("moving work away").then_some(()));
    cluster.signal("w2", Signal::TERM);
    assert_eq!(cluster.until_ended("w2").code(), Some(143));
    let said = cluster.said("w2");
    assert!(said.contains("the worker was ended before its work was moved away"), "{said}");
    assert_eq!(said.matches("moving work away").count(), 1, "{said}");
}
