//! What a leader does for the cluster: deploys attempts, drives their checkpoints, notices who is gone, and starts again what has
//! failed.
//!
//! A [`Leader`] lives as long as its term. It begins with nothing but the replicated state and learns the rest from the workers,
//! whose first message says all that they run; so a new leader takes running jobs over as they are.
//!
//! ```text
//!   worker messages ─┐                               ┌─▶ Propose: a command for the replicated state
//!   applied commands ├─▶ Leader::step(now, state) ───┼─▶ Send, Close: to workers
//!   storage results ─┤      no I/O, no clock         └─▶ Store: objects of checkpoints
//!   ticks ───────────┘
//! ```
//!
//! Nothing is acted upon before it is in the replicated state: an attempt is deployed once `StartAttempt` is applied, a
//! checkpoint's results are committed once `CompleteCheckpoint` is. Whatever happens in between, reconciliation compares what
//! the state wants with what the workers say, and closes the gap.

mod attempt;
mod audits;
mod checkpoints;
mod commits;
mod comparisons;
mod deploy;
mod duties;
mod leftovers;
mod load;
mod questions;
mod reconcile;
mod scaling;
mod serving;
mod sessions;
mod traces;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::connector::{RESULT_CONNECTOR, RESULT_FOLDER};
use weir_core::plugin::ArtifactHash;
use weir_core::{Attempt, Epoch, Incarnation, JobGraph, JobId, OperatorSpec, WorkerId};
use weir_monitoring::Span;
use weir_proto::client::{
    ArtifactPiece, ClientError, ClientResponse, FilePosition, SinksAudit, results as result_folders,
};
use weir_proto::control::{FromWorker, Hello, StoragePlace, ToWorker};
use weir_state::Manifest;

use crate::checkpoints::{self as checkpoints_of, ManifestOrder, Timeouts};
use crate::cluster::{Applied, ClusterState, Command, Refusal};
pub use crate::now::Now;
use crate::workforce::{Asking, Workforce, WorkforceConfig};

pub use self::attempt::AttemptView;
pub use self::audits::AuditId;
pub(crate) use self::comparisons::Comparison;
pub use self::comparisons::ComparisonId;
use self::duties::{Jobs, Proposal};
use self::questions::Questions;
use self::sessions::Sessions;
use self::traces::Traces;

/// Number of a worker's connection, never used twice by one coordinator process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Number of something that storage was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

/// How patient a leader is.
#[derive(Debug, Clone)]
pub struct LeaderConfig {
    /// Pause between two heartbeats of a worker.
    pub heartbeat_interval: Duration,
    /// A worker that says nothing for so long is lost.
    pub worker_timeout: Duration,
    /// A worker whose connection broke may come back for so long.
    pub reconnect_grace: Duration,
    /// Opening an attempt may take so long.
    pub deploy_timeout: Duration,
    /// The first checkpoint after a restart is taken after so long, if the interval is longer: results should not wait.
    pub first_checkpoint: Duration,
    /// Longest time between two markers of a job whose operators have pending updates.
    pub flush_interval: Duration,
    /// Whether jobs without such operators get these markers too.
    pub flush_all_jobs: bool,
    /// Shortest time between a marker and a flush marker behind it.
    pub flush_pause: Duration,
    /// Pause between two tries to commit.
    pub commit_retry: Duration,
    /// A worker that does not answer for so long whether it has committed does not hold others up: another one is asked, and has twice as
    /// long.
    pub commit_timeout: Duration,
    /// Pause before storage is asked again for the manifest that an attempt goes on from.
    pub load_retry: Duration,
    /// Pause before runs are merged again after that failed.
    pub merge_retry: Duration,
    /// How many workers are asked for, if there is somebody to ask.
    pub workforce: Option<WorkforceConfig>,
    /// Whether traces are wanted.
    pub traces: bool,
    /// Pause between two copies of the replicated state in the checkpoint storage: they are as large as the state.
    pub copy_pause: Duration,
}

