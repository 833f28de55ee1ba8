//! The functions that SQL calls.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Field, Fields};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{FunctionSignature, ScalarFunction};
use weir_core::{Error, Result};

use super::{ended, json, plugin};
use crate::errors::answer;
use crate::raw::{Answer, Exports, Handle, Lent};
use crate::rows::{exported, imported};

pub(super) const EXPORTS: Exports = Exports { signatures, scalar, drop_scalar, call_scalar };

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

extern "C" fn scalar(handle: Handle, name: Lent, told: *mut Answer) -> Handle {
    let made = answer(told, "finding a function", || {
        // SAFETY: as in `signatures`; the name is lent for this call.
        let (plugin, name) = unsafe { (plugin(handle), name.bytes()) };
        let name = String::from_utf8_lossy(name);
        let code = plugin.scalar(&name)?;
        let signature = plugin.functions()?.into_iter().find(|signature| signature.name == *name);
        let signature = signature
            .ok_or_else(|| Error::user(format!("the plugin does not say what its function '{name}' takes")))?;
        Ok((Scalar { code, signature }, Vec::new()))
    });
    made.map_or(std::ptr::null_mut(), |scalar| Box::into_raw(Box::new(scalar)).cast())
}

extern "C" fn drop_scalar(scalar: Handle) {
    if !scalar.is_null() {
        // SAFETY: `scalar` has made it, and nothing is called with it any more.
        let scalar = unsafe { Box::from_raw(scalar.cast::<Scalar>()) };
        ended(scalar);
    }
}

extern "C" fn call_scalar(
    scalar: Handle,
    arguments: *mut FFI_ArrowArray,
    results: *mut FFI_ArrowArray,
    told: *mut Answer,
) {
    // SAFETY: `scalar` has made it, and it is only read.
    let scalar = unsafe { &*scalar.cast::<Scalar>() };
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
