//! The dataflow of a job as text: what each operator does, how rows travel between them, what state each keeps and what
//! bounds it.
//!
//! ```text
//! Sink(totals)  [connector print]
//! └─ Calc  [auction, count(*) AS bids, window_end]
//!    └─ WindowAggregate  [from partial results, GROUP BY auction, count(*), TUMBLE 10 s]
//!       │ keeps: groups of each open window, until the watermark passes its end
//!       └─ hash(auction) ─ PartialAggregate  …
//! ```

mod expression;
mod json;
mod operator;
mod over;
mod size;
mod updating_over;

use std::fmt::Write as _;

pub(crate) use expression::sql;
use weir_core::plugin::PluginFunction;
use weir_core::{
    ChangelogKind, Edge, Exchange, JobGraph, JoinSpec, Node, NodeId, OperatorSpec, OutputPort, Parallelism, Ranking,
    TableSpec, TopNSpec,
};

use crate::row_key::key_of;
use crate::statement::ExplainDetails;

/// The dataflow, from the sinks down to the sources; a node that feeds several others is shown once, and named after.
pub fn explain(graph: &JobGraph) -> String {
    explained(graph, ExplainDetails::default())
}

/// As [`explain`], with what is asked for beside the dataflow.
pub(crate) fn explained(graph: &JobGraph, details: ExplainDetails) -> String {
    if details.json {
        return json::json(graph);
    }
    let mut tree = Tree { graph, details, shown: Vec::new(), text: String::new() };
    for (id, node) in graph.iter() {
        if matches!(node.spec.operator, OperatorSpec::Sink(_)) {
            tree.node(id, "", "", "");
        }
    }
    for function in graph.functions() {
        let from = function.artifact.as_ref().map_or_else(|| "this process".to_owned(), ToString::to_string);
        let _ = writeln!(
            tree.text,
            "{} is `{}` of {from}",
            PluginFunction::name_in_sql(&function.name),
            function.signature.name
        );
    }
    tree.text
}

/// What is said of each operator that keeps more and more for as long as the job runs. `ends` says of which tables there is an end.
pub(crate) fn growing(graph: &JobGraph, ends: &dyn Fn(&TableSpec) -> bool) -> Vec<String> {
    let warning = |node: &Node| {
        let (what, bound) = match &node.spec.operator {
            OperatorSpec::Join(spec)
                if spec.on.is_empty()
                    && node.spec.operator.broadcast_input().is_none()
                    && node.spec.inputs.iter().all(|edge| grows(graph, edge.from, ends)) =>
            {
                (
                    "all rows of both sides, and compares every row with every other in one subtask,",
                    "an equality in its condition, as in `ON a.key = b.key`,",
                )
            }
            OperatorSpec::Join(JoinSpec { time_to_live: (Some(_), Some(_)), .. }) => return None,
            OperatorSpec::Join(_) => (
                "all rows of both sides",
                "a window or time bounds in its condition, as in `a.ts BETWEEN b.ts - INTERVAL '1' HOUR AND b.ts`,",
            ),
            OperatorSpec::GroupAggregate(spec) if spec.time_to_live.is_some() || spec.window.is_some() => return None,
            OperatorSpec::GroupAggregate(spec) if !spec.keys.is_empty() => (
                "each group that there was",
                "a window, as in `FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR)`,",
            ),
            OperatorSpec::TopN(spec) if spec.time_to_live.is_some() || spec.deletions.is_some() => return None,
            OperatorSpec::TopN(spec) if has_last_row(spec) && !spec.retracts => return None,
            OperatorSpec::TopN(spec) if spec.limit >= NO_LIMIT => ("all rows", "a LIMIT"),
            OperatorSpec::TopN(spec) => (
                match spec {
                    TopNSpec { retracts: true, .. } => "all rows",
                    spec if spec.partition.is_empty() => "all rows of the first ranks",
                    _ => "the first rows of each partition that there was",
                },
                "a window's columns in PARTITION BY",
            ),
            OperatorSpec::Over(spec) if over::grows(spec) => (
                "totals or the last rows of each partition that there was",
                "a frame of time, as in `RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW`,",
            ),
            OperatorSpec::UpdatingOver(spec) if spec.time_to_live.is_some() => return None,
            OperatorSpec::UpdatingOver(_) => (
                "all rows",
                "an order by a time attribute and a frame of time, as in `RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW`,",
            ),
            _ => return None,
        };
        let operator = format!("{} {}", node.spec.name, operator::parameters(graph, node));
        let forgets = match &node.spec.operator {
            OperatorSpec::Join(_) | OperatorSpec::GroupAggregate(_) => true,
            OperatorSpec::TopN(spec) => spec.forgets(),
            OperatorSpec::UpdatingOver(spec) => !spec.partition.is_empty(),
            _ => false,
        };
        let forgets = if forgets {
            ", and so would a time to live: `SET 'table.exec.state.ttl' = '1 d'`, or `SELECT /*+ STATE_TTL('t' = '1 d') */ …`"
        } else {
            ""
        };
        let bound = bound.trim_end_matches(',');
        Some(format!("{operator} keeps {what} for as long as the job runs; {bound} would bound it{forgets}"))
    };
    graph.nodes().iter().filter_map(warning).collect()
}

