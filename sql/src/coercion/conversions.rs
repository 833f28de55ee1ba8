//! Casts that Weir makes itself, in the form that the optimiser lets alone. It would move the casts of times to the other side of
//! a comparison, where a value is cut or out of range, and compute constants as Arrow does.

use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion_optimizer::AnalyzerRule;
use weir_functions::conversion::{Conversion, converts};

use crate::rewrite;

/// See the module's documentation. Runs behind the coercion, which adds casts.
#[derive(Debug)]
pub(crate) struct Conversions;

impl AnalyzerRule for Conversions {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions_of_plan(plan, own_conversions)
    }

    fn name(&self) -> &str {
        "conversions"
    }
}

/// The expression over columns of `schema` with a [`Conversion`] in the place of each cast that is Weir's.
///
/// # Errors
/// If a part of it has no type.
pub(crate) fn own_conversions(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| {
        let (operand, to, safe) = match expr {
            Expr::Cast(Cast { expr, field }) => (expr, field, false),
            Expr::TryCast(TryCast { expr, field }) => (expr, field, true),
            other => return Ok(Transformed::no(other)),
        };
        if !converts(&operand.get_type(schema)?, to.data_type()) {
            return Ok(Transformed::no(match safe {
                false => Expr::Cast(Cast { expr: operand, field: to }),
                true => Expr::TryCast(TryCast { expr: operand, field: to }),
            }));
        }
        let func = Conversion::function(to.data_type().clone(), safe);
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: vec![*operand] })))
    })
    .data()
}
