//! Groups of rows in a child, which an aggregate function adds up. Operators call one group after the other; over the socket go what many of them are given,
//! in one message, and what many have come to:
//!
//! 1. What groups are given waits here until one is asked for something, or until it is much. What goes wrong with it is told then.
//! 2. Operators announce which groups they ask next. With the first of them others are asked too, in the same order, and no group that was not announced.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::concat;
use weir_core::views::{Strings, compact};
use weir_core::{Batch, Error, Result};

use super::lease::Lease;
use super::process::waiting;
use super::protocol::{Call, FunctionCall, Stream};
use super::values::{columns, values};

/// Rows that wait, at most.
const MOST_ROWS: usize = 8192;
/// Bytes that wait, at most: the rows of one call may be more.
const MOST_BYTES: usize = 4 << 20;
/// Groups that are asked at once, at most.
const MOST_VALUES: usize = 512;
/// Groups that wait to be forgotten, at most, until others are asked for something.
const MOST_FORGOTTEN: usize = 8192;

/// What a group is given.
pub struct Addition {
    /// Its number.
    pub group: u64,
    /// States of other groups, not arguments.
    pub states: bool,
    /// The arguments, or the states.
    pub columns: Vec<ArrayRef>,
    /// How many.
    pub rows: usize,
}

/// The groups of a function.
#[derive(Default)]
pub struct Groups {
    /// In order.
    waiting: Vec<Addition>,
    waiting_rows: usize,
    waiting_bytes: usize,
    /// Those that are called.
    known: BTreeMap<u64, Known>,
    /// Those whose states are asked next, in order.
    states_next: VecDeque<u64>,
    results_next: VecDeque<u64>,
    /// Those that the child can let go.
    forgotten: Vec<u64>,
}

#[derive(Default)]
struct Known {
    /// Whether the child has it.
    sent: bool,
    /// As the child has said last.
    bytes: usize,
    /// Of what it was given and waits here.
    waiting_bytes: usize,
    /// What it has come to, if that was told and not wanted yet.
    state: Option<ArrayRef>,
    result: Option<ArrayRef>,
}

impl Known {
    fn value(&mut self, results: bool) -> &mut Option<ArrayRef> {
        if results { &mut self.result } else { &mut self.state }
    }
}

/// A child, and the number of the function there.
type Function<'a> = (&'a Lease, u32);

impl Groups {
    /// Gives a group something.
    ///
    /// # Errors
    /// What goes wrong with what was given before.
    pub fn add(&mut self, function: Function<'_>, mut addition: Addition) -> Result<()> {
        if addition.rows == 0 {
            return Ok(());
        }
        // A few rows would keep the strings of the batch that they are from.
        let columns = addition.columns.iter().map(|column| compact(column, are_of_others));
        addition.columns = columns.collect::<Result<_>>()?;
        let bytes: usize = addition.columns.iter().map(|column| column.get_array_memory_size()).sum();
        let known = self.known.entry(addition.group).or_default();
        (known.state, known.result) = (None, None);
        known.waiting_bytes += bytes;
        self.waiting_rows += addition.rows;
        self.waiting_bytes += bytes;
        self.waiting.push(addition);
        if self.waiting_rows >= MOST_ROWS || self.waiting_bytes >= MOST_BYTES { self.send(function) } else { Ok(()) }
    }

    /// A group is asked for its result next, or for its state.
    pub fn announce(&mut self, group: u64, results: bool) {
        if self.known.entry(group).or_default().value(results).is_none() {
            self.next(results).push_back(group);
        }
    }

    fn next(&mut self, results: bool) -> &mut VecDeque<u64> {
        if results { &mut self.results_next } else { &mut self.states_next }
    }

