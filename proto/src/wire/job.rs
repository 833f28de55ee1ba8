//! `weir.job.v1`: what both workers and clients are told about jobs.

use weir_core::{Epoch, Error, EventTime, Incarnation, PlacedWorker, Placement, Result, WorkerId};

use super::{all, named};
use crate::control::{Activity, Figures, Times};
use crate::generated::job::v1 as wire;

impl From<&Figures> for wire::Figures {
    fn from(figures: &Figures) -> Self {
        Self {
            rows_in: figures.rows_in,
            rows_out: figures.rows_out,
            late_rows: figures.late_rows,
            rejected_rows: figures.rejected_rows,
            state_bytes: figures.state_bytes,
            watermark: figures.watermark.map(|time| time.0),
            activity: figures.activity.as_ref().map(Into::into),
        }
    }
}

impl From<wire::Figures> for Figures {
    fn from(figures: wire::Figures) -> Self {
        Self {
            rows_in: figures.rows_in,
            rows_out: figures.rows_out,
            late_rows: figures.late_rows,
            rejected_rows: figures.rejected_rows,
            state_bytes: figures.state_bytes,
            watermark: figures.watermark.map(EventTime),
            activity: figures.activity.map(Into::into),
        }
    }
}

impl From<&Activity> for wire::Activity {
    fn from(activity: &Activity) -> Self {
        Self {
            subtasks: activity.subtasks,
            times: activity.times.map(|Times { busy_ms, idle_ms, backpressured_ms }| wire::Times {
                busy_ms,
                idle_ms,
                backpressured_ms,
            }),
            most_rows_in: activity.most_rows_in,
            marker: activity.marker.0,
            queued_bytes: activity.queued_bytes,
            lag_records: activity.lag_records,
            lag_ms: activity.lag_ms,
            splits: activity.splits,
            silent_splits: activity.silent_splits,
            held_splits: activity.held_splits,
            spread_ms: activity.spread_ms,
        }
    }
}

impl From<wire::Activity> for Activity {
    fn from(activity: wire::Activity) -> Self {
        Self {
            subtasks: activity.subtasks,
            times: activity.times.map(|wire::Times { busy_ms, idle_ms, backpressured_ms }| Times {
                busy_ms,
                idle_ms,
                backpressured_ms,
            }),
            most_rows_in: activity.most_rows_in,
            marker: Epoch(activity.marker),
            queued_bytes: activity.queued_bytes,
            lag_records: activity.lag_records,
            lag_ms: activity.lag_ms,
            splits: activity.splits,
            silent_splits: activity.silent_splits,
            held_splits: activity.held_splits,
            spread_ms: activity.spread_ms,
        }
    }
}

impl From<&Placement> for wire::Placement {
    fn from(placement: &Placement) -> Self {
        let workers = placement.workers.iter().map(|placed| wire::PlacedWorker {
            worker: placed.worker.0.clone(),
            incarnation: placed.incarnation.0,
            address: placed.address.clone(),
        });
        Self { workers: workers.collect(), slots: placement.slots.clone() }
    }
}

impl TryFrom<wire::Placement> for Placement {
    type Error = Error;

    fn try_from(placement: wire::Placement) -> Result<Self> {
        let workers = all(placement.workers, |placed| {
            Ok(PlacedWorker {
                worker: WorkerId(named(placed.worker, "PlacedWorker.worker")?),
                incarnation: Incarnation(placed.incarnation),
                address: placed.address,
            })
        })?;
        if let Some(slot) = placement.slots.iter().position(|worker| *worker as usize >= workers.len()) {
            return Err(Error::data(format!("Placement.slots: slot {slot} is on a worker that is not listed")));
        }
        Ok(Self { workers, slots: placement.slots })
    }
}
