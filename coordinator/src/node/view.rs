//! What clients are told: the replicated state, and what only the leader knows.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_core::{CoordinatorId, JobId, WorkerId};
use weir_proto::client::{
    CatalogInfo, CheckpointInfo, CheckpointProgress, ClientError, ClientErrorKind, ClientRequest, ClientResponse,
    ClusterInfo, CoordinatorInfo, JobAction, JobDetail, JobFailureInfo, JobSettingsInfo, JobSummary, NamespaceInfo,
    QuotaInfo, TokenInfo, VertexInfo, WorkerInfo, WorkerJob, status,
};

use super::figures::{LostWorker, Tallies};
use super::requests::{self, find};
use crate::cluster::{
    Catalog, Checkpoint, ClusterState, Desired, Job, JobSettings, JobStatus, Namespace, Refusal, Token,
};
use crate::leader::{Leader, Now};
use crate::raft::{Role, Status};

/// Answers a read.
pub(super) fn answer(
    now: Now,
    state: &ClusterState,
    raft: (&Status, &BTreeMap<CoordinatorId, Duration>),
    (leader, tallies): (&Leader, &Tallies),
    request: &ClientRequest,
) -> Result<ClientResponse, ClientError> {
    Ok(match request {
        ClientRequest::ListJobs { namespace, all } => {
            let wanted = |job: &Job| {
                namespace.as_ref().is_none_or(|namespace| job.namespace == *namespace)
                    && (*all || job.status.is_active() || job.status == JobStatus::Failed)
            };
            let jobs = state.jobs.iter().filter(|(_, job)| wanted(job));
            ClientResponse::Jobs(jobs.map(|(id, job)| summary(leader, *id, job)).collect())
        }
        ClientRequest::DescribeJob { job, graph } => {
            let id = find(state, job)?;
            let job = &state.jobs[&id];
            // What it is about to go on with, if it was submitted anew: it needs that from now on.
            let graph = graph.then(|| job.wanted().graph.clone());
            ClientResponse::Job(Box::new(JobDetail { graph, ..detail(now, leader, id, job) }))
        }
        ClientRequest::ListCheckpoints { job } => {
            let id = find(state, job)?;
            ClientResponse::Checkpoints(state.jobs[&id].checkpoints.iter().map(checkpoint).collect())
        }
        ClientRequest::ListWorkers => {
            let there = state.workers.keys().map(|id| worker(now, state, leader, id));
            ClientResponse::Workers(there.chain(tallies.lost(now.wall).map(lost)).collect())
        }
        ClientRequest::ListNamespaces => {
            ClientResponse::Namespaces(state.namespaces.keys().map(|name| namespace(state, name)).collect())
        }
        ClientRequest::ShowCatalog { namespace, .. } => match state.namespaces.get(namespace) {
            Some(Namespace { catalog: Catalog { version, statements }, .. }) => {
                ClientResponse::Catalog(CatalogInfo { version: *version, statements: statements.clone() })
            }
            None => return requests::answer(&Err(Refusal::NoSuchNamespace(namespace.clone())), None),
        },
        ClientRequest::ListTokens => ClientResponse::Tokens(state.tokens.iter().map(token).collect()),
        ClientRequest::DescribeCluster => ClientResponse::Cluster(cluster(now, state, raft)),
        _ => return Err(ClientError::new(ClientErrorKind::Internal, "a change was taken for a read")),
    })
}

fn token((name, token): (&String, &Token)) -> TokenInfo {
    TokenInfo {
        name: name.clone(),
        group: token.bearer.group().map(str::to_owned),
        grants: token.grants.clone(),
        plugins: token.plugins,
        created_by: token.created_by.clone(),
        created_at: token.created_at,
        expires_at: token.expires_at,
    }
}

