//! Tables and listings.

use weir_core::{CoordinatorId, Epoch, EventTime, Incarnation, JobId, WorkerId};
use weir_proto::client::{
    CheckpointInfo, ClusterInfo, CoordinatorInfo, JobRef, JobSummary, NamespaceInfo, QuotaInfo, WorkerInfo, WorkerJob,
};
use weir_proto::control::Figures;

use super::super::args::{JobArgument, Limit, Limits};
use super::super::jobs::repeats;
use super::super::namespaces::limited;
use super::super::show;
use super::super::workers::standing;
use super::{NOW, detail, savepoint};

/// The text, which has to be exactly this, but for blanks at the ends of lines.
#[track_caller]
fn assert_text(text: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim_matches('\n').lines().collect();
    let shown: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert!(shown == expected, "<<<\n{text}>>>");
}

#[test]
fn a_job_is_named_in_three_ways() {
    let of = |job: &str| JobArgument { job: job.into(), namespace: "flights".into() }.reference();
    let named = |namespace: &str, name: &str| JobRef::Name { namespace: namespace.into(), name: name.into() };
    assert_eq!(of("7"), JobRef::Id(JobId(7)));
    assert_eq!(of("delays"), named("flights", "delays"));
    assert_eq!(of("default/delays"), named("default", "delays"));
}

#[test]
fn limits_that_are_not_named_stay() {
    let quota = QuotaInfo { slots: Some(1), jobs: Some(2), state_bytes: None };
    let limits = Limits { slots: Some(Limit(None)), jobs: None, state_bytes: Some(Limit(Some(9))) };
    assert_eq!(limited(quota, limits), QuotaInfo { slots: None, jobs: Some(2), state_bytes: Some(9) });
}

#[test]
fn jobs_in_a_list() {
    let mut waiting = detail().summary;
    waiting.job = JobId(8);
    waiting.name = "w".into();
    waiting.status = "scheduling".into();
    waiting.waiting_for = Some("needs 3 slots".into());
    (waiting.figures, waiting.last_checkpoint) = (None, None);
    let text = show::jobs(&[detail().summary, waiting], NOW, None).unwrap();
    assert_text(&text, JOBS);
}

const JOBS: &str = "
┌─────┬────────────────┬────────────┬───────────┬───────┬──────────┬─────────┬──────────┬──────┬────────────────────┬───────────────┐
│ job │ name           │ status     │ since     │ slots │ restarts │ rows in │ rows out │ late │ checkpoint         │ remark        │
├─────┼────────────────┼────────────┼───────────┼───────┼──────────┼─────────┼──────────┼──────┼────────────────────┼───────────────┤
│   7 │ default/delays │ running    │ 3 min 4 s │     3 │        2 │ 12.3k   │ 7        │ 1    │ 12 (1 min 1 s ago) │               │
│   8 │ default/w      │ scheduling │ 3 min 4 s │     3 │        2 │         │          │      │ none               │ needs 3 slots │
└─────┴────────────────┴────────────┴───────────┴───────┴──────────┴─────────┴──────────┴──────┴────────────────────┴───────────────┘
";

#[test]
fn all_about_a_job() {
    assert_text(&show::job(&detail(), None, NOW, None).unwrap(), JOB);
}

#[test]
fn a_watermark_that_says_nothing_is_not_shown() {
    let shown = |time| {
        let mut job = detail();
        job.summary.figures.as_mut().unwrap().watermark = time;
        show::job(&job, None, NOW, None).unwrap().lines().find(|line| line.starts_with("watermark")).map(str::to_owned)
    };
    assert_eq!((shown(None), shown(Some(EventTime::MIN))), (None, None));
    assert_eq!(shown(Some(EventTime::MAX)).as_deref(), Some("watermark        at the end of the input"));
}

#[test]
fn how_far_in_event_time_the_parts_of_a_job_are() {
    let mut job = detail();
    job.vertices[0].figures.as_mut().unwrap().watermark = Some(EventTime(NOW - 2500));
    job.vertices[1].figures = Some(Figures { watermark: Some(EventTime::MAX), ..Figures::default() });
    assert_text(&show::watermarks(&job, NOW, None).unwrap(), WATERMARKS);
    let json = serde_json::to_value(show::watermarks_of(&job)).unwrap();
    assert_eq!(json[0]["watermark"], NOW - 2500);
    assert_eq!((&json[1]["watermark"], &json[1]["is_at_the_end"]), (&serde_json::Value::Null, &true.into()));
    job.vertices[1].figures = None;
    assert!(show::watermarks(&job, NOW, None).unwrap().contains("none yet"));
}

