//! Aggregates of which rows may be taken back, and whose results do not say without them: the values of each group are kept, and
//! the aggregate is computed anew over those that are there.
//!
//! The values of a group are in order, so that the least and the greatest are found at once; other aggregates read all of
//! them. Equal values are kept once, with when each of them came: some aggregates depend on the order of arrival. Of equal
//! values the one that came last is taken back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray, StructArray, types::Int64Type};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::row::{RowConverter, SortField};
use weir_core::hash::canonical_keys;
use weir_core::{AggregateCall, AggregateFunction, Error, Result};
use weir_functions::Functions;

use super::{Accumulator, Argument, CapturedStates, Changed, Rows, state_column};
use crate::chunked::Picked;

/// Which of a group's values the aggregate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    All,
    /// Equal values once.
    Distinct,
    Least,
    Greatest,
}

struct Plan {
    name: String,
    /// The rows of which something is kept.
    argument: Argument,
    /// Columns that are kept: arguments, then what they are ordered by.
    columns: Vec<usize>,
    /// Fields of a kept value: the columns, and the number of its arrival.
    fields: Fields,
    converter: RowConverter,
    reads: Reads,
    /// Whether rows without an argument count for nothing.
    skips_nulls: bool,
    /// Whether values that SQL calls equal are one: -0.0 and 0.0.
    canonical: bool,
    /// Whether a value may be taken back that is not known any more.
    forgets: bool,
}

/// A row that counts: its number in the batch, and what is kept of it.
struct Value<'a> {
    number: usize,
    value: &'a [u8],
}

/// Bytes of a map and two vectors around a value, roughly: most groups have a few.
const AROUND: usize = 160;

/// The values of a group, and the numbers of their arrivals.
type Values = BTreeMap<Box<[u8]>, Vec<i64>>;

/// Values as they were at a capture.
struct CapturedValues {
    plan: Arc<Plan>,
    groups: Vec<Values>,
}

impl CapturedStates for CapturedValues {
    fn columns(&self, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.plan.states(self.groups[piece].iter())
    }
}

struct Kept {
    plan: Arc<Plan>,
    /// Computes the results.
    prototype: Box<dyn Accumulator>,
    groups: Vec<Values>,
    arrivals: i64,
}

/// The accumulator of a call over rows of `input`.
pub(super) fn create(
    call: &AggregateCall,
    input: &Schema,
    functions: &Functions,
    forgets: bool,
) -> Result<Box<dyn Accumulator>> {
    let mut columns = call.arguments.clone();
    columns.extend(call.order_by.iter().map(|(column, ..)| *column));
    let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len() + 1);
    for (index, column) in columns.iter().enumerate() {
        fields.push(Arc::new(Field::new(format!("value{index}"), input.field(*column).data_type().clone(), true)));
    }
    let (arguments, order) = (call.arguments.len(), &call.order_by);
    let inner = AggregateCall {
        arguments: (0..arguments).collect(),
        filter: None,
        order_by: order
            .iter()
            .enumerate()
            .map(|(index, (_, down, first))| (arguments + index, *down, *first))
            .collect(),
        ..call.clone()
    };
    let prototype = super::create(&inner, &Schema::new(fields.clone()), None, functions)?;
    let converter = RowConverter::new(fields.iter().map(|field| SortField::new(field.data_type().clone())).collect());
    let converter = converter.map_err(|error| {
        Error::user(format!("{:?} over rows that may be taken back cannot be computed for this type", call.name))
            .with_source(error)
    })?;
    fields.push(Arc::new(Field::new("arrival", DataType::Int64, false)));
    let reads = match call.function {
        AggregateFunction::Min => Reads::Least,
        AggregateFunction::Max => Reads::Greatest,
        _ if call.distinct => Reads::Distinct,
        _ => Reads::All,
    };
    let plan = Plan {
        name: call.name.clone(),
        argument: Argument::of(call),
        columns,
        fields: fields.into(),
        converter,
        reads,
        skips_nulls: matches!(
            call.function,
            AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Sum | AggregateFunction::Avg
        ),
        canonical: reads != Reads::All,
        forgets,
    };
    Ok(Box::new(Kept { plan: Arc::new(plan), prototype, groups: Vec::new(), arrivals: 0 }))
}

