//! What makes an operator the same operator tomorrow: the identity under which its state is stored.
//!
//! A node's [`OperatorUid`] is a hash over a text that says what the node computes and, by their uids, what feeds it. The
//! text is written here field by field and does not follow from how the types are laid out in Rust:
//!
//! ```text
//!   weir-identity 1
//!   node{operator:calc{projection:[column{index:1}]},inputs:[edge{from:"source-8a1f0e6f2f1c9d3b"}]}
//! ```
//!
//! - **A field that has its default is left out.** So a field that is added later, with a default that means what was meant
//!   before, changes no uid.
//! - **Each struct is taken apart without `..`.** Who adds a field has to decide here whether it is identity.
//! - A change of the text for something that exists orphans all state there is. It is a new [`VERSION`], and the golden uids
//!   in the tests say so.
//!
//! **Identity** is what decides which rows come out and what is kept for them: expressions, keys, windows, types, what is
//! read, and how keys are spread. **No identity** is what a user may change and go on with the state that is there:
//!
//! | left out | because |
//! |---|---|
//! | names of nodes, labels, names of results inside the job | nothing is computed from them; columns are known by position |
//! | parallelism | state is spread by ranges of a hash |
//! | how fast a table is read | says when rows come, not which |
//! | the timeout after which a source counts as idle | says when results come, not which |
//! | [settings](crate::TableSpec::settings) of a table, by what its connector says | say how rows are read or written, not which: error policy, intervals, pace, sizes of files |
//! | how long state is kept that is not touched, and the clock that this goes by | says what is forgotten, not what is computed |
//! | the number of phases of an aggregation, where that follows from another setting | both keep the same |
//! | sinks that get side outputs only, in the identity of the whole job | late and rejected rows are counted in any case; where they go besides changes no result |
//! | a stream's [changelog kind](crate::ChangelogKind) and schema | follow from the rest |
//!
//! A table is known by its name: two tables with the same definition are two.

mod data_type;
mod expr;
mod operator;
#[cfg(test)]
mod tests;
mod text;

use xxhash_rust::xxh3::xxh3_128;

use self::text::{Encode, Text};
use super::{Edge, Exchange, Node, NodeSpec, OperatorSpec, OutputPort, WindowAggregateSpec};
use crate::{NodeId, OperatorUid};

/// Version of the text. Another one gives every operator another uid.
pub const VERSION: u32 = 1;

/// The uid of a node behind `nodes`, which hold all that it reads. `copy` tells nodes apart that are otherwise the same.
pub(super) fn uid(nodes: &[Node], spec: &NodeSpec, copy: usize) -> OperatorUid {
    let identity = identity(nodes, spec, copy);
    OperatorUid(format!("{}-{:016x}", spec.operator.tag(), xxh3_128(identity.as_bytes()) as u64))
}

/// The uid of an aggregation in one phase: that of the second phase, if the first one is behind the same nodes.
pub(super) fn uid_of_second_phase(nodes: &[Node], spec: &NodeSpec, copy: usize) -> OperatorUid {
    let OperatorSpec::WindowAggregate(whole) = &spec.operator else { return uid(nodes, spec, copy) };
    let Some(second) = whole.second_phase() else { return uid(nodes, spec, copy) };
    let forward = |edge: &Edge| Edge { exchange: Exchange::Forward, ..edge.clone() };
    let first = NodeSpec {
        operator: OperatorSpec::PartialAggregate(WindowAggregateSpec { spread: None, ..whole.clone() }),
        inputs: spec.inputs.iter().map(forward).collect(),
        ..spec.clone()
    };
    let mut nodes = nodes.to_vec();
    let from = NodeId(nodes.len());
    nodes.push(Node { uid: uid(&nodes, &first, 0), spec: first });
    // Rows that are where they belong stay there in front of either phase.
    let exchange = match spec.inputs.iter().all(|edge| edge.exchange == Exchange::Forward) {
        true => Exchange::Forward,
        false => Exchange::Hash(second.spread_columns().to_vec()),
    };
    let inputs = vec![Edge { from, port: OutputPort::Main, ordinal: 0, exchange }];
    uid(&nodes, &NodeSpec { operator: OperatorSpec::WindowAggregate(second), inputs, ..spec.clone() }, copy)
}

/// A hash of what an operator computes by itself.
pub(super) fn computes(operator: &OperatorSpec) -> String {
    let mut text = Text::default();
    operator.encode(&mut text);
    let text = format!("weir-identity {VERSION}\n{}", text.into_string());
    format!("{:016x}", xxh3_128(text.as_bytes()) as u64)
}

/// Identity of nodes as a whole, in whatever order they stand.
pub(super) fn fingerprint<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let mut uids: Vec<&str> = nodes.map(|node| &*node.uid.0).collect();
    uids.sort_unstable();
    format!("{:032x}", xxh3_128(uids.join(" ").as_bytes()))
}

fn identity(nodes: &[Node], spec: &NodeSpec, copy: usize) -> String {
    let NodeSpec { operator, inputs, name: _, label: _, schema: _, changelog: _, parallelism: _ } = spec;
    let inputs: Vec<Input<'_>> = inputs.iter().map(|edge| Input { from: sender(nodes, edge), edge }).collect();
    let mut text = Text::default();
    text.record("node").field("operator", operator).list("inputs", &inputs).unless("copy", &copy, &0).end();
    format!("weir-identity {VERSION}\n{}", text.into_string())
}

/// What an edge comes from. A clock stands for what feeds it.
fn sender<'a>(nodes: &'a [Node], edge: &Edge) -> &'a OperatorUid {
    let node = &nodes[edge.from.0];
    match (&node.spec.operator, node.spec.inputs.as_slice()) {
        (OperatorSpec::Clock, [input]) => sender(nodes, input),
        _ => &node.uid,
    }
}

/// An edge, which in its node names its sender by position, and here by uid.
struct Input<'a> {
    from: &'a OperatorUid,
    edge: &'a Edge,
}

impl Encode for Input<'_> {
    fn encode(&self, out: &mut Text) {
        let Edge { from: _, port, ordinal, exchange } = self.edge;
        out.record("edge")
            .field("from", &self.from.0)
            .unless("port", port, &OutputPort::Main)
            .unless("ordinal", ordinal, &0)
            .unless("exchange", exchange, &Exchange::Forward)
            .end();
    }
}

impl Encode for OutputPort {
    fn encode(&self, out: &mut Text) {
        out.tag(match self {
            OutputPort::Main => "main",
            OutputPort::Late => "late",
            OutputPort::Rejected => "rejected",
            OutputPort::Side(number) => return out.record("side").field("number", number).end(),
        });
    }
}

impl Encode for Exchange {
    fn encode(&self, out: &mut Text) {
        match self {
            Exchange::Forward => out.tag("forward"),
            Exchange::Hash(columns) => out.record("hash").list("columns", columns).end(),
            Exchange::Broadcast => out.tag("broadcast"),
            Exchange::Rebalance => out.tag("rebalance"),
        }
    }
}
