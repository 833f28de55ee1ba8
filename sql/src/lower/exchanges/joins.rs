//! Joins by time whose rows can stay where they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use weir_core::{
    Edge, Exchange, IntervalJoinSpec, JobGraph, JoinSpread, JoinType, NodeId, NodeSpec, OperatorSpec, Parallelism,
    WindowAggregateSpec, WindowJoinSpec, WindowKind, WindowSource,
};

use super::Changes;
use super::agreement::agrees;
use super::origin::{Origin, has_one_row_a_window, origin};

/// What becomes of joins, and of the aggregations in front of them.
pub(super) fn changes(graph: &JobGraph) -> Changes {
    let mut spreads = Spreads { graph, chosen: BTreeMap::new() };
    let mut changes = Changes::default();
    for (id, node) in graph.iter() {
        let spec = &node.spec;
        let changed = match &spec.operator {
            OperatorSpec::WindowJoin(join) => {
                broadcast(graph, spec, join.join_type).or_else(|| spreads.of_window_join(spec, join))
            }
            // Rows that may come out alone are named by their key, and those of a key have to be in one place for that.
            OperatorSpec::IntervalJoin(join) if join.join_type == JoinType::Inner => {
                broadcast(graph, spec, join.join_type)
            }
            _ => None,
        };
        changes.nodes.extend(changed.map(|changed| (id, changed)));
    }
    for (node, keys) in spreads.chosen {
        spread_by(graph, node, &keys, &mut changes);
    }
    changes
}

/// The join if one side has one row of each window, which goes to every subtask.
fn broadcast(graph: &JobGraph, spec: &NodeSpec, join_type: JoinType) -> Option<NodeSpec> {
    let small = [1, 0].into_iter().filter(|side| !join_type.tracks(*side)).find(|side| {
        let [small] = inputs(spec, *side)[..] else { return false };
        let others = inputs(spec, 1 - side);
        let parallel = others.iter().all(|edge| graph.node(edge.from).spec.parallelism == Parallelism::Job);
        let near: Vec<NodeId> = others.iter().map(|edge| edge.from).collect();
        parallel && has_one_row_a_window(graph, small).is_some_and(|far| agrees(graph, &near, far))
    })?;
    let mut spec = spec.clone();
    for edge in &mut spec.inputs {
        edge.exchange = if edge.ordinal == small { Exchange::Broadcast } else { Exchange::Forward };
    }
    spread_like(&mut spec.operator, JoinSpread::Broadcast(small));
    Some(spec)
}

fn spread_like(join: &mut OperatorSpec, how: JoinSpread) {
    if let OperatorSpec::WindowJoin(WindowJoinSpec { spread, .. })
    | OperatorSpec::IntervalJoin(IntervalJoinSpec { spread, .. }) = join
    {
        *spread = how;
    }
}

fn inputs(spec: &NodeSpec, ordinal: usize) -> Vec<&Edge> {
    spec.inputs.iter().filter(|edge| edge.ordinal == ordinal).collect()
}

/// By which of their keys aggregations are spread, as joins want it.
struct Spreads<'a> {
    graph: &'a JobGraph,
    chosen: BTreeMap<NodeId, Vec<usize>>,
}

/// A join that is spread like an aggregation in front of it.
struct Lead {
    /// The aggregation.
    node: NodeId,
    /// The keys that it is spread by.
    spread: Vec<usize>,
    /// Which of the join's equal columns these are.
    pairs: Vec<usize>,
    /// The aggregation on the other side and those of its keys, if it can be spread by them too.
    other: Option<(NodeId, Vec<usize>)>,
}

/// The column of one side in a pair of columns that have to be equal.
fn column_of(join: &WindowJoinSpec, side: usize, pair: usize) -> usize {
    let (left, right) = join.on[pair];
    if side == 0 { left } else { right }
}

