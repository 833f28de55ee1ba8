//! Watches over the subtasks of a part.

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_core::{Error, Result};

use crate::exchange::network::Membership;
use crate::subtask::{Interrupt, WorkerEvent};

/// Owns the subtasks and their uploads: says when the sources are exhausted, when all have ended and the last report is
/// out, and what has failed first; then stops the others.
pub struct Supervisor {
    /// The subtasks.
    pub tasks: JoinSet<Result<(), Interrupt>>,
    /// How many of them are sources.
    pub sources: usize,
    /// What stores the subtasks' snapshots; ends behind the last of them.
    pub uploads: JoinSet<()>,
    /// Told once by each source.
    pub exhausted: mpsc::Receiver<()>,
    /// This part among the others, if there are others.
    pub membership: Option<Membership>,
    /// Who wants to know.
    pub events: mpsc::Sender<WorkerEvent>,
}

impl Supervisor {
    /// Runs until all subtasks have ended or one has failed.
    pub async fn run(mut self) {
        if self.sources == 0 {
            self.tell(WorkerEvent::SourcesExhausted).await;
        }
        loop {
            let event = tokio::select! {
                biased;
                // Asked first: a source says that it is exhausted before it ends.
                Some(()) = self.exhausted.recv() => {
                    self.sources -= 1;
                    if self.sources > 0 {
                        continue;
                    }
                    WorkerEvent::SourcesExhausted
                }
                joined = self.tasks.join_next() => match joined {
                    None => {
                        while self.uploads.join_next().await.is_some() {}
                        WorkerEvent::Finished
                    }
                    Some(Ok(Ok(()) | Err(Interrupt::Disconnected))) => continue,
                    Some(Ok(Err(Interrupt::Failed(error)))) => WorkerEvent::Failed(error),
                    Some(Err(join)) => WorkerEvent::Failed(Error::internal("a subtask panicked").with_source(join)),
                },
                error = lost(self.membership.as_mut()) => WorkerEvent::PeerLost(error),
            };
            let last = matches!(event, WorkerEvent::Finished | WorkerEvent::Failed(_) | WorkerEvent::PeerLost(_));
            self.tell(event).await;
            if last {
                self.tasks.shutdown().await;
                return;
            }
        }
    }

    async fn tell(&self, event: WorkerEvent) {
        // The driver is gone only when the job is being dropped, and then nobody wants to know.
        let _ = self.events.send(event).await;
    }
}

/// Waits until a peer is lost.
async fn lost(membership: Option<&mut Membership>) -> Error {
    match membership {
        Some(membership) => membership.lost().await,
        None => std::future::pending().await,
    }
}