const WATERMARKS: &str = "
┌─────────────────┬─────────────────────────┬──────────────────┬──────────┐
│ vertex          │ watermark               │ behind the clock │ uid      │
├─────────────────┼─────────────────────────┼──────────────────┼──────────┤
│ Source(flights) │ 2025-12-31 23:59:57.500 │ 2 s              │ source-1 │
│ Sink(delays)    │ at the end              │                  │ sink-2   │
└─────────────────┴─────────────────────────┴──────────────────┴──────────┘
";

const JOB: &str = "
job              7
name             default/delays
status           running · for 3 min 4 s
submitted        1 h 0 min ago
slots            3
attempt          3
last pause       900 ms without processing
rows             12,345 in, 7 out, in attempt 3 alone
left out         1 late, 0 rejected
state            1.43 MiB
watermark        2025-12-31 23:59:57.500
worker           w1 at w1:7421: slots 0, 2
worker           w2 at w2:7421: slots 1
last failure     attempt 2, 3 min 20 s ago: worker w3 was lost
                   because: it was silent
checkpoints      every 10 s; given up after 10 min 0 s; the last 2 are kept
after a failure  restarted; pauses from 1 s to 1 min 0 s
┌───────┬───────────┬───────────────┬───────┬──────────┬─────────┬─────────┬───────┬─────────┬──────────────┐
│ epoch │ kind      │ completed     │ took  │ state    │ written │ attempt │ slots │ results │ manifest     │
├───────┼───────────┼───────────────┼───────┼──────────┼─────────┼─────────┼───────┼─────────┼──────────────┤
│    12 │ savepoint │ 1 min 1 s ago │ 35 ms │ 1.43 MiB │ 230 B   │       3 │     3 │ visible │ manifests/12 │
└───────┴───────────┴───────────────┴───────┴──────────┴─────────┴─────────┴───────┴─────────┴──────────────┘
┌─────────────────┬─────────┬──────────┬────────┬──────┬──────┬───────────────┬──────┬──────────┬───────┬───────────┬──────────┐
│ vertex          │ rows in │ rows out │ rows/s │ busy │ idle │ backpressured │ late │ rejected │ state │ watermark │ uid      │
├─────────────────┼─────────┼──────────┼────────┼──────┼──────┼───────────────┼──────┼──────────┼───────┼───────────┼──────────┤
│ Source(flights) │    1234 │     1234 │        │      │      │               │    0 │        2 │ 0 B   │           │ source-1 │
│ Sink(delays)    │       0 │        0 │        │      │      │               │    0 │        0 │ 0 B   │           │ sink-2   │
└─────────────────┴─────────┴──────────┴────────┴──────┴──────┴───────────────┴──────┴──────────┴───────┴───────────┴──────────┘
";

#[test]
fn going_back_warns_of_what_comes_out_twice() {
    let mut job = detail();
    let newer = CheckpointInfo { epoch: Epoch(15), ..savepoint() };
    job.checkpoints.push(newer);
    let warning =
        "warning: rows that came out between checkpoints 12 and 15 stay visible, and will come out once more\n";
    assert_eq!(repeats(&job, Epoch(12)).as_deref(), Some(warning));
    assert_eq!(repeats(&job, Epoch(15)), None, "that is the newest");
    assert_eq!(repeats(&job, Epoch(13)), None, "there is none, which the cluster says");
}

#[test]
fn checkpoints_in_a_list() {
    let mut open = savepoint();
    (open.savepoint, open.committed, open.finished) = (false, false, true);
    assert_text(&show::checkpoints(&[savepoint(), open], NOW, None).unwrap(), CHECKPOINTS);
}

const CHECKPOINTS: &str = "
┌───────┬──────────────────┬───────────────┬───────┬──────────┬─────────┬─────────┬───────┬─────────────────┬──────────────┐
│ epoch │ kind             │ completed     │ took  │ state    │ written │ attempt │ slots │ results         │ manifest     │
├───────┼──────────────────┼───────────────┼───────┼──────────┼─────────┼─────────┼───────┼─────────────────┼──────────────┤
│    12 │ savepoint        │ 1 min 1 s ago │ 35 ms │ 1.43 MiB │ 230 B   │       3 │     3 │ visible         │ manifests/12 │
│    12 │ checkpoint, last │ 1 min 1 s ago │ 35 ms │ 1.43 MiB │ 230 B   │       3 │     3 │ being committed │ manifests/12 │
└───────┴──────────────────┴───────────────┴───────┴──────────┴─────────┴─────────┴───────┴─────────────────┴──────────────┘
";

