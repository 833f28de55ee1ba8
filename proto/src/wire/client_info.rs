//! What the cluster tells about itself.

use std::sync::Arc;

use weir_core::{Attempt, CoordinatorId, Epoch, Error, ErrorKind, Incarnation, OperatorUid, Result, WorkerId};

use super::{all, job_id, named, required, unknown};
use crate::client::{
    CheckpointInfo, CheckpointProgress, ClusterInfo, CoordinatorInfo, Grant, JobAction, JobDetail, JobFailureInfo,
    JobSettingsInfo, JobSummary, NamespaceInfo, QuotaInfo, Scaling, TokenInfo, VertexInfo, WorkerInfo, WorkerJob,
};
use crate::generated::client::v1 as wire;
use crate::json;

impl From<&JobSettingsInfo> for wire::JobSettings {
    fn from(info: &JobSettingsInfo) -> Self {
        Self {
            batch_rows: info.batch_rows,
            memory_budget: info.memory_budget,
            checkpoint_interval_ms: info.checkpoint_interval_ms,
            checkpoint_timeout_ms: info.checkpoint_timeout_ms,
            tolerable_failures: info.tolerable_failures,
            retained_checkpoints: info.retained_checkpoints,
            restart_attempts: info.restart_attempts,
            restart_initial_delay_ms: info.restart_initial_delay_ms,
            restart_maximum_delay_ms: info.restart_maximum_delay_ms,
            restart_stable_ms: info.restart_stable_ms,
        }
    }
}

impl From<wire::JobSettings> for JobSettingsInfo {
    fn from(info: wire::JobSettings) -> Self {
        Self {
            batch_rows: info.batch_rows,
            memory_budget: info.memory_budget,
            checkpoint_interval_ms: info.checkpoint_interval_ms,
            checkpoint_timeout_ms: info.checkpoint_timeout_ms,
            tolerable_failures: info.tolerable_failures,
            retained_checkpoints: info.retained_checkpoints,
            restart_attempts: info.restart_attempts,
            restart_initial_delay_ms: info.restart_initial_delay_ms,
            restart_maximum_delay_ms: info.restart_maximum_delay_ms,
            restart_stable_ms: info.restart_stable_ms,
        }
    }
}

impl From<&JobSummary> for wire::JobSummary {
    fn from(info: &JobSummary) -> Self {
        Self {
            job: info.job.0,
            namespace: info.namespace.clone(),
            name: info.name.clone(),
            status: info.status.clone(),
            desired: info.desired.clone(),
            parallelism: info.parallelism,
            slots: info.slots,
            attempt: info.attempt.0,
            restarts: info.restarts,
            submitted_at: info.submitted_at,
            changed_at: info.changed_at,
            figures: info.figures.as_ref().map(Into::into),
            last_checkpoint: info.last_checkpoint.as_ref().map(Into::into),
            last_failure: info.last_failure.as_ref().map(Into::into),
            waiting_for: info.waiting_for.clone(),
        }
    }
}

impl TryFrom<wire::JobSummary> for JobSummary {
    type Error = Error;

    fn try_from(info: wire::JobSummary) -> Result<Self> {
        Ok(Self {
            job: job_id(info.job, "JobSummary.job")?,
            namespace: named(info.namespace, "JobSummary.namespace")?,
            name: named(info.name, "JobSummary.name")?,
            status: named(info.status, "JobSummary.status")?,
            desired: named(info.desired, "JobSummary.desired")?,
            parallelism: info.parallelism,
            slots: info.slots,
            attempt: Attempt(info.attempt),
            restarts: info.restarts,
            submitted_at: info.submitted_at,
            changed_at: info.changed_at,
            figures: info.figures.map(Into::into),
            last_checkpoint: info.last_checkpoint.map(TryInto::try_into).transpose()?,
            last_failure: info.last_failure.map(TryInto::try_into).transpose()?,
            waiting_for: info.waiting_for,
        })
    }
}

