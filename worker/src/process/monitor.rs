//! What a worker tells those who run it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use weir_monitoring::{Observed, Obstacle, Samples, Spans};
use weir_state::StorageCounts;

use super::isolation::Isolation;
use super::pulse::Pulse;
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
    /// Whether the loop goes on that talks with the coordinator.
    pub pulse: Arc<Pulse>,
    /// What is asked of the checkpoint storage.
    pub storage: Arc<StorageCounts>,
    /// Where parts of traces go.
    pub(super) spans: Spans,
    pub(super) slots: OnceLock<u32>,
    pub(super) network: OnceLock<Arc<OnceLock<Arc<Network>>>>,
}

impl WorkerMonitor {
    /// Of a worker that puts parts of traces there.
    pub fn tracing(spans: Spans) -> Self {
        Self { spans, ..Self::default() }
    }
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
        let late = self.pulse.late().map(|late| Obstacle {
            code: "no-answer",
            message: format!(
                "the agent, which does what the leader says, hangs: it is late by {:.1} s",
                late.as_secs_f64()
            ),
        });
        alone.into_iter().chain(late).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::*;
    use crate::agent::SessionId;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_does_not_come_back_when_it_said_is_in_the_way() {
        let monitor = WorkerMonitor::default();
        let codes = async || monitor.obstacles().await.into_iter().map(|obstacle| obstacle.code).collect::<Vec<_>>();
        assert_eq!(codes().await, ["no-coordinator"]);
        monitor.isolation.accepted(SessionId(1));
        for _ in 0..10 {
            monitor.pulse.beat(Instant::now() + Duration::from_secs(5));
            advance(Duration::from_secs(7)).await;
            assert!(codes().await.is_empty(), "it may be somewhat late");
        }
        advance(Duration::from_secs(2)).await;
        assert_eq!(codes().await, ["no-answer"], "whatever the connection is like");
        monitor.pulse.beat(Instant::now());
        assert!(codes().await.is_empty());
    }
}
