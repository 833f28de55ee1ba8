//! Operators, sources, sinks and jobs that users write in Rust, and how the engine gets at them.
//!
//! ```text
//!   Plugin::job(arguments) ─▶ JobDescription ──planner──▶ JobGraph with nodes of OperatorSpec::Plugin
//!                                                             │ PluginSpec
//!   Plugin::operator(name, configuration) ◀──Plugins::find────┘   on every worker, once a subtask
//! ```
//!
//! A [`Plugin`] says what a job is as plain data and makes the operators that stand in it; it is handed no table, no thread and no clock.
//! Where it comes from is for [`Plugins`] to know: it is linked into the process (an application that embeds Weir, a test), or a
//! file that was uploaded, an [`Artifact`], and then a C ABI stands in between (`docs/adr/0022-plugins-behind-a-c-abi.md`). Both look the same from
//! here, and to an operator it makes no difference in which of them it runs.
//!
//! - `artifact`: a plugin as a file, known by its content
//! - `description`: a job as a plugin describes it
//! - `function`: what SQL calls
//! - `isolation`: where the code runs
//! - `spec`: what a node of the graph is told
//! - `table`: sources and sinks
//! - `plugins`: where plugins are found

mod artifact;
mod description;
mod function;
mod isolation;
mod plugins;
mod spec;
mod table;

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

pub use self::artifact::{Artifact, ArtifactHash};
pub use self::description::{JobDescription, JobStep, OperatorStep, SideOutput, StepInput};
pub use self::function::{
    AggregateFunction, AggregateGroup, FunctionCode, FunctionKind, FunctionSignature, PluginFunction, ScalarFunction,
};
pub use self::isolation::Isolation;
pub use self::plugins::{Linked, NoPlugins, Plugins};
pub use self::spec::{PluginInput, PluginSpec, Spread, check_dropped};
pub use self::table::{
    LastEpoch, PLUGIN_CONNECTOR, PluginCommit, PluginRead, PluginReader, PluginSink, PluginSource, PluginSplit,
    PluginSplits, PluginTable, PluginTableKind, TableRequest, TableStep,
};
use crate::{Error, Operator, Result};

/// What users write in Rust: jobs, and the operators that stand in them. Methods may be called from any thread, also at the same time,
/// and any number of times; the same arguments give the same answer.
pub trait Plugin: Send + Sync {
    /// What it is called, and which version of it this is.
    fn info(&self) -> PluginInfo;

    /// The job that it is with these arguments. Called where a job is planned: once for `weir run` and `weir submit`, in a process that
    /// does nothing else. Does no I/O beyond what the job is made of.
    ///
    /// # Errors
    /// A user error if arguments are missing, unknown or wrong.
    fn job(&self, arguments: &BTreeMap<String, String>) -> Result<JobDescription>;

    /// One of its operators, made for one subtask and not opened yet. Also called to see what state an operator keeps
    /// ([`Operator::tables`]) where it will not run.
    ///
    /// # Errors
    /// A user error if it has no such operator, or the configuration or the columns make no sense to it.
    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>>;

    /// The source of one of its tables. Made wherever the table is read, once for each thread that reads it and once for the splits.
    ///
    /// # Errors
    /// A user error if it has no such source, or the configuration or the columns make no sense to it.
    fn source(&self, request: &TableRequest) -> Result<Box<dyn PluginSource>> {
        Err(Error::user(format!("the plugin {} has no source '{}'", self.info().name, request.table)))
    }

    /// The sink of one of its tables. Made where the table is opened, to see that it can be, and for each commit, in any process.
    ///
    /// # Errors
    /// A user error if it has no such sink, or the configuration or the columns make no sense to it.
    fn sink(&self, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
        Err(Error::user(format!("the plugin {} has no sink '{}'", self.info().name, request.table)))
    }

    /// The functions that it exports to SQL, each under a name of its own. Called where a statement declares one of them, in a process that
    /// does nothing else, and where a job is opened that calls one.
    ///
    /// # Errors
    /// A user error if the plugin has declared what cannot be a function.
    fn functions(&self) -> Result<Vec<FunctionSignature>> {
        Ok(Vec::new())
    }

    /// The code of one of its [functions](Self::functions), and what that takes and gives: whoever calls it goes by this, whatever was said
    /// at another time.
    ///
    /// # Errors
    /// A user error if it has no such function.
    fn function(&self, name: &str) -> Result<(FunctionSignature, FunctionCode)> {
        Err(Error::user(format!("the plugin {} exports no function '{name}'", self.info().name)))
    }
}

/// What a plugin is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// The name of its crate.
    pub name: String,
    /// The version of its crate.
    pub version: String,
}

/// Which operator is wanted, and over which columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRequest {
    /// Its name in the plugin.
    pub operator: String,
    /// What the plugin has said in [`OperatorStep::config`].
    pub config: Vec<u8>,
    /// Columns of its inputs, as they come: names, types and order are those of [`StepInput::columns`].
    pub inputs: Vec<SchemaRef>,
    /// Positions of the key columns of each input; `None` where rows are not spread by a key.
    pub keys: Vec<Option<Vec<usize>>>,
    /// Columns of its main output.
    pub output: SchemaRef,
    /// Columns of its side outputs, in order: what it emits on [`OutputPort::Side`](crate::OutputPort::Side).
    pub side_outputs: Vec<SchemaRef>,
}
