//! Audits of sinks: a worker asks the systems that a job writes, since coordinators need not reach them, and what it finds is compared with
//! the replicated state.
//!
//! ```text
//!   client ── AuditSinks ─▶ leader ── Audit { checkpoints, sinks } ─▶ worker ─▶ Connector::audit of each sink
//!          ◀─ SinksAudit ── compare ◀───────── Audited ──────────────
//! ```
//!
//! The job goes on meanwhile. So what has to be there by now is what was committed when the question was asked, and what may be there is
//! what is completed when it is answered: a checkpoint is completed in the replicated state before anybody is asked to commit it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_core::audit::{AuditedSink, Found};
use weir_core::{Epoch, JobId};
use weir_proto::client::{ClientError, ClientErrorKind, EpochAudit, SinkAudit, SinksAudit, found as word_for, verdict};
use weir_proto::control::{AuditFindings, AuditOrder, CheckpointRef, Failure, ToWorker};
use weir_proto::version;

use super::leftovers::sinks_of;
use super::{Context, Effect, Leader, SessionId};
use crate::cluster::Job;

/// How long a worker may take. Whoever asks over HTTP waits for half a minute.
const PATIENCE: Duration = Duration::from_secs(25);
/// Audits that are under way at once: each opens connections to other systems.
const MOST: usize = 8;
/// Checkpoints that are looked into, the newest: of a job with many savepoints not all.
const CHECKPOINTS: usize = 16;

/// Number of an audit, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub u64);

/// What a worker was asked to find out.
#[derive(Debug)]
pub(super) struct Asked {
    job: JobId,
    order: Arc<AuditOrder>,
    /// The checkpoints that were kept then, and whether they were known to be committed.
    committed: BTreeMap<Epoch, bool>,
    /// The last checkpoint that was completed then.
    completed: Epoch,
}

impl Leader {
    /// Begins an audit; [`Effect::Audited`] has its outcome.
    pub(crate) fn audit(&mut self, context: &mut Context<'_>, id: JobId) -> Result<AuditId, ClientError> {
        let Some(job) = context.state.jobs.get(&id) else {
            return Err(ClientError::new(ClientErrorKind::NotFound, format!("there is no job {id}")));
        };
        if self.audits.count() >= MOST {
            let many = format!("{MOST} audits are under way");
            return Err(ClientError::new(ClientErrorKind::Conflict, many).with_help("ask again when they have ended"));
        }
        let needed = version::needed_by(&job.spec.graph);
        let understands = |session: &SessionId| {
            let known = self.sessions.get(*session);
            known.is_some_and(|known| known.hello.audits && known.hello.protocol >= needed)
        };
        let placed = job.execution.as_ref().and_then(|execution| execution.placement.worker_of(0));
        let placed = placed.and_then(|placed| self.sessions.of(&placed.worker, placed.incarnation));
        let connected = self.sessions.connected().map(|(_, session)| session);
        let session = placed.into_iter().chain(connected).find(understands).ok_or_else(|| {
            let none = "there is no worker that could ask the systems that the job writes";
            ClientError::new(ClientErrorKind::Conflict, none).with_help("`weir workers list` shows who is there")
        })?;
        let checkpoints = &job.checkpoints[job.checkpoints.len().saturating_sub(CHECKPOINTS)..];
        let order = Arc::new(AuditOrder {
            identity: context.state.identity(id, job),
            storage: context.place(id),
            checkpoints: checkpoints
                .iter()
                .map(|checkpoint| CheckpointRef { epoch: checkpoint.epoch, manifest: checkpoint.manifest.clone() })
                .collect(),
            sinks: sinks_of(&job.spec.graph),
            isolation: job.spec.graph.isolation(),
        });
        let committed = checkpoints.iter().map(|checkpoint| (checkpoint.epoch, checkpoint.committed)).collect();
        let about = Asked { job: id, order: order.clone(), committed, completed: job.last_epoch };
        let audit = self.audits.ask(session, context.now.elapsed + PATIENCE, about);
        context.send(session, ToWorker::Audit { id: audit, order });
        Ok(AuditId(audit))
    }

    /// A worker has found out.
    pub(super) fn audited(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        id: AuditId,
        findings: Result<AuditFindings, Failure>,
    ) {
        let Some(asked) = self.audits.answered(session, id.0) else { return };
        let outcome = match (context.state.jobs.get(&asked.job), findings) {
            (None, _) => Err(ClientError::new(ClientErrorKind::NotFound, "the job was deleted meanwhile")),
            (_, Err(failure)) => Err(ClientError::new(ClientErrorKind::Unavailable, failure.report)),
            (Some(now), Ok(findings)) => Ok(compare(&asked, now, findings)),
        };
        context.effects.push(Effect::Audited(id, outcome));
    }

    /// A worker is gone: who waits for it may ask another one.
    pub(super) fn give_up_audits_of(&mut self, context: &mut Context<'_>, session: SessionId) {
        let theirs = self.audits.lost(session).into_iter();
        let gone = || ClientError::new(ClientErrorKind::Unavailable, "the worker that was asked is gone");
        context.effects.extend(theirs.map(|id| Effect::Audited(AuditId(id), Err(gone()))));
    }

