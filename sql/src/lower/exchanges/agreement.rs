//! Whether all subtasks of a join stand at the same watermark where a marker passes, although the rows of one side have not passed an
//! exchange.
//!
//! A subtask behind an exchange hears of time from all subtasks in front of it, so all of them hear the same. One that reads what is in its
//! own subtask hears of the splits that are read there. Of two inputs it takes the lesser time: if the other input is behind an
//! exchange, and everything that the first one is made of has gone into it too, that is the time of the slowest split, everywhere.

use std::collections::BTreeSet;

use weir_core::{Exchange, JobGraph, NodeId, OperatorSpec, Parallelism};

/// Whether subtasks agree that read `near`, nodes each in its own subtask, and rows that `far` has made behind an exchange.
pub(super) fn agrees(graph: &JobGraph, near: &[NodeId], far: NodeId) -> bool {
    let (mut own, mut all) = (BTreeSet::new(), BTreeSet::new());
    near.iter().all(|node| sources(graph, *node, true, &mut own))
        && sources(graph, far, false, &mut all)
        && own.is_subset(&all)
}

/// Adds the sources that say how far time is at a node; `own`: only those that it hears of in each subtask by itself. False if time is
/// made on the way, from a clock.
fn sources(graph: &JobGraph, node: NodeId, own: bool, found: &mut BTreeSet<NodeId>) -> bool {
    let spec = &graph.node(node).spec;
    match spec.operator {
        OperatorSpec::Source(_) => {
            found.insert(node);
            return true;
        }
        OperatorSpec::ProcessingTime | OperatorSpec::Clock => return false,
        _ => {}
    }
    if own && spec.parallelism != Parallelism::Job {
        return true;
    }
    let mut inputs = spec.inputs.iter().filter(|edge| !own || edge.exchange == Exchange::Forward);
    inputs.all(|edge| sources(graph, edge.from, own, found))
}
