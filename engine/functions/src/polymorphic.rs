//! Functions of Weir's own whose arguments are of many types, or as many as are given.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::definition::plan_error;
use super::wrapped::OwnFunction;

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

impl OwnFunction for Polymorphic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn coerced(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.coerce)(types) {
            Some(coerced) => Ok(coerced),
            None => {
                let given: Vec<String> = types.iter().map(DataType::to_string).collect();
                plan_error(format!("expected `{}`, found arguments of {}", self.usage, given.join(", ")))
            }
        }
    }

    fn check(&self, _: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        (self.check)(constants)
    }

    fn returns(&self, types: &[DataType], _: &[Option<&ScalarValue>]) -> DataType {
        (self.returns)(types)
    }

    fn compute(&self, arguments: &[ColumnarValue], rows: usize, data_type: &DataType) -> Result<ArrayRef> {
        (self.compute)(arguments, rows, data_type)
    }
}