    pub(super) fn give_up_slow_audits(&mut self, context: &mut Context<'_>) {
        let slow = self.audits.overdue(context.now.elapsed).into_iter();
        let message = format!("the systems that the job writes have not answered within {} s", PATIENCE.as_secs());
        let late = || ClientError::new(ClientErrorKind::Conflict, message.clone());
        context.effects.extend(slow.map(|id| Effect::Audited(AuditId(id), Err(late()))));
    }
}

/// What was found, beside what the cluster holds to be true. `now` is the job as it is behind the findings.
fn compare(asked: &Asked, now: &Job, findings: AuditFindings) -> SinksAudit {
    let AuditFindings { unread, sinks } = findings;
    // One that was given up meanwhile is nothing that a person has to know of.
    let lost = unread.iter().find(|(epoch, _)| now.checkpoint(*epoch).is_some());
    let unreadable = lost.map(|(epoch, failure)| format!("checkpoint {epoch} cannot be read: {}", failure.report));
    let is_read = |epoch: &Epoch| unread.iter().all(|(other, _)| other != epoch);
    let kept: Vec<(Epoch, bool)> =
        asked.committed.iter().filter(|(epoch, _)| is_read(epoch)).map(|(epoch, is)| (*epoch, *is)).collect();
    let is_whole = sinks.len() == asked.order.sinks.len();
    let mut answers = sinks.into_iter().filter(|_| is_whole);
    let compared = asked.order.sinks.iter().map(|(uid, table)| {
        let mut sink = SinkAudit {
            table: table.name.clone(),
            connector: table.connector.clone(),
            uid: uid.clone(),
            target: None,
            marker: None,
            written: None,
            epochs: Vec::new(),
            verdict: verdict::NOT_AUDITED.to_owned(),
            reason: None,
        };
        match answers.next() {
            None => {
                sink.reason = Some("the worker has not answered for as many sinks as it was asked about".to_owned())
            }
            Some(Err(failure)) => sink.reason = Some(failure.report),
            Some(Ok(None)) => sink.verdict = verdict::NO_ACCOUNT.to_owned(),
            Some(Ok(Some(audited))) => {
                sink.epochs = kept.iter().map(|(epoch, committed)| beside(*epoch, *committed, &audited)).collect();
                sink.reason = contradiction(&sink.epochs, &audited, now.last_epoch);
                sink.verdict = verdict::DISAGREES.to_owned();
                if sink.reason.is_none() {
                    sink.reason = unreadable.clone().or_else(|| untold(asked, &kept, &audited));
                    let is_known = sink.reason.is_none();
                    sink.verdict = if is_known { verdict::AGREES } else { verdict::NOT_AUDITED }.to_owned();
                }
                sink.written = audited.last;
                (sink.target, sink.marker) = (Some(audited.target), Some(audited.marker));
            }
        }
        sink
    });
    SinksAudit { job: asked.job, sinks: compared.collect(), last_completed: now.last_epoch }
}

/// A checkpoint that is kept, and what there is of it.
fn beside(epoch: Epoch, committed: bool, audited: &AuditedSink) -> EpochAudit {
    let there = audited.epochs.iter().find(|there| there.epoch == epoch);
    let found = match there.map(|there| there.found) {
        None => word_for::EMPTY,
        Some(Found::Written) => word_for::WRITTEN,
        Some(Found::Partly) => word_for::PARTLY,
        Some(Found::Missing) => word_for::MISSING,
        Some(Found::Unknown) => word_for::UNKNOWN,
    };
    EpochAudit {
        epoch,
        committed,
        found: found.to_owned(),
        rows: there.and_then(|there| there.rows),
        files: there.and_then(|there| there.files),
    }
}

/// Why nothing is known of a sink that nothing contradicts; `None` if something is, or there is nothing yet to be known.
fn untold(asked: &Asked, kept: &[(Epoch, bool)], audited: &AuditedSink) -> Option<String> {
    let completed = asked.completed;
    if completed == Epoch::default() {
        return None;
    }
    if audited.absent {
        return Some(format!(
            "there is no account, and the checkpoint of epoch {completed} was completed: it was lost, unless the sink is new in the job and has not begun"
        ));
    }
    match (kept.is_empty(), asked.committed.is_empty()) {
        (false, _) => None,
        (true, false) => Some("the checkpoints that were to be looked into have been given up meanwhile".to_owned()),
        // What it says of the last one it says of all.
        (true, true) if audited.last == Some(completed) => None,
        (true, true) => Some(format!(
            "no checkpoint is kept that could be looked into, and the account does not name epoch {completed}, the last completed one"
        )),
    }
}

/// The first thing that cannot be as it is; `None` if all can.
fn contradiction(epochs: &[EpochAudit], audited: &AuditedSink, completed: Epoch) -> Option<String> {
    let of_epoch = |at: &EpochAudit| match (at.committed, at.found.as_str()) {
        (_, word_for::UNKNOWN) => Some(format!("it cannot be told whether epoch {} is there", at.epoch)),
        (true, word_for::MISSING) => Some(format!("epoch {} was committed, and is not there", at.epoch)),
        (true, word_for::PARTLY) => Some(format!("epoch {} was committed, and not all of it is there", at.epoch)),
        _ => None,
    };
    let ahead = audited.last.filter(|last| *last > completed);
    let ahead = ahead.map(|last| format!("epoch {last} is there, and the last completed one is {completed}"));
    epochs.iter().find_map(of_epoch).or(ahead)
}
