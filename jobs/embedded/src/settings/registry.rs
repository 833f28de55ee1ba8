//! The settings that there are. `weir options` prints this list; `-D`, the TOML file and `SET` accept nothing else.
//! Keys are Flink's where Flink has the setting.

use super::value::Kind;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Older keys of Flink's for the same thing.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// What holds if it is not given.
    pub default: Default,
    /// The command line flag that is short for it.
    pub flag: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
}

/// What holds if a setting is not given.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// This value, spelled as a user would.
    Value(&'static str),
    /// What these words describe; found out when the job starts.
    Computed(&'static str),
}

impl Default {
    /// For people.
    pub fn describe(&self) -> &'static str {
        match self {
            Default::Value(text) | Default::Computed(text) => text,
        }
    }
}

/// Key of the parallelism.
pub const PARALLELISM: &str = "parallelism.default";
/// Key of the time within which a backlog shall be read.
pub const CATCH_UP: &str = "job.autoscaler.catch-up.duration";
/// Key of whether the load decides on the parallelism.
pub const AUTOSCALER: &str = "job.autoscaler.enabled";
/// Key of the greatest parallelism that is not chosen by a person.
pub const MAX_PARALLELISM: &str = "job.autoscaler.max-parallelism";
/// Key of the least.
pub const MIN_PARALLELISM: &str = "job.autoscaler.min-parallelism";
/// Key of whether that is done, and not only said.
pub const AUTOSCALER_ACTS: &str = "job.autoscaler.scaling.enabled";
/// Key of how long a reason to change the parallelism has to hold.
pub const SETTLE: &str = "job.autoscaler.stabilization.interval";
/// Key of how busy a job shall be.
pub const TARGET_UTILIZATION: &str = "job.autoscaler.utilization.target";
/// Key of the number of compute threads.
pub const COMPUTE_THREADS: &str = "execution.compute-threads";
/// Key of the batch size.
pub const BATCH_ROWS: &str = "execution.batch-rows";
/// Key of the time between checkpoints.
pub const CHECKPOINT_INTERVAL: &str = "execution.checkpointing.interval";
/// Key of a checkpoint's deadline.
pub const CHECKPOINT_TIMEOUT: &str = "execution.checkpointing.timeout";
/// Key of the number of checkpoints kept.
pub const RETAINED_CHECKPOINTS: &str = "execution.checkpointing.num-retained";
/// Key of the number of failures in a row.
pub const TOLERABLE_FAILURES: &str = "execution.checkpointing.tolerable-failed-checkpoints";
/// Key of the state directory.
pub const STATE_DIR: &str = "execution.checkpointing.dir";
/// Key of the memory that state may take.
pub const MEMORY_BUDGET: &str = "state.memory-budget";
/// Key of the job's name.
pub const PIPELINE_NAME: &str = "pipeline.name";
/// Key of the table for late rows.
pub const LATE_ROWS_TABLE: &str = "pipeline.late-rows.table";
/// Key of idle detection.
pub const IDLE_TIMEOUT: &str = "table.exec.source.idle-timeout";
/// Key of how long state is kept.
pub const STATE_TTL: &str = "table.exec.state.ttl";
/// Key of the time that this goes by.
pub const STATE_TTL_TIME: &str = "table.exec.state.ttl-time";
/// Key of the aggregation strategy.
pub const AGGREGATE_PHASES: &str = "table.optimizer.agg-phase-strategy";
/// Key of where the code of plugins runs.
pub const PLUGIN_ISOLATION: &str = "plugin.isolation";
/// Key of the memory that it may take there.
pub const PLUGIN_MEMORY_LIMIT: &str = "plugin.memory-limit";
/// Key of what happens after a failure.
pub const RESTART: &str = "restart-strategy.type";
/// Key of the number of failures in a row.
pub const RESTART_ATTEMPTS: &str = "restart-strategy.exponential-delay.attempts-before-reset-backoff";
/// Key of the first pause.
pub const RESTART_INITIAL: &str = "restart-strategy.exponential-delay.initial-backoff";
/// Key of the longest pause.
pub const RESTART_MAXIMUM: &str = "restart-strategy.exponential-delay.max-backoff";
/// Key of the peace after which pauses are short again.
pub const RESTART_STABLE: &str = "restart-strategy.exponential-delay.reset-backoff-threshold";
/// Key of where the cluster is.
pub const COORDINATORS: &str = "client.coordinators";
/// Key of the result format.
pub const OUTPUT: &str = "client.output";
/// Key of silence.
pub const QUIET: &str = "client.quiet";

