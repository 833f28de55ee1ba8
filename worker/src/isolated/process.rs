//! A plugin's process as its parent sees it: how it is started, what it writes on standard error, how it has ended.
//!
//! A thread of its own starts it and waits for its end. It has to live as long as the child: the child is told to die with the *thread* that has started
//! it (`PR_SET_PDEATHSIG`). Another thread reads what it writes. Neither says when a child ends but the system: what a plugin has started has the same
//! standard error, and may have the same sockets.

use std::collections::VecDeque;
use std::io::{PipeReader, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::info;
use weir_core::{Error, Result};

/// How long a process may take to end that has nothing to do any more.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long the end of a process whose socket has broken may take to be noticed.
const NOTICE: Duration = Duration::from_secs(2);
/// Bytes that are kept of what a process has written last.
const LAST_WORDS: usize = 2048;

/// What a process has in its environment, if its parent has it: what no secret is in.
const PASSED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "RUST_MIN_STACK",
];

/// Waits for a child. Other subtasks of this thread go on elsewhere.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

/// A child process. Dropping it waits for its end, which is given to a process that takes too long.
pub struct Process {
    /// Whose code it runs, for people.
    plugin: String,
    pid: Pid,
    ending: Arc<Ending>,
}

/// The end of a process.
#[derive(Default)]
struct Ending {
    known: Mutex<Known>,
    changed: Condvar,
}

/// What is known of the end of a process.
#[derive(Default)]
struct Known {
    /// How it has ended, once it has.
    status: Option<ExitStatus>,
    /// What was written last on its standard error.
    last_words: VecDeque<u8>,
    /// Whether nobody has its standard error any more.
    is_silent: bool,
}

impl Process {
    /// Starts a process, in a group of its own. When it has ended nothing comes by these sockets any more, whoever has them.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(mut command: Command, plugin: String, sockets: [Weak<UnixStream>; 2]) -> Result<Self> {
        let no_process = |error| {
            Error::environment(format!("a process for the plugin {plugin} cannot be started")).with_source(error)
        };
        let (reader, writer) = std::io::pipe().map_err(no_process)?;
        command.stderr(writer).process_group(0).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| PASSED_ON.iter().any(|known| name == *known)));
        // The allocator takes a GiB at once otherwise, all of which would be there already when memory is limited.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        let ending = Arc::new(Ending::default());
        let (tell, told) = mpsc::sync_channel(1);
        let (listens, ends, name) = (ending.clone(), ending.clone(), plugin.clone());
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        // Neither is waited for: they end with the process, or with the last one that has its standard error.
        thread("weir-child-words").spawn(move || listens.listen(reader, &name)).map_err(no_process)?;
        let starter = thread("weir-child").spawn(move || {
            let spawned = command.spawn();
            // It holds the other end of the pipe, whose end would never be seen.
            drop(command);
            match spawned {
                Ok(child) => {
                    let pid = Pid::from_child(&child);
                    // It is waited for.
                    let _ = tell.send(Ok(pid));
                    ends.watch(child, pid);
                    for socket in sockets.iter().filter_map(Weak::upgrade) {
                        // One that is shut down already is what is wanted. What has come can still be read.
                        let _ = socket.shutdown(Shutdown::Both);
                    }
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        });
        starter.map_err(no_process)?;
        let pid = told.recv().map_err(|_| Error::internal("a thread has ended early"))?.map_err(no_process)?;
        Ok(Self { plugin, pid, ending })
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ending.known().status.is_some()
    }

    /// Ends it, and what it has started, at once.
    pub fn kill(&self) {
        self.ending.kill(self.pid);
    }

    /// Why its socket has failed with that error: it has ended, or else is killed, since what comes next is not known.
    pub fn why(&self, failed: Error) -> Error {
        let Some(status) = self.ending.wait(NOTICE) else {
            self.kill();
            return failed.context(format!("the process of the plugin {} is not understood", self.plugin));
        };
        let how = how_it_ended(status);
        let error = Error::environment(format!("the process of the plugin {} has ended: {how}", self.plugin));
        match self.ending.last_words(NOTICE) {
            words if words.is_empty() => error,
            words => error.with_source(format!("it has written at last: {words}")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        waiting(|| {
            if self.ending.wait(GRACE).is_none() {
                self.kill();
                // One that hangs in the system as well is left to its thread.
                self.ending.wait(NOTICE);
            }
        });
    }
}

impl Ending {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what the child writes, and what others do that it has started.
    fn listen(&self, mut stderr: PipeReader, plugin: &str) {
        let (mut bytes, mut line) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = stderr.read(&mut bytes) {
            self.heard(&bytes[..read]);
            for byte in &bytes[..read] {
                match byte {
                    b'\n' => tell(plugin, &std::mem::take(&mut line)),
                    _ if line.len() < LAST_WORDS => line.push(*byte),
                    _ => {}
                }
            }
        }
        tell(plugin, &line);
        self.known().is_silent = true;
        self.changed.notify_all();
    }

    /// Waits until the child has ended.
    fn watch(&self, mut child: Child, pid: Pid) {
        // Its number is its own until it is waited for, which is done when nobody can want to kill it any more.
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {
        }
        let mut known = self.known();
        // What it has started is of no use without it; there may be none.
        let _ = kill_process_group(pid, Signal::KILL);
        known.status = Some(child.wait().unwrap_or_default());
        self.changed.notify_all();
    }

    fn heard(&self, bytes: &[u8]) {
        let last = &mut self.known().last_words;
        last.extend(bytes);
        let surplus = last.len().saturating_sub(LAST_WORDS);
        last.drain(..surplus);
    }

    fn kill(&self, pid: Pid) {
        // Held, so that the number does not become another process's meanwhile.
        let known = self.known();
        if known.status.is_none() {
            // It may have ended just now.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// How it has ended, if it does within this time.
    fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        self.wait_while(patience, |known| known.status.is_none()).status
    }

    /// What was written last, after this time at most. Something that the plugin has started may have left its group, and write for ever.
    fn last_words(&self, patience: Duration) -> String {
        let known = self.wait_while(patience, |known| !known.is_silent);
        let bytes: Vec<u8> = known.last_words.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    fn wait_while(&self, patience: Duration, is_so: impl Fn(&Known) -> bool) -> MutexGuard<'_, Known> {
        let waited = self.changed.wait_timeout_while(self.known(), patience, |known| is_so(known));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn tell(plugin: &str, line: &[u8]) {
    if !line.is_empty() {
        // Escaped: it may be anything, also what would look like lines of the log itself.
        info!(plugin, line = %String::from_utf8_lossy(line).escape_debug(), "a plugin has written");
    }
}

/// The end of a process, for people.
pub fn how_it_ended(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else { return status.to_string() };
    let name = match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT: it has ended itself, or ran out of memory)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL: it was killed, or the system ran out of memory)",
        11 => " (SIGSEGV: it used memory that is not its own)",
        15 => " (SIGTERM)",
        _ => "",
    };
    format!("signal {signal}{name}")
}
