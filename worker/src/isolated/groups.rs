//! Groups of rows in a child, which an aggregate function adds up. Operators call one group after the other; over the socket go what many of them are given,
//! in one message, and what many have come to:
//!
//! 1. What groups are given waits here until one is asked for something, or until it is much. What goes wrong with it is told then.
//! 2. When a group is asked for its state or result, some others are asked too that have changed since they were: those that were made behind it, which
//!    operators mostly ask for next. How many depends on how many of the last ones were wanted, so that little is computed in vain.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::concat;
use weir_core::{Batch, Error, Result};

use super::lease::Lease;
use super::process::waiting;
use super::protocol::{Call, FunctionCall};
use super::values::{columns, of_function, values};

/// Rows that wait, at most.
const MOST_ROWS: usize = 8192;
/// Groups that are asked at once, at most.
const MOST_VALUES: usize = 512;

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
    /// Those that the child has, or is going to have.
    known: BTreeMap<u64, Known>,
    /// Those that it can let go.
    forgotten: Vec<u64>,
    /// How often a value was wanted that had been asked for beside another one, since the last time that any were.
    hits: usize,
}

#[derive(Default)]
struct Known {
    /// As the child has said last.
    bytes: usize,
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
    pub fn add(&mut self, function: Function<'_>, addition: Addition) -> Result<()> {
        if addition.rows == 0 {
            return Ok(());
        }
        let known = self.known.entry(addition.group).or_default();
        (known.state, known.result) = (None, None);
        self.waiting_rows += addition.rows;
        self.waiting.push(addition);
        if self.waiting_rows >= MOST_ROWS { self.send(function) } else { Ok(()) }
    }

    /// What a group has come to, its result or its state.
    ///
    /// # Errors
    /// If it cannot be said, or what goes wrong with what was given before.
    pub fn value(&mut self, function: Function<'_>, group: u64, results: bool) -> Result<ArrayRef> {
        if let Some(value) = self.known.entry(group).or_default().value(results).take() {
            self.hits += 1;
            return Ok(value);
        }
        self.send(function)?;
        let wanted = 2 * (std::mem::take(&mut self.hits) + 1);
        let groups = self.changed(group, results, wanted.min(MOST_VALUES));
        let call = FunctionCall::Values { function: function.1, results, groups: groups.clone() };
        let told = values(function.0, call, None)?;
        for (place, number) in groups.into_iter().enumerate().take(told.len()) {
            if let Some(known) = self.known.get_mut(&number) {
                *known.value(results) = Some(told.slice(place, 1));
            }
        }
        let own = self.known.get_mut(&group).and_then(|known| known.value(results).take());
        own.ok_or_else(|| Error::environment("a plugin's process has not said what a group has come to"))
    }

    /// A group, and others behind it of which that is not known: so many together.
    fn changed(&mut self, group: u64, results: bool, count: usize) -> Vec<u64> {
        // Among those of which it is known they are not looked for at length.
        let behind = self.known.range_mut(group..).take(4 * count);
        behind.filter_map(|(number, known)| known.value(results).is_none().then_some(*number)).take(count).collect()
    }

    /// A group is not called any more.
    pub fn forget(&mut self, group: u64) {
        if self.known.remove(&group).is_some() {
            self.forgotten.push(group);
        }
    }

    /// Bytes that a group holds, as the child has said last.
    pub fn bytes(&self, group: u64) -> usize {
        self.known.get(&group).map_or(0, |known| known.bytes)
    }

    /// Sends what waits.
    fn send(&mut self, (lease, function): Function<'_>) -> Result<()> {
        self.waiting_rows = 0;
        for additions in std::mem::take(&mut self.waiting).chunk_by(|one, other| one.states == other.states) {
            let states = additions[0].states;
            let call = if states { FunctionCall::Merge(function) } else { FunctionCall::Update(function) };
            let rows = together(additions)?;
            let given = Some((of_function(function, states), &rows));
            let call = Call::Function(call);
            let bytes = waiting(|| lease.call::<Vec<usize>>(&call, given, &mut |_, _| ()))?.value;
            let groups = additions.chunk_by(|one, other| one.group == other.group).map(|of_group| of_group[0].group);
            for (group, bytes) in groups.zip(bytes) {
                if let Some(known) = self.known.get_mut(&group) {
                    known.bytes = bytes;
                }
            }
        }
        if !self.forgotten.is_empty() {
            let groups = std::mem::take(&mut self.forgotten);
            lease.ask::<()>(&Call::Function(FunctionCall::Forget { function, groups }))?;
        }
        Ok(())
    }
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
