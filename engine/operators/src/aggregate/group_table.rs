//! Groups with their keys and states: the table in front of an aggregation's state.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt64Array, types::Int64Type,
};
use arrow::datatypes::SchemaRef;
use weir_core::{Error, Result, StateRows, hash};

use super::accumulator::{Accumulator, CapturedStates, Changed, Rows};
use super::key_table::{CapturedKeys, KeyTable};
use super::layout::{KeyParts, Layout};
use crate::chunked::Picked;

/// Buffers that are reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    slots: Vec<u32>,
}

impl Scratch {
    /// The groups of the rows that were loaded last.
    pub(crate) fn slots(&self) -> &[u32] {
        &self.slots
    }
}

/// What an eviction did to a table.
pub(crate) struct Evicted {
    /// Slots of the groups that left.
    pub(crate) left: Vec<u32>,
    /// In which slot each group was before, if they have moved.
    pub(crate) packed: Option<Picked>,
}

/// Groups, their states, and which of them changed since the last capture.
pub(crate) struct GroupTable {
    keys: KeyTable,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// A byte for each group, 1 if it changed: a byte is stored without being read first, a bit is not.
    dirty: Vec<u8>,
    any_dirty: bool,
}

impl GroupTable {
    /// An empty table with room for `capacity` groups.
    pub(crate) fn new(layout: &Layout, capacity: usize) -> Self {
        Self {
            keys: KeyTable::new(&layout.keys, capacity),
            accumulators: layout.prototypes.iter().map(|prototype| prototype.fresh()).collect(),
            dirty: Vec::new(),
            any_dirty: false,
        }
    }

    /// Makes an empty table of it, which has its memory already.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.accumulators = std::mem::take(&mut self.accumulators).into_iter().map(Accumulator::emptied).collect();
        self.dirty.clear();
        self.any_dirty = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// All groups.
    pub(crate) fn all(&self) -> Picked {
        self.keys.all()
    }

    /// Puts the group of each row into `slots`. A new one has no rows yet.
    pub(crate) fn intern(&mut self, layout: &Layout, rows: Rows<'_>, slots: &mut Vec<u32>) -> Result<()> {
        self.keys.intern(&layout.key_arrays(rows.columns), rows.len, slots)?;
        self.grow()?;
        self.mark(slots);
        Ok(())
    }

