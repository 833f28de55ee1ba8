//! What the cluster tells, for people. Pure functions of it and of the time.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use serde::Serialize;
use weir_coordinator::doctor::Finding;
use weir_core::plugin::{Artifact, Isolation};
use weir_core::{Attempt, EventTime, Result};
use weir_proto::client::{
    CheckpointInfo, ClusterInfo, CoordinatorInfo, JobAction, JobDetail, JobSettingsInfo, JobSummary, NamespaceInfo,
    ScalingBy, VertexInfo, WorkerInfo, status,
};
use weir_proto::control::{Figures, Times};
use weir_sql::shared::Declaration;

use super::autoscale::decided_by;
use super::goal::standing;
use crate::figures::{bytes, duration, full_count, short_count};
use crate::result;

/// The first attempt of a job.
pub const FIRST: Attempt = Attempt(1);

/// Columns and rows of the terminal, if it is one.
pub(super) type Terminal = Option<(usize, usize)>;

/// A column of a table.
pub(super) enum Column {
    Text(&'static str, Vec<String>),
    Number(&'static str, Vec<u64>),
}

/// `list`, a column at a time.
pub(super) fn text<T>(name: &'static str, list: &[T], cell: impl Fn(&T) -> String) -> Column {
    Column::Text(name, list.iter().map(cell).collect())
}

pub(super) fn number<T>(name: &'static str, list: &[T], cell: impl Fn(&T) -> u64) -> Column {
    Column::Number(name, list.iter().map(cell).collect())
}

pub(super) fn table(columns: Vec<Column>, terminal: Terminal) -> Result<String> {
    let columns: Vec<(Field, ArrayRef)> = columns
        .into_iter()
        .map(|column| match column {
            Column::Text(name, cells) => {
                (Field::new(name, DataType::Utf8, false), Arc::new(StringArray::from(cells)) as ArrayRef)
            }
            Column::Number(name, cells) => {
                (Field::new(name, DataType::UInt64, false), Arc::new(UInt64Array::from(cells)) as ArrayRef)
            }
        })
        .collect();
    let (fields, cells): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    result::table(&RecordBatch::try_new(Arc::new(Schema::new(fields)), cells)?, terminal)
}

/// `weir jobs list`.
///
/// # Errors
/// A defect.
pub fn jobs(jobs: &[JobSummary], now: i64, terminal: Terminal) -> Result<String> {
    // A job that does not run has no figures, which is not the same as none.
    let rows = |job: &JobSummary, count: fn(&Figures) -> u64| {
        job.figures.map_or_else(String::new, |figures| short_count(count(&figures) as f64))
    };
    let columns = vec![
        number("job", jobs, |job| job.job.0),
        text("name", jobs, JobSummary::full_name),
        text("status", jobs, |job| job.status.clone()),
        text("since", jobs, |job| duration(since(now, job.changed_at))),
        number("slots", jobs, |job| u64::from(job.slots.unwrap_or(job.parallelism))),
        number("restarts", jobs, |job| job.restarts),
        text("rows in", jobs, |job| rows(job, |figures| figures.rows_in)),
        text("rows out", jobs, |job| rows(job, |figures| figures.rows_out)),
        text("late", jobs, |job| rows(job, |figures| figures.late_rows)),
        text("checkpoint", jobs, |job| match &job.last_checkpoint {
            Some(checkpoint) => format!("{} ({} ago)", checkpoint.epoch, duration(since(now, checkpoint.completed_at))),
            None => "none".into(),
        }),
        text("remark", jobs, remark),
    ];
    table(columns, terminal)
}

/// Why a job is not as it should be.
fn remark(job: &JobSummary) -> String {
    let failed = [status::FAILED, status::RESTARTING].contains(&job.status.as_str());
    let failure = job.last_failure.as_ref().filter(|_| failed);
    let failure = failure.map(|failure| failure.report.lines().next().unwrap_or_default().to_owned());
    job.waiting_for.clone().or(failure).unwrap_or_default()
}

/// The same job a while ago, and how long: what has changed since says how fast it is.
type Before<'a> = Option<(&'a JobDetail, Duration)>;

/// `weir jobs describe`.
///
/// # Errors
/// A defect.
pub fn job(job: &JobDetail, before: Before<'_>, now: i64, terminal: Terminal) -> Result<String> {
    let summary = &job.summary;
    let mut facts = Facts::default();
    facts.add("job", summary.job);
    facts.add("name", summary.full_name());
    facts.add("status", format!("{} · for {}", standing(job), duration(since(now, summary.changed_at))));
    for artifact in job.graph.iter().flat_map(|graph| graph.artifacts()) {
        let Artifact { name, version, hash, .. } = artifact;
        facts.add("plugin", format!("{name} {version}, SHA-256 {hash}"));
    }
    if let Some(Isolation::Process { memory_limit }) = job.graph.as_ref().map(|graph| graph.isolation()) {
        let at_most = memory_limit.map_or_else(String::new, |limit| format!(", with {} each", bytes(limit)));
        facts.add("isolation", format!("plugins run in processes of their own{at_most}"));
    }
    let by = job.submitted_by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
    facts.add("submitted", format!("{} ago{by}", duration(since(now, summary.submitted_at))));
    if let Some(JobAction { what, by, at }) = job.last_action.as_ref().filter(|action| action.what != "submit") {
        facts.add("last action", format!("{what} by {by}, {} ago", duration(since(now, *at))));
    }
    match summary.slots {
        Some(slots) if slots != summary.parallelism => {
            facts.add("slots", format!("{slots}, and {} once they are free", summary.parallelism));
        }
        _ => facts.add("slots", summary.parallelism),
    }
    if job.scaling.by != ScalingBy::Hand {
        facts.add("decided by", decided_by(&job.scaling));
    }
    facts.add("attempt", summary.attempt);
    if let Some(pause) = job.last_pause_ms {
        facts.add("last pause", format!("{} without processing", duration(Duration::from_millis(pause))));
    }
    if let Some(figures) = summary.figures {
        // Workers count anew in each attempt, and what they had counted before may be behind the last checkpoint.
        let since =
            if summary.attempt > FIRST { format!(", in attempt {} alone", summary.attempt) } else { String::new() };
        facts.add("rows", format!("{} in, {} out{since}", full_count(figures.rows_in), full_count(figures.rows_out)));
        facts.add(
            "left out",
            format!("{} late, {} rejected", full_count(figures.late_rows), full_count(figures.rejected_rows)),
        );
        facts.add("state", bytes(figures.state_bytes));
        match figures.watermark {
            None | Some(EventTime::MIN) => {}
            Some(EventTime::MAX) => facts.add("watermark", "at the end of the input"),
            Some(watermark) => facts.add("watermark", watermark),
        }
    }
    if let Some(placement) = &job.placement {
        for (position, worker) in placement.workers.iter().enumerate() {
            let slots: Vec<String> = placement.slots_of(position).map(|slot| slot.to_string()).collect();
            facts.add("worker", format!("{} at {}: slots {}", worker.worker, worker.address, slots.join(", ")));
        }
    }
    if let Some(failure) = &summary.last_failure {
        let ago = duration(since(now, failure.at));
        facts.add("last failure", format!("attempt {}, {ago} ago: {}", failure.attempt, failure.report));
    }
    facts.add("checkpoints", cadence(&job.settings));
    facts.add("after a failure", patience(&job.settings));
    let mut text = facts.text();
    if !job.checkpoints.is_empty() {
        text.push_str(&checkpoints(&job.checkpoints, now, terminal)?);
    }
    text.push_str(&vertices(job, before, terminal)?);
    Ok(text)
}

/// The dataflow, a line per node.
fn vertices(job: &JobDetail, before: Before<'_>, terminal: Terminal) -> Result<String> {
    let vertices = &job.vertices;
    // Of another attempt nothing can be told apart.
    let before = before.filter(|(before, _)| before.summary.attempt == job.summary.attempt);
    let earlier = |vertex: &VertexInfo| {
        let (before, elapsed) = before?;
        let known = before.vertices.iter().find(|known| known.uid == vertex.uid)?;
        Some((known.figures?, vertex.figures?, elapsed))
    };
    let rate = |vertex: &VertexInfo| {
        let (before, after, elapsed) = earlier(vertex)?;
        let rows = after.rows_in.saturating_sub(before.rows_in) as f64;
        Some(short_count(rows / elapsed.as_secs_f64()))
    };
    let share = |vertex: &VertexInfo, of: fn(&Times) -> u64| {
        let (before, after, _) = earlier(vertex)?;
        let (before, after) = (before.activity?.times?, after.activity?.times?);
        let spent = |of: fn(&Times) -> u64| of(&after).saturating_sub(of(&before)) as f64;
        let all = spent(|times| times.busy_ms) + spent(|times| times.idle_ms) + spent(|times| times.backpressured_ms);
        (all > 0.0).then(|| format!("{:.0} %", spent(of) / all * 100.0))
    };
    let of = |vertex: &VertexInfo| vertex.figures.unwrap_or_default();
    let columns = vec![
        text("vertex", vertices, |vertex| vertex.name.clone()),
        number("rows in", vertices, |vertex| of(vertex).rows_in),
        number("rows out", vertices, |vertex| of(vertex).rows_out),
        text("rows/s", vertices, |vertex| rate(vertex).unwrap_or_default()),
        text("busy", vertices, |vertex| share(vertex, |times| times.busy_ms).unwrap_or_default()),
        text("idle", vertices, |vertex| share(vertex, |times| times.idle_ms).unwrap_or_default()),
        text("backpressured", vertices, |vertex| share(vertex, |times| times.backpressured_ms).unwrap_or_default()),
        number("late", vertices, |vertex| of(vertex).late_rows),
        number("rejected", vertices, |vertex| of(vertex).rejected_rows),
        text("state", vertices, |vertex| bytes(of(vertex).state_bytes)),
        text("watermark", vertices, |vertex| match of(vertex).watermark {
            None | Some(EventTime::MIN) => String::new(),
            Some(EventTime::MAX) => "at the end".into(),
            Some(watermark) => watermark.to_string(),
        }),
        text("uid", vertices, |vertex| vertex.uid.to_string()),
    ];
    table(columns, terminal)
}

/// How far in event time a part of a job is.
#[derive(Debug, Serialize)]
pub struct Watermark<'a> {
    vertex: &'a str,
    uid: String,
    /// Milliseconds since 1970 in UTC; `None` where it has none, or is at the end of its input.
    watermark: Option<i64>,
    is_at_the_end: bool,
}

