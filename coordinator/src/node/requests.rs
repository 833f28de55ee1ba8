//! What clients ask for: changes become commands, reads wait until it is certain that this node still leads.

use std::sync::Arc;

use weir_core::bugs::{self, Bug};
use weir_core::connector::{RESULT_CONNECTOR, RESULT_FOLDER};
use weir_core::{Error, JobGraph, JobId, OperatorSpec, TableSpec};
use weir_proto::client::{
    AdoptedCheckpoint, Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse, JobRef, JobSettingsInfo,
    QuotaInfo, Scaling, ScalingBy, SubmitJob, results,
};
use weir_state::layout;

use super::{Effect, Node, RequestId, Waiting, unavailable, view};
use crate::access;
use crate::cluster::{
    Applied, Checkpoint, ClusterState, Command, Job, JobSettings, JobSpec, JobStatus, Quota, Refusal, RefusalKind,
    RestartPolicy,
};
use crate::leader::{Context, Leader, Now, OperationId};
use crate::raft::{LogId, LogStore, Member, MembershipChange, Refused};

/// Requests of clients that storage works on at once: checkpoints are written beside them.
pub(super) const MOST_SERVED: usize = 64;

impl<S: LogStore> Node<S> {
    /// A client wants something.
    pub(super) fn request(
        &mut self,
        now: Now,
        id: RequestId,
        caller: &Caller,
        request: ClientRequest,
        effects: &mut Vec<Effect>,
    ) {
        if self.leader.is_none() {
            return effects.push(Effect::Reply(id, Err(unavailable())));
        }
        let principal = match access::principal(&self.state, caller, now.wall) {
            Ok(principal) => principal,
            Err(unknown) => return effects.push(Effect::Reply(id, Err(unknown))),
        };
        effects.extend(principal.name.clone().map(|name| Effect::Known(id, name)));
        if let Err(denied) = access::check(&self.state, &principal, &request) {
            return effects.push(Effect::Reply(id, Err(denied)));
        }
        if request.is_read() {
            self.requests.next += 1;
            let read = self.requests.next;
            if bugs::is_on(Bug::StaleRead) {
                self.requests.reading.insert(read, (id, principal, request));
                return self.answer_read(now, read, effects);
            }
            return match self.raft.read_index(read) {
                Ok(()) => {
                    self.requests.reading.insert(read, (id, principal, request));
                }
                Err(_) => effects.push(Effect::Reply(id, Err(unavailable()))),
            };
        }
        if let Some(answer) = self.change(now, id, principal.name, request, effects).transpose() {
            effects.push(Effect::Reply(id, answer));
        }
    }

