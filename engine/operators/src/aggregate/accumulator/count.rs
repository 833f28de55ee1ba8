//! `COUNT`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, types::Int64Type};
use arrow::datatypes::{DataType, Field};
use weir_core::{AggregateCall, Result};

use super::{Accumulator, Argument, Columnar, Fold, Rows, for_each_selected, state_column};
use crate::chunked::Chunked;

struct Count {
    name: String,
    argument: Argument,
    /// Whether more may be taken back than has come, of a group that was forgotten in between.
    forgets: bool,
}

pub(super) fn create(call: &AggregateCall) -> Box<dyn Accumulator> {
    of_rows(call, false)
}

/// `forgets`: more may be taken back than has come, which counts as none.
pub(super) fn of_rows(call: &AggregateCall, forgets: bool) -> Box<dyn Accumulator> {
    Columnar::boxed(Count { name: call.name.clone(), argument: Argument::of(call), forgets })
}

pub(super) fn row_count(name: &str) -> Box<dyn Accumulator> {
    Columnar::boxed(Count {
        name: name.to_owned(),
        argument: Argument { columns: Vec::new(), filter: None },
        forgets: false,
    })
}

impl Count {
    fn add(states: &mut Chunked<i64>, slots: &[u32], columns: &[ArrayRef], sign: i64) -> Result<()> {
        let counts = state_column(columns, 0)?.as_primitive::<Int64Type>();
        for (slot, count) in slots.iter().zip(counts.values()) {
            *states.get_mut(*slot) += count * sign;
        }
        Ok(())
    }
}

impl Fold for Count {
    type State = i64;

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new(format!("{}$count", self.name), DataType::Int64, true)]
    }

    fn update(&self, states: &mut Chunked<i64>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        for_each_selected(slots, self.argument.selected(rows).as_ref(), |slot, _| *states.get_mut(slot) += 1);
        Ok(())
    }

    fn merge(&self, states: &mut Chunked<i64>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        Self::add(states, slots, columns, 1)
    }

    fn retract(&self, states: &mut Chunked<i64>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        Self::add(states, slots, columns, -1)
    }

    fn columns(&self, states: &[i64]) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(Int64Array::from(states.to_vec()))])
    }

    fn results(&self, states: &[i64]) -> Result<ArrayRef> {
        let least = if self.forgets { 0 } else { i64::MIN };
        Ok(Arc::new(Int64Array::from_iter_values(states.iter().map(|count| (*count).max(least)))))
    }
}
