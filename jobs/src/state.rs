//! What is kept of each key.
//!
//! The state of a key is a struct: each field is a piece of state. A key has none until one of them is set, and is forgotten when all of
//! them are empty.
//!
//! | piece | holds | stored as |
//! |---|---|---|
//! | [`ValueState`] | one value, or none | a row |
//! | [`ListState`] | values in order | a row for each |
//! | [`MapState`] | a value for each key of its own | a row for each |
//! | [`AggregateState`] | what an [`Aggregate`](crate::Aggregate) has added up | a row |
//! | [`Timer`], [`ProcessingTimer`] | when to be called | a row |
//!
//! ```
//! use weir_jobs::prelude::*;
//!
//! #[derive(State, Default)]
//! struct Cart {
//!     owner: ValueState<String>,
//!     items: MapState<String, u32>,
//!     abandoned: Timer,
//! }
//! ```
//!
//! Only rows that have changed since the last checkpoint are captured for the next one.
//!
//! # When the state changes its shape
//!
//! State outlives the program that wrote it. It is found again by the names: of the step, of the field, and of the fields of the record
//! in it. In a new version a field may
//!
//! - be added, if it is an `Option` or has `#[record(default = "…")]`;
//! - be removed;
//! - be wider (`u32` becomes `u64`, `f32` becomes `f64`, `T` becomes `Option<T>`, …);
//! - have another name, if `#[record(was = "…")]` says the old one;
//! - stand elsewhere.
//!
//! A piece of state may be added. One that is removed is named by `#[state(dropped = "…")]` on the struct, and what it held is lost; one whose field has
//! another name says the old one by `#[state(name = "…")]`. (A piece that is a state by itself is called `value`, `list`, `map`,
//! `aggregate` or `timer`.)
//!
//! Anything else is refused when the version is submitted to a cluster, or when the job is started from that state, with the reason, and nothing is
//! lost.

mod aggregate;
mod list;
mod map;
pub mod parts;
mod timer;
mod value;

pub use aggregate::AggregateState;
pub use list::ListState;
pub use map::MapState;
pub(crate) use timer::{Alarm, Clock};
pub use timer::{ProcessingTimer, Timer};
pub use value::ValueState;

use parts::{AnyItem, Declaration, Item};

/// The state of one key: a struct with [`#[derive(State, Default)]`](derive@crate::State), a single piece of state, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no state",
    label = "state is a ValueState, ListState, MapState, AggregateState or Timer, or a struct of such",
    note = "a struct needs #[derive(State, Default)]"
)]
pub trait State: Default + Send + 'static {
    /// Whether there are timers in it.
    const TIMERS: bool;

    /// Pieces that an earlier version kept, and whose values are lost from now on.
    const DROPPED: &'static [&'static str] = &[];

    /// The pieces.
    fn declarations() -> Vec<Declaration>;

    /// Visits each piece, in the order of the declarations.
    fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn AnyItem));

    /// The piece at a position.
    fn item(&mut self, position: usize) -> Option<&mut dyn AnyItem>;
}

/// Nothing is kept.
impl State for () {
    const TIMERS: bool = false;

    fn declarations() -> Vec<Declaration> {
        Vec::new()
    }

    fn each(&mut self, _visit: &mut dyn FnMut(usize, &mut dyn AnyItem)) {}

    fn item(&mut self, _position: usize) -> Option<&mut dyn AnyItem> {
        None
    }
}

macro_rules! single {
    ($([$($parameter:ident: $bound:path),*] $item:ty = $name:literal;)+) => { $(
        impl<$($parameter: $bound),*> State for $item {
            const TIMERS: bool = <Self as Item>::IS_TIMER;

            fn declarations() -> Vec<Declaration> {
                vec![Declaration::of::<Self>($name)]
            }

            fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn AnyItem)) {
                visit(0, self);
            }

            fn item(&mut self, position: usize) -> Option<&mut dyn AnyItem> {
                (position == 0).then_some(self as &mut dyn AnyItem)
            }
        }
    )+ };
}

single! {
    [T: crate::record::Column] ValueState<T> = "value";
    [T: crate::record::Column] ListState<T> = "list";
    [K: map::MapKey, V: crate::record::Column] MapState<K, V> = "map";
    [A: aggregate::DefaultAggregate] AggregateState<A> = "aggregate";
    [] Timer = "timer";
    [] ProcessingTimer = "timer";
}
