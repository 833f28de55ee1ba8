//! Floating-point constants as they are compared. DataFusion works out what is constant, and would tell -0.0 from 0.0, which
//! are one value: so constants get the one representation of their value where they are compared, before DataFusion looks at them.

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::{Between, InList};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{BinaryExpr, Case, Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};
use weir_core::hash::is_ambiguous;
use weir_functions::floats::{canonical_scalar, compares_arguments};

use super::own_terms::literal_of;

/// The expression, whose types are known, with its constants in the form in which they can be compared by their bits.
///
/// # Errors
/// None that an expression can cause.
pub(crate) fn comparable_constants(expr: Expr) -> Result<Expr> {
    transformed(expr).data()
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ComparableConstants;

impl OptimizerRule for ComparableConstants {
    fn name(&self) -> &str {
        "comparable_constants"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            // A grouping set has no name of its own, and cannot get one.
            if matches!(expr, Expr::GroupingSet(_)) {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            Ok(transformed(expr)?.update_data(|expr| name.restore(expr)))
        })
    }
}

fn transformed(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|mut expr| {
        if let Some(equal) = null_if_equal(&expr) {
            return Ok(Transformed::yes(equal));
        }
        let mut changed = false;
        for operand in compared(&mut expr) {
            if let Some(value) = constant(operand) {
                let canonical = canonical_scalar(value.clone());
                if canonical != value {
                    *operand = Expr::Literal(canonical, None);
                    changed = true;
                }
            }
        }
        Ok(Transformed::new_transformed(expr, changed))
    })
}

/// Parts of the expression that are compared with each other.
fn compared(expr: &mut Expr) -> Vec<&mut Expr> {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom,
            right,
        }) => vec![left, right],
        Expr::Between(Between { expr, low, high, .. }) => vec![expr, low, high],
        Expr::InList(InList { expr, list, .. }) => list.iter_mut().chain([&mut **expr]).collect(),
        Expr::Case(Case { expr: Some(operand), when_then_expr, .. }) => {
            when_then_expr.iter_mut().map(|(when, _)| &mut **when).chain([&mut **operand]).collect()
        }
        Expr::ScalarFunction(call) if compares_arguments(call.func.name()) => call.args.iter_mut().collect(),
        _ => Vec::new(),
    }
}

/// What `NULLIF` of constants comes to, of which the first is the result as it is.
fn null_if_equal(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let ("nullif", [value, other]) = (call.func.name(), call.args.as_slice()) else { return None };
    let (value, other) = (constant(value)?, constant(other)?);
    let is_equal = !value.is_null() && canonical_scalar(value.clone()) == canonical_scalar(other);
    let result = if is_equal { ScalarValue::try_new_null(&value.data_type()).ok()? } else { value };
    Some(Expr::Literal(result, None))
}

/// The value of an expression that is constant, if several representations stand for one value of its type.
fn constant(expr: &Expr) -> Option<ScalarValue> {
    if !is_ambiguous(&expr.get_type(&DFSchema::empty()).ok()?) {
        return None;
    }
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        other => match literal_of(other)? {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        },
    }
}
