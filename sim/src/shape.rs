//! What a history is like, drawn from its seed.

use std::time::Duration;

use weir_worker::ExchangeLimits;

use crate::query::{DELAY_MS, Query};
use crate::rows::Rows;
use weir_core::random::Random;

/// The cluster, its jobs and its faults.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Coordinators.
    pub coordinators: u64,
    /// Slots of each worker.
    pub workers: Vec<u32>,
    /// Jobs, and the parallelism that each begins with.
    pub jobs: Vec<(Query, u32)>,
    /// Their input.
    pub rows: Rows,
    /// Rows of a batch at most.
    pub batch_rows: u32,
    /// Bytes that the state of a slot may take in memory.
    pub memory_budget: Option<u64>,
    /// Time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// When a checkpoint is given up.
    pub checkpoint_timeout: Duration,
    /// Checkpoints that are kept.
    pub retained: u32,
    /// Entries of the log between two snapshots.
    pub snapshot_after: u64,
    /// Kinds of faults that this history has, in some order.
    pub faults: Vec<Fault>,
    /// Pause between two faults, at most.
    pub fault_pause: Duration,
    /// Pause between two requests of a user, at most; `None`: nobody asks for anything but the jobs.
    pub user_pause: Option<Duration>,
    /// Pause between two replacements of coordinators, at most; `None`: they stay the same.
    pub replace_pause: Option<Duration>,
    /// Where the first phase ends, the logs of all coordinators are lost.
    pub loses_logs: bool,
    /// Pause between two flush markers that the subtasks of a part ask for, at most; `None`: they ask for none.
    pub marker_pause: Option<Duration>,
    /// Time between two markers of all jobs, whether anybody asks for them or not; `None`: only when somebody does.
    pub flush_interval: Option<Duration>,
    /// What may wait between subtasks.
    pub limits: ExchangeLimits,
    /// Coordinators have models of disks, and not the database on sectors.
    pub model_disks: bool,
    /// How long there are faults.
    pub unrest: Duration,
    /// Faults of a thousand operations: storage, commits, messages between coordinators.
    pub failing: u64,
    /// How jobs take the slots that there are, if they do.
    pub elastic: Option<Elastic>,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A coordinator loses its power.
    CoordinatorCrash,
    /// A coordinator loses its power, and is back before the others would elect another leader.
    CoordinatorBounce,
    /// The one that leads does.
    LeaderCrash,
    /// A worker is killed, and comes back after a while.
    WorkerCrash,
    /// A worker is killed, and is back before anybody could notice.
    WorkerBounce,
    /// A worker is told to go, and comes back.
    WorkerRelease,
    /// Two machines do not hear each other, or one not the other.
    Partition,
    /// A machine hears nobody, or nobody hears it, or both.
    Isolation,
    /// The coordinator that leads and the others do not hear each other. Workers and clients do.
    LonelyLeader,
    /// A process stands still for a while.
    Pause,
    /// Messages take long.
    SlowNetwork,
    /// The checkpoint storage does not answer.
    StorageOutage,
    /// The checkpoint storage is full.
    StorageFull,
    /// The disk of a coordinator is full.
    LogFull,
    /// Results cannot be committed.
    CommitOutage,
    /// A clock jumps.
    ClockJump,
    /// All coordinators, or all workers, lose their power.
    Blackout,
    /// A worker's sessions with coordinators break, one soon after the other.
    BrokenSessions,
    /// What a worker writes takes long to get to its disk and to the checkpoint storage.
    SlowUploads,
    /// A worker and the coordinators do not hear each other. All other workers do.
    OutOfControl,
    /// The checkpoint storage takes long to answer the coordinator that leads, at times longer than it waits.
    SlowManifests,
    /// Subtasks of a worker stand still, and its process does not.
    FrozenEngine,
}

impl Fault {
    const ALL: [Fault; 18] = [
        Fault::CoordinatorCrash,
        Fault::CoordinatorBounce,
        Fault::LonelyLeader,
        Fault::SlowManifests,
        Fault::LeaderCrash,
        Fault::WorkerCrash,
        Fault::WorkerBounce,
        Fault::WorkerRelease,
        Fault::Partition,
        Fault::Isolation,
        Fault::Pause,
        Fault::SlowNetwork,
        Fault::StorageOutage,
        Fault::StorageFull,
        Fault::LogFull,
        Fault::CommitOutage,
        Fault::ClockJump,
        Fault::Blackout,
    ];

