//! The functions that SQL calls.

mod group;

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Field, Fields};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{FunctionCode, FunctionSignature};
use weir_core::{Error, Result};

#[cfg(feature = "host")]
pub(crate) use self::group::value;
use super::{ended, json, plugin};
use crate::errors::answer;
use crate::raw::{Answer, Exports, Handle, Lent};
use crate::rows::{exported, imported};

pub(super) const EXPORTS: Exports = Exports {
    signatures,
    function,
    drop_function,
    call_scalar,
    group: group::group,
    drop_group: group::drop_group,
    update_group: group::update_group,
    merge_groups: group::merge_groups,
    value_of_group: group::value_of_group,
    bytes_of_group: group::bytes_of_group,
};

extern "C" fn signatures(handle: Handle, told: *mut Answer) {
    answer(told, "the functions that it exports", || {
        // SAFETY: the host keeps the plugin for as long as it calls it.
        let plugin = unsafe { plugin(handle) };
        Ok(((), json(&plugin.functions()?)?))
    });
}

/// A function, and what goes in and comes out.
struct Function {
    code: FunctionCode,
    signature: Arc<FunctionSignature>,
}

extern "C" fn function(handle: Handle, name: Lent, told: *mut Answer) -> Handle {
    let made = answer(told, "finding a function", || {
        // SAFETY: as in `signatures`; the name is lent for this call.
        let (plugin, name) = unsafe { (plugin(handle), name.bytes()) };
        let (signature, code) = plugin.function(&String::from_utf8_lossy(name))?;
        let said = json(&signature)?;
        Ok((Function { code, signature: Arc::new(signature) }, said))
    });
    made.map_or(std::ptr::null_mut(), |function| Box::into_raw(Box::new(function)).cast())
}

extern "C" fn drop_function(function: Handle) {
    if !function.is_null() {
        // SAFETY: `function` has made it, and nothing is called with it any more.
        let function = unsafe { Box::from_raw(function.cast::<Function>()) };
        ended(function);
    }
}

extern "C" fn call_scalar(
    function: Handle,
    arguments: *mut FFI_ArrowArray,
    results: *mut FFI_ArrowArray,
    told: *mut Answer,
) {
    // SAFETY: `function` has made it, and it is only read.
    let function = unsafe { &*function.cast::<Function>() };
    let what = called(&function.signature);
    answer(told, &what, || {
        // SAFETY: the host hands the arguments over, with the types of the signature, and waits with room for the results.
        unsafe {
            let made = function.call(FFI_ArrowArray::from_raw(arguments))?;
            results.write(made);
        }
        Ok(((), Vec::new()))
    });
}

/// A column of each parameter as it is handed over.
fn parameters(signature: &FunctionSignature) -> Fields {
    signature.parameters.iter().map(|parameter| parameter.clone().with_nullable(true)).collect()
}

/// The column of the results as it is handed over.
pub(crate) fn results(signature: &FunctionSignature) -> Field {
    Field::new("", signature.result.clone(), true)
}

/// What is called, in errors.
fn called(signature: &FunctionSignature) -> String {
    format!("the function '{}'", signature.name)
}

impl Function {
    /// # Safety
    /// The array has a column of each parameter.
    unsafe fn call(&self, arguments: FFI_ArrowArray) -> Result<FFI_ArrowArray> {
        // SAFETY: the caller promises it.
        let (arguments, rows) = unsafe { imported(arguments, parameters(&self.signature)) }?;
        let FunctionCode::Scalar(code) = &self.code else { return Err(not_that_kind(&self.signature)) };
        let made = code.call(&arguments, rows)?;
        let results = results(&self.signature);
        if made.data_type() != results.data_type() || made.len() != rows {
            let (name, made_type, declared) = (&self.signature.name, made.data_type(), results.data_type());
            return Err(Error::user(format!(
                "the function '{name}' made {} values of {made_type} for {rows} rows, and has declared {declared}",
                made.len()
            )));
        }
        exported(vec![(&results, made)], rows)
    }
}

fn not_that_kind(signature: &FunctionSignature) -> Error {
    Error::user(format!("the plugin has other code for its function '{}' than it has declared", signature.name))
}
