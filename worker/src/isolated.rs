//! Plugins in processes of their own (`plugin.isolation` = `process`). What ends such a process, an abort, a segmentation fault, no memory, ends one operator
//! of one subtask: the attempt of its job fails with the reason, and is started again from the last checkpoint, as after any failure.
//!
//! ```text
//!   worker                                             child: weir host-plugin FILE
//!   ┌─────────────────────────────┐  calls    (stdin)  ┌────────────────────────────┐
//!   │ subtask ─▶ IsolatedOperator ├───────────────────▶│ loop ─▶ Operator ─▶ FILE   │
//!   │                             │◀───────────────────┤         of jobs/abi        │
//!   │                             │  later   (stdout)  │                            │
//!   │ snapshots ─▶ captured rows  ├───────────────────▶│ thread that makes them     │
//!   │ waker                       │◀───────────────────┤ answers                    │
//!   │                             │  stderr            │                            │
//!   │ log, last words             │◀───────────────────┤                            │
//!   └─────────────────────────────┘                    └────────────────────────────┘
//! ```
//!
//! 1. The plugin of a job is asked for an operator. A child is started that loads the file, or one is taken that an operator before has left:
//!    operators are also made to see which tables they have, and as twins.
//! 2. Each call goes over the first socket and is waited for, in a way that keeps no thread from other subtasks. Rows go there and back as Arrow IPC.
//! 3. What happens beside calls goes over the second: rows that were captured are made while the operator goes on, and answers wake the subtask.
//! 4. The operator is dropped, and captured rows that nobody wants any more. If all went well the child is kept for the next operator, or it ends: its
//!    sockets are closed.
//! 5. Whoever gives the job up kills all its children: that also ends a call that does not come back.
//!
//! A child is in a process group of its own, has no descriptors but these three and an environment without secrets, and dies with the worker. It is no
//! sandbox: the plugin may do what the worker's user may.
//!
//! - `protocol`: what is said; `wire`: how it is sent
//! - `child`: what the child does
//! - `process`: the child as a process; `later`: its second socket
//! - `operator`: the operator that forwards each call

mod child;
mod later;
mod operator;
mod process;
mod protocol;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use weir_core::plugin::{Artifact, JobDescription, OperatorRequest, Plugin, PluginInfo};
use weir_core::{Batch, Error, Operator, OutputPort, Outstanding, Result};

pub use self::child::serve;
pub use self::process::how_it_ended;

use self::later::Later;
use self::operator::IsolatedOperator;
use self::process::{GRACE, Process, waiting};
use self::protocol::{Call, Reply};
use self::wire::{Receiver, Rows, Sender};

/// This program, also when its file has been replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The children of a job's plugins in this process.
#[derive(Default)]
pub struct Children(Mutex<Running>);

#[derive(Default)]
struct Running {
    /// Whether the job was given up: no child is started any more.
    given_up: bool,
    processes: Vec<Weak<Process>>,
}

impl Children {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one.
    fn start(&self, command: Command, plugin: &str, sockets: [Weak<UnixStream>; 2]) -> Result<Arc<Process>> {
        // Held meanwhile: one that starts while the job is given up is among those that are killed.
        let mut running = self.running();
        if running.given_up {
            return Err(Error::environment("the job was given up"));
        }
        let process = Arc::new(Process::start(command, plugin.to_owned(), sockets)?);
        running.processes.retain(|process| process.strong_count() > 0);
        running.processes.push(Arc::downgrade(&process));
        Ok(process)
    }

    /// Kills all, and starts no others.
    pub fn give_up(&self) {
        let mut running = self.running();
        running.given_up = true;
        running.processes.iter().filter_map(Weak::upgrade).for_each(|process| process.kill());
    }
}

/// A plugin whose operators run in children.
pub struct IsolatedPlugin(Arc<Inner>);

struct Inner {
    info: PluginInfo,
    name: String,
    file: PathBuf,
    program: PathBuf,
    memory_limit: Option<u64>,
    children: Arc<Children>,
    /// Children without an operator, for the next ones. There are no more children than there were operators at the same time.
    spare: Mutex<Vec<Child>>,
}

impl IsolatedPlugin {
    /// The plugin in a file, for one job, whose `children` are started by it. Each may allocate so many bytes.
    pub fn new(artifact: &Artifact, file: &Path, memory_limit: Option<u64>, children: Arc<Children>) -> Self {
        Self(Arc::new(Inner {
            info: PluginInfo { name: artifact.name.clone(), version: artifact.version.clone() },
            name: artifact.to_string(),
            file: file.to_owned(),
            program: THIS_PROGRAM.into(),
            memory_limit,
            children,
            spare: Mutex::default(),
        }))
    }

