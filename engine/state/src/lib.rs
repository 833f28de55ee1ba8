//! Keyed state on disk.
//!
//! An operator hands over what changed since its last capture. [`encode`] turns that into *runs*: immutable Arrow IPC
//! files, sorted by key hash. A [`Manifest`] names the runs that together are the state at one epoch; writing it
//! ([`Checkpoints::write`]) is what makes a checkpoint. [`read_table`] gives a subtask the rows that it owns, whatever
//! the parallelism was when they were written; [`StateStore`] finds those of some keys, for operators whose state is only
//! partly in memory, and [`Residency`] knows which part. [`compaction`] merges runs, [`retention`] says which objects nobody
//! needs any more.
//!
//! ```text
//!   Operator::capture ─► encode ─► Storage::put (runs) ─► Manifest::following ─► Checkpoints::write ─► sinks commit
//!                                                                                                          │
//!      Operator::load ◄─ read_table ◄─ Checkpoints::latest            retention ◄─ acknowledge_commit ◄────┘
//! ```
//!
//! Everything here blocks: callers run it where blocking is allowed, never in a subtask's loop. Nothing reads a clock
//! or spawns a thread.

mod checkpoints;
mod columns;
pub mod compaction;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod content;
mod counted;
mod expiry;
mod identity;
pub mod layout;
mod local;
mod lookup;
mod manifest;
mod memory;
mod newest;
mod partial;
mod pieces;
mod plan_restore;
mod residency;
mod restore;
pub mod retention;
mod run;
pub mod sealed;
mod snapshot;
mod staged;
mod storage;
mod storages;
#[cfg(test)]
mod testing;

pub use checkpoints::Checkpoints;
pub use columns::ColumnChange;
pub use compaction::MergedRuns;
pub use content::EpochContent;
pub use counted::{CountedStorages, StorageCounts};
pub use identity::{FoundIdentity, identity};
pub use local::{LocalStorage, StateLock, create_folder};
pub use lookup::{DueRows, DueSlices, StateStore, TableRows, Times};
pub use manifest::{Manifest, ManifestHeader, OperatorState, SinkCommittables, TableState};
pub use memory::MemoryStorage;
pub use partial::{DueSearch, Partial, StoreRead};
pub use plan_restore::{KeptState, OperatorPlan, RestorePlan, SinkFate, SinkPlan, StateFate, is_misfit, plan_restore};
pub use residency::{Leaving, Residency};
pub use restore::read_table;
pub use run::Run;
pub use sealed::Seal;
pub use snapshot::{CapturedTable, OperatorDelta, Snapshot, Stored, TableDelta, encode, store};
pub use staged::{STAGED_RUN_BYTES, StagedRun, encode_staged, read_staged};
pub use storage::{ObjectWriter, Storage, check_path, range, too_short};
pub use storages::{FolderStorages, Storages};
