//! Three coordinators: whoever leads may go, and no job notices.

use serde_json::Value;

use super::nexmark::Bids;
use super::processes::{Cluster, until};

/// Who leads, once somebody other than `not` does.
pub fn leader(cluster: &Cluster, not: Option<u64>) -> u64 {
    until("somebody leads", || {
        let status = cluster.json(&["cluster", "status"]);
        let leader = status["leader"].as_u64().filter(|leader| Some(*leader) != not)?;
        let led = status["coordinators"].as_array().unwrap().iter();
        let says_so = |coordinator: &Value| coordinator["id"] == leader && coordinator["role"] == "leader";
        assert_eq!(led.filter(|coordinator| says_so(coordinator)).count(), 1, "{status:#}");
        Some(leader)
    })
}

/// The attempt is the first one still, and has checkpoints completed after `epoch`. The newest one's epoch.
#[track_caller]
fn goes_on_after(cluster: &Cluster, epoch: u64) -> u64 {
    let newest = |job: &Value| job["last_checkpoint"]["epoch"].as_u64().unwrap_or(0);
    let job = cluster.until_job("counts", "goes on", |job| newest(job) > epoch);
    assert_eq!((&job["attempt"], &job["restarts"]), (&1.into(), &0.into()), "{job:#}");
    newest(&job)
}

#[test]
fn a_lost_leader_is_replaced_and_the_job_keeps_its_attempt() {
    let mut cluster = Cluster::of_coordinators(3);
    cluster.add_workers(2, 1);
    let bids = Bids { seconds: 15 };
    bids.submit(&cluster, "counts", 2);
    let epoch = goes_on_after(&cluster, 0);

    let first = leader(&cluster, None);
    cluster.kill(&format!("c{first}"));
    let second = leader(&cluster, Some(first));
    let epoch = goes_on_after(&cluster, epoch);
    cluster.start_coordinator(first as usize);
    until("the killed one has caught up", || {
        let status = cluster.json(&["cluster", "status"]);
        let everybody = status["coordinators"].as_array().unwrap();
        everybody.iter().all(|known| known["matched"].as_u64() >= known["commit"].as_u64()).then_some(())
    });

    assert_eq!(cluster.terminate(&format!("c{second}")).code(), Some(0));
    leader(&cluster, Some(second));
    goes_on_after(&cluster, epoch);

    let finished = cluster.until_finished("counts");
    assert_eq!((&finished["attempt"], &finished["restarts"]), (&1.into(), &0.into()), "{finished:#}");
    bids.assert_result(&cluster, "counts");
}
