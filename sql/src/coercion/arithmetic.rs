//! Arithmetic of DECIMALs, before DataFusion makes operands of one type of it: precision and scale of a result follow from those of
//! the operands as they are, whole numbers among them. Beside a DOUBLE or FLOAT a DECIMAL is a DOUBLE.
//! A remainder of whole numbers has the type of the divisor, which has room for it.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Cast, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast};
use weir_functions::arithmetic::{Arithmetic, is_exact};

use super::written::double;

/// Whether `operator` makes one number of two.
pub(crate) fn is_arithmetic(operator: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(operator, Plus | Minus | Multiply | Divide | Modulo)
}

/// Whether both are types of whole numbers, and the first has less room.
fn is_narrower(one: &DataType, other: &DataType) -> bool {
    let both = one.is_signed_integer() && other.is_signed_integer();
    both && one.primitive_width() < other.primitive_width()
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
    if operator == Operator::Modulo && is_narrower(&of_right, &of_left) {
        return Ok(cast(unchanged(left, right), of_right));
    }
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

/// A remainder in the type that it was computed in, for where it is but compared.
pub(super) fn without_narrowing(expr: Expr, schema: &DFSchema) -> Expr {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return expr };
    let narrows = match &*inner {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Modulo, right }) => {
            let types = (right.get_type(schema), left.get_type(schema));
            matches!(types, (Ok(right), Ok(left)) if is_narrower(&right, &left) && right == *field.data_type())
        }
        _ => false,
    };
    if narrows { *inner } else { Expr::Cast(Cast { expr: inner, field }) }
}

fn as_double(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::Literal(value, metadata) if matches!(value.data_type(), DataType::Decimal128(..)) => {
            Ok(Expr::Literal(double(&value), metadata))
        }
        other => other.cast_to(&DataType::Float64, schema),
    }
}