    /// Takes rows in, of the groups that [`intern`](Self::intern) has found.
    pub(crate) fn add(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.update(slots, rows))
    }

    /// Takes rows in, and others out again that were taken in before: all of them, and those of one sign each.
    pub(crate) fn change(
        &mut self,
        all: Changed<'_>,
        added: (&[u32], Rows<'_>),
        taken: (&[u32], Rows<'_>),
    ) -> Result<()> {
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.change(all, added, taken))
    }

    /// Takes input rows in.
    pub(crate) fn update(&mut self, layout: &Layout, rows: Rows<'_>, scratch: &mut Scratch) -> Result<()> {
        let slots = &mut scratch.slots;
        self.intern(layout, rows, slots)?;
        if !layout.partial_input {
            return self.add(slots, rows);
        }
        let states = &rows.columns[layout.first_state..];
        for (index, (accumulator, columns)) in self.accumulators.iter_mut().zip(&layout.state_columns).enumerate() {
            match index < layout.results {
                true => accumulator.merge(slots, &states[columns.clone()])?,
                // The row count's state is the last column, behind the pane.
                false => accumulator.merge(slots, &states[states.len() - 1..])?,
            }
        }
        Ok(())
    }

    /// Takes states in that are stored. They do not count as changed.
    pub(crate) fn load(
        &mut self,
        layout: &Layout,
        keys: &[ArrayRef],
        states: &[ArrayRef],
        rows: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.keys.intern(keys, rows, &mut scratch.slots)?;
        self.grow()?;
        self.accumulators.iter_mut().zip(&layout.state_columns).try_for_each(|(accumulator, columns)| {
            let states = states.get(columns.clone()).ok_or_else(|| Error::internal("loaded state lacks columns"))?;
            accumulator.merge(&scratch.slots, states)
        })
    }

    /// Takes all groups of another table in.
    pub(crate) fn absorb(&mut self, other: &mut GroupTable, scratch: &mut Scratch) -> Result<()> {
        let all = other.all();
        self.combine(other, &all, scratch, |accumulator, slots, states| accumulator.merge(slots, states))
    }

    /// Takes all groups of another table out again, which was absorbed before. Groups stay, if only with a row count
    /// of zero.
    pub(crate) fn release(&mut self, other: &mut GroupTable, scratch: &mut Scratch) -> Result<()> {
        let all = other.all();
        self.combine(other, &all, scratch, |accumulator, slots, states| accumulator.retract(slots, states))
    }

    fn combine(
        &mut self,
        other: &mut GroupTable,
        picked: &Picked,
        scratch: &mut Scratch,
        each: impl Fn(&mut dyn Accumulator, &[u32], &[ArrayRef]) -> Result<()>,
    ) -> Result<()> {
        for piece in picked.pieces() {
            self.keys.intern_from(&other.keys, picked, piece.clone(), &mut scratch.slots);
            self.grow()?;
            for (accumulator, others) in self.accumulators.iter_mut().zip(&mut other.accumulators) {
                each(&mut **accumulator, &scratch.slots, &others.states(picked, piece.clone())?)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<()> {
        let groups = self.keys.slots();
        if groups > self.dirty.len() {
            self.dirty.resize(groups, 0);
            self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.grow(groups))?;
        }
        Ok(())
    }

    /// These groups count as changed.
    pub(crate) fn touch(&mut self, slots: &[u32]) {
        self.mark(slots);
    }

    fn mark(&mut self, slots: &[u32]) {
        self.any_dirty |= !slots.is_empty();
        for slot in slots {
            self.dirty[*slot as usize] = 1;
        }
    }

    /// Key columns and results of the picked groups, in pieces fit for a batch, each with its number of rows.
    pub(crate) fn results<'a>(
        &'a mut self,
        layout: &'a Layout,
        picked: &'a Picked,
    ) -> impl Iterator<Item = Result<(Vec<ArrayRef>, usize)>> + 'a {
        picked.pieces().map(move |piece| {
            let mut columns = self.keys.columns(picked, piece.clone())?;
            for accumulator in &mut self.accumulators[..layout.results] {
                accumulator.all_results(picked, piece.clone(), &mut columns)?;
            }
            Ok((columns, piece.len()))
        })
    }

    /// Every slot is below this one.
    pub(crate) fn slots(&self) -> usize {
        self.keys.slots()
    }

    /// Key columns of a piece of the picked groups.
    pub(crate) fn key_values(&self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.keys.columns(picked, piece)
    }

    /// Results of a piece of the picked groups.
    pub(crate) fn values(&mut self, layout: &Layout, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        let mut values = Vec::new();
        let mut accumulators = self.accumulators[..layout.results].iter_mut();
        accumulators.try_for_each(|accumulator| accumulator.all_results(picked, piece.clone(), &mut values))?;
        Ok(values)
    }

    /// How many rows a piece of the picked groups has, as the last accumulator counts them.
    pub(crate) fn row_counts(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Int64Array> {
        let counts =
            self.accumulators.last_mut().ok_or_else(|| Error::internal("the rows of groups are not counted"))?;
        Ok(counts.results(picked, piece)?.as_primitive::<Int64Type>().clone())
    }

    /// Lets go of groups without rows.
    pub(crate) fn remove(&mut self, slots: &[u32]) -> Result<()> {
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.clear(slots))?;
        self.keys.remove(slots);
        slots.iter().for_each(|slot| self.dirty[*slot as usize] = 0);
        Ok(())
    }

    /// Key columns and states of all groups, in pieces fit for a batch.
    pub(crate) fn states(&mut self) -> impl Iterator<Item = Result<Vec<ArrayRef>>> + '_ {
        let all = self.all();
        all.pieces().map(move |piece| {
            let mut columns = self.keys.columns(&all, piece.clone())?;
            for accumulator in &mut self.accumulators {
                columns.extend(accumulator.states(&all, piece.clone())?);
            }
            Ok(columns)
        })
    }

    /// Groups whose row count, kept by the last accumulator, is not zero.
    pub(crate) fn populated(&mut self) -> Result<Picked> {
        let all = self.all();
        let mut populated = Vec::with_capacity(self.len());
        if let Some(counts) = self.accumulators.last_mut() {
            for piece in all.pieces() {
                let states = counts.states(&all, piece.clone())?;
                let counts = states[0].as_primitive::<Int64Type>().values();
                let with_rows = piece.zip(counts).filter(|(_, count)| **count != 0);
                populated.extend(with_rows.map(|(position, _)| all.slot(position) as u32));
            }
        }
        Ok(if populated.len() == self.len() { all } else { Picked::Slots(populated.into()) })
    }

    /// Lets go of the groups whose key hash `leaves`. None of them has changed since the last capture.
    pub(crate) fn evict(
        &mut self,
        layout: &Layout,
        leaves: &dyn Fn(u64) -> bool,
        scratch: &mut Scratch,
    ) -> Result<Evicted> {
        let leaving = self.leaving(layout, leaves)?;
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.clear(&leaving))?;
        self.keys.remove(&leaving);
        let packed = (self.len() < self.keys.slots() / 2).then(|| self.pack(layout, scratch)).transpose()?;
        Ok(Evicted { left: leaving, packed })
    }

    /// The groups whose key hash `leaves`. None of them has changed since the last capture.
    pub(crate) fn leaving(&self, layout: &Layout, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<u32>> {
        let leaving = self.keys.leaving(layout.parts.spread_by, leaves)?;
        match leaving.iter().any(|slot| self.dirty[*slot as usize] != 0) {
            true => Err(Error::internal("a group that has changed was to leave before it is stored")),
            false => Ok(leaving),
        }
    }

    /// Moves the groups to a table of their size: vacant slots keep their memory. Returns where each of them was before.
    fn pack(&mut self, layout: &Layout, scratch: &mut Scratch) -> Result<Picked> {
        let all = self.all();
        self.keep(layout, &all, scratch)?;
        Ok(all)
    }

    /// Lets go of all groups but the picked ones, which are numbered anew in the order in which they are picked.
    pub(crate) fn keep(&mut self, layout: &Layout, picked: &Picked, scratch: &mut Scratch) -> Result<()> {
        let mut kept = Self::new(layout, picked.len());
        kept.combine(self, picked, scratch, |accumulator, slots, states| accumulator.merge(slots, states))?;
        kept.dirty.iter_mut().enumerate().for_each(|(slot, dirty)| *dirty = self.dirty[picked.slot(slot)]);
        kept.any_dirty = self.any_dirty;
        *self = kept;
        Ok(())
    }

    /// What changed in these groups is not captured any more: they have expired.
    pub(crate) fn forget_changes(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.dirty[*slot as usize] = 0);
    }

    /// What changed since the last capture, if anything did; from now on it counts as unchanged.
    pub(crate) fn capture(&mut self) -> Result<Option<CapturedGroups>> {
        if !std::mem::take(&mut self.any_dirty) {
            return Ok(None);
        }
        let changed = self.dirty.chunks(255).map(|bytes| usize::from(bytes.iter().sum::<u8>())).sum();
        let picked = if changed == self.dirty.len() {
            Picked::First(changed)
        } else {
            let mut slots = Vec::with_capacity(changed);
            for (block, bytes) in self.dirty.chunks(64).enumerate() {
                // Most blocks of a large table are clean; the sum over a block is a few vector instructions.
                if bytes.iter().sum::<u8>() > 0 {
                    let first = block as u32 * 64;
                    slots.extend((first..).zip(bytes).filter(|(_, dirty)| **dirty != 0).map(|(slot, _)| slot));
                }
            }
            Picked::Slots(slots.into())
        };
        self.dirty.fill(0);
        let states = self.accumulators.iter_mut().map(|accumulator| accumulator.capture(&picked));
        let states = states.collect::<Result<_>>()?;
        Ok(Some(CapturedGroups { keys: self.keys.capture(&picked), states, picked, stamps: None }))
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let states: usize = self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum();
        let (groups, slots) = (self.keys.len(), self.keys.slots().max(1));
        let taken = states as u128 * groups as u128 / slots as u128;
        self.keys.bytes() + self.dirty.len() + taken as usize
    }
}

