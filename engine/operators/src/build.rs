//! From a node of the graph to the operator that runs it: the one place where operators are constructed.

use arrow::datatypes::SchemaRef;
use weir_core::{Error, InputStream, NodeSpec, Operator, OperatorSpec, Result};
use weir_functions::Functions;

use crate::aggregate;
use crate::calc::Calc;
use crate::changelog_rows::ChangelogRows;
use crate::checked::Checked;
use crate::clock::Clock;
use crate::expand::Expand;
use crate::interval_join::IntervalJoin;
use crate::lookup_join::LookupJoin;
use crate::over::{Over, UpdatingOver};
use crate::paced_rows::PacedRows;
use crate::plugin::PluginOperator;
use crate::processing_time::ProcessingTime;
use crate::temporal_join::TemporalJoin;
use crate::top_n;
use crate::unnest::Unnest;
use crate::updating_join::UpdatingJoin;
use crate::upsert_rows::UpsertRows;
use crate::window_assign::WindowAssign;
use crate::window_join::WindowJoin;
use crate::window_top_n::WindowTopN;

/// The operator of a node that is neither source nor sink. `inputs` has what comes on each input, by ordinal
/// ([`JobGraph::inputs_of`](weir_core::JobGraph::inputs_of)), and `functions` what the names of functions in it stand for.
///
/// # Errors
/// An internal error if the planner built a node that makes no sense, or gave an operator a stream that it does not take; a
/// user error if a column type cannot be used the way the query wants it.
pub fn build(node: &NodeSpec, inputs: &[InputStream], functions: &Functions) -> Result<Box<dyn Operator>> {
    let schemas: Vec<SchemaRef> = inputs.iter().map(|input| input.schema.clone()).collect();
    let operator = bare(node, &schemas, functions)?;
    for (ordinal, input) in inputs.iter().enumerate() {
        if !operator.takes(ordinal, &input.changelog) {
            let (name, kind) = (&node.name, &input.changelog);
            return Err(Error::internal(format!(
                "{name} was given an {kind} stream on input {ordinal}, and takes none"
            )));
        }
    }
    if cfg!(debug_assertions) {
        let changelogs = inputs.iter().map(|input| input.changelog.clone()).collect();
        let checked = Checked::new(operator, &node.name, &schemas, node.schema.clone());
        let side_outputs = match &node.operator {
            OperatorSpec::Plugin(spec) => spec.side_outputs.clone(),
            _ => Vec::new(),
        };
        let checked = checked.with_changelogs(changelogs, node.changelog.clone()).with_side_outputs(side_outputs);
        return Ok(Box::new(checked));
    }
    Ok(operator)
}

/// The operator alone, which nobody checks.
pub(crate) fn bare(node: &NodeSpec, input_schemas: &[SchemaRef], functions: &Functions) -> Result<Box<dyn Operator>> {
    let input = |ordinal: usize| {
        input_schemas.get(ordinal).ok_or_else(|| Error::internal(format!("{} has no input {ordinal}", node.name)))
    };
    Ok(match &node.operator {
        OperatorSpec::Discover(_) | OperatorSpec::Source(_) | OperatorSpec::Sink(_) => {
            return Err(Error::internal(format!("{} is no operator but does I/O", node.name)));
        }
        OperatorSpec::Calc(spec) => Box::new(Calc::new(spec, input(0)?, &node.schema, functions)?),
        OperatorSpec::Expand(spec) => Box::new(Expand::new(spec, input(0)?, &node.schema, functions)?),
        OperatorSpec::Unnest(spec) => Box::new(Unnest::new(spec, &node.schema)?),
        OperatorSpec::ProcessingTime => Box::new(ProcessingTime::new(&node.schema)),
        OperatorSpec::Clock => Box::new(Clock::new(&node.schema)),
        OperatorSpec::WindowAssign(spec) => Box::new(WindowAssign::new(spec, &node.schema, &node.name)?),
        OperatorSpec::PartialAggregate(spec) => aggregate::partial(spec, input(0)?, &node.schema, functions)?,
        OperatorSpec::WindowAggregate(spec) => aggregate::full(spec, input(0)?, &node.schema, &node.name, functions)?,
        OperatorSpec::WindowTopN(spec) => Box::new(WindowTopN::new(spec, input(0)?, &node.schema, &node.name)?),
        OperatorSpec::WindowJoin(spec) => {
            Box::new(WindowJoin::new(spec, [input(0)?, input(1)?], &node.schema, &node.name, functions)?)
        }
        OperatorSpec::Join(spec) => Box::new(UpdatingJoin::new(spec, [input(0)?, input(1)?], &node.schema, functions)?),

        OperatorSpec::GroupAggregate(spec) => {
            aggregate::of_groups(spec, input(0)?, &node.schema, &node.name, functions)?
        }
        OperatorSpec::UpdatingSessions(spec) => {
            aggregate::of_sessions(spec, input(0)?, &node.schema, &node.name, functions)?
        }
        OperatorSpec::TopN(spec) => top_n::create(spec, input(0)?, &node.schema)?,
        OperatorSpec::TemporalJoin(spec) => {
            Box::new(TemporalJoin::new(spec, [input(0)?, input(1)?], &node.schema, &node.name, functions)?)
        }
        OperatorSpec::LookupJoin(spec) => Box::new(LookupJoin::new(spec, input(0)?, &node.schema, functions)?),
        OperatorSpec::Over(spec) => Box::new(Over::new(spec, input(0)?, &node.schema, &node.name)?),
        OperatorSpec::UpdatingOver(spec) => Box::new(UpdatingOver::new(spec, input(0)?, &node.schema, functions)?),
        OperatorSpec::Plugin(spec) => Box::new(PluginOperator::new(spec, &node.name, functions)?),
        OperatorSpec::FinalRows => aggregate::final_rows(input(0)?, &node.schema, &[])?,
        OperatorSpec::SortedRows(spec) => aggregate::final_rows(input(0)?, &node.schema, &spec.order)?,
        OperatorSpec::PacedRows(spec) => Box::new(PacedRows::new(spec, input(0)?, (&node.schema, &node.changelog))?),
        OperatorSpec::UpsertRows(spec) => Box::new(UpsertRows::new(spec, input(0)?, &node.schema)?),
        OperatorSpec::ChangelogRows(spec) => Box::new(ChangelogRows::new(spec, &node.schema)),
        OperatorSpec::IntervalJoin(spec) => {
            Box::new(IntervalJoin::new(spec, [input(0)?, input(1)?], &node.schema, &node.name, functions)?)
        }
    })
}

#[cfg(test)]
mod tests;