    /// The same, in processes of another program, which is `weir` too: for tests and measurements, which are not.
    #[must_use]
    pub fn in_program(self, program: &Path) -> Self {
        let Inner { info, name, file, memory_limit, children, .. } = &*self.0;
        let (info, name, file, children) = (info.clone(), name.clone(), file.clone(), children.clone());
        let (program, memory_limit) = (program.to_owned(), *memory_limit);
        Self(Arc::new(Inner { info, name, file, program, memory_limit, children, spare: Mutex::default() }))
    }
}

impl fmt::Debug for IsolatedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IsolatedPlugin").field(&self.0.name).finish()
    }
}

impl Plugin for IsolatedPlugin {
    fn info(&self) -> PluginInfo {
        self.0.info.clone()
    }

    fn job(&self, _: &BTreeMap<String, String>) -> Result<JobDescription> {
        Err(Error::internal("a plugin describes its job before it is isolated"))
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        let make = |child: Child| {
            let lease = Lease { child: Some(child), plugin: Arc::downgrade(&self.0) };
            let made = waiting(|| lease.call(&Call::Make(request.clone()), None, &mut |_, _| ()));
            (lease, made)
        };
        let spare = self.0.spare().pop();
        let (lease, made) = match spare.map(make) {
            // One that has ended while it had nothing to do is no fault of this operator.
            Some((lease, made)) if made.is_ok() || !lease.child().process.has_ended() => (lease, made),
            _ => make(waiting(|| self.0.start())?),
        };
        Ok(Box::new(IsolatedOperator::new(lease, made?)))
    }
}

impl Inner {
    fn spare(&self) -> MutexGuard<'_, Vec<Child>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Child> {
        let no_socket = |error| Error::environment("there is no socket for a plugin's process").with_source(error);
        let (calls, stdin) = UnixStream::pair().map_err(no_socket)?;
        let (later, stdout) = UnixStream::pair().map_err(no_socket)?;
        let (calls, later) = (Arc::new(calls), Arc::new(later));
        let mut command = Command::new(&self.program);
        command.arg0("weir").arg("host-plugin").arg(&self.file).args(["--parent", &std::process::id().to_string()]);
        if let Some(limit) = self.memory_limit {
            command.args(["--memory-limit", &limit.to_string()]);
        }
        command.stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout));
        let sockets = [&calls, &later].map(Arc::downgrade);
        let process = self.children.start(command, &self.name, sockets)?;
        let (sender, receiver) = wire::split(&calls);
        Ok(Child {
            calls: Mutex::new(Calls { sender, receiver }),
            later: Later::listen(&later)?,
            process,
            is_idle: AtomicBool::new(false),
        })
    }
}

/// A process and its sockets. The sockets are closed first, and the process ends by that.
struct Child {
    calls: Mutex<Calls>,
    later: Later,
    process: Arc<Process>,
    /// Whether it has dropped its operator, and could have another one.
    is_idle: AtomicBool,
}

impl Child {
    /// For how long answers are waited for from here on; `None`: for ever.
    fn patience(&self, patience: Option<Duration>) -> std::io::Result<()> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.sender.socket().set_read_timeout(patience)
    }
}

struct Calls {
    sender: Sender,
    receiver: Receiver,
}

/// A child in use: by an operator, and by what was captured of it.
struct Lease {
    child: Option<Child>,
    plugin: Weak<Inner>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(child), Some(plugin)) = (self.child.take(), self.plugin.upgrade()) else { return };
        if child.is_idle.swap(false, Ordering::Relaxed) {
            plugin.spare().push(child);
        }
    }
}

/// A call that has succeeded: what [`Reply::Done`] says.
struct Outcome<T> {
    value: T,
    late: u64,
    outstanding: Outstanding,
    state_bytes: usize,
}

impl Lease {
    fn child(&self) -> &Child {
        self.child.as_ref().expect("it is taken when this is dropped")
    }

    /// Calls, and gives what is emitted to `emit`.
    fn call<T: DeserializeOwned>(
        &self,
        call: &Call,
        rows: Option<Rows<'_>>,
        emit: &mut dyn FnMut(OutputPort, Batch),
    ) -> Result<Outcome<T>> {
        let child = self.child();
        let mut calls = child.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let Calls { sender, receiver } = &mut *calls;
        let message = sender.encode(call, rows)?;
        sender.write(&message).map_err(|error| child.process.why(error))?;
        loop {
            let reply = receiver.receive::<Reply<T>>().map_err(|error| child.process.why(error))?;
            match reply {
                Some((Reply::Emitted(port), Some(batch))) => emit(port, batch),
                Some((Reply::Emitted(_), None)) => {
                    return Err(child.process.why(Error::environment("rows of a plugin are missing")));
                }
                Some((Reply::Done { value, late, outstanding, state_bytes }, _)) => {
                    return Ok(Outcome { value, late, outstanding, state_bytes });
                }
                Some((Reply::Failed(error), _)) => return Err(error.into()),
                None => return Err(child.process.why(Error::environment("a plugin's process does not answer"))),
            }
        }
    }
}
