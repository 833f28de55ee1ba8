//! `COUNT(DISTINCT x)`: the pairs of group and value of all groups are in one table, so that a group costs what its values cost. The
//! values of a group are a linked list through the table.
//!
//! The state of a group is the list of its values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{AggregateCall, Error, Result, hash};

use super::super::chunked::Picked;
use super::super::key_table::{KeyLayout, KeyTable};
use super::{Accumulator, Argument, CapturedColumns, CapturedStates, Rows, as_type, state_column};

/// The end of a list.
const END: u32 = u32::MAX;
/// The successor of a pair that is in no list.
const FREE: u32 = u32::MAX - 1;

struct DistinctCount {
    plan: Arc<Plan>,
    pairs: KeyTable,
    /// Of each pair, the one before it in its group's list.
    next: Vec<u32>,
    groups: Vec<Group>,
}

struct Plan {
    argument: Argument,
    layout: KeyLayout,
    data_type: DataType,
    state: Field,
}

#[derive(Clone, Copy)]
struct Group {
    last: u32,
    count: u32,
}

const EMPTY: Group = Group { last: END, count: 0 };

/// The accumulator, if the values are of a type that can be a key.
pub(super) fn create(call: &AggregateCall, input: &Schema) -> Result<Option<Box<dyn Accumulator>>> {
    let [argument] = call.arguments.as_slice() else { return Ok(None) };
    let data_type = input.field(*argument).data_type().clone();
    if !hash::is_hashable(&data_type) {
        return Ok(None);
    }
    let plan = Plan {
        argument: Argument::of(call),
        layout: KeyLayout::new(vec![DataType::UInt32, data_type.clone()])?,
        state: Field::new_list(format!("{}$0", call.name), Field::new_list_field(data_type.clone(), true), true),
        data_type,
    };
    Ok(Some(Box::new(DistinctCount::new(Arc::new(plan)))))
}

impl DistinctCount {
    fn new(plan: Arc<Plan>) -> Self {
        let pairs = KeyTable::new(&plan.layout, 0);
        Self { plan, pairs, next: Vec::new(), groups: Vec::new() }
    }

    /// Adds the values to the groups in `slots`. No value is null.
    fn add(&mut self, slots: UInt32Array, values: ArrayRef) -> Result<()> {
        let mut pairs = Vec::new();
        let columns: [ArrayRef; 2] = [Arc::new(slots.clone()), values];
        self.pairs.intern(&columns, slots.len(), &mut pairs)?;
        self.next.resize(self.pairs.slots(), FREE);
        for (pair, slot) in pairs.into_iter().zip(slots.values()) {
            let next = &mut self.next[pair as usize];
            if *next == FREE {
                let group = &mut self.groups[*slot as usize];
                *next = std::mem::replace(&mut group.last, pair);
                group.count += 1;
            }
        }
        Ok(())
    }

    /// The pairs of a group.
    fn pairs_of(&self, slot: usize) -> impl Iterator<Item = u32> + '_ {
        let follow = |pair: u32| (pair != END).then_some(pair);
        std::iter::successors(follow(self.groups[slot].last), move |pair| follow(self.next[*pair as usize]))
    }
}

impl Accumulator for DistinctCount {
    fn fresh(&self) -> Box<dyn Accumulator> {
        Box::new(Self::new(self.plan.clone()))
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![self.plan.state.clone()]
    }

    fn grow(&mut self, groups: usize) -> Result<()> {
        self.groups.resize(groups.max(self.groups.len()), EMPTY);
        Ok(())
    }

    fn clear(&mut self, slots: &[u32]) -> Result<()> {
        let pairs: Vec<u32> = slots.iter().flat_map(|slot| self.pairs_of(*slot as usize)).collect();
        self.pairs.remove(&pairs);
        pairs.iter().for_each(|pair| self.next[*pair as usize] = FREE);
        slots.iter().for_each(|slot| self.groups[*slot as usize] = EMPTY);
        Ok(())
    }

    fn update(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let values = self.plan.argument.values(rows, &self.plan.data_type)?;
        match self.plan.argument.selected(rows) {
            None => self.add(slots.to_vec().into(), values),
            Some(selected) => {
                let rows: UInt32Array = selected.valid_indices().map(|row| row as u32).collect::<Vec<_>>().into();
                let slots = rows.values().iter().map(|row| slots[*row as usize]).collect::<Vec<_>>();
                self.add(slots.into(), take(&values, &rows, None)?)
            }
        }
    }