/// Groups as they were at a capture.
pub(crate) struct CapturedGroups {
    picked: Picked,
    keys: CapturedKeys,
    states: Vec<Box<dyn CapturedStates>>,
    /// When each was touched last, where the state has a column for that; empty where nothing is known of it.
    stamps: Option<Vec<Option<i64>>>,
}

impl CapturedGroups {
    /// Groups have a stamp each behind their states, or nulls if there is nothing that says which.
    pub(crate) fn stamp(&mut self, of: Option<&dyn Fn(u32) -> Option<i64>>) {
        let all = |of: &dyn Fn(u32) -> Option<i64>| {
            (0..self.picked.len()).map(|position| of(self.picked.slot(position) as u32)).collect()
        };
        self.stamps = Some(of.map(all).unwrap_or_default());
    }

    /// State rows: keys, the columns that `times` makes of the panes among the keys for so many rows, and states.
    pub(crate) fn rows(
        &self,
        schema: &SchemaRef,
        parts: KeyParts,
        times: impl Fn(&[ArrayRef], usize) -> Vec<ArrayRef>,
        rows: &mut Vec<StateRows>,
    ) -> Result<()> {
        for piece in self.picked.pieces() {
            let mut columns = self.keys.columns(piece.clone())?;
            let panes = columns.split_off(parts.own);
            let mut hashes = Vec::new();
            hash::hash_rows(&columns[..parts.spread_by], piece.len(), &mut hashes)?;
            columns.extend(times(&panes, piece.len()));
            for states in &self.states {
                columns.extend(states.columns(piece.clone())?);
            }
            if let Some(stamps) = &self.stamps {
                columns.push(Arc::new(match stamps.get(piece.clone()) {
                    Some(stamps) => TimestampMillisecondArray::from(stamps.to_vec()),
                    None => TimestampMillisecondArray::new_null(piece.len()),
                }));
            }
            let records = RecordBatch::try_new(schema.clone(), columns)?;
            rows.push(StateRows { rows: records, hashes: UInt64Array::from(hashes), deleted: None });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
