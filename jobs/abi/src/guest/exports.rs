//! The functions that SQL calls.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Field, Fields};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{FunctionCode, FunctionSignature, ScalarFunction};
use weir_core::{Error, Result};

use super::{ended, json, plugin};
use crate::errors::answer;
use crate::raw::{Answer, Exports, Handle, Lent};
use crate::rows::{exported, imported};

pub(super) const EXPORTS: Exports = Exports { signatures, function, drop_function, call_scalar };

extern "C" fn signatures(handle: Handle, told: *mut Answer) {
    answer(told, "the functions that it exports", || {
        // SAFETY: the host keeps the plugin for as long as it calls it.
        let plugin = unsafe { plugin(handle) };
        Ok(((), json(&plugin.functions()?)?))
    });
}

/// A function, and what goes in and comes out.
struct Scalar {
    code: Arc<dyn ScalarFunction>,
    signature: FunctionSignature,
}

extern "C" fn function(handle: Handle, name: Lent, told: *mut Answer) -> Handle {
    let made = answer(told, "finding a function", || {
        // SAFETY: as in `signatures`; the name is lent for this call.
        let (plugin, name) = unsafe { (plugin(handle), name.bytes()) };
        let (signature, FunctionCode::Scalar(code)) = plugin.function(&String::from_utf8_lossy(name))?;
        let said = json(&signature)?;
        Ok((Scalar { code, signature }, said))
    });
    made.map_or(std::ptr::null_mut(), |scalar| Box::into_raw(Box::new(scalar)).cast())
}

extern "C" fn drop_function(function: Handle) {
    if !function.is_null() {
        // SAFETY: `function` has made it, and nothing is called with it any more.
        let scalar = unsafe { Box::from_raw(function.cast::<Scalar>()) };
        ended(scalar);
    }
}

extern "C" fn call_scalar(
    function: Handle,
    arguments: *mut FFI_ArrowArray,
    results: *mut FFI_ArrowArray,
    told: *mut Answer,
) {
    // SAFETY: `function` has made it, and it is only read.
    let scalar = unsafe { &*function.cast::<Scalar>() };
    let what = format!("the function '{}'", scalar.signature.name);
    answer(told, &what, || {
        // SAFETY: the host hands the arguments over, with the types of the signature, and waits with room for the results.
        unsafe {
            let made = scalar.call(FFI_ArrowArray::from_raw(arguments))?;
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

impl Scalar {
    /// # Safety
    /// The array has a column of each parameter.
    unsafe fn call(&self, arguments: FFI_ArrowArray) -> Result<FFI_ArrowArray> {
        // SAFETY: the caller promises it.
        let (arguments, rows) = unsafe { imported(arguments, parameters(&self.signature)) }?;
        let made = self.code.call(&arguments, rows)?;
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
