//! Functions whose calls go to a child, and are waited for. Those of one plugin that a subtask calls have a child together, which is started with the
//! first call: a subtask calls one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use arrow::array::{ArrayRef, new_empty_array};
use weir_core::plugin::{
    AggregateFunction, AggregateGroup, FunctionCode, FunctionKind, FunctionSignature, ScalarFunction,
};
use weir_core::{Error, Result};

use super::Inner;
use super::groups::{Addition, Groups};
use super::lease::Lease;
use super::process::waiting;
use super::protocol::{Call, FunctionCall, Stream};
use super::values::{columns, values};

/// The functions of a plugin that a subtask calls.
pub struct SubtaskFunctions {
    plugin: Arc<Inner>,
    link: Mutex<Option<Link>>,
    /// Of the next group.
    next: AtomicU64,
}

/// The child, once there is one.
struct Link {
    lease: Lease,
    functions: BTreeMap<String, Called>,
}

/// A function in the child.
struct Called {
    number: u32,
    groups: Groups,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.lease.end(&Call::Drop);
    }
}

impl SubtaskFunctions {
    /// One for functions of this plugin.
    pub(super) fn of(plugin: &Arc<Inner>) -> Arc<Self> {
        Arc::new(Self { plugin: plugin.clone(), link: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// The code of the function with this signature.
    pub fn function(self: &Arc<Self>, signature: FunctionSignature) -> FunctionCode {
        let remote = Remote { functions: self.clone(), signature: Arc::new(signature) };
        match remote.signature.kind {
            FunctionKind::Scalar => FunctionCode::Scalar(Arc::new(remote)),
            FunctionKind::Aggregate { .. } => FunctionCode::Aggregate(Arc::new(remote)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Link>> {
        match self.link.try_lock() {
            Ok(link) => link,
            Err(TryLockError::Poisoned(link)) => link.into_inner(),
            Err(TryLockError::WouldBlock) => waiting(|| self.link.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// A function in the child.
    fn called<'a>(
        &self,
        link: &'a mut Option<Link>,
        signature: &FunctionSignature,
    ) -> Result<(&'a Lease, &'a mut Called)> {
        let find = || Call::Function(FunctionCall::Find(signature.name.clone()));
        let called = |(number, found): (u32, FunctionSignature)| match found.agrees_with(signature) {
            true => Ok(Called { number, groups: Groups::default() }),
            false => Err(Error::user(format!(
                "the function '{}' of the plugin {} takes and gives something else each time that it is asked",
                signature.name, self.plugin.name
            ))),
        };
        let Link { lease, functions } = match link {
            Some(link) => link,
            none => {
                let (lease, _) = self.plugin.lease(|lease| lease.ask::<()>(&Call::Drop))?;
                none.insert(Link { lease, functions: BTreeMap::new() })
            }
        };
        if !functions.contains_key(&signature.name) {
            functions.insert(signature.name.clone(), called(lease.ask(&find())?)?);
        }
        let called = functions.get_mut(&signature.name);
        called.map(|called| (&*lease, called)).ok_or_else(|| Error::internal("a function was not found"))
    }
}

/// A function in a child.
#[derive(Clone)]
struct Remote {
    functions: Arc<SubtaskFunctions>,
    signature: Arc<FunctionSignature>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.signature).finish()
    }
}

impl ScalarFunction for Remote {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        if rows == 0 {
            return Ok(new_empty_array(&self.signature.result));
        }
        let mut link = self.functions.lock();
        let (lease, Called { number, .. }) = self.functions.called(&mut link, &self.signature)?;
        let given = (!arguments.is_empty()).then(|| columns(arguments.to_vec(), rows)).transpose()?;
        let given = given.as_ref().map(|rows| (Stream::Arguments(*number), rows));
        values(lease, FunctionCall::Call { function: *number, rows }, given)
    }
}

impl AggregateFunction for Remote {
    fn group(&self) -> Result<Box<dyn AggregateGroup>> {
        let number = self.functions.next.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(RemoteGroup { function: self.clone(), number }))
    }
}

/// A group in a child, which begins there when it is given something or asked for something.
struct RemoteGroup {
    function: Remote,
    number: u64,
}

impl RemoteGroup {
    fn add(&mut self, states: bool, columns: Vec<ArrayRef>, rows: usize) -> Result<()> {
        let Remote { functions, signature } = &self.function;
        let mut link = functions.lock();
        let (lease, Called { number, groups }) = functions.called(&mut link, signature)?;
        groups.add((lease, *number), Addition { group: self.number, states, columns, rows })
    }

    fn value(&mut self, results: bool) -> Result<ArrayRef> {
        let Remote { functions, signature } = &self.function;
        let mut link = functions.lock();
        let (lease, Called { number, groups }) = functions.called(&mut link, signature)?;
        groups.value((lease, *number), self.number, results)
    }
}

impl AggregateGroup for RemoteGroup {
    fn update(&mut self, arguments: &[ArrayRef], rows: usize) -> Result<()> {
        self.add(false, arguments.to_vec(), rows)
    }

    fn merge(&mut self, states: &ArrayRef) -> Result<()> {
        self.add(true, vec![states.clone()], states.len())
    }

    fn state(&mut self) -> Result<ArrayRef> {
        self.value(false)
    }

    fn result(&mut self) -> Result<ArrayRef> {
        self.value(true)
    }

    fn announce(&mut self, result: bool) {
        let Remote { functions, signature } = &self.function;
        let mut link = functions.lock();
        // What goes wrong is told when it is asked.
        if let Ok((_, called)) = functions.called(&mut link, signature) {
            called.groups.announce(self.number, result);
        }
    }

    fn bytes(&self) -> usize {
        let Remote { functions, signature } = &self.function;
        let link = functions.lock();
        let called = link.as_ref().and_then(|link| link.functions.get(&signature.name));
        called.map_or(0, |called| called.groups.bytes(self.number))
    }
}

impl Drop for RemoteGroup {
    fn drop(&mut self) {
        let Remote { functions, signature } = &self.function;
        let mut link = functions.lock();
        if let Some(called) = link.as_mut().and_then(|link| link.functions.get_mut(&signature.name)) {
            called.groups.forget(self.number);
        }
    }
}
