//! The function `$as_it_is(cast)`: the cast as it is. DataFusion takes a cast away from one side of a comparison and casts the
//! constant on the other side instead, which is the same only where no two values become one and none has no counterpart:
//! `CAST(15.08 AS BIGINT) = 15` is true, and `15.08 = 15.00` is not. Other casts are hidden from it.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{DFSchema, Result, internal_err};
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

const NAME: &str = "$as_it_is";

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(AsItIs { signature: Signature::user_defined(Volatility::Immutable) })));

/// The expression, hidden if it is a cast of exact numbers that some value does not survive.
///
/// # Errors
/// If its operand has no type.
pub(super) fn hidden(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let (operand, to) = match &expr {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
        _ => return Ok(expr),
    };
    match (digits(&operand.get_type(schema)?), digits(to)) {
        (Some(from), Some(room)) if from.0 > room.0 || from.1 > room.1 => Ok(FUNCTION.call(vec![expr])),
        _ => Ok(expr),
    }
}

/// What is hidden, if something is.
pub(crate) fn revealed(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == NAME => call.args.first(),
        _ => None,
    }
}

/// Digits before and behind the point that a type of exact numbers has; of whole numbers in halves, so that the smaller of two types
/// has fewer, and none of them as many as a DECIMAL that it does not fit.
fn digits(data_type: &DataType) -> Option<(i32, i32)> {
    Some(match data_type {
        // 127, 32767, 2147483647 and 9223372036854775807 have 3, 5, 10 and 19 digits, and not all numbers with as many.
        DataType::Int8 => (5, 0),
        DataType::Int16 => (9, 0),
        DataType::Int32 => (19, 0),
        DataType::Int64 => (37, 0),
        DataType::Decimal128(precision, scale) => (2 * (i32::from(*precision) - i32::from(*scale)), i32::from(*scale)),
        _ => return None,
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsItIs {
    signature: Signature,
}

impl ScalarUDFImpl for AsItIs {
    fn name(&self) -> &str {
        NAME
    }

    /// The cast's: a column is called after what was written.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.last().map(|cast| cast.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("`{NAME}` is asked for its field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [cast] => Ok(Arc::new(Field::new(NAME, cast.data_type().clone(), cast.is_nullable()))),
            _ => internal_err!("`{NAME}` has one argument"),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.pop() {
            Some(cast) => Ok(cast),
            None => internal_err!("`{NAME}` has no argument"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_room_for_another() {
        use DataType::{Decimal128, Int8, Int32, Int64};
        let fits = |from: &DataType, to: &DataType| {
            let (from, room) = (digits(from).unwrap(), digits(to).unwrap());
            from.0 <= room.0 && from.1 <= room.1
        };
        for (from, to) in
            [(Int8, Int32), (Int64, Decimal128(19, 0)), (Int32, Decimal128(12, 2)), (Decimal128(9, 0), Int32)]
        {
            assert!(fits(&from, &to), "{from} to {to}");
        }
        for (from, to) in [
            (Int64, Int32),
            (Int64, Decimal128(18, 0)),
            (Decimal128(10, 0), Int32),
            (Decimal128(10, 2), Int64),
            (Decimal128(10, 2), Decimal128(10, 1)),
            (Decimal128(10, 2), Decimal128(9, 2)),
        ] {
            assert!(!fits(&from, &to), "{from} to {to}");
        }
    }
}
