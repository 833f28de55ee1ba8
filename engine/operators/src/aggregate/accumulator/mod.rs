//! Accumulators: one column of states for each aggregate of a table, a state for each group.
//!
//! The common aggregates are [`Fold`]s over a typed state, run by [`Columnar`]: each batch updates the whole column in
//! one loop; `COUNT(DISTINCT x)` has a table of its own. Whatever else the function registry has goes through `RowWise`, which keeps one of
//! DataFusion's accumulators for each group.
//!
//! All speak of states as Arrow columns: that is how they are captured, restored, merged from pane into window, and
//! sent from the first phase to the second.

mod average;
mod balance;
mod count;
mod distinct_count;
mod distinct_sum;
mod exact_average;
mod extreme;
mod first_last;
mod kept;
mod one_group;
mod row_wise;
mod sum;
mod value;

pub(crate) use self::exact_average::mean;
pub(crate) use self::sum::overflow;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int8Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{AggregateCall, AggregateFunction, Error, Result};
use weir_functions::Functions;

use crate::chunked::{Captured, Chunked, Picked};

/// Rows that an update reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// All columns of the operator's input; those that no aggregate reads may be of another length.
    pub(crate) columns: &'a [ArrayRef],
    pub(crate) len: usize,
}

/// Rows of which some are taken back, and their groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changed<'a> {
    pub(crate) slots: &'a [u32],
    pub(crate) rows: Rows<'a>,
    pub(crate) weights: &'a Int8Array,
}

/// States of one aggregate for all groups of a table.
pub(crate) trait Accumulator: Send {
    /// The same aggregate without groups.
    fn fresh(&self) -> Box<dyn Accumulator>;

    /// The same without groups. What memory it has it may keep.
    fn emptied(self: Box<Self>) -> Box<dyn Accumulator> {
        self.fresh()
    }

    /// Columns that make a state.
    fn state_fields(&self) -> Vec<Field>;

    /// Makes room: groups up to `groups` exist from now on.
    fn grow(&mut self, groups: usize) -> Result<()>;

    /// Makes these groups as if they were new.
    fn clear(&mut self, slots: &[u32]) -> Result<()>;

