//! The logs of all coordinators are lost, while workers go on; and an operator has the cluster go on from what is in the checkpoint
//! storage, with a coordinator that there was not before.

use std::sync::Arc;

use tokio::time::sleep;
use weir_coordinator::recovery::rebuild;
use weir_core::random::Random;
use weir_core::{Error, Result};
use weir_state::Storages as _;

use crate::cluster::Cluster;
use crate::coordinator::CLUSTER;
use crate::machines::Machines;
use crate::network::Machine;
use crate::storage::{Storages, URL};

/// All machines of coordinators are lost, and the cluster is recovered after a while. Does nothing while the storage knows nothing of
/// one of the jobs: its user would submit it again, and all its results would come out again. Nor while it does not know that a job went
/// back to an earlier checkpoint, as its user wanted: it would go on from the newest, and its user would have it go back again.
///
/// # Errors
/// If it cannot be recovered.
pub async fn lose_logs(cluster: &Arc<Cluster>, machines: &Arc<Machines>, random: &mut Random) -> Result<()> {
    let storage = Storages(cluster.clone()).open(URL)?;
    let found = || rebuild(&*storage, URL, CLUSTER, cluster.wall(Machine::Coordinator(1)));
    let knows_all =
        |name: &str| found().is_ok_and(|found| found.recovered.state.jobs.values().any(|job| job.name == name));
    if !cluster.shape.jobs.iter().all(|(query, _)| knows_all(query.name())) {
        return Ok(());
    }
    if !cluster.oracle.going_back_is_stored(&cluster.objects) {
        return Ok(());
    }
    cluster.trace.say("sim", "all logs of coordinators are lost");
    let lost = cluster.coordinators.all();
    for number in &lost {
        machines.throw_away(*number);
    }
    cluster.oracle.logs_lost();
    let wait = random.milliseconds(100, 1500);
    sleep(wait).await;
    // As the manual says: what they have sent to the storage has arrived there by then.
    for number in lost {
        cluster.outlived(Machine::Coordinator(number)).await;
    }
    let found = found()?;
    for job in &found.recovered.jobs {
        cluster.trace.say("sim", format_args!("recovered: {job:?}"));
    }
    let number = machines.recover(&found)?.ok_or_else(|| Error::internal("there is no machine left to recover on"))?;
    cluster.trace.say("sim", format_args!("c{number} goes on in term {}", found.term));
    Ok(())
}
