//! Functions and constants as Weir has them, before any type is worked out: DataFusion's planner calls some functions by itself,
//! makes constants of text in a layout that no column has, and BIGINTs of all whole numbers ([`super::written`]).

use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::AnalyzerRule;
use weir_functions::in_own_terms;

use super::written::written_numbers;
use crate::rewrite;

/// The expression with Weir's functions and constants.
///
/// # Errors
/// None that an expression can cause.
pub(crate) fn own_terms(expr: Expr) -> Result<Expr> {
    in_own_terms(written_numbers(expr)?)
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct OwnTerms;

impl AnalyzerRule for OwnTerms {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions_of_plan(plan, |expr, _| own_terms(expr))
    }

    fn name(&self) -> &str {
        "own_terms"
    }
}