    fn merge(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        let lists = state_column(states, 0)?;
        let lists = lists.as_list_opt::<i32>().ok_or_else(|| Error::internal("the state of a group is no list"))?;
        let (Some(first), Some(last)) = (lists.offsets().first(), lists.offsets().last()) else { return Ok(()) };
        let values = lists.values().slice(*first as usize, (last - first) as usize);
        let lengths = lists.offsets().lengths();
        let slots = slots.iter().zip(lengths).flat_map(|(slot, length)| std::iter::repeat_n(*slot, length));
        self.add(slots.collect::<Vec<_>>().into(), as_type(&values, &self.plan.data_type)?)
    }

    fn states(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        let (mut pairs, mut offsets) = (Vec::new(), Vec::with_capacity(piece.len() + 1));
        offsets.push(0);
        for position in piece {
            pairs.extend(self.pairs_of(picked.slot(position)));
            let end = i32::try_from(pairs.len()).map_err(|_| {
                Error::environment("groups of one batch hold more than two thousand million distinct values")
                    .with_help("raise the parallelism, or use APPROX_DISTINCT")
            })?;
            offsets.push(end);
        }
        let values = match pairs.len() {
            0 => new_empty_array(&self.plan.data_type),
            count => {
                let columns = self.pairs.columns(&Picked::Slots(pairs.into()), 0..count)?;
                as_type(&columns[1], &self.plan.data_type)?
            }
        };
        let item = Arc::new(Field::new_list_field(self.plan.data_type.clone(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(vec![Arc::new(ListArray::try_new(item, offsets, values, None)?)])
    }

    fn capture(&mut self, picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        CapturedColumns::capture(self, picked)
    }

    fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<ArrayRef> {
        let counts = piece.map(|position| i64::from(self.groups[picked.slot(position)].count));
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }

    fn bytes(&self) -> usize {
        self.pairs.bytes() + self.next.capacity() * size_of::<u32>() + self.groups.capacity() * size_of::<Group>()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;
    use weir_core::AggregateFunction;

    use super::*;

    #[test]
    fn a_group_costs_what_its_values_cost_and_gives_it_back() {
        let input = Schema::new(vec![Field::new("name", DataType::Utf8View, true)]);
        let call = AggregateCall {
            function: AggregateFunction::Count,
            arguments: vec![0],
            constants: Vec::new(),
            distinct: true,
            filter: None,
            order_by: Vec::new(),
            name: "names".to_owned(),
            data_type: DataType::Int64,
        };
        let mut counts = create(&call, &input).unwrap().unwrap();
        const GROUPS: u32 = 1000;
        counts.grow(GROUPS as usize).unwrap();
        let slots: Vec<u32> = (0..6 * GROUPS).map(|row| row % GROUPS).collect();
        let names = slots.iter().enumerate().map(|(row, _)| match row as u32 / GROUPS {
            0 => None,
            round => Some(format!("name {}", round / 2)),
        });
        let columns: [ArrayRef; 1] = [Arc::new(names.collect::<StringViewArray>())];
        let rows = Rows { columns: &columns, len: slots.len() };
        let (all, count) = (Picked::First(GROUPS as usize), 0..GROUPS as usize);
        counts.update(&slots, rows).unwrap();
        let bytes = counts.bytes();
        assert!(bytes < 400 * GROUPS as usize, "{bytes} bytes for {GROUPS} groups of three names");
        for _ in 0..3 {
            let found = counts.results(&all, count.clone()).unwrap();
            assert!(found.as_primitive::<arrow::datatypes::Int64Type>().values().iter().all(|count| *count == 3));
            counts.clear(&(0..GROUPS).collect::<Vec<_>>()).unwrap();
            let found = counts.results(&all, count.clone()).unwrap();
            assert!(found.as_primitive::<arrow::datatypes::Int64Type>().values().iter().all(|count| *count == 0));
            counts.update(&slots, rows).unwrap();
        }
        assert!(counts.bytes() < 2 * bytes, "vacant places are used again");
    }
}