impl Default for LeaderConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(500),
            worker_timeout: Duration::from_secs(5),
            reconnect_grace: Duration::from_millis(250),
            deploy_timeout: Duration::from_secs(600),
            first_checkpoint: Duration::from_millis(250),
            flush_interval: Duration::from_millis(200),
            flush_all_jobs: false,
            flush_pause: Duration::from_millis(50),
            commit_retry: Duration::from_millis(500),
            commit_timeout: Duration::from_secs(60),
            load_retry: Duration::from_secs(1),
            merge_retry: Duration::from_secs(300),
            workforce: None,
            traces: false,
            copy_pause: Duration::from_secs(5),
        }
    }
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// This is the leader from now on.
    Elected,
    /// Time has passed.
    Tick,
    /// A worker has connected.
    Connected(SessionId, Hello),
    /// A worker has said something.
    Worker(SessionId, FromWorker),
    /// A connection is gone.
    Disconnected(SessionId),
    /// Storage has done what it was asked.
    Stored(OperationId, StorageOutcome),
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Put this into the replicated state.
    Propose(Command),
    /// Tell a worker.
    Send(SessionId, ToWorker),
    /// Close a connection.
    Close(SessionId),
    /// Ask storage.
    Store(OperationId, StorageOperation),
    /// What storage was to do for a client is done.
    Served(OperationId, Result<ClientResponse, ClientError>),
    /// An audit of sinks has come to its end.
    Audited(AuditId, Result<SinksAudit, ClientError>),
    /// It is known whether a version of a job could go on with its state.
    StateCompared(ComparisonId, Result<(), ClientError>),
    /// So many workers should be here.
    AskForWorkers(Workforce),
    /// To be counted: a checkpoint of this job has failed, and why.
    CheckpointFailed(JobId, String),
    /// A part of a trace has come to its end.
    Traced(Span),
}

/// What storage is asked to do. All of it may block.
#[derive(Debug)]
pub enum StorageOperation {
    /// Read a manifest.
    LoadManifest {
        /// The job's storage.
        place: StoragePlace,
        /// Path of the manifest.
        path: String,
    },
    /// Write the manifest that follows another one.
    WriteManifest {
        /// The job's storage.
        place: StoragePlace,
        /// What to write.
        order: ManifestOrder,
    },
    /// Delete what no checkpoint of these needs.
    Retire {
        /// The job's storage.
        place: StoragePlace,
        /// Paths of the manifests that are kept.
        manifests: Vec<String>,
    },
    /// Delete everything at a place, and the place.
    Delete {
        /// A job's storage, or where its results wait.
        place: StoragePlace,
    },
    /// Say in the folder where results wait that somebody reads them, or make it.
    ExpectResults {
        /// The folder.
        place: StoragePlace,
    },
    /// Delete results, and the folder in which they waited: nobody reads them.
    ForgetResults {
        /// The folder.
        place: StoragePlace,
    },
    /// Read on in results.
    ReadResults {
        /// Where they wait.
        place: StoragePlace,
        /// The last epoch that may be read.
        committed: Epoch,
        /// The last file that is needed no more.
        after: Option<FilePosition>,
        /// Bytes of the next one to pass over.
        offset: u64,
    },
    /// Take a piece of a plugin's file.
    PutArtifact {
        /// Where all of them are.
        place: StoragePlace,
        /// The piece.
        piece: ArtifactPiece,
    },
    /// Delete files of plugins.
    Collect {
        /// Where all of them are.
        place: StoragePlace,
        /// Those that are kept.
        needed: BTreeSet<ArtifactHash>,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum StorageOutcome {
    /// The manifest, read or written.
    Manifest(weir_core::Result<Arc<Manifest>>),
    /// What to answer to a client.
    Answer(weir_core::Result<ClientResponse>),
    /// Something that nobody waits for.
    Done,
}

/// What storage is doing, and for whom.
#[derive(Debug)]
enum Operation {
    Base(JobId, Attempt),
    Manifest(JobId, Attempt, Epoch),
    /// A client waits for it.
    Served,
    /// Files of plugins are deleted.
    Collection,
    Tidy,
}

/// A leader, in one term.
#[derive(Debug)]
pub struct Leader {
    term: u64,
    config: LeaderConfig,
    /// Where all coordinators are reached.
    coordinators: Vec<String>,
    sessions: Sessions,
    jobs: Jobs,
    audits: Questions<audits::Asked>,
    comparisons: Questions<comparisons::Compared>,
    asking: Asking,
    /// What traces are made of, if they are wanted.
    traces: Option<Traces>,
    /// When it is looked again how many workers there should be.
    next_asking: Duration,
    operations: BTreeMap<OperationId, Operation>,
    next_operation: u64,
}

/// What every step needs.
pub(crate) struct Context<'a> {
    now: Now,
    state: &'a ClusterState,
    effects: &'a mut Vec<Effect>,
}

impl<'a> Context<'a> {
    /// A step's surroundings.
    pub(crate) fn new(now: Now, state: &'a ClusterState, effects: &'a mut Vec<Effect>) -> Self {
        Self { now, state, effects }
    }