    /// What a group has come to, its result or its state.
    ///
    /// # Errors
    /// If it cannot be said, or what goes wrong with what was given before.
    pub fn value(&mut self, function: Function<'_>, group: u64, results: bool) -> Result<ArrayRef> {
        if let Some(value) = self.known.entry(group).or_default().value(results).take() {
            return Ok(value);
        }
        self.send(function)?;
        let groups = self.asked_with(group, results);
        let (number, forgotten) = (function.1, std::mem::take(&mut self.forgotten));
        let call = FunctionCall::Values { function: number, results, groups: groups.clone(), forgotten };
        let told = values(function.0, call, None)?;
        for (place, number) in groups.iter().enumerate() {
            let Some(known) = self.known.get_mut(number) else { continue };
            known.sent = true;
            if place < told.len() {
                *known.value(results) = Some(told.slice(place, 1));
            }
        }
        // Of those it was not told: it was too much, or one cannot say it, which is told when that one is asked.
        groups.iter().skip(told.len()).rev().for_each(|number| self.next(results).push_front(*number));
        let own = self.known.get_mut(&group).and_then(|known| known.value(results).take());
        own.ok_or_else(|| Error::environment("a plugin's process has not said what a group has come to"))
    }

    /// A group, and those that are asked next.
    fn asked_with(&mut self, group: u64, results: bool) -> Vec<u64> {
        let next = self.next(results);
        let next: Vec<u64> = next.drain(..next.len().min(MOST_VALUES)).collect();
        // One that was given something since, or is gone, is still here.
        let others = next.into_iter().filter(|number| *number != group && self.known.contains_key(number));
        std::iter::once(group).chain(others).collect()
    }

    /// A group is not called any more.
    pub fn forget(&mut self, group: u64) {
        if self.known.remove(&group).is_some_and(|known| known.sent) {
            self.forgotten.push(group);
        }
    }

    /// Bytes that a group holds: in the child, as it has said last, and here.
    pub fn bytes(&self, group: u64) -> usize {
        self.known.get(&group).map_or(0, |known| known.bytes + known.waiting_bytes)
    }

    /// Sends what waits, and what is to be forgotten if that is much.
    fn send(&mut self, (lease, function): Function<'_>) -> Result<()> {
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let mut waiting_here = std::mem::take(&mut self.waiting);
        waiting_here.retain(|addition| self.known.contains_key(&addition.group));
        for additions in waiting_here.chunk_by(|one, other| one.states == other.states) {
            let states = additions[0].states;
            let (call, stream) = match states {
                true => (FunctionCall::Merge(function), Stream::States(function)),
                false => (FunctionCall::Update(function), Stream::Arguments(function)),
            };
            let (call, rows) = (Call::Function(call), together(additions)?);
            let given = Some((stream, &rows));
            let bytes = waiting(|| lease.call::<Vec<usize>>(&call, given, &mut |_, _| ()))?.value;
            let groups = additions.chunk_by(|one, other| one.group == other.group).map(|of_group| of_group[0].group);
            for (group, bytes) in groups.zip(bytes) {
                if let Some(known) = self.known.get_mut(&group) {
                    (known.sent, known.bytes, known.waiting_bytes) = (true, bytes, 0);
                }
            }
        }
        if self.forgotten.len() >= MOST_FORGOTTEN {
            let groups = std::mem::take(&mut self.forgotten);
            lease.ask::<()>(&Call::Function(FunctionCall::Forget { function, groups }))?;
        }
        Ok(())
    }
}

/// Whether strings are worth a copy, for they keep others that are not shown.
fn are_of_others(strings: &Strings<'_>) -> bool {
    strings.memory() > 2 * strings.shown()
}

/// What several groups are given, and behind it which of them.
fn together(additions: &[Addition]) -> Result<Batch> {
    let first = additions.first().map_or(0, |addition| addition.columns.len());
    let column = |place: usize| {
        let of_each = additions.iter().filter_map(|addition| addition.columns.get(place));
        let of_each: Vec<&dyn Array> = of_each.map(AsRef::as_ref).collect();
        Ok(concat(&of_each)?)
    };
    let mut together = (0..first).map(column).collect::<Result<Vec<ArrayRef>>>()?;
    let groups = additions.iter().flat_map(|addition| std::iter::repeat_n(addition.group, addition.rows));
    let groups: UInt64Array = groups.collect();
    let rows = groups.len();
    together.push(Arc::new(groups));
    columns(together, rows)
}
