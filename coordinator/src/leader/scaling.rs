//! Jobs that take the slots that there are: what is decided about them, and when.
//!
//! ```text
//!   state ─▶ shares ─▶ fewer than it has ─────────────▶ at once: the job goes on with fewer
//!              │
//!              └─────▶ more ─▶ for as long as it takes to settle ─▶ as many as there were all the time
//! ```
//!
//! A job is stopped for more slots at most once in that time, whatever workers do: the time begins anew behind each change, and under
//! each leader. For fewer it is stopped at once where they are wanted back, by a worker that is drained or a job with a fixed number; each
//! such change has another one before it that took its time. A job that does not run gives and takes at once, for it is not stopped by that.

use std::time::Duration;

use weir_core::JobId;
use weir_core::bugs::{self, Bug};
use weir_proto::client::{Scaling, ScalingBy, ScalingDecision};

use super::{Context, Leader};
use crate::cluster::{Command, Desired, Job};

/// Slots that a job could have more than it has, and for how long already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gain {
    since: Option<(Duration, u32)>,
}

/// What a job's share is looked at with.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub now: Duration,
    /// Slots that the job is to have.
    pub has: u32,
    /// Slots that it could have.
    pub share: u32,
    /// Whether it would be stopped for a change.
    pub runs: bool,
    pub settle: Duration,
}

impl Gain {
    /// The number of slots that the job is to have from now on, if it is another one.
    pub fn look(&mut self, look: Look) -> Option<u32> {
        let Look { now, has, share, runs, settle } = look;
        if share < has || (share > has && !runs) {
            self.since = None;
            return Some(share);
        }
        // To be stopped for one slot more in a hundred is not worth it.
        if share - has < (has / 10).max(1) {
            self.since = None;
            return None;
        }
        let (since, least) = self.since.map_or((now, share), |(since, least)| (since, least.min(share)));
        self.since = Some((since, least));
        (now.saturating_sub(since) >= settle || bugs::is_on(Bug::HastyGain)).then(|| {
            self.since = None;
            least
        })
    }

    /// Whether there is something to be looked at again when time has passed.
    pub fn waits(&self) -> bool {
        self.since.is_some()
    }
}

impl Leader {
    /// Looks at the shares of all jobs that take what there is.
    pub(super) fn share_slots(&mut self, context: &mut Context<'_>) {
        let shares = context.state.shares();
        for (_, duties) in self.jobs.iter_mut().filter(|(id, duties)| duties.gain.waits() && !shares.contains_key(id)) {
            duties.gain = Gain::default();
        }
        for (id, share) in shares {
            let Some(job) = context.state.jobs.get(&id) else { continue };
            let Some(scaling) = job.elastic() else { continue };
            self.share_of(context, id, job, (scaling, share));
        }
    }

    fn share_of(&mut self, context: &mut Context<'_>, id: JobId, job: &Job, (scaling, share): (&Scaling, u32)) {
        if self.is_proposed(id, super::Proposal::Scale) {
            return;
        }
        let look = Look {
            now: context.now.elapsed,
            has: job.parallelism,
            share,
            // One whose attempt is about to be started would be stopped, too.
            runs: job.execution.is_some() || self.is_proposed(id, super::Proposal::Start),
            settle: Duration::from_millis(scaling.settle_ms),
        };
        let gain = &mut self.jobs.of(id).gain;
        let Some(to) = gain.look(look) else { return };
        let wanted = job.most_slots(scaling).max(to);
        let decision = ScalingDecision {
            at: context.now.wall,
            from: job.parallelism,
            to,
            wanted: if scaling.by == ScalingBy::Load { wanted } else { to },
            done: true,
            reason: reason(context, job.parallelism, to),
        };
        self.propose_once(context, Command::ScaleJob { job: id, decision });
    }

    pub(super) fn share_slots_when_due(&mut self, context: &mut Context<'_>) {
        let waits = self.jobs.iter().any(|(_, duties)| duties.gain.waits());
        if waits {
            self.share_slots(context);
        }
    }
}

fn reason(context: &Context<'_>, from: u32, to: u32) -> String {
    let active = context.state.jobs.values().filter(|job| job.status.is_active() && job.desired == Desired::Running);
    let workers = context.state.workers.values().filter(|worker| !worker.draining);
    let (workers, slots) = workers.fold((0_u32, 0_u64), |(n, slots), worker| (n + 1, slots + u64::from(worker.slots)));
    let change = if to < from { "fewer slots are there for it" } else { "more slots are there for it" };
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let jobs = active.count() as u64;
    format!(
        "{change}: {workers} worker{} with {slots} slot{}, {jobs} job{} to run",
        s(workers.into()),
        s(slots),
        s(jobs)
    )
}

#[cfg(test)]
mod tests;