    fn send(&mut self, session: SessionId, message: ToWorker) {
        self.effects.push(Effect::Send(session, message));
    }

    fn propose(&mut self, command: Command) {
        self.effects.push(Effect::Propose(command));
    }

    /// Where a job's checkpoints are.
    fn place(&self, job: JobId) -> StoragePlace {
        StoragePlace { url: format!("{}/{}/jobs/{job}", self.state.storage, self.state.cluster) }
    }

    /// Where rows of the `SELECT` of a dataflow wait to be fetched, if it has one. A client names that folder, and it is to be
    /// deleted: so it is believed only if it is one of those that are for nothing else.
    fn results_of(&self, graph: &JobGraph) -> Option<StoragePlace> {
        let table = graph.nodes().iter().find_map(|node| match &node.spec.operator {
            OperatorSpec::Sink(sink) if sink.table.connector == RESULT_CONNECTOR => Some(&sink.table),
            _ => None,
        })?;
        let url = table.options.get(RESULT_FOLDER)?;
        result_folders::is_folder(url, &self.state.storage, &self.state.cluster)
            .then(|| StoragePlace { url: url.clone() })
    }
}

impl Leader {
    /// Why a worker is gone that was not lost.
    pub(crate) const LEFT_IN_ORDER: &str = "it has left in order";

    /// A leader that knows the replicated state up to the beginning of its term.
    pub fn new(term: u64, config: LeaderConfig, now: Now, state: &ClusterState) -> Self {
        let timeouts = Timeouts {
            commit_retry: config.commit_retry,
            commit_timeout: Some(config.commit_timeout),
            load_retry: config.load_retry,
            merge_retry: config.merge_retry,
        };
        let mut leader = Self {
            term,
            traces: config.traces.then(Traces::default),
            config,
            coordinators: Vec::new(),
            sessions: Sessions::default(),
            jobs: Jobs::new(timeouts),
            audits: Questions::new(term),
            comparisons: Questions::new(term),
            asking: Asking::default(),
            next_asking: now.elapsed,
            operations: BTreeMap::new(),
            // An answer that was meant for the leader of an earlier term is not taken for one of ours.
            next_operation: term << 32,
        };
        let patience = if bugs::is_on(Bug::ImpatientElection) { Duration::ZERO } else { leader.config.worker_timeout };
        let deadline = now.elapsed + patience;
        for (worker, registered) in &state.workers {
            leader.sessions.miss(worker.clone(), registered.incarnation, deadline, "it did not come to the new leader");
        }
        leader
    }

    /// Who the coordinators are. Workers learn it when they are welcomed.
    pub fn set_coordinators(&mut self, addresses: Vec<String>) {
        self.coordinators = addresses;
    }

    /// Looks how many workers there should be, once a second.
    fn ask_for_workers(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let Some(config) = self.config.workforce.as_ref().filter(|_| now >= self.next_asking) else { return };
        self.next_asking = now + Duration::from_secs(1);
        let asked = self.asking.look(now, Workforce::of(context.state, config), config);
        context.effects.extend(asked.map(Effect::AskForWorkers));
    }

    /// How many workers were last asked for.
    pub(crate) fn asked_workers(&self) -> Option<u32> {
        self.asking.asked()
    }

    /// Connections of workers.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.all()
    }

    /// When a worker was last heard of; `None` if it is not connected.
    pub(crate) fn heard(&self, worker: &WorkerId, incarnation: Incarnation) -> Option<Duration> {
        self.sessions.get(self.sessions.of(worker, incarnation)?).map(|session| session.heard)
    }

    /// The term in which this is the leader.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Takes in what has happened and says what is to be done, in order.
    pub fn step(&mut self, now: Now, state: &ClusterState, event: Event, effects: &mut Vec<Effect>) {
        let before = effects.len();
        self.hear(now, &event, effects);
        let mut context = Context::new(now, state, effects);
        match event {
            // What the leader before was about to do: pauses that are not over, results that are not committed.
            Event::Elected => self.reconcile_all(&mut context),
            Event::Tick => self.tick(&mut context),
            Event::Connected(session, hello) => self.connected(&mut context, session, hello),
            Event::Worker(session, message) => self.worker_message(&mut context, session, message),
            Event::Disconnected(session) => self.disconnected(&mut context, session),
            Event::Stored(operation, outcome) => self.stored(&mut context, operation, outcome),
        }
        self.look_on(now, state, effects, before);
    }

