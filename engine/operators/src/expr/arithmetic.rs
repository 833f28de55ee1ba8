//! Arithmetic of whole numbers and DECIMALs, where what does not fit is an error. See [`weir_functions::arithmetic`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{Result, internal_err};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use weir_functions::arithmetic::{Arithmetic, binary, negative, result_type};

use super::convert::convert;

type Kernel = Arc<dyn PhysicalExpr>;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Exact {
    pub arithmetic: Arithmetic,
    pub operands: Vec<Arc<dyn PhysicalExpr>>,
}

/// Gives DECIMALs that meet one type. The planner has done so; but graphs of earlier versions go by the types that the results of
/// arithmetic had then, which are those of what they meet.
pub(super) fn align<'a>(parts: impl Iterator<Item = &'a mut Kernel>, input: &Schema) -> Result<()> {
    let mut decimals = Vec::new();
    for part in parts {
        let data_type = part.data_type(input)?;
        if matches!(data_type, DataType::Decimal128(..)) {
            decimals.push((part, data_type));
        }
    }
    let computed = |part: &Kernel| part.downcast_ref::<Exact>().is_some();
    let given = decimals.iter().find(|(part, _)| !computed(part)).or(decimals.first());
    let Some(wanted) = given.map(|(_, data_type)| data_type.clone()) else { return Ok(()) };
    for (part, _) in decimals.into_iter().filter(|(part, data_type)| *data_type != wanted && computed(part)) {
        *part = convert(part.clone(), input, &wanted, false)?;
    }
    Ok(())
}

impl PhysicalExpr for Exact {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        match (self.arithmetic, self.operands.as_slice()) {
            (Arithmetic::Binary(operator), [left, right]) => {
                let (left, right) = (left.data_type(schema)?, right.data_type(schema)?);
                match result_type(&left, operator, &right) {
                    Some(result) => Ok(result),
                    None => internal_err!("{left} {operator} {right}"),
                }
            }
            (Arithmetic::Negative, [operand]) => operand.data_type(schema),
            _ => internal_err!("{:?} of {} operands", self.arithmetic, self.operands.len()),
        }
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        match (self.arithmetic, self.operands.as_slice()) {
            (Arithmetic::Binary(operator), [left, right]) => {
                binary(operator, &left.evaluate(batch)?, &right.evaluate(batch)?)
            }
            (_, [operand]) => negative(&operand.evaluate(batch)?),
            _ => internal_err!("{:?} of {} operands", self.arithmetic, self.operands.len()),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.operands.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, operands: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { arithmetic: self.arithmetic, operands }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Arc<dyn PhysicalExpr>| {
            if operand.downcast_ref::<Self>().is_none() {
                return operand.fmt_sql(f);
            }
            write!(f, "(")?;
            operand.fmt_sql(f)?;
            write!(f, ")")
        };
        match (self.arithmetic, self.operands.as_slice()) {
            (Arithmetic::Binary(operator), [left, right]) => {
                operand(f, left)?;
                write!(f, " {operator} ")?;
                operand(f, right)
            }
            (_, operands) => {
                write!(f, "-")?;
                operands.iter().try_for_each(|one| operand(f, one))
            }
        }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_sql(f)
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.arithmetic == other.arithmetic && self.operands.iter().eq(other.operands.iter())
    }
}

impl Eq for Exact {}

impl Hash for Exact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.arithmetic.hash(state);
        self.operands.iter().for_each(|operand| operand.hash(state));
    }
}
