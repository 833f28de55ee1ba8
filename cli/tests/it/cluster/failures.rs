//! SIGKILL of a worker and of the only coordinator while a job runs.

use rustix::process::Signal;

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
    let job = cluster.until_job("counts", "runs elsewhere", |job| job["status"] == "running" && job["attempt"] == 2);
    let placed = job["placement"]["workers"].as_array().unwrap();
    assert!(placed.iter().all(|worker| worker["worker"] != *victim), "{job:#}");
    assert_eq!((&job["restarts"], &job["last_failure"]["attempt"]), (&1.into(), &1.into()), "{job:#}");
    let before = cluster.until_checkpoint("counts");

    cluster.kill("c1");
    cluster.start_coordinator(1);
    let after = cluster.until_job("counts", "completes checkpoints under the new coordinator", |job| {
        job["last_checkpoint"]["epoch"].as_u64() > before["last_checkpoint"]["epoch"].as_u64()
    });
    assert_eq!((&after["restarts"], &after["attempt"]), (&1.into(), &2.into()), "{after:#}");

    // The killed worker comes back to its place.
    cluster.start_worker(&victim, 2);
    let finished = cluster.until_finished("counts");
    assert_eq!((&finished["restarts"], &finished["attempt"]), (&1.into(), &2.into()), "{finished:#}");
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
