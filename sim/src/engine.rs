//! The engine of a worker, which stands still now and then although the worker's sessions live: its processors are taken, or
//! an operator does not come to an end.
//!
//! Sources and sinks stand still by themselves, see [`connector`](crate::connector); and with them the subtasks that they are
//! chained to. Here it is the way between the engine and the process around it.

use std::sync::Arc;

use async_trait::async_trait;
use weir_core::{Marker, Result};
use weir_proto::control::Deploy;
use weir_worker::WorkerEvent;
use weir_worker::process::{Engine, FiguresSource, JobEngine, OpenPart, RunningPart};

use crate::cluster::Cluster;
use crate::network::Machine;

/// The machine that an engine runs on.
#[derive(Debug, Clone)]
pub struct Host {
    /// The history's surroundings.
    pub cluster: Arc<Cluster>,
    /// The machine.
    pub machine: Machine,
}

impl Host {
    /// Waits while the machine's engine stands still.
    pub async fn thawed(&self) {
        self.cluster.chaos.thawed(self.machine).await;
    }
}

/// An engine at its place.
pub struct SimEngine(pub JobEngine, pub Host);

struct SimOpenPart(Box<dyn OpenPart>, Host);

struct SimRunningPart {
    part: Box<dyn RunningPart>,
    place: Host,
    /// What has happened while the engine stood still.
    happened: Option<Option<WorkerEvent>>,
}

#[async_trait]
impl Engine for SimEngine {
    fn joined(&self, cluster: &str) {
        self.0.joined(cluster);
    }

    async fn open(&self, deploy: Arc<Deploy>) -> Result<Box<dyn OpenPart>> {
        self.1.thawed().await;
        Ok(Box::new(SimOpenPart(self.0.open(deploy).await?, self.1.clone())))
    }
}

impl OpenPart for SimOpenPart {
    fn start(self: Box<Self>) -> Box<dyn RunningPart> {
        Box::new(SimRunningPart { part: self.0.start(), place: self.1, happened: None })
    }
}

#[async_trait]
impl RunningPart for SimRunningPart {
    async fn marker(&mut self, marker: Marker) {
        self.place.thawed().await;
        self.part.marker(marker).await;
    }

    async fn event(&mut self) -> Option<WorkerEvent> {
        if self.happened.is_none() {
            self.happened = Some(self.part.event().await);
        }
        self.place.thawed().await;
        self.happened.take().flatten()
    }

    fn figures(&self) -> FiguresSource {
        self.part.figures()
    }
}
