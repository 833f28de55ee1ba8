//! What an epoch adds to a job's checkpoint, between the worker that captured it and the manifest that will name it.

use serde::{Deserialize, Serialize};
use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, EventTime};

use crate::manifest::{Manifest, ManifestHeader};
use crate::{OperatorDelta, SinkCommittables};

/// What one worker adds. The files named here are durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochContent {
    /// Which epoch.
    pub epoch: Epoch,
    /// New runs.
    pub operators: Vec<OperatorDelta>,
    /// What sinks have prepared.
    pub committables: Vec<SinkCommittables>,
    /// Bytes written.
    pub bytes: u64,
}

impl Manifest {
    /// The manifest after `previous` that holds `contents`: those of the header's epoch, and those of epochs that were given
    /// up on the way to it.
    pub fn with_contents(previous: Option<&Manifest>, header: ManifestHeader, contents: &[EpochContent]) -> Self {
        let mut by_epoch: Vec<&EpochContent> = contents.iter().collect();
        by_epoch.sort_by_key(|content| content.epoch);
        let committables = merge_by_sink(by_epoch.iter().flat_map(|content| &content.committables));
        let mut manifest = Manifest::following(previous, header.clone(), Vec::new(), committables);
        for same in by_epoch.chunk_by(|a, b| a.epoch == b.epoch) {
            let mut deltas: Vec<OperatorDelta> =
                same.iter().flat_map(|content| content.operators.iter().cloned()).collect();
            // How far time has come only the header's epoch says, of which all workers have reported. Of one that was given
            // up the report of the worker that was furthest behind may be missing.
            if same.iter().any(|content| content.epoch < header.epoch) && !bugs::is_on(Bug::GivenUpTime) {
                deltas.iter_mut().for_each(|delta| delta.watermark = EventTime::MIN);
            }
            let committables = std::mem::take(&mut manifest.committables);
            manifest = Manifest::following(Some(&manifest), header.clone(), deltas, committables);
        }
        manifest
    }
}

/// One entry per sink, with the committables and staged rows of all its subtasks and epochs in order.
fn merge_by_sink<'a>(committables: impl Iterator<Item = &'a SinkCommittables>) -> Vec<SinkCommittables> {
    let mut merged: Vec<SinkCommittables> = Vec::new();
    for sink in committables {
        match merged.iter_mut().find(|known| known.uid == sink.uid) {
            Some(known) => {
                known.committables.extend(sink.committables.iter().cloned());
                known.staged.extend(sink.staged.iter().cloned());
            }
            None => merged.push(sink.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
