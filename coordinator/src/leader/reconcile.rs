//! What each job needs next, found from what it is: called after every change, and safe to call at any time.

use std::time::Duration;

use weir_core::{Attempt, Error, JobGraph, JobId, PlacedWorker, Placement};
use weir_proto::client::artifacts;
use weir_proto::control::StoragePlace;
use weir_proto::version;

use super::attempt::LiveAttempt;
use super::comparisons::Compared;
use super::duties::JobDuties;
use super::scaling::Gain;
use super::{Context, Leader, Operation, Proposal, StorageOperation};
use crate::checkpoints::{AttemptConfig, Event};
use crate::cluster::{Applied, ClusterState, Command, Execution, Job, JobStatus, Refusal, plugins_of};
use crate::scheduler::{self, Candidate, Problem, Shortfall};

impl Leader {
    /// A command has been applied.
    pub(super) fn after(&mut self, context: &mut Context<'_>, command: &Command, outcome: &Result<Applied, Refusal>) {
        self.tidy_tables(context, command, outcome);
        match command {
            Command::RegisterWorker { .. } | Command::LoseWorker { .. } | Command::DrainWorker { .. } => {
                return self.after_worker_command(context, command, outcome);
            }
            Command::Found { .. } | Command::DropNamespace { .. } => return,
            // A limit may be another one.
            Command::SetNamespace { .. } => return self.share_slots(context),
            Command::ReplaceCatalog { .. } => {
                if outcome.is_ok() {
                    self.collect_artifacts(context);
                }
                return;
            }
            Command::CompleteCheckpoint { job, checkpoint } if outcome.is_ok() => {
                self.completed(context, *job, checkpoint.epoch);
            }
            Command::CommitCheckpoint { job, epoch, .. } => {
                let result = outcome.as_ref().map(drop).map_err(|refusal| Error::internal(refusal.to_string()));
                self.checkpoints(context, *job, Event::Acknowledged { epoch: *epoch, result });
            }
            Command::ForgetCheckpoint { job, .. } if outcome.is_ok() => {
                // Of a job that has ended under an earlier leader.
                self.jobs.of(*job);
                self.checkpoints(context, *job, Event::Forgotten);
            }
            Command::DeleteJob { .. } => self.delete_files(context, outcome),
            Command::StartAttempt { job, .. } => {
                self.jobs.of(*job).waiting_for = None;
            }
            Command::AttemptRunning { job, .. } if outcome.is_ok() => self.ran(context, *job),
            Command::ScaleJob { job, decision } if outcome.is_ok() => self.scaled(*job, decision),
            // What a person has changed is left alone for as long as what the leader has.
            Command::RescaleJob { job, .. } | Command::SetScaling { job, .. } | Command::UpdateJob { job, .. } => {
                self.jobs.of(*job).gain = Gain::default();
            }
            Command::SubmitJob { spec, .. } => {
                if !spec.graph.artifacts().is_empty() {
                    self.collect_artifacts(context);
                }
                self.share_slots(context);
                return self.schedule(context);
            }
            _ => {}
        }
        if let Some(job) = job_of(command) {
            self.reconcile(context, job);
        }
        if changes_shares(command, outcome) {
            self.share_slots(context);
        }
        self.schedule(context);
        self.dismiss_idle_workers(context);
    }

    /// A job is deleted: so are its checkpoints, and rows of a `SELECT` that nobody has fetched.
    fn delete_files(&mut self, context: &mut Context<'_>, outcome: &Result<Applied, Refusal>) {
        let Ok(Applied::Deleted { job, spec, .. }) = outcome else { return };
        let places = [context.place(*job)].into_iter().chain(context.results_of(&spec.graph));
        for place in places.collect::<Vec<_>>() {
            self.store(context, Operation::Tidy, StorageOperation::Delete { place });
        }
        if !spec.graph.artifacts().is_empty() {
            self.collect_artifacts(context);
        }
    }

