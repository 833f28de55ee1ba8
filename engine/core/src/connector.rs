//! What connectors promise: sources that can say where they stand ([`crate::source`]), sinks whose results wait for their
//! checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::audit::{Audit, AuditedSink};
use crate::lookup::{LookupContext, LookupTable};
use crate::plugin::PluginTable;
pub use crate::source::{
    AssignedSplit, DiscoveryContext, Rejected, Source, SourceContext, SourceEvent, Split, SplitDiscovery, SplitLag,
    SplitPosition, Succession, rejected_schema,
};
use crate::{Attempt, Batch, ChangelogKind, Epoch, Error, JobIdentity, Location, Result};

/// Key of a field's metadata that marks it as a `METADATA` column; its value is the connector's name for it.
pub const METADATA_KEY: &str = "weir.metadata";

/// The connector of the table that a bare `SELECT` writes. No table of a user's can have it: a name that begins with `$` is
/// none of theirs.
pub const RESULT_CONNECTOR: &str = "$result";
/// Option of that table in a cluster: URL of the folder in which its rows wait to be printed.
pub const RESULT_FOLDER: &str = "folder";

/// A table as its connector sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Name in SQL.
    pub name: String,
    /// `'connector'`.
    pub connector: String,
    /// All other options, as written.
    pub options: BTreeMap<String, String>,
    /// Names of those options that say how rows are read or written and not which: what [`Connector::settings`] names. A
    /// table in which they change is the same table, and what was read of it stays read.
    #[serde(default)]
    pub settings: BTreeSet<String>,
    /// Declared columns that the connector reads or writes: physical ones, and metadata ones marked with
    /// [`METADATA_KEY`]. Computed columns are not among them.
    pub schema: SchemaRef,
    /// Columns of `schema` that are read, in this order; `None`: all.
    pub projection: Option<Vec<usize>>,
    /// `PARTITIONED BY` columns.
    pub partitioned_by: Vec<String>,
    /// `PRIMARY KEY (…) NOT ENFORCED`: columns of `schema`. Weir does not check that no two rows share a key; a sink may
    /// rely on it.
    #[serde(default)]
    pub primary_key: Vec<usize>,
    /// Whose code its source or sink is, if it is a plugin's: then the connector is [`PLUGIN_CONNECTOR`](crate::plugin::PLUGIN_CONNECTOR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Box<PluginTable>>,
}

impl TableSpec {
    /// A table of which all columns are read, and that is neither partitioned nor has a key.
    pub fn new(
        name: impl Into<String>,
        connector: impl Into<String>,
        options: BTreeMap<String, String>,
        schema: SchemaRef,
    ) -> Self {
        Self {
            name: name.into(),
            connector: connector.into(),
            options,
            settings: BTreeSet::new(),
            schema,
            projection: None,
            partitioned_by: Vec::new(),
            primary_key: Vec::new(),
            plugin: None,
        }
    }

    /// Schema of the batches that the source makes.
    pub fn output_schema(&self) -> SchemaRef {
        match &self.projection {
            None => self.schema.clone(),
            Some(columns) => {
                let fields: Vec<Field> = columns.iter().map(|column| self.schema.field(*column).clone()).collect();
                Arc::new(Schema::new(fields))
            }
        }
    }
}

/// An option of a connector or format.
#[derive(Debug, Clone, Copy)]
pub struct OptionInfo {
    /// Name. A name that ends in `.*` stands for all names with that beginning.
    pub name: &'static str,
    /// Whether the table cannot do without it.
    pub required: bool,
    /// What it does, its unit and its default, in a sentence.
    pub doc: &'static str,
}

/// What a table is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is read.
    Source,
    /// It is written.
    Sink,
    /// Joins look rows up in it.
    Lookup,
}

/// Whether a source comes to an end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundedness {
    /// It does.
    Bounded,
    /// It goes on until it is stopped.
    Unbounded,
}

