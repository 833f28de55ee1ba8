//! Starts processes, kills them, and starts them again.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_coordinator::raft::{Member, Raft, RebuildFrom};
use weir_coordinator::recovery::Rebuilt;
use weir_core::{CoordinatorId, ErrorKind, Result};

use crate::cluster::Cluster;
use crate::coordinator::{self, Identity};
use crate::coordinators::log_of;
use crate::disk::Disk;
use crate::lock::lock;
use crate::mailbox::Mailbox;
use crate::network::Machine;
use crate::worker;
use weir_core::random::Random;

/// Pause before a process that ended by itself is started again.
const RESTART: Duration = Duration::from_millis(150);

/// All processes.
pub struct Machines {
    cluster: Arc<Cluster>,
    state: Mutex<State>,
}

struct State {
    random: Random,
    disks: BTreeMap<u64, Disk>,
    processes: BTreeMap<Machine, Process>,
    /// Killed, and not gone yet: nothing starts there before.
    dying: BTreeSet<Machine>,
    started: u64,
}

struct Process {
    task: JoinHandle<()>,
    shutdown: Option<mpsc::Sender<()>>,
}

impl Machines {
    /// No process yet, and disks that found a cluster.
    pub fn new(cluster: Arc<Cluster>, random: Random) -> Result<Self> {
        let ids = (1..=cluster.shape.coordinators).map(CoordinatorId);
        let member = |id: CoordinatorId| Member { address: Machine::Coordinator(id.0).to_string(), log: log_of(id) };
        let members: BTreeMap<CoordinatorId, Member> = ids.map(|id| (id, member(id))).collect();
        let mut disks = BTreeMap::new();
        for id in members.keys() {
            let mut disk = Disk::new(*id, cluster.oracle.clone(), cluster.shape.model_disks);
            Raft::bootstrap(&mut disk, &members)?;
            disk.found();
            disks.insert(id.0, disk);
        }
        let state = State { random, disks, processes: BTreeMap::new(), dying: BTreeSet::new(), started: 0 };
        Ok(Self { cluster, state: Mutex::new(state) })
    }

    /// All machines.
    pub fn all(&self) -> Vec<Machine> {
        let coordinators = self.cluster.coordinators.all().into_iter().map(Machine::Coordinator);
        coordinators.chain((1..=self.cluster.shape.workers.len() as u64).map(Machine::Worker)).collect()
    }

    /// The disk of a coordinator.
    pub fn disk(&self, number: u64) -> Option<Disk> {
        lock(&self.state).disks.get(&number).cloned()
    }

    /// Sets up and starts a machine with an empty disk for a coordinator that there was not before, if there is room for it.
    pub fn set_up(self: &Arc<Self>) -> Option<u64> {
        let number = self.cluster.coordinators.add()?;
        let disk = Disk::new(CoordinatorId(number), self.cluster.oracle.clone(), self.cluster.shape.model_disks);
        disk.found();
        lock(&self.state).disks.insert(number, disk);
        self.start(Machine::Coordinator(number));
        Some(number)
    }

    /// Sets up and starts a machine with a coordinator that goes on from what was found of a cluster, if there is room for it.
    pub fn recover(self: &Arc<Self>, found: &Rebuilt) -> Result<Option<u64>> {
        let Some(number) = self.cluster.coordinators.add() else { return Ok(None) };
        let id = CoordinatorId(number);
        let mut disk = Disk::new(id, self.cluster.oracle.clone(), self.cluster.shape.model_disks);
        let member = Member { address: Machine::Coordinator(number).to_string(), log: log_of(id) };
        let (_, index) = found.copied;
        let from = RebuildFrom { term: found.term, index, state: found.recovered.state.to_bytes() };
        Raft::rebuild(&mut disk, &BTreeMap::from([(id, member)]), from)?;
        disk.found();
        lock(&self.state).disks.insert(number, disk);
        self.start(Machine::Coordinator(number));
        Ok(Some(number))
    }

    /// A coordinator's machine is no more, and its disk neither.
    pub fn throw_away(&self, number: u64) {
        let machine = Machine::Coordinator(number);
        self.cluster.trace.say(machine, "is thrown away");
        self.cluster.coordinators.remove(number);
        let mut state = lock(&self.state);
        state.disks.remove(&number);
        let process = state.processes.remove(&machine);
        drop(state);
        if let Some(process) = process {
            process.task.abort();
        }
        self.cluster.network.coordinator_down(machine);
    }

