//! Casts that Weir makes itself, in the form that the optimiser lets alone. It would move the casts of times to the other side of
//! a comparison, where a value is cut or out of range, and compute constants as Arrow does.
//!
//! One more keeps a type: the result of `ROUND(x, n)` has that of `x`, and would have another one once the optimiser finds out that `n` is
//! constant, behind the backs of those that read it.

use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion_optimizer::AnalyzerRule;
use weir_functions::conversion::{Conversion, converts, is_castable};

use super::own_terms::OF_PRECISION;
use super::refused_casts;
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
            Expr::ScalarFunction(call) if goes_by_a_column(&call) => {
                let call = Expr::ScalarFunction(call);
                let func = Conversion::function(call.get_type(schema)?, false);
                return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: vec![call] })));
            }
            other => return Ok(Transformed::no(other)),
        };
        let from = operand.get_type(schema)?;
        if !is_castable(&from, to.data_type()) {
            return Err(refused_casts::refused(&operand, &from, to.data_type()));
        }
        if !converts(&from, to.data_type()) {
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

/// Whether the type of its result would be another one if an argument were constant.
fn goes_by_a_column(call: &ScalarFunction) -> bool {
    OF_PRECISION.contains(&call.func.name()) && call.args.get(1).is_some_and(|precision| precision.any_column_refs())
}
