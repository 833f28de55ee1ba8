//! DataFusion's rule that makes inner joins of cross joins and a filter, kept from plans with a join in which NULL equals NULL:
//! of nested joins it keeps the outermost one's treatment of nulls, and loses that of the others. Lowering refuses such a
//! join, which it could not if it looked like any other. Nor from plans with a join whose right side is made of versions, which stays where it
//! is.

use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{NullEquality, Result};
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

use super::versions::versions_of;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct JoinsOfCrossJoins(EliminateCrossJoin);

impl OptimizerRule for JoinsOfCrossJoins {
    fn name(&self) -> &str {
        "joins_of_cross_joins"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut keeps_order = false;
        plan.apply_with_subqueries(|node| {
            keeps_order |= matches!(node, LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull)
                || versions_of(node).is_some();
            Ok(if keeps_order { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if keeps_order { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}