impl Plan {
    /// Calls `each` with every row that counts.
    fn for_each(&self, rows: Rows<'_>, each: impl FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        let column = |column: &usize| match self.canonical {
            true => canonical_keys(&rows.columns[*column]),
            false => rows.columns[*column].clone(),
        };
        let columns: Vec<ArrayRef> = self.columns.iter().map(column).collect();
        let values = self.converter.convert_columns(&columns)?;
        let selected = match self.skips_nulls {
            true => self.argument.selected(rows),
            false => self.argument.filtered(rows),
        };
        let value = |number: usize| Value { number, value: values.row(number).data() };
        match selected {
            None => (0..rows.len).map(value).try_for_each(each),
            Some(selected) => selected.valid_indices().map(value).try_for_each(each),
        }
    }

    /// Columns of these values.
    fn columns<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(values.map(|value| parser.parse(value)))?)
    }

    /// The values of groups, each in the order in which they came.
    fn states<'a>(&self, groups: impl Iterator<Item = &'a Values>) -> Result<Vec<ArrayRef>> {
        let (mut values, mut lengths) = (Vec::new(), Vec::new());
        for group in groups {
            let ordered = in_order(group);
            lengths.push(ordered.len());
            values.extend(ordered);
        }
        let mut columns = self.columns(values.iter().map(|(_, value)| *value))?;
        columns.push(Arc::new(values.iter().map(|(arrival, _)| *arrival).collect::<Int64Array>()));
        let kept = StructArray::try_new(self.fields.clone(), columns, None)?;
        let field = Arc::new(Field::new_list_field(DataType::Struct(self.fields.clone()), false));
        Ok(vec![Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(kept), None)?)])
    }

    fn state_type(&self) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(DataType::Struct(self.fields.clone()), false)))
    }

    fn never_added(&self) -> Error {
        Error::internal(format!("{:?} was to take a row back that had not come before", self.name))
    }
}

/// The values of a group with their arrivals, in the order in which they came.
fn in_order(values: &Values) -> Vec<(i64, &[u8])> {
    let mut ordered: Vec<(i64, &[u8])> = Vec::new();
    for (value, arrivals) in values {
        ordered.extend(arrivals.iter().map(|arrival| (*arrival, &**value)));
    }
    ordered.sort_unstable_by_key(|(arrival, _)| *arrival);
    ordered
}

impl Kept {
    fn add(&mut self, slot: u32, value: &[u8]) -> Result<()> {
        self.arrivals += 1;
        let group = &mut self.groups[slot as usize];
        match group.get_mut(value) {
            Some(known) => known.push(self.arrivals),
            None => drop(group.insert(value.into(), vec![self.arrivals])),
        }
        Ok(())
    }

    fn take(&mut self, slot: u32, value: &[u8]) -> Result<()> {
        let group = &mut self.groups[slot as usize];
        let known = match group.get_mut(value) {
            Some(known) => known,
            None if self.plan.forgets => return Ok(()),
            None => return Err(self.plan.never_added()),
        };
        known.pop();
        if known.is_empty() {
            group.remove(value);
        }
        Ok(())
    }

    /// What the aggregate reads of a group, in the order in which it came.
    fn read(&self, slot: usize) -> Vec<&[u8]> {
        let values = &self.groups[slot];
        let mut ordered = match self.plan.reads {
            Reads::Least => return values.first_key_value().map(|(value, _)| &**value).into_iter().collect(),
            Reads::Greatest => return values.last_key_value().map(|(value, _)| &**value).into_iter().collect(),
            Reads::All => in_order(values),
            Reads::Distinct => values
                .iter()
                .map(|(value, arrivals)| (arrivals.first().copied().unwrap_or_default(), &**value))
                .collect(),
        };
        ordered.sort_unstable_by_key(|(arrival, _)| *arrival);
        ordered.into_iter().map(|(_, value)| value).collect()
    }
}