#[test]
fn workers_in_a_list() {
    let worker = |name: &str, connected, draining| WorkerInfo {
        worker: WorkerId(name.into()),
        incarnation: Incarnation(1),
        address: format!("{name}:7421"),
        slots: 8,
        used: 4,
        draining,
        connected,
        version: "0.1.0".into(),
        last_heard_ms: connected.then_some(120),
        jobs: vec![WorkerJob { job: JobId(7), name: "default/delays".into(), slots: 4 }],
        lost_at: None,
        lost_because: None,
    };
    let list = [worker("w1", true, false), worker("w2", true, true), worker("w3", false, false)];
    assert_text(&show::workers(&list, None).unwrap(), WORKERS);
}

#[test]
fn what_stands_in_the_way_of_emptying_a_worker() {
    let worker = WorkerInfo {
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(1),
        address: "w1:7421".into(),
        slots: 8,
        used: 4,
        draining: true,
        connected: true,
        version: "0.1.0".into(),
        last_heard_ms: None,
        jobs: vec![WorkerJob { job: JobId(7), name: "default/delays".into(), slots: 4 }],
        lost_at: None,
        lost_because: None,
    };
    let mut job = detail().summary;
    let standing = |job: &JobSummary, free| standing(&worker, std::slice::from_ref(job), free);
    assert_eq!(standing(&job, 4), "4 slots in use · default/delays is running");
    assert_eq!(standing(&job, 3), "4 slots in use · default/delays has 4 slots here, and 3 free elsewhere");
    job.waiting_for = Some("needs 4 slots; none is free".into());
    assert_eq!(standing(&job, 0), "4 slots in use · default/delays needs 4 slots; none is free");
}

const WORKERS: &str = "
┌────────┬─────────┬───────────────┬───────┬──────┬────────────┬─────────┬────────────────────┐
│ worker │ address │ status        │ slots │ used │ heard      │ version │ jobs               │
├────────┼─────────┼───────────────┼───────┼──────┼────────────┼─────────┼────────────────────┤
│ w1     │ w1:7421 │ connected     │     8 │    4 │ 120 ms ago │ 0.1.0   │ default/delays (4) │
│ w2     │ w2:7421 │ draining      │     8 │    4 │ 120 ms ago │ 0.1.0   │ default/delays (4) │
│ w3     │ w3:7421 │ not connected │     8 │    4 │ not yet    │ 0.1.0   │ default/delays (4) │
└────────┴─────────┴───────────────┴───────┴──────┴────────────┴─────────┴────────────────────┘
";

#[test]
fn namespaces_in_a_list() {
    let namespace =
        |name: &str, quota| NamespaceInfo { namespace: name.into(), quota, slots_used: 4, jobs: 1, state_bytes: 1000 };
    let limits = QuotaInfo { slots: Some(16), jobs: None, state_bytes: Some(10 << 30) };
    let list = [namespace("default", QuotaInfo::default()), namespace("flights", limits)];
    assert_text(&show::namespaces(&list, None).unwrap(), NAMESPACES);
}

const NAMESPACES: &str = "
┌───────────┬──────┬─────────┬────────────────────┐
│ namespace │ jobs │ slots   │ state              │
├───────────┼──────┼─────────┼────────────────────┤
│ default   │ 1    │ 4       │ 1000 B             │
│ flights   │ 1    │ 4 of 16 │ 1000 B of 10.0 GiB │
└───────────┴──────┴─────────┴────────────────────┘
";

#[test]
fn the_cluster_at_a_glance() {
    let coordinator = |id, role: &str, matched| CoordinatorInfo {
        id: CoordinatorId(id),
        address: format!("c{id}:7420"),
        role: role.into(),
        matched,
        commit: 1098,
        silent_ms: (role != "leader").then_some(if id == 3 { 8000 } else { 90 }),
    };
    let cluster = ClusterInfo {
        cluster: "weir-0a1b".into(),
        storage: "file:///srv/weir".into(),
        leader: Some(CoordinatorId(1)),
        term: 5,
        coordinators: vec![
            coordinator(1, "leader", Some(1099)),
            coordinator(2, "follower", Some(8)),
            coordinator(3, "learner", None),
        ],
        workers: 2,
        slots: 16,
        slots_used: 4,
        jobs_running: 1,
    };
    assert_text(&show::cluster(&cluster, &["worker w3: it was silent".to_owned()], None).unwrap(), CLUSTER);
}

const CLUSTER: &str = "
cluster  weir-0a1b
storage  file:///srv/weir
leader   coordinator 1, term 5
slots    4 of 16 in use, 2 workers
jobs     1 running
missing  worker w3: it was silent
┌─────────────┬─────────┬───────────┬──────────────────────┐
│ coordinator │ address │ role      │ log                  │
├─────────────┼─────────┼───────────┼──────────────────────┤
│           1 │ c1:7420 │ leader    │ has everything       │
│           2 │ c2:7420 │ follower  │ 1,090 entries behind │
│           3 │ c3:7420 │ not there │ not heard of for 8 s │
└─────────────┴─────────┴───────────┴──────────────────────┘
";
