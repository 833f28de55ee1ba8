//! What a coordinator's process tells those who run it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tonic::async_trait;
use weir_monitoring::{Observed, Obstacle, Samples, Spans};
use weir_state::StorageCounts;

use super::handle::{LeaderPlace, NodeHandle};
use super::workforce::Told;
use crate::metrics::{AUTOSCALER_REQUESTS, LOG_BYTES, STORAGE_BYTES, STORAGE_REQUESTS};

/// A coordinator as it is seen from outside: made before it runs, and filled while it does.
#[derive(Debug, Default)]
pub struct CoordinatorMonitor {
    pub(super) storage: Arc<StorageCounts>,
    pub(super) node: OnceLock<NodeHandle>,
    pub(super) log: OnceLock<PathBuf>,
    pub(super) told: Arc<Told>,
    spans: Spans,
}

impl CoordinatorMonitor {
    /// Of a coordinator that puts parts of traces there.
    pub fn tracing(spans: Spans) -> Self {
        Self { spans, ..Self::default() }
    }

    pub(super) fn spans(&self) -> &Spans {
        &self.spans
    }
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
        for (outcome, count) in self.told.counts() {
            samples.count(&AUTOSCALER_REQUESTS, &[outcome], count);
        }
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
        // It is asked in any case: what is known of a leader stays as it is while the loop hangs. Who asks waits for so long only.
        let Some(standing) = node.standing().await else {
            return vec![Obstacle { code: "ending", message: "this coordinator is shutting down".into() }];
        };
        match node.leader() {
            LeaderPlace::Here | LeaderPlace::There(_) => Vec::new(),
            LeaderPlace::Unknown => {
                vec![Obstacle { code: "no-leader", message: format!("no coordinator leads: {standing}") }]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};
    use weir_core::CoordinatorId;
    use weir_monitoring::Monitor;

    use super::*;
    use crate::raft::Status;
    use crate::server::handle::Message;

    async fn codes(monitor: &Monitor) -> Vec<&'static str> {
        monitor.readiness().await.reasons.into_iter().map(|reason| reason.code).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_whose_loop_hangs_is_not_ready() {
        let (inbox, mut messages) = mpsc::channel(4);
        let id = CoordinatorId(1);
        let (view, seen) = watch::channel(Status { leader: Some(id), ..Status::unknown(id) });
        let coordinator = Arc::new(CoordinatorMonitor::default());
        let monitor = Monitor::new(vec![coordinator.clone()]);
        assert_eq!(codes(&monitor).await, ["starting"]);
        coordinator.node.set(NodeHandle::new(inbox, seen)).unwrap();
        assert_eq!(codes(&monitor).await, ["no-answer"], "nobody reads what it is asked");

        let answers = async {
            while let Some(Message::Standing(reply)) = messages.recv().await {
                // The first one has given up.
                let _ = reply.send("1 of 1".into());
            }
        };
        let asks = async {
            assert!(codes(&monitor).await.is_empty());
            view.send_replace(Status::unknown(id));
            assert_eq!(codes(&monitor).await, ["no-leader"]);
        };
        tokio::select! {
            () = answers => panic!("it is asked something else"),
            () = asks => {}
        }
        drop(messages);
        assert_eq!(codes(&monitor).await, ["ending"]);
    }
}
