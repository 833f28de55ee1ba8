//! SIGKILL of a worker and of the only coordinator while a job runs.

use super::nexmark::Bids;
use super::processes::Cluster;

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