impl Spreads<'_> {
    /// The join, spread like an aggregation in front of it.
    fn of_window_join(&mut self, spec: &NodeSpec, join: &WindowJoinSpec) -> Option<NodeSpec> {
        let origins = [0, 1].map(|side| match inputs(spec, side)[..] {
            [edge] => origin(self.graph, edge),
            _ => None,
        });
        let leads = [0, 1].into_iter().filter_map(|side| self.led_by(side, &origins, join));
        // Of two that serve alike, the right side leads.
        let lead = leads.max_by_key(|lead| lead.other.is_some())?;
        self.chosen.insert(lead.node, lead.spread);
        self.chosen.extend(lead.other);
        let mut spec = spec.clone();
        for edge in &mut spec.inputs {
            edge.exchange =
                Exchange::Hash(lead.pairs.iter().map(|pair| column_of(join, edge.ordinal, *pair)).collect());
        }
        spread_like(&mut spec.operator, JoinSpread::SomeKeys(lead.pairs));
        Some(spec)
    }

    /// How the join is spread if the aggregation on one side stays as it is.
    fn led_by(&self, side: usize, origins: &[Option<Origin>; 2], join: &WindowJoinSpec) -> Option<Lead> {
        let leader = origins[side].as_ref()?;
        let spread = self.spread(leader);
        let place =
            |key: &usize| (0..join.on.len()).find(|pair| leader.columns[column_of(join, side, *pair)] == Some(*key));
        let pairs: Vec<usize> = spread.iter().map(place).collect::<Option<_>>()?;
        if pairs.is_empty() {
            return None;
        }
        let other = origins[1 - side].as_ref().and_then(|other| {
            let keys = pairs.iter().map(|pair| other.columns[column_of(join, 1 - side, *pair)]);
            let keys: Vec<usize> = keys.collect::<Option<_>>()?;
            let can = if other.node == leader.node { keys == spread } else { self.allows(other, &keys) };
            can.then_some((other.node, keys))
        });
        Some(Lead { node: leader.node, spread, pairs, other })
    }

    /// By which keys an aggregation is spread.
    fn spread(&self, origin: &Origin) -> Vec<usize> {
        self.chosen.get(&origin.node).cloned().unwrap_or_else(|| (0..origin.keys(self.graph)).collect())
    }

    /// Whether an aggregation can be spread by these of its columns.
    fn allows(&self, origin: &Origin, keys: &[usize]) -> bool {
        if let Some(chosen) = self.chosen.get(&origin.node) {
            return chosen == keys;
        }
        let spec = &self.graph.node(origin.node).spec;
        let OperatorSpec::WindowAggregate(aggregate) = &spec.operator else { return false };
        let is_session = matches!(aggregate.window, WindowSource::Assign { window: WindowKind::Session { .. }, .. });
        let count = aggregate.keys.len();
        let each_once = (0..keys.len()).all(|place| keys[place] < count && !keys[..place].contains(&keys[place]));
        let is_read_alone = match &spec.inputs[..] {
            _ if !aggregate.partial_input => true,
            [first] => self.graph.outputs(first.from).count() == 1,
            _ => false,
        };
        each_once && (keys.iter().copied().eq(0..count) || (!is_session && is_read_alone))
    }
}

/// Spreads an aggregation by these of its keys, which come first then.
fn spread_by(graph: &JobGraph, node: NodeId, spread: &[usize], changes: &mut Changes) {
    let spec = &graph.node(node).spec;
    let OperatorSpec::WindowAggregate(aggregate) = &spec.operator else { return };
    let count = aggregate.keys.len();
    if spread.iter().copied().eq(0..count) {
        return;
    }
    let order: Vec<usize> = spread.iter().copied().chain((0..count).filter(|key| !spread.contains(key))).collect();
    let (mut spec, mut aggregate) = (in_order(spec, &order), aggregate.clone());
    aggregate.spread = (spread.len() < count).then_some(spread.len());
    if let (true, [edge]) = (aggregate.partial_input, &spec.inputs[..]) {
        let first = &graph.node(edge.from).spec;
        if let OperatorSpec::PartialAggregate(partial) = &first.operator {
            let operator = OperatorSpec::PartialAggregate(with_keys(partial, &order));
            changes.nodes.insert(edge.from, NodeSpec { operator, ..in_order(first, &order) });
        }
    } else {
        aggregate = with_keys(&aggregate, &order);
    }
    for edge in &mut spec.inputs {
        edge.exchange = Exchange::Hash(aggregate.spread_columns().to_vec());
    }
    spec.operator = OperatorSpec::WindowAggregate(aggregate);
    if !order.iter().copied().eq(0..count) {
        let place = |key: usize| order.iter().position(|other| *other == key).unwrap_or(key);
        changes.places.insert(node, (0..spec.schema.fields().len()).map(place).collect());
    }
    changes.nodes.insert(node, spec);
}

fn with_keys(spec: &WindowAggregateSpec, order: &[usize]) -> WindowAggregateSpec {
    WindowAggregateSpec { keys: order.iter().map(|key| spec.keys[*key]).collect(), ..spec.clone() }
}

/// A node with the first columns of its output in another order.
fn in_order(spec: &NodeSpec, order: &[usize]) -> NodeSpec {
    let fields = order.iter().copied().chain(order.len()..spec.schema.fields().len());
    let fields: Vec<_> = fields.map(|column| spec.schema.fields()[column].clone()).collect();
    NodeSpec { schema: Arc::new(Schema::new(fields)), ..spec.clone() }
}