/// The watermarks of a job's parts, each behind those that it reads.
pub fn watermarks_of(job: &JobDetail) -> Vec<Watermark<'_>> {
    let of = |vertex: &'_ VertexInfo| vertex.figures.and_then(|figures| figures.watermark);
    let shown = job.vertices.iter().map(|vertex| Watermark {
        vertex: &vertex.name,
        uid: vertex.uid.to_string(),
        watermark: of(vertex).filter(|time| ![EventTime::MIN, EventTime::MAX].contains(time)).map(|time| time.0),
        is_at_the_end: of(vertex) == Some(EventTime::MAX),
    });
    shown.collect()
}

/// `weir jobs watermarks`.
///
/// # Errors
/// A defect.
pub fn watermarks(job: &JobDetail, now: i64, terminal: Terminal) -> Result<String> {
    let vertices = watermarks_of(job);
    let columns = vec![
        text("vertex", &vertices, |vertex| vertex.vertex.to_owned()),
        text("watermark", &vertices, |vertex| match vertex.watermark {
            Some(time) => EventTime(time).to_string(),
            None if vertex.is_at_the_end => "at the end".to_owned(),
            None => "none yet".to_owned(),
        }),
        text("behind the clock", &vertices, |vertex| match vertex.watermark {
            Some(time) if time <= now => duration(since(now, time)),
            _ => String::new(),
        }),
        text("uid", &vertices, |vertex| vertex.uid.clone()),
    ];
    table(columns, terminal)
}