    /// Faults that coordinators have among themselves: no job is restarted for them.
    const OF_COORDINATORS: [Fault; 5] =
        [Fault::CoordinatorCrash, Fault::CoordinatorBounce, Fault::LeaderCrash, Fault::LonelyLeader, Fault::LogFull];

    /// Faults that hold up no marker, and let no input look idle that is not.
    const WITH_NAPS: [Fault; 6] = [
        Fault::WorkerCrash,
        Fault::WorkerBounce,
        Fault::WorkerRelease,
        Fault::StorageOutage,
        Fault::StorageFull,
        Fault::CommitOutage,
    ];

    /// Faults that show certain defects only if they come together, and often.
    const TOGETHER: [&[Fault]; 3] = [
        // A report is sent again while another worker's is still missing.
        &[Fault::BrokenSessions, Fault::SlowUploads, Fault::SlowUploads],
        // Attempts that were replaced go on, and what they have to say is said later.
        &[Fault::OutOfControl, Fault::SlowUploads, Fault::WorkerBounce],
        &[Fault::OutOfControl, Fault::BrokenSessions, Fault::StorageFull, Fault::LeaderCrash],
    ];
}

impl Shape {
    /// The shape that follows from `random`.
    pub fn draw(random: &mut Random, kind: Kind) -> Self {
        let calm = kind.calm;
        let coordinators = *random.pick(&[1, 3, 3, 3, 3, 3, 3, 5]).unwrap_or(&3);
        let mut queries = if kind.updating { Query::UPDATING.to_vec() } else { Query::ALL.to_vec() };
        let mut jobs = Vec::new();
        for _ in 0..if random.chance(150) { 2 } else { 1 } {
            let index = usize::try_from(random.below(queries.len() as u64)).unwrap_or(0);
            jobs.push((queries.remove(index), u32::try_from(random.between(1, 4)).unwrap_or(1)));
        }
        // A job can be scaled up to four slots, and a worker can be missing.
        let wanted = 4 * u32::try_from(jobs.len()).unwrap_or(1);
        let count = random.between(2, 4);
        let each = wanted.div_ceil(u32::try_from(count - 1).unwrap_or(1));
        let workers = (0..count).map(|_| each + u32::try_from(random.below(2)).unwrap_or(0)).collect();
        let per_split = random.between(12, 40);
        let duration = random.between(1500, 4500);
        let mut rows = Rows {
            seed: random.word(),
            splits: random.between(1, 5),
            per_split,
            keys: random.between(1, 8),
            pace_ms: duration / per_split,
            step_ms: random.between(40, 160),
            disorder_ms: random.between(1, DELAY_MS),
            naps: false,
            aligned: false,
        };
        let mut kinds = Fault::ALL.to_vec();
        let mut faults = Vec::new();
        for _ in 0..if calm { 0 } else { random.between(1, 6) } {
            let index = usize::try_from(random.below(kinds.len() as u64)).unwrap_or(0);
            faults.push(kinds.remove(index));
        }
        // Of a sequence of their own, so that all other histories stay what they are.
        let mut rare = random.clone().fork();
        let mut late = rare.clone().fork();
        let mut markers = late.clone().fork();
        let mut memory = markers.clone().fork();
        let mut naps = memory.clone().fork();
        let mut aligned = naps.clone().fork();
        let mut elastic = aligned.clone().fork();
        if !calm && rare.below(4) == 0 {
            faults = rare.pick(&Fault::TOGETHER).map(|together| together.to_vec()).unwrap_or_default();
        }
        if !calm && late.chance(120) {
            faults.extend([Fault::FrozenEngine; 2]);
        }
        let mut shape = Self {
            coordinators,
            workers,
            jobs,
            batch_rows: u32::try_from(random.between(1, 6)).unwrap_or(1),
            memory_budget: if memory.chance(250) { memory.pick(&[0, 1000, 10_000]).copied() } else { None },
            checkpoint_interval: random.milliseconds(60, 500),
            checkpoint_timeout: random.milliseconds(600, 2500),
            retained: u32::try_from(random.between(1, 3)).unwrap_or(1),
            snapshot_after: random.between(8, 200),
            faults,
            fault_pause: random.milliseconds(150, 900),
            user_pause: (!calm && random.chance(500)).then(|| random.milliseconds(300, 1500)),
            replace_pause: (!calm && late.chance(150)).then(|| late.milliseconds(200, 1200)),
            loses_logs: false,
            marker_pause: markers.chance(600).then(|| markers.milliseconds(20, 400)),
            flush_interval: markers.chance(300).then(|| markers.milliseconds(15, 300)),
            model_disks: !late.chance(150),
            limits: if late.chance(200) { tiny(&mut late) } else { ExchangeLimits::default() },
            unrest: Duration::from_millis(duration) + random.milliseconds(0, 1500),
            failing: if calm || random.chance(400) { 0 } else { random.between(5, 60) },
            elastic: None,
            rows: rows.clone(),
        };
        let trouble = naps.below(1000);
        if kind.naps || trouble < 200 {
            rows.naps = true;
            rows.disorder_ms = rows.disorder_ms.min(LEAST_SLACK_MS);
            let others = shape.faults.iter().filter(|fault| Fault::WITH_NAPS.contains(fault)).copied();
            // Where nobody asks for such histories, nothing else happens in them.
            let (faults, user_pause) =
                if kind.naps { (others.collect(), shape.user_pause) } else { (Vec::new(), None) };
            shape = Self { faults, user_pause, replace_pause: None, failing: 0, rows, ..shape };
            shape.limits = ExchangeLimits::default();
            shape.unrest += Duration::from_secs(2);
        } else if !calm && trouble < 300 {
            // So that it is seen that they do no harm to a job.
            let among = |fault: &Fault| Fault::OF_COORDINATORS.contains(fault);
            shape = Self { user_pause: None, replace_pause: None, failing: 0, coordinators: 3, ..shape };
            shape.faults.retain(among);
            shape.faults.extend(naps.pick(&Fault::OF_COORDINATORS));
        } else if !calm && trouble < 400 {
            // In the middle of the input.
            let unrest = naps.milliseconds(600, duration);
            shape = Self { replace_pause: None, loses_logs: true, unrest, ..shape };
        }
        shape.rows.aligned = aligned.chance(150);
        if !shape.is_steady() && elastic.chance(250) {
            let (settle, max_slots) = (elastic.milliseconds(100, 700), elastic.between(2, 8));
            shape.elastic = Some(Elastic { settle, max_slots: u32::try_from(max_slots).unwrap_or(2) });
        }
        shape
    }

