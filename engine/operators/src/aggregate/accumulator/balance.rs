//! `SUM` of whole numbers and decimals whose rows may be taken back: an exact sum, and of how many values it is. A sum of none
//! is null and not zero.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int64Array, UInt64Array, types::*};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use weir_core::{AggregateCall, Result};

use super::sum::overflow;
use super::{Accumulator, Argument, Columnar, Fold, Rows, as_type, for_each_selected, state_column};
use crate::chunked::Chunked;

struct Balance {
    name: String,
    data_type: DataType,
    argument: Argument,
}

/// Sum and number of the values. 2^64 values of 64 bits fit; of decimals those that DECIMAL(38, s) holds.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    sum: i128,
    count: i64,
}

/// `None` for a type whose sums depend on the order of the values, or are left to DataFusion.
pub(super) fn create(call: &AggregateCall) -> Option<Box<dyn Accumulator>> {
    match call.data_type {
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) => Some(Columnar::boxed(Balance {
            name: call.name.clone(),
            data_type: call.data_type.clone(),
            argument: Argument::of(call),
        })),
        _ => None,
    }
}

impl Balance {
    fn sum_type(&self) -> DataType {
        let scale = if let DataType::Decimal128(_, scale) = self.data_type { scale } else { 0 };
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)
    }

    fn add_values(
        &self,
        states: &mut Chunked<Total>,
        slots: &[u32],
        selected: Option<&NullBuffer>,
        value: impl Fn(usize) -> i128,
    ) -> Result<()> {
        let mut overflows = false;
        for_each_selected(slots, selected, |slot, row| {
            let total = states.get_mut(slot);
            let sum = total.sum.checked_add(value(row));
            overflows |= sum.is_none();
            total.sum = sum.unwrap_or_default();
            total.count += 1;
        });
        if overflows { Err(overflow(&self.name, &self.data_type)) } else { Ok(()) }
    }

    /// Adds the sums and counts of states, each `times` times.
    fn add(&self, states: &mut Chunked<Total>, slots: &[u32], columns: &[ArrayRef], times: i64) -> Result<()> {
        let sums = state_column(columns, 0)?.as_primitive::<Decimal128Type>();
        let counts = state_column(columns, 1)?.as_primitive::<Int64Type>();
        let mut overflows = false;
        for_each_selected(slots, None, |slot, row| {
            let total = states.get_mut(slot);
            let sum = total.sum.checked_add(sums.value(row) * i128::from(times));
            overflows |= sum.is_none();
            total.sum = sum.unwrap_or_default();
            total.count += counts.value(row) * times;
        });
        if overflows { Err(overflow(&self.name, &self.data_type)) } else { Ok(()) }
    }
}

impl Fold for Balance {
    type State = Total;

    fn state_fields(&self) -> Vec<Field> {
        let field = |part: &str, data_type| Field::new(format!("{}${part}", self.name), data_type, true);
        vec![field("sum", self.sum_type()), field("count", DataType::Int64)]
    }

    fn update(&self, states: &mut Chunked<Total>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let values = self.argument.values(rows, &self.data_type)?;
        let selected = self.argument.selected(rows);
        let selected = selected.as_ref();
        match self.data_type {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>().values();
                self.add_values(states, slots, selected, |row| i128::from(values[row]))
            }
            DataType::UInt64 => {
                let values = values.as_primitive::<UInt64Type>().values();
                self.add_values(states, slots, selected, |row| i128::from(values[row]))
            }
            _ => {
                let values = values.as_primitive::<Decimal128Type>().values();
                self.add_values(states, slots, selected, |row| values[row])
            }
        }
    }

    fn merge(&self, states: &mut Chunked<Total>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = as_type(state_column(columns, 0)?, &self.sum_type())?;
        self.add(states, slots, &[sums, state_column(columns, 1)?.clone()], 1)
    }

    fn retract(&self, states: &mut Chunked<Total>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.add(states, slots, columns, -1)
    }

    fn columns(&self, states: &[Total]) -> Result<Vec<ArrayRef>> {
        let sums: Decimal128Array = states.iter().map(|total| Some(total.sum)).collect();
        Ok(vec![
            Arc::new(sums.with_data_type(self.sum_type())),
            Arc::new(states.iter().map(|total| total.count).collect::<Int64Array>()),
        ])
    }

    fn results(&self, states: &[Total]) -> Result<ArrayRef> {
        let sums = || states.iter().map(|total| (total.count > 0).then_some(total.sum));
        let too_large = || overflow(&self.name, &self.data_type);
        match self.data_type {
            DataType::Int64 => {
                let sums = sums().map(|sum| sum.map(i64::try_from).transpose().map_err(|_| too_large()));
                Ok(Arc::new(sums.collect::<Result<Int64Array>>()?))
            }
            DataType::UInt64 => {
                let sums = sums().map(|sum| sum.map(u64::try_from).transpose().map_err(|_| too_large()));
                Ok(Arc::new(sums.collect::<Result<UInt64Array>>()?))
            }
            DataType::Decimal128(precision, _) => {
                let sums = sums().collect::<Decimal128Array>().with_data_type(self.data_type.clone());
                sums.validate_decimal_precision(precision).map_err(|_| too_large())?;
                Ok(Arc::new(sums))
            }
            _ => Err(weir_core::Error::internal("a sum has a type that it cannot have")),
        }
    }
}
