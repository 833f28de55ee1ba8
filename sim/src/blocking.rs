//! Blocking work, done in simulated time.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::sleep;
use weir_core::{Error, Result};
use weir_worker::{Blocking, Work};

use crate::cluster::Cluster;
use crate::network::Machine;

/// A machine's threads, which take their time. A request to the storage may arrive there after its sender has died.
#[derive(Debug, Clone)]
pub struct SimBlocking(pub Arc<Cluster>, pub Machine);

impl Blocking for SimBlocking {
    fn run(&self, work: Work) -> BoxFuture<'static, Result<()>> {
        let chaos = &self.0.chaos;
        let (before, after) = (chaos.blocking_delay(self.1), chaos.blocking_delay(self.1));
        if !chaos.outlives() {
            return Box::pin(async move {
                sleep(before).await;
                work();
                sleep(after).await;
                Ok(())
            });
        }
        let (sender, done) = oneshot::channel();
        self.0.outlive(self.1, async move {
            sleep(before).await;
            work();
            sleep(after).await;
            // Whoever wanted it may be gone.
            let _ = sender.send(());
        });
        Box::pin(async move { done.await.map_err(|_| Error::internal("blocking work was given up")) })
    }
}
