//! Merging runs, so that a restore reads few of them and rows that were replaced leave the disk.
//!
//! Runs are put into tiers by size, each tier four times the one below. When [`MERGED_RUNS`] neighbours of one tier
//! have come together, with whatever smaller ones lie between them, they become one run of a higher tier. A row is
//! thus rewritten a logarithmic number of times, and a table has a logarithmic number of runs. Only neighbours are
//! merged, since the order of runs says which row of a key is the newest.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Error, HashRange, OperatorUid, Result};

use crate::newest::{check, newest};
use crate::pieces::Pieces;
use crate::restore::{Hashes, Live, read_runs};
use crate::run::{OpenRun, RunWriter, Survivors};
use crate::{Manifest, Run, Storage, TableState, layout};

/// Runs of one tier that are merged.
pub const MERGED_RUNS: usize = 8;
/// Runs below this size are in the lowest tier.
const LOWEST_TIER_BYTES: u64 = 64 * 1024;
/// Bytes of runs that are merged at a time: so many that the blocks on the edges, which are read twice, do not count for much.
/// Small in this crate's tests, so that their runs have several slices.
const SLICE_BYTES: u64 = if cfg!(test) { 4096 } else { 32 << 20 };

/// Neighbouring runs that should be merged now, the cheapest first; `None` if there are not too many.
pub fn plan(table: &TableState) -> Option<Range<usize>> {
    let tiers: Vec<u32> = table.runs.iter().map(tier).collect();
    let highest = tiers.iter().copied().max()?;
    (0..=highest).find_map(|tier| {
        let mut start = 0;
        for stretch in tiers.chunk_by(|a, b| (*a <= tier) == (*b <= tier)) {
            let end = start + stretch.len();
            if stretch.iter().filter(|other| **other == tier).count() >= MERGED_RUNS {
                return Some(start..end);
            }
            start = end;
        }
        None
    })
}

fn tier(run: &Run) -> u32 {
    (run.length / LOWEST_TIER_BYTES).checked_ilog(4).map_or(0, |tier| tier + 1)
}

/// Merges neighbouring runs of a table into one, in which the newest row of each key is left, and stores it as
/// `<path_prefix>.arrow`. Deletions are kept unless `runs` begins with the oldest run: there may be something below that they
/// delete. Rows that have expired are dropped. If no row is left, there is no file and the run has no rows.
///
/// [`Manifest::replace_runs`](crate::Manifest::replace_runs) names the run in the next manifest. `path_prefix` has to be of
/// that manifest's epoch ([`layout::runs_prefix`]): else retention takes the file for an orphan.
///
/// A table may be larger than the memory of the machine that merges it. So one range of hashes is merged after the other: that
/// much is in memory at a time, and a block of each run besides.
///
/// # Errors
/// If a run cannot be read or written, or `runs` is out of range.
pub fn merge(storage: &dyn Storage, table: &TableState, runs: Range<usize>, path_prefix: &str) -> Result<Run> {
    let merged = table.runs.get(runs.clone()).ok_or_else(|| {
        Error::internal(format!("runs {runs:?} of {} in '{}' do not exist", table.runs.len(), table.schema.name))
    })?;
    let survivors = Survivors { table: &table.schema, expired: table.expired, above_others: runs.start > 0 };
    let file = format!("{path_prefix}.arrow");
    let mut writer = RunWriter::begin(survivors, storage.create(&file)?)?;
    let merged = merged.iter().map(|run| Ok(Arc::new(OpenRun::open(storage, run)?))).collect::<Result<Vec<_>>>()?;
    let blocks = merged.iter().flat_map(|run| run.blocks()).map(|block| (block.first_hash, block.length));
    for range in slices(blocks.collect(), SLICE_BYTES) {
        let pieces = read_runs(storage, &Live::of(table), &merged, &Hashes::In(range))?;
        check(&table.schema, &pieces)?;
        let rows = Pieces::new(&table.schema, &pieces)?;
        let order = newest(&table.schema, &rows)?;
        writer.append(&rows, &order)?;
    }
    match writer.finish()? {
        Some((object, run)) => {
            object.finish()?;
            Ok(Run { file, ..run })
        }
        None => Ok(Run::default()),
    }
}

/// Ranges of hashes that together are all, in each of which about so many bytes of blocks begin; of each block, its first hash
/// and its length are given. Rows of one hash are never separated: only together do they show which is the newest of its key,
/// and one subtask has them all in its memory anyway.
pub(crate) fn slices(mut blocks: Vec<(u64, u64)>, slice_bytes: u64) -> Vec<HashRange> {
    blocks.sort_unstable();
    let mut slices = Vec::new();
    let (mut first, mut bytes) = (u64::MIN, 0);
    for (hash, length) in blocks {
        if bytes >= slice_bytes && hash > first {
            slices.push(HashRange { first, last: hash - 1 });
            (first, bytes) = (hash, 0);
        }
        bytes += length;
    }
    slices.push(HashRange { first, last: u64::MAX });
    slices
}

/// Runs of a table that became one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedRuns {
    /// The operator.
    pub uid: OperatorUid,
    /// The table's name.
    pub table: String,
    /// The runs that were merged.
    pub runs: Vec<Run>,
    /// What became of them.
    pub into: Run,
}

/// Whether [`merge_all`] would find something to merge.
pub fn is_due(manifest: &Manifest) -> bool {
    manifest.operators.iter().flat_map(|operator| &operator.tables).any(|table| plan(table).is_some())
}

/// Merges what [`plan`] finds in each table of a checkpoint and stores the merged runs, for the manifest of the next epoch.
///
/// # Errors
/// If a run cannot be read or written.
pub fn merge_all(storage: &dyn Storage, manifest: &Manifest, attempt: Attempt) -> Result<Vec<MergedRuns>> {
    let mut merged = Vec::new();
    for operator in &manifest.operators {
        for table in &operator.tables {
            let Some(runs) = plan(table) else { continue };
            let part = format!("merge-{}", merged.len());
            let next = if bugs::is_on(Bug::MisnamedMerge) { manifest.epoch } else { manifest.epoch.next() };
            let prefix = layout::runs_prefix(next, attempt, &part);
            let into = merge(storage, table, runs.clone(), &prefix)?;
            merged.push(MergedRuns {
                uid: operator.uid.clone(),
                table: table.schema.name.clone(),
                runs: table.runs[runs].to_vec(),
                into,
            });
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests;
