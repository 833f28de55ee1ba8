//! Conditions go down as far as they mean the same there, so that fewer rows are kept by what is above.
//!
//! In place of DataFusion's rule of that purpose, which sorts conditions by their cost, copies them from one side of a join to
//! the other (where -0.0 equals 0.0), and takes parts out of an OR: all of that evaluates conditions for rows that others
//! exclude. Here a condition that is [marked](crate::guards) goes by other conditions and by nodes that keep every row,
//! and stays behind those in front of it that stay. Any other goes everywhere that rows of its columns come from:
//!
//! | node | goes through it |
//! |---|---|
//! | filter, subquery, projection, union, window function | all, but not ahead of a condition that stays |
//! | join | what reads one side, unless that may be padded; of an inner join the rest becomes its condition |
//! | aggregation, row number | what reads keys only |
//! | UNNEST | what does not read the elements |

use std::collections::HashMap;
use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::logical_plan::{Aggregate, Join, JoinType, Projection, SubqueryAlias, Union, Unnest, Window};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Extension, Filter, LogicalPlan};
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

use crate::guards::marked;
use crate::rewrite::has_subquery;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct PushDownConditions;

impl OptimizerRule for PushDownConditions {
    fn name(&self) -> &str {
        "push_down_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Join(join) => into_join(join, Vec::new()),
            LogicalPlan::Filter(filter) => down(split_conjunction_owned(filter.predicate), filter.input),
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Conditions of a filter over `input`, as far down as one node lets them; the rule sees the result again.
fn down(conditions: Vec<Expr>, input: Arc<LogicalPlan>) -> Result<Transformed<LogicalPlan>> {
    match Arc::unwrap_or_clone(input) {
        LogicalPlan::Filter(below) => {
            let mut merged = split_conjunction_owned(below.predicate);
            for condition in conditions {
                if !merged.contains(&condition) {
                    merged.push(condition);
                }
            }
            let result = down(merged, below.input)?;
            Ok(Transformed::yes(result.data))
        }
        LogicalPlan::Projection(projection) => through_projection(conditions, projection),
        LogicalPlan::SubqueryAlias(alias) => through_alias(conditions, alias),
        LogicalPlan::Union(union) => through_union(conditions, union),
        LogicalPlan::Extension(extension) => through_extension(conditions, extension),
        LogicalPlan::Join(join) => into_join(join, conditions),
        LogicalPlan::Aggregate(aggregate) => through_aggregate(conditions, aggregate),
        LogicalPlan::Window(window) => through_window(conditions, window),
        LogicalPlan::Unnest(unnest) => through_unnest(conditions, unnest),
        other => Ok(Transformed::no(filtered(conditions, Arc::new(other)))),
    }
}

/// The plan behind these conditions.
fn filtered(conditions: Vec<Expr>, input: Arc<LogicalPlan>) -> LogicalPlan {
    match conjunction(conditions) {
        Some(predicate) => LogicalPlan::Filter(Filter::new(predicate, input)),
        None => Arc::unwrap_or_clone(input),
    }
}

/// The node as it comes to be over its input with the conditions that go, and behind those that stay.
fn split(
    (go, stay): (Vec<Expr>, Vec<Expr>),
    input: &Arc<LogicalPlan>,
    node: impl FnOnce(Arc<LogicalPlan>) -> Result<LogicalPlan>,
) -> Result<Transformed<LogicalPlan>> {
    let moved = !go.is_empty();
    let node = node(Arc::new(filtered(go, Arc::clone(input))))?;
    Ok(Transformed::new_transformed(filtered(stay, Arc::new(node)), moved))
}

/// Conditions that go through a node that keeps every row, and those that stay.
fn in_order(conditions: Vec<Expr>, goes: impl Fn(&Expr) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    let (mut go, mut stay): (Vec<Expr>, Vec<Expr>) = (Vec::new(), Vec::new());
    for condition in conditions {
        match goes(&condition) && (marked(&condition).is_none() || stay.is_empty()) {
            true => go.push(condition),
            false => stay.push(condition),
        }
    }
    (go, stay)
}

/// Conditions that go through a node that does not.
fn unmarked(conditions: Vec<Expr>, goes: impl Fn(&Expr) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    conditions.into_iter().partition(|condition| marked(condition).is_none() && goes(condition))
}

/// The conditions with each column replaced by what `by` has for it.
fn replaced(conditions: Vec<Expr>, by: &HashMap<Column, Expr>) -> Result<Vec<Expr>> {
    use datafusion_common::tree_node::{TransformedResult as _, TreeNode as _};
    let replace = |expr: Expr| {
        Ok(match &expr {
            Expr::Column(column) => match by.get(column) {
                Some(other) => Transformed::yes(other.clone()),
                None => Transformed::no(expr),
            },
            _ => Transformed::no(expr),
        })
    };
    conditions.into_iter().map(|condition| condition.transform_up(replace).data()).collect()
}

/// What each column of `schema` stands for.
fn columns_as(schema: &DFSchema, expressions: impl IntoIterator<Item = Expr>) -> HashMap<Column, Expr> {
    schema.columns().into_iter().zip(expressions.into_iter().map(Expr::unalias_nested).map(|expr| expr.data)).collect()
}

fn through_projection(conditions: Vec<Expr>, projection: Projection) -> Result<Transformed<LogicalPlan>> {
    let by = columns_as(&projection.schema, projection.expr.iter().cloned());
    let repeatable = |column: &Column| by.get(column).is_some_and(|expr| !expr.is_volatile() && !has_subquery(expr));
    let (go, stay) = in_order(conditions, |condition| {
        !has_subquery(condition) && condition.column_refs().into_iter().all(repeatable)
    });
    split((replaced(go, &by)?, stay), &projection.input, |input| {
        Projection::try_new_with_schema(projection.expr, input, projection.schema).map(LogicalPlan::Projection)
    })
}

fn through_alias(conditions: Vec<Expr>, alias: SubqueryAlias) -> Result<Transformed<LogicalPlan>> {
    let by = columns_as(&alias.schema, alias.input.schema().columns().into_iter().map(Expr::Column));
    let (go, stay) = in_order(conditions, |condition| !has_subquery(condition));
    split((replaced(go, &by)?, stay), &alias.input, |input| {
        SubqueryAlias::try_new(input, alias.alias).map(LogicalPlan::SubqueryAlias)
    })
}

fn through_union(conditions: Vec<Expr>, mut union: Union) -> Result<Transformed<LogicalPlan>> {
    let (go, stay) = in_order(conditions, |condition| !has_subquery(condition));
    if go.is_empty() {
        return Ok(Transformed::no(filtered(stay, Arc::new(LogicalPlan::Union(union)))));
    }
    for input in &mut union.inputs {
        let by = columns_as(&union.schema, input.schema().columns().into_iter().map(Expr::Column));
        *input = Arc::new(filtered(replaced(go.clone(), &by)?, Arc::clone(input)));
    }
    Ok(Transformed::yes(filtered(stay, Arc::new(LogicalPlan::Union(union)))))
}

/// A window function; DataFusion knows no other node of ours.
fn through_extension(conditions: Vec<Expr>, extension: Extension) -> Result<Transformed<LogicalPlan>> {
    let own = extension.node.prevent_predicate_push_down_columns();
    let inputs = extension.node.inputs();
    let [input] = inputs.as_slice() else {
        return Ok(Transformed::no(filtered(conditions, Arc::new(LogicalPlan::Extension(extension)))));
    };
    let input = Arc::new((*input).clone());
    let conditions = in_order(conditions, |condition| {
        !has_subquery(condition) && !condition.column_refs().iter().any(|column| own.contains(&column.name))
    });
    split(conditions, &input, |input| {
        let node =
            extension.node.with_exprs_and_inputs(extension.node.expressions(), vec![Arc::unwrap_or_clone(input)])?;
        Ok(LogicalPlan::Extension(Extension { node }))
    })
}

/// Whether a condition reads columns of `schema` and no others. One that reads none says something about the join as a whole.
fn reads_only(condition: &Expr, schema: &DFSchema) -> bool {
    let columns = condition.column_refs();
    !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column))
}

