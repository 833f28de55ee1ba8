//! Functions with `OVER`.
//!
//! Where rows are only added, the order is that of a time attribute and frames end at the current row, what a function is for a row follows
//! from rows that come before it: rows come out as the watermark passes them, and stay. All else is computed by an operator whose
//! results change.

mod frame;
mod function;

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion_expr::{Expr as LogicalExpr, Window};
use weir_core::{
    Error, Exchange, Expr, FramedCall, FramedFunction, JobGraph, OperatorSpec, OverCall, OverFrame, OverFunction,
    OverRows, OverSpec, Ranking, Result, SortKey, UpdatingOverSpec,
};

use self::function::Function;
use super::life::{behind_clocks, length};
use super::shape::{Wanted, add, edges, settle, shape};
use super::stream::{Kept, Pending, PendingRank, Role, Stream, StreamColumn, Typed, WindowPart, inline, typed};
use super::{Lowering, call, changelog};
use crate::logical::ROW_NUMBER;

/// A function with `OVER`, over the stream's base.
struct Call {
    computed: Computed,
    frame: OverRows,
    argument: Option<Typed>,
    default: Option<Typed>,
    name: String,
    data_type: DataType,
}

/// What a call computes.
enum Computed {
    Known(FramedFunction),
    Aggregate(call::Call),
}

/// The partitions of calls, and the order of rows in them: expression, descending, nulls first.
struct Over {
    partition: Vec<Typed>,
    order: Vec<(Typed, bool, bool)>,
}

impl Lowering<'_> {
    /// The rows of the input, each with the results of functions with `OVER`.
    pub(super) fn over(&mut self, window: &Window) -> Result<Stream> {
        let input = self.relation(&window.input)?;
        let mut stream = settle(&mut self.graph, input)?;
        let schema = window.input.schema();
        let width = stream.projection.len();
        // The planner puts together what is sorted in the same way, whatever is the partition of it and what the order.
        let mut groups: Vec<(&WindowFunctionParams, Vec<usize>)> = Vec::new();
        let calls = window.window_expr.iter().map(window_function).collect::<Result<Vec<_>>>()?;
        for (index, call) in calls.iter().enumerate() {
            let params = &call.params;
            let same = |other: &&mut (&WindowFunctionParams, Vec<usize>)| {
                other.0.partition_by == params.partition_by && other.0.order_by == params.order_by
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.1.push(index),
                None => groups.push((params, vec![index])),
            }
        }
        let life = stream.life;
        let mut places = vec![0; calls.len()];
        let mut next = width;
        for (params, group) in groups {
            let over = Over::of(params, schema, &stream)?;
            let order = match over.order.as_slice() {
                [(key, ..)] => Some(key.data_type.clone()),
                _ => None,
            };
            let lowered = |index: &usize| {
                let (expression, call) = (&window.window_expr[*index], calls[*index]);
                Function::of(call).lowered(expression, call, order.as_ref(), (schema, &stream))
            };
            let lowered = group.iter().map(lowered).collect::<Result<Vec<_>>>()?;
            let kept = self.kept();
            let lives = &mut self.lives;
            let kept = || Kept { length: length(lives, kept.length, life), ..kept };
            stream = computed(&mut self.graph, stream, over, lowered, kept)?;
            for index in group {
                places[index] = next;
                next += 1;
            }
        }
        let order: Vec<usize> = (0..width).chain(places).collect();
        Ok(Stream {
            projection: order.iter().map(|column| stream.projection[*column].clone()).collect(),
            names: order.iter().map(|column| stream.names[*column].clone()).collect(),
            types: order.iter().map(|column| stream.types[*column].clone()).collect(),
            ..stream
        })
    }
}