/// Whether there are more and more rows of a node: not of an aggregation without keys, a limit, or a table that ends.
fn grows(graph: &JobGraph, node: NodeId, ends: &dyn Fn(&TableSpec) -> bool) -> bool {
    let spec = &graph.node(node).spec;
    match &spec.operator {
        OperatorSpec::GroupAggregate(aggregate) if aggregate.keys.is_empty() => false,
        OperatorSpec::TopN(top) if has_last_row(top) => false,
        OperatorSpec::Source(source) => !ends(&source.table),
        OperatorSpec::Discover(_) => false,
        _ => spec.inputs.iter().any(|edge| grows(graph, edge.from, ends)),
    }
}

/// What an `OFFSET` without `LIMIT` has for a limit.
const NO_LIMIT: u64 = i64::MAX as u64;

/// Whether there are never more rows than a number that the query says. Any number of them may share a rank.
fn has_last_row(top: &TopNSpec) -> bool {
    top.partition.is_empty() && top.ranking == Ranking::RowNumber && top.limit < NO_LIMIT
}

struct Tree<'a> {
    graph: &'a JobGraph,
    details: ExplainDetails,
    shown: Vec<NodeId>,
    text: String,
}

impl Tree<'_> {
    /// A node and what feeds it. `first` stands before its own line, `rest` before those below; `travel` is how its rows
    /// leave.
    fn node(&mut self, id: NodeId, first: &str, rest: &str, travel: &str) {
        let graph = self.graph;
        let node = graph.node(id);
        let (name, uid) = (&node.spec.name, &node.uid);
        // Writing to a string does not fail.
        if self.shown.contains(&id) {
            let _ = writeln!(self.text, "{first}{travel}{name} (shown above as {uid})");
            return;
        }
        self.shown.push(id);
        let label = if graph.outputs(id).count() > 1 { format!(" as {uid}") } else { String::new() };
        let single = if node.spec.parallelism == Parallelism::Single { " (one subtask)" } else { "" };
        let changelog = match self.details.changelog_mode {
            true => format!(" ({})", mode_of(graph, id)),
            false => changelog_of(node),
        };
        let inputs = &node.spec.inputs;
        let _ = writeln!(
            self.text,
            "{first}{travel}{name}{label}{single}{changelog}  {}",
            operator::parameters(graph, node)
        );
        if let Some(state) = operator::state(&node.spec.operator) {
            let bar = if inputs.is_empty() { " " } else { "│" };
            let _ = writeln!(self.text, "{rest}{bar} keeps: {state}");
            if self.details.state {
                let bound = size::bound(&node.spec.operator).unwrap_or("nothing");
                let _ = writeln!(self.text, "{rest}{bar} bound: {bound}");
                if let Some(size) = size::size(graph, node) {
                    let _ = writeln!(self.text, "{rest}{bar} size: {size}");
                }
            }
        }
        let two_sides = inputs.iter().any(|edge| edge.ordinal > 0);
        for (index, edge) in inputs.iter().enumerate() {
            let last = index + 1 == inputs.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let travel = travel_of(graph, edge, two_sides);
            self.node(edge.from, &format!("{rest}{branch}"), &format!("{rest}{below}"), &travel);
        }
    }
}

