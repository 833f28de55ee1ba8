//! The dataflow of a job for programs.

use serde::Serialize;
use weir_core::{ChangelogKind, Edge, Exchange, JobGraph, NodeId, OutputPort, Parallelism};

use super::{operator, size};
use crate::parse::sql_type_name;
use crate::row_key::key_of;

#[derive(Serialize)]
struct Graph {
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Node {
    id: usize,
    uid: String,
    name: String,
    operator: &'static str,
    parameters: String,
    single: bool,
    changelog_mode: &'static str,
    /// Columns by which rows are told apart; for upserts the key by which they replace each other.
    key: Option<Vec<String>>,
    columns: Vec<Column>,
    state: Option<State>,
    inputs: Vec<Input>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    r#type: String,
}

#[derive(Serialize)]
struct State {
    keeps: String,
    bound: Option<&'static str>,
    /// Of a million of them.
    bytes_per_million: Option<u64>,
    of: Option<&'static str>,
}

#[derive(Serialize)]
struct Input {
    from: usize,
    input: usize,
    port: String,
    exchange: &'static str,
    keys: Vec<String>,
}

/// An object with a list of nodes, each behind those that it reads.
pub(super) fn json(graph: &JobGraph) -> String {
    let nodes = graph.iter().map(|(id, _)| node(graph, id)).collect();
    let text = serde_json::to_string_pretty(&Graph { nodes });
    // Numbers, texts and lists have no way to fail.
    text.map_or_else(|error| format!("{{\"error\": {:?}}}\n", error.to_string()), |text| format!("{text}\n"))
}

fn node(graph: &JobGraph, id: NodeId) -> Node {
    let node = graph.node(id);
    let spec = &node.spec;
    let names = |columns: Vec<usize>| columns.iter().map(|column| spec.schema.field(*column).name().clone()).collect();
    let (changelog_mode, key) = match &spec.changelog {
        ChangelogKind::Append => ("append", key_of(graph, id)),
        ChangelogKind::Retract => ("retract", key_of(graph, id)),
        ChangelogKind::Upsert(key) => ("upsert", Some(key.clone())),
    };
    let parameters = operator::parameters(graph, node);
    let parameters = parameters.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&parameters);
    let state = operator::state(&spec.operator).map(|keeps| {
        let size = size::size(graph, node);
        State {
            keeps,
            bound: size::bound(&spec.operator),
            bytes_per_million: size.as_ref().map(|size| size.bytes),
            of: size.map(|size| size.of),
        }
    });
    let column = |field: &arrow::datatypes::FieldRef| Column {
        name: field.name().clone(),
        r#type: sql_type_name(field.data_type()).to_string(),
    };
    Node {
        id: id.0,
        uid: node.uid.to_string(),
        name: spec.name.clone(),
        operator: spec.operator.tag(),
        parameters: parameters.to_owned(),
        single: spec.parallelism == Parallelism::Single,
        changelog_mode,
        key: key.map(names),
        columns: spec.schema.fields().iter().map(column).collect(),
        state,
        inputs: spec.inputs.iter().map(|edge| input(graph, edge)).collect(),
    }
}

fn input(graph: &JobGraph, edge: &Edge) -> Input {
    let schema = graph.columns_over(edge);
    let (exchange, keys) = match &edge.exchange {
        Exchange::Forward => ("forward", &[][..]),
        Exchange::Hash(keys) => ("hash", &keys[..]),
        Exchange::Broadcast => ("broadcast", &[][..]),
        Exchange::Rebalance => ("rebalance", &[][..]),
    };
    Input {
        from: edge.from.0,
        input: edge.ordinal,
        port: match edge.port {
            OutputPort::Main => "main".to_owned(),
            OutputPort::Late => "late".to_owned(),
            OutputPort::Rejected => "rejected".to_owned(),
            OutputPort::Side(number) => format!("side {}", number + 1),
        },
        exchange,
        keys: keys.iter().map(|key| schema.field(*key).name().clone()).collect(),
    }
}