fn cadence(settings: &JobSettingsInfo) -> String {
    let interval = match settings.checkpoint_interval_ms {
        0 => "only when it stops".into(),
        interval => format!("every {}", duration(Duration::from_millis(interval))),
    };
    let timeout = duration(Duration::from_millis(settings.checkpoint_timeout_ms));
    format!("{interval}; given up after {timeout}; the last {} are kept", settings.retained_checkpoints)
}

fn patience(settings: &JobSettingsInfo) -> String {
    let pause = |millis| duration(Duration::from_millis(millis));
    let pauses = format!(
        "pauses from {} to {}",
        pause(settings.restart_initial_delay_ms),
        pause(settings.restart_maximum_delay_ms)
    );
    match settings.restart_attempts {
        Some(0) => "it is failed".into(),
        Some(limit) => format!("restarted up to {limit} times in a row; {pauses}"),
        None => format!("restarted; {pauses}"),
    }
}

/// `weir checkpoints list`.
///
/// # Errors
/// A defect.
pub fn checkpoints(checkpoints: &[CheckpointInfo], now: i64, terminal: Terminal) -> Result<String> {
    let columns = vec![
        number("epoch", checkpoints, |checkpoint| checkpoint.epoch.0),
        text("kind", checkpoints, |checkpoint| {
            let kind = if checkpoint.savepoint { "savepoint" } else { "checkpoint" };
            if checkpoint.finished { format!("{kind}, last") } else { kind.into() }
        }),
        text("completed", checkpoints, |checkpoint| format!("{} ago", duration(since(now, checkpoint.completed_at)))),
        text("took", checkpoints, |checkpoint| duration(Duration::from_millis(checkpoint.duration_ms))),
        text("state", checkpoints, |checkpoint| bytes(checkpoint.state_bytes)),
        text("written", checkpoints, |checkpoint| bytes(checkpoint.written_bytes)),
        number("attempt", checkpoints, |checkpoint| checkpoint.attempt.0),
        number("slots", checkpoints, |checkpoint| u64::from(checkpoint.parallelism)),
        text("results", checkpoints, |checkpoint| {
            if checkpoint.committed { "visible" } else { "being committed" }.into()
        }),
        text("manifest", checkpoints, |checkpoint| checkpoint.manifest.clone()),
    ];
    table(columns, terminal)
}

