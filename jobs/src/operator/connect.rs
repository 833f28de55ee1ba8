//! A [`KeyedConnect`] as a step.

use arrow::array::ArrayRef;
use weir_core::Result;

use crate::process::{Context, KeyedConnect, Moment};

use super::keyed::{Driver, each_row};
use super::output::Output;
use super::store::Store;

pub(crate) struct Connect<P>(pub(crate) P);

impl<P: KeyedConnect> Driver for Connect<P> {
    type Key = P::Key;
    type State = P::State;
    type Out = P::Out;

    fn rows(
        &mut self,
        ordinal: usize,
        columns: &[ArrayRef],
        store: &mut Store<P::Key, P::State>,
        place: (Moment, &mut Output<P::Out>),
    ) -> Result<()> {
        match ordinal {
            0 => each_row(columns, store, place, |row, state, context| self.0.left(row, state, context)),
            _ => each_row(columns, store, place, |row, state, context| self.0.right(row, state, context)),
        }
    }

    fn watermark_delay(&self) -> i64 {
        self.0.watermark_delay()
    }

    fn timer(&mut self, state: &mut P::State, context: &mut Context<'_, P::Key, P::Out>) -> Result<()> {
        self.0.on_timer(state, context)
    }
}