impl From<&JobDetail> for wire::JobDetail {
    fn from(info: &JobDetail) -> Self {
        Self {
            summary: Some((&info.summary).into()),
            submitted_by: info.submitted_by.clone(),
            last_action: info.last_action.as_ref().map(|action| wire::JobAction {
                what: action.what.clone(),
                by: action.by.clone(),
                at: action.at,
            }),
            sql: info.sql.clone(),
            settings: Some((&info.settings).into()),
            fingerprint: info.fingerprint.clone(),
            placement: info.placement.as_ref().map(Into::into),
            vertices: info.vertices.iter().map(Into::into).collect(),
            checkpoints: info.checkpoints.iter().map(Into::into).collect(),
            checkpoint_in_progress: info.checkpoint_in_progress.as_ref().map(Into::into),
            last_pause_ms: info.last_pause_ms,
            graph: info.graph.as_ref().map(json::encode_deep),
            scaling: (info.scaling != Scaling::default()).then(|| (&info.scaling).into()),
            scaling_decisions: info.scaling_decisions.iter().map(Into::into).collect(),
            load: info.load.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::JobDetail> for JobDetail {
    type Error = Error;

    fn try_from(info: wire::JobDetail) -> Result<Self> {
        Ok(Self {
            summary: required(info.summary, "JobDetail.summary")?.try_into()?,
            submitted_by: info.submitted_by,
            last_action: info.last_action.map(|wire::JobAction { what, by, at }| JobAction { what, by, at }),
            sql: info.sql,
            settings: required(info.settings, "JobDetail.settings")?.into(),
            fingerprint: info.fingerprint,
            placement: info.placement.map(TryInto::try_into).transpose()?,
            vertices: all(info.vertices, |vertex| Ok(vertex.into()))?,
            checkpoints: all(info.checkpoints, TryInto::try_into)?,
            checkpoint_in_progress: info.checkpoint_in_progress.map(Into::into),
            last_pause_ms: info.last_pause_ms,
            scaling: info.scaling.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            scaling_decisions: all(info.scaling_decisions, |decision| Ok(decision.into()))?,
            load: info.load.map(Into::into),
            graph: info.graph.map(|graph| json::decode_graph(&graph, "JobDetail.graph")).transpose()?.map(Arc::new),
        })
    }
}

impl From<&VertexInfo> for wire::VertexInfo {
    fn from(info: &VertexInfo) -> Self {
        Self { name: info.name.clone(), uid: info.uid.0.clone(), figures: info.figures.as_ref().map(Into::into) }
    }
}

impl From<wire::VertexInfo> for VertexInfo {
    fn from(info: wire::VertexInfo) -> Self {
        Self { name: info.name, uid: OperatorUid(info.uid), figures: info.figures.map(Into::into) }
    }
}

impl From<&CheckpointProgress> for wire::CheckpointInProgress {
    fn from(info: &CheckpointProgress) -> Self {
        Self { epoch: info.epoch.0, running_ms: info.running_ms }
    }
}

impl From<wire::CheckpointInProgress> for CheckpointProgress {
    fn from(info: wire::CheckpointInProgress) -> Self {
        Self { epoch: Epoch(info.epoch), running_ms: info.running_ms }
    }
}

impl From<&JobFailureInfo> for wire::JobFailure {
    fn from(info: &JobFailureInfo) -> Self {
        let kind = info.kind.map(|kind| match kind {
            ErrorKind::User => wire::FailureKind::User,
            ErrorKind::Data => wire::FailureKind::Data,
            ErrorKind::Environment => wire::FailureKind::Environment,
            ErrorKind::Internal => wire::FailureKind::Internal,
        });
        Self {
            attempt: info.attempt.0,
            report: info.report.clone(),
            at: info.at,
            retry_at: info.retry_at,
            kind: kind.map(Into::into),
        }
    }
}

impl TryFrom<wire::JobFailure> for JobFailureInfo {
    type Error = Error;

    fn try_from(info: wire::JobFailure) -> Result<Self> {
        let kind = info.kind.map(|kind| match wire::FailureKind::try_from(kind) {
            Ok(wire::FailureKind::User) => Ok(ErrorKind::User),
            Ok(wire::FailureKind::Data) => Ok(ErrorKind::Data),
            Ok(wire::FailureKind::Environment) => Ok(ErrorKind::Environment),
            Ok(wire::FailureKind::Internal) => Ok(ErrorKind::Internal),
            Ok(wire::FailureKind::Unspecified) | Err(_) => Err(unknown(kind, "JobFailure.kind")),
        });
        Ok(Self {
            attempt: Attempt(info.attempt),
            kind: kind.transpose()?,
            report: info.report,
            at: info.at,
            retry_at: info.retry_at,
        })
    }
}

impl From<&CheckpointInfo> for wire::CheckpointInfo {
    fn from(info: &CheckpointInfo) -> Self {
        Self {
            epoch: info.epoch.0,
            attempt: info.attempt.0,
            completed_at: info.completed_at,
            duration_ms: info.duration_ms,
            state_bytes: info.state_bytes,
            written_bytes: info.written_bytes,
            savepoint: info.savepoint,
            finished: info.finished,
            committed: info.committed,
            parallelism: info.parallelism,
            manifest: info.manifest.clone(),
        }
    }
}

impl TryFrom<wire::CheckpointInfo> for CheckpointInfo {
    type Error = Error;

    fn try_from(info: wire::CheckpointInfo) -> Result<Self> {
        Ok(Self {
            epoch: Epoch(info.epoch),
            attempt: Attempt(info.attempt),
            completed_at: info.completed_at,
            duration_ms: info.duration_ms,
            state_bytes: info.state_bytes,
            written_bytes: info.written_bytes,
            savepoint: info.savepoint,
            finished: info.finished,
            committed: info.committed,
            parallelism: info.parallelism,
            manifest: info.manifest,
        })
    }
}

impl From<&WorkerInfo> for wire::WorkerInfo {
    fn from(info: &WorkerInfo) -> Self {
        Self {
            worker: info.worker.0.clone(),
            incarnation: info.incarnation.0,
            address: info.address.clone(),
            slots: info.slots,
            used: info.used,
            draining: info.draining,
            connected: info.connected,
            version: info.version.clone(),
            last_heard_ms: info.last_heard_ms,
            jobs: info.jobs.iter().map(Into::into).collect(),
            lost_at: info.lost_at,
            lost_because: info.lost_because.clone(),
        }
    }
}

impl TryFrom<wire::WorkerInfo> for WorkerInfo {
    type Error = Error;

    fn try_from(info: wire::WorkerInfo) -> Result<Self> {
        Ok(Self {
            worker: WorkerId(named(info.worker, "WorkerInfo.worker")?),
            incarnation: Incarnation(info.incarnation),
            address: info.address,
            slots: info.slots,
            used: info.used,
            draining: info.draining,
            connected: info.connected,
            version: info.version,
            last_heard_ms: info.last_heard_ms,
            jobs: all(info.jobs, TryInto::try_into)?,
            lost_at: info.lost_at,
            lost_because: info.lost_because,
        })
    }
}

impl From<&WorkerJob> for wire::WorkerJob {
    fn from(info: &WorkerJob) -> Self {
        Self { job: info.job.0, name: info.name.clone(), slots: info.slots }
    }
}

impl TryFrom<wire::WorkerJob> for WorkerJob {
    type Error = Error;

    fn try_from(info: wire::WorkerJob) -> Result<Self> {
        Ok(Self { job: job_id(info.job, "WorkerJob.job")?, name: info.name, slots: info.slots })
    }
}

impl From<&QuotaInfo> for wire::Quota {
    fn from(info: &QuotaInfo) -> Self {
        Self { slots: info.slots, jobs: info.jobs, state_bytes: info.state_bytes }
    }
}

impl From<wire::Quota> for QuotaInfo {
    fn from(info: wire::Quota) -> Self {
        Self { slots: info.slots, jobs: info.jobs, state_bytes: info.state_bytes }
    }
}

impl From<&NamespaceInfo> for wire::NamespaceInfo {
    fn from(info: &NamespaceInfo) -> Self {
        Self {
            namespace: info.namespace.clone(),
            quota: Some((&info.quota).into()),
            slots_used: info.slots_used,
            jobs: info.jobs,
            state_bytes: info.state_bytes,
        }
    }
}

impl TryFrom<wire::NamespaceInfo> for NamespaceInfo {
    type Error = Error;

    fn try_from(info: wire::NamespaceInfo) -> Result<Self> {
        Ok(Self {
            namespace: named(info.namespace, "NamespaceInfo.namespace")?,
            quota: required(info.quota, "NamespaceInfo.quota")?.into(),
            slots_used: info.slots_used,
            jobs: info.jobs,
            state_bytes: info.state_bytes,
        })
    }
}

pub(super) fn grants_of(grants: &[Grant]) -> Vec<wire::Grant> {
    let grant = |grant: &Grant| wire::Grant { role: grant.role.to_string(), namespace: grant.namespace.clone() };
    grants.iter().map(grant).collect()
}

pub(super) fn to_grants(grants: Vec<wire::Grant>, name: &str) -> Result<Vec<Grant>> {
    all(grants, |wire::Grant { role, namespace }| {
        let role = role.parse().map_err(|error| Error::data(format!("the message has a wrong {name}: {error}")))?;
        Ok(Grant { role, namespace })
    })
}

impl From<&TokenInfo> for wire::TokenInfo {
    fn from(info: &TokenInfo) -> Self {
        Self {
            name: info.name.clone(),
            grants: grants_of(&info.grants),
            plugins: info.plugins,
            created_by: info.created_by.clone(),
            created_at: info.created_at,
            expires_at: info.expires_at,
            group: info.group.clone(),
        }
    }
}

impl TryFrom<wire::TokenInfo> for TokenInfo {
    type Error = Error;

    fn try_from(info: wire::TokenInfo) -> Result<Self> {
        Ok(Self {
            name: named(info.name, "TokenInfo.name")?,
            group: info.group,
            grants: to_grants(info.grants, "TokenInfo.grants")?,
            plugins: info.plugins,
            created_by: info.created_by,
            created_at: info.created_at,
            expires_at: info.expires_at,
        })
    }
}

impl From<&ClusterInfo> for wire::ClusterInfo {
    fn from(info: &ClusterInfo) -> Self {
        Self {
            cluster: info.cluster.clone(),
            storage: info.storage.clone(),
            leader: info.leader.map(|id| id.0),
            term: info.term,
            coordinators: info.coordinators.iter().map(Into::into).collect(),
            workers: info.workers,
            slots: info.slots,
            slots_used: info.slots_used,
            jobs_running: info.jobs_running,
        }
    }
}

impl TryFrom<wire::ClusterInfo> for ClusterInfo {
    type Error = Error;

    fn try_from(info: wire::ClusterInfo) -> Result<Self> {
        Ok(Self {
            cluster: named(info.cluster, "ClusterInfo.cluster")?,
            storage: info.storage,
            leader: info.leader.map(CoordinatorId),
            term: info.term,
            coordinators: all(info.coordinators, TryInto::try_into)?,
            workers: info.workers,
            slots: info.slots,
            slots_used: info.slots_used,
            jobs_running: info.jobs_running,
        })
    }
}

impl From<&CoordinatorInfo> for wire::CoordinatorInfo {
    fn from(info: &CoordinatorInfo) -> Self {
        Self {
            id: info.id.0,
            address: info.address.clone(),
            role: info.role.clone(),
            matched: info.matched,
            commit: info.commit,
            silent_ms: info.silent_ms,
        }
    }
}

impl TryFrom<wire::CoordinatorInfo> for CoordinatorInfo {
    type Error = Error;

    fn try_from(info: wire::CoordinatorInfo) -> Result<Self> {
        Ok(Self {
            id: CoordinatorId(info.id),
            address: info.address,
            role: info.role,
            matched: info.matched,
            commit: info.commit,
            silent_ms: info.silent_ms,
        })
    }
}
