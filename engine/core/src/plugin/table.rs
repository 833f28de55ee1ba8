//! Tables whose rows come from a plugin, or go to one.
//!
//! ```text
//!   PluginSource::splits ──▶ names of splits ──▶ PluginSource::open ──▶ PluginReader::read, again and again ──▶ rows, and where to go on
//!   rows of an epoch, staged in its checkpoint ──▶ PluginSink::commit
//! ```
//!
//! Unlike operators they wait for what is outside: every method may block, and is called on threads that nothing else runs on. An object is called by
//! one thread at a time, not always the same one.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use super::Artifact;
use crate::connector::Boundedness;
use crate::{EventTime, Result};

/// The connector of tables that are a plugin's. No table of a user's can have it: a name that begins with `$` is none of theirs.
pub const PLUGIN_CONNECTOR: &str = "$plugin";

/// Which code a table belongs to. It is no part of the table's identity: another version of the plugin goes on where the one before has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginTable {
    /// The file that the plugin is; `None`: it is linked into the process.
    pub artifact: Option<Artifact>,
    /// Name of the table in the plugin.
    pub table: String,
    /// What else it is told.
    pub config: Vec<u8>,
    /// What the plugin does.
    pub kind: PluginTableKind,
}

/// What a plugin does with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginTableKind {
    /// It makes the rows, and comes to an end with them or not.
    Source {
        /// Whether it does.
        bounded: bool,
    },
    /// It takes them.
    Sink,
}

impl PluginTableKind {
    /// Whether rows of the table come to an end.
    pub fn boundedness(self) -> Boundedness {
        match self {
            Self::Source { bounded: true } => Boundedness::Bounded,
            Self::Source { bounded: false } | Self::Sink => Boundedness::Unbounded,
        }
    }
}

/// A table as a plugin declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableStep {
    /// One `CREATE TABLE` with all columns, whose `'connector'` is [`PLUGIN_CONNECTOR`].
    pub declaration: String,
    /// Its name in the plugin, for [`Plugin::source`](super::Plugin::source) and [`Plugin::sink`](super::Plugin::sink).
    pub table: String,
    /// What else it is told, in the plugin's own words.
    #[serde(default)]
    pub config: Vec<u8>,
    /// What the plugin does.
    pub kind: PluginTableKind,
}

/// Which source or sink is wanted, and over which columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRequest {
    /// Name of the table in the plugin.
    pub table: String,
    /// What the plugin has said in [`TableStep::config`].
    pub config: Vec<u8>,
    /// The table's columns: of the rows that a source makes, and of those that a sink takes. Those of a sink may be an earlier version's, of rows that
    /// were decided before the plugin was replaced.
    pub columns: SchemaRef,
}

/// A source of a plugin.
pub trait PluginSource: Send {
    /// The splits that there are now, those that were read included. What was named once keeps its name.
    ///
    /// # Errors
    /// If they cannot be found. The job fails with it.
    fn splits(&mut self) -> Result<PluginSplits>;

    /// Opens a split, at a position that its reader has told or, for the first time, where [`PluginSplit::begin`] says.
    ///
    /// # Errors
    /// If it cannot be read.
    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>>;
}

/// What splits there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginSplits {
    /// Each once.
    pub splits: Vec<PluginSplit>,
    /// When to look again; `None`: there will be no others in this execution.
    pub again_after: Option<Duration>,
}

/// A split, as a plugin names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginSplit {
    /// Its name, which no other split of the table ever has.
    pub name: String,
    /// Where it begins, a position, not empty: found out once, and kept from then on. `None`: at its beginning.
    pub begin: Option<String>,
}

/// Reads a split.
pub trait PluginReader: Send {
    /// Reads on, about so many rows at most. Waits a moment if there are none, and not for long: who asks may have ended meanwhile.
    ///
    /// # Errors
    /// If it cannot be read, or holds what is no row. The job fails with it.
    fn read(&mut self, most: usize) -> Result<PluginRead>;
}

/// What a reader has read.
#[derive(Debug, Clone)]
pub struct PluginRead {
    /// Rows with the columns of the table; `None`: there are none now.
    pub records: Option<RecordBatch>,
    /// Where to go on behind them, also at the end: a reader that is opened there is at its end.
    pub position: String,
    /// No row of the split with this time or an earlier one is expected from here on.
    pub time: Option<EventTime>,
    /// Whether the split is at its end.
    pub is_end: bool,
}

/// A sink of a plugin.
pub trait PluginSink: Send {
    /// Makes the rows of an epoch visible. Called for complete checkpoints, again and again until it has succeeded once and that is known, by any
    /// process, at any later time, also when later epochs are there, and by two at the same time. `rows` gives the rows, and `None` behind the last.
    ///
    /// # Errors
    /// If it could not be done. It is tried again.
    fn commit(&mut self, commit: &PluginCommit, rows: &mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Result<()>;

    /// The last epoch of a writer that is visible, with all before it. Changes nothing.
    ///
    /// # Errors
    /// If it cannot be told now.
    fn last_epoch(&mut self, writer: &str) -> Result<LastEpoch>;
}

/// Which epoch is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginCommit {
    /// Who writes: a job's sink, the same for as long as the job goes on from its own state. Letters, digits and `-`.
    pub writer: String,
    /// The epoch. Of one writer they rise, and some are left out.
    pub epoch: u64,
}

/// What a sink knows of its last epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastEpoch {
    /// The sink keeps no account of its epochs.
    NotKept,
    /// No epoch of the writer is there.
    None,
    /// This one is, and those before it.
    Is(u64),
}
