//! Workers come, speak, and go.

use weir_core::WorkerId;
use weir_core::bugs::{self, Bug};
use weir_proto::control::{FromWorker, Heartbeat, Hello, ToWorker, Welcome};

use super::commits::error_of;
use super::{AuditId, Context, Leader, SessionId};
use crate::checkpoints::Event;
use crate::cluster::{Applied, Command, Refusal};
use crate::driver;

impl Leader {
    /// A worker has connected. It is registered first, unless it is; then it is told what to do.
    pub(super) fn connected(&mut self, context: &mut Context<'_>, session: SessionId, hello: Hello) {
        if let Some(cluster) = hello.cluster.as_ref().filter(|cluster| **cluster != context.state.cluster) {
            let reason = format!(
                "worker {} belongs to the cluster {cluster}, and this is {}: give it a data directory of its own for \
                 this one",
                hello.worker, context.state.cluster
            );
            context.send(session, ToWorker::Refused { reason });
            context.effects.push(super::Effect::Close(session));
            return;
        }
        let (worker, incarnation) = (hello.worker.clone(), hello.incarnation);
        // The one that is there stays: if the newer one took its place, supervisors of both would restart them in turn for ever.
        if let Some(other) = self.sessions.other_process(&worker, incarnation) {
            context.send(session, ToWorker::NameTaken { address: other.hello.address.clone() });
            context.effects.push(super::Effect::Close(session));
            return;
        }
        let registered = context.state.workers.get(&worker);
        let known = registered.is_some_and(|known| {
            known.incarnation == incarnation && known.address == hello.address && known.slots == hello.slots
        });
        let command = Command::RegisterWorker {
            worker: worker.clone(),
            incarnation,
            address: hello.address.clone(),
            slots: hello.slots,
            version: hello.version.clone(),
            at: context.now.wall,
        };
        self.sessions.open(session, hello, context.now.elapsed);
        if known {
            self.welcome(context, session);
        } else {
            context.propose(command);
        }
    }

    /// The worker is registered: it gets to know the leader, and the leader looks at what it runs.
    fn welcome(&mut self, context: &mut Context<'_>, session: SessionId) {
        let welcome = Welcome {
            cluster: context.state.cluster.clone(),
            term: self.term,
            heartbeat_interval: self.config.heartbeat_interval,
            coordinators: self.coordinators.clone(),
        };
        let old = self.sessions.welcome(session);
        if let Some(old) = old {
            self.sessions.close(old);
            context.effects.push(super::Effect::Close(old));
        }
        // A worker takes nothing before its welcome.
        context.send(session, ToWorker::Welcome(welcome));
        if let Some(old) = old.filter(|_| !bugs::is_on(Bug::LostCommitRequest)) {
            // It may have been asked to commit, and nobody will say of it any more that it is gone.
            self.reassign_commits(context, old);
        }
        if let Some(old) = old {
            self.give_up_questions_to(context, old);
        }
        let Some(known) = self.sessions.get(session) else { return };
        let statuses = known.hello.attempts.clone();
        let (worker, leaving) = (known.hello.worker.clone(), known.leaving);
        for job in context.state.jobs.keys().copied().collect::<Vec<_>>() {
            let status = statuses.iter().find(|status| status.job == job);
            self.reunited(context, job, &worker, session, status);
        }
        self.forget_strays(context, session);
        if leaving {
            context.propose(Command::DrainWorker { worker, draining: true });
        }
        // A job that waits begins with all that it may have.
        self.share_slots(context);
        self.schedule(context);
    }

    /// Ends what a worker runs and should not.
    fn forget_strays(&mut self, context: &mut Context<'_>, session: SessionId) {
        if bugs::is_on(Bug::NoFencing) {
            return;
        }
        let Some(known) = self.sessions.get_mut(session) else { return };
        let stray: Vec<_> = known
            .attempts
            .extract_if(.., |job, attempt| {
                let wanted = context.state.jobs.get(job).filter(|job| job.execution.is_some());
                wanted.is_none_or(|job| job.attempt != *attempt)
            })
            .collect();
        for (job, attempt) in stray {
            context.send(session, ToWorker::Cancel { job, attempt });
        }
    }

    /// As [`forget_strays`](Self::forget_strays), on all workers.
    pub(super) fn forget_all_strays(&mut self, context: &mut Context<'_>) {
        let sessions: Vec<SessionId> = self.sessions.connected().map(|(_, session)| session).collect();
        for session in sessions {
            self.forget_strays(context, session);
        }
    }

    pub(super) fn worker_message(&mut self, context: &mut Context<'_>, session: SessionId, message: FromWorker) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        known.heard = context.now.elapsed;
        if !known.welcome {
            return;
        }
        let worker = known.hello.worker.clone();
        match message {
            // It comes once, at the beginning.
            FromWorker::Hello(_) => {}
            FromWorker::Heartbeat(heartbeat) => self.heartbeat(context, &worker, &heartbeat),
            FromWorker::Status(status) => {
                known.attempts.insert(status.job, status.attempt);
                self.status(context, &worker, session, status);
                self.forget_strays(context, session);
            }
            FromWorker::Report(report) => self.report(context, &worker, report),
            FromWorker::Committed { job, epoch, result } => {
                self.commit_answered(context, session, job, epoch, result.map_err(error_of));
            }
            FromWorker::Merged { job, attempt, epoch, merged } => {
                if self.takes(job, attempt) {
                    self.checkpoints(context, job, Event::Merged { epoch, result: merged.map_err(error_of) });
                }
            }
            FromWorker::Audited { id, findings } => self.audited(context, session, AuditId(id), findings),
            FromWorker::StateCompared { id, misfits } => self.state_compared(context, session, id, misfits),
            FromWorker::Leaving => {
                known.leaving = true;
                context.propose(Command::DrainWorker { worker, draining: true });
            }
        }
    }

