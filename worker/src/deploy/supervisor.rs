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
        let (mut running, mut in_order) = (true, true);
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
                joined = self.tasks.join_next(), if running => match joined {
                    None => {
                        running = false;
                        match self.stored().await {
                            Err(error) => WorkerEvent::Failed(error),
                            Ok(()) if in_order => WorkerEvent::Finished,
                            // The neighbour that was lost is in another part, which says itself why, or is lost as a whole.
                            Ok(()) if self.membership.is_some() => continue,
                            Ok(()) => WorkerEvent::Failed(Error::internal("subtasks have lost each other")),
                        }
                    }
                    Some(Ok(Ok(()))) => continue,
                    Some(Ok(Err(Interrupt::Disconnected))) => {
                        in_order = false;
                        continue;
                    }
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

    /// Waits for the last report.
    async fn stored(&mut self) -> Result<()> {
        while let Some(joined) = self.uploads.join_next().await {
            joined.map_err(|join| Error::internal("what stores the state has panicked").with_source(join))?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::BoxFuture;
    use weir_core::{Attempt, Incarnation, JobId, WorkerId};

    use super::*;
    use crate::network::{FRAME_BYTES, Network, NetworkConfig, Process, TcpTransport};

    type Subtasks = Vec<Result<(), Interrupt>>;

    fn supervisor(
        subtasks: Subtasks,
        uploads: BoxFuture<'static, ()>,
        membership: Option<Membership>,
    ) -> (Supervisor, mpsc::Receiver<WorkerEvent>) {
        let (events, receiver) = mpsc::channel(8);
        let exhausted = mpsc::channel(1).1;
        let (mut tasks, mut stores) = (JoinSet::new(), JoinSet::new());
        for subtask in subtasks {
            tasks.spawn(std::future::ready(subtask));
        }
        stores.spawn(uploads);
        (Supervisor { tasks, sources: 1, uploads: stores, exhausted, membership, events }, receiver)
    }

    /// What is said of a part with these subtasks, and no other part beside it.
    async fn said(subtasks: Subtasks, uploads: BoxFuture<'static, ()>) -> Vec<WorkerEvent> {
        let (supervisor, events) = supervisor(subtasks, uploads, None);
        supervisor.run().await;
        all(events).await
    }

    async fn all(mut events: mpsc::Receiver<WorkerEvent>) -> Vec<WorkerEvent> {
        let mut said = Vec::new();
        while let Some(event) = events.recv().await {
            said.push(event);
        }
        said
    }

    fn stored() -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    #[tokio::test]
    async fn only_subtasks_that_ended_in_order_have_finished() {
        assert!(matches!(*said(vec![Ok(()), Ok(())], stored()).await, [WorkerEvent::Finished]));
        let lost = said(vec![Ok(()), Err(Interrupt::Disconnected)], stored()).await;
        assert!(matches!(*lost, [WorkerEvent::Failed(_)]), "{lost:?}");
        let all_lost = said(vec![Err(Interrupt::Disconnected), Err(Interrupt::Disconnected)], stored()).await;
        assert!(matches!(*all_lost, [WorkerEvent::Failed(_)]), "{all_lost:?}");
    }

    #[tokio::test]
    async fn what_was_not_stored_has_not_finished() {
        let panicked = Box::pin(async { panic!("the disk is on fire") });
        let said = said(vec![Ok(())], panicked).await;
        assert!(matches!(*said, [WorkerEvent::Failed(_)]), "{said:?}");
    }

    #[tokio::test]
    async fn a_part_that_has_lost_another_waits_to_hear_why() {
        let transport = Arc::new(TcpTransport::listen("127.0.0.1:0", FRAME_BYTES, None).await.unwrap());
        let me = Process { worker: WorkerId("w1".into()), incarnation: Incarnation(1) };
        let network = Network::start(NetworkConfig::new("fox", me), transport);
        let membership = network.join(JobId(1), Attempt(1)).unwrap();
        let (supervisor, mut events) =
            supervisor(vec![Ok(()), Err(Interrupt::Disconnected)], stored(), Some(membership));
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let running = tokio::spawn(supervisor.run());
        // All that is ready is done; nothing of it is told.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(events.try_recv().is_err());
        let _newer = network.join(JobId(1), Attempt(2)).unwrap();
        assert!(matches!(*all(events).await, [WorkerEvent::PeerLost(_)]));
        running.await.unwrap();
    }
}
