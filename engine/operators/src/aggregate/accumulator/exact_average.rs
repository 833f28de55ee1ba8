//! `AVG` of whole numbers: an exact sum, which is divided in the end. A sum of DOUBLEs would lose what is beyond 53 bits, and
//! depend on the order of the rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, types::*};
use arrow::datatypes::{DataType, Field};
use weir_core::{AggregateCall, Result};

use super::{Accumulator, Argument, Columnar, Fold, Rows, as_type, for_each_selected, state_column};
use crate::chunked::Chunked;

/// Type of the sum.
const SUM: DataType = DataType::Decimal128(38, 0);

/// Whole numbers that a DOUBLE says exactly go up to here.
const EXACT_DOUBLES: u128 = 1 << 53;

struct ExactAverage {
    name: String,
    argument: Argument,
}

/// Sum and number of the values. 2^64 values of 64 bits fit.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: i128,
    count: i64,
}

/// The mean of so many numbers with that sum.
pub(crate) fn mean(sum: i128, count: i64) -> Option<f64> {
    Mean { sum, count }.value()
}

impl Mean {
    fn value(self) -> Option<f64> {
        let count = i128::from(self.count);
        if count <= 0 {
            return None;
        }
        if self.sum.unsigned_abs() <= EXACT_DOUBLES {
            return Some(self.sum as f64 / self.count as f64);
        }
        Some((self.sum / count) as f64 + (self.sum % count) as f64 / self.count as f64)
    }
}

/// The accumulator of a call.
pub(super) fn create(call: &AggregateCall) -> Box<dyn Accumulator> {
    Columnar::boxed(ExactAverage { name: call.name.clone(), argument: Argument::of(call) })
}

impl ExactAverage {
    fn add<T: Copy + Into<i128>>(&self, states: &mut Chunked<Mean>, slots: &[u32], rows: Rows<'_>, values: &[T]) {
        for_each_selected(slots, self.argument.selected(rows).as_ref(), |slot, row| {
            let mean = states.get_mut(slot);
            mean.sum += values[row].into();
            mean.count += 1;
        });
    }
}

impl Fold for ExactAverage {
    type State = Mean;

    fn state_fields(&self) -> Vec<Field> {
        let field = |part: &str, data_type| Field::new(format!("{}${part}", self.name), data_type, true);
        vec![field("sum", SUM), field("count", DataType::Int64)]
    }

    fn update(&self, states: &mut Chunked<Mean>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let unsigned = self.argument.data_type(rows) == Some(&DataType::UInt64);
        let values = self.argument.values(rows, if unsigned { &DataType::UInt64 } else { &DataType::Int64 })?;
        match unsigned {
            true => self.add(states, slots, rows, values.as_primitive::<UInt64Type>().values()),
            false => self.add(states, slots, rows, values.as_primitive::<Int64Type>().values()),
        }
        Ok(())
    }

    fn merge(&self, states: &mut Chunked<Mean>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = as_type(state_column(columns, 0)?, &SUM)?;
        let sums = sums.as_primitive::<Decimal128Type>();
        let counts = state_column(columns, 1)?.as_primitive::<Int64Type>();
        for_each_selected(slots, sums.nulls(), |slot, row| {
            let mean = states.get_mut(slot);
            mean.sum += sums.value(row);
            mean.count += counts.value(row);
        });
        Ok(())
    }

    fn retract(&self, states: &mut Chunked<Mean>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = state_column(columns, 0)?.as_primitive::<Decimal128Type>();
        let counts = state_column(columns, 1)?.as_primitive::<Int64Type>();
        for_each_selected(slots, None, |slot, row| {
            let mean = states.get_mut(slot);
            mean.sum -= sums.value(row);
            mean.count -= counts.value(row);
        });
        Ok(())
    }

    fn columns(&self, states: &[Mean]) -> Result<Vec<ArrayRef>> {
        let sums: Decimal128Array = states.iter().map(|mean| Some(mean.sum)).collect();
        Ok(vec![
            Arc::new(sums.with_data_type(SUM)),
            Arc::new(states.iter().map(|mean| mean.count).collect::<Int64Array>()),
        ])
    }

    fn results(&self, states: &[Mean]) -> Result<ArrayRef> {
        Ok(Arc::new(states.iter().map(|mean| mean.value()).collect::<Float64Array>()))
    }
}