    /// Starts a change. An answer now, or later by what is proposed.
    fn change(
        &mut self,
        now: Now,
        id: RequestId,
        by: Option<String>,
        request: ClientRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<ClientResponse>, ClientError> {
        let at = now.wall;
        let mut unchecked = None;
        let command = match request {
            ClientRequest::SubmitJob(submit) => {
                check_results(&self.state, &submit)?;
                match self.submitted(now, id, &by, submit, effects)? {
                    None => return Ok(None),
                    Some((command, why)) => {
                        unchecked = why;
                        command
                    }
                }
            }
            ClientRequest::StopJob { job, drain } => Command::StopJob { job: self.find(&job)?, drain, at },
            ClientRequest::CancelJob { job } => Command::CancelJob { job: self.find(&job)?, at },
            ClientRequest::RestartJob { job, adopted: Some(checkpoint), .. } => {
                Command::AdoptState { job: self.find(&job)?, checkpoint: adopted(checkpoint, at), at }
            }
            ClientRequest::RestartJob { job, from, adopted: None } => {
                Command::RestartJob { job: self.find(&job)?, from, at }
            }
            ClientRequest::RescaleJob { job, parallelism } => {
                Command::RescaleJob { job: self.find(&job)?, parallelism, at }
            }
            ClientRequest::SetScaling { job, scaling } => Command::SetScaling { job: self.find(&job)?, scaling, at },
            ClientRequest::DeleteJob { job, discard_results } => {
                Command::DeleteJob { job: self.find(&job)?, discard: discard_results }
            }
            ClientRequest::ForgetCheckpoint { job, epoch } => {
                Command::ForgetCheckpoint { job: self.find(&job)?, epoch }
            }
            ClientRequest::DrainWorker { worker, draining } => Command::DrainWorker { worker, draining },
            ClientRequest::SetNamespace { namespace, quota } => {
                Command::SetNamespace { namespace, quota: quota_of(quota) }
            }
            ClientRequest::DropNamespace { namespace } => Command::DropNamespace { namespace },
            ClientRequest::ReplaceCatalog { namespace, version, statements } => {
                Command::ReplaceCatalog { namespace, version, statements }
            }
            ClientRequest::CreateToken(token) => Command::CreateToken { token, at },
            ClientRequest::RevokeToken { name } => Command::RevokeToken { name },
            ClientRequest::TakeSavepoint { job } => return self.take_savepoint(now, &job, effects).map(Some),
            // Whether it may be added is asked before it is known what log it writes.
            ClientRequest::AddCoordinator { log: 0, .. } => return Ok(Some(ClientResponse::Accepted)),
            ClientRequest::AddCoordinator { id: new, address, log } => {
                let member = Member { address, log: LogId(log) };
                return self.change_members(id, &MembershipChange::AddLearner(new, member));
            }
            ClientRequest::RemoveCoordinator { id: old } => {
                return self.change_members(id, &MembershipChange::Remove(old));
            }
            ClientRequest::TransferLeadership { to } => {
                if let Some(to) = to.filter(|to| !self.status.membership.voters.contains_key(to)) {
                    let message = format!("coordinator {to} has no vote, so it cannot lead");
                    return Err(ClientError::new(ClientErrorKind::Invalid, message)
                        .with_help("`weir cluster status` shows who has"));
                }
                self.raft.transfer_leadership(to);
                return Ok(Some(ClientResponse::Accepted));
            }
            ClientRequest::ListJobs { .. }
            | ClientRequest::DescribeJob { .. }
            | ClientRequest::ListCheckpoints { .. }
            | ClientRequest::AuditSinks { .. }
            | ClientRequest::ExpectResults { .. }
            | ClientRequest::ReadResults { .. }
            | ClientRequest::PutArtifact(_)
            | ClientRequest::ListWorkers
            | ClientRequest::ListNamespaces
            | ClientRequest::ShowCatalog { .. }
            | ClientRequest::ListTokens
            | ClientRequest::DescribeCluster => {
                return Err(ClientError::new(ClientErrorKind::Internal, "a read was taken for a change"));
            }
        };
        let waits = !bugs::is_on(Bug::AnswerBeforeAgreement);
        self.propose(&command_by(by, command), waits.then_some(Waiting { request: id, unchecked }))
            .map_err(internal)?;
        Ok((!waits).then_some(ClientResponse::Accepted))
    }

    fn find(&self, job: &JobRef) -> Result<JobId, ClientError> {
        find(&self.state, job)
    }

    fn take_savepoint(
        &mut self,
        now: Now,
        job: &JobRef,
        effects: &mut Vec<Effect>,
    ) -> Result<ClientResponse, ClientError> {
        let id = self.find(job)?;
        let leader = self.leader.as_mut().ok_or_else(unavailable)?;
        let mut wanted = Vec::new();
        let after = leader.savepoint(&mut Context::new(now, &self.state, &mut wanted), id);
        self.carry_out(wanted, effects).map_err(internal)?;
        let after = after.ok_or_else(|| {
            ClientError::new(ClientErrorKind::Conflict, format!("job {job} does not run, so it has nothing to save"))
                .with_help("its last checkpoint is kept: see `weir checkpoints list`")
        })?;
        Ok(ClientResponse::SavepointBegun { after })
    }

    /// Has a worker find out what sinks have written. Answered when it has.
    fn audit_sinks(
        &mut self,
        now: Now,
        request: RequestId,
        job: &JobRef,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ClientError> {
        let id = self.find(job)?;
        let leader = self.leader.as_mut().ok_or_else(unavailable)?;
        let mut wanted = Vec::new();
        let audit = leader.audit(&mut Context::new(now, &self.state, &mut wanted), id)?;
        self.requests.auditing.insert(audit, request);
        self.carry_out(wanted, effects).map_err(internal)
    }

    /// Has storage do something for a client. Answered when it has.
    fn serve(
        &mut self,
        now: Now,
        request: RequestId,
        effects: &mut Vec<Effect>,
        serve: impl FnOnce(&mut Leader, &mut Context<'_>) -> Result<OperationId, ClientError>,
    ) -> Result<(), ClientError> {
        let leader = self.leader.as_mut().ok_or_else(unavailable)?;
        if self.requests.served.len() >= MOST_SERVED {
            let message = format!("the storage is busy with {MOST_SERVED} requests of clients");
            return Err(ClientError::new(ClientErrorKind::Unavailable, message));
        }
        let mut wanted = Vec::new();
        let operation = serve(leader, &mut Context::new(now, &self.state, &mut wanted))?;
        self.requests.served.insert(operation, request);
        self.carry_out(wanted, effects).map_err(internal)
    }

    fn change_members(
        &mut self,
        request: RequestId,
        change: &MembershipChange,
    ) -> Result<Option<ClientResponse>, ClientError> {
        self.requests.next += 1;
        let id = self.requests.next;
        self.raft.change_membership(change, id.to_be_bytes().to_vec()).map_err(|refused| match refused {
            Refused::NotLeader { .. } => unavailable(),
            Refused::Busy(why) => ClientError::new(ClientErrorKind::Conflict, why),
            Refused::Invalid(why) => ClientError::new(ClientErrorKind::Invalid, why),
        })?;
        self.requests.proposed.insert(id, request.into());
        Ok(None)
    }

    /// This node still led when the read came in: its state holds all that was acknowledged before.
    pub(super) fn answer_read(&mut self, now: Now, read: u64, effects: &mut Vec<Effect>) {
        let Some((id, principal, request)) = self.requests.reading.remove(&read) else { return };
        // Others have to be asked first.
        let asked = match &request {
            ClientRequest::AuditSinks { job } => Some(self.audit_sinks(now, id, job, effects)),
            ClientRequest::ExpectResults { namespace, token, reading } => {
                Some(self.serve(now, id, effects, |leader, on| leader.expect_results(on, namespace, *token, *reading)))
            }
            ClientRequest::ReadResults { job, after, offset } => Some(self.find(job).and_then(|job| {
                self.serve(now, id, effects, |leader, on| leader.read_results(on, job, *after, *offset))
            })),
            ClientRequest::PutArtifact(piece) => {
                Some(self.serve(now, id, effects, |leader, on| Ok(leader.put_artifact(on, piece.clone()))))
            }
            _ => None,
        };
        if let Some(asked) = asked {
            effects.extend(asked.err().map(|refused| Effect::Reply(id, Err(refused))));
            return;
        }
        let answer = match &self.leader {
            Some(leader) => {
                view::answer(now, &self.state, (&self.raft.status(), &self.heard), (leader, &self.tallies), &request)
            }
            None => Err(unavailable()),
        };
        let answer = answer.map(|answer| access::visible(&principal, &self.state, answer));
        effects.push(Effect::Reply(id, answer));
    }
}

/// The job that is meant.
pub(super) fn find(state: &ClusterState, job: &JobRef) -> Result<JobId, ClientError> {
    let found = match job {
        JobRef::Id(id) => state.jobs.contains_key(id).then_some(*id),
        JobRef::Name { namespace, name } => state.job_by_name(namespace, name).map(|(id, _)| id),
    };
    found.ok_or_else(|| {
        ClientError::new(ClientErrorKind::NotFound, format!("there is no job {job}"))
            .with_help("`weir jobs list --all` shows all jobs")
    })
}

/// What became of a change.
pub(super) fn answer(
    outcome: &Result<Applied, Refusal>,
    unchecked: Option<String>,
) -> Result<ClientResponse, ClientError> {
    match outcome {
        Ok(Applied::Submitted { job, already_there }) => {
            Ok(ClientResponse::Submitted { job: *job, already_there: *already_there, updated: false, unchecked })
        }
        Ok(Applied::Updated { job }) => {
            Ok(ClientResponse::Submitted { job: *job, already_there: true, updated: true, unchecked })
        }
        Ok(_) => Ok(ClientResponse::Accepted),
        Err(refusal) => {
            let kind = match refusal.kind() {
                RefusalKind::NotFound => ClientErrorKind::NotFound,
                RefusalKind::Conflict | RefusalKind::Stale => ClientErrorKind::Conflict,
                RefusalKind::Quota => ClientErrorKind::Quota,
                RefusalKind::Invalid => ClientErrorKind::Invalid,
            };
            let error = ClientError::new(kind, refusal.to_string());
            Err(match refusal.help() {
                Some(help) => error.with_help(help),
                None => error,
            })
        }
    }
}

/// Rows of a `SELECT` wait where rows of nothing else are, another job's included: workers write there whatever their tables may reach, and
/// who may read the rows of a job may read what is there.
fn check_results(state: &ClusterState, submit: &SubmitJob) -> Result<(), ClientError> {
    let invalid = |message: &str| Err(ClientError::new(ClientErrorKind::Invalid, message));
    let others = || {
        let others = state.jobs.values().filter(|job| job.namespace != submit.namespace || job.name != submit.name);
        others.flat_map(|job| [Some(&job.spec), job.update.as_ref()]).flatten()
    };
    for table in result_tables(&submit.graph) {
        let folder = table.options.get(RESULT_FOLDER);
        if !folder.is_some_and(|folder| results::is_folder(folder, &state.storage, &state.cluster)) {
            return invalid("the rows of its SELECT would not wait in a folder of this cluster's results");
        }
        if others().flat_map(|spec| result_tables(&spec.graph)).any(|other| other.options.get(RESULT_FOLDER) == folder)
        {
            return invalid("the rows of its SELECT would wait in a folder that another job has");
        }
    }
    Ok(())
}

/// The tables of a dataflow that rows of a `SELECT` go into.
fn result_tables(graph: &JobGraph) -> impl Iterator<Item = &TableSpec> {
    graph.nodes().iter().filter_map(|node| match &node.spec.operator {
        OperatorSpec::Sink(sink) if sink.table.connector == RESULT_CONNECTOR => Some(&sink.table),
        _ => None,
    })
}

/// A new job; or one that is there and is to be run another way.
pub(super) fn submission(state: &ClusterState, submit: SubmitJob, at: i64) -> Command {
    let SubmitJob { namespace, name, graph, fingerprint, sql, parallelism, settings, scaling, awaits_state } = submit;
    let spec = Arc::new(JobSpec { graph, fingerprint, sql, settings: settings_of(&settings) });
    let goes_on =
        |there: &Job| !awaits_state && there.status != JobStatus::Finished && spec.computes_like(there.wanted());
    let there = state.job_by_name(&namespace, &name).filter(|(_, there)| goes_on(there));
    let (parallelism, scaling) = match there {
        Some((_, there)) => scaling_of(there, parallelism, scaling),
        None => scaling_of_new(parallelism, scaling),
    };
    let is_updated = |there: &Job| scaling.is_some() || there.is_updated_by(&spec, parallelism);
    match there.filter(|(_, there)| is_updated(there)) {
        Some((job, _)) => Command::UpdateJob { job, spec, parallelism, scaling, at },
        None => Command::SubmitJob { namespace, name, spec, parallelism, awaits_state, scaling, at },
    }
}

/// How many slots a new job begins with, and who decides how many it has then, if not a person.
fn scaling_of_new(parallelism: u32, scaling: Option<Scaling>) -> (u32, Option<Scaling>) {
    let scaling = scaling.filter(|scaling| scaling.by != ScalingBy::Hand);
    let bounds =
        scaling.as_ref().filter(|scaling| scaling.acts()).map(|scaling| (scaling.min_slots, scaling.max_slots));
    // Bounds that are none are refused when this is applied.
    let parallelism = bounds.map_or(parallelism, |(least, most)| parallelism.max(least).min(most));
    (parallelism, scaling)
}

/// The same for a job that is there; `None`: it is decided on as before. What is submitted again and again, by a pipeline, does not take
/// back what the load has decided meanwhile.
fn scaling_of(there: &Job, parallelism: u32, scaling: Option<Scaling>) -> (u32, Option<Scaling>) {
    match (there.scaling.as_ref(), scaling) {
        (None, None) => (parallelism, None),
        (None, Some(new)) if new.by == ScalingBy::Hand => (parallelism, None),
        (Some(old), None) => (if old.acts() { there.parallelism } else { parallelism }, None),
        (Some(old), Some(new)) if new.by == ScalingBy::Hand && old.by == ScalingBy::Load => {
            (if old.acts() { there.parallelism } else { parallelism }, None)
        }
        (old, Some(new)) => {
            let parallelism = if new.acts() { there.parallelism } else { parallelism };
            (parallelism, Some(new).filter(|new| Some(new) != old))
        }
    }
}

/// A checkpoint that a client says to have put into the storage of a job. If it is not there, no attempt opens it.
fn adopted(checkpoint: AdoptedCheckpoint, at: i64) -> Checkpoint {
    let AdoptedCheckpoint { epoch, attempt, state_bytes, parallelism } = checkpoint;
    Checkpoint {
        epoch,
        attempt,
        manifest: layout::manifest_of_term(epoch, attempt, 0),
        state_bytes,
        written_bytes: state_bytes,
        completed_at: at,
        duration_ms: 0,
        savepoint: true,
        finished: false,
        parallelism,
        committed: true,
    }
}

fn settings_of(info: &JobSettingsInfo) -> JobSettings {
    JobSettings {
        batch_rows: info.batch_rows,
        memory_budget: info.memory_budget,
        checkpoint_interval_ms: info.checkpoint_interval_ms,
        checkpoint_timeout_ms: info.checkpoint_timeout_ms,
        tolerable_failures: info.tolerable_failures,
        retained_checkpoints: info.retained_checkpoints,
        restart: RestartPolicy {
            attempts: info.restart_attempts,
            initial_delay_ms: info.restart_initial_delay_ms,
            maximum_delay_ms: info.restart_maximum_delay_ms,
            stable_ms: info.restart_stable_ms,
        },
    }
}

fn quota_of(info: QuotaInfo) -> Quota {
    Quota { slots: info.slots, jobs: info.jobs, state_bytes: info.state_bytes }
}

/// The command with who has asked for it, where that is known.
pub(super) fn command_by(actor: Option<String>, command: Command) -> Command {
    match actor {
        Some(actor) => Command::By { actor, command: Box::new(command) },
        None => command,
    }
}

pub(super) fn internal(error: Error) -> ClientError {
    ClientError::new(ClientErrorKind::Internal, error.report())
}