    fn heartbeat(&mut self, context: &mut Context<'_>, worker: &WorkerId, heartbeat: &Heartbeat) {
        for figures in &heartbeat.figures {
            let Some(live) = self.jobs.attempt_mut(figures.job) else { continue };
            live.take_figures(worker, figures);
            let backlog = live.backlog();
            self.drive(context, figures.job, driver::Event::Backlog(backlog));
        }
    }

    pub(super) fn disconnected(&mut self, context: &mut Context<'_>, session: SessionId) {
        let Some(gone) = self.sessions.close(session) else { return };
        let deadline = context.now.elapsed + self.config.reconnect_grace;
        if !gone.dismissed {
            self.sessions.miss(gone.hello.worker.clone(), gone.hello.incarnation, deadline, "its connection broke");
        }
        for id in self.jobs.which(|duties| duties.attempt.as_ref().is_some_and(|live| live.is_on(&gone.hello.worker))) {
            if let Some(live) = self.jobs.attempt_mut(id) {
                live.part_left(&gone.hello.worker);
            }
            // What it has merged, if it has, nobody will hear of.
            self.checkpoints(context, id, Event::MergeLost);
        }
        self.reassign_commits(context, session);
        self.give_up_questions_to(context, session);
    }

    /// A connection is gone, and with it the answers to what was asked there.
    fn give_up_questions_to(&mut self, context: &mut Context<'_>, session: SessionId) {
        self.give_up_audits_of(context, session);
        self.give_up_comparisons_of(context, session);
    }

    pub(super) fn expire_silent_workers(&mut self, context: &mut Context<'_>) {
        for session in self.sessions.silent(context.now.elapsed, self.config.worker_timeout) {
            context.effects.push(super::Effect::Close(session));
            let Some(gone) = self.sessions.close(session) else { continue };
            let reason = format!("it said nothing for {:?}", self.config.worker_timeout);
            self.sessions.miss(gone.hello.worker.clone(), gone.hello.incarnation, context.now.elapsed, &reason);
            self.reassign_commits(context, session);
            self.give_up_questions_to(context, session);
        }
        for (worker, missing) in self.sessions.overdue(context.now.elapsed) {
            context.propose(Command::LoseWorker {
                worker,
                incarnation: missing.incarnation,
                reason: missing.reason,
                at: context.now.wall,
            });
        }
    }

    /// A command about workers has been applied.
    pub(super) fn after_worker_command(
        &mut self,
        context: &mut Context<'_>,
        command: &Command,
        outcome: &Result<Applied, Refusal>,
    ) {
        if let Command::RegisterWorker { worker, incarnation, .. } = command {
            for session in self.sessions.waiting(worker, *incarnation) {
                match outcome {
                    Ok(_) => self.welcome(context, session),
                    Err(refusal) => {
                        context.send(session, ToWorker::Refused { reason: refusal.to_string() });
                        context.effects.push(super::Effect::Close(session));
                        self.sessions.close(session);
                    }
                }
            }
        }
        // It came back while it was being given up: it has to come again, as one that has nothing.
        if let Command::LoseWorker { worker, incarnation, .. } = command
            && let Some(session) = self.sessions.of(worker, *incarnation)
            && outcome.is_ok()
        {
            self.sessions.close(session);
            context.effects.push(super::Effect::Close(session));
            self.reassign_commits(context, session);
            self.give_up_questions_to(context, session);
        }
        self.reconcile_all(context);
        self.dismiss_idle_workers(context);
    }

    /// Workers that want to go and have nothing left may go.
    pub(super) fn dismiss_idle_workers(&mut self, context: &mut Context<'_>) {
        let busy =
            |session: &super::sessions::Session| {
                context.state.jobs.values().filter_map(|job| job.execution.as_ref()).any(|execution| {
                    execution.placement.workers.iter().any(|placed| placed.worker == session.hello.worker)
                })
            };
        let mut empty = Vec::new();
        for (id, session) in self.sessions.iter_mut() {
            let drained = context.state.workers.get(&session.hello.worker).is_some_and(|worker| worker.draining);
            if session.leaving && !session.dismissed && drained && !busy(session) {
                session.dismissed = true;
                empty.push((id, session.hello.worker.clone(), session.hello.incarnation));
            }
        }
        for (session, worker, incarnation) in empty {
            context.send(session, ToWorker::Farewell);
            let reason = Leader::LEFT_IN_ORDER.to_owned();
            context.propose(Command::LoseWorker { worker, incarnation, reason, at: context.now.wall });
        }
    }
}
