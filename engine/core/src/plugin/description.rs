//! A job as a plugin describes it: statements and operators in order. For the planner each operator is a view: it reads tables and
//! views that stand before it, and can be read by what stands behind it.
//!
//! Columns are of the types that rows travel with: a `STRING` is `Utf8View`, a `BYTES` is `BinaryView`, also within lists and structs; event
//! time is `Timestamp(Millisecond, None)`.

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use super::spec::Spread;
use super::table::TableStep;
use crate::ChangelogKind;

/// A job, as plain data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobDescription {
    /// What the job is called if nobody says otherwise.
    pub name: String,
    /// What it consists of, in order.
    pub steps: Vec<JobStep>,
}

/// A piece of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a job has a few dozen of them")]
pub enum JobStep {
    /// Statements as in a script, whole ones: `CREATE TABLE`, `CREATE VIEW`, `SET`, `INSERT INTO … SELECT`.
    Sql(String),
    /// An operator of the plugin.
    Operator(OperatorStep),
    /// A table whose source or sink is the plugin's.
    Table(TableStep),
}

/// An operator of the plugin between relations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorStep {
    /// Under which name later steps read its main output. Also the user's name for it: what shows in `EXPLAIN`, and by which its state is
    /// found if what feeds it has changed.
    pub view: String,
    /// Its name in the plugin, for [`Plugin::operator`](super::Plugin::operator).
    pub operator: String,
    /// What else it is told, in the plugin's own words. No part of the operator's identity: a job that goes on with another
    /// configuration goes on with its state.
    #[serde(default)]
    pub config: Vec<u8>,
    /// What it is known as, in place of `operator`: a name that stays while the operator's name changes. Operators of one job that read the
    /// same have to differ in it.
    #[serde(default)]
    pub uid: Option<String>,
    /// What it reads, by ordinal. At least one.
    pub inputs: Vec<StepInput>,
    /// Columns of its main output.
    pub output: SchemaRef,
    /// The column of the main output that is event time, a `TIMESTAMP(3)` (milliseconds, without a zone): the operator passes
    /// watermarks on, and no row that it emits behind one has an earlier time in it.
    #[serde(default)]
    pub event_time: Option<String>,
    /// What the rows of the main output are to those before them.
    #[serde(default)]
    pub changelog: ChangelogKind,
    /// Further outputs, by number. Rows of them are only ever added, and have no event time.
    #[serde(default)]
    pub side_outputs: Vec<SideOutput>,
    /// Whether it emits in [`Operator::flush`](crate::Operator::flush), so that markers are wanted more often than for checkpoints.
    #[serde(default)]
    pub emits_at_markers: bool,
    /// Whether [`Operator::tick`](crate::Operator::tick) is to be called: it has timers of processing time.
    #[serde(default)]
    pub wants_ticks: bool,
    /// Whether its rows wait for answers ([`Operator::outstanding`](crate::Operator::outstanding)): then it begins a chain.
    #[serde(default)]
    pub awaits_answers: bool,
    /// Tables of state that an earlier version kept, and that may be lost. Where another one is gone, the job does not go on with that
    /// state ([`check_dropped`](super::check_dropped)).
    #[serde(default)]
    pub drops: Vec<String>,
}

/// What an operator reads on one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepInput {
    /// A table or view: of the catalog, of an earlier step, or the view of an earlier operator.
    pub relation: String,
    /// The columns that the operator reads, by name and type, in the order in which it wants them. The relation may have more. One that may
    /// not be null must not be nullable in the relation.
    pub columns: SchemaRef,
    /// How rows find their subtask.
    pub spread: Spread<String>,
    /// The column, one of `columns`, that has to be event time in the relation; `None`: none has to.
    #[serde(default)]
    pub event_time: Option<String>,
    /// Whether rows may be taken back ([`ChangelogKind::Retract`]); if not, a relation of which some are is refused.
    #[serde(default)]
    pub takes_retractions: bool,
}

/// A further output of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideOutput {
    /// Under which name later steps read it. One that no step reads is dropped.
    pub view: String,
    /// Its columns.
    pub columns: SchemaRef,
}