    /// Files of plugins that no job needs, and no function of a catalog, are deleted. One that is uploaded and whose job is not submitted yet is
    /// one of them: the client looks for it again behind the submission, which is answered when what was decided before is done.
    fn collect_artifacts(&mut self, context: &mut Context<'_>) {
        let specs = context.state.jobs.values().flat_map(|job| [Some(&job.spec), job.update.as_ref()]);
        // A version of which it is still looked whether its state fits has its files there.
        let versions = self.comparisons.subjects().map(Compared::version);
        let graphs = specs.flatten().map(|spec| &*spec.graph).chain(versions);
        let needed = graphs.flat_map(JobGraph::artifacts).map(|artifact| artifact.hash.clone());
        let catalogs = context.state.namespaces.values().flat_map(|namespace| &namespace.catalog.statements);
        let needed = needed.chain(catalogs.flat_map(|statement| plugins_of(statement))).collect();
        let place = StoragePlace { url: artifacts::folder(&context.state.storage, &context.state.cluster) };
        self.store(context, Operation::Collection, StorageOperation::Collect { place, needed });
    }

    pub(super) fn reconcile_all(&mut self, context: &mut Context<'_>) {
        let jobs: Vec<JobId> = context.state.jobs.keys().copied().collect();
        jobs.into_iter().for_each(|id| self.reconcile(context, id));
        self.share_slots(context);
        self.schedule(context);
    }

