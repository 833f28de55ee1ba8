//! What a worker tells those who run it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use weir_monitoring::{Observed, Obstacle, Samples};
use weir_state::StorageCounts;

use super::isolation::Isolation;
use crate::metrics::{
    CONNECTED, DISCONNECTED, EXCHANGE_RECEIVED, EXCHANGE_SENT, RunningJobs, SLOTS, STORAGE_BYTES, STORAGE_REQUESTS,
};
use crate::network::Network;

/// A worker as it is seen from outside: made before the worker runs, and filled while it does.
#[derive(Debug, Default)]
pub struct WorkerMonitor {
    /// What runs here.
    pub running: Arc<RunningJobs>,
    /// Whether a coordinator has taken the worker.
    pub isolation: Arc<Isolation>,
    /// What is asked of the checkpoint storage.
    pub storage: Arc<StorageCounts>,
    pub(super) slots: OnceLock<u32>,
    pub(super) network: OnceLock<Arc<OnceLock<Arc<Network>>>>,
}

#[async_trait]
impl Observed for WorkerMonitor {
    async fn collect(&self, samples: &mut Samples) {
        samples.count(&SLOTS, &[], self.slots.get().copied().unwrap_or_default().into());
        let alone = self.isolation.alone_for();
        samples.count(&CONNECTED, &[], alone.is_none().into());
        samples.add(&DISCONNECTED, &[], alone.unwrap_or_default().as_secs_f64());
        let network = self.network.get().and_then(|network| network.get());
        let (sent, received) = network.map_or((0, 0), |network| network.traffic());
        samples.count(&EXCHANGE_SENT, &[], sent);
        samples.count(&EXCHANGE_RECEIVED, &[], received);
        for (operation, outcome, count) in self.storage.calls() {
            samples.count(&STORAGE_REQUESTS, &[operation, outcome], count);
        }
        samples.count(&STORAGE_BYTES, &["read"], self.storage.read_bytes());
        samples.count(&STORAGE_BYTES, &["written"], self.storage.written_bytes());
        self.running.collect(samples).await;
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        let alone = self.isolation.alone_for().map(|alone| Obstacle {
            code: "no-coordinator",
            message: format!("no leading coordinator has taken this worker for {:.1} s", alone.as_secs_f64()),
        });
        alone.into_iter().collect()
    }
}
