//! `FIRST_VALUE` and `LAST_VALUE` in the order of event time; of rows with one time, the order of arrival decides. A
//! null is a value here, as in SQL.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMillisecondArray, types::*};
use arrow::datatypes::{DataType, Field, TimeUnit};
use weir_core::{AggregateCall, Result};

use super::value::{Bytes, Flag, Kind, Number, Text, carrier};
use super::{Accumulator, Argument, Columnar, Fold, Rows, as_type, for_each_selected, state_column};
use crate::chunked::Chunked;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

struct Outermost<K> {
    name: String,
    end: End,
    argument: Argument,
    /// Column of the event time; without it all rows have one time.
    time: Option<usize>,
    data_type: DataType,
    carrier: DataType,
    kind: PhantomData<fn() -> K>,
}

/// A value and its time.
#[derive(Debug, Clone)]
struct Timed<V> {
    time: i64,
    value: Option<V>,
}

/// `None` for a type whose values are left to DataFusion.
pub(super) fn create(call: &AggregateCall, end: End, time: Option<usize>) -> Option<Box<dyn Accumulator>> {
    let carrier = carrier(&call.data_type)?;
    let build = match carrier {
        DataType::Boolean => outermost::<Flag>,
        DataType::Int64 => outermost::<Number<Int64Type>>,
        DataType::UInt64 => outermost::<Number<UInt64Type>>,
        DataType::Float64 => outermost::<Number<Float64Type>>,
        DataType::Decimal128(..) => outermost::<Number<Decimal128Type>>,
        DataType::Utf8View => outermost::<Text>,
        DataType::BinaryView => outermost::<Bytes>,
        _ => return None,
    };
    Some(build(call, end, time, carrier))
}

fn outermost<K: Kind>(call: &AggregateCall, end: End, time: Option<usize>, carrier: DataType) -> Box<dyn Accumulator> {
    Columnar::boxed(Outermost::<K> {
        name: call.name.clone(),
        end,
        argument: Argument::of(call),
        time,
        data_type: call.data_type.clone(),
        carrier,
        kind: PhantomData,
    })
}

impl<K: Kind> Outermost<K> {
    #[inline]
    fn offer(&self, state: &mut Option<Timed<K::Owned>>, time: i64, value: Option<K::Borrowed<'_>>) {
        let further_out = state.as_ref().is_none_or(|kept| match self.end {
            End::First => time < kept.time,
            End::Last => time >= kept.time,
        });
        if further_out {
            *state = Some(Timed { time, value: value.map(K::own) });
        }
    }
}

impl<K: Kind> Fold for Outermost<K> {
    type State = Option<Timed<K::Owned>>;

    fn state_fields(&self) -> Vec<Field> {
        let field = |part: &str, data_type| Field::new(format!("{}${part}", self.name), data_type, true);
        vec![
            field("value", self.data_type.clone()),
            // Null as long as the group has no value.
            field("time", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ]
    }

    fn update(&self, states: &mut Chunked<Self::State>, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let column = self.argument.values(rows, &self.carrier)?;
        let values = K::values(&column);
        let times = self.time.map(|time| rows.columns[time].as_primitive::<TimestampMillisecondType>().values());
        for_each_selected(slots, self.argument.filtered(rows).as_ref(), |slot, row| {
            let value = column.is_valid(row).then(|| K::get(values, row));
            self.offer(states.get_mut(slot), times.map_or(0, |times| times[row]), value);
        });
        Ok(())
    }

    fn merge(&self, states: &mut Chunked<Self::State>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let column = as_type(state_column(columns, 0)?, &self.carrier)?;
        let values = K::values(&column);
        let times = state_column(columns, 1)?.as_primitive::<TimestampMillisecondType>();
        for_each_selected(slots, times.nulls(), |slot, row| {
            let value = column.is_valid(row).then(|| K::get(values, row));
            self.offer(states.get_mut(slot), times.value(row), value);
        });
        Ok(())
    }

    fn columns(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let times = states.iter().map(|state| state.as_ref().map(|state| state.time));
        Ok(vec![self.results(states)?, Arc::new(times.collect::<TimestampMillisecondArray>())])
    }

    fn results(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let values = states.iter().map(|state| state.as_ref().and_then(|state| state.value.as_ref()));
        as_type(&K::column(values, &self.carrier), &self.data_type)
    }
}
