//! Tells whoever starts and ends workers how many there should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tonic::async_trait;
use weir_core::Result;

use crate::workforce::Workforce;

/// Has workers started and ended.
#[async_trait]
pub trait WorkerScaler: Send + Sync + 'static {
    /// Sees to it that there are so many, or tells somebody who does. Called by the leader alone, again and again with the same number; what
    /// fails is not tried again before the next call.
    ///
    /// # Errors
    /// If nobody takes it.
    async fn scale(&self, wanted: &Workforce) -> Result<()>;
}

/// How often the number was told, and how often nobody took it.
#[derive(Debug, Default)]
pub struct Told {
    /// How often it was taken.
    pub taken: AtomicU64,
    /// How often it was not.
    pub failed: AtomicU64,
}

impl Told {
    /// Each outcome and how often it was.
    pub fn counts(&self) -> [(&'static str, u64); 2] {
        [("ok", self.taken.load(Ordering::Relaxed)), ("error", self.failed.load(Ordering::Relaxed))]
    }
}

/// Tells the newest number until nobody has one any more.
pub async fn tell(scaler: Arc<dyn WorkerScaler>, mut wanted: watch::Receiver<Option<Workforce>>, told: Arc<Told>) {
    let mut last = None;
    while wanted.changed().await.is_ok() {
        let Some(wanted) = wanted.borrow_and_update().clone() else { continue };
        match scaler.scale(&wanted).await {
            Ok(()) => {
                told.taken.fetch_add(1, Ordering::Relaxed);
                if last.replace(wanted.wanted_workers) != Some(wanted.wanted_workers) {
                    let Workforce { wanted_workers, workers, wanted_slots, .. } = wanted;
                    tracing::info!(wanted_workers, workers, wanted_slots, "another number of workers was asked for");
                }
            }
            Err(error) => {
                told.failed.fetch_add(1, Ordering::Relaxed);
                last = None;
                tracing::warn!(
                    wanted_workers = wanted.wanted_workers,
                    error = error.report(),
                    "nobody takes it that another number of workers is wanted"
                );
            }
        }
    }
}
