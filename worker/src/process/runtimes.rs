//! The threads of a worker, beside those of its caller.

use tokio::runtime::{Builder, Handle, Runtime};
use weir_core::{Error, Result};

/// Threads for connections, and for starting and watching attempts. Neither takes long at a time.
const IO_THREADS: usize = 2;

/// Two runtimes. What runs on them is dropped with them.
pub struct Runtimes {
    io: Owned,
    compute: Owned,
}

/// A runtime that can be dropped anywhere: the usual way would wait, which an asynchronous caller must not.
struct Owned(Option<Runtime>);

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system does not give them.
    pub fn start(compute_threads: usize) -> Result<Self> {
        Ok(Self { io: Owned::start("io", IO_THREADS)?, compute: Owned::start("compute", compute_threads)? })
    }

    /// For everything that waits.
    pub fn io(&self) -> Handle {
        self.io.handle()
    }

    /// For subtasks.
    pub fn compute(&self) -> Handle {
        self.compute.handle()
    }
}

impl Owned {
    fn start(name: &str, threads: usize) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(threads.max(1)).thread_name(name).enable_all().build();
        let runtime = runtime.map_err(|error| Error::environment("the system gives no threads").with_source(error))?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> Handle {
        self.0.as_ref().expect("it is there until it is dropped").handle().clone()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
