//! Arithmetic of DECIMALs, before DataFusion makes operands of one type of it: precision and scale of a result follow from those of
//! the operands as they are, whole numbers among them. Beside a DOUBLE or FLOAT a DECIMAL is a DOUBLE.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use weir_functions::arithmetic::{Arithmetic, is_exact};

use super::written::double;

/// Whether `operator` makes one number of two.
pub(crate) fn is_arithmetic(operator: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(operator, Plus | Minus | Multiply | Divide | Modulo)
}

/// `left operator right`, exact if one of them is a DECIMAL and the other an exact number, too.
///
/// # Errors
/// If the operands cannot be converted.
pub(super) fn exact(left: Box<Expr>, operator: Operator, right: Box<Expr>, schema: &DFSchema) -> Result<Expr> {
    let unchanged = |left, right| Expr::BinaryExpr(BinaryExpr { left, op: operator, right });
    // What has no type yet is refused by the coercion that follows.
    let (Ok(of_left), Ok(of_right)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(unchanged(left, right));
    };
    let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..));
    if !is_decimal(&of_left) && !is_decimal(&of_right) {
        return Ok(unchanged(left, right));
    }
    if of_left.is_floating() || of_right.is_floating() {
        return Ok(unchanged(Box::new(as_double(*left, schema)?), Box::new(as_double(*right, schema)?)));
    }
    match Arithmetic::Binary(operator).function() {
        Some(func) if is_exact(&of_left) && is_exact(&of_right) => {
            Ok(Expr::ScalarFunction(ScalarFunction { func, args: vec![*left, *right] }))
        }
        _ => Ok(unchanged(left, right)),
    }
}

fn as_double(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::Literal(value, metadata) if matches!(value.data_type(), DataType::Decimal128(..)) => {
            Ok(Expr::Literal(double(&value), metadata))
        }
        other => other.cast_to(&DataType::Float64, schema),
    }
}
