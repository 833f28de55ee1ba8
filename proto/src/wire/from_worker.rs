//! What workers say.

use weir_core::{Epoch, Error, ErrorKind, Incarnation, Marker, MarkerKind, OperatorUid, Result, WorkerId};

use super::{all, attempt, job_id, named, required, unknown};
use crate::control::{
    AttemptFigures, AttemptPhase, AttemptStatus, Failure, FromWorker, Heartbeat, Hello, Misfits, Report, VertexFigures,
};
use crate::generated::worker::v1 as wire;
use crate::generated::worker::v1::from_worker::Message;
use crate::json;

impl From<&FromWorker> for wire::FromWorker {
    fn from(message: &FromWorker) -> Self {
        let message = match message {
            FromWorker::Hello(hello) => Message::Hello(hello.into()),
            FromWorker::Heartbeat(heartbeat) => Message::Heartbeat(heartbeat.into()),
            FromWorker::Status(status) => Message::Status(status.into()),
            FromWorker::Report(report) => Message::Report(report.into()),
            FromWorker::Committed { job, epoch, result } => Message::Committed(wire::Committed {
                job: job.0,
                epoch: epoch.0,
                failure: result.as_ref().err().map(Into::into),
            }),
            FromWorker::Merged { job, attempt, epoch, merged } => Message::Merged(wire::Merged {
                job: job.0,
                attempt: attempt.0,
                epoch: epoch.0,
                outcome: Some(match merged {
                    Ok(runs) => wire::merged::Outcome::Runs(json::encode(runs)),
                    Err(failure) => wire::merged::Outcome::Failure(failure.into()),
                }),
            }),
            FromWorker::Audited { id, findings } => Message::Audited(wire::Audited {
                id: *id,
                outcome: Some(match findings {
                    Ok(findings) => wire::audited::Outcome::Findings(json::encode(findings)),
                    Err(failure) => wire::audited::Outcome::Failure(failure.into()),
                }),
            }),
            FromWorker::StateCompared { id, misfits } => Message::StateCompared(wire::StateCompared {
                id: *id,
                outcome: Some(match misfits {
                    Ok(Misfits { stored, running }) => wire::state_compared::Outcome::Misfits(wire::Misfits {
                        stored: stored.clone(),
                        running: running.clone(),
                    }),
                    Err(failure) => wire::state_compared::Outcome::Failure(failure.into()),
                }),
            }),
            FromWorker::Leaving => Message::Leaving(wire::Leaving {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::FromWorker> for FromWorker {
    type Error = Error;

    fn try_from(message: wire::FromWorker) -> Result<Self> {
        Ok(match required(message.message, "FromWorker.message")? {
            Message::Hello(hello) => FromWorker::Hello(hello.try_into()?),
            Message::Heartbeat(heartbeat) => FromWorker::Heartbeat(heartbeat.try_into()?),
            Message::Status(status) => FromWorker::Status(status.try_into()?),
            Message::Report(report) => FromWorker::Report(report.try_into()?),
            Message::Committed(committed) => FromWorker::Committed {
                job: job_id(committed.job, "Committed.job")?,
                epoch: Epoch(committed.epoch),
                result: match committed.failure {
                    None => Ok(()),
                    Some(failure) => Err(failure.try_into()?),
                },
            },
            Message::Merged(merged) => FromWorker::Merged {
                job: job_id(merged.job, "Merged.job")?,
                attempt: attempt(merged.attempt, "Merged.attempt")?,
                epoch: Epoch(merged.epoch),
                merged: match required(merged.outcome, "Merged.outcome")? {
                    wire::merged::Outcome::Runs(runs) => Ok(json::decode(&runs, "Merged.runs")?),
                    wire::merged::Outcome::Failure(failure) => Err(failure.try_into()?),
                },
            },
            Message::Audited(audited) => FromWorker::Audited {
                id: audited.id,
                findings: match required(audited.outcome, "Audited.outcome")? {
                    wire::audited::Outcome::Findings(findings) => Ok(json::decode(&findings, "Audited.findings")?),
                    wire::audited::Outcome::Failure(failure) => Err(failure.try_into()?),
                },
            },
            Message::StateCompared(compared) => FromWorker::StateCompared {
                id: compared.id,
                misfits: match required(compared.outcome, "StateCompared.outcome")? {
                    wire::state_compared::Outcome::Misfits(wire::Misfits { stored, running }) => {
                        Ok(Misfits { stored, running })
                    }
                    wire::state_compared::Outcome::Failure(failure) => Err(failure.try_into()?),
                },
            },
            Message::Leaving(wire::Leaving {}) => FromWorker::Leaving,
        })
    }
}

impl From<&Hello> for wire::Hello {
    fn from(hello: &Hello) -> Self {
        Self {
            cluster: hello.cluster.clone(),
            worker: hello.worker.0.clone(),
            incarnation: hello.incarnation.0,
            slots: hello.slots,
            address: hello.address.clone(),
            version: hello.version.clone(),
            attempts: hello.attempts.iter().map(Into::into).collect(),
            leaving: hello.leaving,
            protocol: hello.protocol,
            audits: hello.audits,
            compares_state: hello.compares_state,
        }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = Error;

    fn try_from(hello: wire::Hello) -> Result<Self> {
        Ok(Self {
            cluster: hello.cluster,
            worker: WorkerId(named(hello.worker, "Hello.worker")?),
            incarnation: Incarnation(hello.incarnation),
            slots: hello.slots,
            address: named(hello.address, "Hello.address")?,
            version: hello.version,
            attempts: all(hello.attempts, TryInto::try_into)?,
            leaving: hello.leaving,
            protocol: hello.protocol,
            audits: hello.audits,
            compares_state: hello.compares_state,
        })
    }
}

impl From<&Heartbeat> for wire::Heartbeat {
    fn from(heartbeat: &Heartbeat) -> Self {
        let figures = heartbeat.figures.iter().map(|of| wire::AttemptFigures {
            job: of.job.0,
            attempt: of.attempt.0,
            vertices: of
                .vertices
                .iter()
                .map(|vertex| wire::VertexFigures {
                    uid: vertex.uid.0.clone(),
                    figures: Some((&vertex.figures).into()),
                })
                .collect(),
            waiting_markers: of.waiting_markers,
        });
        Self { figures: figures.collect() }
    }
}

impl TryFrom<wire::Heartbeat> for Heartbeat {
    type Error = Error;

    fn try_from(heartbeat: wire::Heartbeat) -> Result<Self> {
        let figures = all(heartbeat.figures, |of| {
            Ok(AttemptFigures {
                job: job_id(of.job, "AttemptFigures.job")?,
                attempt: attempt(of.attempt, "AttemptFigures.attempt")?,
                vertices: all(of.vertices, |vertex| {
                    let figures = required(vertex.figures, "VertexFigures.figures")?.into();
                    Ok(VertexFigures { uid: OperatorUid(vertex.uid), figures })
                })?,
                waiting_markers: of.waiting_markers,
            })
        })?;
        Ok(Self { figures })
    }
}

impl From<&AttemptStatus> for wire::AttemptStatus {
    fn from(status: &AttemptStatus) -> Self {
        use wire::attempt_status::Phase;
        let (phase, failure) = match &status.phase {
            AttemptPhase::Opening => (Phase::Opening, None),
            AttemptPhase::Ready => (Phase::Ready, None),
            AttemptPhase::Running => (Phase::Running, None),
            AttemptPhase::Ended => (Phase::Ended, None),
            AttemptPhase::Failed(failure) => (Phase::Failed, Some(failure.into())),
        };
        Self {
            job: status.job.0,
            attempt: status.attempt.0,
            phase: phase.into(),
            failure,
            last_epoch: status.last_epoch.0,
            last_kind: status.last_kind.map(|kind| marker_kind(kind).into()),
            captures: status
                .captures
                .iter()
                .map(|marker| wire::Capture { epoch: marker.epoch.0, kind: marker_kind(marker.kind).into() })
                .collect(),
            wants_marker: status.wants_marker,
            exhausted: status.exhausted,
        }
    }
}

impl TryFrom<wire::AttemptStatus> for AttemptStatus {
    type Error = Error;

    fn try_from(status: wire::AttemptStatus) -> Result<Self> {
        use wire::attempt_status::Phase;
        let phase = match Phase::try_from(status.phase) {
            Ok(Phase::Opening) => AttemptPhase::Opening,
            Ok(Phase::Ready) => AttemptPhase::Ready,
            Ok(Phase::Running) => AttemptPhase::Running,
            Ok(Phase::Ended) => AttemptPhase::Ended,
            Ok(Phase::Failed) => AttemptPhase::Failed(required(status.failure, "AttemptStatus.failure")?.try_into()?),
            Ok(Phase::Unspecified) | Err(_) => return Err(unknown(status.phase, "AttemptStatus.phase")),
        };
        Ok(Self {
            job: job_id(status.job, "AttemptStatus.job")?,
            attempt: attempt(status.attempt, "AttemptStatus.attempt")?,
            phase,
            last_epoch: Epoch(status.last_epoch),
            last_kind: status.last_kind.map(|kind| known_marker_kind(kind, "AttemptStatus.last_kind")).transpose()?,
            captures: all(status.captures, |capture| {
                let kind = known_marker_kind(capture.kind, "Capture.kind")?;
                Ok(Marker { epoch: Epoch(capture.epoch), kind })
            })?,
            wants_marker: status.wants_marker,
            exhausted: status.exhausted,
        })
    }
}

impl From<&Failure> for wire::Failure {
    fn from(failure: &Failure) -> Self {
        use wire::failure::Kind;
        let kind = match failure.kind {
            ErrorKind::User => Kind::User,
            ErrorKind::Data => Kind::Data,
            ErrorKind::Environment => Kind::Environment,
            ErrorKind::Internal => Kind::Internal,
        };
        Self { kind: kind.into(), report: failure.report.clone(), peer_lost: failure.peer_lost }
    }
}

impl TryFrom<wire::Failure> for Failure {
    type Error = Error;

    fn try_from(failure: wire::Failure) -> Result<Self> {
        use wire::failure::Kind;
        let kind = match Kind::try_from(failure.kind) {
            Ok(Kind::User) => ErrorKind::User,
            Ok(Kind::Data) => ErrorKind::Data,
            Ok(Kind::Environment) => ErrorKind::Environment,
            Ok(Kind::Internal) => ErrorKind::Internal,
            Ok(Kind::Unspecified) | Err(_) => return Err(unknown(failure.kind, "Failure.kind")),
        };
        Ok(Self { kind, report: failure.report, peer_lost: failure.peer_lost })
    }
}

impl From<&Report> for wire::Report {
    fn from(report: &Report) -> Self {
        use wire::report::Outcome;
        Self {
            job: report.job.0,
            attempt: report.attempt.0,
            epoch: report.epoch.0,
            outcome: Some(match &report.outcome {
                Ok(content) => Outcome::Content(json::encode(content)),
                Err(failure) => Outcome::Failure(failure.into()),
            }),
        }
    }
}

impl TryFrom<wire::Report> for Report {
    type Error = Error;

    fn try_from(report: wire::Report) -> Result<Self> {
        use wire::report::Outcome;
        Ok(Self {
            job: job_id(report.job, "Report.job")?,
            attempt: attempt(report.attempt, "Report.attempt")?,
            epoch: Epoch(report.epoch),
            outcome: match required(report.outcome, "Report.outcome")? {
                Outcome::Content(content) => Ok(json::decode(&content, "Report.content")?),
                Outcome::Failure(failure) => Err(failure.try_into()?),
            },
        })
    }
}

/// The kind as it travels.
pub(super) fn marker_kind(kind: MarkerKind) -> wire::MarkerKind {
    match kind {
        MarkerKind::Flush => wire::MarkerKind::Flush,
        MarkerKind::Checkpoint => wire::MarkerKind::Checkpoint,
        MarkerKind::Savepoint => wire::MarkerKind::Savepoint,
        MarkerKind::Stop => wire::MarkerKind::Stop,
        MarkerKind::Drain => wire::MarkerKind::Drain,
    }
}

/// The kind that travelled.
pub(super) fn known_marker_kind(number: i32, name: &str) -> Result<MarkerKind> {
    match wire::MarkerKind::try_from(number) {
        Ok(wire::MarkerKind::Flush) => Ok(MarkerKind::Flush),
        Ok(wire::MarkerKind::Checkpoint) => Ok(MarkerKind::Checkpoint),
        Ok(wire::MarkerKind::Savepoint) => Ok(MarkerKind::Savepoint),
        Ok(wire::MarkerKind::Stop) => Ok(MarkerKind::Stop),
        Ok(wire::MarkerKind::Drain) => Ok(MarkerKind::Drain),
        Ok(wire::MarkerKind::Unspecified) | Err(_) => Err(unknown(number, name)),
    }
}
