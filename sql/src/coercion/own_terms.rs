//! Functions and constants as Weir has them, before any type is worked out: DataFusion's planner calls some functions by itself,
//! makes constants of text in a layout that no column has, and BIGINTs of all whole numbers ([`super::written`]). A constant that the
//! type of a function's result goes by is worked out here: `ROUND(price, 1 + 1)` has the type of `ROUND(price, 2)` from the start.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion_optimizer::AnalyzerRule;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use weir_functions::in_own_terms;

use super::written::written_numbers;
use crate::rewrite;

/// The expression with Weir's functions and constants.
///
/// # Errors
/// None that an expression can cause.
pub(crate) fn own_terms(expr: Expr) -> Result<Expr> {
    in_own_terms(written_numbers(expr)?)?.transform_up(|expr| Ok(with_known_precision(expr))).data()
}

/// Functions whose second argument says how many decimals the result has.
pub(super) const OF_PRECISION: [&str; 3] = ["round", "to_timestamp_ltz", "trunc"];

/// The call with a literal for its precision, if that is constant: a BIGINT, which no coercion hides behind a cast.
fn with_known_precision(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(mut call) if OF_PRECISION.contains(&call.func.name()) => {
            let Some(precision) = call.args.get_mut(1) else { return Transformed::no(Expr::ScalarFunction(call)) };
            if let Some(literal) = literal_of(precision) {
                *precision = literal;
            }
            if let Expr::Literal(value @ ScalarValue::Int32(_), _) = precision
                && let Ok(wide) = value.cast_to(&DataType::Int64)
            {
                *value = wide;
            }
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}

/// What an expression comes to that is no literal and yet constant. One that fails does so where it is evaluated.
pub(crate) fn literal_of(expr: &Expr) -> Option<Expr> {
    let is_open = expr.any_column_refs() || expr.is_volatile() || matches!(expr, Expr::Literal(..));
    if is_open {
        return None;
    }
    let schema = Arc::new(DFSchema::empty());
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(&schema)).build());
    let simple = simplifier.simplify(simplifier.coerce(expr.clone(), &schema).ok()?).ok()?;
    matches!(simple, Expr::Literal(..)).then_some(simple)
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct OwnTerms;

impl AnalyzerRule for OwnTerms {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::nodes_of_plan(plan, &|node| match node {
            // Their columns have the types of what stands in them.
            LogicalPlan::Values(values) => {
                let rows = values.values.into_iter().map(|row| row.into_iter().map(own_terms).collect());
                LogicalPlanBuilder::values(rows.collect::<Result<_>>()?)?.build()
            }
            node => rewrite::expressions_of_node(node, |expr, _| own_terms(expr)),
        })
    }

    fn name(&self) -> &str {
        "own_terms"
    }
}
