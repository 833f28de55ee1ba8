//! Outer joins with a side that has exactly one row, as an aggregate without keys has. No row is ever without a partner there but for the
//! moment in which that one row is replaced, so they are inner joins: an outer one would show nulls in between that no rows give.

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Expr, Join, JoinType, LogicalPlan};
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct JoinsWithOneRow;

impl OptimizerRule for JoinsWithOneRow {
    fn name(&self) -> &str {
        "joins_with_one_row"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Join(join)
                if join.join_type == JoinType::Left && is_cross_join(&join) && has_exactly_one_row(&join.right) =>
            {
                // The schema stays: what is above knows its columns as ones that may be null.
                Ok(Transformed::yes(LogicalPlan::Join(Join { join_type: JoinType::Inner, ..join })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_cross_join(join: &Join) -> bool {
    let is_true = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    join.on.is_empty() && join.filter.as_ref().is_none_or(is_true)
}

fn has_exactly_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => has_exactly_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_exactly_one_row(&alias.input),
        _ => false,
    }
}
