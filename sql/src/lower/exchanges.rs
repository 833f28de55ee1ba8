//! Exchanges that rows need not pass, found once all queries of a job are there.
//!
//! Lowering puts an exchange in front of every operator that needs the rows of a key in one place. Here it is seen which rows are there
//! already, or can stay where they are:
//!
//! | rows | what is done |
//! |---|---|
//! | of a join with the one row that an aggregation without keys makes of each window | they stay, and that row goes to every subtask |
//! | of a window join, aggregated by columns that have to be equal | they stay, and the other side is spread by the same columns |
//! | that the aggregation which made them has spread by just the columns that are asked for | they stay |
//!
//! The second needs an aggregation of which *all* keys have to be equal. It is spread as it was, so the join's load is spread no worse than
//! the aggregation's. If the other side is aggregated too, by these columns and others, it is spread by these alone, so that one
//! exchange serves both. What is spread by no column at all stays as lowering had it.
//!
//! - `origin`: which aggregation made the rows of a node
//! - `agreement`: whether all subtasks of a join hear the same of time
//! - `joins`: the first two rows of the table

mod agreement;
mod joins;
mod origin;

use std::collections::BTreeMap;

use weir_core::{CalcSpec, Edge, Exchange, Expr, JobGraph, NodeId, NodeSpec, OperatorSpec, OutputPort};

use self::origin::origin;
use super::{Lowering, Phases};

/// What becomes of nodes. Inputs are those of the graph as it was.
#[derive(Default)]
struct Changes {
    nodes: BTreeMap<NodeId, NodeSpec>,
    /// Where the columns are that a node had before, if it has them in another order now.
    places: BTreeMap<NodeId, Vec<usize>>,
}

impl Lowering<'_> {
    /// Leaves out what exchanges it can. No query is added afterwards.
    pub fn leave_out_exchanges(&mut self) {
        let changes = joins::changes(&self.graph);
        self.rebuild(changes);
        let changes = staying(&self.graph);
        self.rebuild(changes);
    }

    fn rebuild(&mut self, mut changes: Changes) {
        if changes.nodes.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.graph);
        let mut nodes: Vec<NodeId> = Vec::new();
        // What reads a node's rows reads them here: they have the columns that the node had before.
        let mut outputs: Vec<NodeId> = Vec::new();
        for (id, node) in old.iter() {
            let mut spec = changes.nodes.remove(&id).unwrap_or_else(|| node.spec.clone());
            for edge in &mut spec.inputs {
                edge.from = if edge.port == OutputPort::Main { outputs[edge.from.0] } else { nodes[edge.from.0] };
            }
            let in_one_phase =
                self.phases == Phases::OneForTwo && matches!(spec.operator, OperatorSpec::WindowAggregate(_));
            let added = if in_one_phase { self.graph.add_in_one_phase(spec) } else { self.graph.add(spec) };
            nodes.push(added);
            outputs.push(match changes.places.remove(&id) {
                None => added,
                Some(places) => {
                    let projection = places.into_iter().map(Expr::Column).collect();
                    let operator = OperatorSpec::Calc(CalcSpec { predicate: None, projection });
                    let edge = Edge { from: added, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Forward };
                    self.graph.add(NodeSpec {
                        name: "Calc".to_owned(),
                        operator,
                        inputs: vec![edge],
                        ..node.spec.clone()
                    })
                }
            });
        }
        self.windowed.iter_mut().for_each(|node| *node = nodes[node.0]);
    }
}

/// Rows that are asked for by the columns by which they are spread stay where they are.
fn staying(graph: &JobGraph) -> Changes {
    let mut changes = Changes::default();
    for (id, node) in graph.iter() {
        let mut spec = node.spec.clone();
        for edge in spec.inputs.iter_mut().filter(|edge| stays(graph, edge, &node.spec)) {
            edge.exchange = Exchange::Forward;
        }
        if spec.inputs != node.spec.inputs {
            changes.nodes.insert(id, spec);
        }
    }
    changes
}

fn stays(graph: &JobGraph, edge: &Edge, reader: &NodeSpec) -> bool {
    let Exchange::Hash(columns) = &edge.exchange else { return false };
    if has_first_phase_over_several(reader) || hears_one_time(reader) {
        return false;
    }
    let Some(origin) = origin(graph, edge).filter(|_| graph.node(edge.from).spec.parallelism == reader.parallelism)
    else {
        return false;
    };
    let spread = (0..origin.spread(graph)).map(Some);
    columns.iter().map(|column| origin.columns[*column]).eq(spread)
}

/// Whether all subtasks have to hear the same of a time that each of those in front of them makes by itself.
fn hears_one_time(reader: &NodeSpec) -> bool {
    matches!(reader.operator, OperatorSpec::PacedRows(_))
}

/// Whether an aggregation in one phase reads several inputs that in two its first phase would read. Behind that, rows are not known to
/// be where they belong, and the state is the same in one phase and in two only if they are spread alike.
fn has_first_phase_over_several(reader: &NodeSpec) -> bool {
    let OperatorSpec::WindowAggregate(aggregate) = &reader.operator else { return false };
    reader.inputs.len() > 1 && !aggregate.partial_input && aggregate.second_phase().is_some()
}