/// `weir workers list`.
///
/// # Errors
/// A defect.
pub fn workers(workers: &[WorkerInfo], terminal: Terminal) -> Result<String> {
    let columns = vec![
        text("worker", workers, |worker| worker.worker.to_string()),
        text("address", workers, |worker| worker.address.clone()),
        text("status", workers, |worker| match (worker.connected, worker.draining, &worker.lost_because) {
            (.., Some(reason)) => format!("lost: {reason}"),
            (true, false, None) => "connected".into(),
            (true, true, None) => "draining".into(),
            (false, _, None) => "not connected".into(),
        }),
        number("slots", workers, |worker| u64::from(worker.slots)),
        number("used", workers, |worker| u64::from(worker.used)),
        text("heard", workers, |worker| match worker.last_heard_ms {
            Some(millis) => format!("{} ago", duration(Duration::from_millis(millis))),
            None if worker.lost_because.is_some() => String::new(),
            // It is registered, and whoever leads now has heard nothing of it yet.
            None => "not yet".into(),
        }),
        text("version", workers, |worker| worker.version.clone()),
        text("jobs", workers, |worker| {
            let jobs: Vec<String> = worker.jobs.iter().map(|job| format!("{} ({})", job.name, job.slots)).collect();
            jobs.join(", ")
        }),
    ];
    table(columns, terminal)
}

/// `weir catalog list`.
///
/// # Errors
/// A defect.
pub fn catalog(declared: &[Declaration], terminal: Terminal) -> Result<String> {
    let columns = vec![
        text("name", declared, |declaration| declaration.name.clone()),
        text("kind", declared, |declaration| declaration.kind.name().to_owned()),
    ];
    table(columns, terminal)
}

/// `weir namespaces list`.
///
/// # Errors
/// A defect.
pub fn namespaces(namespaces: &[NamespaceInfo], terminal: Terminal) -> Result<String> {
    let of = |used: String, limit: Option<String>| match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    };
    let count = |limit: Option<u32>| limit.map(|limit| limit.to_string());
    let columns = vec![
        text("namespace", namespaces, |namespace| namespace.namespace.clone()),
        text("jobs", namespaces, |namespace| of(namespace.jobs.to_string(), count(namespace.quota.jobs))),
        text("slots", namespaces, |namespace| of(namespace.slots_used.to_string(), count(namespace.quota.slots))),
        text("state", namespaces, |namespace| of(bytes(namespace.state_bytes), namespace.quota.state_bytes.map(bytes))),
    ];
    table(columns, terminal)
}

