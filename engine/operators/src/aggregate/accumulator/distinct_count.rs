//! `COUNT(DISTINCT x)`: the pairs of group and value of all groups are in one table, so that a group costs what its values cost. The
//! values of a group are a linked list through the table.
//!
//! Calls that count the same values under different conditions, `COUNT(DISTINCT x) FILTER (WHERE …)`, share the table: a pair has a bit for
//! each call that counts it.
//!
//! The state of a group is the list of its values, one for each call.

mod captured;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{AggregateCall, AggregateFunction, Error, Result, hash};

use self::captured::CapturedPairs;
use super::super::key_table::{KeyLayout, KeyTable};
use super::{Accumulator, Argument, CapturedColumns, CapturedStates, Rows, as_type, state_column};
use crate::chunked::{Chunked, Picked};

/// The end of a list.
const END: u32 = u32::MAX;

/// For each call one bit.
type Calls = u8;

/// Where fewer pairs than one in so many are captured, their lists are followed; else all pairs are read in order, which costs less for
/// each of them.
const SPARSE: usize = 16;

struct DistinctCount {
    plan: Arc<Plan>,
    pairs: KeyTable,
    /// Which calls count each pair; a pair that none does is not there.
    counted: Chunked<Calls>,
    /// Of each pair, the one before it in its group's list.
    next: Vec<u32>,
    /// Of each group, the last pair.
    last: Vec<u32>,
    /// Of each group, for each call, how many pairs.
    counts: Vec<u32>,
}

struct Plan {
    /// One for each call; all are of the same column.
    arguments: Vec<Argument>,
    layout: KeyLayout,
    data_type: DataType,
    states: Vec<Field>,
}

/// How many of the first `calls` have one accumulator: those that count the distinct values of the column that the first one does.
pub(super) fn together(calls: &[AggregateCall]) -> usize {
    let is_one = |call: &&AggregateCall| {
        let distinct = call.distinct && call.function == AggregateFunction::Count && call.order_by.is_empty();
        distinct && call.arguments.len() == 1 && call.arguments == calls[0].arguments
    };
    calls.iter().take_while(is_one).take(Calls::BITS as usize).count()
}

/// The accumulator of calls that are [`together`], if the values are of a type that can be a key.
pub(super) fn create(calls: &[AggregateCall], input: &Schema) -> Result<Option<Box<dyn Accumulator>>> {
    let [AggregateCall { arguments, .. }, ..] = calls else { return Ok(None) };
    let [argument] = arguments.as_slice() else { return Ok(None) };
    let data_type = input.field(*argument).data_type().clone();
    if !hash::is_hashable(&data_type) {
        return Ok(None);
    }
    let state = |call: &AggregateCall| {
        Field::new_list(format!("{}$0", call.name), Field::new_list_field(data_type.clone(), true), true)
    };
    let plan = Plan {
        arguments: calls.iter().map(Argument::of).collect(),
        layout: KeyLayout::new(vec![DataType::UInt32, data_type.clone()])?,
        states: calls.iter().map(state).collect(),
        data_type,
    };
    Ok(Some(Box::new(DistinctCount::new(Arc::new(plan)))))
}

impl Plan {
    fn calls(&self) -> usize {
        self.arguments.len()
    }

