//! Problems as the cluster's figures show them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_core::{
    Attempt, Edge, Epoch, EventTime, Exchange, Expr, JobId, NodeId, NodeSpec, OutputPort, SinkSpec, SourceSpec,
    TableSpec, WatermarkSpec, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_proto::client::{
    CheckpointProgress, JobFailureInfo, JobSettingsInfo, JobSummary, Scaling, ScalingDecision, VertexInfo,
};
use weir_proto::control::Times;

use super::*;

const NOW: i64 = 1_800_000_000_000;
const SOURCE: usize = 0;
const WINDOW: usize = 1;
const SINK: usize = 2;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("t", DataType::Timestamp(TimeUnit::Millisecond, None), true)]))
}

/// A source, and by key a window of ten seconds in one chain with a sink.
fn graph() -> JobGraph {
    let table = |name: &str| TableSpec::new(name, "test", Default::default(), schema());
    let edge = |from, exchange| vec![Edge { from: NodeId(from), port: OutputPort::Main, ordinal: 0, exchange }];
    let watermark =
        WatermarkSpec { expression: Expr::Column(0), time: None, idle_timeout_ms: None, max_drift_ms: None };
    let source = SourceSpec {
        table: table("in"),
        projection: None,
        filter: None,
        watermark: Some(watermark),
        rows_per_second: None,
    };
    let window = WindowAggregateSpec {
        window: WindowSource::Assign { window: WindowKind::Tumble { size: 10_000, offset: 0 }, time: 0 },
        keys: vec![0],
        aggregates: Vec::new(),
        partial_input: false,
        spread: None,
    };
    let sink = SinkSpec { table: table("out") };
    let mut graph = JobGraph::default();
    graph.add(NodeSpec::new("Source(in)", OperatorSpec::Source(source), Vec::new(), schema()));
    let by_key = edge(SOURCE, Exchange::Hash(vec![0]));
    graph.add(NodeSpec::new("Window", OperatorSpec::WindowAggregate(window), by_key, schema()));
    graph.add(NodeSpec::new("Sink(out)", OperatorSpec::Sink(sink), edge(WINDOW, Exchange::Forward), schema()));
    graph
}

/// How a vertex does: rows, event time, and what it is at.
fn figures(rows_in: u64, rows_out: u64, time: i64, activity: Activity) -> Figures {
    Figures { rows_in, rows_out, watermark: Some(EventTime(time)), activity: Some(activity), ..Figures::default() }
}

fn times(busy_ms: u64, idle_ms: u64, backpressured_ms: u64) -> Option<Times> {
    Some(Times { busy_ms, idle_ms, backpressured_ms })
}

/// A job that has nothing to complain of, at two looks three seconds apart.
fn looks() -> [JobDetail; 2] {
    let graph = Arc::new(graph());
    let look = |later: bool| {
        let (rows, time, seconds) = if later { (60_000, NOW - 1000, 13) } else { (50_000, NOW - 4000, 10) };
        let two = Activity { subtasks: 2, splits: 2, most_rows_in: rows / 2, marker: Epoch(9), ..Activity::default() };
        let head = Activity { times: times(seconds * 300, seconds * 700, 0), ..two };
        let vertices = [
            figures(rows, rows, time, head),
            figures(rows, 700 + rows / 100, time, Activity { splits: 0, ..head }),
            figures(700 + rows / 100, 700 + rows / 100, time, Activity { splits: 0, ..two }),
        ];
        let vertices = graph.nodes().iter().zip(vertices).map(|(node, figures)| VertexInfo {
            name: node.spec.name.clone(),
            uid: node.uid.clone(),
            figures: Some(figures),
        });
        JobDetail {
            summary: JobSummary {
                job: JobId(1),
                namespace: "default".into(),
                name: "j".into(),
                status: "running".into(),
                desired: "running".into(),
                parallelism: 2,
                slots: Some(2),
                attempt: Attempt(1),
                restarts: 0,
                submitted_at: NOW - 60_000,
                changed_at: NOW - 50_000,
                figures: None,
                last_checkpoint: None,
                last_failure: None,
                waiting_for: None,
            },
            sql: String::new(),
            settings: JobSettingsInfo {
                batch_rows: 8192,
                memory_budget: None,
                checkpoint_interval_ms: 1000,
                checkpoint_timeout_ms: 600_000,
                tolerable_failures: 3,
                retained_checkpoints: 2,
                restart_attempts: None,
                restart_initial_delay_ms: 1000,
                restart_maximum_delay_ms: 60_000,
                restart_stable_ms: 600_000,
            },
            fingerprint: String::new(),
            placement: None,
            vertices: vertices.collect(),
            checkpoints: Vec::new(),
            checkpoint_in_progress: None,
            last_pause_ms: None,
            scaling: Scaling::default(),
            scaling_decisions: Vec::new(),
            load: None,
            submitted_by: None,
            last_action: None,
            graph: Some(graph.clone()),
        }
    };
    let (mut before, mut after) = (look(false), look(true));
    for job in [&mut before, &mut after] {
        job.summary.last_checkpoint = Some(weir_proto::client::CheckpointInfo {
            epoch: Epoch(9),
            attempt: Attempt(1),
            completed_at: NOW - 500,
            duration_ms: 20,
            state_bytes: 1000,
            written_bytes: 100,
            savepoint: false,
            finished: false,
            committed: true,
            parallelism: 2,
            manifest: "checkpoints/9.json".into(),
        });
    }
    [before, after]
}

