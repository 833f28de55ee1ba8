//! Sinks commit what is decided: oldest checkpoint first, any number of times, until it is done and noted.

use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, Error, Result};

use super::{CheckpointExecutor, Effect, Ledger, name_of};
use crate::driver;
use crate::now::Now;

/// The commit of the oldest checkpoint that is not committed.
#[derive(Debug)]
pub(super) struct CommitWork {
    epoch: Epoch,
    stage: Stage,
    /// Why it failed the last time.
    failure: Option<String>,
    /// How often nobody has answered in time. Then there is twice as much: an epoch may be large, and where two commit it in turn, one
    /// stops the other.
    unanswered: u32,
}

/// Doublings of the time for an answer, at most.
const DOUBLINGS: u32 = 10;

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It is tried then.
    Due(Duration),
    /// A committer was asked, whose answer is waited for until then, if there is an end to it.
    Asked(Option<Duration>),
    /// It is done, which is being noted.
    Noted,
}

impl CommitWork {
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn due(&self) -> Option<Duration> {
        match self.stage {
            Stage::Asked(_) if bugs::is_on(Bug::LostCommitRequest) => None,
            Stage::Due(due) => Some(due),
            Stage::Asked(until) => until,
            Stage::Noted => None,
        }
    }
}

impl CheckpointExecutor {
    /// Sees to it that the oldest checkpoint that is not committed is being committed.
    pub(super) fn commit_if_due(&mut self, now: Now, ledger: &Ledger<'_>, effects: &mut Vec<Effect>) {
        let Some(oldest) = ledger.oldest_uncommitted() else {
            self.commit = None;
            return;
        };
        let fresh = || CommitWork { epoch: oldest.epoch, stage: Stage::Due(now.elapsed), failure: None, unanswered: 0 };
        let nothing = self.has_nothing_to_commit(oldest.epoch);
        let work = self.commit.get_or_insert_with(fresh);
        if work.epoch != oldest.epoch {
            *work = fresh();
        }
        if work.due().is_none_or(|due| due > now.elapsed) {
            return;
        }
        if matches!(work.stage, Stage::Asked(_)) {
            // The worker may do it all the same, later: that does no harm.
            work.failure = Some("the worker that was to commit does not answer".to_owned());
            work.unanswered = (work.unanswered + 1).min(DOUBLINGS);
        }
        if nothing {
            work.stage = Stage::Noted;
            effects.push(Effect::Acknowledge(oldest.epoch));
        } else {
            let patience = self.timeouts.commit_timeout.map(|timeout| timeout * 2_u32.pow(work.unanswered));
            work.stage = Stage::Asked(patience.map(|patience| now.elapsed + patience));
            effects.push(Effect::Commit(name_of(oldest)));
        }
    }

    pub(super) fn committed(
        &mut self,
        now: Now,
        ledger: &Ledger<'_>,
        epoch: Epoch,
        result: Result<()>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(work) = self.commit.as_mut().filter(|work| work.epoch == epoch) else { return };
        match result {
            Ok(()) => {
                work.stage = Stage::Noted;
                effects.push(Effect::Acknowledge(epoch));
            }
            Err(error) => self.commit_failed(now, ledger, epoch, error, effects),
        }
    }

    fn commit_failed(&mut self, now: Now, ledger: &Ledger<'_>, epoch: Epoch, error: Error, effects: &mut Vec<Effect>) {
        if let Some(work) = &mut self.commit {
            work.stage = Stage::Due(now.elapsed + self.timeouts.commit_retry);
            work.failure = Some(error.report());
        }
        self.tell_driver(now, ledger, driver::Event::CommitFailed { epoch, error }, effects);
    }

    pub(super) fn commit_lost(&mut self, now: Now) {
        if let Some(work) = self.commit.as_mut().filter(|work| matches!(work.stage, Stage::Asked(_))) {
            work.stage = Stage::Due(now.elapsed);
        }
    }

    pub(super) fn acknowledged(
        &mut self,
        now: Now,
        ledger: &Ledger<'_>,
        epoch: Epoch,
        result: Result<()>,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = result {
            return self.commit_failed(now, ledger, epoch, error, effects);
        }
        self.commit.take_if(|work| work.epoch <= epoch);
        if self.is_driven() {
            // The driver says when to tidy up.
            self.tell_driver(now, ledger, driver::Event::Committed(epoch), effects);
        } else {
            self.retire(effects);
        }
        self.commit_if_due(now, ledger, effects);
    }
}
