//! What has been added up of a key.

use std::fmt;

use crate::Aggregate;

use super::ValueState;
use super::parts::{Item, ItemRows, NoKey};

/// An [`Aggregate`] that needs nothing to be made.
pub trait DefaultAggregate: Aggregate + Default {}

impl<A: Aggregate + Default> DefaultAggregate for A {}

/// What an [`Aggregate`] has added up.
pub struct AggregateState<A: Aggregate>(ValueState<A::Accumulator>);

impl<A: Aggregate> Default for AggregateState<A> {
    fn default() -> Self {
        Self(ValueState::default())
    }
}

impl<A: Aggregate> fmt::Debug for AggregateState<A>
where
    A::Accumulator: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: DefaultAggregate> AggregateState<A> {
    /// Adds a value.
    pub fn add(&mut self, value: &A::In) {
        A::default().add(self.0.or_default(), value);
    }

    /// The result so far; `None` if nothing was added.
    pub fn result(&self) -> Option<A::Out> {
        self.0.get().map(|accumulator| A::default().result(accumulator))
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<A: DefaultAggregate> Item for AggregateState<A> {
    type Key = NoKey;
    type Value = A::Accumulator;

    fn capture(&mut self, rows: &mut ItemRows<Self>) {
        // The rows of both are of the same columns.
        self.0.capture_into(|value| match value {
            Some(value) => rows.put(&NoKey, value),
            None => rows.delete(&NoKey),
        });
    }

    fn load(&mut self, key: NoKey, value: A::Accumulator) {
        Item::load(&mut self.0, key, value);
    }

    fn is_empty(&self) -> bool {
        !self.0.is_set()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
