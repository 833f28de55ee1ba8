//! Columns by which the rows of an operator are told apart.

use weir_core::{Edge, Expr, FramedFunction, JobGraph, JoinType, NodeId, OperatorSpec, OverFunction, Ranking};

/// Columns of a node's output of which no two of its rows have the same values, once all that was sent up to a marker has arrived; not
/// the fewest such columns. `None` if none are known.
pub(crate) fn unique_key(graph: &JobGraph, node: NodeId) -> Option<Vec<usize>> {
    let spec = &graph.node(node).spec;
    match &spec.operator {
        OperatorSpec::Join(join) => {
            let [left, right] = [0, 1].map(|ordinal| {
                let mut edges = spec.inputs.iter().filter(|edge| edge.ordinal == ordinal);
                edges.next().filter(|_| edges.next().is_none())
            });
            let width = graph.node(left?.from).spec.schema.fields().len();
            // A stream is one node or several; of the rows of several together nothing is known.
            let key = |edge: Option<&Edge>| unique_key(graph, edge?.from);
            let at_right = |columns: Vec<usize>| columns.into_iter().map(|column| width + column).collect::<Vec<_>>();
            match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti => key(left),
                JoinType::RightSemi | JoinType::RightAnti => key(right),
                // A row of either side with nulls for its key, and no partner, looks like one of the other side.
                JoinType::Full => None,
                join_type => {
                    let (left, right) = (key(left)?, key(right)?);
                    let has_one = |key: &[usize], on: fn(&(usize, usize)) -> usize| {
                        key.iter().all(|column| join.on.iter().any(|pair| on(pair) == *column))
                    };
                    let (one_left, one_right) = (has_one(&left, |pair| pair.0), has_one(&right, |pair| pair.1));
                    Some(match join_type {
                        // A row with one partner at most is there once.
                        JoinType::Inner | JoinType::Left if one_right => left,
                        JoinType::Inner | JoinType::Right if one_left => at_right(right),
                        _ => left.into_iter().chain(at_right(right)).collect(),
                    })
                }
            }
        }
        OperatorSpec::Calc(calc) => {
            let [edge] = spec.inputs.as_slice() else { return None };
            let place = |column: usize| calc.projection.iter().position(|made| *made == Expr::Column(column));
            unique_key(graph, edge.from)?.into_iter().map(place).collect()
        }
        OperatorSpec::Clock | OperatorSpec::PacedRows(_) => {
            let [edge] = spec.inputs.as_slice() else { return None };
            unique_key(graph, edge.from)
        }
        _ => key_of(graph, node),
    }
}

/// Columns of a node's output by which its rows are told apart, if it is the key of an aggregation or a Top-N that comes out of it.
pub(crate) fn key_of(graph: &JobGraph, node: NodeId) -> Option<Vec<usize>> {
    let spec = &graph.node(node).spec;
    match &spec.operator {
        OperatorSpec::GroupAggregate(aggregate) => Some((0..aggregate.keys.len()).collect()),
        OperatorSpec::UpdatingSessions(sessions) => Some(sessions.output_key()),
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
        OperatorSpec::Clock | OperatorSpec::PacedRows(_) => {
            let [edge] = spec.inputs.as_slice() else { return None };
            key_of(graph, edge.from)
        }
        _ => None,
    }
}
