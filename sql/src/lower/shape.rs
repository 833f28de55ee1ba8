//! From a [`Stream`] to nodes: the calculation that gathered is put into the graph, with the columns that its consumer
//! asks for and no others.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_core::hash::is_hashable;
use weir_core::{
    CalcSpec, Edge, Error, Exchange, Expr, JobGraph, NodeId, NodeSpec, OperatorSpec, OutputPort, Result,
    WindowAssignSpec, WindowKind,
};
use weir_functions::failure::values;

use super::changelog;
use super::order::in_order;
use super::stream::{Base, Lineage, Pending, Role, Stream, StreamColumn, conjunction, inline, timestamp};
use crate::parse::sql_type_name;

/// Nodes, and where in their output the expressions are that were asked for.
#[derive(Debug, Clone)]
pub(super) struct Shaped {
    pub nodes: Vec<NodeId>,
    pub columns: Vec<StreamColumn>,
    /// Column of each expression.
    pub positions: Vec<usize>,
}

/// An expression that a consumer needs as a column.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub expression: Expr,
    pub column: StreamColumn,
}

/// Schema of a node with these columns. Internal streams do not promise the absence of nulls.
pub(super) fn schema(columns: &[StreamColumn]) -> SchemaRef {
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Edges from nodes into input `ordinal`.
pub(super) fn edges(nodes: &[NodeId], ordinal: usize, exchange: Exchange) -> Vec<Edge> {
    nodes.iter().map(|from| Edge { from: *from, port: OutputPort::Main, ordinal, exchange: exchange.clone() }).collect()
}

/// Puts an operator into the graph.
///
/// # Errors
/// A user error if it cannot take what comes in.
pub(super) fn add(
    graph: &mut JobGraph,
    name: &str,
    operator: OperatorSpec,
    inputs: Vec<Edge>,
    columns: &[StreamColumn],
) -> Result<NodeId> {
    let spec = node(graph, name, operator, inputs, columns)?;
    Ok(graph.add(spec))
}

/// An operator with its inputs, to be put into the graph.
///
/// # Errors
/// A user error if it cannot take what comes in.
pub(super) fn node(
    graph: &JobGraph,
    name: &str,
    operator: OperatorSpec,
    inputs: Vec<Edge>,
    columns: &[StreamColumn],
) -> Result<NodeSpec> {
    inputs.iter().try_for_each(|input| check_keys(graph, input))?;
    let changelog = changelog::output_of(graph, name, &operator, &inputs)?;
    Ok(NodeSpec { changelog, ..NodeSpec::new(name, operator, inputs, schema(columns)) })
}

/// Refuses keys that rows cannot be spread by.
pub(super) fn check_keys(graph: &JobGraph, input: &Edge) -> Result<()> {
    let Exchange::Hash(columns) = &input.exchange else { return Ok(()) };
    let schema = graph.columns_over(input);
    columns.iter().try_for_each(|column| check_key(schema.field(*column).data_type()))
}

/// Refuses a type that rows cannot be spread or found by.
pub(super) fn check_key(data_type: &DataType) -> Result<()> {
    if is_hashable(data_type) {
        return Ok(());
    }
    Err(Error::user(format!(
        "a value of type {} cannot be a key, in GROUP BY, DISTINCT, PARTITION BY, the condition of a join or a PRIMARY KEY",
        sql_type_name(data_type)
    ))
    .with_help("name its fields or elements one by one, or CAST it to STRING"))
}

/// Makes what is pending real: window columns by an operator that assigns them, a row number by one that counts all rows.
///
/// # Errors
/// For sessions, which only an aggregation finds.
pub(super) fn settle(graph: &mut JobGraph, stream: Stream) -> Result<Stream> {
    let window = match &stream.pending {
        Pending::Nothing => return Ok(stream),
        Pending::Rank(rank) => return super::over::numbered(graph, &stream, rank),
        Pending::Window(window) => window.clone(),
    };
    if matches!(window.kind, WindowKind::Session { .. }) {
        return Err(super::window::session_without_aggregate());
    }
    let reads_pending = |predicate: &Expr| stream.reads_pending(predicate);
    let (before, after) = in_order(stream.predicates.clone(), &stream.columns_with_pending(), reads_pending);
    // Only base columns that are read behind the assignment have to be carried through it.
    let mut needed = vec![false; stream.columns.len() + 3];
    for expression in stream.projection.iter().chain(&after) {
        expression.visit_columns(&mut |column| needed[column] = true);
    }
    needed[window.time] = true;
    let wanted = columns_as_wanted(&stream, |column| needed[column]);
    let kept: Vec<usize> = (0..stream.columns.len()).filter(|column| needed[*column]).collect();
    let shaped = shape_base(graph, &stream.base, &stream.columns, before, wanted)?;
    let Shaped { nodes, mut columns, .. } = shaped;
    let position = |column: usize| kept.iter().position(|kept| *kept == column);
    let time = position(window.time).unwrap_or_default();
    let width = columns.len();
    for offset in 0..3 {
        let name = super::window::WINDOW_COLUMNS[offset];
        let role = stream.role(stream.columns.len() + offset);
        columns.push(StreamColumn { name: name.to_owned(), data_type: timestamp(), role });
    }
    let operator =
        OperatorSpec::WindowAssign(WindowAssignSpec { window: window.kind, time, lateness: window.lateness });
    let node = add(graph, "WindowAssign", operator, edges(&nodes, 0, Exchange::Forward), &columns)?;
    let remap = |expression: &Expr| {
        expression.replace_columns(&|column| {
            Expr::Column(position(column).unwrap_or_else(|| width + column - stream.columns.len()))
        })
    };
    Ok(Stream {
        base: Base::Nodes(vec![node]),
        pending: Pending::Nothing,
        predicates: after.iter().map(remap).collect(),
        projection: stream.projection.iter().map(remap).collect(),
        names: stream.names,
        types: stream.types,
        life: stream.life,
        broadcast: stream.broadcast,
        emission: stream.emission,
        columns,
    })
}

fn columns_as_wanted(stream: &Stream, needed: impl Fn(usize) -> bool) -> Vec<Wanted> {
    stream
        .columns
        .iter()
        .enumerate()
        .filter(|(index, _)| needed(*index))
        .map(|(index, column)| Wanted { expression: Expr::Column(index), column: column.clone() })
        .collect()
}

/// Nodes whose output has a column for each of `wanted`, which are over the stream's base, and no rows but those that
/// the stream keeps. Nothing may be pending.
///
/// # Errors
/// See [`settle`].
pub(super) fn shape(graph: &mut JobGraph, stream: Stream, wanted: Vec<Wanted>) -> Result<Shaped> {
    debug_assert!(matches!(stream.pending, Pending::Nothing), "settled before");
    shape_base(graph, &stream.base, &stream.columns, stream.predicates, wanted)
}

/// As [`shape`], with the predicates and the base given apart.
///
/// # Errors
/// See [`add`].
pub(super) fn shape_base(
    graph: &mut JobGraph,
    base: &Base,
    base_columns: &[StreamColumn],
    predicates: Vec<Expr>,
    wanted: Vec<Wanted>,
) -> Result<Shaped> {
    let (nodes, predicates) = nodes_of(graph, base, base_columns, predicates)?;
    let mut projection: Vec<Expr> = Vec::new();
    let mut columns: Vec<StreamColumn> = Vec::new();
    let mut positions = Vec::new();
    for item in wanted {
        let known = projection.iter().position(|expression| *expression == item.expression);
        positions.push(known.unwrap_or_else(|| {
            projection.push(item.expression);
            columns.push(item.column);
            projection.len() - 1
        }));
    }
    // The base serves as it is if all its columns are wanted, whatever their order.
    let all: Option<Vec<usize>> = projection
        .iter()
        .map(|expression| match expression {
            Expr::Column(column) => Some(*column),
            _ => None,
        })
        .collect();
    if let Some(all) = all.filter(|all| all.len() == base_columns.len() && predicates.is_empty()) {
        let positions = positions.into_iter().map(|position| all[position]).collect();
        return Ok(Shaped { nodes, columns: base_columns.to_vec(), positions });
    }
    let operator = OperatorSpec::Calc(CalcSpec { predicate: conjunction(predicates), projection });
    let node = add(graph, "Calc", operator, edges(&nodes, 0, Exchange::Forward), &columns)?;
    Ok(Shaped { nodes: vec![node], columns, positions })
}

/// Nodes whose output is just the stream's, column by column.
///
/// # Errors
/// See [`settle`].
pub(super) fn exact(graph: &mut JobGraph, stream: Stream) -> Result<(Vec<NodeId>, Vec<StreamColumn>)> {
    let stream = settle(graph, stream)?;
    let columns = stream.output();
    let (nodes, predicates) = nodes_of(graph, &stream.base, &stream.columns, stream.predicates.clone())?;
    let identity = stream.projection.len() == stream.columns.len()
        && stream.projection.iter().enumerate().all(|(index, expression)| *expression == Expr::Column(index));
    if identity && predicates.is_empty() {
        return Ok((nodes, columns));
    }
    let operator = OperatorSpec::Calc(CalcSpec { predicate: conjunction(predicates), projection: stream.projection });
    let node = add(graph, "Calc", operator, edges(&nodes, 0, Exchange::Forward), &columns)?;
    Ok((vec![node], columns))
}

/// The base as nodes; predicates that a source could take are gone from those that are left.
fn nodes_of(
    graph: &mut JobGraph,
    base: &Base,
    columns: &[StreamColumn],
    predicates: Vec<Expr>,
) -> Result<(Vec<NodeId>, Vec<Expr>)> {
    let (spec, clock, shared) = match base {
        Base::Nodes(nodes) => return Ok((nodes.clone(), predicates)),
        Base::Scan { spec, clock, shared } => (spec, *clock, *shared),
    };
    let own = columns.len() - usize::from(clock);
    let (into_source, left) = in_order(predicates, columns, |predicate| {
        let mut own_columns_only = true;
        predicate.visit_columns(&mut |column| own_columns_only &= column < own);
        shared || !own_columns_only
    });
    let mut spec = (**spec).clone();
    spec.filter = conjunction(into_source);
    let name = format!("Source({})", spec.table.name);
    // The connector promises what its declared columns say, computed ones promise nothing.
    let schema = match spec.projection {
        None => spec.table.output_schema(),
        Some(_) => schema(&columns[..own]),
    };
    let inputs = vec![graph.discover(&spec.table)];
    let operator = OperatorSpec::Source(spec);
    let changelog = changelog::output_of(graph, &name, &operator, &inputs)?;
    let mut node = graph.add(NodeSpec { changelog, ..NodeSpec::new(name, operator, inputs, schema) });
    if clock {
        node =
            add(graph, "ProcessingTime", OperatorSpec::ProcessingTime, edges(&[node], 0, Exchange::Forward), columns)?;
    }
    Ok((vec![node], left))
}

/// The stream with its calculation done in a node, so that its output can be read without computing it twice.
///
/// # Errors
/// See [`settle`].
pub(super) fn materialise(graph: &mut JobGraph, stream: Stream) -> Result<Stream> {
    let (life, broadcast, emission) = (stream.life, stream.broadcast, stream.emission);
    let (nodes, columns) = exact(graph, stream)?;
    Ok(Stream { life, broadcast, emission, ..Stream::of_nodes(nodes, columns) })
}

/// Puts a projection, given over the stream's output, behind it.
///
/// # Errors
/// See [`settle`].
pub(super) fn project(
    graph: &mut JobGraph,
    stream: Stream,
    projection: Vec<Expr>,
    names: Vec<String>,
    types: Vec<DataType>,
) -> Result<Stream> {
    let stream = materialise_if_costly(graph, stream, &projection)?;
    let projection = projection.iter().map(|expression| inline(expression, &stream.projection)).collect();
    Ok(Stream { projection, names, types, ..stream })
}

/// Puts conditions, given over the stream's output, behind it.
///
/// # Errors
/// See [`settle`].
pub(super) fn filter(graph: &mut JobGraph, stream: Stream, conditions: Vec<Expr>) -> Result<Stream> {
    // A condition on a computed column computes it once more, so it counts twice. That is the price where a column can fail:
    // it is then computed for the rows that the conditions let through.
    let types = |column: usize| stream.columns.get(column).map_or(DataType::Null, |column| column.data_type.clone());
    let mut stream = match stream.projection.iter().any(|expression| values(expression, &types).may_be_missing()) {
        true => stream,
        false => {
            let twice: Vec<Expr> = conditions.iter().chain(&conditions).cloned().collect();
            materialise_if_costly(graph, stream, &twice)?
        }
    };
    for condition in conditions {
        stream.predicates.push(inline(&condition, &stream.projection));
    }
    Ok(stream)
}

/// Computes the stream's output in a node of its own if one of `readers` would else compute something twice.
fn materialise_if_costly(graph: &mut JobGraph, stream: Stream, readers: &[Expr]) -> Result<Stream> {
    if !matches!(stream.pending, Pending::Nothing) {
        return Ok(stream);
    }
    let mut reads = vec![0usize; stream.projection.len()];
    for reader in readers {
        reader.visit_columns(&mut |column| reads[column] += 1);
    }
    let costly = stream
        .projection
        .iter()
        .zip(&reads)
        .any(|(expression, reads)| *reads > 1 && !matches!(expression, Expr::Column(_) | Expr::Literal(_)));
    if costly { materialise(graph, stream) } else { Ok(stream) }
}

/// Whether a role still holds for rows that leave when their window closes: the window itself does, a time inside it and any other window
/// of the rows may be behind the watermark by then.
pub(super) fn role_after_window(role: Role, closes: Lineage) -> Role {
    match role {
        Role::Window { lineage, .. } if lineage == closes => role,
        Role::Joined => role,
        Role::Plain | Role::Overruled | Role::Time { .. } | Role::Window { .. } => Role::Plain,
    }
}
