//! Operands in the form in which kernels can compare them by their bits ([`weir_functions::floats`]): so all NaNs are equal, and greater
//! than every number.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion_common::{Result, internal_err};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Literal;
use weir_core::hash::{canonical_keys, is_ambiguous};
use weir_functions::floats::canonical_scalar;

/// The operand as it is compared; itself where that makes no difference.
pub(super) fn canonical(operand: Arc<dyn PhysicalExpr>, input: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    if !is_ambiguous(&operand.data_type(input)?) {
        return Ok(operand);
    }
    if let Some(literal) = operand.downcast_ref::<Literal>() {
        return Ok(Arc::new(Literal::new(canonical_scalar(literal.value().clone()))));
    }
    Ok(Arc::new(Canonical(operand)))
}

#[derive(Debug)]
struct Canonical(Arc<dyn PhysicalExpr>);

impl PhysicalExpr for Canonical {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(match self.0.evaluate(batch)? {
            ColumnarValue::Array(array) => ColumnarValue::Array(canonical_keys(&array)),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(canonical_scalar(value)),
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(operand) => Ok(Arc::new(Self(operand))),
            None => internal_err!("a comparison without its operand"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Canonical {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for Canonical {}

impl Hash for Canonical {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
