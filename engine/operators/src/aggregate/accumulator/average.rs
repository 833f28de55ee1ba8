//! `AVG` as `DOUBLE`. Averages of decimals are left to DataFusion, which knows their rounding.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, types::*};
use arrow::datatypes::{DataType, Field};
use weir_core::{AggregateCall, Result};

use super::{Accumulator, Argument, Columnar, Fold, Rows, for_each_selected, state_column};
use crate::chunked::Chunked;

struct Average {
    name: String,
    argument: Argument,
}

/// Sum and number of the values.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: i64,
}

/// `None` for a result other than `DOUBLE`.
pub(super) fn create(call: &AggregateCall) -> Option<Box<dyn Accumulator>> {
    let average = || Columnar::boxed(Average { name: call.name.clone(), argument: Argument::of(call) });
    (call.data_type == DataType::Float64).then(average)
}

impl Fold for Average {
    type State = Mean;

    fn state_fields(&self) -> Vec<Field> {
        let field = |part: &str, data_type| Field::new(format!("{}${part}", self.name), data_type, true);
        vec![field("sum", DataType::Float64), field("count", DataType::Int64)]
    }

    fn update(&self, states: &mut Chunked<Mean>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let values = self.argument.values(rows, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>().values();
        for_each_selected(slots, self.argument.selected(rows).as_ref(), |slot, row| {
            let mean = states.get_mut(slot);
            mean.sum += values[row];
            mean.count += 1;
        });
        Ok(())
    }

    fn merge(&self, states: &mut Chunked<Mean>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = state_column(columns, 0)?.as_primitive::<Float64Type>();
        let counts = state_column(columns, 1)?.as_primitive::<Int64Type>();
        for_each_selected(slots, sums.nulls(), |slot, row| {
            let mean = states.get_mut(slot);
            mean.sum += sums.value(row);
            mean.count += counts.value(row);
        });
        Ok(())
    }

    fn columns(&self, states: &[Mean]) -> Result<Vec<ArrayRef>> {
        Ok(vec![
            Arc::new(states.iter().map(|mean| mean.sum).collect::<Float64Array>()),
            Arc::new(states.iter().map(|mean| mean.count).collect::<Int64Array>()),
        ])
    }

    fn results(&self, states: &[Mean]) -> Result<ArrayRef> {
        let mean = |mean: &Mean| (mean.count > 0).then(|| mean.sum / mean.count as f64);
        Ok(Arc::new(states.iter().map(mean).collect::<Float64Array>()))
    }
}
