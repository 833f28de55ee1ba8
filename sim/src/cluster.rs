//! Everything that outlives the processes of a history, and that all of them reach.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use weir_worker::Clock;

use crate::broker::Broker;
use crate::chaos::Chaos;
use crate::coordinators::Coordinators;
use crate::expected;
use crate::lock::lock;
use crate::network::{Machine, Network};
use crate::objects::Objects;
use crate::oracle::Oracle;
use crate::shape::Shape;
use crate::trace::Trace;
use crate::world::World;
use weir_core::random::Random;

/// 2026-01-01T00:00:00Z: when every history begins.
const BEGIN_MS: i64 = 1_767_225_600_000;

/// Coordinators that may be added to a cluster at most, where some are replaced.
const NEWCOMERS: u64 = 4;

/// One history's surroundings.
#[derive(Debug)]
pub struct Cluster {
    /// What it is like.
    pub shape: Shape,
    /// Which coordinators there are.
    pub coordinators: Coordinators,
    /// What happens.
    pub trace: Trace,
    /// Who must not see it happen.
    pub oracle: Arc<Oracle>,
    /// Where results go.
    pub world: World,
    /// Where they come from that wait in their checkpoint.
    pub broker: Broker,
    /// What goes wrong.
    pub chaos: Chaos,
    /// How machines reach each other.
    pub network: Network,
    /// Where checkpoints are.
    pub objects: Objects,
    /// What was sent to the storage and arrives there, whatever becomes of its sender.
    afterlife: Mutex<BTreeMap<Machine, JoinSet<()>>>,
}

impl Cluster {
    /// The surroundings of a history.
    pub fn new(shape: Shape, random: &mut Random, print: bool) -> Self {
        let expected: BTreeMap<_, _> =
            shape.jobs.iter().flat_map(|(query, _)| expected::results(*query, &shape.rows)).collect();
        let newcomers = shape.replace_pause.map_or(0, |_| NEWCOMERS) + u64::from(shape.loses_logs);
        Self {
            coordinators: Coordinators::new(shape.coordinators, newcomers),
            trace: Trace::new(print),
            oracle: Arc::new(Oracle::new(expected, shape.rows.clone())),
            world: World::default(),
            broker: Broker::default(),
            chaos: Chaos::new(random.fork(), shape.failing),
            network: Network::new(random.fork(), shape.failing),
            objects: Objects::default(),
            afterlife: Mutex::default(),
            shape,
        }
    }

    /// Runs `task` to its end, whatever becomes of the machine that wants it.
    pub fn outlive(&self, machine: Machine, task: impl Future<Output = ()> + Send + 'static) {
        let mut all = lock(&self.afterlife);
        let tasks = all.entry(machine).or_default();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits for what a machine that is no more has sent.
    pub async fn outlived(&self, machine: Machine) {
        let tasks = lock(&self.afterlife).remove(&machine).unwrap_or_default();
        tasks.join_all().await;
    }

    /// What a machine's clock shows, in milliseconds since 1970.
    pub fn wall(&self, machine: Machine) -> i64 {
        let elapsed = i64::try_from(self.trace.elapsed().as_millis()).unwrap_or(i64::MAX);
        BEGIN_MS + elapsed + self.chaos.skew(machine)
    }
}

/// The clock of a machine.
#[derive(Debug)]
pub struct MachineClock(pub Arc<Cluster>, pub Machine);

impl Clock for MachineClock {
    fn now(&self) -> i64 {
        self.0.wall(self.1)
    }
}