/// What the rows are to those before them, where they are not just added.
fn changelog_of(node: &Node) -> String {
    match &node.spec.changelog {
        ChangelogKind::Append => String::new(),
        ChangelogKind::Retract => " (retract)".to_owned(),
        ChangelogKind::Upsert(key) => {
            let names: Vec<&str> = key.iter().map(|column| node.spec.schema.field(*column).name().as_str()).collect();
            format!(" (upsert by {})", names.join(", "))
        }
    }
}

/// What the rows are to those before them, and by which columns they are told apart, if it is known.
fn mode_of(graph: &JobGraph, id: NodeId) -> String {
    let spec = &graph.node(id).spec;
    let names = |columns: Vec<usize>| {
        let names: Vec<&str> = columns.iter().map(|column| spec.schema.field(*column).name().as_str()).collect();
        names.join(", ")
    };
    match &spec.changelog {
        ChangelogKind::Upsert(key) => format!("upsert by {}", names(key.clone())),
        kind => match key_of(graph, id).map(names) {
            None => kind.to_string(),
            Some(key) if key.is_empty() => format!("{kind}, one row"),
            Some(key) => format!("{kind}, key {key}"),
        },
    }
}

/// How rows come over an edge; nothing for the plain handing over inside a chain.
fn travel_of(graph: &JobGraph, edge: &Edge, two_sides: bool) -> String {
    let mut words = Vec::new();
    if two_sides {
        words.push(match edge.ordinal {
            0 => "left".to_owned(),
            1 => "right".to_owned(),
            ordinal => format!("input {}", ordinal + 1),
        });
    }
    match edge.port {
        OutputPort::Main => {}
        OutputPort::Late => words.push("late rows of".to_owned()),
        OutputPort::Rejected => words.push("undecodable records of".to_owned()),
        OutputPort::Side(number) => words.push(format!("side output {} of", number + 1)),
    }
    let schema = graph.columns_over(edge);
    match &edge.exchange {
        Exchange::Forward => {}
        Exchange::Hash(columns) if columns.is_empty() => words.push("all to one subtask".to_owned()),
        Exchange::Hash(columns) => {
            let names: Vec<&str> = columns.iter().map(|column| schema.field(*column).name().as_str()).collect();
            words.push(format!("hash({})", names.join(", ")));
        }
        Exchange::Broadcast => words.push("broadcast".to_owned()),
        Exchange::Rebalance => words.push("rebalance".to_owned()),
    }
    if words.is_empty() { String::new() } else { format!("{} ─ ", words.join(" ")) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use weir_core::{NodeSpec, OperatorUid};

    use super::*;

    #[test]
    fn rows_that_are_not_just_added_are_called_so() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Int64, true)]);
        let spec = NodeSpec::new("Calc", OperatorSpec::ProcessingTime, Vec::new(), Arc::new(schema));
        let shown = |changelog| {
            changelog_of(&Node { uid: OperatorUid("u".into()), spec: NodeSpec { changelog, ..spec.clone() } })
        };
        assert_eq!(shown(ChangelogKind::Append), "");
        assert_eq!(shown(ChangelogKind::Retract), " (retract)");
        assert_eq!(shown(ChangelogKind::Upsert(vec![1, 0])), " (upsert by b, a)");
    }
}
