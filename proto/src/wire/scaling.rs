//! Who decides how many slots a job has.

use weir_core::{Error, Result};

use crate::client::{LoadInfo, Scaling, ScalingBy, ScalingDecision};
use crate::generated::client::v1 as wire;

impl From<&Scaling> for wire::Scaling {
    fn from(scaling: &Scaling) -> Self {
        let by = match scaling.by {
            ScalingBy::Hand => "hand",
            ScalingBy::Slots => "slots",
            ScalingBy::Load => "load",
        };
        Self {
            by: by.to_owned(),
            dry_run: scaling.dry_run,
            min_slots: scaling.min_slots,
            max_slots: scaling.max_slots,
            settle_ms: scaling.settle_ms,
            target_percent: scaling.target_percent,
            catch_up_ms: scaling.catch_up_ms,
        }
    }
}

impl TryFrom<wire::Scaling> for Scaling {
    type Error = Error;

    fn try_from(scaling: wire::Scaling) -> Result<Self> {
        let by = match scaling.by.as_str() {
            "hand" => ScalingBy::Hand,
            "slots" => ScalingBy::Slots,
            "load" => ScalingBy::Load,
            other => return Err(Error::data(format!("Scaling.by is {other:?}, which this version does not know"))),
        };
        Ok(Self {
            by,
            dry_run: scaling.dry_run,
            min_slots: scaling.min_slots,
            max_slots: scaling.max_slots,
            settle_ms: scaling.settle_ms,
            target_percent: scaling.target_percent,
            catch_up_ms: scaling.catch_up_ms,
        })
    }
}

impl From<&ScalingDecision> for wire::ScalingDecision {
    fn from(decision: &ScalingDecision) -> Self {
        Self {
            at: decision.at,
            from: decision.from,
            to: decision.to,
            wanted: decision.wanted,
            done: decision.done,
            reason: decision.reason.clone(),
        }
    }
}

impl From<wire::ScalingDecision> for ScalingDecision {
    fn from(decision: wire::ScalingDecision) -> Self {
        let wire::ScalingDecision { at, from, to, wanted, done, reason } = decision;
        Self { at, from, to, wanted, done, reason }
    }
}

impl From<&LoadInfo> for wire::LoadInfo {
    fn from(load: &LoadInfo) -> Self {
        Self {
            busiest: load.busiest.clone(),
            busy_percent: load.busy_percent,
            load_percent: load.load_percent,
            needed_slots: load.needed_slots,
            said: load.said.clone(),
        }
    }
}

impl From<wire::LoadInfo> for LoadInfo {
    fn from(load: wire::LoadInfo) -> Self {
        let wire::LoadInfo { busiest, busy_percent, load_percent, needed_slots, said } = load;
        Self { busiest, busy_percent, load_percent, needed_slots, said }
    }
}
