//! Connections of workers: each is a session of the node, with a task that carries the worker's messages to it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::async_trait;
use weir_proto::control::{Hello, ToWorker};
use weir_proto::grpc::{WorkerHandler, WorkerMessages};

use super::super::NodeHandle;
use crate::leader::SessionId;

/// Sessions, and the tasks that serve them. Dropping it ends them all.
pub(super) struct WorkerSessions {
    node: NodeHandle,
    readers: Mutex<JoinSet<()>>,
}

impl WorkerSessions {
    pub(super) fn new(node: NodeHandle) -> Self {
        Self { node, readers: Mutex::new(JoinSet::new()) }
    }

    /// Waits until the node knows of the end of every session. Connections have to be cut before.
    pub(super) async fn ended(&self) {
        let mut readers = std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner));
        while readers.join_next().await.is_some() {}
    }
}

#[async_trait]
impl WorkerHandler for WorkerSessions {
    async fn attached(&self, hello: Hello, messages: WorkerMessages) -> mpsc::Receiver<ToWorker> {
        let worker = hello.worker.clone();
        let (session, outgoing) = self.node.connect(hello).await;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        while readers.try_join_next().is_some() {}
        let node = self.node.clone();
        readers.spawn(async move {
            if let Err(error) = carry(&node, session, messages).await {
                tracing::debug!(%worker, error = error.report(), "a worker's connection has ended");
            }
            node.disconnected(session).await;
        });
        outgoing
    }
}

/// Until the connection is over, in whichever direction.
async fn carry(node: &NodeHandle, session: SessionId, mut messages: WorkerMessages) -> weir_core::Result<()> {
    while let Some(message) = messages.next().await? {
        node.worker(session, message).await;
    }
    Ok(())
}
