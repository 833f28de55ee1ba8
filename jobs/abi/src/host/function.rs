//! A function behind the boundary.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Fields;
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{FunctionCode, FunctionSignature, ScalarFunction};
use weir_core::{Error, Result};

use super::library::{Inner, asked, holding};
use crate::guest::exports::results;
use crate::raw::{Answer, Exports, Handle, Lent};
use crate::rows::{exported, imported};

/// A function of a plugin that was loaded.
struct Remote {
    plugin: Arc<Inner>,
    exports: &'static Exports,
    handle: Handle,
}

// SAFETY: functions are `Send` and `Sync`, and so is what the handle stands for.
unsafe impl Send for Remote {}
// SAFETY: as above.
unsafe impl Sync for Remote {}

impl Drop for Remote {
    fn drop(&mut self) {
        (self.exports.drop_function)(self.handle);
    }
}

/// One that is computed row by row.
struct RemoteScalar {
    remote: Remote,
    signature: FunctionSignature,
}

impl fmt::Debug for RemoteScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteScalar").field(&self.signature).finish()
    }
}

/// The function of that name, and its signature.
///
/// # Errors
/// If the plugin has none of that name.
pub(super) fn function(
    plugin: Arc<Inner>,
    exports: &'static Exports,
    name: &str,
) -> Result<(FunctionSignature, FunctionCode)> {
    let mut handle = std::ptr::null_mut();
    let found = asked::<FunctionSignature>(|answer| {
        handle = (exports.function)(plugin.handle(), Lent::new(name.as_bytes()), answer);
    });
    // Given up if the answer is not understood.
    let remote = Remote { plugin, exports, handle };
    let signature = found?;
    let code = FunctionCode::Scalar(Arc::new(RemoteScalar { remote, signature: signature.clone() }));
    Ok((signature, code))
}

impl ScalarFunction for RemoteScalar {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let Self { remote: Remote { plugin, exports, handle }, signature } = self;
        let are_right = arguments.len() == signature.parameters.len()
            && arguments
                .iter()
                .zip(&signature.parameters)
                .all(|(argument, parameter)| argument.data_type().equals_datatype(parameter.data_type()));
        if !are_right {
            return Err(Error::internal(format!("'{}' is called with other types than it takes", signature.name)));
        }
        let columns = signature.parameters.iter().zip(arguments.iter().cloned()).collect();
        let (mut arguments, mut made, mut answer) =
            (exported(columns, rows)?, FFI_ArrowArray::empty(), Answer::empty());
        (exports.call_scalar)(*handle, &mut arguments, &mut made, &mut answer);
        answer.into_result()?;
        // SAFETY: the guest has compared them with the signature, which is its own.
        let (columns, _) = unsafe { imported(holding(made, plugin.clone()), Fields::from(vec![results(signature)])) }?;
        columns.into_iter().next().ok_or_else(|| Error::internal("a function of a plugin has no results"))
    }
}
