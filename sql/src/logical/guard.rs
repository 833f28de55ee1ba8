//! Guards over a whole plan: its expressions get the form of [`crate::guards`], and of each filter and join the conditions
//! that can fail are marked, also where it is a column of a subquery below that can.
//!
//! Not marked is an equality that has to become the key of an inner join, or of a join whose `ON` it stands in: one between
//! columns of two relations, with no other key beside it and no condition before it, windows and times excepted.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult};
use datafusion_common::{DFSchema, ExprSchema as _, Result, TableReference};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{BinaryExpr, Expr, Filter, Join, JoinType, LogicalPlan, Operator};

use super::tables::ScannedTable;
use crate::catalog::ColumnSource;
use crate::guards::{Marker, Position, can_fail, conjuncts, guarded, mark};
use crate::rewrite;

/// Gives every expression of the plan, whose types stay as they are from now on, the form of [`crate::guards`].
///
/// # Errors
/// None that a user can cause.
pub(super) fn guarded_expressions(plan: LogicalPlan, marker: &Marker) -> Result<LogicalPlan> {
    rewrite::nodes_of_plan(plan, &|node| {
        let position = match node {
            LogicalPlan::Filter(_) | LogicalPlan::Join(_) => Position::Condition,
            _ => Position::Value,
        };
        rewrite::expressions_of_node(node, |expr, schema| guarded(expr, position, schema, marker))
    })
}

/// Marks the conditions that can fail of all filters and joins, once constants are known: a cast of one has not failed then.
///
/// # Errors
/// None that a user can cause.
pub(super) fn marked_conditions(plan: LogicalPlan, marker: &Marker) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        Ok(Transformed::yes(match plan {
            LogicalPlan::Filter(filter) => LogicalPlan::Filter(marked_filter(filter, marker)?),
            LogicalPlan::Join(join) => LogicalPlan::Join(marked_join(join, marker)),
            other => other,
        }))
    })
    .data()
}

fn marked_filter(filter: Filter, marker: &Marker) -> Result<Filter> {
    let schema = filter.input.schema();
    let fallible = fallible_columns(&filter.input);
    match marked(&filter.predicate, schema, &fallible, lacks_key(&filter.input), marker) {
        Some(predicate) => Filter::try_new(predicate, filter.input),
        None => Ok(filter),
    }
}

fn marked_join(mut join: Join, marker: &Marker) -> Join {
    let Some(condition) = &join.filter else { return join };
    let Ok(schema) = join.left.schema().join(join.right.schema()) else { return join };
    let fallible = [fallible_columns(&join.left), fallible_columns(&join.right)].concat();
    if let Some(condition) = marked(condition, &schema, &fallible, join.on.is_empty(), marker) {
        join.filter = Some(condition);
    }
    join
}

/// Whether rows come from an inner join that has no key by itself, as `FROM a, b` has none.
fn lacks_key(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let mut parts = Vec::new();
            join.filter.iter().for_each(|condition| conjuncts(condition, &mut parts));
            let keyed =
                !join.on.is_empty() || parts.iter().any(|part| is_key(part) && !is_about_times(part, &join.schema));
            !keyed || lacks_key(&join.left) || lacks_key(&join.right)
        }
        LogicalPlan::Projection(projection) => lacks_key(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => lacks_key(&alias.input),
        LogicalPlan::Filter(filter) => lacks_key(&filter.input),
        _ => false,
    }
}

/// The condition with a mark on each part that can fail, and on no other but an equality that is `wanted` as a key.
fn marked(condition: &Expr, schema: &DFSchema, fallible: &[bool], wanted: bool, marker: &Marker) -> Option<Expr> {
    let mut parts = Vec::new();
    conjuncts(condition, &mut parts);
    let fails = |part: &Expr| can_fail(part, schema) || reads(part, schema, fallible);
    let has_key = parts.iter().any(|part| is_key(part) && !fails(part) && !is_about_times(part, schema));
    let mut guarded = has_key || !wanted;
    let parts = parts.into_iter().map(|part| {
        let key = is_key(&part);
        let part = match fails(&part) && !has_subquery(&part) && (guarded || !key) {
            true => mark(part, marker),
            false => part,
        };
        guarded |= !key && !is_about_times(&part, schema);
        part
    });
    conjunction(parts.collect::<Vec<_>>())
}

/// Which columns of a plan are computed from expressions that can fail, and would be computed where they are read.
fn fallible_columns(plan: &LogicalPlan) -> Vec<bool> {
    let width = plan.schema().fields().len();
    let mut columns = match plan {
        LogicalPlan::Projection(projection) => {
            let below = fallible_columns(&projection.input);
            let schema = projection.input.schema();
            projection.expr.iter().map(|expr| can_fail(expr, schema) || reads(expr, schema, &below)).collect()
        }
        LogicalPlan::SubqueryAlias(alias) => fallible_columns(&alias.input),
        LogicalPlan::Filter(filter) => fallible_columns(&filter.input),
        LogicalPlan::Join(join) => {
            let [left, right] = [&join.left, &join.right].map(|side| fallible_columns(side));
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti => right,
                _ => [left, right].concat(),
            }
        }
        LogicalPlan::Union(union) => {
            union.inputs.iter().map(|input| fallible_columns(input)).fold(vec![false; width], |known, input| {
                known.iter().zip(input).map(|(known, fallible)| *known || fallible).collect()
            })
        }
        LogicalPlan::Extension(extension) => {
            extension.node.inputs().first().map_or_else(Vec::new, |input| fallible_columns(input))
        }
        LogicalPlan::TableScan(scan) => match scan.source.downcast_ref::<ScannedTable>() {
            Some(ScannedTable { table, .. }) => {
                let all: Vec<usize> = (0..table.columns.len()).collect();
                let schema = DFSchema::try_from(table.schema()).unwrap_or_else(|_| DFSchema::empty());
                let fails = |column: &usize| match &table.columns[*column].source {
                    ColumnSource::Computed(expr) => can_fail(expr, &schema),
                    _ => false,
                };
                scan.projection.as_ref().unwrap_or(&all).iter().map(fails).collect()
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    };
    columns.resize(width, false);
    columns
}

fn reads(expr: &Expr, schema: &DFSchema, columns: &[bool]) -> bool {
    let reads = |column| schema.index_of_column(column).is_ok_and(|index| columns.get(index) == Some(&true));
    expr.column_refs().into_iter().any(reads)
}

/// Whether the condition is an equality of what different relations hold.
fn is_key(part: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part else { return false };
    let relations = |side: &Expr| -> Vec<Option<TableReference>> {
        side.column_refs().into_iter().map(|column| column.relation.clone()).collect()
    };
    let (left, right) = (relations(left), relations(right));
    !left.is_empty() && !right.is_empty() && left.iter().all(|relation| !right.contains(relation))
}

fn is_about_times(part: &Expr, schema: &DFSchema) -> bool {
    let is_time = |column| schema.data_type(column).is_ok_and(|found| matches!(found, DataType::Timestamp(..)));
    part.column_refs().into_iter().all(is_time)
}

fn has_subquery(part: &Expr) -> bool {
    use datafusion_common::tree_node::TreeNode as _;
    let subquery = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    };
    part.exists(subquery).unwrap_or(true)
}