/// A kind of source, sink, or both.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Its name in `'connector' = '…'`.
    fn name(&self) -> &'static str;

    /// Whether it can play this role.
    fn supports(&self, role: Role) -> bool;

    /// Options of a table, those of its format included. Asked with the options at hand, because a format brings its
    /// own.
    fn options(&self, given: &BTreeMap<String, String>) -> Vec<OptionInfo>;

    /// Those of its options that say how rows are read or written, and not which: intervals, pace, sizes of files, what
    /// happens to a record that cannot be decoded. A job in which they change keeps its state. A name that ends in `.*` stands for
    /// all names with that beginning.
    fn settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Columns of what the table's sinks [stage](Sink::take_staged): those of the table, unless the connector says otherwise. They are to be
    /// the same in all versions, since a checkpoint of an older one may have to be committed.
    fn staged_schema(&self, table: &TableSpec) -> SchemaRef {
        table.schema.clone()
    }

    /// Whether a sink can write a stream of that kind into the table. Asked when a job is planned and again when the sink is
    /// opened; it is never sent any other.
    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        let _ = table;
        stream.is_append()
    }

    /// Whether a sink of a table with a primary key, which [takes](Self::takes) rows back, wants each key's changes in order: at a marker the row
    /// that is gone, and then the one that is there, one at most. Else changes of one key may come in any order between two markers.
    fn changes_by_key(&self, table: &TableSpec) -> bool {
        let _ = table;
        false
    }

    /// Whether a table's options keep their promise for a stream that the connector [takes](Self::takes). Asked at the same times.
    ///
    /// # Errors
    /// A user error that names the option.
    fn check_stream(&self, table: &TableSpec, stream: &ChangelogKind) -> Result<()> {
        let _ = (table, stream);
        Ok(())
    }

    /// Whether its sources read their splits side by side, and can [hold](Source::hold) some of them. One that reads split after split cannot.
    fn holds_splits(&self) -> bool {
        false
    }

    /// How records of a table that is read replace each other, if they do not each stand for a row of their own. Asked when a job is planned,
    /// of tables that [`validate`](Self::validate) has accepted; they have a primary key then.
    fn succession(&self, table: &TableSpec) -> Option<Succession> {
        let _ = table;
        None
    }

    /// Metadata columns that a source can provide.
    fn metadata_columns(&self) -> Vec<Field> {
        Vec::new()
    }

    /// Columns of a table that was declared without any; `None` if they have to be declared.
    ///
    /// # Errors
    /// If the options do not say enough.
    fn default_schema(&self, options: &BTreeMap<String, String>) -> Result<Option<SchemaRef>> {
        let _ = options;
        Ok(None)
    }

    /// Lets options that name places relative to a working directory name the same places from everywhere. Called, before
    /// [`validate`](Self::validate), for jobs that run in other processes than the one that plans them; `directory` is absolute.
    /// Does nothing to options that hold everywhere already.
    fn anchor(&self, options: &mut BTreeMap<String, String>, directory: &Path) {
        let _ = (options, directory);
    }

    /// What the options of a table, with secrets in the place of references, make a process open or connect to. Without I/O, and asked any number
    /// of times. Whoever limits what tables may reach goes by it: so options are read as the client that connects reads them, and what
    /// could be read in two ways is refused.
    ///
    /// # Errors
    /// A user error if an option makes no sense.
    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>>;

    /// Checks options and column types, without I/O. Unknown names have been refused already.
    ///
    /// # Errors
    /// A user error that names the option or column.
    fn validate(&self, table: &TableSpec, role: Role) -> Result<()>;

    /// Whether the source ends.
    fn boundedness(&self, table: &TableSpec) -> Boundedness;

    /// Opens what finds the splits of the table; there is one for all subtasks that read it. May look for the first of them, so
    /// that a job whose input is not there does not start.
    ///
    /// # Errors
    /// If the table is not a source, or cannot be reached.
    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        let _ = context;
        Err(Error::user(format!("table '{}' cannot be read: {} is no source", table.name, self.name())))
    }

    /// Opens the part of the source that one subtask reads. It is assigned its splits afterwards, and does not look for any.
    ///
    /// # Errors
    /// If the table is not a source, or cannot be reached.
    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let _ = context;
        Err(Error::user(format!("table '{}' cannot be read: {} is no source", table.name, self.name())))
    }

    /// Opens the table for one subtask that looks rows up in it. A table that is held as a whole is read here, so that a job for which
    /// it is not there does not start.
    ///
    /// # Errors
    /// If rows cannot be looked up in the table, or it cannot be reached.
    async fn open_lookup(&self, table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
        let _ = context;
        Err(Error::user(format!("rows of table '{}' cannot be looked up: {} has no way to", table.name, self.name())))
    }

    /// Opens the part of the sink that one subtask writes.
    ///
    /// # Errors
    /// If the table is not a sink, or cannot be reached.
    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let _ = context;
        Err(Error::user(format!("table '{}' cannot be written: {} is no sink", table.name, self.name())))
    }

    /// Finishes what sinks of this table have prepared. Called for completed checkpoints only, in order of their
    /// epochs, of which some are left out; may be called again for the same epoch, in this process or another, at any later time,
    /// and has to come to the same result. On return the results are visible and durable. It must not wait for what sinks of the job do: they may
    /// be waiting for it.
    ///
    /// # Errors
    /// If it could not be finished; it will be tried again.
    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        let _ = (table, commit);
        Ok(())
    }

    /// Removes what sinks of a job have prepared that no checkpoint names, nor will. Called when the job has ended or was deleted, by
    /// any process, perhaps more than once, or not at all if that process dies. Files that are visible stay.
    ///
    /// # Errors
    /// If something could not be removed. It does no harm where it is.
    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        let _ = (table, discard);
        Ok(())
    }

    /// What the table's system says of what a sink of it has written. Changes nothing there, and may be asked at any time, by any process:
    /// also while the sink is being committed, by itself or elsewhere. What was committed before the call is seen. `None` if the sink keeps
    /// no account of its epochs.
    ///
    /// # Errors
    /// If the system does not answer, or what it keeps makes no sense.
    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        let _ = (table, audit);
        Ok(None)
    }

    /// Where results of a job that has a sink of this identity can be seen in the table, for a person who is about to start another
    /// one: a job adds its rows to those that are there. `None` if there are none, this table keeps nothing, or it is to be passed
    /// over in silence.
    ///
    /// # Errors
    /// A user error if there are some and the table is not to be written then; another one if it could not be looked for.
    async fn earlier_results(&self, table: &TableSpec, sink: &crate::OperatorUid) -> Result<Option<String>> {
        let _ = (table, sink);
        Ok(None)
    }
}

