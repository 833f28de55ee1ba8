//! Columns by which the rows of an operator are told apart.

use weir_core::{Expr, FramedFunction, JobGraph, NodeId, OperatorSpec, OverFunction, Ranking};

/// Columns of a node's output by which its rows are told apart, if it is the key of an aggregation or a Top-N that comes out of it.
pub(crate) fn key_of(graph: &JobGraph, node: NodeId) -> Option<Vec<usize>> {
    let spec = &graph.node(node).spec;
    match &spec.operator {
        OperatorSpec::GroupAggregate(aggregate) => Some((0..aggregate.keys.len()).collect()),
        OperatorSpec::TopN(top) if top.ranking == Ranking::RowNumber && (top.with_rank || top.limit == 1) => {
            let rank = top.with_rank.then(|| spec.schema.fields().len() - 1);
            Some(top.partition.iter().copied().chain(rank).collect())
        }
        // The rows of the input, told apart as they are there, or numbered in their partitions.
        OperatorSpec::UpdatingOver(over) => {
            let [edge] = spec.inputs.as_slice() else { return None };
            let number = FramedFunction::Over(OverFunction::RowNumber);
            let number = over.calls.iter().position(|call| call.function == number);
            let width = spec.schema.fields().len() - over.calls.len();
            let numbered = || Some(over.partition.iter().copied().chain([width + number?]).collect());
            key_of(graph, edge.from).or_else(numbered)
        }
        OperatorSpec::Calc(calc) => {
            let [edge] = spec.inputs.as_slice() else { return None };
            let place = |column: usize| calc.projection.iter().position(|made| *made == Expr::Column(column));
            key_of(graph, edge.from)?.into_iter().map(place).collect()
        }
        _ => None,
    }
}
