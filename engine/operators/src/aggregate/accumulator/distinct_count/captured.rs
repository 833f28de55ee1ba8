//! Pairs as they were at a capture. The lists are made of them later, all at once, by reading the pairs in their order: along the lists
//! nearly each of them would be a miss of the processor's caches.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::UInt32Type;
use weir_core::{Error, Result};

use super::super::super::key_table::CapturedKeys;
use super::super::CapturedStates;
use super::{Calls, Plan, offset};
use crate::chunked::{Captured, Picked};

/// No position.
const NOWHERE: u32 = u32::MAX;

pub(super) struct CapturedPairs {
    plan: Arc<Plan>,
    /// All pairs.
    pairs: Picked,
    keys: CapturedKeys,
    counted: Captured<Calls>,
    /// The groups that are captured.
    groups: Picked,
    lists: OnceLock<Lists>,
}

/// What the groups of all pieces hold.
struct Lists {
    values: ArrayRef,
    /// One for each call.
    calls: Vec<List>,
}

/// The pairs of one call, group by group.
struct List {
    /// Where each group's begin, and where the last one's end.
    starts: Vec<usize>,
    pairs: Vec<u32>,
}

impl CapturedPairs {
    pub(super) fn new(
        plan: Arc<Plan>,
        pairs: Picked,
        keys: CapturedKeys,
        counted: Captured<Calls>,
        groups: Picked,
    ) -> Self {
        Self { plan, pairs, keys, counted, groups, lists: OnceLock::new() }
    }

    fn lists(&self) -> Result<&Lists> {
        if let Some(lists) = self.lists.get() {
            return Ok(lists);
        }
        let lists = self.make_lists()?;
        Ok(self.lists.get_or_init(|| lists))
    }

    fn make_lists(&self) -> Result<Lists> {
        let (mut slots, mut values) = (Vec::with_capacity(self.pairs.len()), Vec::new());
        for piece in self.pairs.pieces() {
            let mut columns = self.keys.columns(piece)?;
            values.extend(columns.pop());
            let of_piece = columns.pop().ok_or_else(|| Error::internal("a pair has no group"))?;
            slots.extend_from_slice(of_piece.as_primitive::<UInt32Type>().values());
        }
        let values: Vec<&dyn Array> = values.iter().map(|values| &**values).collect();
        let greatest = slots.iter().max().map_or(0, |slot| *slot as usize + 1);
        let mut positions = vec![NOWHERE; greatest];
        for position in 0..self.groups.len() {
            // One that is not there has no pairs.
            if let Some(of_slot) = positions.get_mut(self.groups.slot(position)) {
                *of_slot = position as u32;
            }
        }
        let calls = (0..self.plan.calls()).map(|call| self.list(call, &slots, &positions));
        let values = match values[..] {
            [] => new_empty_array(&self.plan.data_type),
            _ => concat(&values)?,
        };
        Ok(Lists { calls: calls.collect(), values })
    }

    fn list(&self, call: usize, slots: &[u32], positions: &[u32]) -> List {
        let mut starts = vec![0; self.groups.len() + 1];
        self.for_each(call, slots, positions, |position, _| starts[position + 1] += 1);
        for position in 1..starts.len() {
            starts[position] += starts[position - 1];
        }
        let mut ends = starts.clone();
        let mut pairs = vec![0; starts.last().copied().unwrap_or_default()];
        self.for_each(call, slots, positions, |position, pair| {
            pairs[ends[position]] = pair;
            ends[position] += 1;
        });
        List { starts, pairs }
    }

    /// Hands each pair that is counted by a call, and is of a captured group, to `found`.
    fn for_each(&self, call: usize, slots: &[u32], positions: &[u32], mut found: impl FnMut(usize, u32)) {
        for piece in self.pairs.pieces() {
            let counted = self.counted.read(piece.clone());
            for (pair, counted) in piece.zip(counted.iter()) {
                let position = positions[slots[pair] as usize];
                if counted & 1 << call != 0 && position != NOWHERE {
                    found(position as usize, pair as u32);
                }
            }
        }
    }
}

impl CapturedStates for CapturedPairs {
    fn columns(&self, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        let lists = self.lists()?;
        let of_call = |List { starts, pairs }: &List| {
            let first = starts[piece.start];
            let offsets = starts[piece.start..=piece.end].iter().map(|start| offset(start - first));
            let pairs = UInt32Array::from(pairs[first..starts[piece.end]].to_vec());
            self.plan.lists(offsets.collect::<Result<_>>()?, &take(&lists.values, &pairs, None)?)
        };
        lists.calls.iter().map(of_call).collect()
    }
}