    /// Starts a machine's process, if it has none.
    pub fn start(self: &Arc<Self>, machine: Machine) {
        let state = lock(&self.state);
        let is_gone = matches!(machine, Machine::Coordinator(number) if !state.disks.contains_key(&number));
        if is_gone || state.processes.contains_key(&machine) || state.dying.contains(&machine) {
            return;
        }
        drop(state);
        let (sender, receiver) = mpsc::channel(1);
        let task = match machine {
            Machine::Coordinator(number) => tokio::spawn(self.clone().keep_coordinator(number)),
            Machine::Worker(number) => tokio::spawn(self.clone().keep_worker(number, receiver)),
        };
        let shutdown = matches!(machine, Machine::Worker(_)).then_some(sender);
        lock(&self.state).processes.insert(machine, Process { task, shutdown });
    }

    /// Kills a machine's process, if it has one; a coordinator loses what it has not synced.
    pub async fn kill(&self, machine: Machine) {
        let Some(process) = self.doom(machine) else { return };
        self.cluster.trace.say(machine, "is killed");
        process.task.abort();
        // It was cancelled, and says so.
        let _ = process.task.await;
        self.gone(machine);
        lock(&self.state).dying.remove(&machine);
    }

    /// Takes a machine's process; nothing starts there until it is gone.
    fn doom(&self, machine: Machine) -> Option<Process> {
        let mut state = lock(&self.state);
        let process = state.processes.remove(&machine)?;
        state.dying.insert(machine);
        Some(process)
    }

    /// Tells a worker to go.
    pub fn release(&self, machine: Machine) {
        if let Some(Process { shutdown: Some(shutdown), .. }) = lock(&self.state).processes.get(&machine) {
            // It was told before.
            let _ = shutdown.try_send(());
        }
    }

    fn gone(&self, machine: Machine) {
        match machine {
            Machine::Coordinator(number) => {
                self.cluster.network.coordinator_down(machine);
                let mut state = lock(&self.state);
                let State { random, disks, .. } = &mut *state;
                if let Some(disk) = disks.get(&number) {
                    disk.crash(random);
                }
            }
            Machine::Worker(_) => self.cluster.network.worker_down(machine),
        }
    }

    /// Numbers that no process has had before.
    fn incarnation(&self) -> (u64, u64) {
        let mut state = lock(&self.state);
        state.started += 1;
        (state.started, state.random.word())
    }

    async fn keep_coordinator(self: Arc<Self>, number: u64) {
        let machine = Machine::Coordinator(number);
        let Some(disk) = self.disk(number) else { return };
        loop {
            let (incarnation, seed) = self.incarnation();
            self.cluster.trace.say(machine, "starts");
            let inbox = Mailbox::default();
            self.cluster.network.coordinator_up(machine, inbox.clone());
            let identity = Identity { id: CoordinatorId(number), incarnation, seed };
            let process = coordinator::run(self.cluster.clone(), identity, disk.clone(), inbox);
            match AssertUnwindSafe(process).catch_unwind().await {
                Err(panic) => return self.panicked(machine, &*panic),
                Ok(Err(error)) if error.kind() != ErrorKind::Environment => {
                    return self.cluster.oracle.violation(format!("{machine} gave up: {}", error.report()));
                }
                Ok(ended) => self.cluster.trace.say(machine, format_args!("ends: {ended:?}")),
            }
            self.gone(machine);
            sleep(RESTART).await;
        }
    }

    async fn keep_worker(self: Arc<Self>, number: u64, mut shutdown: mpsc::Receiver<()>) {
        let machine = Machine::Worker(number);
        loop {
            let (_, incarnation) = self.incarnation();
            self.cluster.trace.say(machine, format_args!("starts as {incarnation:016x}"));
            let inbox = Mailbox::default();
            self.cluster.network.worker_up(machine, inbox.clone());
            let (sender, receiver) = mpsc::channel(1);
            let process = worker::run(self.cluster.clone(), number, incarnation, inbox, receiver);
            let process = AssertUnwindSafe(process).catch_unwind();
            let mut process = std::pin::pin!(process);
            let ended = loop {
                tokio::select! {
                    biased;
                    ended = &mut process => break ended,
                    // It may be about to end anyway.
                    Some(()) = shutdown.recv() => drop(sender.try_send(())),
                }
            };
            match ended {
                Err(panic) => return self.panicked(machine, &*panic),
                Ok(ending) => self.cluster.trace.say(machine, format_args!("ends: {ending:?}")),
            }
            self.gone(machine);
            sleep(RESTART).await;
        }
    }

    fn panicked(&self, machine: Machine, panic: &(dyn std::any::Any + Send)) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        self.cluster.oracle.violation(format!("{machine} panicked: {}", text.unwrap_or_default()));
    }
}
