//! The thread on which the calls of one operator are made. It begins and ends with the operator.
//!
//! ```text
//!   operator ── begin ──▶ [begun] ─ byte ─▶ thread: a future for each row
//!            ◀── take ─── [returned] ◀──────┘ wakes the subtask
//! ```
//!
//! The thread and its runtime are the plugin's own, since futures are polled by the runtime they were written for, of which a plugin in a file has
//! its own copy. **Nothing of that runtime is touched by other threads**: what leaves a thread-local value behind in a thread of the engine keeps the
//! file loaded for as long as the thread lives. So rows come through a queue, with a byte through a pair of sockets to wake the runtime.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use weir_core::{Error, Result};
use weir_plugin_abi::caught;
use weir_plugin_abi::thread::Thread;

use super::attempts::{CallFunction, Policy, Returned, called};

/// A call by the number of its row.
type Numbered<T> = (u64, T);

/// Makes calls.
pub(super) struct Runner<R, T> {
    queues: Arc<Queues<R, T>>,
    /// Wakes the thread; dropped, ends it.
    bell: Option<UnixStream>,
    /// Waited for when it is dropped.
    thread: Option<Thread>,
}

struct Queues<R, T> {
    begun: Mutex<Vec<Numbered<R>>>,
    returned: Mutex<Vec<Numbered<Returned<T>>>>,
    waker: Waker,
}

impl<R, T> Queues<R, T> {
    /// Nothing in them can be left half done by a panic.
    fn locked<V>(queue: &Mutex<Vec<V>>) -> MutexGuard<'_, Vec<V>> {
        queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, number: u64, returned: Returned<T>) {
        Self::locked(&self.returned).push((number, returned));
        self.waker.wake_by_ref();
    }

    /// Whichever row it is: the job fails.
    fn fail(&self, error: Error) {
        self.put(0, Returned::Broken(error));
    }
}

impl<R: Send + Clone + 'static, T: Send + 'static> Runner<R, T> {
    /// Starts the thread for the operator of that step.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start(step: &str, function: CallFunction<R, T>, policy: Policy, waker: &Waker) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::environment(format!("a thread for the calls of step '{step}' cannot be started")).with_source(error)
        };
        let queues = Arc::new(Queues { begun: Mutex::default(), returned: Mutex::default(), waker: waker.clone() });
        let (bell, heard) = UnixStream::pair().map_err(failed)?;
        // If it is full, the thread has not woken up yet, and will.
        bell.set_nonblocking(true).map_err(failed)?;
        heard.set_nonblocking(true).map_err(failed)?;
        let (shared, policy) = (queues.clone(), Arc::new(policy));
        let thread = Thread::start(move || {
            let outcome = caught(&format!("the thread that makes the calls of step '{}'", policy.step), || {
                let failed = |error: std::io::Error| {
                    Error::environment("the thread that makes calls has failed").with_source(error)
                };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
                runtime.block_on(serve(&shared, heard, &function, &policy)).map_err(failed)
            });
            if let Err(error) = outcome {
                shared.fail(error);
            }
        });
        Ok(Self { queues, bell: Some(bell), thread: Some(thread?) })
    }

    /// Begins the calls of these rows.
    pub(super) fn begin(&mut self, rows: Vec<Numbered<R>>) {
        if rows.is_empty() {
            return;
        }
        Queues::<R, T>::locked(&self.queues.begun).extend(rows);
        if let Some(bell) = &mut self.bell {
            // Full or broken: it hears of others, or has failed and said so.
            let _ = bell.write(&[1]);
        }
    }

    /// What has returned since the last time.
    pub(super) fn take(&self) -> Vec<Numbered<Returned<T>>> {
        std::mem::take(&mut *Queues::<R, T>::locked(&self.queues.returned))
    }
}

impl<R, T> Drop for Runner<R, T> {
    /// Calls that are under way end where they wait. No code of the plugin runs afterwards.
    fn drop(&mut self) {
        self.bell = None;
        self.thread = None;
    }
}

/// Until the operator is dropped.
async fn serve<R: Send + Clone + 'static, T: Send + 'static>(
    queues: &Arc<Queues<R, T>>,
    bell: UnixStream,
    function: &CallFunction<R, T>,
    policy: &Arc<Policy>,
) -> std::io::Result<()> {
    let mut bell = tokio::net::UnixStream::from_std(bell)?;
    let mut calls = JoinSet::new();
    let mut rings = [0; 64];
    loop {
        tokio::select! {
            rung = bell.read(&mut rings) => match rung? {
                0 => return Ok(()),
                _ => {
                    for (number, row) in std::mem::take(&mut *Queues::<R, T>::locked(&queues.begun)) {
                        let (queues, call) = (queues.clone(), called(function.clone(), row, policy.clone(), number));
                        calls.spawn(async move { queues.put(number, call.await) });
                    }
                }
            },
            Some(ended) = calls.join_next(), if !calls.is_empty() => if let Err(panic) = ended {
                // Not while it was polled, so it has put nothing there: what it has left behind panicked when it was dropped.
                let what = format!("a call of step '{}' panicked when it was dropped", policy.step);
                queues.fail(Error::user(what).with_source(panic));
            }
        }
    }
}
