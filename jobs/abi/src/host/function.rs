//! A function behind the boundary.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_array};
use arrow::datatypes::{DataType, Fields};
use arrow::ffi::FFI_ArrowArray;
use weir_core::plugin::{
    AggregateFunction, AggregateGroup, FunctionCode, FunctionKind, FunctionSignature, ScalarFunction,
};
use weir_core::{Error, Result};

use super::library::{Inner, asked, holding};
use crate::guest::exports::{results, value};
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
    let code = match signature.kind {
        FunctionKind::Scalar => FunctionCode::Scalar(Arc::new(RemoteScalar { remote, signature: signature.clone() })),
        FunctionKind::Aggregate { .. } => FunctionCode::Aggregate(Arc::new(RemoteAggregate(Arc::new(Called {
            remote,
            signature: signature.clone(),
        })))),
    };
    Ok((signature, code))
}

/// One that adds rows up.
#[derive(Debug)]
struct RemoteAggregate(Arc<Called>);

struct Called {
    remote: Remote,
    signature: FunctionSignature,
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signature.fmt(f)
    }
}

impl AggregateFunction for RemoteAggregate {
    fn group(&self) -> Result<Box<dyn AggregateGroup>> {
        let mut answer = Answer::empty();
        let handle = (self.0.remote.exports.group)(self.0.remote.handle, &mut answer);
        answer.into_result()?;
        Ok(Box::new(RemoteGroup { function: self.0.clone(), handle }))
    }
}

/// A group of rows behind the boundary.
struct RemoteGroup {
    function: Arc<Called>,
    handle: Handle,
}

// SAFETY: groups are `Send`, and so is what the handle stands for.
unsafe impl Send for RemoteGroup {}

impl Drop for RemoteGroup {
    fn drop(&mut self) {
        (self.exports().drop_group)(self.handle);
    }
}

impl RemoteGroup {
    fn exports(&self) -> &'static Exports {
        self.function.remote.exports
    }

    fn value(&self, result: bool) -> Result<ArrayRef> {
        let (mut made, mut answer) = (FFI_ArrowArray::empty(), Answer::empty());
        (self.exports().value_of_group)(self.handle, result, &mut made, &mut answer);
        answer.into_result()?;
        let column = value(&self.function.signature, result)?;
        let held = holding(made, self.function.remote.plugin.clone());
        // SAFETY: the guest has compared it with the signature, which came with the function.
        let (columns, _) = unsafe { imported(held, Fields::from(vec![column])) }?;
        columns.into_iter().next().ok_or_else(|| Error::internal("a function of a plugin has no results"))
    }
}

impl AggregateGroup for RemoteGroup {
    fn update(&mut self, arguments: &[ArrayRef], rows: usize) -> Result<()> {
        let mut arguments = arguments_of(&self.function.signature, arguments, rows)?;
        let mut answer = Answer::empty();
        (self.exports().update_group)(self.handle, &mut arguments, &mut answer);
        answer.into_result().map(drop)
    }

    fn merge(&mut self, states: &ArrayRef) -> Result<()> {
        let column = value(&self.function.signature, false)?;
        if !states.data_type().equals_datatype(column.data_type()) {
            return Err(wrong_types(&self.function.signature));
        }
        let (mut states, mut answer) =
            (exported(vec![(&column, retyped(states, column.data_type())?)], states.len())?, Answer::empty());
        (self.exports().merge_groups)(self.handle, &mut states, &mut answer);
        answer.into_result().map(drop)
    }

    fn state(&mut self) -> Result<ArrayRef> {
        self.value(false)
    }

    fn result(&mut self) -> Result<ArrayRef> {
        self.value(true)
    }

    fn bytes(&self) -> usize {
        (self.exports().bytes_of_group)(self.handle)
    }
}

fn wrong_types(signature: &FunctionSignature) -> Error {
    Error::internal(format!("'{}' is called with other types than it takes", signature.name))
}

/// Arguments, to be handed over.
fn arguments_of(signature: &FunctionSignature, arguments: &[ArrayRef], rows: usize) -> Result<FFI_ArrowArray> {
    let are_right = arguments.len() == signature.parameters.len()
        && arguments
            .iter()
            .zip(&signature.parameters)
            .all(|(argument, parameter)| argument.data_type().equals_datatype(parameter.data_type()));
    if !are_right {
        return Err(wrong_types(signature));
    }
    let retyped = signature
        .parameters
        .iter()
        .zip(arguments)
        .map(|(parameter, argument)| Ok((parameter, retyped(argument, parameter.data_type())?)));
    exported(retyped.collect::<Result<_>>()?, rows)
}

/// The same values, with the names of fields that the other side has for them.
fn retyped(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(array.clone());
    }
    Ok(make_array(array.to_data().into_builder().data_type(data_type.clone()).build()?))
}

impl ScalarFunction for RemoteScalar {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let Self { remote: Remote { plugin, exports, handle }, signature } = self;
        let (mut arguments, mut made, mut answer) =
            (arguments_of(signature, arguments, rows)?, FFI_ArrowArray::empty(), Answer::empty());
        (exports.call_scalar)(*handle, &mut arguments, &mut made, &mut answer);
        answer.into_result()?;
        // SAFETY: the guest has compared them with the signature, which is its own.
        let (columns, _) = unsafe { imported(holding(made, plugin.clone()), Fields::from(vec![results(signature)])) }?;
        columns.into_iter().next().ok_or_else(|| Error::internal("a function of a plugin has no results"))
    }
}
