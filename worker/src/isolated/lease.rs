//! A child in use, and how it is called.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use weir_core::{Batch, Error, OutputPort, Outstanding, Result};
use weir_plugin_abi::ErrorText;

use super::Inner;
use super::later::Later;
use super::process::{GRACE, Process, waiting};
use super::protocol::{Call, Given, Reply, Stream};
use super::wire::{self, Receiver, Sender};

/// A process and its sockets. The sockets are closed first, and the process ends by that.
pub struct Child {
    calls: Mutex<Calls>,
    /// What is told while calls go on.
    pub later: Later,
    /// The process.
    pub process: Arc<Process>,
    /// Whether nobody can use it any more: it is not understood, or something of what it has made could not be dropped, or not be made.
    is_spoiled: AtomicBool,
}

struct Calls {
    sender: Sender,
    receiver: Receiver,
}

impl Child {
    /// A process that has the other ends of these sockets.
    ///
    /// # Errors
    /// If there is no thread that listens to it.
    pub fn new(process: Arc<Process>, calls: &Arc<UnixStream>, later: &Arc<UnixStream>) -> Result<Self> {
        let (sender, receiver) = wire::split(calls);
        Ok(Self {
            calls: Mutex::new(Calls { sender, receiver }),
            later: Later::listen(later)?,
            process,
            is_spoiled: AtomicBool::new(false),
        })
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A child in use: by an operator, by functions of a subtask, by a source or a sink, and by what was captured.
pub struct Lease {
    child: Option<Child>,
    plugin: Weak<Inner>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(child), Some(plugin)) = (self.child.take(), self.plugin.upgrade()) else { return };
        if !child.is_spoiled.load(Ordering::Relaxed) {
            plugin.spare().push(child);
        }
    }
}

/// A call that has succeeded: what [`Reply::Done`] says.
pub struct Outcome<T> {
    /// What it answers.
    pub value: T,
    /// Rows that it has counted as late.
    pub late: u64,
    /// How the operator stands behind it.
    pub outstanding: Outstanding,
    /// Bytes of the operator's state behind it.
    pub state_bytes: usize,
}

/// Rows of a call, and what they are.
pub type Rows<'a> = (Stream, &'a Batch);

/// What a call is given that asks for rows; `None`: there are no more.
pub type Give<'a> = &'a mut dyn FnMut() -> Result<Option<Batch>>;

impl Lease {
    /// A child that nobody else uses.
    pub fn new(child: Child, plugin: Weak<Inner>) -> Self {
        Self { child: Some(child), plugin }
    }

    /// The child.
    pub fn child(&self) -> &Child {
        self.child.as_ref().expect("it is taken when this is dropped")
    }

    /// Calls, and gives what is emitted to `emit`.
    ///
    /// # Errors
    /// What the call has failed with, or that the child has ended.
    pub fn call<T: DeserializeOwned>(
        &self,
        call: &Call,
        rows: Option<Rows<'_>>,
        emit: &mut dyn FnMut(OutputPort, Batch),
    ) -> Result<Outcome<T>> {
        let mut none = || Err(Error::internal("a plugin asks for rows where there are none"));
        self.child().call(&mut self.child().calls(), (call, rows), emit, &mut none)
    }

    /// Calls, and waits without keeping the thread from others.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        waiting(|| self.call(call, None, &mut |_, _| ())).map(|outcome| outcome.value)
    }

    /// The same, and hands over the rows that the call asks for.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn ask_giving<T: DeserializeOwned>(&self, call: &Call, give: Give<'_>) -> Result<T> {
        let called = waiting(|| self.child().call(&mut self.child().calls(), (call, None), &mut |_, _| (), give));
        called.map(|outcome| outcome.value)
    }

    /// The same, for something that is not used any more. A child that does not do that in time has no other use.
    pub fn end(&self, call: &Call) {
        let child = self.child();
        if child.is_spoiled.load(Ordering::Relaxed) || child.process.has_ended() || self.ended(call).is_none() {
            self.spoil();
        }
    }

    /// `None`: it has not ended in time, or is called by another thread, for nobody knows how long.
    fn ended(&self, call: &Call) -> Option<()> {
        let child = self.child();
        let mut calls = match child.calls.try_lock() {
            Ok(calls) => calls,
            Err(TryLockError::Poisoned(calls)) => calls.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let mut give = || Err(Error::internal("what ends asks for rows"));
        waiting(|| {
            calls.patience(Some(GRACE)).ok()?;
            child.call::<()>(&mut calls, (call, None), &mut |_, _| (), &mut give).ok()?;
            calls.patience(None).ok()
        })
    }

    /// The child ends with this.
    pub fn spoil(&self) {
        self.child().is_spoiled.store(true, Ordering::Relaxed);
    }
}

impl Calls {
    /// For how long answers are waited for from here on; `None`: for ever.
    fn patience(&self, patience: Option<Duration>) -> std::io::Result<()> {
        self.sender.socket().set_read_timeout(patience)
    }
}

impl Child {
    fn call<T: DeserializeOwned>(
        &self,
        Calls { sender, receiver }: &mut Calls,
        (call, rows): (&Call, Option<Rows<'_>>),
        emit: &mut dyn FnMut(OutputPort, Batch),
        give: Give<'_>,
    ) -> Result<Outcome<T>> {
        let broken = |error| {
            self.is_spoiled.store(true, Ordering::Relaxed);
            self.process.why(error)
        };
        let message = sender.encode(call, rows.map(|(stream, rows)| (stream.number(), rows)))?;
        sender.write(&message).map_err(broken)?;
        loop {
            match receiver.receive::<Reply<T>>().map_err(broken)? {
                Some((Reply::Emitted(port), Some(batch))) => emit(port, batch),
                Some((Reply::Emitted(_), None)) => {
                    return Err(broken(Error::environment("rows of a plugin are missing")));
                }
                Some((Reply::Wanted, _)) => hand_over(sender, give()).map_err(broken)?,
                Some((Reply::Done { value, late, outstanding, state_bytes }, _)) => {
                    return Ok(Outcome { value, late, outstanding, state_bytes });
                }
                Some((Reply::Failed(error), _)) => return Err(error.into()),
                None => return Err(broken(Error::environment("a plugin's process does not answer"))),
            }
        }
    }
}

/// Tells the child which rows are next, or why there are none.
fn hand_over(sender: &mut Sender, rows: Result<Option<Batch>>) -> Result<()> {
    let failed = |error: &Error| Given::Failed(ErrorText::from(error));
    match rows {
        Ok(None) => sender.send(&Given::End, None),
        Err(error) => sender.send(&failed(&error), None),
        Ok(Some(batch)) => match sender.encode(&Given::Rows, Some((Stream::Given.number(), &batch))) {
            Ok(message) => sender.write(&message),
            Err(error) => sender.send(&failed(&error), None),
        },
    }
}