    /// A list of values for each group.
    fn lists(&self, offsets: Vec<i32>, values: &ArrayRef) -> Result<ArrayRef> {
        let item = Arc::new(Field::new_list_field(self.data_type.clone(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(ListArray::try_new(item, offsets, as_type(values, &self.data_type)?, None)?))
    }
}

/// The end of a list among those of one batch.
fn offset(values: usize) -> Result<i32> {
    i32::try_from(values).map_err(|_| {
        Error::environment("groups of one batch hold more than two thousand million distinct values")
            .with_help("raise the parallelism, or use APPROX_DISTINCT")
    })
}

impl DistinctCount {
    fn new(plan: Arc<Plan>) -> Self {
        let pairs = KeyTable::new(&plan.layout, 0);
        Self { plan, pairs, counted: Chunked::default(), next: Vec::new(), last: Vec::new(), counts: Vec::new() }
    }

    /// Adds the values to the groups in `slots`, each for the calls that `of` says, of which there is one at least. No value is null.
    fn add(&mut self, slots: UInt32Array, values: ArrayRef, of: impl Iterator<Item = Calls>) -> Result<()> {
        let mut pairs = Vec::new();
        let columns: [ArrayRef; 2] = [Arc::new(slots.clone()), values];
        self.pairs.intern(&columns, slots.len(), &mut pairs)?;
        self.counted.grow(self.pairs.slots());
        self.next.resize(self.pairs.slots(), END);
        let calls = self.plan.calls();
        for ((pair, slot), of) in pairs.into_iter().zip(slots.values()).zip(of) {
            let known = *self.counted.get(pair);
            let mut new = of & !known;
            if new == 0 {
                continue;
            }
            *self.counted.get_mut(pair) = known | new;
            if known == 0 {
                self.next[pair as usize] = std::mem::replace(&mut self.last[*slot as usize], pair);
            }
            let counts = &mut self.counts[*slot as usize * calls..][..calls];
            while new != 0 {
                counts[new.trailing_zeros() as usize] += 1;
                new &= new - 1;
            }
        }
        Ok(())
    }

    /// The pairs of a group.
    fn pairs_of(&self, slot: usize) -> impl Iterator<Item = u32> + '_ {
        let follow = |pair: u32| (pair != END).then_some(pair);
        std::iter::successors(follow(self.last[slot]), move |pair| follow(self.next[*pair as usize]))
    }

    fn results_of(&self, call: usize, picked: &Picked, piece: Range<usize>) -> ArrayRef {
        let calls = self.plan.calls();
        let counts = piece.map(|position| i64::from(self.counts[picked.slot(position) * calls + call]));
        Arc::new(Int64Array::from_iter_values(counts))
    }

    /// Which calls count each row; `None`: all count all rows.
    fn counting(&self, rows: Rows<'_>) -> Option<Vec<Calls>> {
        let selected: Vec<_> = self.plan.arguments.iter().map(|argument| argument.selected(rows)).collect();
        if selected.iter().all(Option::is_none) {
            return None;
        }
        let mut counting: Vec<Calls> = vec![0; rows.len];
        for (call, selected) in selected.iter().enumerate() {
            let bit = 1 << call;
            match selected {
                None => counting.iter_mut().for_each(|calls| *calls |= bit),
                Some(selected) => selected.valid_indices().for_each(|row| counting[row] |= bit),
            }
        }
        Some(counting)
    }
}

impl Accumulator for DistinctCount {
    fn fresh(&self) -> Box<dyn Accumulator> {
        Box::new(Self::new(self.plan.clone()))
    }

    fn state_fields(&self) -> Vec<Field> {
        self.plan.states.clone()
    }

    fn grow(&mut self, groups: usize) -> Result<()> {
        let groups = groups.max(self.last.len());
        self.last.resize(groups, END);
        self.counts.resize(groups * self.plan.calls(), 0);
        Ok(())
    }

    fn clear(&mut self, slots: &[u32]) -> Result<()> {
        let pairs: Vec<u32> = slots.iter().flat_map(|slot| self.pairs_of(*slot as usize)).collect();
        self.pairs.remove(&pairs);
        pairs.iter().for_each(|pair| *self.counted.get_mut(*pair) = 0);
        let calls = self.plan.calls();
        for slot in slots {
            self.last[*slot as usize] = END;
            self.counts[*slot as usize * calls..][..calls].fill(0);
        }
        Ok(())
    }