/// The connectors that there are.
pub trait ConnectorRegistry: Send + Sync {
    /// The connector of that name.
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>>;

    /// The names that tables of users can have, sorted.
    fn names(&self) -> Vec<&'static str>;
}

/// What a sink subtask learns when it opens.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// The job, in the names of what the sink prepares: another job may write the same table with the same query.
    pub job: JobIdentity,
    /// Identity of the sink's node: two sinks that write one table do not share files.
    pub uid: crate::OperatorUid,
    /// Number of this subtask, from 0.
    pub subtask: usize,
    /// This execution. What an older one has left behind without committing is of no use.
    pub attempt: Attempt,
    /// The last completed epoch; the first rows belong to a later one.
    pub epoch: Epoch,
}

/// One subtask's part of a sink.
#[async_trait]
pub trait Sink: Send {
    /// Takes rows. They must not become visible before their epoch is committed, unless the connector's documentation
    /// says that it keeps no such promise (`print`).
    async fn write(&mut self, batch: Batch) -> Result<()>;

    /// The epoch's marker has come. Epochs rise; they need not be consecutive. On return all its rows are durable or staged, and
    /// the committable, which is at most [`COMMITTABLE_BYTES`] long, holds all else that [`Connector::commit`] needs to finish
    /// without this process.
    async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>>;

    /// Takes from the sink rows that it wants back when their epoch is committed, in the order in which they come back. They are
    /// kept with the checkpoint until then. Called after every [`write`](Self::write) and [`prepare`](Self::prepare), so that no
    /// sink has to hold an epoch in memory; what is taken before the end of an epoch's `prepare` belongs to that epoch.
    fn take_staged(&mut self) -> Vec<Batch> {
        Vec::new()
    }
}

/// Most bytes of a committable: it passes through the coordinators. A sink that has more to say stages rows.
pub const COMMITTABLE_BYTES: usize = 1 << 20;

/// What a completed checkpoint holds of one sink.
pub struct Commit {
    /// The job that has prepared it.
    pub job: JobIdentity,
    /// Identity of the sink's node.
    pub uid: crate::OperatorUid,
    /// The checkpoint's epoch. What was prepared for epochs that were given up on the way to it is part of it.
    pub epoch: Epoch,
    /// What [`Sink::prepare`] has returned, of all subtasks.
    pub committables: Vec<Vec<u8>>,
    /// What [`Sink::take_staged`] has returned: the rows of each subtask in their order.
    pub staged: Box<dyn StagedRows>,
}

/// What a job leaves behind that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discard {
    /// The job.
    pub job: JobIdentity,
    /// Identity of the sink's node.
    pub uid: crate::OperatorUid,
    /// Its last attempt, and the last epoch that is decided: what this attempt and those before it have prepared for later epochs is
    /// of no use. `None`: the job was deleted, and nothing is.
    pub behind: Option<(Attempt, Epoch)>,
}

/// Rows on their way back to the sink that has staged them, read as they are wanted.
#[async_trait]
pub trait StagedRows: Send {
    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    /// A data error if they are damaged, an environment error if they cannot be read. No further rows come then.
    async fn next(&mut self) -> Result<Option<Batch>>;
}

#[async_trait]
impl StagedRows for std::vec::IntoIter<Batch> {
    async fn next(&mut self) -> Result<Option<Batch>> {
        Ok(Iterator::next(self))
    }
}
