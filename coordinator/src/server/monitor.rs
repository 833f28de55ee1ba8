//! What a coordinator's process tells those who run it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tonic::async_trait;
use weir_monitoring::{Observed, Obstacle, Samples};
use weir_state::StorageCounts;

use super::handle::{LeaderPlace, NodeHandle};
use crate::metrics::{LOG_BYTES, STORAGE_BYTES, STORAGE_REQUESTS};

/// A coordinator as it is seen from outside: made before it runs, and filled while it does.
#[derive(Debug, Default)]
pub struct CoordinatorMonitor {
    pub(super) storage: Arc<StorageCounts>,
    pub(super) node: OnceLock<NodeHandle>,
    pub(super) log: OnceLock<PathBuf>,
}

#[async_trait]
impl Observed for CoordinatorMonitor {
    async fn collect(&self, samples: &mut Samples) {
        if let Some(log) = self.log.get().and_then(|path| std::fs::metadata(path).ok()) {
            samples.count(&LOG_BYTES, &[], log.len());
        }
        for (operation, outcome, count) in self.storage.calls() {
            samples.count(&STORAGE_REQUESTS, &[operation, outcome], count);
        }
        samples.count(&STORAGE_BYTES, &["read"], self.storage.read_bytes());
        samples.count(&STORAGE_BYTES, &["written"], self.storage.written_bytes());
        if let Some(node) = self.node.get()
            && let Some(figures) = node.figures().await
        {
            samples.extend(figures);
        }
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        let Some(node) = self.node.get() else {
            return vec![Obstacle { code: "starting", message: "the coordinator opens its log".into() }];
        };
        match node.leader() {
            LeaderPlace::Here | LeaderPlace::There(_) => Vec::new(),
            LeaderPlace::Unknown => {
                let standing = node.standing().await;
                vec![Obstacle { code: "no-leader", message: format!("no coordinator leads: {standing}") }]
            }
        }
    }
}
