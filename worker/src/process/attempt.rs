//! One attempt: opened, started, marked, and listened to until it is dropped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use weir_core::{Attempt, Epoch, Error, JobId, Marker};
use weir_proto::control::{Deploy, Failure};

use super::engine::{Engine, FiguresSource, OrderedMarkers, RunningPart};
use crate::WorkerEvent;
use crate::agent::{EngineEvent, Event, failure};

/// What the loop is told.
pub enum Happened {
    /// To be passed on to the agent.
    Event(Event),
    /// An attempt has started.
    Started {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// How to learn how it does.
        figures: FiguresSource,
        /// How its sinks are told of markers that are on their way.
        orders: OrderedMarkers,
    },
}

/// What an attempt is told.
#[derive(Debug, Clone, Copy)]
pub enum AttemptCommand {
    /// Run.
    Start,
    /// Send this marker into the dataflow.
    Marker(Marker),
    /// Tell the sources that this epoch's checkpoint is complete.
    Completed(Epoch),
}

/// The task of an attempt.
pub struct AttemptTask {
    /// What to run.
    pub deploy: Arc<Deploy>,
    /// What runs it.
    pub engine: Arc<dyn Engine>,
    /// What to do.
    pub commands: mpsc::Receiver<AttemptCommand>,
    /// Who wants to know.
    pub events: mpsc::Sender<Happened>,
}

impl AttemptTask {
    /// Runs until the attempt is dropped.
    pub async fn run(mut self) {
        // A panic of one job must not be one of the worker.
        let caught = AssertUnwindSafe(self.open_and_run()).catch_unwind().await;
        if caught.is_err() {
            let error = Error::internal("the worker panicked while it ran the attempt");
            self.tell(EngineEvent::Failed(failure(&error))).await;
        }
    }

    async fn open_and_run(&mut self) {
        let part = match self.engine.open(self.deploy.clone()).await {
            Ok(part) => part,
            Err(error) => return self.tell(EngineEvent::Failed(failure(&error))).await,
        };
        self.tell(EngineEvent::Opened).await;
        // The agent sends no marker before it starts the attempt.
        while let Some(command) = self.commands.recv().await {
            if matches!(command, AttemptCommand::Start) {
                return self.watch(part.start()).await;
            }
        }
    }

    async fn watch(&mut self, mut part: Box<dyn RunningPart>) {
        let Deploy { job, attempt, .. } = *self.deploy;
        let _ =
            self.events.send(Happened::Started { job, attempt, figures: part.figures(), orders: part.orders() }).await;
        let mut over = false;
        let send = part.markers();
        let mut sending = None;
        loop {
            tokio::select! {
                // A simulation has to be able to repeat it.
                biased;
                () = until_sent(&mut sending), if sending.is_some() => sending = None,
                command = self.commands.recv(), if sending.is_none() => match command {
                    Some(AttemptCommand::Marker(marker)) => sending = Some(send(marker)),
                    Some(AttemptCommand::Completed(epoch)) => part.completed(epoch).await,
                    Some(AttemptCommand::Start) => {}
                    None => return,
                },
                event = part.event(), if !over => match event {
                    Some(event) => self.tell(engine_event(event)).await,
                    None => over = true,
                },
            }
        }
    }

    async fn tell(&self, event: EngineEvent) {
        let Deploy { job, attempt, .. } = *self.deploy;
        // The loop is gone only when the process ends.
        let _ = self.events.send(Happened::Event(Event::Engine { job, attempt, event })).await;
    }
}

/// Waits until a marker is with the sources.
async fn until_sent(sending: &mut Option<BoxFuture<'static, ()>>) {
    if let Some(sending) = sending {
        sending.await;
    }
}

fn engine_event(event: WorkerEvent) -> EngineEvent {
    match event {
        WorkerEvent::SourcesExhausted => EngineEvent::SourcesExhausted,
        WorkerEvent::MarkerWanted => EngineEvent::MarkerWanted,
        WorkerEvent::Reported(content) => EngineEvent::Reported(content),
        WorkerEvent::ReportFailed { epoch, error } => EngineEvent::ReportFailed(epoch, failure(&error)),
        WorkerEvent::Finished => EngineEvent::Finished,
        WorkerEvent::Failed(error) => EngineEvent::Failed(failure(&error)),
        WorkerEvent::PeerLost(error) => EngineEvent::Failed(Failure { peer_lost: true, ..failure(&error) }),
    }
}