/// Figures of a vertex, to be changed.
fn of(job: &mut JobDetail, vertex: usize) -> &mut Figures {
    job.vertices[vertex].figures.as_mut().unwrap()
}

fn activity(job: &mut JobDetail, vertex: usize) -> &mut Activity {
    of(job, vertex).activity.as_mut().unwrap()
}

/// Codes and vertices of what is found.
fn found([before, after]: &[JobDetail; 2]) -> Vec<(&'static str, Option<String>)> {
    let findings = diagnose(Looks { before, after, elapsed: Duration::from_secs(3), now: NOW });
    findings.into_iter().map(|finding| (finding.code, finding.vertex)).collect()
}

/// Whether all that is found goes by by itself.
fn passes([before, after]: &[JobDetail; 2]) -> bool {
    diagnose(Looks { before, after, elapsed: Duration::from_secs(3), now: NOW }).iter().all(|finding| finding.passes)
}

/// Exactly this is found.
#[track_caller]
fn assert_found(looks: &[JobDetail; 2], code: &'static str, vertex: Option<&str>) {
    assert_eq!(found(looks), [(code, vertex.map(str::to_owned))]);
}

#[test]
fn a_job_that_is_well_has_nothing() {
    assert_eq!(found(&looks()), []);
}

#[test]
fn a_job_that_does_not_run_says_why() {
    let mut waits = looks();
    waits[1].summary.status = "scheduling".into();
    waits[1].summary.waiting_for = Some("needs 4 slots, and 2 are free".into());
    assert_found(&waits, "missing-slots", None);
    let mut failed = looks();
    failed[1].summary.status = "failed".into();
    failed[1].summary.last_failure = Some(JobFailureInfo {
        attempt: Attempt(1),
        kind: None,
        report: "the topic is gone".into(),
        at: NOW,
        retry_at: None,
    });
    assert_found(&failed, "failed", None);
    let mut misfit = failed.clone();
    let report = "Plugin(counts) could not start: checkpoint 12 does not fit the job:\nSTATE  OPERATOR  WHY".to_owned();
    misfit[1].summary.last_failure.as_mut().unwrap().report = report;
    assert_found(&misfit, "state-does-not-fit", None);
    let [before, after] = &misfit;
    let advice = &diagnose(Looks { before, after, elapsed: Duration::from_secs(3), now: NOW })[0].advice;
    assert!(
        advice.contains("submit under the name j a version whose state fits") && !advice.contains("jobs restart"),
        "{advice}"
    );
    let [before, after] = &failed;
    let [finding] = &diagnose(Looks { before, after, elapsed: Duration::from_secs(3), now: NOW })[..] else { panic!() };
    assert!(finding.what.contains("the topic is gone") && finding.advice.contains("weir jobs restart default/j"));
    let mut anew = looks();
    anew[1].summary.attempt = Attempt(2);
    assert_found(&anew, "restarted", None);
    assert!(passes(&anew), "it was rescaled");
    anew[1].summary.last_failure = failed[1].summary.last_failure.clone();
    assert!(!passes(&anew), "the attempt of the first look has failed");
    anew[0].summary.attempt = Attempt(2);
    anew[1].summary.attempt = Attempt(3);
    assert!(passes(&anew), "an attempt before it has");
    anew[1].summary.restarts += 1;
    assert!(!passes(&anew), "a worker was lost");
    assert!(!passes(&failed));
}

#[test]
fn a_job_whose_load_needs_more_slots_than_there_are_says_so() {
    let decided = |wanted, to| {
        let mut looks = looks();
        let parallelism = looks[1].summary.parallelism;
        let decision = ScalingDecision {
            at: NOW,
            from: parallelism,
            to: parallelism + to,
            wanted: parallelism + wanted,
            done: true,
            reason: "Source(in) is busy 95 % of its time".into(),
        };
        looks[1].scaling_decisions.push(decision);
        looks
    };
    assert_found(&decided(2, 0), "more-slots-wanted", None);
    assert_eq!(found(&decided(0, 0)), [], "it has them");
    assert_eq!(found(&decided(2, 1)), [], "it was given another number since");
}

