//! `ROW_NUMBER()`, `RANK()` and `DENSE_RANK() OVER (…)` with a limit: the first rows of each window, or of all that have come.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion_expr::{Expr as LogicalExpr, Window, WindowFunctionDefinition};
use weir_core::{
    BinaryOperator, Error, Exchange, Expr, Literal, LiteralValue, OperatorSpec, Ranking, Result, SortKey, TopNSpec,
    WindowTopNSpec,
};

use super::Lowering;
use super::changelog;
use super::shape::{Wanted, add, edges, role_after_window, settle, shape};
use super::stream::{
    Pending, PendingRank, Role, Stream, StreamColumn, Typed, inline, is_never_true, never_true, timestamp, typed,
};
use super::windowed::{end_of, window_of};
use crate::logical::ROW_NUMBER;

impl Lowering<'_> {
    /// The rows of the input, with the row number pending; other functions with `OVER` are computed at once.
    pub(super) fn ranked(&mut self, window: &Window) -> Result<Stream> {
        let [call] = window.window_expr.as_slice() else { return self.over(window) };
        let Some((call, ranking)) = ranking(call)? else { return self.over(window) };
        let input = self.relation(&window.input)?;
        let mut stream = settle(&mut self.graph, input)?;
        let schema = window.input.schema();
        let order = call
            .order_by
            .iter()
            .map(|sort| Ok((typed(&sort.expr, schema, &stream)?, !sort.asc, sort.nulls_first)))
            .collect::<Result<_>>()?;
        let partition = call.partition_by.iter().map(|key| typed(key, schema, &stream)).collect::<Result<_>>()?;
        stream.projection.push(Expr::Column(stream.columns.len()));
        stream.names.push(ROW_NUMBER.to_owned());
        stream.types.push(DataType::Int64);
        stream.pending = Pending::Rank(PendingRank { partition, order, ranking, kept: self.kept() });
        Ok(stream)
    }

    /// Keeps the first rows, as many as the conditions on the row number allow. The conditions are given over the
    /// stream's output; those that say more than the limit stay. `read`: the columns of the output that are read; `None`: all.
    pub(super) fn limited(
        &mut self,
        stream: Stream,
        conditions: &mut Vec<Expr>,
        read: Option<&BTreeSet<usize>>,
    ) -> Result<Stream> {
        let Pending::Rank(rank) = stream.pending.clone() else { return Ok(stream) };
        let number = stream.columns.len();
        let bound = |condition: &Expr| upper_bound(&inline(condition, &stream.projection), number);
        let name = name(rank.ranking);
        let limit = conditions.iter().filter_map(|condition| Some(bound(condition)?.0)).min();
        let Some(limit) = limit else {
            if conditions.iter().any(is_never_true) {
                return Err(never_true(&format!("the condition on {name}")));
            }
            return settle(&mut self.graph, stream);
        };
        conditions.retain(|condition| !matches!(bound(condition), Some((_, true))));
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0).ok_or_else(|| {
            Error::user(format!("no row has a {name} of {limit} or less")).with_help("they begin with 1")
        })?;
        let columns = stream.columns.clone();
        let keys: Vec<Expr> = rank.partition.iter().map(|key| key.expression.clone()).collect();
        let window = window_of(&keys, &columns);
        let window_end = window.as_ref().map(|window| end_of(window, &columns)).transpose()?;
        let mut wanted: Vec<Wanted> = Vec::new();
        for expression in &stream.projection {
            expression.visit_columns(&mut |column| {
                if column < number {
                    wanted.push(Wanted { expression: Expr::Column(column), column: columns[column].clone() });
                }
            });
        }
        let passed = wanted.len();
        if let Some(expression) = window_end.clone() {
            wanted.push(Typed { expression, data_type: timestamp() }.wanted("$window_end", &columns));
        }
        let first_key = wanted.len();
        for (index, key) in rank.partition.iter().enumerate() {
            wanted.push(key.clone().wanted(&format!("$key{index}"), &columns));
        }
        for (index, (key, ..)) in rank.order.iter().enumerate() {
            wanted.push(key.clone().wanted(&format!("$order{index}"), &columns));
        }
        let sources: Vec<Expr> = wanted.iter().map(|wanted| wanted.expression.clone()).collect();
        let input = Stream { pending: Pending::Nothing, ..stream.clone() };
        let shaped = shape(&mut self.graph, input, wanted)?;
        let keys = &shaped.positions[first_key..];
        let (partition, order) = keys.split_at(rank.partition.len());
        let order = order
            .iter()
            .zip(&rank.order)
            .map(|(column, (_, descending, nulls_first))| SortKey {
                column: *column,
                descending: *descending,
                nulls_first: *nulls_first,
            })
            .collect();
        let mut output: Vec<StreamColumn> = shaped
            .columns
            .iter()
            .map(|column| {
                // Without a window rows come and go at any time.
                let role = window.as_ref().map_or(Role::Plain, |window| role_after_window(column.role, window.lineage));
                StreamColumn { role, ..column.clone() }
            })
            .collect();
        let rank_column = output.len();
        // Conditions that stay read the number by way of the output.
        let reads_number = |column: usize| stream.reads_pending(&stream.projection[column]);
        let is_read = |column: usize| read.is_none_or(|read| read.contains(&column));
        let mut with_rank = (0..stream.projection.len()).any(|column| reads_number(column) && is_read(column));
        for condition in &*conditions {
            condition.visit_columns(&mut |column| with_rank |= reads_number(column));
        }
        if with_rank {
            output.push(StreamColumn::plain(ROW_NUMBER, DataType::Int64));
        }
        let inputs = edges(&shaped.nodes, 0, Exchange::Hash(partition.to_vec()));
        let partition = partition.to_vec();
        let node = if window_end.is_some() {
            let window_end = shaped.positions[passed];
            let spec = WindowTopNSpec { window_end, partition, order, limit, with_rank, ranking: rank.ranking };
            let node = add(&mut self.graph, "WindowTopN", OperatorSpec::WindowTopN(spec), inputs, &output)?;
            self.windowed.push(node);
            node
        } else {
            let retracts = changelog::may_retract(&self.graph, &inputs);
            let spec = TopNSpec {
                partition,
                order,
                limit,
                with_rank,
                retracts,
                time_to_live: None,
                ranking: rank.ranking,
                deletions: None,
            };
            let time_to_live = if spec.forgets() { self.length_of(stream.life) } else { None };
            let shaped = self.clocked(shaped.clone(), time_to_live.is_some())?;
            let inputs = edges(&shaped.nodes, 0, Exchange::Hash(spec.partition.clone()));
            let spec = TopNSpec { time_to_live, ..spec };
            add(&mut self.graph, "TopN", OperatorSpec::TopN(spec), inputs, &output)?
        };
        let place = |column: usize| {
            if column == number && !with_rank {
                // It is not read.
                return Expr::Literal(Literal { data_type: DataType::Int64, value: LiteralValue::Null });
            }
            if column == number {
                return Expr::Column(rank_column);
            }
            let index = sources.iter().position(|source| *source == Expr::Column(column));
            Expr::Column(index.map_or(column, |index| shaped.positions[index]))
        };
        let projection = stream.projection.iter().map(|expression| expression.replace_columns(&place)).collect();
        let (names, types) = (stream.names, stream.types);
        Ok(Stream { projection, names, types, ..Stream::of_nodes(vec![node], output) })
    }
}

