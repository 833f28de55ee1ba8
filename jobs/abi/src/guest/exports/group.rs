//! Groups of rows that a function adds up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{AggregateGroup, FunctionCode, FunctionKind, FunctionSignature};
use weir_core::{Error, Result};

use super::super::ended;
use super::{Function, called, not_that_kind, parameters};
use crate::errors::answer;
use crate::panics::caught;
use crate::raw::{Answer, Handle};
use crate::rows::{exported, imported};

/// A group, and what goes in and comes out.
struct Group {
    code: Box<dyn AggregateGroup>,
    signature: Arc<FunctionSignature>,
}

pub(super) extern "C" fn group(function: Handle, told: *mut Answer) -> Handle {
    // SAFETY: `function` has made it, and it is only read.
    let function = unsafe { &*function.cast::<Function>() };
    let made = answer(told, &called(&function.signature), || {
        let FunctionCode::Aggregate(code) = &function.code else { return Err(not_that_kind(&function.signature)) };
        Ok((Group { code: code.group()?, signature: function.signature.clone() }, Vec::new()))
    });
    made.map_or(std::ptr::null_mut(), |group| Box::into_raw(Box::new(group)).cast())
}

pub(super) extern "C" fn drop_group(group: Handle) {
    if !group.is_null() {
        // SAFETY: `group` has made it, and nothing is called with it any more.
        let group = unsafe { Box::from_raw(group.cast::<Group>()) };
        ended(group);
    }
}

/// # Safety
/// `group` has made it, and it is called by one at a time.
unsafe fn of<'a>(group: Handle) -> &'a mut Group {
    // SAFETY: the caller promises it.
    unsafe { &mut *group.cast::<Group>() }
}

pub(super) extern "C" fn update_group(group: Handle, arguments: *mut FFI_ArrowArray, told: *mut Answer) {
    // SAFETY: the host has it, and calls it by one thread at a time.
    let group = unsafe { of(group) };
    answer(told, &called(&group.signature), || {
        // SAFETY: the host hands the arguments over, with the types of the signature.
        let (arguments, rows) = unsafe { imported(FFI_ArrowArray::from_raw(arguments), parameters(&group.signature)) }?;
        group.code.update(&arguments, rows)?;
        Ok(((), Vec::new()))
    });
}

pub(super) extern "C" fn merge_groups(group: Handle, states: *mut FFI_ArrowArray, told: *mut Answer) {
    // SAFETY: as in `update_group`.
    let group = unsafe { of(group) };
    answer(told, &called(&group.signature), || {
        let column = value(&group.signature, false)?;
        // SAFETY: the host hands states over, with the type of the signature.
        let (states, _) = unsafe { imported(FFI_ArrowArray::from_raw(states), Fields::from(vec![column])) }?;
        states.iter().try_for_each(|states| group.code.merge(states))?;
        Ok(((), Vec::new()))
    });
}

pub(super) extern "C" fn value_of_group(group: Handle, result: bool, out: *mut FFI_ArrowArray, told: *mut Answer) {
    // SAFETY: as in `update_group`.
    let group = unsafe { of(group) };
    answer(told, &called(&group.signature), || {
        let column = value(&group.signature, result)?;
        let made: ArrayRef = if result { group.code.result() } else { group.code.state() }?;
        if made.data_type() != column.data_type() || made.len() != 1 {
            let (name, count, found) = (&group.signature.name, made.len(), made.data_type());
            return Err(Error::user(format!(
                "the function '{name}' made {count} values of {found}, and has declared one of {}",
                column.data_type()
            )));
        }
        // SAFETY: the host waits with room for it.
        unsafe { out.write(exported(vec![(&column, made)], 1)?) };
        Ok(((), Vec::new()))
    });
}

pub(super) extern "C" fn bytes_of_group(group: Handle) -> usize {
    // SAFETY: as in `update_group`.
    let group = unsafe { of(group) };
    caught("`bytes`", || Ok(group.code.bytes())).unwrap_or_default()
}

/// The column of a group's state or result.
pub(crate) fn value(signature: &FunctionSignature, result: bool) -> Result<Field> {
    let data_type: &DataType = match &signature.kind {
        _ if result => &signature.result,
        FunctionKind::Aggregate { state } => state,
        FunctionKind::Scalar => return Err(not_that_kind(signature)),
    };
    Ok(Field::new("", data_type.clone(), true))
}
