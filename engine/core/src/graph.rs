//! What a job is: a graph of operators, each with the parameters that the planner resolved.
//!
//! The graph is plain data. It names columns by position, carries no code, and can be stored and sent. The planner
//! builds it with [`JobGraph::add`], which gives each node its [`OperatorUid`] and shares equal sub-plans; a worker
//! runs it chain by chain ([`JobGraph::chains`]).
//!
//! - `spec`: what each kind of operator is told
//! - `identity`: the uid, from what a node computes
//! - `place`: where a node stands, in words that survive an edit of the query
//! - `calls`: the functions that a job calls
//! - `isolated`: which plugins of a job can run in processes of their own
//! - `changelog`: what the rows of a stream are to those before them
//! - `join_spread`: how the rows of a join find each other

mod calls;
mod changelog;
mod identity;
mod isolated;
mod join_spread;
mod over;
mod place;
mod spec;
mod updating_over;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

pub use self::changelog::ChangelogKind;
pub use self::join_spread::JoinSpread;
pub use self::over::{OverCall, OverFrame, OverFunction, OverSpec};
pub use self::place::OperatorPlace;
pub use self::spec::{
    CalcSpec, ChangelogRowsSpec, DiscoverSpec, ExpandSpec, GroupAggregateSpec, IntervalJoinSpec, JoinSpec, JoinType,
    LookupJoinSpec, NullTimes, OperatorSpec, PacedRowsSpec, Ranking, SinkSpec, SortKey, SortedRowsSpec, SourceSpec,
    TemporalJoinSpec, TimeColumn, TopNSpec, UnnestSpec, UpdatedWindow, UpdatingSessionsSpec, UpsertRowsSpec,
    WatermarkSpec, WindowAggregateSpec, WindowAssignSpec, WindowJoinSpec, WindowSource, WindowTopNSpec,
};
pub use self::updating_over::{FramedCall, FramedFunction, OverBound, OverRows, UpdatingOverSpec};
use crate::connector::rejected_schema;
use crate::plugin::{Artifact, Isolation, PluginFunction, PluginSpec};
use crate::source::announcement_schema;
use crate::{Collector, Error, NodeId, OperatorUid, Result, TableSpec};

/// A job: nodes in topological order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobGraph {
    nodes: Vec<Node>,
    /// Those of plugins that expressions call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    functions: Vec<PluginFunction>,
    /// What keeps the code of its plugins apart.
    #[serde(default, skip_serializing_if = "Isolation::is_none")]
    isolation: Isolation,
    #[serde(skip)]
    by_uid: HashMap<OperatorUid, NodeId>,
}

/// An operator and what feeds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Identity under which the node's state is stored.
    pub uid: OperatorUid,
    /// What the node computes.
    pub spec: NodeSpec,
}

/// All of a node but its identity, which follows from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeSpec {
    /// For people: `WindowAggregate`, `Source(flights)`.
    pub name: String,
    /// What is computed.
    pub operator: OperatorSpec,
    /// Where rows come from. Several edges into one ordinal are a `UNION ALL`.
    pub inputs: Vec<Edge>,
    /// Schema of the main output.
    pub schema: SchemaRef,
    /// What the rows of the main output are to those before them. Side outputs are appended to.
    #[serde(default)]
    pub changelog: ChangelogKind,
    /// How many subtasks.
    pub parallelism: Parallelism,
    /// The user's name for these rows, if there is one: that of the innermost view, `WITH` query or subquery in whose text
    /// the operator stands.
    #[serde(default)]
    pub label: Option<String>,
}

impl NodeSpec {
    /// A node whose rows are only ever added, as parallel as the job, without a label.
    pub fn new(name: impl Into<String>, operator: OperatorSpec, inputs: Vec<Edge>, schema: SchemaRef) -> Self {
        Self {
            name: name.into(),
            operator,
            inputs,
            schema,
            changelog: ChangelogKind::Append,
            parallelism: Parallelism::Job,
            label: None,
        }
    }

    /// Whether it is a sink of late or rejected rows.
    fn takes_side_outputs(&self) -> bool {
        let is_left_out = |port| matches!(port, OutputPort::Late | OutputPort::Rejected);
        matches!(self.operator, OperatorSpec::Sink(_)) && self.inputs.iter().any(|edge| is_left_out(edge.port))
    }

    /// Whether `other` may do the work of both.
    fn shares(&self, other: &NodeSpec) -> bool {
        let types = |spec: &NodeSpec| -> Vec<_> {
            spec.schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        !matches!(self.operator, OperatorSpec::Sink(_))
            && self.operator == other.operator
            && self.parallelism == other.parallelism
            && self.changelog == other.changelog
            && types(self) == types(other)
    }
}

/// What a node reads on one of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputStream {
    /// Columns.
    pub schema: SchemaRef,
    /// What the rows are to those before them.
    pub changelog: ChangelogKind,
}

