//! Weir's own functions as DataFusion calls them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::nulls::without_hidden;

/// A function of Weir's own.
pub(super) trait OwnFunction: fmt::Debug + Send + Sync + 'static {
    /// Its name, in lower case, which no other has.
    fn name(&self) -> &'static str;

    /// What arguments of these types are converted to.
    ///
    /// # Errors
    /// If they do not fit.
    fn coerced(&self, types: &[DataType]) -> Result<Vec<DataType>>;

    /// Refuses what can never work, when the query is planned: types that arguments are converted to, and those arguments
    /// that are constant.
    ///
    /// # Errors
    /// If the call can never work.
    fn check(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()>;

    /// Type of the result, given the same.
    fn returns(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> DataType;

    /// Computes so many results of that type. Arrays, maps and rows hide nothing behind nulls.
    ///
    /// # Errors
    /// If a row has no result.
    fn compute(&self, arguments: &[ColumnarValue], rows: usize, data_type: &DataType) -> Result<ArrayRef>;
}

/// The function for DataFusion.
pub(super) fn wrapped(function: impl OwnFunction, volatility: Volatility) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Wrapped { function, signature: Signature::user_defined(volatility) }))
}

#[derive(Debug)]
struct Wrapped<F> {
    function: F,
    signature: Signature,
}

impl<F: OwnFunction> PartialEq for Wrapped<F> {
    fn eq(&self, other: &Self) -> bool {
        self.function.name() == other.function.name()
    }
}

impl<F: OwnFunction> Eq for Wrapped<F> {}

impl<F: OwnFunction> Hash for Wrapped<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name().hash(state);
    }
}

impl<F: OwnFunction> ScalarUDFImpl for Wrapped<F> {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(self.function.returns(types, &[]))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        self.function.check(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(self.name(), self.function.returns(&types, args.scalar_arguments), true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerced(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        for argument in &mut args.args {
            if argument.data_type().is_nested() {
                *argument = ColumnarValue::Array(without_hidden(&argument.to_array(rows)?)?);
            }
        }
        let result = self.function.compute(&args.args, rows, args.return_field.data_type())?;
        if constant {
            return ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(result))
    }
}
