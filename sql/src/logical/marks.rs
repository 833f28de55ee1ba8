//! Mark joins: all rows of the left side, each with a mark that says whether the right side has a partner for it. DataFusion makes them
//! of `EXISTS` and `IN` next to `OR`. They come to two joins that exist: the rows with a partner, and those without one.

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, Result};
use datafusion_expr::{Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

use super::duplicates::free_name;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct MarksOfTwoJoins;

impl OptimizerRule for MarksOfTwoJoins {
    fn name(&self) -> &str {
        "marks_of_two_joins"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = plan else { return Ok(Transformed::no(plan)) };
        if join.join_type != JoinType::LeftMark {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        // A union tells its columns apart by name alone.
        let mut names: Vec<String> = Vec::new();
        for field in join.schema.fields() {
            let name = free_name(field.name(), |name| names.iter().any(|known| known == name));
            names.push(name);
        }
        let [with, without] = [(JoinType::LeftSemi, true), (JoinType::LeftAnti, false)]
            .map(|(join_type, mark)| marked(&join, join_type, mark, &names));
        let named = names.iter().zip(join.schema.iter()).map(|(name, (qualifier, field))| {
            Expr::Column(Column::new_unqualified(name)).alias_qualified(qualifier.cloned(), field.name())
        });
        LogicalPlanBuilder::from(with?)
            .union(without?)?
            .project(named.collect::<Vec<_>>())?
            .build()
            .map(Transformed::yes)
    }
}

/// The rows of the left side that such a join keeps, with their mark.
fn marked(join: &Join, join_type: JoinType, mark: bool, names: &[String]) -> Result<LogicalPlan> {
    let Join { left, right, on, filter, join_constraint, null_equality, .. } = join.clone();
    let kept = Join::try_new(left, right, on, filter, join_type, join_constraint, null_equality, false)?;
    let columns = kept.schema.columns().into_iter().map(Expr::Column).chain([lit(mark)]);
    let columns: Vec<Expr> = columns.zip(names).map(|(column, name)| column.alias(name)).collect();
    LogicalPlanBuilder::from(LogicalPlan::Join(kept)).project(columns)?.build()
}