    /// Takes rows in, each into the group that `slots` says.
    fn update(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()>;

    /// Takes states in, each into the group that `slots` says.
    fn merge(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()>;

    /// Takes states out again that were merged before.
    fn retract(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        let _ = (slots, states);
        Err(Error::internal("this aggregate cannot be taken back"))
    }

    /// Takes rows out again that were taken in before, each of the group that `slots` says.
    fn take_back(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let states = self.states_of_rows(rows)?;
        self.retract(slots, &states)
    }

    /// Takes rows in and out: all of them in order with their weights, and those of one sign each.
    fn change(&mut self, all: Changed<'_>, added: (&[u32], Rows<'_>), taken: (&[u32], Rows<'_>)) -> Result<()> {
        let _ = all;
        // Added first: a row that comes and goes has to be there before it is taken back.
        self.update(added.0, added.1)?;
        self.take_back(taken.0, taken.1)
    }

    /// Each row as a state of its own.
    fn states_of_rows(&self, rows: Rows<'_>) -> Result<Vec<ArrayRef>> {
        let _ = rows;
        Err(Error::internal("this aggregate cannot be sent on row by row"))
    }

    /// States of a piece of the picked groups.
    fn states(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>>;

    /// States of the picked groups, to be turned into columns later.
    fn capture(&mut self, picked: &Picked) -> Result<Box<dyn CapturedStates>>;

    /// Results of a piece of the picked groups.
    fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<ArrayRef>;

    /// The same of all calls that the accumulator is of, in their order.
    fn all_results(&mut self, picked: &Picked, piece: Range<usize>, out: &mut Vec<ArrayRef>) -> Result<()> {
        out.push(self.results(picked, piece)?);
        Ok(())
    }

    /// Bytes held, roughly.
    fn bytes(&self) -> usize;
}

/// States as they were at a capture.
pub(crate) trait CapturedStates: Send {
    /// States of a piece of the picked groups.
    fn columns(&self, piece: Range<usize>) -> Result<Vec<ArrayRef>>;
}

/// An aggregate over one typed state a group; what [`Columnar`] runs.
trait Fold: Send + Sync + 'static {
    type State: Clone + Default + Send + Sync + 'static;

    fn state_fields(&self) -> Vec<Field>;

    fn update(&self, states: &mut Chunked<Self::State>, slots: &[u32], rows: Rows<'_>) -> Result<()>;

    fn merge(&self, states: &mut Chunked<Self::State>, slots: &[u32], columns: &[ArrayRef]) -> Result<()>;

    fn retract(&self, states: &mut Chunked<Self::State>, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let _ = (states, slots, columns);
        Err(Error::internal("this aggregate cannot be taken back"))
    }

    fn columns(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>>;

    fn results(&self, states: &[Self::State]) -> Result<ArrayRef>;
}

/// A [`Fold`] and its states.
struct Columnar<F: Fold> {
    fold: Arc<F>,
    states: Chunked<F::State>,
}

impl<F: Fold> Columnar<F> {
    fn boxed(fold: F) -> Box<dyn Accumulator> {
        Box::new(Self { fold: Arc::new(fold), states: Chunked::default() })
    }
}

impl<F: Fold> Accumulator for Columnar<F> {
    fn fresh(&self) -> Box<dyn Accumulator> {
        Box::new(Self { fold: self.fold.clone(), states: Chunked::default() })
    }

    fn emptied(mut self: Box<Self>) -> Box<dyn Accumulator> {
        self.states.clear();
        self
    }

    fn state_fields(&self) -> Vec<Field> {
        self.fold.state_fields()
    }

    fn grow(&mut self, groups: usize) -> Result<()> {
        self.states.grow(groups);
        Ok(())
    }

    fn clear(&mut self, slots: &[u32]) -> Result<()> {
        slots.iter().for_each(|slot| *self.states.get_mut(*slot) = F::State::default());
        Ok(())
    }

    fn update(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        self.fold.update(&mut self.states, slots, rows)
    }

    fn merge(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        self.fold.merge(&mut self.states, slots, states)
    }

    fn retract(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        self.fold.retract(&mut self.states, slots, states)
    }

    fn states_of_rows(&self, rows: Rows<'_>) -> Result<Vec<ArrayRef>> {
        let mut states = Chunked::default();
        states.grow(rows.len);
        let slots: Vec<u32> = (0..rows.len as u32).collect();
        self.fold.update(&mut states, &slots, rows)?;
        let states: Vec<F::State> = slots.iter().map(|slot| states.get(*slot).clone()).collect();
        self.fold.columns(&states)
    }

    fn states(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.fold.columns(&self.states.read(picked, piece))
    }

    fn capture(&mut self, picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        Ok(Box::new(CapturedFold { fold: self.fold.clone(), states: self.states.capture(picked) }))
    }

    fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<ArrayRef> {
        self.fold.results(&self.states.read(picked, piece))
    }

    fn bytes(&self) -> usize {
        self.states.bytes()
    }
}

struct CapturedFold<F: Fold> {
    fold: Arc<F>,
    states: Captured<F::State>,
}

impl<F: Fold> CapturedStates for CapturedFold<F> {
    fn columns(&self, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.fold.columns(&self.states.read(piece))
    }
}

/// States that were turned into columns at the capture, by the first position of their piece.
struct CapturedColumns(Vec<(usize, Vec<ArrayRef>)>);

impl CapturedColumns {
    fn capture(accumulator: &mut impl Accumulator, picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        let pieces = picked.pieces().map(|piece| Ok((piece.start, accumulator.states(picked, piece)?)));
        Ok(Box::new(Self(pieces.collect::<Result<_>>()?)))
    }
}

impl CapturedStates for CapturedColumns {
    fn columns(&self, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        let columns = self.0.iter().find(|(start, _)| *start == piece.start).map(|(_, columns)| columns.clone());
        columns.ok_or_else(|| Error::internal("captured states are read in other pieces than they were made in"))
    }
}

/// Where an aggregate's values come from.
#[derive(Debug, Clone)]
struct Argument {
    columns: Vec<usize>,
    filter: Option<usize>,
}

impl Argument {
    fn of(call: &AggregateCall) -> Self {
        Self { columns: call.arguments.clone(), filter: call.filter }
    }

    /// Type of the first argument.
    fn data_type<'a>(&self, rows: Rows<'a>) -> Option<&'a DataType> {
        self.columns.first().map(|column| rows.columns[*column].data_type())
    }

    /// The first argument as `data_type`.
    fn values(&self, rows: Rows<'_>, data_type: &DataType) -> Result<ArrayRef> {
        let column = self.columns.first().ok_or_else(|| Error::internal("an aggregate lacks its argument"))?;
        as_type(&rows.columns[*column], data_type)
    }

    /// The rows that count: the filter is true and no argument is null. `None`: all of them.
    fn selected(&self, rows: Rows<'_>) -> Option<NullBuffer> {
        let mut selected = self.filtered(rows);
        for column in &self.columns {
            selected = NullBuffer::union(selected.as_ref(), rows.columns[*column].logical_nulls().as_ref());
        }
        selected.filter(|selected| selected.null_count() > 0)
    }

    /// The rows that the filter lets through, whatever the arguments are. `None`: all of them.
    fn filtered(&self, rows: Rows<'_>) -> Option<NullBuffer> {
        let filter = rows.columns[self.filter?].as_boolean();
        let passed = match filter.nulls() {
            Some(nulls) => filter.values() & nulls.inner(),
            None => filter.values().clone(),
        };
        Some(NullBuffer::new(passed)).filter(|passed| passed.null_count() > 0)
    }
}

fn as_type(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type { Ok(column.clone()) } else { Ok(cast(column, data_type)?) }
}

fn state_column(columns: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    columns.get(index).ok_or_else(|| Error::internal("an aggregate's state lacks a column"))
}

/// Calls `each` with the slot and position of every selected row.
#[inline]
fn for_each_selected(slots: &[u32], selected: Option<&NullBuffer>, mut each: impl FnMut(u32, usize)) {
    match selected {
        None => slots.iter().enumerate().for_each(|(row, slot)| each(*slot, row)),
        Some(selected) => selected.valid_indices().for_each(|row| each(slots[row], row)),
    }
}

/// The accumulators, in the order of calls whose rows are never taken back: one for each, made by `one`, or for several that can share it.
pub(crate) fn of_calls(
    mut calls: &[AggregateCall],
    input: &Schema,
    one: impl Fn(&AggregateCall) -> Result<Box<dyn Accumulator>>,
) -> Result<Vec<Box<dyn Accumulator>>> {
    let mut accumulators = Vec::with_capacity(calls.len());
    while !calls.is_empty() {
        let (now, later) = calls.split_at(distinct_count::together(calls).max(1));
        calls = later;
        let shared = if now.len() > 1 { distinct_count::create(now, input)? } else { None };
        match shared {
            Some(shared) => accumulators.push(shared),
            None => now.iter().try_for_each(|call| one(call).map(|own| accumulators.push(own)))?,
        }
    }
    Ok(accumulators)
}

/// The accumulator, without groups, of an aggregate over rows of `input`. `time` is the column that orders rows for
/// `FIRST_VALUE` and `LAST_VALUE`; without it the order of arrival does.
pub(crate) fn create(
    call: &AggregateCall,
    input: &Schema,
    time: Option<usize>,
    functions: &Functions,
) -> Result<Box<dyn Accumulator>> {
    if call.distinct && call.function == AggregateFunction::Count && call.order_by.is_empty() {
        let own = distinct_count::create(std::slice::from_ref(call), input)?;
        return own.map_or_else(|| row_wise::create(call, input, functions), Ok);
    }
    if call.distinct || !call.order_by.is_empty() {
        return row_wise::create(call, input, functions);
    }
    own(call, time).map_or_else(|| row_wise::create(call, input, functions), Ok)
}

/// The accumulator of a plain call whose states are typed; `None`: it is left to DataFusion.
fn own(call: &AggregateCall, time: Option<usize>) -> Option<Box<dyn Accumulator>> {
    match call.function {
        AggregateFunction::Count => Some(count::create(call)),
        AggregateFunction::Sum => sum::create(call),
        AggregateFunction::Avg => average::create(call),
        AggregateFunction::ExactAvg => Some(exact_average::create(call)),
        AggregateFunction::Min => extreme::create(call, extreme::Extreme::Least),
        AggregateFunction::Max => extreme::create(call, extreme::Extreme::Greatest),
        AggregateFunction::FirstValue => first_last::create(call, first_last::End::First, time),
        AggregateFunction::LastValue => first_last::create(call, first_last::End::Last, time),
        AggregateFunction::Other(_) => None,
    }
}

/// As [`create`], of an aggregate whose results are shown before they are final: they have to be the same whenever they are computed
/// again, behind a checkpoint too. Where a state that was stored gives another last digit or another order, the values are kept.
pub(crate) fn repeatable(
    call: &AggregateCall,
    input: &Schema,
    time: Option<usize>,
    functions: &Functions,
) -> Result<Box<dyn Accumulator>> {
    let survives = match &call.function {
        AggregateFunction::Count | AggregateFunction::Min | AggregateFunction::Max => true,
        AggregateFunction::Sum if call.distinct => distinct_sum::is_exact(call),
        AggregateFunction::Sum | AggregateFunction::Avg | AggregateFunction::ExactAvg => {
            !call.distinct && call.order_by.is_empty() && own(call, None).is_some()
        }
        AggregateFunction::FirstValue | AggregateFunction::LastValue => {
            own(call, None).is_some() && call.order_by.is_empty()
        }
        AggregateFunction::Other(name) => {
            let exact = ["bool_and", "bool_or", "bit_and", "bit_or", "bit_xor", "approx_distinct"];
            let in_order = ["array_agg", "string_agg"];
            exact.contains(&name.as_str())
                || (in_order.contains(&name.as_str()) && !call.distinct && call.order_by.is_empty())
        }
    };
    if survives { create(call, input, time, functions) } else { kept::create(call, input, functions, false) }
}

/// As [`create`], of an aggregate whose rows may be taken back. `forgets`: also such that are not known any more. The order of arrival orders rows for `FIRST_VALUE` and `LAST_VALUE`.
pub(crate) fn retractable(
    call: &AggregateCall,
    input: &Schema,
    functions: &Functions,
    forgets: bool,
) -> Result<Box<dyn Accumulator>> {
    let own = match call.function {
        _ if call.distinct || !call.order_by.is_empty() => None,
        AggregateFunction::Count => Some(count::of_rows(call, forgets)),
        AggregateFunction::Sum => balance::create(call),
        AggregateFunction::ExactAvg => Some(exact_average::create(call)),
        _ => None,
    };
    own.map_or_else(|| kept::create(call, input, functions, forgets), Ok)
}

/// Counts all rows of a group; beside the aggregates that are asked for.
pub(crate) fn row_count(name: &str) -> Box<dyn Accumulator> {
    count::row_count(name)
}