/// The greatest row number that passes `condition`, if there is one, and whether all smaller ones pass too.
fn upper_bound(condition: &Expr, number: usize) -> Option<(i128, bool)> {
    let (operator, left, right) = match condition {
        Expr::Binary { operator: BinaryOperator::Or, left, right } => {
            let (left, right) = (upper_bound(left, number)?, upper_bound(right, number)?);
            return Some((left.0.max(right.0), false));
        }
        Expr::Binary { operator, left, right } => (operator, left, right),
        Expr::InList { operand, list, negated: false } if **operand == Expr::Column(number) => {
            let greatest = list.iter().map(whole_number).collect::<Option<Vec<_>>>()?.into_iter().max()?;
            return Some((greatest, false));
        }
        _ => return None,
    };
    let (operator, constant) = match (&**left, &**right) {
        (Expr::Column(column), constant) if *column == number => (*operator, constant),
        (constant, Expr::Column(column)) if *column == number => (mirrored(*operator)?, constant),
        _ => return None,
    };
    let constant = whole_number(constant)?;
    match operator {
        BinaryOperator::Eq => Some((constant, constant == 1)),
        BinaryOperator::LtEq => Some((constant, true)),
        BinaryOperator::Lt => Some((constant - 1, true)),
        _ => None,
    }
}

fn whole_number(constant: &Expr) -> Option<i128> {
    let Expr::Literal(constant) = constant else { return None };
    match constant.value {
        LiteralValue::Int(value) if constant.data_type.is_integer() => Some(i128::from(value)),
        LiteralValue::UInt(value) => Some(i128::from(value)),
        _ => None,
    }
}

fn mirrored(operator: BinaryOperator) -> Option<BinaryOperator> {
    match operator {
        BinaryOperator::Eq => Some(BinaryOperator::Eq),
        BinaryOperator::GtEq => Some(BinaryOperator::LtEq),
        BinaryOperator::Gt => Some(BinaryOperator::Lt),
        _ => None,
    }
}

/// The parameters of a function whose result a limit makes a Top-N of; `None`: it is another function.
fn ranking(call: &LogicalExpr) -> Result<Option<(&WindowFunctionParams, Ranking)>> {
    let call = match call {
        LogicalExpr::Alias(alias) => &*alias.expr,
        other => other,
    };
    let LogicalExpr::WindowFunction(call) = call else {
        return Err(Error::internal(format!("`{call}` is not a function with OVER")));
    };
    let WindowFunction { fun, params } = &**call;
    let WindowFunctionDefinition::WindowUDF(function) = fun else { return Ok(None) };
    let ranking = match function.name() {
        ROW_NUMBER => Ranking::RowNumber,
        "rank" => Ranking::Rank,
        "dense_rank" => Ranking::DenseRank,
        _ => return Ok(None),
    };
    // Frames and the treatment of nulls do not touch a row's number.
    if params.filter.is_some() || params.distinct || !params.args.is_empty() {
        return Err(Error::user(format!("{}() takes PARTITION BY and ORDER BY only", fun.to_string().to_uppercase())));
    }
    Ok(Some((params, ranking)))
}

fn name(ranking: Ranking) -> &'static str {
    match ranking {
        Ranking::RowNumber => "ROW_NUMBER()",
        Ranking::Rank => "RANK()",
        Ranking::DenseRank => "DENSE_RANK()",
    }
}