    /// What this job needs next, but for slots.
    pub(super) fn reconcile(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return self.forget(context, id) };
        let current = job.execution.as_ref().map(|_| job.attempt);
        if self.jobs.attempt(id).is_some_and(|live| Some(live.number) != current) {
            self.ended(context, id);
        }
        self.ensure_attempt(context, id);
        self.ensure_commit(context, id);
        match job.status {
            JobStatus::Deploying => {
                self.deploy(context, id);
                self.advance(context, id);
            }
            JobStatus::Running => {
                self.ensure_driver(context, id);
                self.advance(context, id);
                self.stop_if_wanted(context, id);
            }
            JobStatus::Restarting => self.retry_later(context, id, job),
            JobStatus::Scheduling
            | JobStatus::Stopped
            | JobStatus::Finished
            | JobStatus::Failed
            | JobStatus::Cancelled => {}
        }
    }

    /// Keeps an eye on the current attempt of a job.
    pub(super) fn ensure_attempt(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(execution) = &job.execution else { return };
        let now = context.now;
        let duties = self.jobs.of(id);
        if duties.attempt.as_ref().is_none_or(|live| live.number != job.attempt) {
            duties.attempt = Some(LiveAttempt::new(job.attempt, execution, now.elapsed));
            let attempt = AttemptConfig {
                attempt: job.attempt,
                job: job.spec.fingerprint.clone(),
                identity: context.state.identity(id, job),
                places: job.spec.graph.places(),
                parallelism: execution.placement.slots.len(),
                manifest_timeout: Duration::from_millis(job.spec.settings.checkpoint_timeout_ms),
                term: Some(self.term),
            };
            duties.checkpoints.begin(attempt, now);
        }
        duties.last_placement = Some(execution.placement.clone());
    }

    /// The last attempt is over.
    fn ended(&mut self, context: &mut Context<'_>, id: JobId) {
        let duties = self.jobs.of(id);
        duties.attempt = None;
        duties.checkpoints.end();
        duties.pause.begin(context.now.elapsed);
        // A merge that is under way comes to nothing now, and holds no deletion up any more.
        self.checkpoints(context, id, Event::Forgotten);
        self.forget_all_strays(context);
    }

    /// An attempt runs.
    fn ran(&mut self, context: &mut Context<'_>, id: JobId) {
        self.jobs.of(id).pause.end(context.now.elapsed);
    }

    /// How long the job last stood still between two attempts.
    pub(crate) fn last_pause(&self, id: JobId) -> Option<Duration> {
        self.jobs.get(id)?.pause.last
    }

    /// The job is not there any more.
    fn forget(&mut self, context: &mut Context<'_>, id: JobId) {
        self.jobs.forget(id);
        self.forget_all_strays(context);
    }

    /// The pause after a failure. It is measured by this leader's clock, from when it hears of the failure.
    fn retry_later(&mut self, context: &mut Context<'_>, id: JobId, job: &Job) {
        let duties = self.jobs.of(id);
        if duties.retry.is_some_and(|(attempt, _)| attempt == job.attempt) {
            return;
        }
        let pause = job.last_failure.as_ref().and_then(|failure| Some(failure.retry_at? - failure.at)).unwrap_or(0);
        let pause = Duration::from_millis(u64::try_from(pause).unwrap_or(0));
        duties.retry = Some((job.attempt, context.now.elapsed + pause));
        self.retry_what_is_due(context);
    }

    pub(super) fn retry_what_is_due(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let take =
            |(job, duties): (JobId, &mut JobDuties)| Some((job, duties.retry.take_if(|(_, due)| *due <= now)?.0));
        for (job, attempt) in self.jobs.iter_mut().filter_map(take).collect::<Vec<_>>() {
            self.propose_once(context, Command::RetryJob { job, attempt, at: context.now.wall });
        }
    }

    /// Gives slots to jobs that wait for them, oldest first. One at a time: the next place is found when the state knows of
    /// the last.
    pub(super) fn schedule(&mut self, context: &mut Context<'_>) {
        if self.jobs.iter().any(|(_, duties)| duties.proposed.contains(&Proposal::Start)) {
            return;
        }
        let state = context.state;
        let waiting = state.jobs.iter().filter(|(_, job)| job.status == JobStatus::Scheduling);
        for (id, job) in waiting {
            if let Some(command) = self.next_for(context, *id, job) {
                return self.propose_once(context, command);
            }
        }
    }

    /// What takes a job on that waits for slots; `None` if it has to wait.
    fn next_for(&mut self, context: &mut Context<'_>, id: JobId, job: &Job) -> Option<Command> {
        let at = context.now.wall;
        // It is about to have another number of slots.
        if self.is_proposed(id, Proposal::Scale) {
            return None;
        }
        if let Some(why) = self.waits_for_commit(context, id) {
            self.jobs.of(id).waiting_for =
                Some(format!("results of its last checkpoint are to be committed first: {why}"));
            self.ensure_commit(context, id);
            return None;
        }
        let (placement, as_before) = match self.place(context, id, job) {
            Ok(placement) => (placement, false),
            Err(shortfall) => match self.place_as_before(context, id, job) {
                Some(placement) => (placement, true),
                None => {
                    self.jobs.of(id).waiting_for = Some(shortfall.to_string());
                    return None;
                }
            },
        };
        let restored = job.restore_point().map(|checkpoint| checkpoint.epoch);
        let execution = Execution { placement, restored, running_since: None };
        let attempt = Attempt(job.attempt.0 + 1);
        Some(Command::StartAttempt { job: id, attempt, execution, as_before, at })
    }

    /// Where the job could run with the slots that it shall have.
    fn place(&self, context: &Context<'_>, id: JobId, job: &Job) -> Result<Placement, Shortfall> {
        scheduler::place(&self.problem(context, (id, job), job.parallelism))
    }

    /// Where it could run with the slots that it had last, if these are fewer than it shall have: a wish for more is no reason to
    /// stand still.
    fn place_as_before(&self, context: &Context<'_>, id: JobId, job: &Job) -> Option<Placement> {
        let last = self.jobs.get(id).and_then(|duties| duties.last_placement.as_ref());
        let last = last.and_then(|placement| u32::try_from(placement.slots.len()).ok());
        // A leader that has not seen the last attempt knows it by its checkpoint.
        let before = last.or_else(|| job.restore_point().map(|checkpoint| checkpoint.parallelism))?;
        let before = Some(before).filter(|before| (1..job.parallelism).contains(before))?;
        scheduler::place(&self.problem(context, (id, job), before)).ok()
    }

    fn problem(&self, context: &Context<'_>, (id, job): (JobId, &Job), slots_wanted: u32) -> Problem {
        let mut workers = self.candidates(context.state, Some(id));
        let needed = version::needed_by(&job.wanted().graph);
        workers.iter_mut().for_each(|candidate| candidate.too_old = !self.speaks(&candidate.worker, needed));
        Problem { slots_wanted, workers, previous: self.jobs.get(id).and_then(|duties| duties.last_placement.clone()) }
    }

    /// Whether a running job is to be moved off workers that are to be emptied. Those that find room elsewhere are, all of them
    /// together.
    pub(super) fn should_move(&self, context: &Context<'_>, id: JobId) -> bool {
        let state = context.state;
        let drains = |placed: &PlacedWorker| state.workers.get(&placed.worker).is_some_and(|worker| worker.draining);
        if !self.jobs.attempt(id).is_some_and(|live| live.placement.workers.iter().any(drains)) {
            return false;
        }
        let running = state.jobs.iter().filter_map(|(id, job)| {
            let execution = job.execution.as_ref().filter(|_| job.status == JobStatus::Running)?;
            // One that shall have more slots than it has is moved with those that it has.
            let has = u32::try_from(execution.placement.slots.len()).unwrap_or(u32::MAX);
            Some((*id, job.parallelism.min(has), &execution.placement))
        });
        self.is_deserted(id) || scheduler::rebalance(running, &self.candidates(state, None)).contains(&id)
    }

    /// Workers that are connected, with the slots that a job has itself counted as free.
    fn candidates(&self, state: &ClusterState, job: Option<JobId>) -> Vec<Candidate> {
        let mut workers = state.candidates(job);
        workers.retain(|candidate| self.sessions.of(&candidate.worker.worker, candidate.worker.incarnation).is_some());
        workers
    }

    /// Whether a worker knows a protocol, as far as is known.
    pub(super) fn speaks(&self, worker: &PlacedWorker, protocol: u32) -> bool {
        let session = self.sessions.of(&worker.worker, worker.incarnation);
        let known = session.and_then(|session| self.sessions.get(session));
        known.is_none_or(|known| known.hello.protocol >= protocol)
    }

    /// Whether a worker of the job has said that it goes.
    pub(super) fn is_deserted(&self, id: JobId) -> bool {
        let Some(live) = self.jobs.attempt(id) else { return false };
        live.placement.workers.iter().any(|placed| {
            let session = self.sessions.of(&placed.worker, placed.incarnation);
            session.and_then(|session| self.sessions.get(session)).is_some_and(|session| session.leaving)
        })
    }

    /// Whether something would come of stopping the job now: it finds its slots, or, with those that it has, goes on with other
    /// settings or on other workers. If not, it rather runs on as it is. What it lacks is said either way.
    pub(super) fn is_worth_stopping(&mut self, context: &Context<'_>, id: JobId) -> bool {
        let Some(job) = context.state.jobs.get(&id) else { return false };
        let shortfall = self.place(context, id, job).err();
        let fits = shortfall.is_none()
            || (job.update.is_some() || self.should_move(context, id))
                && self.place_as_before(context, id, job).is_some();
        self.jobs.of(id).waiting_for = shortfall.map(|shortfall| shortfall.to_string());
        fits
    }

    /// Why a job does not run, or not as its user wants.
    pub(crate) fn waiting_for(&self, id: JobId) -> Option<&str> {
        self.jobs.get(id)?.waiting_for.as_deref()
    }

    /// How the current attempt of a job does.
    pub(crate) fn attempt(&self, id: JobId, graph: &JobGraph) -> Option<super::AttemptView> {
        let duties = self.jobs.get(id)?;
        duties.attempt.as_ref().map(|live| live.view(graph, &duties.checkpoints))
    }
}

