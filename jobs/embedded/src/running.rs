//! A job that runs in this process, on threads of its own, and how the application deals with it.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use weir_core::{Error, Result};

use crate::job::{self, JobEnd, Order, Progress, RunRequest};

/// Checkpoints that are asked for and that the job has not heard of yet. More wait.
const MOST_ORDERS: usize = 16;

/// A job that runs, on threads of its own: the application may use tokio, another runtime, or none.
///
/// Dropped before it has ended, the job is given up where it is, as by a crash: what its last checkpoint holds is kept, and with the same state
/// directory it goes on from there. [Stop it](Self::stop_with_savepoint) to have what it has read so far in the results.
#[must_use = "a job that is dropped is given up"]
#[derive(Debug)]
pub struct RunningJob {
    progress: watch::Receiver<Progress>,
    orders: mpsc::Sender<Order>,
    stop: Arc<Notify>,
    /// `None`: what it came to has been told.
    ended: Option<oneshot::Receiver<Result<JobEnd>>>,
    /// Dropped when the job is given up.
    wanted: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RunningJob {
    pub(crate) fn start(request: RunRequest) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("weir-io")
            .build()
            .map_err(|error| Error::environment("cannot start threads").with_source(error))?;
        let (tell_progress, progress) = watch::channel(Progress::default());
        let (orders, receiver) = mpsc::channel(MOST_ORDERS);
        let (tell_end, ended) = oneshot::channel();
        let (wanted, given_up) = oneshot::channel::<()>();
        let stop = Arc::new(Notify::new());
        let (stopping, stop_order) = (stop.clone(), orders.clone());
        let job = async move {
            let stop = async {
                stopping.notified().await;
                // A job that has ended need not hear it.
                let _ = stop_order.send(Order::Savepoint).await;
                std::future::pending().await
            };
            tokio::select! {
                end = job::run(request, tell_progress, receiver) => Some(end),
                _ = given_up => None,
                () = stop => None,
            }
        };
        let thread = std::thread::Builder::new()
            .name("weir-job".into())
            .spawn(move || {
                let end = runtime.block_on(job);
                // What waits for a disk or a slow reader holds nobody up; it has the lock of the state directory until it is done.
                runtime.shutdown_background();
                if let Some(end) = end {
                    // Of one that was given up nobody wants to know.
                    let _ = tell_end.send(end);
                }
            })
            .map_err(|error| Error::environment("cannot start a thread").with_source(error))?;
        Ok(Self { progress, orders, stop, ended: Some(ended), wanted: Some(wanted), thread: Some(thread) })
    }

    /// How far it is: rows that were read and written, watermark, checkpoints. Told several times a second.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Whether it has not come to an end yet.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Takes a checkpoint, and returns when its results are visible: those of all rows that had been read when this was called.
    ///
    /// # Errors
    /// If the job ends before; [`finished`](Self::finished) says how.
    pub async fn checkpoint(&self) -> Result<()> {
        let ended = || Error::environment("the job has ended before its checkpoint");
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Checkpoint(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }

    /// Tells the job to stop with a savepoint, and returns at once. It has stopped when [`finished`](Self::finished) or [`wait`](Self::wait) says so:
    /// then the results of all that it has read are visible. With the same state directory it goes on from there.
    pub fn stop_with_savepoint(&self) {
        self.stop.notify_one();
    }

    /// Waits until the job has ended. May be given up and called again, as in `select!`; what the job came to is told once.
    ///
    /// # Errors
    /// What made the job fail. With a state directory it can be run again, and goes on from its last checkpoint.
    pub async fn finished(&mut self) -> Result<JobEnd> {
        let Some(ended) = &mut self.ended else { return Err(told()) };
        let end = ended.await;
        self.over(end)
    }

    /// Waits until the job has ended, where nothing is asynchronous.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    ///
    /// # Panics
    /// In an asynchronous function, whose thread it would hold up.
    pub fn wait(mut self) -> Result<JobEnd> {
        let ended = self.ended.take().ok_or_else(told)?;
        let end = ended.blocking_recv();
        self.over(end)
    }

    fn over(&mut self, end: Result<Result<JobEnd>, oneshot::error::RecvError>) -> Result<JobEnd> {
        self.ended = None;
        self.join();
        end.unwrap_or_else(|_| Err(Error::internal("the thread of the job panicked")))
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there has been told: nobody has heard of an end.
            let _ = thread.join();
        }
    }
}

fn told() -> Error {
    Error::user("what the job came to has been told before")
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.wanted = None;
        self.join();
    }
}