/// Rows that are only ever added.
impl From<SchemaRef> for InputStream {
    fn from(schema: SchemaRef) -> Self {
        Self { schema, changelog: ChangelogKind::Append }
    }
}

/// A stream from one node into another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The node that sends.
    pub from: NodeId,
    /// Which of its outputs.
    pub port: OutputPort,
    /// Which input of the receiver: 0, or 1 for the right side of a join.
    pub ordinal: usize,
    /// How rows find their subtask.
    pub exchange: Exchange,
}

/// How rows are spread over the receiver's subtasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exchange {
    /// Subtask `i` sends to subtask `i`. Without a change of parallelism the two run as one chain.
    Forward,
    /// To the owner of the hash of these columns. Without columns: to the owner of the empty key's hash.
    Hash(Vec<usize>),
    /// To every subtask.
    Broadcast,
    /// Batch by batch, in turn.
    Rebalance,
}

/// An operator's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutputPort {
    /// The result.
    Main,
    /// Rows that came too late to count, in the schema of [`Collector::late_schema`](crate::Collector::late_schema).
    Late,
    /// Records that could not be decoded, in the schema of [`connector::rejected_schema`](crate::connector::rejected_schema).
    Rejected,
    /// A further output of a plugin's operator, by number: its columns are in [`PluginSpec::side_outputs`](crate::plugin::PluginSpec).
    Side(u16),
}

/// Number of subtasks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parallelism {
    /// The job's.
    Job,
    /// One: the node has to see all rows, or there is one result only.
    Single,
}

/// Nodes that run as one subtask each: a head that receives, and operators behind it without a queue in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The nodes, upstream first.
    pub nodes: Vec<NodeId>,
}

impl Chain {
    /// The node that receives.
    pub fn head(&self) -> NodeId {
        self.nodes[0]
    }

    /// The node that sends.
    pub fn tail(&self) -> NodeId {
        *self.nodes.last().expect("a chain has a head")
    }
}

impl OperatorSpec {
    /// Whether results that are not final are held back until the next marker, so that flush markers are wanted between
    /// checkpoints.
    pub fn has_pending_updates(&self) -> bool {
        match self {
            OperatorSpec::Discover(_)
            | OperatorSpec::Source(_)
            | OperatorSpec::Calc(_)
            | OperatorSpec::Expand(_)
            | OperatorSpec::Unnest(_)
            | OperatorSpec::ProcessingTime
            | OperatorSpec::Clock
            | OperatorSpec::WindowAssign(_)
            | OperatorSpec::PartialAggregate(_)
            | OperatorSpec::WindowAggregate(_)
            | OperatorSpec::WindowTopN(_)
            | OperatorSpec::WindowJoin(_)
            | OperatorSpec::IntervalJoin(_)
            | OperatorSpec::Join(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::TemporalJoin(_)
            | OperatorSpec::LookupJoin(_)
            | OperatorSpec::FinalRows
            | OperatorSpec::SortedRows(_)
            | OperatorSpec::ChangelogRows(_)
            | OperatorSpec::Sink(_) => false,
            OperatorSpec::Plugin(spec) => spec.emits_at_markers,
            OperatorSpec::GroupAggregate(_)
            | OperatorSpec::UpdatingSessions(_)
            | OperatorSpec::TopN(_)
            | OperatorSpec::UpdatingOver(_)
            | OperatorSpec::UpsertRows(_)
            | OperatorSpec::PacedRows(_) => true,
        }
    }

    /// Whether its rows wait for answers: then it is the head of its chain, whose subtask sees to it.
    pub fn awaits_answers(&self) -> bool {
        matches!(self, OperatorSpec::Plugin(spec) if spec.awaits_answers)
    }

    /// Whether state is forgotten some time behind its last change, which happens where a marker passes.
    fn has_time_to_live(&self) -> bool {
        match self {
            OperatorSpec::GroupAggregate(spec) => spec.time_to_live.is_some(),
            OperatorSpec::TopN(spec) => spec.time_to_live.is_some(),
            OperatorSpec::Join(spec) => spec.time_to_live != (None, None),
            _ => false,
        }
    }
}

impl JobGraph {
    /// Whether flush markers are wanted between checkpoints: an operator has [pending updates](OperatorSpec::has_pending_updates) that show
    /// before the input has ended, or forgets state where a marker passes.
    pub fn has_pending_updates(&self) -> bool {
        let mut shows = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            match node.spec.operator {
                OperatorSpec::Sink(_) => shows[index] = true,
                OperatorSpec::FinalRows | OperatorSpec::SortedRows(_) => continue,
                _ => {}
            }
            if shows[index] {
                node.spec.inputs.iter().for_each(|edge| shows[edge.from.0] = true);
            }
        }
        let wants =
            |operator: &OperatorSpec, shows| shows && operator.has_pending_updates() || operator.has_time_to_live();
        self.nodes.iter().zip(shows).any(|(node, shows)| wants(&node.spec.operator, shows))
    }