/// Whether jobs that take what there is may have another share behind it. What was refused would be refused again.
fn changes_shares(command: &Command, outcome: &Result<Applied, Refusal>) -> bool {
    match command {
        Command::CompleteCheckpoint { .. } | Command::ForgetCheckpoint { .. } => false,
        Command::ScaleJob { .. } => outcome.is_ok(),
        _ => true,
    }
}

/// The job that a command is about.
fn job_of(command: &Command) -> Option<JobId> {
    match command {
        Command::StartAttempt { job, .. }
        | Command::AttemptRunning { job, .. }
        | Command::AttemptFailed { job, .. }
        | Command::RetryJob { job, .. }
        | Command::CompleteCheckpoint { job, .. }
        | Command::CommitCheckpoint { job, .. }
        | Command::ForgetCheckpoint { job, .. }
        | Command::EndAttempt { job, .. }
        | Command::StopJob { job, .. }
        | Command::CancelJob { job, .. }
        | Command::AdoptState { job, .. }
        | Command::RestartJob { job, .. }
        | Command::RescaleJob { job, .. }
        | Command::SetScaling { job, .. }
        | Command::ScaleJob { job, .. }
        | Command::UpdateJob { job, .. }
        | Command::DeleteJob { job, .. } => Some(*job),
        Command::Found { .. }
        | Command::RegisterWorker { .. }
        | Command::LoseWorker { .. }
        | Command::DrainWorker { .. }
        | Command::SubmitJob { .. }
        | Command::SetNamespace { .. }
        | Command::DropNamespace { .. }
        | Command::ReplaceCatalog { .. }
        | Command::CreateToken { .. }
        | Command::RevokeToken { .. } => None,
        Command::By { command, .. } => job_of(command),
    }
}