impl Accumulator for Kept {
    fn fresh(&self) -> Box<dyn Accumulator> {
        let (plan, prototype) = (self.plan.clone(), self.prototype.fresh());
        Box::new(Kept { plan, prototype, groups: Vec::new(), arrivals: 0 })
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new(format!("{}$values", self.plan.name), self.plan.state_type(), true)]
    }

    fn grow(&mut self, groups: usize) -> Result<()> {
        self.groups.resize_with(groups.max(self.groups.len()), Values::new);
        Ok(())
    }

    fn clear(&mut self, slots: &[u32]) -> Result<()> {
        slots.iter().for_each(|slot| self.groups[*slot as usize].clear());
        Ok(())
    }

    fn update(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let plan = self.plan.clone();
        plan.for_each(rows, |row| self.add(slots[row.number], row.value))
    }

    fn take_back(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let plan = self.plan.clone();
        plan.for_each(rows, |row| self.take(slots[row.number], row.value))
    }

    fn change(&mut self, all: Changed<'_>, _added: (&[u32], Rows<'_>), _taken: (&[u32], Rows<'_>)) -> Result<()> {
        let (plan, Changed { slots, rows, weights }) = (self.plan.clone(), all);
        plan.for_each(rows, |row| match weights.value(row.number) > 0 {
            true => self.add(slots[row.number], row.value),
            false => self.take(slots[row.number], row.value),
        })
    }

    fn merge(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        let lists = state_column(states, 0)?.as_list::<i32>();
        let kept = lists.values().as_struct();
        let (arrivals, columns) =
            kept.columns().split_last().ok_or_else(|| Error::internal("kept values have no columns"))?;
        let arrivals = arrivals.as_primitive::<Int64Type>();
        let values = self.plan.converter.convert_columns(columns)?;
        for (list, slot) in slots.iter().enumerate() {
            let group = &mut self.groups[*slot as usize];
            for row in lists.value_offsets()[list] as usize..lists.value_offsets()[list + 1] as usize {
                let arrival = arrivals.value(row);
                group.entry(values.row(row).data().into()).or_default().push(arrival);
                self.arrivals = self.arrivals.max(arrival);
            }
        }
        Ok(())
    }

    fn states(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.plan.states(piece.map(|position| &self.groups[picked.slot(position)]))
    }

    fn capture(&mut self, picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        let groups = (0..picked.len()).map(|position| self.groups[picked.slot(position)].clone()).collect();
        Ok(Box::new(CapturedValues { plan: self.plan.clone(), groups }))
    }

    fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<ArrayRef> {
        let (mut values, mut slots) = (Vec::new(), Vec::new());
        for (group, position) in piece.clone().enumerate() {
            let read = self.read(picked.slot(position));
            slots.resize(slots.len() + read.len(), group as u32);
            values.extend(read);
        }
        let columns = self.plan.columns(values.iter().copied())?;
        let mut results = self.prototype.fresh();
        results.grow(piece.len())?;
        results.update(&slots, Rows { columns: &columns, len: values.len() })?;
        results.results(&Picked::First(piece.len()), 0..piece.len())
    }

    fn bytes(&self) -> usize {
        // Asking each group costs too much; a few stand for all.
        let step = self.groups.len().div_ceil(16).max(1);
        let bytes = |values: &Values| {
            values.iter().map(|(value, arrivals)| value.len() + 8 * arrivals.len() + AROUND).sum::<usize>()
        };
        self.groups.iter().step_by(step).map(|values| bytes(values) * step).sum()
    }
}