#[test]
fn a_split_that_brings_nothing_holds_time_back() {
    let mut never = looks();
    for job in &mut never {
        of(job, SOURCE).watermark = Some(EventTime::MIN);
        of(job, WINDOW).watermark = Some(EventTime::MIN);
        activity(job, SOURCE).silent_splits = 1;
    }
    assert_found(&never, "idle-split", Some("Source(in)"));
    let mut no_more = looks();
    let stands = of(&mut no_more[0], SOURCE).watermark;
    of(&mut no_more[1], SOURCE).watermark = stands;
    activity(&mut no_more[1], SOURCE).spread_ms = Some(600_000);
    assert_found(&no_more, "idle-split", Some("Source(in)"));
    // The others are held, and bring nothing either.
    let stands = *of(&mut no_more[0], SOURCE);
    *of(&mut no_more[1], SOURCE) = stands;
    activity(&mut no_more[1], SOURCE).held_splits = 1;
    assert_found(&no_more, "idle-split", Some("Source(in)"));
    // Splits that are read in turns are apart, and time goes on.
    let mut in_turns = looks();
    activity(&mut in_turns[1], SOURCE).spread_ms = Some(600_000);
    assert_eq!(found(&in_turns), []);
}

#[test]
fn a_source_that_reads_nothing_says_what_is_there() {
    let mut empty = looks();
    for job in &mut empty {
        for vertex in [SOURCE, WINDOW, SINK] {
            *of(job, vertex) = Figures { activity: of(job, vertex).activity, ..Figures::default() };
        }
    }
    assert_found(&empty, "no-input", Some("Source(in)"));
}

#[test]
fn clocks_that_are_off() {
    let mut ahead = looks();
    of(&mut ahead[1], SOURCE).watermark = Some(EventTime(NOW + 3_600_000));
    assert_found(&ahead, "clock-ahead", Some("Source(in)"));
    let mut late = looks();
    of(&mut late[1], WINDOW).late_rows = 100;
    assert_found(&late, "late-rows", Some("Window"));
    let mut stopped = looks();
    for job in &mut stopped {
        of(job, SOURCE).watermark = Some(EventTime(NOW - 5 * 3_600_000));
    }
    assert_found(&stopped, "clock-behind", Some("Source(in)"));
    // History is old, and time goes on in it.
    let mut history = looks();
    of(&mut history[0], SOURCE).watermark = Some(EventTime(NOW - 5 * 3_600_000));
    of(&mut history[1], SOURCE).watermark = Some(EventTime(NOW - 4 * 3_600_000));
    assert_eq!(found(&history), []);
}

#[test]
fn what_is_slow_is_behind_the_last_that_waits() {
    let mut slow_sink = looks();
    activity(&mut slow_sink[1], SOURCE).times = times(3100, 7000, 2900);
    activity(&mut slow_sink[1], WINDOW).times = times(3100, 7000, 2900);
    assert_found(&slow_sink, "slow-sink", Some("Sink(out)"));
    let mut busy = looks();
    activity(&mut busy[1], SOURCE).times = times(3100, 7000, 2900);
    activity(&mut busy[1], WINDOW).times = times(5900, 7100, 0);
    assert_found(&busy, "slow-sink", Some("Sink(out)"));
}

#[test]
fn a_key_that_has_most_of_the_rows() {
    let mut skewed = looks();
    activity(&mut skewed[1], SOURCE).times = times(3100, 7000, 2900);
    activity(&mut skewed[1], WINDOW).times = times(5900, 7100, 0);
    activity(&mut skewed[1], WINDOW).most_rows_in = 59_000;
    assert_found(&skewed, "skewed-keys", Some("Window"));
}

#[test]
fn a_checkpoint_that_does_not_get_through() {
    let under_way = CheckpointProgress { epoch: Epoch(10), running_ms: 20_000 };
    let mut held_up = looks();
    held_up[1].checkpoint_in_progress = Some(under_way);
    activity(&mut held_up[1], SOURCE).marker = Epoch(10);
    assert_found(&held_up, "checkpoint-held-up", Some("Window"));
    let mut not_stored = looks();
    not_stored[1].checkpoint_in_progress = Some(under_way);
    for vertex in [SOURCE, WINDOW, SINK] {
        activity(&mut not_stored[1], vertex).marker = Epoch(11);
    }
    assert_found(&not_stored, "checkpoint-not-stored", None);
    let mut young = looks();
    young[1].checkpoint_in_progress = Some(CheckpointProgress { running_ms: 2000, ..under_way });
    assert_eq!(found(&young), []);
}

#[test]
fn a_window_that_is_not_full() {
    let mut open = looks();
    for job in &mut open {
        of(job, WINDOW).rows_out = 0;
        *of(job, SINK) = Figures { activity: of(job, SINK).activity, ..Figures::default() };
    }
    assert_found(&open, "window-not-full", Some("Window"));
    let [before, after] = &open;
    let [finding] = &diagnose(Looks { before, after, elapsed: Duration::from_secs(3), now: NOW })[..] else { panic!() };
    assert!(finding.advice.contains("has gone on by 1 s"), "{finding:?}");
}

#[test]
fn rows_wait_for_the_first_checkpoint() {
    let mut young = looks();
    young[1].summary.last_checkpoint = None;
    assert_found(&young, "waits-for-checkpoint", None);
    assert!(passes(&young));
    young[1].settings.checkpoint_interval_ms = 0;
    assert_found(&young, "waits-for-checkpoint", None);
    assert!(!passes(&young), "there will be none by itself");
}
