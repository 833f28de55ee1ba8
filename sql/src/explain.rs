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
mod operator;

use std::fmt::Write as _;

pub(crate) use expression::sql;
use weir_core::{Edge, Exchange, JobGraph, NodeId, OperatorSpec, OutputPort, Parallelism};

/// The dataflow, from the sinks down to the sources; a node that feeds several others is shown once, and named after.
pub fn explain(graph: &JobGraph) -> String {
    let mut text = String::new();
    let mut shown: Vec<NodeId> = Vec::new();
    for (id, node) in graph.iter() {
        if matches!(node.spec.operator, OperatorSpec::Sink(_)) {
            tree(graph, id, "", "", "", &mut shown, &mut text);
        }
    }
    text
}

fn tree(
    graph: &JobGraph,
    id: NodeId,
    first: &str,
    rest: &str,
    travel: &str,
    shown: &mut Vec<NodeId>,
    text: &mut String,
) {
    let node = graph.node(id);
    let uid = &node.uid;
    // Writing to a string does not fail.
    if shown.contains(&id) {
        let _ = writeln!(text, "{first}{travel}{} (shown above as {uid})", node.spec.name);
        return;
    }
    shown.push(id);
    let used_twice = graph.outputs(id).count() > 1;
    let label = if used_twice { format!(" as {uid}") } else { String::new() };
    let single = if node.spec.parallelism == Parallelism::Single { " (one subtask)" } else { "" };
    let inputs: Vec<&Edge> = node.spec.inputs.iter().collect();
    let _ = writeln!(text, "{first}{travel}{}{label}{single}  {}", node.spec.name, operator::parameters(graph, node));
    if let Some(state) = operator::state(&node.spec.operator) {
        let bar = if inputs.is_empty() { " " } else { "│" };
        let _ = writeln!(text, "{rest}{bar} keeps: {state}");
    }
    for (index, edge) in inputs.iter().enumerate() {
        let last = index + 1 == inputs.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let travel = travel_of(graph, edge, inputs.iter().any(|edge| edge.ordinal > 0));
        tree(graph, edge.from, &format!("{rest}{branch}"), &format!("{rest}{below}"), &travel, shown, text);
    }
}

/// How rows come over an edge; nothing for the plain handing over inside a chain.
fn travel_of(graph: &JobGraph, edge: &Edge, two_sides: bool) -> String {
    let mut words = Vec::new();
    if two_sides {
        words.push(if edge.ordinal == 0 { "left".to_owned() } else { "right".to_owned() });
    }
    match edge.port {
        OutputPort::Main => {}
        OutputPort::Late => words.push("late rows of".to_owned()),
        OutputPort::Rejected => words.push("undecodable records of".to_owned()),
    }
    let schema = &graph.node(edge.from).spec.schema;
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