    /// For the traces: what a worker says, before anything follows from it.
    fn hear(&mut self, now: Now, event: &Event, effects: &mut Vec<Effect>) {
        let (Some(traces), Event::Worker(session, message)) = (&mut self.traces, event) else { return };
        let Some(session) = self.sessions.get(*session) else { return };
        effects.extend(traces.heard(now, &session.hello.worker, message).map(Effect::Traced));
    }

    /// For the traces: what is done since there were so many effects.
    fn look_on(&mut self, now: Now, state: &ClusterState, effects: &mut Vec<Effect>, before: usize) {
        let Some(traces) = &mut self.traces else { return };
        let sessions = &self.sessions;
        let name_of = |session| sessions.get(session).map(|session| &session.hello.worker);
        let spans: Vec<_> =
            effects[before..].iter().flat_map(|effect| traces.done(now, state, effect, name_of)).collect();
        effects.extend(spans.into_iter().map(Effect::Traced));
    }

    /// A command has been applied, whoever proposed it; `state` is the one after it.
    pub fn applied(
        &mut self,
        now: Now,
        state: &ClusterState,
        command: &Command,
        outcome: &Result<Applied, Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        let before = effects.len();
        let spans = self.traces.as_mut().map(|traces| traces.applied(now, state, command, outcome));
        effects.extend(spans.into_iter().flatten().map(Effect::Traced));
        let mut context = Context::new(now, state, effects);
        if let Some((job, proposal)) = Proposal::of(command) {
            self.jobs.of(job).proposed.remove(&proposal);
        }
        self.after(&mut context, command, outcome);
        self.look_on(now, state, effects, before);
    }

    /// Proposes what a leader does for a job by itself, unless it is proposed already.
    fn propose_once(&mut self, context: &mut Context<'_>, command: Command) {
        let fresh = Proposal::of(&command).is_none_or(|(job, proposal)| self.jobs.of(job).proposed.insert(proposal));
        if fresh {
            context.propose(command);
        }
    }

    fn is_proposed(&self, job: JobId, proposal: Proposal) -> bool {
        self.jobs.get(job).is_some_and(|duties| duties.proposed.contains(&proposal))
    }

    fn store(&mut self, context: &mut Context<'_>, purpose: Operation, operation: StorageOperation) -> OperationId {
        self.next_operation += 1;
        let id = OperationId(self.next_operation);
        self.operations.insert(id, purpose);
        context.effects.push(Effect::Store(id, operation));
        id
    }

    fn stored(&mut self, context: &mut Context<'_>, operation: OperationId, outcome: StorageOutcome) {
        match (self.operations.remove(&operation), outcome) {
            (Some(Operation::Base(job, attempt)), StorageOutcome::Manifest(result)) if self.takes(job, attempt) => {
                self.checkpoints(context, job, checkpoints_of::Event::BaseLoaded(result));
                self.ensure_driver(context, job);
            }
            (Some(Operation::Manifest(job, attempt, epoch)), StorageOutcome::Manifest(result))
                if self.takes(job, attempt) =>
            {
                self.checkpoints(context, job, checkpoints_of::Event::ManifestWritten { epoch, result });
            }
            (Some(Operation::Served), outcome) => Self::served(context, operation, outcome),
            (
                Some(Operation::Base(..) | Operation::Manifest(..) | Operation::Collection | Operation::Tidy) | None,
                _,
            ) => {}
        }
    }

    /// Deletions of files under way that were decided before this command was applied, if it may need such files.
    pub(crate) fn collections(&self, command: &Command) -> BTreeSet<OperationId> {
        if !command.needs_plugins() {
            return BTreeSet::new();
        }
        let collections = self.operations.iter().filter(|(_, operation)| matches!(operation, Operation::Collection));
        collections.map(|(id, _)| *id).collect()
    }

    /// Whether checkpoints are taken of this attempt.
    fn takes(&self, job: JobId, attempt: Attempt) -> bool {
        self.jobs.get(job).is_some_and(|duties| duties.checkpoints.attempt() == Some(attempt))
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.expire_silent_workers(context);
        self.retry_what_is_due(context);
        self.checkpoints_that_are_due(context);
        self.give_up_slow_deployments(context);
        self.give_up_slow_audits(context);
        self.give_up_slow_comparisons(context);
        self.share_slots_when_due(context);
        self.look_at_loads(context);
        self.ask_for_workers(context);
    }
}
