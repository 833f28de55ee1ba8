//! A cast as a kernel: Weir's own where there is one, DataFusion's else.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Literal, cast, try_cast};
use weir_functions::conversion;

/// `operand` as `to`; what has no counterpart is null if `safe`.
pub(super) fn convert(
    operand: Arc<dyn PhysicalExpr>,
    input: &Schema,
    to: &DataType,
    safe: bool,
) -> Result<Arc<dyn PhysicalExpr>> {
    let from = operand.data_type(input)?;
    if let Some(constant) = operand.downcast_ref::<Literal>().filter(|_| from != *to) {
        // Functions look for constants, and would not see them behind a cast.
        if let Ok(value) = conversion::convert(&constant.value().to_array()?, to, safe) {
            return Ok(Arc::new(Literal::new(ScalarValue::try_from_array(&value, 0)?)));
        }
    }
    if conversion::converts(&from, to) {
        return Ok(Arc::new(Convert { operand, to: to.clone(), safe }));
    }
    let cast = if safe { try_cast } else { cast };
    cast(operand, input, to.clone())
}

#[derive(Debug, Eq)]
struct Convert {
    operand: Arc<dyn PhysicalExpr>,
    to: DataType,
    safe: bool,
}

impl PartialEq for Convert {
    fn eq(&self, other: &Self) -> bool {
        self.operand.eq(&other.operand) && self.to == other.to && self.safe == other.safe
    }
}

impl Hash for Convert {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operand.hash(state);
        (&self.to, self.safe).hash(state);
    }
}

impl Convert {
    fn name(&self) -> &'static str {
        if self.safe { "TRY_CAST" } else { "CAST" }
    }
}

impl fmt::Display for Convert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} AS {})", self.name(), self.operand, self.to)
    }
}

impl PhysicalExpr for Convert {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        Ok(self.safe || self.operand.nullable(input)?)
    }

    fn evaluate(&self, records: &RecordBatch) -> Result<ColumnarValue> {
        match self.operand.evaluate(records)? {
            ColumnarValue::Array(values) => {
                Ok(ColumnarValue::Array(conversion::convert(&values, &self.to, self.safe)?))
            }
            ColumnarValue::Scalar(value) => {
                let value = conversion::convert(&value.to_array()?, &self.to, self.safe)?;
                ScalarValue::try_from_array(&value, 0).map(ColumnarValue::Scalar)
            }
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.operand]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.as_slice() {
            [operand] => Ok(Arc::new(Self { operand: Arc::clone(operand), to: self.to.clone(), safe: self.safe })),
            _ => internal_err!("a cast has one operand"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name())?;
        self.operand.fmt_sql(f)?;
        write!(f, " AS {})", self.to)
    }
}