fn summary(leader: &Leader, id: JobId, job: &Job) -> JobSummary {
    JobSummary {
        job: id,
        namespace: job.namespace.clone(),
        name: job.name.clone(),
        status: word(job.status).to_owned(),
        desired: match job.desired {
            Desired::Running => status::RUNNING,
            Desired::Stopped => status::STOPPED,
            Desired::Drained => status::DRAINED,
            Desired::Cancelled => status::CANCELLED,
        }
        .to_owned(),
        parallelism: job.parallelism,
        slots: job.execution.as_ref().and_then(|execution| u32::try_from(execution.placement.slots.len()).ok()),
        attempt: job.attempt,
        restarts: job.restarts,
        submitted_at: job.submitted_at,
        changed_at: job.changed_at,
        figures: leader.attempt(id, &job.spec.graph).map(|attempt| attempt.figures),
        last_checkpoint: job.checkpoints.last().map(checkpoint),
        last_failure: job.last_failure.as_ref().map(|failure| JobFailureInfo {
            attempt: failure.attempt,
            kind: failure.kind,
            report: failure.report.clone(),
            at: failure.at,
            retry_at: failure.retry_at,
        }),
        waiting_for: leader.waiting_for(id).map(str::to_owned).filter(|_| job.status.is_active()),
    }
}

fn detail(now: Now, leader: &Leader, id: JobId, job: &Job) -> JobDetail {
    let attempt = leader.attempt(id, &job.spec.graph);
    let under_way = attempt.as_ref().and_then(|attempt| attempt.under_way);
    let vertex = |index: usize| attempt.as_ref().and_then(|attempt| attempt.vertices.get(index).copied());
    JobDetail {
        summary: summary(leader, id, job),
        submitted_by: job.submitted_by.clone(),
        last_action: job.last_action.as_ref().map(|action| JobAction {
            what: action.what.clone(),
            by: action.by.clone(),
            at: action.at,
        }),
        sql: job.wanted().sql.clone(),
        settings: settings(&job.wanted().settings),
        fingerprint: job.spec.fingerprint.clone(),
        placement: job.execution.as_ref().map(|execution| execution.placement.clone()),
        vertices: job
            .spec
            .graph
            .nodes()
            .iter()
            .enumerate()
            .map(|(index, node)| VertexInfo {
                name: node.spec.name.clone(),
                uid: node.uid.clone(),
                figures: vertex(index),
            })
            .collect(),
        checkpoints: job.checkpoints.iter().map(checkpoint).collect(),
        checkpoint_in_progress: under_way.map(|(epoch, started)| CheckpointProgress {
            epoch,
            running_ms: milliseconds(now.elapsed.saturating_sub(started)),
        }),
        last_pause_ms: leader.last_pause(id).map(milliseconds),
        scaling: job.scaling.clone().unwrap_or_default(),
        scaling_decisions: job.scaling_decisions.clone(),
        load: leader.load(id).cloned(),
        graph: None,
    }
}

/// The word for a status.
fn word(job: JobStatus) -> &'static str {
    match job {
        JobStatus::Scheduling => status::SCHEDULING,
        JobStatus::Deploying => status::DEPLOYING,
        JobStatus::Running => status::RUNNING,
        JobStatus::Restarting => status::RESTARTING,
        JobStatus::Stopped => status::STOPPED,
        JobStatus::Finished => status::FINISHED,
        JobStatus::Failed => status::FAILED,
        JobStatus::Cancelled => status::CANCELLED,
    }
}

fn settings(settings: &JobSettings) -> JobSettingsInfo {
    JobSettingsInfo {
        batch_rows: settings.batch_rows,
        memory_budget: settings.memory_budget,
        checkpoint_interval_ms: settings.checkpoint_interval_ms,
        checkpoint_timeout_ms: settings.checkpoint_timeout_ms,
        tolerable_failures: settings.tolerable_failures,
        retained_checkpoints: settings.retained_checkpoints,
        restart_attempts: settings.restart.attempts,
        restart_initial_delay_ms: settings.restart.initial_delay_ms,
        restart_maximum_delay_ms: settings.restart.maximum_delay_ms,
        restart_stable_ms: settings.restart.stable_ms,
    }
}

