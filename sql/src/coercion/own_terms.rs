//! Functions and constants as Weir has them, before any type is worked out: DataFusion's planner calls some functions by itself,
//! and makes constants of text in a layout that no column has.

use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult};
use datafusion_expr::LogicalPlan;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_optimizer::AnalyzerRule;
use weir_functions::in_own_terms;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct OwnTerms;

impl AnalyzerRule for OwnTerms {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            let plan = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(Transformed::yes(name.restore(in_own_terms(expr)?)))
            })?;
            Ok(Transformed::yes(plan.data.recompute_schema()?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "own_terms"
    }
}
