//! `MIN` and `MAX`. NaN is greater than all numbers, and -0.0 is 0.0.

use std::marker::PhantomData;

use arrow::array::{Array, ArrayRef, types::*};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use weir_core::hash::canonical_keys;
use weir_core::{AggregateCall, Result};

use super::value::{Bytes, Flag, Kind, Number, Text, carrier};
use super::{Accumulator, Argument, Columnar, Fold, Rows, as_type, for_each_selected, state_column};
use crate::chunked::Chunked;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

struct Fittest<K> {
    name: String,
    which: Extreme,
    argument: Argument,
    data_type: DataType,
    carrier: DataType,
    kind: PhantomData<fn() -> K>,
}

/// `None` for a type whose values are left to DataFusion.
pub(super) fn create(call: &AggregateCall, which: Extreme) -> Option<Box<dyn Accumulator>> {
    fn fittest<K: Kind>(call: &AggregateCall, which: Extreme, carrier: DataType) -> Option<Box<dyn Accumulator>> {
        Some(Columnar::boxed(Fittest::<K> {
            name: call.name.clone(),
            which,
            argument: Argument::of(call),
            data_type: call.data_type.clone(),
            carrier,
            kind: PhantomData,
        }))
    }
    let carrier = carrier(&call.data_type)?;
    match carrier {
        DataType::Boolean => fittest::<Flag>(call, which, carrier),
        DataType::Int64 => fittest::<Number<Int64Type>>(call, which, carrier),
        DataType::UInt64 => fittest::<Number<UInt64Type>>(call, which, carrier),
        DataType::Float64 => fittest::<Number<Float64Type>>(call, which, carrier),
        DataType::Decimal128(..) => fittest::<Number<Decimal128Type>>(call, which, carrier),
        DataType::Utf8View => fittest::<Text>(call, which, carrier),
        DataType::BinaryView => fittest::<Bytes>(call, which, carrier),
        _ => None,
    }
}

impl<K: Kind> Fittest<K> {
    fn take(
        &self,
        states: &mut Chunked<Option<K::Owned>>,
        slots: &[u32],
        column: &ArrayRef,
        selected: Option<&NullBuffer>,
    ) {
        let column = canonical_keys(column);
        let values = K::values(&column);
        let mut fold = |better: fn(K::Borrowed<'_>, &K::Owned) -> bool| {
            for_each_selected(slots, selected, |slot, row| {
                let value = K::get(values, row);
                let state = states.get_mut(slot);
                if state.as_ref().is_none_or(|kept| better(value, kept)) {
                    *state = Some(K::own(value));
                }
            });
        };
        match self.which {
            Extreme::Least => fold(K::less),
            Extreme::Greatest => fold(K::greater),
        }
    }
}

impl<K: Kind> Fold for Fittest<K> {
    type State = Option<K::Owned>;

    fn state_fields(&self) -> Vec<Field> {
        let suffix = match self.which {
            Extreme::Least => "min",
            Extreme::Greatest => "max",
        };
        vec![Field::new(format!("{}${suffix}", self.name), self.data_type.clone(), true)]
    }

    fn update(&self, states: &mut Chunked<Self::State>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let column = self.argument.values(rows, &self.carrier)?;
        self.take(states, slots, &column, self.argument.selected(rows).as_ref());
        Ok(())
    }

    fn merge(&self, states: &mut Chunked<Self::State>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let column = as_type(state_column(columns, 0)?, &self.carrier)?;
        self.take(states, slots, &column, column.nulls().filter(|nulls| nulls.null_count() > 0));
        Ok(())
    }

    fn columns(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.results(states)?])
    }

    fn results(&self, states: &[Self::State]) -> Result<ArrayRef> {
        as_type(&K::column(states.iter().map(Option::as_ref), &self.carrier), &self.data_type)
    }
}
