//! What the operators of a job keep.

use weir_core::{JobGraph, OperatorSpec, Result};
use weir_functions::Functions;
use weir_state::KeptState;

use crate::{announcements, source_state};

/// What each operator of a job keeps, in the order of the job: what [`weir_state::plan_restore`] compares with a checkpoint.
///
/// # Errors
/// If an operator cannot be built.
pub fn kept_states(graph: &JobGraph, functions: &Functions) -> Result<Vec<KeptState>> {
    let functions = &functions.declaring_missing(graph);
    let mut places = graph.places();
    let kept = graph.iter().map(|(id, node)| {
        let tables = match &node.spec.operator {
            OperatorSpec::Discover(_) => vec![announcements::table()],
            OperatorSpec::Source(_) => vec![source_state::table()],
            OperatorSpec::Sink(_) => Vec::new(),
            _ => weir_operators::build(&node.spec, &graph.inputs_of(id)?, functions)?.tables(),
        };
        let drops = match &node.spec.operator {
            OperatorSpec::Plugin(plugin) => Some(plugin.drops.clone()),
            _ => None,
        };
        Ok(KeptState { uid: node.uid.clone(), place: places.remove(&node.uid).unwrap_or_default(), tables, drops })
    });
    kept.collect()
}
