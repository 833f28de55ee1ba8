//! What a job is: a graph of operators, each with the parameters that the planner resolved.
//!
//! The graph is plain data. It names columns by position, carries no code, and can be stored and sent. The planner
//! builds it with [`JobGraph::add`], which gives each node its [`OperatorUid`] and shares equal sub-plans; a worker
//! runs it chain by chain ([`JobGraph::chains`]).

use std::collections::HashMap;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::source::announcement_schema;
use crate::{AggregateCall, Expr, NodeId, OperatorUid, TableSpec, WindowKind};

/// A job: nodes in topological order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobGraph {
    nodes: Vec<Node>,
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
    /// How many subtasks.
    pub parallelism: Parallelism,
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
}

/// Number of subtasks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parallelism {
    /// The job's.
    Job,
    /// One: the node has to see all rows, or there is one result only.
    Single,
}

/// What a node computes. Column numbers are positions in the node's input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a job has a few dozen of them")]
pub enum OperatorSpec {
    /// Finds the splits of a table and announces them, over broadcast edges, to the sources that read it. Markers enter the
    /// dataflow here.
    Discover(DiscoverSpec),
    /// Reads a table. Its only input is the discovery of the table's splits.
    Source(SourceSpec),
    /// Filters, then projects, row by row.
    Calc(CalcSpec),
    /// Emits each row once per projection (grouping sets).
    Expand(ExpandSpec),
    /// One row per element of a list column.
    Unnest(UnnestSpec),
    /// Appends a `TIMESTAMP(3)` column with the processing time, and from here on time *is* processing time: watermarks
    /// from upstream stop here and new ones are made from the clock.
    ProcessingTime,
    /// Appends `window_start`, `window_end` and `window_time`; a row in several windows is repeated.
    WindowAssign(WindowAssignSpec),
    /// First phase of an aggregation: groups what is at hand and sends partial results on. Keeps nothing over a marker.
    PartialAggregate(WindowAggregateSpec),
    /// Aggregates rows, or partial results, per key and window; emits when a window closes.
    WindowAggregate(WindowAggregateSpec),
    /// First rows of each window and partition in a given order; emits when a window closes.
    WindowTopN(WindowTopNSpec),
    /// Joins rows of the same window; emits when a window closes.
    WindowJoin(WindowJoinSpec),
    /// Joins rows whose times lie within bounds of each other; emits as matches appear.
    IntervalJoin(IntervalJoinSpec),
    /// Writes a table.
    Sink(SinkSpec),
}

/// Parameters of [`OperatorSpec::Discover`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiscoverSpec {
    /// The table, with all its columns whatever is read of them: there is one discovery for all sources of a table.
    pub table: TableSpec,
}

/// Parameters of [`OperatorSpec::Source`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The table as the connector sees it; only its [`TableSpec::output_schema`] is read.
    pub table: TableSpec,
    /// The node's output, over the connector's output (computed columns); `None` passes it as it is.
    pub projection: Option<Vec<Expr>>,
    /// Rows kept, over the node's output. Applied after the watermark has seen them.
    pub filter: Option<Expr>,
    /// Where event time comes from.
    pub watermark: Option<WatermarkSpec>,
    /// Rows a second that the table is read at, at most, by all subtasks together; `None`: as fast as may be.
    pub rows_per_second: Option<u64>,
}

/// `WATERMARK FOR column AS expression`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WatermarkSpec {
    /// The watermark expression over the source's output; `TIMESTAMP(3)`. Null values are passed over.
    pub expression: Expr,
    /// A split without a row for so many milliseconds counts as idle; `None`: never.
    pub idle_timeout_ms: Option<u64>,
}

/// Parameters of [`OperatorSpec::Calc`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CalcSpec {
    /// Rows kept: those where this is true.
    pub predicate: Option<Expr>,
    /// Output columns, over the input's.
    pub projection: Vec<Expr>,
}

/// Parameters of [`OperatorSpec::Expand`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExpandSpec {
    /// Each is one output row per input row.
    pub projections: Vec<Vec<Expr>>,
}

/// Parameters of [`OperatorSpec::Unnest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnnestSpec {
    /// List columns, unnested in parallel; shorter ones are filled with nulls. Each is replaced by its element.
    pub columns: Vec<usize>,
    /// Whether a row with an empty or null list is kept, with a null element.
    pub keep_empty: bool,
}

/// Parameters of [`OperatorSpec::WindowAssign`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowAssignSpec {
    /// Shape of the windows; not sessions.
    pub window: WindowKind,
    /// The time attribute. A row whose time is null is in no window.
    pub time: usize,
}

/// Parameters of [`OperatorSpec::WindowAggregate`] and [`OperatorSpec::PartialAggregate`].
///
/// The full aggregate's output is `keys…, aggregates…, window_start, window_end, window_time`, the window columns as
/// `TIMESTAMP(3)`. The partial one's is `keys…, partial fields of each aggregate…, pane_start, rows`, the last a `BIGINT`
/// with the number of rows behind the partial result, so that late ones are counted right; the aggregate behind it has
/// `partial_input` set, and reads just that layout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowAggregateSpec {
    /// Which windows.
    pub window: WindowSource,
    /// Key columns. None: one group for each window.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
    /// Whether the input holds partial results (see above); key and time columns are then the layout's.
    pub partial_input: bool,
}

/// Where an aggregation's windows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowSource {
    /// Rows are assigned here, by their time.
    Assign {
        /// Shape of the windows.
        window: WindowKind,
        /// The time attribute, `TIMESTAMP(3)`. Rows with a null time are in no window.
        time: usize,
    },
    /// Rows carry their window already.
    Attached {
        /// Column of the window's start.
        start: usize,
        /// Column of the window's end.
        end: usize,
    },
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKey {
    /// Column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// Nulls before all values.
    pub nulls_first: bool,
}

