//! Audits of sinks, as clients are told of them.

use weir_core::{Epoch, Error, OperatorUid, Result};

use super::{all, job_id, named};
use crate::client::{EpochAudit, SinkAudit, SinksAudit};
use crate::generated::client::v1 as wire;

impl From<&SinksAudit> for wire::SinksAudit {
    fn from(audit: &SinksAudit) -> Self {
        Self {
            job: audit.job.0,
            last_completed: audit.last_completed.0,
            sinks: audit.sinks.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::SinksAudit> for SinksAudit {
    type Error = Error;

    fn try_from(audit: wire::SinksAudit) -> Result<Self> {
        Ok(Self {
            job: job_id(audit.job, "SinksAudit.job")?,
            last_completed: Epoch(audit.last_completed),
            sinks: all(audit.sinks, TryInto::try_into)?,
        })
    }
}

impl From<&SinkAudit> for wire::SinkAudit {
    fn from(sink: &SinkAudit) -> Self {
        Self {
            table: sink.table.clone(),
            connector: sink.connector.clone(),
            uid: sink.uid.0.clone(),
            target: sink.target.clone(),
            marker: sink.marker.clone(),
            written: sink.written.map(|epoch| epoch.0),
            epochs: sink.epochs.iter().map(Into::into).collect(),
            verdict: sink.verdict.clone(),
            reason: sink.reason.clone(),
        }
    }
}

impl TryFrom<wire::SinkAudit> for SinkAudit {
    type Error = Error;

    fn try_from(sink: wire::SinkAudit) -> Result<Self> {
        Ok(Self {
            table: named(sink.table, "SinkAudit.table")?,
            connector: sink.connector,
            uid: OperatorUid(sink.uid),
            target: sink.target,
            marker: sink.marker,
            written: sink.written.map(Epoch),
            epochs: all(sink.epochs, TryInto::try_into)?,
            verdict: named(sink.verdict, "SinkAudit.verdict")?,
            reason: sink.reason,
        })
    }
}

impl From<&EpochAudit> for wire::EpochAudit {
    fn from(epoch: &EpochAudit) -> Self {
        Self {
            epoch: epoch.epoch.0,
            committed: epoch.committed,
            found: epoch.found.clone(),
            rows: epoch.rows,
            files: epoch.files,
        }
    }
}

impl TryFrom<wire::EpochAudit> for EpochAudit {
    type Error = Error;

    fn try_from(epoch: wire::EpochAudit) -> Result<Self> {
        Ok(Self {
            epoch: Epoch(epoch.epoch),
            committed: epoch.committed,
            found: named(epoch.found, "EpochAudit.found")?,
            rows: epoch.rows,
            files: epoch.files,
        })
    }
}
