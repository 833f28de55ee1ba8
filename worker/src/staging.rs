//! Rows that a sink wants back when its epoch is committed, on their way into the checkpoint storage.
//!
//! ```text
//!   subtask   Sink::take_staged ─▶ Stager ──full runs──▶ checkpoint storage
//!                                    │ at the marker: names of those, and the rows that are left
//!                                    ▼
//!   process                       Staged ──the rest of all subtasks, in runs──▶ checkpoint storage
//!                                    │ in the report: names
//!                                    ▼
//!   whoever commits               commit ◀──run by run── checkpoint storage
//! ```
//!
//! A subtask holds one run in memory, and waits while it is stored; and it does not get far ahead of the commits ([`pace`]). Should storage
//! not take the run, the subtask goes on and holds a few, then it fails: the job goes on from its last checkpoint, when there is storage
//! again.

pub mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tracing::warn;
use weir_core::{Attempt, Batch, Epoch, Error, ErrorKind, OperatorUid, Result, TableSpec};
use weir_state::{STAGED_RUN_BYTES, StagedRun, Storage, encode_staged, layout};

use self::pace::Pace;
use crate::blocking::{self, Blocking};
use crate::exchange::{ExchangeLimits, batch_bytes};

/// Bytes that a subtask holds at most while storage does not take them.
const HELD_BYTES: usize = 4 * STAGED_RUN_BYTES;

/// Where staged rows go, and under which names.
#[derive(Clone)]
pub struct StagingArea {
    /// Where they go.
    pub storage: Arc<dyn Storage>,
    /// Where they are encoded and written.
    pub blocking: Arc<dyn Blocking>,
    /// This execution; part of every path.
    pub attempt: Attempt,
    /// Tells the files of this part of the job from those of others.
    pub part_name: String,
    /// How much is staged in one file, and before the commits are waited for.
    pub limits: ExchangeLimits,
}

/// What one subtask's sink has staged for an epoch.
#[derive(Debug, Default)]
pub struct StagedPart {
    /// Stored already.
    pub runs: Vec<StagedRun>,
    /// What came behind them.
    pub rest: Vec<Batch>,
}

impl StagedPart {
    fn stored_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.length).sum()
    }
}

/// Takes what one subtask's sink stages.
pub struct Stager {
    area: StagingArea,
    table: String,
    schema: SchemaRef,
    /// Beginning of the names of its files, behind their epoch.
    name: String,
    /// Rows belong to an epoch behind this one.
    behind: Epoch,
    pace: Pace,
    part: StagedPart,
    /// Bytes of the rest.
    bytes: usize,
    /// With how many of them they are stored; more than one run's if storage did not take them before.
    full: usize,
    files: u64,
}

impl Stager {
    /// For subtask `subtask` of the sink `uid`, which stages these columns, and whose first rows belong to an epoch behind `behind`.
    pub fn new(
        area: StagingArea,
        uid: &OperatorUid,
        subtask: usize,
        table: &TableSpec,
        schema: SchemaRef,
        behind: Epoch,
    ) -> Self {
        let name = format!("{}-{}-{subtask}", area.part_name, uid.0);
        let run_bytes = area.limits.staged_run_bytes;
        Self {
            area,
            table: table.name.clone(),
            schema,
            name,
            behind,
            pace: Pace::free(),
            part: StagedPart::default(),
            bytes: 0,
            full: run_bytes,
            files: 0,
        }
    }

