//! Operators of plugins between the relations of a script.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_expr::LogicalPlan;
use weir_core::plugin::{Artifact, OperatorStep};

use crate::statement::Span;

/// An operator of a plugin, and the plans of what it reads.
#[derive(Debug)]
pub struct PluginOperator {
    /// What the plugin says of it.
    pub step: OperatorStep,
    /// The file that the plugin is; `None`: it is linked into the process.
    pub artifact: Option<Artifact>,
    /// Its inputs, by ordinal: the columns that it wants and no others.
    pub inputs: Vec<LogicalPlan>,
    /// Its piece of the script.
    pub span: Span,
}

/// One output of an operator, as a relation that can be read.
#[derive(Debug)]
pub struct OperatorView {
    /// Its name.
    pub name: String,
    /// Which side output it is; `None`: the main one.
    pub side: Option<u16>,
    /// Its columns.
    pub columns: SchemaRef,
    /// What makes its rows.
    pub operator: Arc<PluginOperator>,
}

impl OperatorView {
    /// All outputs of an operator.
    pub fn all(operator: &Arc<PluginOperator>) -> Vec<Self> {
        let view = |name: &str, side, columns: &SchemaRef| Self {
            name: name.to_owned(),
            side,
            columns: columns.clone(),
            operator: operator.clone(),
        };
        let sides = operator.step.side_outputs.iter().zip(0..);
        let sides = sides.map(|(side, number)| view(&side.view, Some(number), &side.columns));
        std::iter::once(view(&operator.step.view, None, &operator.step.output)).chain(sides).collect()
    }
}
