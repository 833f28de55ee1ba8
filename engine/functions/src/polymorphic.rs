//! Functions of Weir's own whose arguments are of many types, or as many as are given.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::definition::plan_error;
use super::nulls::without_hidden;

/// A function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polymorphic {
    /// Its name, in lower case.
    pub name: &'static str,
    /// How it is called, for errors.
    pub usage: &'static str,
    /// What arguments of these types are converted to; nothing if they do not fit.
    pub coerce: fn(&[DataType]) -> Option<Vec<DataType>>,
    /// Type of the result, given the types that arguments are converted to.
    pub returns: fn(&[DataType]) -> DataType,
    /// Refuses constant arguments that can never work, when the query is planned.
    pub check: fn(&[Option<&ScalarValue>]) -> Result<()>,
    /// Computes so many results of that type. Arrays, maps and rows hide nothing behind nulls.
    pub compute: fn(&[ColumnarValue], usize, &DataType) -> Result<ArrayRef>,
}

/// Nothing to be checked.
pub(super) fn unchecked(_: &[Option<&ScalarValue>]) -> Result<()> {
    Ok(())
}

impl Polymorphic {
    /// The function of the definition.
    pub(super) fn function(self) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Function { definition: self, signature }))
    }
}

#[derive(Debug)]
struct Function {
    definition: Polymorphic,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.definition.returns)(types))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        (self.definition.check)(args.scalar_arguments)?;
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), (self.definition.returns)(&types), true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.definition.coerce)(types) {
            Some(coerced) => Ok(coerced),
            None => {
                let given: Vec<String> = types.iter().map(DataType::to_string).collect();
                plan_error(format!("expected `{}`, found arguments of {}", self.definition.usage, given.join(", ")))
            }
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        for argument in &mut args.args {
            if argument.data_type().is_nested() {
                *argument = ColumnarValue::Array(without_hidden(&argument.to_array(rows)?)?);
            }
        }
        let result = (self.definition.compute)(&args.args, rows, args.return_field.data_type())?;
        if constant {
            return ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(result))
    }
}
