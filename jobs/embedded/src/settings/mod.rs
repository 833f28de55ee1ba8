//! Everything about a job that can be set, and who wins when it is set twice.
//!
//! ```text
//!   built-in default  <  --config FILE.toml  <  SET in the script  <  -D key=value, --parallelism, --state-dir, …
//! ```
//!
//! [`registry`] declares each setting once: key, type, default, documentation. [`Layers`] collects what was given and
//! refuses what makes no sense on the spot, naming the place; [`Settings`] is the typed result.

mod file;
mod layers;
pub mod registry;
mod script;
mod value;

use std::path::PathBuf;
use std::time::Duration;

pub use layers::{Layers, Origin};
pub use script::apply_settings;
use value::Value;
use weir_core::plugin::Isolation;
use weir_core::{Error, Result};

/// The settings of one run, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `pipeline.name`, if one was given.
    pub name: Option<String>,
    /// `parallelism.default`.
    pub parallelism: usize,
    /// Whether somebody has said how many, or that it is to be `auto`.
    pub parallelism_is_given: bool,
    /// `parallelism.default` = `auto`, and `job.autoscaler.*`.
    pub autoscaler: Autoscaler,
    /// `execution.compute-threads`.
    pub compute_threads: usize,
    /// `execution.batch-rows`.
    pub batch_rows: usize,
    /// `execution.checkpointing.interval`; `None`: no checkpoints but at the end.
    pub checkpoint_interval: Option<Duration>,
    /// `execution.checkpointing.timeout`.
    pub checkpoint_timeout: Duration,
    /// `execution.checkpointing.tolerable-failed-checkpoints`.
    pub tolerable_failures: usize,
    /// `execution.checkpointing.num-retained`.
    pub retained_checkpoints: usize,
    /// `execution.checkpointing.dir`.
    pub state_dir: Option<PathBuf>,
    /// `state.memory-budget`, in bytes; `None`: no limit.
    pub memory_budget: Option<u64>,
    /// `table.exec.source.idle-timeout`; `None`: sources never count as idle.
    pub idle_timeout: Option<Duration>,
    /// `table.exec.state.ttl`; `None`: state is kept for ever.
    pub state_ttl: Option<Duration>,
    /// `table.exec.state.ttl-time`: whether that goes by event time, and not by the clock.
    pub state_ttl_in_event_time: bool,
    /// `table.optimizer.agg-phase-strategy`.
    pub aggregate_phases: AggregatePhases,
    /// `pipeline.late-rows.table`.
    pub late_rows_table: Option<String>,
    /// `plugin.isolation`, with `plugin.memory-limit`.
    pub isolation: Isolation,
    /// `plugin.memory-limit`, in bytes; `None`: no limit.
    pub plugin_memory_limit: Option<u64>,
    /// `restart-strategy.*`.
    pub restart: Restart,
    /// `client.coordinators`.
    pub coordinators: String,
    /// `client.output`; `None`: as fits where results go.
    pub output: Option<Output>,
    /// `client.quiet`.
    pub quiet: bool,
}

/// How the number of a job's slots in a cluster changes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// It takes the slots that there are.
    pub takes_what_there_is: bool,
    /// `job.autoscaler.enabled`: it takes those that its load needs.
    pub enabled: bool,
    /// `job.autoscaler.scaling.enabled`: it is done, and not only said.
    pub acts: bool,
    /// `job.autoscaler.min-parallelism`.
    pub least: usize,
    /// `job.autoscaler.max-parallelism`.
    pub most: usize,
    /// `job.autoscaler.stabilization.interval`.
    pub settle: Duration,
    /// `job.autoscaler.utilization.target`, in percent.
    pub target_percent: usize,
    /// `job.autoscaler.catch-up.duration`.
    pub catch_up: Duration,
}

/// What happens to a job in a cluster after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Failures in a row that it is started again after; `None`: any number.
    pub attempts: Option<usize>,
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub maximum: Duration,
    /// Peace after which counting starts anew.
    pub stable: Duration,
}

/// How rows of a `SELECT` are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Aligned columns in boxes.
    Table,
    /// A JSON object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// In how many steps aggregations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregatePhases {
    /// Two where that is possible.
    Auto,
    /// All behind the exchange.
    One,
    /// Before and behind the exchange.
    Two,
}