/// `weir cluster status`.
///
/// # Errors
/// A defect.
pub fn cluster(cluster: &ClusterInfo, missing: &[String], terminal: Terminal) -> Result<String> {
    let mut facts = Facts::default();
    facts.add("cluster", &cluster.cluster);
    facts.add("storage", &cluster.storage);
    match cluster.leader {
        Some(leader) => facts.add("leader", format!("coordinator {leader}, term {}", cluster.term)),
        None => facts.add("leader", format!("none just now, term {}", cluster.term)),
    }
    let workers = if cluster.workers == 1 { "1 worker".into() } else { format!("{} workers", cluster.workers) };
    facts.add("slots", format!("{} of {} in use, {workers}", cluster.slots_used, cluster.slots));
    facts.add("jobs", format!("{} running", cluster.jobs_running));
    missing.iter().for_each(|missing| facts.add("missing", missing));
    let coordinators = &cluster.coordinators;
    let columns = vec![
        number("coordinator", coordinators, |coordinator| coordinator.id.0),
        text("address", coordinators, |coordinator| coordinator.address.clone()),
        text("role", coordinators, |coordinator| match is_silent(coordinator) {
            true => "not there".into(),
            false => coordinator.role.clone(),
        }),
        text("log", coordinators, |coordinator| match coordinator.matched {
            _ if is_silent(coordinator) => {
                let silent = Duration::from_millis(coordinator.silent_ms.unwrap_or_default());
                format!("not heard of for {}", duration(silent))
            }
            Some(matched) if matched >= coordinator.commit => "has everything".into(),
            Some(matched) => format!("{} entries behind", full_count(coordinator.commit - matched)),
            None => "not known".into(),
        }),
    ];
    Ok(facts.text() + &table(columns, terminal)?)
}

/// A coordinator that says nothing for so long is not well: it hears of the leader many times a second, and answers.
const SILENT_MS: u64 = 2000;

/// Whether it is dead, or as good as that.
pub fn is_silent(coordinator: &CoordinatorInfo) -> bool {
    coordinator.silent_ms.is_some_and(|silent| silent >= SILENT_MS)
}

/// `weir jobs doctor`.
pub fn findings(job: &JobDetail, before: &JobDetail, findings: &[Finding]) -> String {
    let name = job.summary.full_name();
    if findings.is_empty() {
        let rows = |job: &JobDetail| job.summary.figures.unwrap_or_default();
        let (before, after) = (rows(before), rows(job));
        let read = full_count(after.rows_in.saturating_sub(before.rows_in));
        let written = full_count(after.rows_out.saturating_sub(before.rows_out));
        return format!(
            "{name}: nothing is in the way of its output; just now it has read {read} rows and written {written}\n"
        );
    }
    let mut text = String::new();
    for Finding { code, vertex, what, advice, .. } in findings {
        let at = vertex.as_ref().map_or_else(String::new, |vertex| format!(" at {vertex}"));
        let what = what.replace('\n', "\n    ");
        let _ = writeln!(text, "{name}: {code}{at}\n    {what}\n    what to do: {advice}");
    }
    text
}

/// `1 slot`, `2 slots`.
pub fn slots(count: u32) -> String {
    if count == 1 { "1 slot".into() } else { format!("{count} slots") }
}

/// Times of other machines: a clock that is ahead is no reason for nonsense.
pub(super) fn since(now: i64, at: i64) -> Duration {
    let elapsed = Duration::from_millis(u64::try_from(now.saturating_sub(at)).unwrap_or(0));
    if elapsed < Duration::from_secs(1) { elapsed } else { Duration::from_secs(elapsed.as_secs()) }
}

/// Names and values, aligned.
#[derive(Default)]
pub(super) struct Facts(Vec<(&'static str, String)>);

impl Facts {
    pub(super) fn add(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    pub(super) fn text(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.0 {
            let indent = format!("\n{:width$}  ", "");
            let _ = writeln!(text, "{name:width$}  {}", value.trim_end().replace('\n', &indent));
        }
        text
    }
}
