//! Breaks things, one after the other, and mends them after a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::machines::Machines;
use crate::network::Machine;
use crate::shape::Fault;
use weir_core::random::Random;

/// Who breaks things.
pub struct Faults {
    cluster: Arc<Cluster>,
    machines: Arc<Machines>,
    random: Random,
    /// What mends them.
    mending: JoinSet<()>,
    /// How many there were.
    count: u64,
}

impl Faults {
    /// Nothing is broken yet.
    pub fn new(cluster: Arc<Cluster>, machines: Arc<Machines>, random: Random) -> Self {
        Self { cluster, machines, random, mending: JoinSet::new(), count: 0 }
    }

    /// Breaks things until it is time to stop, then mends everything. Returns how much was broken.
    pub async fn run(mut self) -> u64 {
        let until = self.cluster.trace.start() + self.cluster.shape.unrest;
        let kinds = self.cluster.shape.faults.clone();
        let pause = u64::try_from(self.cluster.shape.fault_pause.as_millis()).unwrap_or(1000);
        while !kinds.is_empty() && Instant::now() < until {
            let wait = self.random.milliseconds(20, pause);
            sleep(wait).await;
            if let Some(kind) = self.random.pick(&kinds).copied() {
                self.count += 1;
                self.inject(kind).await;
            }
        }
        sleep(until.saturating_duration_since(Instant::now())).await;
        self.heal();
        self.count
    }

    fn heal(&mut self) {
        self.cluster.trace.say("sim", "from here on nothing breaks");
        self.mending.abort_all();
        self.cluster.network.heal();
        self.cluster.chaos.calm();
        for machine in self.machines.all() {
            if let Machine::Coordinator(number) = machine
                && let Some(disk) = self.machines.disk(number)
            {
                disk.set_full(false);
            }
            self.machines.start(machine);
        }
    }

    async fn inject(&mut self, kind: Fault) {
        self.cluster.trace.say("sim", format_args!("{kind:?}"));
        match kind {
            Fault::CoordinatorCrash => {
                let machine = self.coordinator();
                self.crash(machine, 20, 1200).await;
            }
            Fault::CoordinatorBounce => {
                let machine = if self.random.chance(500) { self.leader() } else { self.coordinator() };
                self.crash(machine, 0, 60).await;
            }
            Fault::LeaderCrash => {
                let machine = self.leader();
                self.crash(machine, 20, 1200).await;
            }
            Fault::LonelyLeader => {
                let leader = self.leader();
                let others = self.cluster.coordinators.all().into_iter().map(Machine::Coordinator);
                let wires: Vec<_> = others.flat_map(|other| [(leader, other), (other, leader)]).collect();
                self.cut(&wires);
            }
            Fault::SlowManifests => {
                let machine = self.leader();
                let longest = u64::try_from(self.cluster.shape.checkpoint_timeout.as_millis()).unwrap_or(1000);
                let until = Instant::now() + self.random.milliseconds(200, 1500);
                let delay = self.random.milliseconds(50, longest * 3 / 2);
                self.cluster.trace.say(machine, format_args!("waits {delay:?} for the storage"));
                self.cluster.chaos.slow_uploads(machine, until, delay);
            }
            Fault::WorkerCrash => {
                let machine = self.worker();
                self.crash(machine, 50, 2000).await;
            }
            Fault::WorkerBounce => {
                let machine = self.worker();
                self.crash(machine, 0, 60).await;
            }
            Fault::WorkerRelease => {
                let machine = self.worker();
                self.machines.release(machine);
            }
            Fault::Partition => {
                let (a, b) = (self.any(), self.any());
                let directions = self.random.between(1, 2);
                let wires = [(a, b), (b, a)];
                self.cut(&wires[..usize::try_from(directions).unwrap_or(1)]);
            }
            Fault::Isolation => {
                let lonely = self.any();
                let others = self.machines.all();
                let way = self.random.below(3);
                let mut wires = Vec::new();
                if way != 0 {
                    wires.extend(others.iter().map(|other| (lonely, *other)));
                }
                if way != 1 {
                    wires.extend(others.iter().map(|other| (*other, lonely)));
                }
                self.cut(&wires);
            }
            Fault::Pause => {
                let machine = self.any();
                let until = Instant::now() + self.random.milliseconds(50, 1500);
                self.cluster.trace.say(machine, "stands still");
                self.cluster.network.pause(machine, until);
            }
            Fault::SlowNetwork => {
                let delay = self.random.between(20, 300);
                self.cluster.network.set_delay(Some(delay));
                self.later(50, 800, |cluster| cluster.network.set_delay(None));
            }
            Fault::StorageOutage => {
                let until = self.until(800);
                self.cluster.chaos.storage_out(until);
            }
            Fault::StorageFull => {
                let until = self.until(1200);
                self.cluster.chaos.storage_full(until);
            }
            Fault::CommitOutage => {
                let until = self.until(1200);
                self.cluster.chaos.commits_out(until);
            }
            Fault::LogFull => {
                let Machine::Coordinator(number) = self.coordinator() else { return };
                let Some(disk) = self.machines.disk(number) else { return };
                disk.set_full(true);
                self.later(50, 1000, move |_| disk.set_full(false));
            }
            Fault::ClockJump => {
                let machine = self.any();
                let hours = i64::try_from(self.random.between(0, 7_200_000)).unwrap_or(0) - 3_600_000;
                self.cluster.chaos.set_skew(machine, hours);
            }
            Fault::BrokenSessions => {
                let machine = self.worker();
                let pauses: Vec<_> =
                    (0..self.random.between(2, 8)).map(|_| self.random.milliseconds(10, 250)).collect();
                let cluster = self.cluster.clone();
                self.mending.spawn(async move {
                    for pause in pauses {
                        cluster.trace.say(machine, "loses its sessions");
                        cluster.network.break_sessions(machine);
                        sleep(pause).await;
                    }
                });
            }
            Fault::SlowUploads => {
                let machine = self.worker();
                let until = Instant::now() + self.random.milliseconds(200, 2000);
                let delay = self.random.milliseconds(50, 500);
                self.cluster.trace.say(machine, format_args!("takes {delay:?} to write"));
                self.cluster.chaos.slow_uploads(machine, until, delay);
            }
            Fault::FrozenEngine => {
                let machine = self.worker();
                let until = Instant::now() + self.random.milliseconds(100, 3000);
                self.cluster.trace.say(machine, "has an engine that stands still");
                self.cluster.chaos.freeze(machine, until);
            }
            Fault::OutOfControl => {
                let machine = self.worker();
                let coordinators = self.machines.all().into_iter().filter(|at| matches!(at, Machine::Coordinator(_)));
                let wires: Vec<_> = coordinators.flat_map(|at| [(machine, at), (at, machine)]).collect();
                self.cut(&wires);
            }
            Fault::Blackout => {
                let workers = self.random.chance(500);
                for machine in self.machines.all() {
                    if matches!(machine, Machine::Worker(_)) == workers {
                        self.crash(machine, 20, 600).await;
                    }
                }
            }
        }
    }

