//! A function behind the boundary.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Fields;
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{FunctionSignature, ScalarFunction};
use weir_core::{Error, Result};

use super::library::{Inner, holding};
use crate::guest::exports::results;
use crate::raw::{Answer, Exports, Handle, Lent};
use crate::rows::{exported, imported};

/// A function of a plugin that was loaded.
pub(super) struct RemoteScalar {
    plugin: Arc<Inner>,
    exports: &'static Exports,
    scalar: Handle,
    signature: FunctionSignature,
}

// SAFETY: functions are `Send` and `Sync`, and so is what the handle stands for.
unsafe impl Send for RemoteScalar {}
// SAFETY: as above.
unsafe impl Sync for RemoteScalar {}

impl fmt::Debug for RemoteScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteScalar").field(&self.signature).finish()
    }
}

impl Drop for RemoteScalar {
    fn drop(&mut self) {
        (self.exports.drop_scalar)(self.scalar);
    }
}

impl RemoteScalar {
    /// The function with this signature.
    ///
    /// # Errors
    /// If the plugin has none of that name.
    pub(super) fn new(plugin: Arc<Inner>, exports: &'static Exports, signature: FunctionSignature) -> Result<Self> {
        let mut answer = Answer::empty();
        let scalar = (exports.scalar)(plugin.handle(), Lent::new(signature.name.as_bytes()), &mut answer);
        answer.into_result()?;
        Ok(Self { plugin, exports, scalar, signature })
    }
}

impl ScalarFunction for RemoteScalar {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let Self { plugin, exports, scalar, signature } = self;
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
        (exports.call_scalar)(*scalar, &mut arguments, &mut made, &mut answer);
        answer.into_result()?;
        // SAFETY: the guest has compared them with the signature, which is its own.
        let (columns, _) = unsafe { imported(holding(made, plugin.clone()), Fields::from(vec![results(signature)])) }?;
        columns.into_iter().next().ok_or_else(|| Error::internal("a function of a plugin has no results"))
    }
}
