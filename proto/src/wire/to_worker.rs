//! What coordinators say to workers.

use std::sync::Arc;
use std::time::Duration;

use weir_core::plugin::Isolation;
use weir_core::{Epoch, Error, JobIdentity, Result};

use super::from_worker::{known_marker_kind, marker_kind};
use super::{attempt, job_id, named, required};
use crate::control::{CheckpointRef, Deploy, StateComparison, StoragePlace, ToWorker, Welcome};
use crate::generated::worker::v1 as wire;
use crate::generated::worker::v1::to_worker::Message;
use crate::json;

impl From<&ToWorker> for wire::ToWorker {
    fn from(message: &ToWorker) -> Self {
        let message = match message {
            ToWorker::Welcome(welcome) => Message::Welcome(wire::Welcome {
                cluster: welcome.cluster.clone(),
                term: welcome.term,
                heartbeat_interval_ms: millis(welcome.heartbeat_interval),
                coordinators: welcome.coordinators.clone(),
            }),
            ToWorker::Redirect { leader } => Message::Redirect(wire::Redirect { leader: leader.clone() }),
            ToWorker::Refused { reason } => Message::Refused(wire::Refused { reason: reason.clone() }),
            ToWorker::NameTaken { address } => Message::NameTaken(wire::NameTaken { address: address.clone() }),
            ToWorker::Deploy(deploy) => Message::Deploy(deploy.as_ref().into()),
            ToWorker::Start { job, attempt } => Message::Start(wire::Start { job: job.0, attempt: attempt.0 }),
            ToWorker::Marker { job, attempt, epoch, kind } => Message::Marker(wire::Marker {
                job: job.0,
                attempt: attempt.0,
                epoch: epoch.0,
                kind: marker_kind(*kind).into(),
            }),
            ToWorker::Completed { job, attempt, epoch } => {
                Message::Completed(wire::Completed { job: job.0, attempt: attempt.0, epoch: epoch.0 })
            }
            ToWorker::Cancel { job, attempt } => Message::Cancel(wire::Cancel { job: job.0, attempt: attempt.0 }),
            ToWorker::Commit { job, storage, checkpoint, isolation } => Message::Commit(wire::Commit {
                job: job.0,
                storage: Some(storage.into()),
                checkpoint: Some(checkpoint.into()),
                isolation: if isolation.is_none() { Default::default() } else { json::encode(isolation) },
            }),
            ToWorker::Merge { job, attempt, storage, checkpoint } => Message::Merge(wire::Merge {
                job: job.0,
                attempt: attempt.0,
                storage: Some(storage.into()),
                checkpoint: Some(checkpoint.into()),
            }),
            ToWorker::Discard(leftovers) => {
                Message::Discard(wire::Discard { leftovers: json::encode(leftovers.as_ref()) })
            }
            ToWorker::Audit { id, order } => {
                Message::Audit(wire::Audit { id: *id, order: json::encode(order.as_ref()) })
            }
            ToWorker::CompareState { id, order } => Message::CompareState(compare_state(*id, order)),
            ToWorker::Farewell => Message::Farewell(wire::Farewell {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::ToWorker> for ToWorker {
    type Error = Error;

    fn try_from(message: wire::ToWorker) -> Result<Self> {
        Ok(match required(message.message, "ToWorker.message")? {
            Message::Welcome(welcome) => ToWorker::Welcome(Welcome {
                cluster: named(welcome.cluster, "Welcome.cluster")?,
                term: welcome.term,
                heartbeat_interval: Duration::from_millis(welcome.heartbeat_interval_ms),
                coordinators: welcome.coordinators,
            }),
            Message::Redirect(redirect) => ToWorker::Redirect { leader: redirect.leader },
            Message::Refused(refused) => ToWorker::Refused { reason: refused.reason },
            Message::NameTaken(taken) => ToWorker::NameTaken { address: taken.address },
            Message::Deploy(deploy) => ToWorker::Deploy(Arc::new(deploy.try_into()?)),
            Message::Start(start) => ToWorker::Start {
                job: job_id(start.job, "Start.job")?,
                attempt: attempt(start.attempt, "Start.attempt")?,
            },
            Message::Marker(marker) => ToWorker::Marker {
                job: job_id(marker.job, "Marker.job")?,
                attempt: attempt(marker.attempt, "Marker.attempt")?,
                epoch: Epoch(marker.epoch),
                kind: known_marker_kind(marker.kind, "Marker.kind")?,
            },
            Message::Completed(completed) => ToWorker::Completed {
                job: job_id(completed.job, "Completed.job")?,
                attempt: attempt(completed.attempt, "Completed.attempt")?,
                epoch: Epoch(completed.epoch),
            },
            Message::Cancel(cancel) => ToWorker::Cancel {
                job: job_id(cancel.job, "Cancel.job")?,
                attempt: attempt(cancel.attempt, "Cancel.attempt")?,
            },
            Message::Commit(commit) => ToWorker::Commit {
                job: job_id(commit.job, "Commit.job")?,
                storage: required(commit.storage, "Commit.storage")?.try_into()?,
                checkpoint: required(commit.checkpoint, "Commit.checkpoint")?.try_into()?,
                isolation: match commit.isolation.is_empty() {
                    true => Isolation::None,
                    false => json::decode(&commit.isolation, "Commit.isolation")?,
                },
            },
            Message::Merge(merge) => ToWorker::Merge {
                job: job_id(merge.job, "Merge.job")?,
                attempt: attempt(merge.attempt, "Merge.attempt")?,
                storage: required(merge.storage, "Merge.storage")?.try_into()?,
                checkpoint: required(merge.checkpoint, "Merge.checkpoint")?.try_into()?,
            },
            Message::Discard(discard) => {
                ToWorker::Discard(Arc::new(json::decode(&discard.leftovers, "Discard.leftovers")?))
            }
            Message::Audit(audit) => {
                ToWorker::Audit { id: audit.id, order: Arc::new(json::decode(&audit.order, "Audit.order")?) }
            }
            Message::CompareState(compare) => {
                ToWorker::CompareState { id: compare.id, order: Arc::new(compare.try_into()?) }
            }
            Message::Farewell(wire::Farewell {}) => ToWorker::Farewell,
        })
    }
}

impl From<&Deploy> for wire::Deploy {
    fn from(deploy: &Deploy) -> Self {
        Self {
            job: deploy.job.0,
            identity: deploy.identity.0,
            attempt: deploy.attempt.0,
            name: deploy.name.clone(),
            graph: json::encode_deep(&deploy.graph),
            placement: Some((&deploy.placement).into()),
            storage: Some((&deploy.storage).into()),
            restore: deploy.restore.as_ref().map(Into::into),
            last_epoch: deploy.last_epoch.0,
            batch_rows: deploy.batch_rows,
            memory_budget: deploy.memory_budget,
            checkpoint_interval_ms: deploy.checkpoint_interval.map(millis),
        }
    }
}

impl TryFrom<wire::Deploy> for Deploy {
    type Error = Error;

    fn try_from(deploy: wire::Deploy) -> Result<Self> {
        Ok(Self {
            job: job_id(deploy.job, "Deploy.job")?,
            identity: JobIdentity(deploy.identity),
            attempt: attempt(deploy.attempt, "Deploy.attempt")?,
            name: deploy.name,
            graph: Arc::new(json::decode_graph(&deploy.graph, "Deploy.graph")?),
            placement: required(deploy.placement, "Deploy.placement")?.try_into()?,
            storage: required(deploy.storage, "Deploy.storage")?.try_into()?,
            restore: deploy.restore.map(TryInto::try_into).transpose()?,
            last_epoch: Epoch(deploy.last_epoch),
            batch_rows: deploy.batch_rows,
            memory_budget: deploy.memory_budget,
            checkpoint_interval: deploy.checkpoint_interval_ms.map(Duration::from_millis),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn compare_state(id: u64, order: &StateComparison) -> wire::CompareState {
    wire::CompareState {
        id,
        graph: json::encode_deep(&order.graph),
        storage: Some((&order.storage).into()),
        checkpoint: order.checkpoint.as_ref().map(Into::into),
        running: order.running.as_ref().map(json::encode_deep).unwrap_or_default(),
    }
}

impl TryFrom<wire::CompareState> for StateComparison {
    type Error = Error;

    fn try_from(compare: wire::CompareState) -> Result<Self> {
        let running = match compare.running.is_empty() {
            true => None,
            false => Some(Arc::new(json::decode_graph(&compare.running, "CompareState.running")?)),
        };
        Ok(Self {
            graph: Arc::new(json::decode_graph(&compare.graph, "CompareState.graph")?),
            storage: required(compare.storage, "CompareState.storage")?.try_into()?,
            checkpoint: compare.checkpoint.map(TryInto::try_into).transpose()?,
            running,
        })
    }
}

impl From<&StoragePlace> for wire::StoragePlace {
    fn from(storage: &StoragePlace) -> Self {
        Self { url: storage.url.clone() }
    }
}

impl TryFrom<wire::StoragePlace> for StoragePlace {
    type Error = Error;

    fn try_from(storage: wire::StoragePlace) -> Result<Self> {
        Ok(Self { url: named(storage.url, "StoragePlace.url")? })
    }
}

impl From<&CheckpointRef> for wire::CheckpointRef {
    fn from(checkpoint: &CheckpointRef) -> Self {
        Self { epoch: checkpoint.epoch.0, manifest: checkpoint.manifest.clone() }
    }
}

impl TryFrom<wire::CheckpointRef> for CheckpointRef {
    type Error = Error;

    fn try_from(checkpoint: wire::CheckpointRef) -> Result<Self> {
        Ok(Self { epoch: Epoch(checkpoint.epoch), manifest: named(checkpoint.manifest, "CheckpointRef.manifest")? })
    }
}