    /// A job without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node and returns it, or the node that is already there and makes the same rows. Two sinks are never one: the
    /// second `INSERT` of the same query writes its rows again. Neither are two nodes that differ in what is no part of
    /// their identity.
    ///
    /// # Panics
    /// If an input names a node that is not there yet.
    pub fn add(&mut self, spec: NodeSpec) -> NodeId {
        self.add_known_as(spec, identity::uid)
    }

    /// As [`add`](Self::add), of an aggregation that is done in one phase and could be done in two. It is known as the second of
    /// them, which keeps the same state, so that a job can be planned one way after the other.
    ///
    /// # Panics
    /// See [`add`](Self::add).
    pub fn add_in_one_phase(&mut self, spec: NodeSpec) -> NodeId {
        self.add_known_as(spec, identity::uid_of_second_phase)
    }

    fn add_known_as(&mut self, spec: NodeSpec, uid: fn(&[Node], &NodeSpec, usize) -> OperatorUid) -> NodeId {
        for edge in &spec.inputs {
            assert!(edge.from.0 < self.nodes.len(), "inputs are added first");
        }
        let mut copy = 0;
        loop {
            let uid = uid(&self.nodes, &spec, copy);
            match self.by_uid.get(&uid) {
                Some(node) if self.node(*node).spec.shares(&spec) => return *node,
                Some(_) => copy += 1,
                None => {
                    let id = NodeId(self.nodes.len());
                    self.by_uid.insert(uid.clone(), id);
                    self.nodes.push(Node { uid, spec });
                    return id;
                }
            }
        }
    }