/// `conditions` on the rows of a join, and those of the join itself, to where they belong.
fn into_join(mut join: Join, conditions: Vec<Expr>) -> Result<Transformed<LogicalPlan>> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut own = Vec::new();
    // A condition of the join itself says nothing about rows of a side that is kept whole.
    let (from_left, from_right) = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => (true, true),
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => (false, true),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => (true, false),
        JoinType::Full => (false, false),
    };
    for condition in join.filter.take().map_or_else(Vec::new, split_conjunction_owned) {
        let free = marked(&condition).is_none() && !has_subquery(&condition);
        if free && from_left && reads_only(&condition, join.left.schema()) {
            left.push(condition);
        } else if free && from_right && reads_only(&condition, join.right.schema()) {
            right.push(condition);
        } else {
            own.push(condition);
        }
    }
    // One of the rows that come out says nothing about a side that may be padded.
    let (to_left, to_right) = match join.join_type {
        JoinType::Inner => (true, true),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
        JoinType::Full => (false, false),
    };
    let mut stay = Vec::new();
    let mut joins = false;
    for condition in conditions {
        let free = marked(&condition).is_none() && !has_subquery(&condition);
        if free && to_left && reads_only(&condition, join.left.schema()) {
            left.push(condition);
        } else if free && to_right && reads_only(&condition, join.right.schema()) {
            right.push(condition);
        } else if free && join.join_type == JoinType::Inner {
            joins = true;
            own.push(condition);
        } else {
            stay.push(condition);
        }
    }
    let moved = joins || !left.is_empty() || !right.is_empty();
    join.filter = conjunction(own);
    join.left = Arc::new(filtered(left, join.left));
    join.right = Arc::new(filtered(right, join.right));
    Ok(Transformed::new_transformed(filtered(stay, Arc::new(LogicalPlan::Join(join))), moved))
}

