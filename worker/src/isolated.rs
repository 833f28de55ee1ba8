//! Plugins in processes of their own (`plugin.isolation` = `process`). What ends such a process, an abort, a segmentation fault, no memory, ends one operator
//! of one subtask, or what else it was for: the attempt of its job fails with the reason, and is started again from the last checkpoint, as after any failure.
//!
//! ```text
//!   worker                                             child: weir host-plugin FILE
//!   ┌─────────────────────────────┐  calls    (stdin)  ┌────────────────────────────┐
//!   │ subtask ─▶ IsolatedOperator ├───────────────────▶│ loop ─▶ Operator ─▶ FILE   │
//!   │        or functions, tables │◀───────────────────┤         of jobs/abi        │
//!   │                             │  later   (stdout)  │                            │
//!   │ snapshots ─▶ captured rows  ├───────────────────▶│ thread that makes them     │
//!   │ waker                       │◀───────────────────┤ answers                    │
//!   │                             │  stderr            │                            │
//!   │ log, last words             │◀───────────────────┤                            │
//!   └─────────────────────────────┘                    └────────────────────────────┘
//! ```
//!
//! 1. The plugin of a job is asked for an operator, a function, a source or a sink. A child is started that loads the file, or one is taken that was left before:
//!    operators are also made to see which tables they have, and as twins. A child has one operator, or the functions that one subtask calls, or one source
//!    with its readers, or one sink.
//! 2. Each call goes over the first socket and is waited for, in a way that keeps no thread from other subtasks. Rows go there and back as Arrow IPC.
//! 3. What happens beside calls goes over the second: rows that were captured are made while the operator goes on, and answers wake the subtask.
//! 4. The operator is dropped, and captured rows that nobody wants any more. If all went well the child is kept for the next one that wants a child, or it
//!    ends: its sockets are closed.
//! 5. Whoever gives the job up kills all its children: that also ends a call that does not come back.
//!
//! A child is in a process group of its own, has no descriptors but these three and an environment without secrets, and dies with the worker. It is no
//! sandbox: the plugin may do what the worker's user may.
//!
//! - `protocol`: what is said; `wire`: how it is sent
//! - `child`: what the child does
//! - `process`: the child as a process; `later`: its second socket
//! - `lease`: a child in use, and how it is called
//! - `operator`, `functions` with `groups` and `values`, `tables`: what forwards each call

mod child;
mod functions;
mod groups;
mod later;
mod lease;
mod operator;
mod process;
mod protocol;
mod tables;
mod values;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use weir_core::plugin::{
    Artifact, FunctionCode, FunctionSignature, JobDescription, OperatorRequest, Plugin, PluginInfo, PluginSink,
    PluginSource, TableRequest,
};
use weir_core::{Error, Operator, Result};

pub use self::child::serve;
pub use self::process::how_it_ended;

use self::functions::SubtaskFunctions;
use self::lease::{Child, Lease};
use self::operator::IsolatedOperator;
use self::process::{Process, waiting};
use self::protocol::{Call, FunctionCall};
use self::tables::{IsolatedSink, IsolatedSource};

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

/// A plugin whose code runs in children.
#[derive(Clone)]
pub struct IsolatedPlugin {
    inner: Arc<Inner>,
    /// Its functions, which have a child together.
    functions: Arc<SubtaskFunctions>,
}

struct Inner {
    info: PluginInfo,
    name: String,
    file: PathBuf,
    program: PathBuf,
    memory_limit: Option<u64>,
    children: Arc<Children>,
    /// Children that nobody uses. There are no more children than were in use at the same time.
    spare: Mutex<Vec<Child>>,
    /// Of the functions that were asked for. A child of another time may say something else, and is compared with it.
    signatures: Mutex<BTreeMap<String, FunctionSignature>>,
}

