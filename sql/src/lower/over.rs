//! Functions with `OVER`, where the order is that of a time attribute: what they are for a row follows from rows that come before it.

mod function;

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion_expr::{Expr as LogicalExpr, Window};
use weir_core::{
    Error, Exchange, Expr, JobGraph, OperatorSpec, OverCall, OverFrame, OverFunction, OverSpec, Ranking, Result,
};

use self::function::Function;
use super::Lowering;
use super::shape::{Wanted, add, edges, settle, shape};
use super::stream::{Pending, PendingRank, Role, Stream, StreamColumn, Typed, WindowPart, inline, typed};
use crate::logical::ROW_NUMBER;

/// A function with `OVER`, over the stream's base.
struct Call {
    function: OverFunction,
    frame: OverFrame,
    argument: Option<Typed>,
    default: Option<Typed>,
    name: String,
    data_type: DataType,
}

/// The order and the partitions of a call.
struct Over {
    partition: Vec<Typed>,
    time: usize,
}

impl Lowering<'_> {
    /// The rows of the input, each with the results of functions that have the same partitions and order.
    pub(super) fn over(&mut self, window: &Window) -> Result<Stream> {
        let input = self.relation(&window.input)?;
        let stream = settle(&mut self.graph, input)?;
        let schema = window.input.schema();
        let mut over = None;
        let mut calls = Vec::with_capacity(window.window_expr.len());
        for expression in &window.window_expr {
            let call = window_function(expression)?;
            let function = Function::of(call)?;
            let own = self::over(call, schema, &stream)?;
            over.get_or_insert(own);
            calls.push(function.lowered(expression, call, schema, &stream)?);
        }
        let over = over.ok_or_else(|| Error::internal("a node for functions with OVER has none"))?;
        computed(&mut self.graph, stream, over, calls)
    }
}

/// The stream with the number of each row, which nothing limits; `None` if the order is not that of time.
///
/// # Errors
/// As for any operator.
pub(super) fn numbered(graph: &mut JobGraph, stream: &Stream, rank: &PendingRank) -> Result<Option<Stream>> {
    let [(Typed { expression: Expr::Column(time), .. }, false, _)] = rank.order.as_slice() else { return Ok(None) };
    if !is_time(stream, *time) {
        return Ok(None);
    }
    let over = Over { partition: rank.partition.clone(), time: *time };
    let call = Call {
        function: match rank.ranking {
            Ranking::RowNumber => OverFunction::RowNumber,
            Ranking::Rank => OverFunction::Rank,
            Ranking::DenseRank => OverFunction::DenseRank,
        },
        frame: OverFrame::Range(None),
        argument: None,
        default: None,
        name: ROW_NUMBER.to_owned(),
        data_type: DataType::Int64,
    };
    // What has gathered behind the number reads it as the column behind those of the base.
    let outputs = stream.projection.clone();
    let (names, types) = (stream.names.clone(), stream.types.clone());
    let width = stream.columns.len();
    let base = Stream {
        pending: Pending::Nothing,
        projection: (0..width).map(Expr::Column).collect(),
        names: stream.columns.iter().map(|column| column.name.clone()).collect(),
        types: stream.columns.iter().map(|column| column.data_type.clone()).collect(),
        ..stream.clone()
    };
    let numbered = computed(graph, base, over, vec![call])?;
    let projection = outputs.iter().map(|expression| inline(expression, &numbered.projection)).collect();
    Ok(Some(Stream { projection, names, types, ..numbered }))
}

