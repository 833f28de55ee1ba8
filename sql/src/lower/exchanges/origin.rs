//! Which aggregation made the rows of a node, each in its subtask.

use weir_core::{Edge, Exchange, Expr, JobGraph, NodeId, OperatorSpec, OutputPort, Parallelism};

/// An aggregation, and what became of its columns.
pub(super) struct Origin {
    /// The aggregation.
    pub node: NodeId,
    /// For each column of the rows, which of the aggregation's output it is.
    pub columns: Vec<Option<usize>>,
}

impl Origin {
    /// How many keys the aggregation has. They are the first of its columns.
    pub fn keys(&self, graph: &JobGraph) -> usize {
        match &graph.node(self.node).spec.operator {
            OperatorSpec::WindowAggregate(spec) => spec.keys.len(),
            OperatorSpec::GroupAggregate(spec) => spec.keys.len(),
            OperatorSpec::UpdatingSessions(spec) => spec.keys.len(),
            _ => 0,
        }
    }

    /// By how many of its keys, the first, groups are spread.
    pub fn spread(&self, graph: &JobGraph) -> usize {
        match &graph.node(self.node).spec.operator {
            OperatorSpec::WindowAggregate(spec) => spec.spread_columns().len(),
            _ => self.keys(graph),
        }
    }
}

/// The aggregation that made what comes over an edge, if rows have not left its subtasks since.
pub(super) fn origin(graph: &JobGraph, edge: &Edge) -> Option<Origin> {
    let mut node = (edge.port == OutputPort::Main).then_some(edge.from)?;
    let mut columns: Vec<Option<usize>> = (0..graph.node(node).spec.schema.fields().len()).map(Some).collect();
    loop {
        let spec = &graph.node(node).spec;
        if spec.parallelism != Parallelism::Job {
            return None;
        }
        let read: Vec<Option<usize>> = match &spec.operator {
            OperatorSpec::WindowAggregate(_) | OperatorSpec::GroupAggregate(_) | OperatorSpec::UpdatingSessions(_) => {
                return Some(Origin { node, columns });
            }
            OperatorSpec::Calc(calc) => calc.projection.iter().map(column).collect(),
            OperatorSpec::PartialAggregate(aggregate) => aggregate.keys.iter().copied().map(Some).collect(),
            // How long state is kept changes no exchange.
            OperatorSpec::Clock => (0..spec.schema.fields().len()).map(Some).collect(),
            _ => return None,
        };
        let [edge] = spec.inputs.as_slice() else { return None };
        if edge.exchange != Exchange::Forward || edge.port != OutputPort::Main {
            return None;
        }
        columns.iter_mut().for_each(|column| *column = column.and_then(|column| read.get(column).copied().flatten()));
        node = edge.from;
    }
}

fn column(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Column(column) => Some(*column),
        _ => None,
    }
}

/// Whether there is at most one row of each window in what comes over an edge: an aggregation made them, and has no key but constants.
pub(super) fn has_one_row_a_window(graph: &JobGraph, edge: &Edge) -> Option<NodeId> {
    let Origin { node, .. } = origin(graph, edge)?;
    let spec = &graph.node(node).spec;
    let OperatorSpec::WindowAggregate(aggregate) = &spec.operator else { return None };
    let is_constant = |key: &usize| spec.inputs.iter().all(|input| is_constant(graph, input.from, *key));
    aggregate.keys.iter().all(is_constant).then_some(node)
}

fn is_constant(graph: &JobGraph, node: NodeId, column: usize) -> bool {
    let spec = &graph.node(node).spec;
    let below = |column: usize| spec.inputs.iter().all(|input| is_constant(graph, input.from, column));
    match &spec.operator {
        OperatorSpec::Calc(calc) => match calc.projection.get(column) {
            Some(Expr::Literal(_)) => true,
            Some(Expr::Column(column)) => below(*column),
            _ => false,
        },
        OperatorSpec::PartialAggregate(aggregate) => aggregate.keys.get(column).is_some_and(|column| below(*column)),
        OperatorSpec::Clock => below(column),
        _ => false,
    }
}
