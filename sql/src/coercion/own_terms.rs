//! Functions and constants as Weir has them, before any type is worked out: DataFusion's planner calls some functions by itself,
//! and makes constants of text in a layout that no column has.

use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::AnalyzerRule;
use weir_functions::in_own_terms;

use crate::rewrite;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct OwnTerms;

impl AnalyzerRule for OwnTerms {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions_of_plan(plan, |expr, _| in_own_terms(expr))
    }

    fn name(&self) -> &str {
        "own_terms"
    }
}
