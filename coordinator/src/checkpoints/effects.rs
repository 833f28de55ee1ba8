//! What an executor is told, and what it wants done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_core::{Attempt, Epoch, Error, JobIdentity, Marker, OperatorPlace, OperatorUid, Result};
use weir_proto::control::CheckpointRef;
use weir_state::{EpochContent, Manifest, ManifestHeader, MergedRuns};

use crate::cluster::Checkpoint;
use crate::driver;

/// A checkpoint by its epoch and the path of its manifest.
pub type CheckpointName = CheckpointRef;

/// The checkpoints of a job that are kept, as they stand now.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    /// All of them, oldest first.
    pub checkpoints: &'a [Checkpoint],
    /// The one that the current attempt's next checkpoint follows.
    pub followed: Option<&'a Checkpoint>,
}

impl Ledger<'_> {
    /// The oldest checkpoint whose results may not be visible yet.
    pub fn oldest_uncommitted(&self) -> Option<&Checkpoint> {
        self.checkpoints.iter().find(|checkpoint| !checkpoint.committed)
    }
}

/// How long an executor waits.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Pause between two tries to commit.
    pub commit_retry: Duration,
    /// How long an asked committer may take before another is asked; `None`: there is no other.
    pub commit_timeout: Option<Duration>,
    /// Pause before storage is asked again for the manifest that an attempt goes on from.
    pub load_retry: Duration,
    /// Pause before runs are merged again after that failed.
    pub merge_retry: Duration,
}

/// What manifests of an attempt say of it.
#[derive(Debug, Clone)]
pub struct AttemptConfig {
    /// Its number.
    pub attempt: Attempt,
    /// What the job computes.
    pub job: String,
    /// Identity of the job.
    pub identity: JobIdentity,
    /// Where its operators stand.
    pub places: BTreeMap<OperatorUid, OperatorPlace>,
    /// Parallelism of the attempt.
    pub parallelism: usize,
    /// How long storage may take to write a manifest.
    pub manifest_timeout: Duration,
    /// The leader's term, which names its manifests; `None` where there is one coordinator only.
    pub term: Option<u64>,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed, or the ledger is another one.
    Tick,
    /// Something that the driver decides about.
    Driver(driver::Event),
    /// What came of [`Effect::LoadBase`].
    BaseLoaded(Result<Arc<Manifest>>),
    /// What came of [`Effect::WriteManifest`].
    ManifestWritten {
        /// The manifest's epoch.
        epoch: Epoch,
        /// The manifest, if it is durable.
        result: Result<Arc<Manifest>>,
    },
    /// The manifest counts: it is in the ledger.
    Completed(Epoch),
    /// What came of [`Effect::Commit`].
    Committed {
        /// The checkpoint's epoch.
        epoch: Epoch,
        /// Whether its results are visible.
        result: Result<()>,
    },
    /// Whoever was to commit is gone, or there is nobody who could: it is tried again at the next tick.
    CommitLost,
    /// What came of [`Effect::Acknowledge`]; the ledger knows already.
    Acknowledged {
        /// The checkpoint's epoch.
        epoch: Epoch,
        /// Whether it is noted.
        result: Result<()>,
    },
    /// What came of [`Effect::Merge`].
    Merged {
        /// The checkpoint whose runs were looked at.
        epoch: Epoch,
        /// Runs that became one.
        result: Result<Vec<MergedRuns>>,
    },
    /// Whoever was to merge is gone.
    MergeLost,
    /// Checkpoints are not in the ledger any more.
    Forgotten,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send this marker from every discovery of splits.
    SendMarker(Marker),
    /// Read the manifest that the next one follows.
    LoadBase(CheckpointName),
    /// Write a manifest.
    WriteManifest(ManifestOrder),
    /// Make a manifest count, and put the checkpoint into the ledger.
    Complete(Checkpoint),
    /// Let the sinks make visible what a checkpoint holds. May be asked for again while it is under way.
    Commit(CheckpointName),
    /// Note durably, and in the ledger, that a checkpoint's results are visible.
    Acknowledge(Epoch),
    /// Merge runs of a checkpoint where there are too many.
    Merge(CheckpointName),
    /// Delete what no checkpoint of the ledger needs.
    Retire,
    /// A checkpoint was given up, or could not be committed so far; tell people.
    Report(Error),
    /// The attempt is over.
    Finish(driver::AttemptEnd),
}

/// A manifest to be written.
#[derive(Debug, Clone)]
pub struct ManifestOrder {
    /// Its path.
    pub path: String,
    /// The manifest before.
    pub base: Option<Arc<Manifest>>,
    /// What it says of itself.
    pub header: ManifestHeader,
    /// What is new.
    pub contents: Arc<Vec<EpochContent>>,
    /// Runs that became one since the last manifest.
    pub merged: Vec<MergedRuns>,
}

impl ManifestOrder {
    /// The manifest as it is to be written.
    pub fn manifest(self) -> Manifest {
        let mut manifest = Manifest::with_contents(self.base.as_deref(), self.header, &self.contents);
        for merged in self.merged {
            manifest.replace_runs(&merged.uid, &merged.table, &merged.runs, merged.into);
        }
        manifest
    }
}