/// Puts the operator behind `stream`, whose output it keeps, with a column for each call behind it.
fn computed(graph: &mut JobGraph, stream: Stream, over: Over, calls: Vec<Call>) -> Result<Stream> {
    let columns = stream.columns.clone();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut sources: Vec<usize> = Vec::new();
    let carried = |column: usize| Wanted { expression: Expr::Column(column), column: columns[column].clone() };
    for expression in &stream.projection {
        expression.visit_columns(&mut |column| sources.push(column));
    }
    sources.push(over.time);
    sources.sort_unstable();
    sources.dedup();
    wanted.extend(sources.iter().map(|column| carried(*column)));
    let first_key = wanted.len();
    for (index, key) in over.partition.iter().enumerate() {
        wanted.push(key.clone().wanted(&format!("$key{index}"), &columns));
    }
    let first_argument = wanted.len();
    for (index, call) in calls.iter().enumerate() {
        let inputs = call.argument.iter().chain(&call.default);
        wanted.extend(inputs.map(|input| input.clone().wanted(&format!("$argument{index}"), &columns)));
    }
    let (projection, names, types) = (stream.projection.clone(), stream.names.clone(), stream.types.clone());
    let shaped = shape(graph, Stream { pending: Pending::Nothing, ..stream }, wanted)?;
    let position = |column: usize| sources.iter().position(|source| *source == column).map(|at| shaped.positions[at]);
    let time = position(over.time).ok_or_else(|| Error::internal("the time of OVER is lost"))?;
    let partition = shaped.positions[first_key..first_argument].to_vec();
    let mut inputs = shaped.positions[first_argument..].iter().copied();
    let waits = calls.iter().any(|call| matches!(call.function, OverFunction::Lead(distance) if distance > 0));
    let mut output: Vec<StreamColumn> = shaped
        .columns
        .iter()
        .map(|column| StreamColumn {
            role: role_behind(column.role, shaped.columns[time].role, waits),
            ..column.clone()
        })
        .collect();
    // Of several columns with the time only the one that rows are ordered by is known to be behind the watermark.
    for (index, column) in output.iter_mut().enumerate() {
        if index != time && matches!(column.role, Role::Time { .. }) {
            column.role = Role::Plain;
        }
    }
    let width = output.len();
    let mut placed = Vec::with_capacity(calls.len());
    for call in calls {
        let Call { function, frame, argument, default, name, data_type } = call;
        let argument = argument.and_then(|_| inputs.next());
        let default = default.and_then(|_| inputs.next());
        output.push(StreamColumn::plain(name.clone(), data_type.clone()));
        placed.push(OverCall { function, frame, argument, default, name, data_type });
    }
    let results = placed.iter().map(|call| (call.name.clone(), call.data_type.clone()));
    let (result_names, result_types): (Vec<_>, Vec<_>) = results.unzip();
    let inputs = edges(&shaped.nodes, 0, Exchange::Hash(partition.clone()));
    let count = placed.len();
    let operator = OperatorSpec::Over(OverSpec { partition, time, calls: placed });
    let node = add(graph, "Over", operator, inputs, &output)?;
    let carried = projection
        .iter()
        .map(|expression| expression.replace_columns(&|column| Expr::Column(position(column).unwrap_or(column))));
    Ok(Stream {
        projection: carried.chain((width..width + count).map(Expr::Column)).collect(),
        names: names.into_iter().chain(result_names).collect(),
        types: types.into_iter().chain(result_types).collect(),
        ..Stream::of_nodes(vec![node], output)
    })
}

/// What a column is to event time behind the operator. A row comes out when the watermark passes its time; it may wait for others.
fn role_behind(role: Role, order: Role, waits: bool) -> Role {
    match (role, order) {
        (Role::Joined, _) => Role::Joined,
        _ if waits => Role::Plain,
        (Role::Time { .. }, Role::Time { .. }) => role,
        (Role::Window { lineage, .. }, Role::Window { lineage: of_order, .. }) if lineage == of_order => role,
        _ => Role::Plain,
    }
}

fn is_time(stream: &Stream, column: usize) -> bool {
    matches!(stream.role(column), Role::Time { .. } | Role::Window { part: WindowPart::Time, .. })
}

fn window_function(expression: &LogicalExpr) -> Result<&WindowFunction> {
    let call = match expression {
        LogicalExpr::Alias(alias) => &*alias.expr,
        other => other,
    };
    match call {
        LogicalExpr::WindowFunction(call) => Ok(call),
        _ => Err(Error::internal(format!("`{call}` is not a function with OVER"))),
    }
}

fn over(call: &WindowFunction, schema: &DFSchema, stream: &Stream) -> Result<Over> {
    let WindowFunctionParams { partition_by, order_by, .. } = &call.params;
    let name = call.fun.name().to_uppercase();
    let partition = partition_by.iter().map(|key| typed(key, schema, stream)).collect::<Result<_>>()?;
    let [key] = order_by.as_slice() else {
        let what = if order_by.is_empty() { "without ORDER BY" } else { "in an order of several columns" };
        return Err(Error::user(format!("`{name}(…) OVER (…)` {what} would have to wait for the end of the stream, and is not supported"))
            .with_help(
                "order by the time attribute of the table, the column of its WATERMARK, as in `OVER (PARTITION BY k ORDER BY ts)`; or \
                 join the table with an aggregation of it",
            ));
    };
    let time = match typed(&key.expr, schema, stream)?.expression {
        Expr::Column(column) if key.asc && is_time(stream, column) => Some(column),
        _ => None,
    };
    let time = time.ok_or_else(|| {
        Error::user(format!("`{name}(…) OVER (…)` has to be ordered by a time attribute, ascending")).with_help(
            "a time attribute is the column of the table's WATERMARK as it is, or `window_time`; behind a join, an aggregation or LEAD it \
             is one no longer. The first rows in any order are `ROW_NUMBER() OVER (…) AS rn … WHERE rn <= 3`",
        )
    })?;
    Ok(Over { partition, time })
}