    async fn crash(&mut self, machine: Machine, least: u64, most: u64) {
        self.machines.kill(machine).await;
        let machines = self.machines.clone();
        self.later(least, most, move |_| machines.start(machine));
    }

    fn cut(&mut self, wires: &[(Machine, Machine)]) {
        let wires: Vec<_> = wires.iter().copied().filter(|(from, to)| from != to).collect();
        for (from, to) in &wires {
            self.cluster.trace.say(from, format_args!("does not reach {to}"));
            self.cluster.network.cut(*from, *to);
        }
        self.later(50, 1500, move |cluster| wires.iter().for_each(|(from, to)| cluster.network.mend(*from, *to)));
    }

    fn later(&mut self, least: u64, most: u64, mend: impl FnOnce(&Cluster) + Send + 'static) {
        let (cluster, wait) = (self.cluster.clone(), self.random.milliseconds(least, most));
        self.mending.spawn(async move {
            sleep(wait).await;
            mend(&cluster);
        });
    }

    fn until(&mut self, most: u64) -> Instant {
        Instant::now() + Duration::from_millis(self.random.between(20, most))
    }

    fn leader(&self) -> Machine {
        let leader = self.cluster.oracle.leader().map(|leader| Machine::Coordinator(leader.0));
        leader.unwrap_or(Machine::Coordinator(1))
    }

    fn coordinator(&mut self) -> Machine {
        let all = self.cluster.coordinators.all();
        self.random.pick(&all).copied().map_or(Machine::Coordinator(1), Machine::Coordinator)
    }

    fn worker(&mut self) -> Machine {
        Machine::Worker(self.random.between(1, self.cluster.shape.workers.len() as u64))
    }

    fn any(&mut self) -> Machine {
        let all = self.machines.all();
        self.random.pick(&all).copied().unwrap_or(Machine::Coordinator(1))
    }
}
