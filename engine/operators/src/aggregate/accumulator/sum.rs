//! `SUM` of 64-bit numbers and decimals. A sum that does not fit its type is an error: a wrapped one would look like a
//! result.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray, types::*};
use arrow::datatypes::{DataType, Field};
use weir_core::{AggregateCall, Error, Result};

use super::{Accumulator, Argument, Columnar, Fold, Rows, as_type, for_each_selected, state_column};
use crate::chunked::Chunked;

struct Sum<T> {
    name: String,
    data_type: DataType,
    argument: Argument,
    number: PhantomData<fn() -> T>,
}

/// `None` for a type whose sums are left to DataFusion.
pub(super) fn create(call: &AggregateCall) -> Option<Box<dyn Accumulator>> {
    fn sum<T: ArrowPrimitiveType>(call: &AggregateCall) -> Option<Box<dyn Accumulator>> {
        Some(Columnar::boxed(Sum::<T> {
            name: call.name.clone(),
            data_type: call.data_type.clone(),
            argument: Argument::of(call),
            number: PhantomData,
        }))
    }
    match call.data_type {
        DataType::Int64 => sum::<Int64Type>(call),
        DataType::UInt64 => sum::<UInt64Type>(call),
        DataType::Float64 => sum::<Float64Type>(call),
        DataType::Decimal128(..) => sum::<Decimal128Type>(call),
        _ => None,
    }
}

/// A sum that does not fit its type.
pub(crate) fn overflow(name: &str, data_type: &DataType) -> Error {
    Error::data(format!("the sum {name:?} exceeds the range of {data_type}"))
        .with_help("cast the argument to DECIMAL(38, s) or DOUBLE")
}

impl<T: ArrowPrimitiveType> Sum<T> {
    fn overflow(&self) -> Error {
        overflow(&self.name, &self.data_type)
    }

    fn add(
        &self,
        states: &mut Chunked<Option<T::Native>>,
        slots: &[u32],
        values: &PrimitiveArray<T>,
        selected: Option<&arrow::buffer::NullBuffer>,
    ) -> Result<()> {
        let values = values.values();
        let mut overflow = false;
        for_each_selected(slots, selected, |slot, row| {
            let state = states.get_mut(slot);
            *state = Some(match *state {
                // A sum starts at zero: that of negative zeros is zero.
                None => T::Native::ZERO.add_wrapping(values[row]),
                Some(sum) => sum.add_checked(values[row]).unwrap_or_else(|_| {
                    overflow = true;
                    sum
                }),
            });
        });
        if overflow { Err(self.overflow()) } else { Ok(()) }
    }
}

impl<T: ArrowPrimitiveType> Fold for Sum<T> {
    type State = Option<T::Native>;

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new(format!("{}$sum", self.name), self.data_type.clone(), true)]
    }

    fn update(&self, states: &mut Chunked<Self::State>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let values = self.argument.values(rows, &self.data_type)?;
        self.add(states, slots, values.as_primitive::<T>(), self.argument.selected(rows).as_ref())
    }

    fn merge(&self, states: &mut Chunked<Self::State>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = as_type(state_column(columns, 0)?, &self.data_type)?;
        self.add(states, slots, sums.as_primitive::<T>(), sums.nulls().filter(|nulls| nulls.null_count() > 0))
    }

    fn columns(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(states.iter().copied().collect::<PrimitiveArray<T>>().with_data_type(self.data_type.clone()))])
    }

    fn results(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let column = self.columns(states)?.swap_remove(0);
        if let DataType::Decimal128(precision, _) = self.data_type {
            // The 128 bits hold more digits than the type does.
            let decimals = column.as_primitive::<Decimal128Type>();
            decimals.validate_decimal_precision(precision).map_err(|_| self.overflow())?;
        }
        Ok(column)
    }
}
