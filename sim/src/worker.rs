//! A worker's process: the loop, the engine and the operators that production runs, between simulated coordinators, links and
//! storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use weir_coordinator::leader::SessionId;
use weir_core::{Error, Incarnation, Result, WorkerId};
use weir_functions::Functions;
use weir_proto::control::{FromWorker, Hello, ToWorker};
use weir_worker::agent::{AgentConfig, Ending};
use weir_worker::network::Link;
use weir_worker::process::{Coordinators, JobEngine, JobEngineConfig, Session, Surroundings, drive};

use crate::blocking::SimBlocking;
use crate::cluster::{Cluster, MachineClock};
use crate::connector::Connectors;
use crate::engine::{Host, SimEngine};
use crate::links::SimTransport;
use crate::mailbox::Mailbox;
use crate::network::{Heard, Machine};
use crate::storage::Storages;

/// How long a worker waits for a coordinator that does not answer.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long a worker that is told to go waits for its work to be moved away.
const DRAIN: Duration = Duration::from_secs(5);

/// Name of the worker with this number.
pub fn name(number: u64) -> WorkerId {
    WorkerId(format!("worker-{number}"))
}

/// Runs until it is told to go.
pub async fn run(
    cluster: Arc<Cluster>,
    number: u64,
    incarnation: u64,
    inbox: Mailbox<Link>,
    shutdown: mpsc::Receiver<()>,
) -> Ending {
    let machine = Machine::Worker(number);
    let slots = usize::try_from(number - 1).ok().and_then(|index| cluster.shape.workers.get(index)).copied();
    let agent = AgentConfig {
        worker: name(number),
        incarnation: Incarnation(incarnation),
        slots: slots.unwrap_or(1),
        address: machine.to_string(),
        version: "simulated".to_owned(),
        cluster: None,
        coordinators: cluster.coordinators.addresses(),
        drain_timeout: DRAIN,
        seed: incarnation,
    };
    let place = Host { cluster: cluster.clone(), machine };
    let connectors = Arc::new(Connectors::of(place.clone()));
    let blocking = Arc::new(SimBlocking(cluster.clone(), machine));
    let storages = Arc::new(Storages(cluster.clone()));
    let engine = JobEngine::new(JobEngineConfig {
        worker: name(number),
        incarnation: Incarnation(incarnation),
        connectors: connectors.clone(),
        functions: Functions::built_in(),
        storages: storages.clone(),
        plugins: Arc::default(),
        clock: Arc::new(MachineClock(cluster.clone(), machine)),
        compute: Handle::current(),
        io: Handle::current(),
        blocking: blocking.clone(),
        transport: Arc::new(SimTransport { cluster: cluster.clone(), machine, inbox }),
        limits: cluster.shape.limits,
        running: Arc::default(),
        spans: Default::default(),
    });
    let surroundings = Surroundings {
        coordinators: Arc::new(SimCoordinators { cluster, machine }),
        engine: Arc::new(SimEngine(engine, place)),
        storages,
        connectors,
        plugins: Arc::default(),
        functions: Functions::built_in(),
        blocking,
        data_dir: None,
        io: Handle::current(),
        isolation: Arc::default(),
        pulse: Arc::default(),
    };
    drive(agent, surroundings, shutdown).await
}

/// The way from one worker to the coordinators.
struct SimCoordinators {
    cluster: Arc<Cluster>,
    machine: Machine,
}

#[async_trait]
impl Coordinators for SimCoordinators {
    async fn attach(
        &self,
        address: &str,
        hello: Hello,
        outgoing: mpsc::Receiver<FromWorker>,
    ) -> Result<Box<dyn Session>> {
        let nobody = || Error::environment(format!("{address} cannot be reached"));
        let coordinator = Machine::at(address).ok_or_else(nobody)?;
        let Some(there) = self.cluster.network.arrival(self.machine, coordinator) else {
            sleep(PATIENCE).await;
            return Err(nobody());
        };
        sleep_until(there).await;
        let (id, inbox) = self.cluster.network.attach(self.machine, coordinator, hello)?;
        self.cluster.trace.say(self.machine, format_args!("session {} with {coordinator}", id.0));
        Ok(Box::new(SimSession {
            cluster: self.cluster.clone(),
            machine: self.machine,
            id,
            inbox,
            outgoing,
            quiet: false,
        }))
    }
}

struct SimSession {
    cluster: Arc<Cluster>,
    machine: Machine,
    id: SessionId,
    inbox: Mailbox<Heard>,
    outgoing: mpsc::Receiver<FromWorker>,
    /// The worker has nothing more to say.
    quiet: bool,
}