/// Parameters of [`OperatorSpec::WindowTopN`]. The output is the input's columns, and the rank if asked for. Ties are
/// broken by the remaining columns, so that the result does not depend on the order of arrival.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowTopNSpec {
    /// Column of the window's end.
    pub window_end: usize,
    /// `PARTITION BY`, the window columns included.
    pub partition: Vec<usize>,
    /// `ORDER BY`.
    pub order: Vec<SortKey>,
    /// How many rows of each partition are kept.
    pub limit: u64,
    /// Appends a `BIGINT UNSIGNED` column with the row number, from 1.
    pub with_rank: bool,
}

/// SQL's joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the join of its name")]
pub enum JoinType {
    Inner,
    Left,
    Right,
    Full,
    LeftSemi,
    LeftAnti,
    RightSemi,
    RightAnti,
}

/// Parameters of [`OperatorSpec::WindowJoin`]. The output is the left columns, then the right ones; for semi and anti
/// joins the columns of the side that they name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowJoinSpec {
    /// Which join.
    pub join_type: JoinType,
    /// Equal columns, left and right, the window's included. Null equals nothing.
    pub on: Vec<(usize, usize)>,
    /// Column of the window's end, left and right.
    pub window_end: (usize, usize),
    /// A further condition over the left columns followed by the right ones.
    pub residual: Option<Expr>,
}

/// Parameters of [`OperatorSpec::IntervalJoin`]: `right.time + lower <= left.time <= right.time + upper`. The output is
/// as for [`WindowJoinSpec`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntervalJoinSpec {
    /// Which join; semi and anti are not done here.
    pub join_type: JoinType,
    /// Equal columns, left and right. Null equals nothing.
    pub on: Vec<(usize, usize)>,
    /// Time columns, left and right.
    pub time: (usize, usize),
    /// Least `left.time - right.time`, in milliseconds.
    pub lower: i64,
    /// Greatest `left.time - right.time`, in milliseconds.
    pub upper: i64,
    /// A further condition over the left columns followed by the right ones.
    pub residual: Option<Expr>,
}

/// Parameters of [`OperatorSpec::Sink`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SinkSpec {
    /// The table. Its columns are the input's, in order.
    pub table: TableSpec,
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
            | OperatorSpec::WindowAssign(_)
            | OperatorSpec::PartialAggregate(_)
            | OperatorSpec::WindowAggregate(_)
            | OperatorSpec::WindowTopN(_)
            | OperatorSpec::WindowJoin(_)
            | OperatorSpec::IntervalJoin(_)
            | OperatorSpec::Sink(_) => false,
        }
    }
}

impl JobGraph {
    /// Whether any operator has [pending updates](OperatorSpec::has_pending_updates).
    pub fn has_pending_updates(&self) -> bool {
        self.nodes.iter().any(|node| node.spec.operator.has_pending_updates())
    }

    /// A job without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node and returns it, or the equal node that is already there. Two sinks are never one: the second
    /// `INSERT` of the same query writes its rows again.
    ///
    /// # Panics
    /// If an input names a node that is not there yet.
    pub fn add(&mut self, spec: NodeSpec) -> NodeId {
        for edge in &spec.inputs {
            assert!(edge.from.0 < self.nodes.len(), "inputs are added first");
        }
        let is_sink = matches!(spec.operator, OperatorSpec::Sink(_));
        let mut copy = 0;
        loop {
            let uid = self.uid(&spec, copy);
            match self.by_uid.get(&uid) {
                Some(_) if is_sink => copy += 1,
                Some(node) => return *node,
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
        let whole = TableSpec { projection: None, ..table.clone() };
        let from = self.add(NodeSpec {
            name: format!("Discover({})", table.name),
            operator: OperatorSpec::Discover(DiscoverSpec { table: whole }),
            inputs: Vec::new(),
            schema: announcement_schema(),
            parallelism: Parallelism::Single,
        });
        Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Broadcast }
    }

    fn uid(&self, spec: &NodeSpec, copy: usize) -> OperatorUid {
        let inputs: Vec<_> = spec
            .inputs
            .iter()
            .map(|edge| (&self.nodes[edge.from.0].uid, edge.port, edge.ordinal, &edge.exchange))
            .collect();
        let identity = serde_json::to_string(&(&spec.operator, inputs, spec.parallelism, copy))
            .expect("specifications are plain data with string keys");
        let kind = spec.name.split('(').next().unwrap_or_default().to_lowercase();
        OperatorUid(format!("{kind}-{:016x}", xxh3_128(identity.as_bytes()) as u64))
    }

    /// Identity of the whole job: two graphs have the same one if they compute the same from the same inputs into the
    /// same outputs, at whatever parallelism and in whatever order their statements stand.
    pub fn fingerprint(&self) -> String {
        let mut uids: Vec<&str> = self.nodes.iter().map(|node| &*node.uid.0).collect();
        uids.sort_unstable();
        format!("{:032x}", xxh3_128(uids.join(" ").as_bytes()))
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
    /// input if that is a forward edge from a main output which nobody else reads, between nodes of equal parallelism.
    pub fn chains(&self) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        let mut chain_of: HashMap<NodeId, usize> = HashMap::new();
        for (id, node) in self.iter() {
            let joined = match node.spec.inputs.as_slice() {
                [edge]
                    if edge.exchange == Exchange::Forward
                        && edge.port == OutputPort::Main
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
