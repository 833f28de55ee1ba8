//! `weir.job.v1`: what both workers and clients are told about jobs.

use weir_core::{Error, EventTime, Incarnation, PlacedWorker, Placement, Result, WorkerId};

use super::{all, named};
use crate::control::Figures;
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
