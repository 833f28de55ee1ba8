//! Where the clients of object stores live: connections, time-outs and uploads need a runtime, and storages are called by threads that
//! wait for them.

use std::future::Future;
use std::sync::{Arc, mpsc};

use tokio::runtime::{Builder, Handle, Runtime};
use weir_core::{Error, Result};

/// A runtime of their own: requests must not wait for threads that are busy with rows. It ends with the last storage that uses it.
#[derive(Debug, Clone)]
pub struct Threads(Arc<Owned>);

#[derive(Debug)]
struct Owned(Option<Runtime>);

impl Drop for Owned {
    /// Requests that are still on their way are nobody's: their callers have been waiting for them.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What is being done.
#[derive(Debug)]
pub struct Begun<T>(mpsc::Receiver<T>);

impl<T> Begun<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// If it panicked.
    pub fn wait(self) -> Result<T> {
        self.0.recv().map_err(|_| Error::internal("a request to the object store panicked"))
    }
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// If the system has none left.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("weir-storage").enable_all().build();
        let runtime = runtime.map_err(|error| Error::environment("cannot start a thread").with_source(error))?;
        Ok(Self(Arc::new(Owned(Some(runtime)))))
    }

    /// Waits for what is done there.
    ///
    /// # Errors
    /// If it panicked.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.begin(work).wait()
    }

    /// Begins what is done there; who needs it waits later.
    pub fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Begun<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle().spawn(async move { sender.send(work.await) });
        Begun(receiver)
    }

    fn handle(&self) -> &Handle {
        self.0.0.as_ref().expect("it is taken when nobody has it any more").handle()
    }
}
