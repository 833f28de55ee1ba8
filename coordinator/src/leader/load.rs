//! Jobs whose load decides on their slots: how they do is looked at every few seconds, and what comes of it is proposed.

use std::time::Duration;

use weir_core::JobId;
use weir_proto::client::{LoadInfo, Scaling, ScalingBy, ScalingDecision};

use super::{Context, Leader};
use crate::autoscaler::{Advice, Sample, Situation, parts};
use crate::cluster::{Command, Desired, Job, JobStatus};

/// How long a restart is taken to last as long as there was none.
const USUAL_PAUSE: Duration = Duration::from_secs(3);
/// More than that was no restart: the job was stopped, or waited for slots.
const MOST_PAUSE: Duration = Duration::from_secs(30);

impl Leader {
    /// Looks at the jobs that are due for it.
    pub(super) fn look_at_loads(&mut self, context: &mut Context<'_>) {
        for (id, job) in &context.state.jobs {
            let Some(scaling) = job.scaling.as_ref().filter(|scaling| scaling.by == ScalingBy::Load) else { continue };
            if job.status == JobStatus::Running && job.desired == Desired::Running {
                self.look_at_load(context, *id, job, scaling);
            }
        }
    }

    fn look_at_load(&mut self, context: &mut Context<'_>, id: JobId, job: &Job, scaling: &Scaling) {
        let now = context.now.elapsed;
        let pause = self.last_pause(id).unwrap_or(USUAL_PAUSE).min(MOST_PAUSE);
        let Some(duties) = self.jobs.get_mut(id).filter(|duties| duties.autoscaler.is_due(now, scaling)) else {
            return;
        };
        let Some(live) = &duties.attempt else { return };
        // An attempt that is about to be replaced by one with other slots tells nothing about those.
        let slots = live.placement.slots.len();
        if u32::try_from(slots) != Ok(job.parallelism) {
            return;
        }
        let view = live.view(&job.spec.graph, &duties.checkpoints);
        let sample = Sample { at: now, parts: parts(&job.spec.graph, &view.vertices) };
        let wanted = if scaling.acts() { job.most_slots(scaling).max(job.parallelism) } else { job.parallelism };
        let situation = Situation { attempt: job.attempt, slots: job.parallelism, wanted, pause, scaling };
        let advice = duties.autoscaler.look(sample, situation);
        if let Some(decision) = advice.and_then(|advice| decision(context, id, job, (scaling, advice))) {
            duties.autoscaler.proposes(decision.from, if decision.done { decision.to } else { decision.from });
            self.propose_once(context, Command::ScaleJob { job: id, decision });
        }
    }

    /// The number of a job's slots was decided on.
    pub(super) fn scaled(&mut self, id: JobId, decision: &ScalingDecision) {
        let to = if decision.done { decision.to } else { decision.from };
        self.jobs.of(id).autoscaler.acted(decision.from, to);
    }

    /// What a job's load was last found to be.
    pub(crate) fn load(&self, id: JobId) -> Option<&LoadInfo> {
        self.jobs.get(id)?.autoscaler.found.as_ref()
    }
}

/// What is to be decided, unless it was already.
fn decision(
    context: &Context<'_>,
    id: JobId,
    job: &Job,
    (scaling, advice): (&Scaling, Advice),
) -> Option<ScalingDecision> {
    let Advice { slots: wanted, reason } = advice;
    let done = scaling.acts();
    let last = job.scaling_decisions.last().filter(|last| last.done == done);
    let to = match done {
        // As many as are there for it.
        true => context.state.shares_if(Some((id, wanted))).get(&id).copied().unwrap_or(job.parallelism),
        false => wanted,
    };
    let is_known = match last {
        Some(last) if done => last.to == to && last.wanted == wanted,
        Some(last) => last.to == to && last.from == job.parallelism,
        None => false,
    };
    let is_as_it_was = to == job.parallelism && wanted == job.parallelism;
    let was_more = last.is_some_and(|last| done && last.to == job.parallelism && last.wanted > job.parallelism);
    let is_said = is_known && (!done || to == job.parallelism);
    if is_said || (is_as_it_was && !was_more) {
        return None;
    }
    Some(ScalingDecision { at: context.now.wall, from: job.parallelism, to, wanted, done, reason })
}
