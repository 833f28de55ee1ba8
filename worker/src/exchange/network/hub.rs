//! Who is connected with whom, and which channels are expected: the meeting point of subtasks and connections.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_core::{Attempt, Error, JobId, PlacedWorker, Result};

use super::super::gate::Inlet;
use super::NetworkConfig;
use super::carry::{self, Carried};
use super::connection::{Connection, LostSender};
use super::frame::{ChannelId, Process};
use super::transport::Transport;

/// What all connections and all jobs of a process share.
pub struct Hub {
    /// Names and limits.
    pub config: NetworkConfig,
    /// Where links come from.
    pub transport: Arc<dyn Transport>,
    /// What has gone over all connections.
    pub traffic: Traffic,
    runtime: Handle,
    state: Mutex<State>,
    /// `None` once they were ended. Under a lock of their own: on a runtime that is shutting down a task ends while it is
    /// spawned, and tells the state.
    tasks: Mutex<Option<JoinSet<()>>>,
}

#[derive(Default)]
struct State {
    parts: BTreeMap<JobId, (Attempt, LostSender)>,
    expected: BTreeMap<ChannelId, Expected>,
    /// The connections that new channels go over.
    connections: BTreeMap<Process, Arc<Connection>>,
    closed: bool,
}

/// Bytes of rows, as credit counts them.
#[derive(Debug, Default)]
pub struct Traffic {
    /// To other workers.
    pub sent: AtomicU64,
    /// From other workers.
    pub received: AtomicU64,
}

/// A channel that a peer is going to open.
pub struct Expected {
    /// Who.
    pub from: Process,
    /// Where its elements go.
    pub inlet: Inlet,
    /// Who has to hear if the connection breaks.
    pub lost: LostSender,
}

/// A part of a job that takes part in the network. Dropping it ends that.
pub struct Membership {
    hub: Arc<Hub>,
    job: JobId,
    attempt: Attempt,
    sender: LostSender,
    lost: mpsc::Receiver<Error>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub whose tasks run on the caller's runtime.
    pub fn new(config: NetworkConfig, transport: Arc<dyn Transport>) -> Self {
        Self {
            config,
            transport,
            traffic: Traffic::default(),
            runtime: Handle::current(),
            state: Mutex::default(),
            tasks: Mutex::new(Some(JoinSet::new())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the hub")
    }

    /// Bytes that a batch may have: what it needs beside its values has to find room in a frame, too.
    pub fn piece_bytes(&self) -> usize {
        self.config.frame_bytes / 2
    }

    /// Runs `task` until it ends or the network is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        let Some(tasks) = tasks.as_mut() else { return };
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, &self.runtime);
    }

    /// The connection to a worker. If there is none, one is made; what is sent on it waits until it is there.
    pub fn connection(self: &Arc<Self>, peer: &PlacedWorker) -> Arc<Connection> {
        let mut state = self.lock();
        let process = Process::from(peer);
        if let Some(connection) = state.connections.get(&process) {
            return connection.clone();
        }
        let connection = Arc::new(Connection::new(peer.clone(), self.config.window));
        if state.closed {
            connection.fail("this worker is about to stop");
            return connection;
        }
        state.connections.insert(process, connection.clone());
        drop(state);
        self.spawn(carry::dial(Carried::new(self.clone(), connection.clone())));
        connection
    }

    /// A peer has dialed. New channels to it go over this connection, unless there is one already.
    pub fn accepted(&self, connection: &Arc<Connection>) {
        let process = Process::from(&connection.peer);
        self.lock().connections.entry(process).or_insert_with(|| connection.clone());
    }

    /// The connection is no more.
    pub fn broken(&self, connection: &Arc<Connection>, reason: &str) {
        let mut state = self.lock();
        let process = Process::from(&connection.peer);
        if state.connections.get(&process).is_some_and(|known| Arc::ptr_eq(known, connection)) {
            state.connections.remove(&process);
        }
        drop(state);
        connection.fail(reason);
    }

    /// A part of a job begins. One of an older attempt, if it is still here, hears that it is over.
    ///
    /// # Errors
    /// If a newer attempt is here.
    pub fn join(self: &Arc<Self>, job: JobId, attempt: Attempt) -> Result<Membership> {
        let mut state = self.lock();
        if let Some((current, older)) = state.parts.get(&job) {
            if *current >= attempt {
                let error = format!("attempt {attempt} of job {job} cannot begin: attempt {current} is here");
                return Err(Error::environment(error));
            }
            // If there is no room it has heard of a failure already.
            let _ = older.try_send(Error::environment(format!("attempt {attempt} of job {job} has begun")));
        }
        let (sender, lost) = mpsc::channel(1);
        state.parts.insert(job, (attempt, sender.clone()));
        state.expected.retain(|id, _| id.job != job);
        Ok(Membership { hub: self.clone(), job, attempt, sender, lost })
    }

    /// A peer opens a channel.
    pub fn open(&self, connection: &Arc<Connection>, number: u32, id: ChannelId) {
        let mut state = self.lock();
        let from = Process::from(&connection.peer);
        let expected = match state.expected.get(&id) {
            Some(expected) if expected.from == from => Ok(()),
            Some(expected) => Err(format!("it is {} that has this channel, and not {from}", expected.from)),
            None => Err(match state.parts.get(&id.job) {
                Some((current, _)) if *current > id.attempt => format!("attempt {current} of the job has begun"),
                Some((current, _)) if *current < id.attempt => format!("attempt {current} of the job is still here"),
                Some(_) => "nobody is to send on this channel, or somebody does already".to_owned(),
                None => "no part of the job is here".to_owned(),
            }),
        };
        let expected = expected.map(|()| state.expected.remove(&id));
        drop(state);
        match expected {
            Ok(Some(Expected { inlet, lost, .. })) => connection.accept(number, inlet, lost),
            Ok(None) => {}
            Err(reason) => connection.refuse(number, reason),
        }
    }

    /// Ends all connections and tasks.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        drop(state);
        let tasks = self.tasks.lock().expect("nothing panics while it holds the tasks").take();
        // Each connection belongs to a task, which tells it when it ends, however it ends. A task may end right here.
        drop(tasks);
    }
}

impl Membership {
    /// Where to send that a peer is lost.
    pub fn lost_sender(&self) -> LostSender {
        self.sender.clone()
    }

    /// Waits for the news that a peer is lost.
    pub async fn lost(&mut self) -> Error {
        match self.lost.recv().await {
            Some(error) => error,
            // Not while this value has a sender itself.
            None => std::future::pending().await,
        }
    }

    /// From here on the channel `id` may be opened by the worker `from`.
    pub fn expect(&self, id: ChannelId, from: Process, inlet: Inlet) {
        self.hub.lock().expected.insert(id, Expected { from, inlet, lost: self.sender.clone() });
    }

    /// The hub that this is a membership of.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.expected.retain(|id, _| (id.job, id.attempt) != (self.job, self.attempt));
        if state.parts.get(&self.job).is_some_and(|(attempt, _)| *attempt == self.attempt) {
            state.parts.remove(&self.job);
        }
    }
}
