//! The engine of a worker, which stands still now and then although the worker's sessions live: its processors are taken, or
//! an operator does not come to an end. In some histories its parts want a marker again and again, as a source does that was
//! idle; so markers of both kinds are always on their way.
//!
//! Sources and sinks stand still by themselves, see [`connector`](crate::connector); and with them the subtasks that they are
//! chained to. Here it is the way between the engine and the process around it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use weir_core::{Epoch, Result};
use weir_proto::control::Deploy;
use weir_worker::WorkerEvent;
use weir_worker::process::{Engine, FiguresSource, JobEngine, MarkerSender, OpenPart, OrderedMarkers, RunningPart};

use crate::cluster::Cluster;
use crate::network::Machine;
use weir_core::random::Random;

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
    wishes: Wishes,
}

/// When a part wants its next marker.
struct Wishes {
    random: Random,
    due: Instant,
}

impl Wishes {
    /// Waits until it is time. Dropping the wait loses nothing.
    async fn next(&mut self, pause: Option<Duration>) {
        let Some(pause) = pause else { return std::future::pending().await };
        sleep_until(self.due).await;
        let longest = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.due = Instant::now() + self.random.milliseconds(1, longest);
    }
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
        let wishes = Wishes { random: self.1.cluster.chaos.fork(), due: Instant::now() };
        Box::new(SimRunningPart { part: self.0.start(), place: self.1, happened: None, wishes })
    }
}

#[async_trait]
impl RunningPart for SimRunningPart {
    fn markers(&self) -> MarkerSender {
        let (host, send) = (self.place.clone(), self.part.markers());
        Arc::new(move |marker| {
            let (host, send) = (host.clone(), send.clone());
            Box::pin(async move {
                host.thawed().await;
                send(marker).await;
            })
        })
    }

    async fn completed(&mut self, epoch: Epoch) {
        self.place.thawed().await;
        self.part.completed(epoch).await;
    }

    async fn event(&mut self) -> Option<WorkerEvent> {
        if self.happened.is_none() {
            let pause = self.place.cluster.shape.marker_pause;
            self.happened = Some(tokio::select! {
                biased;
                event = self.part.event() => event,
                () = self.wishes.next(pause) => Some(WorkerEvent::MarkerWanted),
            });
        }
        self.place.thawed().await;
        self.happened.take().flatten()
    }

    fn orders(&self) -> OrderedMarkers {
        self.part.orders()
    }

    fn figures(&self) -> FiguresSource {
        self.part.figures()
    }
}