impl IsolatedPlugin {
    /// The plugin in a file, for one job, whose `children` are started by it. Each may allocate so many bytes.
    pub fn new(artifact: &Artifact, file: &Path, memory_limit: Option<u64>, children: Arc<Children>) -> Self {
        Self::made(Inner {
            info: PluginInfo { name: artifact.name.clone(), version: artifact.version.clone() },
            name: artifact.to_string(),
            file: file.to_owned(),
            program: THIS_PROGRAM.into(),
            memory_limit,
            children,
            spare: Mutex::default(),
            signatures: Mutex::default(),
        })
    }

    fn made(inner: Inner) -> Self {
        let inner = Arc::new(inner);
        Self { functions: SubtaskFunctions::of(&inner), inner }
    }

    /// The same, whose functions are called in a child of their own.
    #[must_use]
    pub fn of_subtask(&self) -> Self {
        Self { functions: SubtaskFunctions::of(&self.inner), inner: self.inner.clone() }
    }

    /// The same, in processes of another program, which is `weir` too: for tests and measurements, which are not.
    #[must_use]
    pub fn in_program(self, program: &Path) -> Self {
        let Inner { info, name, file, memory_limit, children, .. } = &*self.inner;
        let (info, name, file, children) = (info.clone(), name.clone(), file.clone(), children.clone());
        let (program, memory_limit) = (program.to_owned(), *memory_limit);
        let (spare, signatures) = (Mutex::default(), Mutex::default());
        Self::made(Inner { info, name, file, program, memory_limit, children, spare, signatures })
    }
}

impl fmt::Debug for IsolatedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IsolatedPlugin").field(&self.inner.name).finish()
    }
}

impl Plugin for IsolatedPlugin {
    fn info(&self) -> PluginInfo {
        self.inner.info.clone()
    }

    fn job(&self, _: &BTreeMap<String, String>) -> Result<JobDescription> {
        Err(Error::internal("a plugin describes its job before it is isolated"))
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        let call = Call::Make(request.clone());
        let (lease, made) = self.inner.lease(|lease| waiting(|| lease.call(&call, None, &mut |_, _| ())))?;
        Ok(Box::new(IsolatedOperator::new(lease, made)))
    }

    fn source(&self, request: &TableRequest) -> Result<Box<dyn PluginSource>> {
        Ok(Box::new(IsolatedSource::new(&self.inner, request)?))
    }

    fn sink(&self, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
        Ok(Box::new(IsolatedSink::new(&self.inner, request)?))
    }

    fn functions(&self) -> Result<Vec<FunctionSignature>> {
        Err(Error::internal("a plugin says what it exports before it is isolated"))
    }

    fn function(&self, name: &str) -> Result<(FunctionSignature, FunctionCode)> {
        let signature = self.inner.signature(name)?;
        Ok((signature.clone(), self.functions.function(signature)))
    }
}

impl Inner {
    fn spare(&self) -> MutexGuard<'_, Vec<Child>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child of one's own, with what it answers to a first call.
    fn lease<T>(self: &Arc<Self>, first: impl Fn(&Lease) -> Result<T>) -> Result<(Lease, T)> {
        let lease = |child| Lease::new(child, Arc::downgrade(self));
        let asked = |lease: Lease| {
            let answer = first(&lease);
            if answer.is_err() {
                lease.spoil();
            }
            (lease, answer)
        };
        // Taken out first: nobody waits for others with it.
        let spare = self.spare().pop();
        let (lease, answer) = match spare.map(|child| asked(lease(child))) {
            // One that has ended while it had nothing to do is no fault of who wants it.
            Some((lease, answer)) if answer.is_ok() || !lease.child().process.has_ended() => (lease, answer),
            _ => asked(lease(waiting(|| self.start())?)),
        };
        Ok((lease, answer?))
    }

    /// What a function takes and gives.
    fn signature(self: &Arc<Self>, name: &str) -> Result<FunctionSignature> {
        let known = || self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = known().get(name) {
            return Ok(signature.clone());
        }
        let find = Call::Function(FunctionCall::Find(name.to_owned()));
        let (lease, (_, signature)) = self.lease(|lease| lease.ask::<(u32, FunctionSignature)>(&find))?;
        lease.end(&Call::Drop);
        Ok(known().entry(name.to_owned()).or_insert(signature).clone())
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
        Child::new(process, &calls, &later)
    }
}