/// All settings, sorted by key.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: COORDINATORS,
        aliases: &[],
        kind: Kind::Text,
        default: Default::Value("127.0.0.1:7420"),
        flag: Some("--coordinators"),
        doc: "Coordinators of the cluster that `weir submit` sends the job to, as host:port, separated by commas. Any of \
              them will do; several, in case one is down. The environment variable WEIR_COORDINATORS goes before it, \
              and is what the other commands go by.",
    },
    Setting {
        key: OUTPUT,
        aliases: &[],
        kind: Kind::Choice(&["auto", "table", "json", "csv"]),
        default: Default::Value("auto"),
        flag: Some("--output"),
        doc: "How the rows of a SELECT without INSERT are printed on stdout: an aligned table, a JSON object a line, \
              or CSV with a header. 'auto' is 'table' on a terminal and 'json' elsewhere.",
    },
    Setting {
        key: QUIET,
        aliases: &[],
        kind: Kind::Flag,
        default: Default::Value("false"),
        flag: Some("--quiet"),
        doc: "Print no status line and no summary on stderr; warnings and errors only.",
    },
    Setting {
        key: BATCH_ROWS,
        aliases: &[],
        kind: Kind::Count { minimum: 1, maximum: 1_000_000 },
        default: Default::Value("8192"),
        flag: None,
        doc: "How many rows sources put into one batch. Larger batches are faster, smaller ones take less memory.",
    },
    Setting {
        key: STATE_DIR,
        aliases: &["state.checkpoints.dir"],
        kind: Kind::Text,
        default: Default::Computed("none: state is lost when the job ends"),
        flag: Some("--state-dir"),
        doc: "Directory for state and checkpoints, made if it is not there. A later run of the same query with the \
              same directory goes on where the last one ended or died, at whatever parallelism.",
    },
    Setting {
        key: CHECKPOINT_INTERVAL,
        aliases: &[],
        kind: Kind::Duration { zero: "no checkpoints but the last one" },
        default: Default::Value("10 s"),
        flag: None,
        doc: "Time between the starts of two checkpoints. File sinks show their rows when the checkpoint that holds \
              them completes, so this is also how long results wait. 0 turns checkpoints off, but for the one with \
              which a job stops.",
    },
    Setting {
        key: RETAINED_CHECKPOINTS,
        aliases: &["state.checkpoints.num-retained"],
        kind: Kind::Count { minimum: 1, maximum: 1000 },
        default: Default::Value("2"),
        flag: None,
        doc: "How many completed checkpoints are kept; older ones are deleted. Savepoints are not counted.",
    },
    Setting {
        key: CHECKPOINT_TIMEOUT,
        aliases: &[],
        kind: Kind::Duration { zero: "" },
        default: Default::Value("10 min"),
        flag: None,
        doc: "A checkpoint that takes longer is given up, and the next one starts.",
    },
    Setting {
        key: TOLERABLE_FAILURES,
        aliases: &[],
        kind: Kind::Count { minimum: 0, maximum: 1_000_000 },
        default: Default::Value("3"),
        flag: None,
        doc: "How many checkpoints may fail in a row; one more, and the job fails.",
    },
    Setting {
        key: COMPUTE_THREADS,
        aliases: &[],
        kind: Kind::Count { minimum: 1, maximum: 1024 },
        default: Default::Computed("the number of cores"),
        flag: None,
        doc: "Threads that run operators.",
    },
    Setting {
        key: CATCH_UP,
        aliases: &[],
        kind: Kind::Duration { zero: "" },
        default: Default::Value("5 min"),
        flag: None,
        doc: "Within which time a job whose slots the load decides on shall have read what waits in front of its sources, also what \
              comes while it is restarted for another number of slots.",
    },
    Setting {
        key: AUTOSCALER,
        aliases: &[],
        kind: Kind::Flag,
        default: Default::Value("false"),
        flag: None,
        doc: "Whether the load decides how many slots a job in a cluster has: as many as keep its busiest part at \
              'job.autoscaler.utilization.target'. 'parallelism.default' is what it begins with then. `weir jobs autoscale` shows what \
              was decided and why, and changes it while the job runs.",
    },
    Setting {
        key: MAX_PARALLELISM,
        aliases: &["job.autoscaler.vertex.max-parallelism"],
        kind: Kind::Count { minimum: 1, maximum: 1024 },
        default: Default::Value("1024"),
        flag: Some("--max-parallelism"),
        doc: "The most slots that a job in a cluster takes where no person decides on them: with a parallelism of 'auto', or by load.",
    },
    Setting {
        key: MIN_PARALLELISM,
        aliases: &["job.autoscaler.vertex.min-parallelism"],
        kind: Kind::Count { minimum: 1, maximum: 1024 },
        default: Default::Value("1"),
        flag: Some("--min-parallelism"),
        doc: "The fewest slots that such a job runs with; until they are there it waits.",
    },
    Setting {
        key: AUTOSCALER_ACTS,
        aliases: &[],
        kind: Kind::Flag,
        default: Default::Value("true"),
        flag: None,
        doc: "Whether what the load decides is done. If not, `weir jobs autoscale` shows what would have been done: a dry run.",
    },
    Setting {
        key: SETTLE,
        aliases: &[],
        kind: Kind::Duration { zero: "" },
        default: Default::Value("1 min"),
        flag: None,
        doc: "For how long there have to be more slots, or has to be more or less to do, before a job is stopped for another number of \
              slots; behind such a change it is left alone for as long. Where slots are lost it goes on with fewer at once.",
    },
    Setting {
        key: TARGET_UTILIZATION,
        aliases: &["job.autoscaler.target.utilization"],
        kind: Kind::Share,
        default: Default::Value("0.7"),
        flag: None,
        doc: "How much of its time the busiest part of a job shall be busy whose slots the load decides on. The rest is for what comes \
              suddenly. It is given more slots when it is busier than this by half of the rest, and fewer when it would not be busier \
              than this with them.",
    },
    Setting {
        key: PARALLELISM,
        aliases: &[],
        kind: Kind::CountOrAuto { minimum: 1, maximum: 1024 },
        default: Default::Computed("the number of cores"),
        flag: Some("--parallelism"),
        doc: "How many subtasks each operator runs as. May differ from run to run of the same query. In a cluster it is \
              the number of slots that the job takes; there the default is 1. With 'auto' the job takes its share of the slots that \
              there are in the cluster, and follows them as workers come and go; in one process it is the number of cores.",
    },
    Setting {
        key: LATE_ROWS_TABLE,
        aliases: &[],
        kind: Kind::Text,
        default: Default::Computed("none: late rows are counted only"),
        flag: None,
        doc: "Table that gets the rows that came too late for their window. It has the columns operator STRING, \
              event_time TIMESTAMP(3), watermark TIMESTAMP(3), row STRING (the row as JSON).",
    },
    Setting {
        key: PIPELINE_NAME,
        aliases: &[],
        kind: Kind::Text,
        default: Default::Computed("the name of the script's file"),
        flag: None,
        doc: "Name of the job in messages.",
    },
    Setting {
        key: PLUGIN_ISOLATION,
        aliases: &[],
        kind: Kind::Choice(&["none", "process"]),
        default: Default::Value("none"),
        flag: Some("--isolation"),
        doc: "Where the code of plugins runs: in the process that runs the job, or, with 'process', in child processes of it, one for each operator of a \
              subtask, for the functions that a subtask calls, for each thread that reads a source, and for a commit of a sink. What ends such a process \
              (an abort, a segmentation fault, no memory) fails the attempt of this job alone, with the reason, and a cluster starts the job again from its \
              last checkpoint; a commit is tried again. Rows are copied into the child and back.",
    },
    Setting {
        key: PLUGIN_MEMORY_LIMIT,
        aliases: &[],
        kind: Kind::Size,
        default: Default::Computed("as much as the system gives"),
        flag: None,
        doc: "How much memory a plugin may allocate in a process of its own ('plugin.isolation' = 'process'). One that wants more is ended: \
              what allocates fails there.",
    },
    Setting {
        key: RESTART_ATTEMPTS,
        aliases: &[],
        kind: Kind::Count { minimum: 1, maximum: 1_000_000 },
        default: Default::Computed("no limit"),
        flag: None,
        doc: "How many times in a row a job in a cluster is started again after a failure; one more, and it is failed. \
              Losing a worker is not counted.",
    },
    Setting {
        key: RESTART_INITIAL,
        aliases: &[],
        kind: Kind::Duration { zero: "no pause" },
        default: Default::Value("1 s"),
        flag: None,
        doc: "Pause before a job in a cluster is started again after its first failure. Each further one in a row doubles \
              it.",
    },
    Setting {
        key: RESTART_MAXIMUM,
        aliases: &[],
        kind: Kind::Duration { zero: "no pause" },
        default: Default::Value("1 min"),
        flag: None,
        doc: "The longest pause before a job in a cluster is started again.",
    },
    Setting {
        key: RESTART_STABLE,
        aliases: &[],
        kind: Kind::Duration { zero: "" },
        default: Default::Value("10 min"),
        flag: None,
        doc: "A job in a cluster that ran for so long without a failure starts counting anew.",
    },
    Setting {
        key: RESTART,
        aliases: &["restart-strategy"],
        kind: Kind::Choice(&["exponential-delay", "none"]),
        default: Default::Value("exponential-delay"),
        flag: None,
        doc: "What happens to a job in a cluster after a failure: it is started again from its last checkpoint after a \
              pause that doubles from failure to failure, or it is failed at once. `weir run` never starts a job again.",
    },
    Setting {
        key: MEMORY_BUDGET,
        aliases: &["state.backend.rocksdb.memory.fixed-per-slot"],
        kind: Kind::Size,
        default: Default::Computed("no limit: all state is in memory"),
        flag: None,
        doc: "How much memory the state of one slot may take; windows and joins of the slot share it evenly. Keys that no row \
              came for in the longest time leave memory once a checkpoint holds them, and are read from there when one does; \
              what has changed since the last checkpoint stays. A job starts with nothing in memory then, which makes restarts \
              with much state quick. Needs a place for checkpoints: a state directory, or a cluster.",
    },
    Setting {
        key: IDLE_TIMEOUT,
        aliases: &[],
        kind: Kind::Duration { zero: "never idle" },
        default: Default::Value("60 s"),
        flag: None,
        doc: "A part of a source (a file, a partition) without a row for so long counts as idle and holds back no \
              watermark. 0 turns this off. A table's own 'scan.watermark.idle-timeout' goes first.",
    },
    Setting {
        key: STATE_TTL,
        aliases: &[],
        kind: Kind::Duration { zero: "kept for ever" },
        default: Default::Value("0 s"),
        flag: None,
        doc: "How long the state of regular joins and of aggregations without a window is kept that no row touches, at least. \
              Then it is forgotten: later rows begin anew, and nothing is said of it. 0 keeps it for ever. The hint \
              STATE_TTL of a query goes first.",
    },
    Setting {
        key: STATE_TTL_TIME,
        aliases: &[],
        kind: Kind::Choice(&["processing-time", "event-time"]),
        default: Default::Value("processing-time"),
        flag: None,
        doc: "Whether 'table.exec.state.ttl' and STATE_TTL count by the clock or by watermarks.",
    },
    Setting {
        key: AGGREGATE_PHASES,
        aliases: &[],
        kind: Kind::Choice(&["AUTO", "ONE_PHASE", "TWO_PHASE"]),
        default: Default::Value("AUTO"),
        flag: None,
        doc: "Whether rows are aggregated before they are sent to the subtask that owns their key. TWO_PHASE sends \
              less; ONE_PHASE is better where nearly every row has a key of its own.",
    },
];

/// The setting of that key or alias.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key || setting.aliases.contains(&key))
}

/// Every key that is accepted, aliases last.
pub fn keys() -> impl Iterator<Item = &'static str> {
    let aliases = SETTINGS.iter().flat_map(|setting| setting.aliases.iter().copied());
    SETTINGS.iter().map(|setting| setting.key).chain(aliases)
}
