//! Who decides how many slots a job has, and what was decided.

use weir_core::JobId;
use weir_proto::client::{Scaling, ScalingBy, ScalingDecision};

use super::Applied;
use super::jobs::check_parallelism;
use crate::cluster::{ClusterState, Refusal};

/// So many decisions of a job are kept.
const KEPT_DECISIONS: usize = 20;
/// Bytes of the reason for one.
const MAX_REASON: usize = 512;

impl ClusterState {
    pub(super) fn set_scaling(&mut self, id: JobId, scaling: Scaling) -> Result<Applied, Refusal> {
        check_scaling(&scaling)?;
        self.change(id, |state, job| {
            let scaling = kept_scaling(scaling);
            if job.scaling == scaling {
                return Ok(Applied::Unchanged);
            }
            let before = job.counted_slots();
            job.scaling = scaling;
            if job.counted_slots() > before && job.status.is_active() {
                state.admit_slots(id, job)?;
            }
            Ok(Applied::Changed)
        })
    }

    /// A decision is about the parallelism that the job had when it was made, and about who decides.
    pub(super) fn scale_job(&mut self, id: JobId, mut decision: ScalingDecision) -> Result<Applied, Refusal> {
        check_parallelism(decision.to)?;
        self.change(id, |state, job| {
            if !job.status.is_active() {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be scaled" });
            }
            let scaling = job.scaling.as_ref().filter(|scaling| scaling.acts() == decision.done);
            let is_within =
                scaling.is_some_and(|scaling| (scaling.min_slots..=scaling.max_slots).contains(&decision.to));
            if job.parallelism != decision.from || !is_within {
                return Err(Refusal::StaleScaling { job: id, from: decision.from, parallelism: job.parallelism });
            }
            if decision.done {
                job.parallelism = decision.to;
                if decision.to > decision.from {
                    state.admit_slots(id, job)?;
                }
            }
            decision.reason.truncate(decision.reason.floor_char_boundary(MAX_REASON));
            job.scaling_decisions.push(decision);
            let surplus = job.scaling_decisions.len().saturating_sub(KEPT_DECISIONS);
            job.scaling_decisions.drain(..surplus);
            Ok(Applied::Changed)
        })
    }
}

/// What is kept of it: a person deciding is what every job begins with.
pub(super) fn kept_scaling(scaling: Scaling) -> Option<Scaling> {
    (scaling.by != ScalingBy::Hand).then_some(scaling)
}

pub(super) fn check_scaling(scaling: &Scaling) -> Result<(), Refusal> {
    let Scaling { by, dry_run, min_slots, max_slots, settle_ms, target_percent, catch_up_ms } = scaling;
    if *min_slots == 0 || min_slots > max_slots || *max_slots > Scaling::MOST_SLOTS {
        return Err(Refusal::BadValue("a job takes between 1 and 1024 slots by itself, and not less than its least"));
    }
    if !(5..=100).contains(target_percent) {
        return Err(Refusal::BadValue("the target utilization is between 5 and 100 percent"));
    }
    if !(100..=86_400_000).contains(settle_ms) || !(1000..=86_400_000).contains(catch_up_ms) {
        return Err(Refusal::BadValue("times of scaling are between a second and a day; to settle, at least 100 ms"));
    }
    if *dry_run && *by != ScalingBy::Load {
        return Err(Refusal::BadValue("a dry run is of scaling by load"));
    }
    Ok(())
}
