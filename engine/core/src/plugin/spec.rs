//! What a node of the graph is told whose operator is a plugin's.

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use super::{Artifact, OperatorRequest};
use crate::{ChangelogKind, TableSchema};

/// Parameters of `OperatorSpec::Plugin`. Neither the artifact, nor the configuration, nor what may be lost is part of the node's identity: another
/// version of the plugin goes on with the state of the one before, whose tables say what has become of their columns
/// ([`state_column`](crate::state_column)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginSpec {
    /// The file that the plugin is; `None`: it is linked into the process.
    pub artifact: Option<Artifact>,
    /// Name of the operator in the plugin.
    pub operator: String,
    /// What else it is told.
    pub config: Vec<u8>,
    /// What it is known as; `None`: by its name.
    pub uid: Option<String>,
    /// What it reads, by ordinal.
    pub inputs: Vec<PluginInput>,
    /// Columns of its main output.
    pub output: SchemaRef,
    /// What the rows of the main output are to those before them.
    pub changelog: ChangelogKind,
    /// Columns of its side outputs, by number.
    pub side_outputs: Vec<SchemaRef>,
    /// Whether it emits where a marker passes.
    pub emits_at_markers: bool,
    /// Whether it is told of processing time.
    pub wants_ticks: bool,
    /// Whether its rows wait for answers ([`Operator::outstanding`](crate::Operator::outstanding)): then it begins a chain.
    #[serde(default)]
    pub awaits_answers: bool,
    /// Tables of an earlier version whose rows may be lost.
    #[serde(default)]
    pub drops: Vec<String>,
}

/// One input of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginInput {
    /// Its columns.
    pub columns: SchemaRef,
    /// How rows find their subtask, by positions in `columns`.
    pub spread: Spread<usize>,
    /// Whether rows may be taken back.
    pub takes_retractions: bool,
}

/// How rows of an input are spread over the subtasks of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spread<Column> {
    /// They stay in the subtask in which they are, if it can be.
    Stay,
    /// To the owner of the hash of these columns. Without columns all rows come to one subtask.
    Keys(Vec<Column>),
    /// Each row to every subtask.
    Broadcast,
}

impl<Column> Spread<Column> {
    /// The columns that they are spread by; `None` if they are not spread by a key.
    pub fn keys(&self) -> Option<&[Column]> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Stay | Self::Broadcast => None,
        }
    }
}

impl PluginSpec {
    /// The name that its state belongs to.
    pub fn known_as(&self) -> &str {
        self.uid.as_deref().unwrap_or(&self.operator)
    }

    /// What the plugin is asked for.
    pub fn request(&self) -> OperatorRequest {
        OperatorRequest {
            operator: self.operator.clone(),
            config: self.config.clone(),
            inputs: self.inputs.iter().map(|input| input.columns.clone()).collect(),
            keys: self.inputs.iter().map(|input| input.spread.keys().map(<[usize]>::to_vec)).collect(),
            output: self.output.clone(),
            side_outputs: self.side_outputs.clone(),
        }
    }
}

/// Whether an operator that keeps the tables `declared` may go on where the tables `stored` were kept. One that is gone was renamed or
/// removed: which of the two the program has to say, or rows are lost that it still needs.
///
/// # Errors
/// Which table would be lost without being among `drops`, in a sentence.
pub fn check_dropped<'a>(
    stored: impl IntoIterator<Item = &'a TableSchema>,
    declared: &[TableSchema],
    drops: &[String],
) -> Result<(), String> {
    let is_kept = |name: &String| declared.iter().any(|table| table.name == *name) || drops.contains(name);
    match stored.into_iter().find(|table| !is_kept(&table.name)) {
        None => Ok(()),
        Some(TableSchema { name, .. }) => Err(format!(
            "there is state '{name}', which it no longer keeps and does not say is dropped or renamed (in Rust: \
             `#[state(dropped = \"{name}\")]` on the state, or `#[state(name = \"{name}\")]` on the field that it has become)"
        )),
    }
}
