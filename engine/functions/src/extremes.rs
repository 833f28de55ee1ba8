//! `GREATEST` and `LEAST`: null if one of the values is, as in Flink. DataFusion's pass over nulls.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

/// Over another function.
#[derive(Debug)]
pub(super) struct NullIfAny(Arc<ScalarUDF>);

impl NullIfAny {
    pub(super) fn function(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self(function)))
    }
}

impl PartialEq for NullIfAny {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for NullIfAny {}

impl Hash for NullIfAny {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl ScalarUDFImpl for NullIfAny {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let field = self.0.return_field_from_args(args)?;
        Ok(Arc::new(Field::new(field.name(), field.data_type().clone(), nullable)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut nulls: Option<NullBuffer> = None;
        for value in &args.args {
            match value {
                ColumnarValue::Scalar(value) if value.is_null() => {
                    return ScalarValue::try_new_null(args.return_field.data_type()).map(ColumnarValue::Scalar);
                }
                ColumnarValue::Scalar(_) => {}
                ColumnarValue::Array(values) => {
                    nulls = NullBuffer::union(nulls.as_ref(), values.logical_nulls().as_ref());
                }
            }
        }
        let extreme = self.0.invoke_with_args(args)?;
        match (extreme, nulls) {
            (ColumnarValue::Array(values), Some(nulls)) if nulls.null_count() > 0 => {
                Ok(ColumnarValue::Array(crate::nulls::seen_through(&values, Some(&nulls))?))
            }
            (extreme, _) => Ok(extreme),
        }
    }
}
