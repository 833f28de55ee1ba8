//! `+ - * / %` and the minus in front, of whole numbers and DECIMALs. A result that has no place in its type is an error:
//! a wrapped one would look like a result.
//!
//! DataFusion's own operators wrap, also where it computes constants while it plans. So the planner turns arithmetic
//! into calls of these functions as long as DataFusion has the plan, and back afterwards.

mod decimals;
mod division;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric::{add, div, mul, neg, rem, sub};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use weir_core::BinaryOperator;

pub use decimals::{always_fits, digits};

/// Types whose arithmetic is exact, or an error.
pub fn is_exact(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Decimal128(..))
}

/// `left operator right`, which both are whole numbers of one type, or one of them a DECIMAL.
///
/// # Errors
/// Where a row has no result.
pub fn binary(operator: Operator, left: &ColumnarValue, right: &ColumnarValue) -> Result<ColumnarValue> {
    let kernel = |left: &dyn Datum, right: &dyn Datum| kernel(operator, left, right);
    Ok(match (left, right) {
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => ColumnarValue::Array(kernel(left, right)?),
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => {
            ColumnarValue::Array(kernel(left, &right.to_scalar()?)?)
        }
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => {
            ColumnarValue::Array(kernel(&left.to_scalar()?, right)?)
        }
        (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
            let result = kernel(&left.to_scalar()?, &right.to_scalar()?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        }
    })
}

fn kernel(operator: Operator, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let is_decimal = |side: &dyn Datum| matches!(side.get().0.data_type(), DataType::Decimal128(..));
    if is_decimal(left) || is_decimal(right) {
        return decimals::binary(operator, left, right);
    }
    match operator {
        Operator::Plus => add(left, right),
        Operator::Minus => sub(left, right),
        Operator::Multiply => mul(left, right),
        Operator::Divide => div(left, right),
        Operator::Modulo => rem(left, right),
        other => Err(ArrowError::InvalidArgumentError(format!("`{other}` is no arithmetic"))),
    }
}

/// The type of `left operator right`; `None` if there is none.
pub fn result_type(left: &DataType, operator: Operator, right: &DataType) -> Option<DataType> {
    let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..));
    if (is_decimal(left) || is_decimal(right))
        && let Some((left, right)) = digits(left).zip(digits(right))
        && let Some(result) = decimals::result_type(operator, left, right)
    {
        return Some(result);
    }
    BinaryTypeCoercer::new(left, &operator, right).get_result_type().ok()
}

/// `-operand` of an exact type.
///
/// # Errors
/// Where a row has no result.
pub fn negative(operand: &ColumnarValue) -> Result<ColumnarValue> {
    match operand {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(neg(array)?)),
        ColumnarValue::Scalar(scalar) => {
            ScalarValue::try_from_array(&neg(&scalar.to_array()?)?, 0).map(ColumnarValue::Scalar)
        }
    }
}

/// DataFusion's name of the operator.
pub fn operator(operator: BinaryOperator) -> Operator {
    match operator {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::And => Operator::And,
        BinaryOperator::Or => Operator::Or,
        BinaryOperator::IsDistinctFrom => Operator::IsDistinctFrom,
        BinaryOperator::IsNotDistinctFrom => Operator::IsNotDistinctFrom,
        BinaryOperator::RegexMatch => Operator::RegexMatch,
        BinaryOperator::RegexIMatch => Operator::RegexIMatch,
        BinaryOperator::RegexNotMatch => Operator::RegexNotMatch,
        BinaryOperator::RegexNotIMatch => Operator::RegexNotIMatch,
        BinaryOperator::BitwiseAnd => Operator::BitwiseAnd,
        BinaryOperator::BitwiseOr => Operator::BitwiseOr,
        BinaryOperator::BitwiseXor => Operator::BitwiseXor,
        BinaryOperator::BitwiseShiftLeft => Operator::BitwiseShiftLeft,
        BinaryOperator::BitwiseShiftRight => Operator::BitwiseShiftRight,
        BinaryOperator::StringConcat => Operator::StringConcat,
    }
}

/// Arithmetic that is a function for as long as DataFusion has the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// With two operands.
    Binary(Operator),
    /// The minus in front.
    Negative,
}

const OPERATORS: [(&str, Arithmetic); 6] = [
    ("$plus", Arithmetic::Binary(Operator::Plus)),
    ("$minus", Arithmetic::Binary(Operator::Minus)),
    ("$multiply", Arithmetic::Binary(Operator::Multiply)),
    ("$divide", Arithmetic::Binary(Operator::Divide)),
    ("$modulo", Arithmetic::Binary(Operator::Modulo)),
    ("$negative", Arithmetic::Negative),
];

static FUNCTIONS: LazyLock<Vec<(Arithmetic, Arc<ScalarUDF>)>> = LazyLock::new(|| {
    let function = |(name, arithmetic)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        (arithmetic, Arc::new(ScalarUDF::from(CheckedArithmetic { name, arithmetic, signature })))
    };
    OPERATORS.into_iter().map(function).collect()
});

impl Arithmetic {
    /// The function that computes it. It is not in the registry, as no query can name it.
    pub fn function(self) -> Option<Arc<ScalarUDF>> {
        FUNCTIONS.iter().find(|(arithmetic, _)| *arithmetic == self).map(|(_, function)| Arc::clone(function))
    }

    /// What the function of that name computes, if it is one of those.
    pub fn of_function(name: &str) -> Option<Self> {
        OPERATORS.into_iter().find(|(known, _)| *known == name).map(|(_, arithmetic)| arithmetic)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedArithmetic {
    name: &'static str,
    arithmetic: Arithmetic,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedArithmetic {
    fn name(&self) -> &str {
        self.name
    }

    /// The operator's: a column is called after what was written.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(match (self.arithmetic, args) {
            (Arithmetic::Binary(operator), [left, right]) => {
                format!("{} {operator} {}", left.schema_name(), right.schema_name())
            }
            (_, args) => args.iter().map(|operand| format!("(- {})", operand.schema_name())).collect(),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.arithmetic, types) {
            (Arithmetic::Binary(operator), [left, right]) => result_type(left, operator, right)
                .ok_or_else(|| DataFusionError::Plan(format!("there is no `{left} {operator} {right}`"))),
            (Arithmetic::Negative, [operand]) => Ok(operand.clone()),
            _ => Err(DataFusionError::Internal(format!("`{}` has {} operands", self.name, types.len()))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.arithmetic, args.args.as_slice()) {
            (Arithmetic::Binary(operator), [left, right]) => binary(operator, left, right),
            (Arithmetic::Negative, [operand]) => negative(operand),
            (_, operands) => Err(DataFusionError::Internal(format!("`{}` of {operands:?}", self.name))),
        }
    }
}

#[cfg(test)]
mod tests;
