//! One group's state, kept by an accumulator of many groups. That of `APPROX_DISTINCT` keeps the hashes of a few values instead of all
//! its 16 KiB of registers, and comes to the same estimate.

use std::sync::{Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, new_empty_array};
use arrow::datatypes::Field;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Accumulator, EmitTo, GroupsAccumulator};

#[derive(Debug)]
pub(super) struct OneGroup(Groups);

/// Locked where it is but looked at: such an accumulator cannot be looked at by several threads.
struct Groups(Mutex<Box<dyn GroupsAccumulator>>);

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an accumulator of groups")
    }
}

impl OneGroup {
    /// Without any rows.
    pub(super) fn new(groups: Box<dyn GroupsAccumulator>, state_fields: &[Field]) -> Result<Self> {
        let mut one = Self(Groups(Mutex::new(groups)));
        let nothing: Vec<ArrayRef> = state_fields.iter().map(|field| new_empty_array(field.data_type())).collect();
        // From here on there is a group.
        one.groups().merge_batch(&nothing, &[], 1)?;
        Ok(one)
    }

    fn groups(&mut self) -> &mut dyn GroupsAccumulator {
        &mut **self.0.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, which stays.
    fn arrays(&mut self) -> Result<Vec<ArrayRef>> {
        let state = self.groups().state(EmitTo::All)?;
        self.groups().merge_batch(&state, &[0], 1)?;
        Ok(state)
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        let all: Option<&BooleanArray> = None;
        self.groups().update_batch(values, &vec![0; rows], all, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.arrays()?;
        let result = self.groups().evaluate(EmitTo::All)?;
        self.groups().merge_batch(&state, &[0], 1)?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn size(&self) -> usize {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.arrays()?.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.groups().merge_batch(states, &vec![0; rows], 1)
    }
}