/// The stream with the number of each row, which nothing limits.
///
/// # Errors
/// As for any operator.
pub(super) fn numbered(graph: &mut JobGraph, stream: &Stream, rank: &PendingRank) -> Result<Stream> {
    let over = Over { partition: rank.partition.clone(), order: rank.order.clone() };
    let call = Call {
        computed: Computed::Known(FramedFunction::Over(match rank.ranking {
            Ranking::RowNumber => OverFunction::RowNumber,
            Ranking::Rank => OverFunction::Rank,
            Ranking::DenseRank => OverFunction::DenseRank,
        })),
        frame: OverRows::ALL,
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
    let numbered = computed(graph, base, over, vec![call], || rank.kept)?;
    let projection = outputs.iter().map(|expression| inline(expression, &numbered.projection)).collect();
    Ok(Stream { projection, names, types, ..numbered })
}

/// Puts the operator behind `stream`, whose output it keeps, with a column for each call behind it. `kept`: how long it keeps partitions, if
/// it does not go by event time.
fn computed(
    graph: &mut JobGraph,
    stream: Stream,
    over: Over,
    calls: Vec<Call>,
    kept: impl FnOnce() -> Kept,
) -> Result<Stream> {
    let columns = stream.columns.clone();
    let time = over.time(&stream);
    let up_to_now = time.and_then(|_| calls.iter().map(Call::up_to_now).collect::<Option<Vec<_>>>());
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut sources: Vec<usize> = Vec::new();
    let carried = |column: usize| Wanted { expression: Expr::Column(column), column: columns[column].clone() };
    for expression in &stream.projection {
        expression.visit_columns(&mut |column| sources.push(column));
    }
    sources.extend(time.filter(|_| up_to_now.is_some()));
    sources.sort_unstable();
    sources.dedup();
    wanted.extend(sources.iter().map(|column| carried(*column)));
    let first_key = wanted.len();
    for (index, key) in over.partition.iter().enumerate() {
        wanted.push(key.clone().wanted(&format!("$key{index}"), &columns));
    }
    let first_order = wanted.len();
    for (index, (key, ..)) in over.order.iter().enumerate() {
        wanted.push(key.clone().wanted(&format!("$order{index}"), &columns));
    }
    let first_argument = wanted.len();
    for (index, call) in calls.iter().enumerate() {
        wanted.extend(call.inputs().map(|input| input.clone().wanted(&format!("$argument{index}"), &columns)));
    }
    let (projection, names, types) = (stream.projection.clone(), stream.names.clone(), stream.types.clone());
    let shaped = shape(graph, Stream { pending: Pending::Nothing, ..stream }, wanted)?;
    let position = |column: usize| sources.iter().position(|source| *source == column).map(|at| shaped.positions[at]);
    let partition = shaped.positions[first_key..first_order].to_vec();
    let order = over.sort_keys(&shaped.positions[first_order..first_argument]);
    let mut inputs = edges(&shaped.nodes, 0, Exchange::Hash(partition.clone()));
    let results: Vec<(String, DataType)> =
        calls.iter().map(|call| (call.name.clone(), call.data_type.clone())).collect();
    let mut positions = shaped.positions[first_argument..].iter().copied();
    let placed: Vec<FramedCall> = calls.into_iter().map(|call| call.placed(&mut positions, &shaped.columns)).collect();
    let waits = placed.iter().any(|call| matches!(call.function, FramedFunction::Over(OverFunction::Lead(1..))));
    let time = order.first().map(|key| key.column).unwrap_or_default();
    let retracts = changelog::may_retract(graph, &inputs);
    let (name, operator, mut output) = match up_to_now.filter(|_| !retracts) {
        Some(functions) => {
            let calls = placed.into_iter().zip(functions);
            let calls = calls.map(|(call, (function, frame))| over_call(call, function, frame)).collect();
            let output = behind_time(&shaped.columns, time, waits);
            ("Over", OperatorSpec::Over(OverSpec { partition, time, calls }), output)
        }
        None => {
            // Without partitions all rows are one, and are kept.
            let kept = (!partition.is_empty()).then(kept);
            let time_to_live = kept.and_then(|kept| kept.length);
            let output = shaped.columns.iter().map(behind_changes).collect();
            if time_to_live.is_some() && kept.is_some_and(|kept| kept.by_clock) {
                let clocked = behind_clocks(graph, shaped.clone())?;
                inputs = edges(&clocked.nodes, 0, Exchange::Hash(partition.clone()));
            }
            let spec = UpdatingOverSpec { partition, order, calls: placed, retracts, time_to_live };
            ("UpdatingOver", OperatorSpec::UpdatingOver(spec), output)
        }
    };
    let width = output.len();
    output.extend(results.iter().map(|(name, data_type)| StreamColumn::plain(name.clone(), data_type.clone())));
    let (result_names, result_types): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let node = add(graph, name, operator, inputs, &output)?;
    let carried = projection
        .iter()
        .map(|expression| expression.replace_columns(&|column| Expr::Column(position(column).unwrap_or(column))));
    Ok(Stream {
        projection: carried.chain((width..output.len()).map(Expr::Column)).collect(),
        names: names.into_iter().chain(result_names).collect(),
        types: types.into_iter().chain(result_types).collect(),
        ..Stream::of_nodes(vec![node], output)
    })
}

impl Over {
    fn of(params: &WindowFunctionParams, schema: &DFSchema, stream: &Stream) -> Result<Self> {
        let order = params.order_by.iter();
        Ok(Self {
            partition: params.partition_by.iter().map(|key| typed(key, schema, stream)).collect::<Result<_>>()?,
            order: order
                .map(|key| Ok((typed(&key.expr, schema, stream)?, !key.asc, key.nulls_first)))
                .collect::<Result<_>>()?,
        })
    }

    /// The time attribute that rows are ordered by, if it is one.
    fn time(&self, stream: &Stream) -> Option<usize> {
        match self.order.as_slice() {
            [(Typed { expression: Expr::Column(time), .. }, false, _)] if is_time(stream, *time) => Some(*time),
            _ => None,
        }
    }

    /// The order of columns at these places.
    fn sort_keys(&self, places: &[usize]) -> Vec<SortKey> {
        let key = |(column, (_, descending, nulls_first)): (&usize, &(Typed, bool, bool))| SortKey {
            column: *column,
            descending: *descending,
            nulls_first: *nulls_first,
        };
        places.iter().zip(&self.order).map(key).collect()
    }
}

impl Call {
    /// What it is where rows come out as time passes them; `None`: it is not known then.
    fn up_to_now(&self) -> Option<(OverFunction, OverFrame)> {
        match self.computed {
            Computed::Known(FramedFunction::Over(function)) => {
                Some((function, frame::up_to_now(function, self.frame)?))
            }
            Computed::Known(FramedFunction::NthPresent { number: 1, from_last: true })
                if self.frame == frame::BEFORE =>
            {
                Some((OverFunction::LastBefore, OverFrame::Range(None)))
            }
            _ => None,
        }
    }

    /// What it reads, in the order in which [`placed`](Self::placed) expects the columns.
    fn inputs(&self) -> impl Iterator<Item = &Typed> {
        let of_aggregate = match &self.computed {
            Computed::Aggregate(call) => Some(call.typed_inputs()),
            Computed::Known(_) => None,
        };
        self.argument.iter().chain(&self.default).chain(of_aggregate.into_iter().flatten())
    }

    fn placed(self, positions: &mut dyn Iterator<Item = usize>, columns: &[StreamColumn]) -> FramedCall {
        let argument = self.argument.and_then(|_| positions.next());
        let default = self.default.and_then(|_| positions.next());
        let function = match self.computed {
            Computed::Known(function) => function,
            Computed::Aggregate(call) => FramedFunction::Aggregate(call.placed(positions, columns)),
        };
        let (name, data_type) = (self.name, self.data_type);
        FramedCall { function, frame: self.frame, argument, default, name, data_type }
    }
}

fn over_call(call: FramedCall, function: OverFunction, frame: OverFrame) -> OverCall {
    let FramedCall { argument, default, name, data_type, .. } = call;
    OverCall { function, frame, argument, default, name, data_type }
}

/// The columns behind the operator that emits rows when time has passed them. Of several with the time only the one that rows are
/// ordered by is known to be behind the watermark.
fn behind_time(columns: &[StreamColumn], time: usize, waits: bool) -> Vec<StreamColumn> {
    let role = |(index, column): (usize, &StreamColumn)| match role_behind(column.role, columns[time].role, waits) {
        Role::Time { .. } if index != time => Role::Plain,
        role => role,
    };
    let columns = columns.iter().enumerate();
    columns.map(|(index, column)| StreamColumn { role: role((index, column)), ..column.clone() }).collect()
}

/// A column behind the operator whose rows come and go at any time.
fn behind_changes(column: &StreamColumn) -> StreamColumn {
    let role = if column.role == Role::Joined { Role::Joined } else { Role::Plain };
    StreamColumn { role, ..column.clone() }
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