    /// Adds the discovery of a table's splits, or finds the one that is there, and returns the edge from it into a source that
    /// reads the table.
    pub fn discover(&mut self, table: &TableSpec) -> Edge {
        let name = format!("Discover({})", table.name);
        let whole = TableSpec { projection: None, ..table.clone() };
        let operator = OperatorSpec::Discover(DiscoverSpec { table: whole });
        let spec = NodeSpec::new(name, operator, Vec::new(), announcement_schema());
        let from = self.add(NodeSpec { parallelism: Parallelism::Single, ..spec });
        Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Broadcast }
    }

    /// The files of plugins that it needs, each once.
    pub fn artifacts(&self) -> Vec<&Artifact> {
        let of_nodes = self.nodes.iter().filter_map(|node| match &node.spec.operator {
            OperatorSpec::Plugin(PluginSpec { artifact, .. }) => artifact.as_ref(),
            operator => operator.plugin_table().and_then(|table| table.artifact.as_ref()),
        });
        let of_functions = self.functions.iter().filter_map(|function| function.artifact.as_ref());
        let mut artifacts: Vec<&Artifact> = Vec::new();
        for artifact in of_nodes.chain(of_functions) {
            if !artifacts.iter().any(|known| known.hash == artifact.hash) {
                artifacts.push(artifact);
            }
        }
        artifacts
    }

    /// Gives the label to all nodes behind the first `count` that have none.
    pub fn label_from(&mut self, count: usize, label: &str) {
        for node in self.nodes.iter_mut().skip(count) {
            node.spec.label.get_or_insert_with(|| label.to_owned());
        }
    }

    /// Identity of the whole job: two graphs have the same one if they compute the same from the same inputs into the
    /// same outputs, at whatever parallelism and in whatever order their statements stand, and wherever late and rejected rows
    /// go. An aggregation in one phase is the same as one in two if it was [added](Self::add_in_one_phase) so.
    pub fn fingerprint(&self) -> String {
        let counts = |node: &&Node| {
            let is_identity = !matches!(node.spec.operator, OperatorSpec::PartialAggregate(_) | OperatorSpec::Clock);
            is_identity && !node.spec.takes_side_outputs()
        };
        identity::fingerprint(self.nodes.iter().filter(counts))
    }

    /// Whether this is a job with that [fingerprint](Self::fingerprint). In those of earlier versions all nodes counted; those with an
    /// aggregation that is now [known as the second of two](Self::add_in_one_phase) are not recognised, as its state is not either.
    pub fn computes(&self, fingerprint: &str) -> bool {
        self.fingerprint() == fingerprint || identity::fingerprint(self.nodes.iter()) == fingerprint
    }

    /// Whether both do the same in the same way: nothing is different, not even what is no identity.
    pub fn runs_like(&self, other: &JobGraph) -> bool {
        self.nodes.len() == other.nodes.len()
            && (&self.functions, self.isolation) == (&other.functions, other.isolation)
            && self.nodes.iter().zip(&other.nodes).all(|(one, other)| {
                one.uid == other.uid
                    && one.spec.operator == other.spec.operator
                    && one.spec.inputs == other.spec.inputs
                    && one.spec.parallelism == other.spec.parallelism
            })
    }

    /// What a node reads, by ordinal.
    ///
    /// # Errors
    /// An internal error if streams of kinds that do not go together come to one input.
    pub fn inputs_of(&self, id: NodeId) -> Result<Vec<InputStream>> {
        let node = &self.node(id).spec;
        let ordinals = node.inputs.iter().map(|edge| edge.ordinal + 1).max().unwrap_or(0);
        let inputs = (0..ordinals).filter_map(|ordinal| {
            let edges: Vec<&Edge> = node.inputs.iter().filter(|edge| edge.ordinal == ordinal).collect();
            let schema = self.columns_over(edges.first()?);
            let kinds: Vec<ChangelogKind> = edges.iter().map(|edge| self.changelog_over(edge)).collect();
            let changelog = ChangelogKind::union(&kinds).ok_or_else(|| {
                Error::internal(format!("{} reads several streams as one, and one of them replaces rows", node.name))
            });
            Some(changelog.map(|changelog| InputStream { schema, changelog }))
        });
        inputs.collect()
    }

    /// Columns of what comes over an edge.
    pub fn columns_over(&self, edge: &Edge) -> SchemaRef {
        let sender = &self.node(edge.from).spec;
        match edge.port {
            OutputPort::Main => sender.schema.clone(),
            OutputPort::Late => Collector::late_schema(),
            OutputPort::Rejected => rejected_schema(),
            OutputPort::Side(number) => {
                let columns = match &sender.operator {
                    OperatorSpec::Plugin(spec) => spec.side_outputs.get(usize::from(number)).cloned(),
                    _ => None,
                };
                columns.unwrap_or_else(|| Arc::new(Schema::empty()))
            }
        }
    }

    /// What the rows that come over an edge are to those before them.
    fn changelog_over(&self, edge: &Edge) -> ChangelogKind {
        match edge.port {
            OutputPort::Main => self.node(edge.from).spec.changelog.clone(),
            OutputPort::Late | OutputPort::Rejected | OutputPort::Side(_) => ChangelogKind::Append,
        }
    }

    /// The nodes, inputs before what they feed.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Nodes with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// Edges out of `id`, with the node that each leads to.
    pub fn outputs(&self, id: NodeId) -> impl Iterator<Item = (NodeId, &Edge)> {
        self.iter().flat_map(move |(to, node)| {
            node.spec.inputs.iter().filter(move |edge| edge.from == id).map(move |edge| (to, edge))
        })
    }

    /// The sources that a discovery announces splits to; none if `id` is no discovery.
    pub fn sources_of(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let is_discovery = matches!(self.node(id).spec.operator, OperatorSpec::Discover(_));
        self.outputs(id).filter(move |_| is_discovery).map(|(source, _)| source)
    }

    /// The nodes put together into chains, in topological order of their heads. A node joins the chain of its only
    /// input if that is a forward edge from a main output which nobody else reads, between nodes of equal parallelism, and it does not wait
    /// for answers.
    pub fn chains(&self) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        let mut chain_of: HashMap<NodeId, usize> = HashMap::new();
        for (id, node) in self.iter() {
            let joined = match node.spec.inputs.as_slice() {
                [edge]
                    if edge.exchange == Exchange::Forward
                        && edge.port == OutputPort::Main
                        && !node.spec.operator.awaits_answers()
                        && self.node(edge.from).spec.parallelism == node.spec.parallelism
                        && self.outputs(edge.from).filter(|(_, edge)| edge.port == OutputPort::Main).count() == 1 =>
                {
                    Some(chain_of[&edge.from])
                }
                _ => None,
            };
            let chain = joined.unwrap_or_else(|| {
                chains.push(Chain { nodes: Vec::new() });
                chains.len() - 1
            });
            chains[chain].nodes.push(id);
            chain_of.insert(id, chain);
        }
        chains
    }
}