    /// Whether nothing happens for which a job would have to be restarted.
    pub fn is_steady(&self) -> bool {
        let harmless = self.faults.iter().all(|fault| Fault::OF_COORDINATORS.contains(fault));
        let unasked = self.user_pause.is_none() && self.replace_pause.is_none();
        harmless && unasked && self.failing == 0 && !self.loses_logs
    }
}

/// How jobs take the slots that there are.
#[derive(Debug, Clone, Copy)]
pub struct Elastic {
    /// For how long slots have to be there before a job is stopped for them.
    pub settle: Duration,
    /// The most that a job takes.
    pub max_slots: u32,
}

/// What kind of history is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind {
    /// Nothing breaks.
    pub calm: bool,
    /// Inputs sleep, wake up, come and end; they do in some histories in any case.
    pub naps: bool,
    /// Results of jobs change as rows come.
    pub updating: bool,
}

/// Rows with naps are older than the ones before them by less than this, in milliseconds. The rest of what watermarks are behind
/// is for the marker that a split waits for when it wakes up.
const LEAST_SLACK_MS: u64 = 50;

/// Limits under which nearly everything has to wait for room.
fn tiny(random: &mut Random) -> ExchangeLimits {
    let mut one_of = |among: &[usize]| random.pick(among).copied().unwrap_or(1);
    ExchangeLimits {
        credit_bytes: one_of(&[1, 64, 256, 1024]),
        piece_rows: one_of(&[1, 2, 8]),
        linger: Duration::from_millis(one_of(&[0, 1, 10, 50]) as u64),
        control_messages: one_of(&[1, 2, 16]),
        staged_run_bytes: one_of(&[1, 100, 1000]),
        staged_ahead_bytes: one_of(&[0, 100, 1000]) as u64,
    }
}