    fn update(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let values = self.plan.arguments[0].values(rows, &self.plan.data_type)?;
        let Some(counting) = self.counting(rows) else {
            let all = Calls::MAX >> (Calls::BITS as usize - self.plan.calls());
            return self.add(slots.to_vec().into(), values, std::iter::repeat(all));
        };
        if !counting.contains(&0) {
            return self.add(slots.to_vec().into(), values, counting.into_iter());
        }
        let rows: Vec<u32> = (0..).zip(&counting).filter(|(_, calls)| **calls != 0).map(|(row, _)| row).collect();
        let slots = rows.iter().map(|row| slots[*row as usize]).collect::<Vec<_>>();
        let counting = rows.iter().map(|row| counting[*row as usize]).collect::<Vec<_>>();
        self.add(slots.into(), take(&values, &UInt32Array::from(rows), None)?, counting.into_iter())
    }

    fn merge(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        for call in 0..self.plan.calls() {
            let lists = state_column(states, call)?;
            let lists = lists.as_list_opt::<i32>().ok_or_else(|| Error::internal("the state of a group is no list"))?;
            let (Some(first), Some(last)) = (lists.offsets().first(), lists.offsets().last()) else { continue };
            let values = lists.values().slice(*first as usize, (last - first) as usize);
            let lengths = lists.offsets().lengths();
            let slots = slots.iter().zip(lengths).flat_map(|(slot, length)| std::iter::repeat_n(*slot, length));
            let values = as_type(&values, &self.plan.data_type)?;
            self.add(slots.collect::<Vec<_>>().into(), values, std::iter::repeat(1 << call))?;
        }
        Ok(())
    }

    fn states(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        let calls = self.plan.calls();
        let mut pairs = vec![Vec::new(); calls];
        let mut offsets = vec![vec![0]; calls];
        for position in piece {
            for pair in self.pairs_of(picked.slot(position)) {
                let counted = *self.counted.get(pair);
                let of_call = pairs.iter_mut().enumerate().filter(|(call, _)| counted & 1 << call != 0);
                of_call.for_each(|(_, pairs)| pairs.push(pair));
            }
            for (offsets, pairs) in offsets.iter_mut().zip(&pairs) {
                offsets.push(offset(pairs.len())?);
            }
        }
        let lists = pairs.into_iter().zip(offsets).map(|(pairs, offsets)| {
            let values = match pairs.len() {
                0 => new_empty_array(&self.plan.data_type),
                count => self.pairs.columns(&Picked::Slots(pairs.into()), 0..count)?.swap_remove(1),
            };
            self.plan.lists(offsets, &values)
        });
        lists.collect()
    }

    fn capture(&mut self, picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        let calls = self.plan.calls();
        let of_group = |position| {
            let counts = &self.counts[picked.slot(position) * calls..][..calls];
            counts.iter().copied().max().unwrap_or_default() as usize
        };
        let captured: usize = (0..picked.len()).map(of_group).sum();
        let all = self.pairs.slots();
        // A place without a pair has no key.
        if self.pairs.len() < all || captured * SPARSE < all {
            return CapturedColumns::capture(self, picked);
        }
        let pairs = Picked::First(all);
        let (keys, counted) = (self.pairs.capture(&pairs), self.counted.capture(&pairs));
        Ok(Box::new(CapturedPairs::new(self.plan.clone(), pairs, keys, counted, picked.clone())))
    }

    fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<ArrayRef> {
        Ok(self.results_of(0, picked, piece))
    }

    fn all_results(&mut self, picked: &Picked, piece: Range<usize>, out: &mut Vec<ArrayRef>) -> Result<()> {
        out.extend((0..self.plan.calls()).map(|call| self.results_of(call, picked, piece.clone())));
        Ok(())
    }

    fn bytes(&self) -> usize {
        let lists = (self.next.capacity() + self.last.capacity() + self.counts.capacity()) * size_of::<u32>();
        self.pairs.bytes() + self.counted.bytes() + lists
    }
}

#[cfg(test)]
mod tests;