/// Values that are one key may be told apart by a condition: -0.0 and 0.0, and NaNs.
fn is_one_value(expr: &Expr, schema: &DFSchema) -> bool {
    use datafusion_expr::ExprSchemable as _;
    expr.get_type(schema).is_ok_and(|data_type| !data_type.is_floating() && !data_type.is_nested())
}

fn through_aggregate(conditions: Vec<Expr>, aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let keys = match aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        true => HashMap::new(),
        false => columns_as(&aggregate.schema, aggregate.group_expr.iter().cloned()),
    };
    let is_key = |column: &Column| keys.get(column).is_some_and(|key| is_one_value(key, schema));
    let (go, stay) = unmarked(conditions, |condition| {
        let columns = condition.column_refs();
        // A condition without a column may leave no row, and an aggregation without keys makes one of none.
        !columns.is_empty() && !has_subquery(condition) && columns.into_iter().all(is_key)
    });
    split((replaced(go, &keys)?, stay), &aggregate.input, |input| {
        Aggregate::try_new_with_schema(input, aggregate.group_expr, aggregate.aggr_expr, aggregate.schema)
            .map(LogicalPlan::Aggregate)
    })
}

fn through_window(conditions: Vec<Expr>, window: Window) -> Result<Transformed<LogicalPlan>> {
    let partitions = window.window_expr.iter().map(|expr| match expr.clone().unalias_nested().data {
        Expr::WindowFunction(function) => function.params.partition_by,
        _ => Vec::new(),
    });
    let partitions: Vec<Vec<Expr>> = partitions.collect();
    let schema = window.input.schema();
    let is_key = |column: &Column| {
        let key = Expr::Column(column.clone());
        is_one_value(&key, schema) && partitions.iter().all(|partition| partition.contains(&key))
    };
    let conditions = unmarked(conditions, |condition| {
        let columns = condition.column_refs();
        !columns.is_empty() && !has_subquery(condition) && columns.into_iter().all(is_key)
    });
    split(conditions, &window.input, |input| Window::try_new(window.window_expr, input).map(LogicalPlan::Window))
}

fn through_unnest(conditions: Vec<Expr>, unnest: Unnest) -> Result<Transformed<LogicalPlan>> {
    let is_element = |column: &Column| unnest.list_type_columns.iter().any(|(_, list)| list.output_column == *column);
    let is_kept = |column: &Column| !is_element(column) && unnest.input.schema().has_column(column);
    let conditions = unmarked(conditions, |condition| {
        let columns = condition.column_refs();
        unnest.struct_type_columns.is_empty()
            && !columns.is_empty()
            && !has_subquery(condition)
            && columns.into_iter().all(is_kept)
    });
    split(conditions, &unnest.input, |input| Ok(LogicalPlan::Unnest(Unnest { input, ..unnest.clone() })))
}
