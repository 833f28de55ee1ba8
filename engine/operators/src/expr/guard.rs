//! `AND` and `OR` with parts that can fail: these are evaluated last, in the order in which they are written, and for those rows
//! only that the parts before them leave open.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{and_kleene, filter_record_batch, or_kleene};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column};
use datafusion_physical_expr::utils::collect_columns;

/// What decides the outcome, and where a null leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Connective {
    /// `OR`, which a true part decides; else `AND`, which a false one does.
    pub or: bool,
    /// Whether only the rows are wanted where the outcome is true: a null decides an `AND` then.
    pub condition: bool,
}

impl Connective {
    /// The connective as DataFusion's operator.
    pub fn operator(self) -> Operator {
        if self.or { Operator::Or } else { Operator::And }
    }

    /// The rows whose outcome `known` does not decide.
    fn open(self, known: &BooleanArray) -> BooleanBuffer {
        let values = known.values();
        match (known.nulls(), self.or, self.condition) {
            (None, false, _) => values.clone(),
            (None, true, _) => !values,
            (Some(valid), false, true) => values & valid.inner(),
            (Some(valid), false, false) => values | &!valid.inner(),
            (Some(valid), true, _) => !&(values & valid.inner()),
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Guarded {
    connective: Connective,
    /// What cannot fail.
    total: Option<Arc<dyn PhysicalExpr>>,
    /// What can.
    partial: Vec<Partial>,
}

#[derive(Debug)]
struct Partial {
    expr: Arc<dyn PhysicalExpr>,
    /// The columns that it reads, and itself over no others.
    columns: Vec<usize>,
    narrow: Arc<dyn PhysicalExpr>,
}

impl Guarded {
    /// Parts that cannot fail, and parts that can.
    ///
    /// # Errors
    /// None that data can cause.
    pub fn new(
        connective: Connective,
        total: Vec<Arc<dyn PhysicalExpr>>,
        partial: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Self> {
        let both = |left, right| Arc::new(BinaryExpr::new(left, connective.operator(), right)) as Arc<dyn PhysicalExpr>;
        let partial = partial.into_iter().map(Partial::new).collect::<Result<_>>()?;
        Ok(Self { connective, total: total.into_iter().reduce(both), partial })
    }

    fn parts(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.total.iter().chain(self.partial.iter().map(|partial| &partial.expr))
    }
}

impl Partial {
    fn new(expr: Arc<dyn PhysicalExpr>) -> Result<Self> {
        let mut columns: Vec<usize> = collect_columns(&expr).iter().map(Column::index).collect();
        columns.sort_unstable();
        columns.dedup();
        let narrow = Arc::clone(&expr).transform_down(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let index = columns.binary_search(&column.index()).unwrap_or_default();
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), index)) as Arc<dyn PhysicalExpr>))
        });
        Ok(Self { narrow: narrow.data()?, expr, columns })
    }

    /// The values of the rows that are `open`; of others something or other.
    fn evaluate(&self, batch: &RecordBatch, open: Option<&BooleanBuffer>) -> Result<BooleanArray> {
        let rows = batch.num_rows();
        let Some(open) = open.filter(|open| open.count_set_bits() < rows) else {
            return boolean(self.expr.evaluate(batch)?, rows);
        };
        let selection = BooleanArray::new(open.clone(), None);
        let selected = filter_record_batch(&batch.project(&self.columns)?, &selection)?;
        let values = boolean(self.narrow.evaluate(&selected)?, selected.num_rows())?;
        let mut spread = BooleanBufferBuilder::new(rows);
        spread.append_n(rows, false);
        let mut valid = BooleanBufferBuilder::new(rows);
        valid.append_n(rows, true);
        for (index, row) in open.set_indices().enumerate() {
            spread.set_bit(row, values.value(index));
            valid.set_bit(row, values.is_valid(index));
        }
        let nulls = (values.null_count() > 0).then(|| NullBuffer::new(valid.finish()));
        Ok(BooleanArray::new(spread.finish(), nulls))
    }
}

fn boolean(value: ColumnarValue, rows: usize) -> Result<BooleanArray> {
    let array = value.into_array(rows)?;
    match array.as_boolean_opt() {
        Some(array) => Ok(array.clone()),
        None if array.data_type().is_null() => Ok(BooleanArray::new_null(rows)),
        None => internal_err!("AND and OR of {}", array.data_type()),
    }
}

impl PhysicalExpr for Guarded {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let total = self.total.as_ref().map(|total| boolean(total.evaluate(batch)?, rows));
        let mut known: Option<BooleanArray> = total.transpose()?;
        for partial in &self.partial {
            let open = known.as_ref().map(|known| self.connective.open(known));
            if open.as_ref().is_some_and(|open| open.count_set_bits() == 0) {
                break;
            }
            let value = partial.evaluate(batch, open.as_ref())?;
            known = Some(match known {
                None => value,
                Some(known) if self.connective.or => or_kleene(&known, &value)?,
                Some(known) => and_kleene(&known, &value)?,
            });
        }
        match known {
            Some(known) => Ok(ColumnarValue::Array(Arc::new(known))),
            None => internal_err!("AND and OR of nothing"),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.parts().collect()
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let partial = children.split_off(usize::from(self.total.is_some()));
        Ok(Arc::new(Self::new(self.connective, children, partial)?))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().enumerate() {
            if index > 0 {
                write!(f, " {} ", self.connective.operator())?;
            }
            part.fmt_sql(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_sql(f)
    }
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.connective == other.connective && self.parts().eq(other.parts())
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.connective.hash(state);
        self.parts().for_each(|part| part.hash(state));
    }
}