#[async_trait]
impl Session for SimSession {
    async fn next(&mut self) -> Result<Option<ToWorker>> {
        loop {
            tokio::select! {
                biased;
                message = self.outgoing.recv(), if !self.quiet => match message {
                    Some(message) => {
                        self.look(&message);
                        self.cluster.network.send_up(self.id, message);
                    }
                    None => self.quiet = true,
                },
                heard = self.inbox.receive() => return match heard {
                    Heard::Message(message) => Ok(Some(message)),
                    Heard::Closed => Ok(None),
                    Heard::Broken => Err(Error::environment("the session broke")),
                },
            }
        }
    }
}

impl SimSession {
    /// What a worker says is worth a line, except that it is alive; and it must not have found a defect in itself.
    fn look(&self, message: &FromWorker) {
        let Cluster { trace, oracle, .. } = &*self.cluster;
        let say = |what: String| trace.say(self.machine, what);
        match message {
            FromWorker::Hello(_) | FromWorker::Heartbeat(_) => {}
            FromWorker::Status(status) => {
                say(format!(
                    "job {} attempt {}: {:?}, epoch {}",
                    status.job, status.attempt, status.phase, status.last_epoch
                ));
                if let weir_proto::control::AttemptPhase::Failed(failure) = &status.phase
                    && failure.kind == weir_core::ErrorKind::Internal
                {
                    oracle.violation(format!("{} found a defect: {}", self.machine, failure.report));
                }
            }
            FromWorker::Report(report) => {
                let outcome = report.outcome.as_ref().map(|_| ()).map_err(|failure| &failure.report);
                say(format!(
                    "job {} attempt {}: report of epoch {}: {outcome:?}",
                    report.job, report.attempt, report.epoch
                ));
            }
            FromWorker::Committed { job, epoch, result } => {
                say(format!(
                    "job {job}: commit of epoch {epoch}: {:?}",
                    result.as_ref().map_err(|failure| &failure.report)
                ));
            }
            FromWorker::Merged { job, epoch, merged, .. } => {
                say(format!("job {job}: merged runs of epoch {epoch}: {:?}", merged.as_ref().map(Vec::len)));
            }
            FromWorker::Audited { id, findings } => {
                say(format!("audit {id}: {:?}", findings.as_ref().map_err(|failure| &failure.report)));
            }
            FromWorker::StateCompared { id, misfits } => {
                say(format!("state compared {id}: {:?}", misfits.as_ref().map_err(|failure| &failure.report)));
            }
            FromWorker::Leaving => say("wants to go".to_owned()),
        }
    }
}

impl Drop for SimSession {
    fn drop(&mut self) {
        self.cluster.network.close_up(self.id);
    }
}

/// A message to a worker in a few words.
pub fn word(message: &ToWorker) -> String {
    match message {
        ToWorker::Welcome(welcome) => format!("welcome to term {}", welcome.term),
        ToWorker::Redirect { leader } => format!("redirect to {leader:?}"),
        ToWorker::Refused { reason } => format!("refused: {reason}"),
        ToWorker::NameTaken { address } => format!("name taken by {address}"),
        ToWorker::Deploy(deploy) => format!(
            "deploy job {} attempt {} from {:?} on {:?}",
            deploy.job, deploy.attempt, deploy.restore, deploy.placement.slots
        ),
        ToWorker::Start { job, attempt } => format!("start job {job} attempt {attempt}"),
        ToWorker::Marker { job, attempt, epoch, kind } => {
            format!("marker {epoch} ({kind:?}) to job {job} attempt {attempt}")
        }
        ToWorker::Completed { job, attempt, epoch } => format!("job {job} attempt {attempt}: {epoch} is completed"),
        ToWorker::Cancel { job, attempt } => format!("cancel job {job} attempt {attempt}"),
        ToWorker::Commit { job, checkpoint, .. } => format!("commit job {job} epoch {}", checkpoint.epoch),
        ToWorker::Merge { job, checkpoint, .. } => format!("merge job {job} epoch {}", checkpoint.epoch),
        ToWorker::Discard(leftovers) => format!("discard what job {} has left", leftovers.identity),
        ToWorker::Audit { id, order } => format!("audit {id}: sinks of job {}", order.identity),
        ToWorker::CompareState { id, order } => format!("compare state {id}: {:?}", order.checkpoint),
        ToWorker::Farewell => "farewell".to_owned(),
    }
}
