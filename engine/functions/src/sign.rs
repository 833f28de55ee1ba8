//! `SIGN`: -1, 0 or 1 in the type of its argument, as in Flink. Floating-point numbers are left to DataFusion.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::definition::plan_error;

#[derive(Debug)]
struct Sign {
    of_floats: Arc<ScalarUDF>,
    signature: Signature,
}

/// In place of DataFusion's `signum`.
pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(Sign { of_floats: datafusion_functions::math::signum(), signature }))
}

impl PartialEq for Sign {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Sign {}

impl Hash for Sign {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Sign {
    fn name(&self) -> &str {
        "signum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [kept] if kept.is_signed_integer() || kept.is_floating() => Ok(vec![kept.clone()]),
            // One has to have its place before the point.
            [DataType::Decimal128(precision, scale)] if i16::from(*precision) > i16::from(*scale) => Ok(types.to_vec()),
            [other] if other.is_numeric() || other.is_null() => Ok(vec![DataType::Float64]),
            _ => plan_error("expected `SIGN(number)`"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [number] if !number.is_null() => Ok(number.clone()),
            _ => Ok(DataType::Float64),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(numbers)] if crate::arithmetic::is_exact(numbers.data_type()) => {
                signs(numbers).map(ColumnarValue::Array)
            }
            [ColumnarValue::Scalar(number)] if crate::arithmetic::is_exact(&number.data_type()) => {
                ScalarValue::try_from_array(&signs(&number.to_array()?)?, 0).map(ColumnarValue::Scalar)
            }
            _ => self.of_floats.invoke_with_args(args),
        }
    }
}

fn signs(numbers: &ArrayRef) -> Result<ArrayRef> {
    Ok(match numbers.data_type() {
        DataType::Int8 => Arc::new(numbers.as_primitive::<Int8Type>().unary::<_, Int8Type>(i8::signum)),
        DataType::Int16 => Arc::new(numbers.as_primitive::<Int16Type>().unary::<_, Int16Type>(i16::signum)),
        DataType::Int32 => Arc::new(numbers.as_primitive::<Int32Type>().unary::<_, Int32Type>(i32::signum)),
        DataType::Int64 => Arc::new(numbers.as_primitive::<Int64Type>().unary::<_, Int64Type>(i64::signum)),
        DataType::Decimal128(precision, scale) => {
            let one = 10_i128.pow(u32::try_from(*scale).unwrap_or_default());
            let signs =
                numbers.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(|value| value.signum() * one);
            Arc::new(signs.with_precision_and_scale(*precision, *scale)?)
        }
        other => return internal_err!("SIGN of {other}"),
    })
}