    /// The same, at this pace.
    pub fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Takes rows. Waits if there are many and the epoch before is still being committed. What is not taken in yet goes with the future.
    ///
    /// # Errors
    /// If they do not have the sink's columns, or storage has not taken others for too long.
    pub async fn add(&mut self, batches: Vec<Batch>) -> Result<()> {
        for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            // As the sink's, whatever the query says of nulls: batches of several inputs go into one file.
            let columns = batch.records().columns().to_vec();
            let records = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| {
                Error::internal(format!("rows of {} do not have its columns", self.table)).with_source(error)
            })?;
            let batch = match batch.weights() {
                Some(weights) => Batch::weighted(records, weights.clone())?,
                None => Batch::append(records),
            };
            self.bytes += batch_bytes(&batch);
            self.part.rest.push(batch);
            if self.bytes >= self.full {
                if self.part.stored_bytes() >= self.area.limits.staged_ahead_bytes {
                    self.pace.keep().await;
                }
                self.store().await?;
            }
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<()> {
        // A name is used once: storage may have taken what it seemed not to take.
        let part = format!("{}-{}", self.name, self.files);
        self.files += 1;
        // No manifest of an epoch up to this one can be one that lacks the file: retention leaves it alone.
        let file = format!("{}.arrow", layout::runs_prefix(self.behind.next(), self.area.attempt, &part));
        let (storage, rows) = (self.area.storage.clone(), self.part.rest.clone());
        let stored = blocking::run(&self.area.blocking, move || {
            let (bytes, run) = encode_staged(&rows, file)?;
            storage.put(&run.file, &bytes)?;
            Ok(run)
        });
        match stored.await {
            Ok(run) => {
                self.part.runs.push(run);
                self.part.rest.clear();
                (self.bytes, self.full) = (0, self.area.limits.staged_run_bytes);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Environment && self.bytes < HELD_BYTES => {
                self.full = self.bytes + self.area.limits.staged_run_bytes;
                warn!(table = self.table, "rows could not be stored yet: {}", error.report());
                Ok(())
            }
            Err(error) => Err(error.context(format!("rows of {} could not be stored", self.table))),
        }
    }

    /// What was staged for `epoch`, whose marker has come.
    pub fn take(&mut self, epoch: Epoch) -> StagedPart {
        self.behind = epoch;
        (self.bytes, self.full) = (0, self.area.limits.staged_run_bytes);
        std::mem::take(&mut self.part)
    }
}

/// What all sinks of a process have staged since the last checkpoint that was reported.
#[derive(Debug, Default)]
pub struct Staged {
    sinks: BTreeMap<OperatorUid, Vec<Piece>>,
}

/// In the order of writing.
#[derive(Debug)]
enum Piece {
    Stored(StagedRun),
    Rows(Vec<Batch>),
}

impl Staged {
    /// An epoch's rows of one sink, of all its subtasks.
    pub fn add(&mut self, uid: &OperatorUid, parts: Vec<StagedPart>) {
        let pieces = self.sinks.entry(uid.clone()).or_default();
        let mut rests = Vec::new();
        for part in parts {
            pieces.extend(part.runs.into_iter().map(Piece::Stored));
            rests.extend(part.rest);
        }
        if !rests.is_empty() {
            pieces.push(Piece::Rows(rests));
        }
    }

    /// Stores what is not stored yet, in files whose names begin with `prefix`. Returns the bytes. Blocks.
    ///
    /// # Errors
    /// If storage does not take it; what it took is not stored again.
    pub fn store(&mut self, storage: &dyn Storage, prefix: &str) -> Result<u64> {
        let mut bytes = 0;
        for (uid, pieces) in &mut self.sinks {
            let mut files = 0_u64;
            for piece in std::mem::take(pieces) {
                match piece {
                    Piece::Stored(run) => pieces.push(Piece::Stored(run)),
                    Piece::Rows(rows) => pieces.extend(in_runs(rows).into_iter().map(Piece::Rows)),
                }
            }
            for piece in pieces {
                if let Piece::Rows(rows) = piece {
                    let file = format!("{prefix}-{}-staged-{files}.arrow", uid.0);
                    files += 1;
                    let (content, run) = encode_staged(rows, file)?;
                    storage.put(&run.file, &content)?;
                    *piece = Piece::Stored(run);
                }
                if let Piece::Stored(run) = piece {
                    bytes += run.length;
                }
            }
        }
        Ok(bytes)
    }

    /// The runs of each sink, all of which are stored.
    pub fn into_runs(self) -> impl Iterator<Item = (OperatorUid, Vec<StagedRun>)> {
        let stored = |piece| match piece {
            Piece::Stored(run) => Some(run),
            Piece::Rows(_) => None,
        };
        let sinks = self.sinks.into_iter();
        sinks.map(move |(uid, pieces)| (uid, pieces.into_iter().filter_map(stored).collect()))
    }
}

/// Cuts rows into pieces that make a run each.
fn in_runs(rows: Vec<Batch>) -> Vec<Vec<Batch>> {
    let mut runs: Vec<Vec<Batch>> = Vec::new();
    let mut bytes = 0;
    for batch in rows {
        let size = batch_bytes(&batch);
        match runs.last_mut() {
            Some(run) if bytes < STAGED_RUN_BYTES => run.push(batch),
            _ => {
                bytes = 0;
                runs.push(vec![batch]);
            }
        }
        bytes += size;
    }
    runs
}

#[cfg(test)]
mod tests;