fn checkpoint(checkpoint: &Checkpoint) -> CheckpointInfo {
    CheckpointInfo {
        epoch: checkpoint.epoch,
        attempt: checkpoint.attempt,
        completed_at: checkpoint.completed_at,
        duration_ms: checkpoint.duration_ms,
        state_bytes: checkpoint.state_bytes,
        written_bytes: checkpoint.written_bytes,
        savepoint: checkpoint.savepoint,
        finished: checkpoint.finished,
        committed: checkpoint.committed,
        parallelism: checkpoint.parallelism,
        manifest: checkpoint.manifest.clone(),
    }
}

fn worker(now: Now, state: &ClusterState, leader: &Leader, id: &WorkerId) -> WorkerInfo {
    let registered = &state.workers[id];
    let heard = leader.heard(id, registered.incarnation);
    WorkerInfo {
        worker: id.clone(),
        incarnation: registered.incarnation,
        address: registered.address.clone(),
        slots: registered.slots,
        used: state.used_slots(id),
        draining: registered.draining,
        connected: heard.is_some(),
        version: registered.version.clone(),
        last_heard_ms: heard.map(|heard| milliseconds(now.elapsed.saturating_sub(heard))),
        jobs: state
            .executions_on(id)
            .map(|(job, known, execution)| WorkerJob {
                job,
                name: format!("{}/{}", known.namespace, known.name),
                slots: execution.placement.position(id).map_or(0, |position| {
                    u32::try_from(execution.placement.slots_of(position).count()).unwrap_or(u32::MAX)
                }),
            })
            .collect(),
        lost_at: None,
        lost_because: None,
    }
}

fn lost(lost: &LostWorker) -> WorkerInfo {
    WorkerInfo {
        worker: lost.worker.clone(),
        incarnation: lost.incarnation,
        address: String::new(),
        slots: 0,
        used: 0,
        draining: false,
        connected: false,
        version: String::new(),
        last_heard_ms: None,
        jobs: Vec::new(),
        lost_at: Some(lost.at),
        lost_because: Some(lost.reason.clone()),
    }
}

fn namespace(state: &ClusterState, name: &str) -> NamespaceInfo {
    let usage = state.usage(name);
    let quota = &state.namespaces[name].quota;
    NamespaceInfo {
        namespace: name.to_owned(),
        quota: QuotaInfo { slots: quota.slots, jobs: quota.jobs, state_bytes: quota.state_bytes },
        slots_used: u32::try_from(usage.slots).unwrap_or(u32::MAX),
        jobs: u32::try_from(usage.jobs).unwrap_or(u32::MAX),
        state_bytes: usage.state_bytes,
    }
}

fn cluster(
    now: Now,
    state: &ClusterState,
    (raft, heard): (&Status, &BTreeMap<CoordinatorId, Duration>),
) -> ClusterInfo {
    // One that was never heard is as silent as this coordinator is old.
    let silent =
        |id: &CoordinatorId| milliseconds(now.elapsed.saturating_sub(heard.get(id).copied().unwrap_or_default()));
    let voters = raft.membership.voters.iter().map(|member| (member, "follower"));
    let learners = raft.membership.learners.iter().map(|member| (member, "learner"));
    let coordinators = voters.chain(learners).map(|((id, member), role)| CoordinatorInfo {
        id: *id,
        address: member.address.clone(),
        role: if raft.role == Role::Leader && *id == raft.id { "leader" } else { role }.to_owned(),
        matched: raft.matched.get(id).copied(),
        commit: raft.commit,
        silent_ms: (*id != raft.id).then(|| silent(id)),
    });
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    ClusterInfo {
        cluster: state.cluster.clone(),
        storage: state.storage.clone(),
        leader: raft.leader,
        term: raft.term,
        coordinators: coordinators.collect(),
        workers: count(state.workers.len()),
        slots: state.workers.values().map(|worker| worker.slots).fold(0, u32::saturating_add),
        slots_used: state.workers.keys().map(|worker| state.used_slots(worker)).fold(0, u32::saturating_add),
        jobs_running: count(state.jobs.values().filter(|job| job.status == JobStatus::Running).count()),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