impl Settings {
    /// The typed settings of what was given; `cores` is how many the machine has.
    pub fn resolve(layers: &Layers, cores: usize) -> Self {
        let count = |key| layers.get(key).map(Value::count);
        let cores_or = |key| count(key).unwrap_or(cores);
        let present = |key| layers.get(key).expect("the registry has a default for it");
        let text = |key| layers.get(key).map(Value::text).filter(|text| !text.is_empty());
        let duration_or_off = |key| Some(present(key).duration()).filter(|duration| !duration.is_zero());
        let plugin_memory_limit = layers.get(registry::PLUGIN_MEMORY_LIMIT).map(Value::size);
        Self {
            name: text(registry::PIPELINE_NAME),
            parallelism: match layers.get(registry::PARALLELISM) {
                Some(Value::Auto) | None => cores,
                Some(count) => count.count(),
            },
            parallelism_is_given: layers.is_given(registry::PARALLELISM),
            autoscaler: Autoscaler {
                takes_what_there_is: layers.get(registry::PARALLELISM) == Some(Value::Auto),
                enabled: present(registry::AUTOSCALER).flag(),
                acts: present(registry::AUTOSCALER_ACTS).flag(),
                least: present(registry::MIN_PARALLELISM).count(),
                most: present(registry::MAX_PARALLELISM).count(),
                settle: present(registry::SETTLE).duration(),
                target_percent: present(registry::TARGET_UTILIZATION).count(),
                catch_up: present(registry::CATCH_UP).duration(),
            },
            compute_threads: cores_or(registry::COMPUTE_THREADS),
            batch_rows: present(registry::BATCH_ROWS).count(),
            checkpoint_interval: duration_or_off(registry::CHECKPOINT_INTERVAL),
            checkpoint_timeout: present(registry::CHECKPOINT_TIMEOUT).duration(),
            tolerable_failures: present(registry::TOLERABLE_FAILURES).count(),
            retained_checkpoints: present(registry::RETAINED_CHECKPOINTS).count(),
            state_dir: text(registry::STATE_DIR).map(PathBuf::from),
            memory_budget: layers.get(registry::MEMORY_BUDGET).map(Value::size),
            idle_timeout: duration_or_off(registry::IDLE_TIMEOUT),
            state_ttl: duration_or_off(registry::STATE_TTL),
            state_ttl_in_event_time: present(registry::STATE_TTL_TIME).text() == "event-time",
            aggregate_phases: match present(registry::AGGREGATE_PHASES).text().as_str() {
                "ONE_PHASE" => AggregatePhases::One,
                "TWO_PHASE" => AggregatePhases::Two,
                _ => AggregatePhases::Auto,
            },
            late_rows_table: text(registry::LATE_ROWS_TABLE),
            isolation: match present(registry::PLUGIN_ISOLATION).text().as_str() {
                "process" => Isolation::Process { memory_limit: plugin_memory_limit },
                _ => Isolation::None,
            },
            plugin_memory_limit,
            restart: Restart {
                attempts: match present(registry::RESTART).text().as_str() {
                    "none" => Some(0),
                    _ => count(registry::RESTART_ATTEMPTS),
                },
                initial: present(registry::RESTART_INITIAL).duration(),
                maximum: present(registry::RESTART_MAXIMUM).duration(),
                stable: present(registry::RESTART_STABLE).duration(),
            },
            coordinators: present(registry::COORDINATORS).text(),
            output: match present(registry::OUTPUT).text().as_str() {
                "table" => Some(Output::Table),
                "json" => Some(Output::Json),
                "csv" => Some(Output::Csv),
                _ => None,
            },
            quiet: present(registry::QUIET).flag(),
        }
    }

    /// Makes sure that they go together in a job that runs in this process.
    ///
    /// # Errors
    /// A user error if they do not.
    pub fn check(&self) -> Result<()> {
        if self.memory_budget.is_some() && self.state_dir.is_none() {
            return Err(Error::user("state.memory-budget limits memory, and there is no other place for state")
                .with_help("name one with --state-dir, or leave the setting out"));
        }
        Ok(())
    }

    /// How long state is kept that is not touched, in milliseconds.
    pub fn state_ttl_ms(&self) -> Option<u64> {
        self.state_ttl.map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
