//! What a source subtask makes of what its discovery and its source say, and what it says of time.
#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::advance;
use weir_core::{Expr, OperatorSpec, SourceSpec, Split, SplitDiscovery, TableSpec, TableTime, WatermarkSpec};
use weir_functions::Functions;

use super::super::discovery::DiscoverySubtask;
use super::*;
use crate::announcements::DiscoveryState;
use crate::exchange::{ExchangeLimits, LocalSender, Router, Target};
use crate::metrics::{JobMetrics, Position, Subtask};
use crate::subtask::SideOutput;

const IDLE_AFTER: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Says what it is told to, and notes what it is told.
struct Script {
    events: mpsc::Receiver<SourceEvent>,
    heard: mpsc::UnboundedSender<String>,
    open: Vec<Arc<str>>,
    /// Where splits stand of which something was read.
    place: Arc<AtomicU64>,
}

#[async_trait]
impl Source for Script {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        for AssignedSplit { split, position } in splits {
            let position = position.map(|position| format!(" from {position}")).unwrap_or_default();
            let _ = self.heard.send(format!("{}{position}", split.name));
            self.open.push(split.name);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let event = self.events.recv().await.unwrap();
        if let SourceEvent::SplitFinished { split } = &event {
            self.open.retain(|open| open != split);
        }
        Ok(event)
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let begun = self.open.iter().filter(|split| split.starts_with("begun"));
        begun
            .map(|split| SplitPosition { split: split.clone(), position: self.place.load(Relaxed).to_string() })
            .collect()
    }

    fn hold(&mut self, splits: &BTreeSet<Arc<str>>) {
        let splits: Vec<&str> = splits.iter().map(|split| &**split).collect();
        let _ = self.heard.send(format!("held: {}", splits.join(" ")));
    }

    async fn completed(&mut self, epoch: Epoch) -> Result<()> {
        let _ = self.heard.send(format!("completed {epoch}"));
        Ok(())
    }
}

/// The time of the test.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> i64 {
        i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), false)]))
}

fn spec() -> SourceSpec {
    let table = TableSpec::new("t", "script", BTreeMap::new(), schema());
    let watermark =
        Some(WatermarkSpec { expression: Expr::Column(0), time: None, idle_timeout_ms: None, max_drift_ms: None });
    SourceSpec { table, projection: None, filter: None, watermark, rows_per_second: None }
}

fn rows(split: &str, time: i64, rejected: usize) -> SourceEvent {
    let records = RecordBatch::try_new(schema(), vec![Arc::new(TimestampMillisecondArray::from(vec![time]))]).unwrap();
    let record = Rejected { origin: "a".into(), offset: 0, raw: Vec::new(), reason: "it is none".to_owned() };
    SourceEvent::Rows { split: split.into(), records, rejected: vec![record; rejected] }
}

/// Finds nothing, and does not know that there will be no more.
#[derive(Default)]
struct Quiet {
    has_looked: bool,
}

#[async_trait]
impl SplitDiscovery for Quiet {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        match std::mem::replace(&mut self.has_looked, true) {
            false => Ok(Some(Vec::new())),
            true => std::future::pending().await,
        }
    }
}

/// Starts a discovery of [`Quiet`] that knows these splits from an earlier execution. Returns what its readers have of
/// it, and the markers' way to it, without which it does not live.
fn known_before(splits: &[&str], readers: usize) -> (Vec<Joined>, mpsc::Sender<Marker>) {
    let limits = ExchangeLimits::default();
    let mut known = DiscoveryState::default();
    known.announce(splits.iter().map(|name| split(name)).collect());
    let (gates, inlets): (Vec<_>, Vec<_>) = (0..readers).map(|_| Gate::new(1, limits.credit_bytes)).unzip();
    let inlets = inlets.into_iter().flatten();
    let channels = inlets.map(|inlet| ChannelSender::Local(LocalSender::from(inlet))).collect();
    let (reports, reporters) = Gate::new(readers, limits.credit_bytes);
    let (markers, marker_receiver) = mpsc::channel(1);
    let (snapshots, _) = mpsc::channel(1);
    let discovery = DiscoverySubtask {
        uid: OperatorUid("discover".to_owned()),
        discovery: Box::new(Quiet::default()),
        state: DiscoveryState::restored(known.announced().cloned().collect()),
        reports,
        readers: (0..readers).map(|reader| (0, reader)).collect(),
        outputs: Outputs {
            sink: None,
            main: vec![Router::new(Target::Broadcast, channels, 0, limits)],
            side: Vec::new(),
            metrics: Arc::default(),
        },
        markers: marker_receiver,
        snapshots,
    };
    tokio::spawn(discovery.run());
    let joined = gates.into_iter().zip(reporters).enumerate().map(|(reader, (discovery, reports))| Joined {
        place: (reader, readers),
        discovery,
        reports: ChannelSender::Local(LocalSender::from(reports)),
    });
    (joined.collect(), markers)
}

fn split(name: &str) -> Split {
    Split { name: name.into(), sequence: name.into(), description: String::new() }
}

/// A subtask's ends of its channels from and to a discovery.
struct Joined {
    place: (usize, usize),
    discovery: Gate,
    reports: ChannelSender,
}

/// A subtask whose reader takes a row at a time, and what it needs to live. It is number 0 of two.
struct Bench {
    gate: Gate,
    rejects: Gate,
    reports: Gate,
    events: mpsc::Sender<SourceEvent>,
    heard: mpsc::UnboundedReceiver<String>,
    discovery: LocalSender,
    announced: DiscoveryState,
    completed: watch::Sender<Epoch>,
    exhausted: mpsc::Receiver<()>,
    wanted: mpsc::Receiver<WorkerEvent>,
    place: Arc<AtomicU64>,
    snapshots: mpsc::Receiver<SubtaskSnapshot>,
    running: JoinHandle<Result<(), Interrupt>>,
}

/// What a subtask is started with.
struct Start {
    linger: Duration,
    idle_after: Option<Duration>,
    max_drift: Option<Duration>,
    limit: Option<RateLimit>,
    restored: Vec<SplitState>,
    emitted: EventTime,
    /// A discovery that runs; else the test speaks for it.
    joined: Option<Joined>,
}

impl Default for Start {
    fn default() -> Self {
        let (linger, idle_after) = (Duration::ZERO, Some(IDLE_AFTER));
        Self {
            linger,
            idle_after,
            max_drift: None,
            limit: None,
            restored: Vec::new(),
            emitted: EventTime::MIN,
            joined: None,
        }
    }
}

fn router(limits: ExchangeLimits) -> (Gate, Router) {
    let (gate, mut inlets) = Gate::new(1, limits.credit_bytes);
    let sender = ChannelSender::Local(LocalSender::from(inlets.remove(0)));
    (gate, Router::new(Target::One, vec![sender], 0, limits))
}

impl Start {
    fn go(self) -> Bench {
        let limits =
            ExchangeLimits { credit_bytes: 1, piece_rows: 100, linger: self.linger, ..ExchangeLimits::default() };
        let (gate, main) = router(limits);
        let (rejects, side) = router(ExchangeLimits { piece_rows: 1, ..limits });
        let side = vec![SideOutput { position: 0, port: OutputPort::Rejected, router: side }];
        let (discovery_gate, mut discovery) = Gate::new(1, 1 << 20);
        let (reports, mut report) = Gate::new(1, 1);
        let joined = self.joined.unwrap_or_else(|| Joined {
            place: (0, 2),
            discovery: discovery_gate,
            reports: ChannelSender::Local(LocalSender::from(report.remove(0))),
        });
        let (completed, commits) = watch::channel(Epoch(0));
        let (exhausted, exhausted_receiver) = mpsc::channel(1);
        let (snapshots, snapshot_receiver) = mpsc::channel(4);
        let (wants, wanted) = mpsc::channel(4);
        let place = Arc::new(AtomicU64::new(7));
        let (events, event_receiver) = mpsc::channel(4);
        let (heard, hearing) = mpsc::unbounded_channel();
        let uid = OperatorUid("source".to_owned());
        let subtask = SourceSubtask {
            uid: uid.clone(),
            table: "t".to_owned(),
            place: joined.place,
            discovery: joined.discovery,
            reports: joined.reports,
            source: Box::new(Script { events: event_receiver, heard, open: Vec::new(), place: place.clone() }),
            scan: Scan::new(&spec(), schema(), &Functions::built_in()).unwrap(),
            limit: self.limit,
            watermarks: Some(SplitWatermarks::new(self.emitted, self.idle_after).aligned(self.max_drift)),
            listened: Duration::ZERO,
            presence: Presence::default(),
            state: SourceState::restored(self.restored),
            metrics: JobMetrics::default().register(
                Position { vertex: "v".to_owned(), subtask: 0 },
                Subtask::default(),
                &uid,
                &OperatorSpec::Source(spec()),
            ),
            chain: OperatorChain::new(Vec::new(), 1),
            outputs: Outputs { sink: None, main: vec![main], side, metrics: Arc::default() },
            checkpoints: Arc::default(),
            exhausted,
            events: wants,
            completed: commits,
            snapshots,
            clock: Arc::new(TestClock(Instant::now())),
            emitted: self.emitted,
        };
        Bench {
            gate,
            rejects,
            reports,
            events,
            heard: hearing,
            discovery: LocalSender::from(discovery.remove(0)),
            announced: DiscoveryState::default(),
            completed,
            exhausted: exhausted_receiver,
            wanted,
            place,
            snapshots: snapshot_receiver,
            running: tokio::spawn(subtask.run()),
        }
    }
}

/// A subtask that reads the split "a".
async fn start(linger: Duration) -> Bench {
    let mut bench = Start { linger, ..Start::default() }.go();
    bench.announce(&["a", "of the other"]).await;
    bench
}

impl Bench {
    async fn say(&self, event: SourceEvent) {
        self.events.send(event).await.unwrap();
        settle().await;
    }

    async fn finish(&self, split: &str) {
        self.say(SourceEvent::SplitFinished { split: split.into() }).await;
    }

    /// Splits, of which every second one is of the other subtask.
    async fn announce(&mut self, names: &[&str]) {
        let announced = self.announced.announce(names.iter().map(|name| split(name)).collect());
        let rows = announcements::encode(&announced).unwrap();
        self.discovery.send(Batch::append(rows)).await.unwrap();
        settle().await;
    }

    /// Something else that the discovery says.
    async fn tell(&mut self, element: Element) {
        self.discovery.send_control(element).unwrap();
        settle().await;
    }

    /// Nothing comes for so long that the subtask says so, and a marker passes.
    async fn fall_idle(&mut self, epoch: u64) {
        pass(IDLE_AFTER).await;
        assert!(self.asked() > 0, "it is idle only when a marker has passed");
        self.mark(epoch).await;
    }

    async fn mark(&mut self, epoch: u64) {
        self.tell(Element::Marker(Marker { epoch: Epoch(epoch), kind: MarkerKind::Flush })).await;
    }

    /// Where splits stand, as a checkpoint has it.
    async fn checkpoint(&mut self, epoch: u64) -> Vec<SplitState> {
        self.tell(Element::Marker(Marker { epoch: Epoch(epoch), kind: MarkerKind::Checkpoint })).await;
        let mut snapshot = self.snapshots.try_recv().unwrap();
        let (_, capture) = snapshot.nodes.remove(0).tables.remove(0);
        (capture.rows)().unwrap().iter().flat_map(|rows| source_state::decode(&rows.rows).unwrap()).collect()
    }

    /// How often a marker has been asked for, as far as the queue has room.
    fn asked(&mut self) -> usize {
        let asked = std::iter::from_fn(|| self.wanted.try_recv().ok());
        asked.inspect(|event| assert!(matches!(event, WorkerEvent::MarkerWanted), "{event:?}")).count()
    }

    fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }

    /// What the discovery has been told, in a few letters.
    async fn reported(&mut self) -> Vec<String> {
        self.reports().await.iter().map(word).collect()
    }

    async fn reports(&mut self) -> Vec<Element> {
        settle().await;
        let all = std::iter::from_fn(|| self.reports.next().now_or_never()).map(|(_, element)| element);
        // Which splits are finished is reported too.
        all.filter(|element| !matches!(element, Element::Batch(_))).collect()
    }

    /// Everything that is there, in a few letters.
    async fn taken(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        // The subtask goes on when there is credit again, and then there may be more.
        loop {
            settle().await;
            let Some((_, element)) = self.gate.next().now_or_never() else { return all };
            all.push(word(&element));
        }
    }
}

fn word(element: &Element) -> String {
    match element {
        Element::Batch(batch) => format!("rows {}", batch.num_rows()),
        Element::Watermark(Watermark::At(EventTime::MAX)) => "at the end".to_owned(),
        Element::Watermark(Watermark::At(EventTime::MIN)) => "at the beginning".to_owned(),
        Element::Watermark(Watermark::At(time)) => format!("at {}", time.0),
        Element::Watermark(Watermark::Idle) => "idle".to_owned(),
        Element::Marker(marker) => format!("marker {}", marker.epoch),
        Element::End => "end".to_owned(),
    }
}

/// Lets the subtask do all that it can do now.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// So that the timers of the subtask come one by one.
async fn pass(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        settle().await;
        advance(Duration::from_millis(10)).await;
    }
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_may_know_how_far_time_is_without_a_row() {
    let mut bench = start(Duration::ZERO).await;
    bench.say(SourceEvent::Time { split: "a".into(), time: EventTime(7) }).await;
    bench.say(SourceEvent::Time { split: "a".into(), time: EventTime(5) }).await;
    assert_eq!(bench.taken().await, ["at 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_is_idle_when_nothing_comes_from_it_and_not_while_lingering_rows_wait_for_credit() {
    let linger = Duration::from_millis(20);
    let mut bench = start(linger).await;
    bench.say(rows("a", 1, 0)).await;
    pass(linger).await;
    bench.say(rows("a", 2, 0)).await;
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 1", "rows 1", "at 2"]);
    pass(IDLE_AFTER / 2).await;
    assert_eq!(bench.taken().await, [""; 0]);
    pass(IDLE_AFTER).await;
    assert_eq!(bench.taken().await, ["idle"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_is_not_idle_while_a_marker_waits_for_credit() {
    let mut bench = start(MINUTE * 2).await;
    for epoch in [1, 2] {
        bench.say(rows("a", epoch as i64, 0)).await;
        bench.mark(epoch).await;
    }
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 1", "marker 1", "rows 1", "at 2", "marker 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_is_not_idle_while_rejected_records_wait_for_credit() {
    let mut bench = start(Duration::ZERO).await;
    bench.announce(&["b"]).await;
    bench.say(rows("a", 1, 1)).await;
    bench.say(rows("b", 9, 1)).await;
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["rows 1"]);
    assert!(bench.rejects.next().now_or_never().is_some());
    assert_eq!(bench.taken().await, ["rows 1", "at 1"], "a is as far as it was");
}

#[tokio::test(start_paused = true)]
async fn a_subtask_without_a_split_is_idle_after_the_timeout_and_not_before() {
    let mut bench = Start::default().go();
    pass(IDLE_AFTER / 2).await;
    bench.announce(&[]).await;
    assert_eq!(bench.taken().await, [""; 0]);
    pass(IDLE_AFTER / 2).await;
    assert_eq!(bench.taken().await, ["idle"]);
    bench.announce(&["a"]).await;
    assert_eq!(bench.taken().await, ["at the beginning"], "there is something to read");
}

#[tokio::test(start_paused = true)]
async fn a_subtask_that_has_read_its_last_split_is_idle_after_the_timeout_and_not_before() {
    let mut bench = start(Duration::ZERO).await;
    bench.say(rows("a", 5, 0)).await;
    bench.finish("a").await;
    pass(IDLE_AFTER * 9 / 10).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 5"]);
    pass(IDLE_AFTER / 5).await;
    assert_eq!(bench.taken().await, ["idle"]);
}

#[tokio::test(start_paused = true)]
async fn a_subtask_without_a_split_says_what_it_is_told_of_the_table() {
    let mut bench = start(Duration::ZERO).await;
    let table = |time| Element::Watermark(Watermark::At(EventTime(time)));
    bench.tell(table(3)).await;
    bench.say(rows("a", 5, 0)).await;
    bench.tell(table(4)).await;
    pass(TICK * 2).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 5"], "it speaks for itself");
    assert_eq!(bench.reported().await, ["at 5"]);
    bench.finish("a").await;
    assert_eq!(bench.reported().await, ["at 5", "idle"], "at once: others may wait for it");
    bench.tell(table(9)).await;
    assert_eq!(bench.taken().await, ["at 9"]);
    // The others go on, and so this one is not idle.
    for time in 10..20 {
        pass(IDLE_AFTER / 2).await;
        bench.tell(table(time)).await;
        assert_eq!(bench.taken().await, [format!("at {time}")]);
    }
    assert_eq!(bench.reported().await, [""; 0], "it says nothing but what it has been told");
    bench.announce(&["b"]).await;
    bench.tell(table(30)).await;
    assert_eq!(bench.taken().await, [""; 0], "b is unread");
}

#[tokio::test(start_paused = true)]
async fn a_split_that_was_read_between_two_looks_at_the_clock_is_reported() {
    let mut bench = start(Duration::ZERO).await;
    bench.say(rows("a", 5, 0)).await;
    bench.finish("a").await;
    assert_eq!(bench.reported().await, ["at 5", "idle"]);
}

#[tokio::test(start_paused = true)]
async fn all_is_over_when_all_was_announced_and_all_own_splits_are_read() {
    let mut bench = Start { idle_after: None, ..Start::default() }.go();
    bench.announce(&["a", "of the other", "b"]).await;
    bench.tell(Element::Watermark(Watermark::At(EventTime::MAX))).await;
    assert_eq!(bench.heard(), ["a", "b"]);
    bench.say(rows("b", 9, 0)).await;
    bench.finish("b").await;
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["rows 1"], "a is unread");
    assert!(bench.exhausted.try_recv().is_err());
    bench.finish("a").await;
    assert_eq!(bench.taken().await, ["at the end"]);
    bench.exhausted.try_recv().unwrap();
    bench.tell(Element::Marker(Marker { epoch: Epoch(1), kind: MarkerKind::Stop })).await;
    assert_eq!(bench.taken().await, ["marker 1", "end"]);
    assert!(!bench.running.is_finished(), "the discovery's end is to come");
    bench.tell(Element::End).await;
    assert_eq!(bench.reported().await, ["end"]);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_holds_the_own_splits_that_were_announced_before_its_marker() {
    let mut bench = Start::default().go();
    bench.announce(&["begun", "of the other", "unread", "of the other, too"]).await;
    bench.say(rows("begun", 5, 0)).await;
    let state = |split: &str, position: Option<&str>, watermark| SplitState {
        position: position.map(str::to_owned),
        watermark,
        ..SplitState::new(split.into())
    };
    let first = [state("begun", Some("7"), EventTime(5)), state("unread", None, EventTime::MIN)];
    assert_eq!(bench.checkpoint(1).await, first);
    assert_eq!(bench.checkpoint(2).await, [], "nothing has moved");
    bench.finish("begun").await;
    let finished = SplitState { finished: true, ..SplitState::new("begun".into()) };
    assert_eq!(bench.checkpoint(3).await, std::slice::from_ref(&finished));

    // The splits of another subtask are in the table too, and may be this one's now.
    let moved = state("begun 2", Some("6"), EventTime(4));
    let restored = vec![finished, first[1].clone(), moved];
    let mut bench = Start { restored, emitted: EventTime(4), ..Start::default() }.go();
    bench.announce(&["begun", "of the other", "begun 2", "of the other, too", "unread"]).await;
    assert_eq!(bench.heard(), ["begun 2 from 6", "unread"]);
    bench.say(rows("begun 2", 8, 0)).await;
    bench.finish("begun 2").await;
    assert_eq!(bench.taken().await, ["at 4", "rows 1"], "nothing is known of what is unread");
}

#[tokio::test(start_paused = true)]
async fn a_split_that_is_forgotten_leaves_no_state_and_is_new_when_it_comes_again() {
    let mut bench = Start::default().go();
    bench.announce(&["a", "of the other"]).await;
    bench.finish("a").await;
    assert_eq!(bench.checkpoint(1).await.len(), 1);
    let forgotten = bench.announced.forget(&["a".into(), "of the other".into()]);
    assert_eq!(forgotten.len(), 2);
    let rows = announcements::encode(&forgotten).unwrap();
    bench.discovery.send(Batch::append(rows)).await.unwrap();
    settle().await;
    let deleted = bench.checkpoint(2).await;
    assert_eq!(deleted, [SplitState::new("a".into())], "the other one is not its own");
    bench.announce(&["a"]).await;
    assert_eq!(bench.heard(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_end_is_an_error() {
    let mut bench = Start { emitted: EventTime::MAX, ..Start::default() }.go();
    bench.announce(&["new"]).await;
    let Err(Interrupt::Failed(error)) = bench.running.await.unwrap() else { panic!("it goes on") };
    assert!(error.to_string().contains("now there is more: new"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_limited_source_is_not_asked_for_more_and_does_not_count_as_idle_meanwhile() {
    // Half of it is the other subtask's: two seconds a row.
    let mut bench = Start { limit: Some(RateLimit::new(1, 2)), ..Start::default() }.go();
    bench.announce(&["a"]).await;
    for time in 1..=4 {
        bench.events.send(rows("a", time, 0)).await.unwrap();
    }
    settle().await;
    assert_eq!(bench.taken().await, ["rows 1", "at 1"]);
    for time in 2..=4 {
        pass(IDLE_AFTER * 19 / 10).await;
        bench.mark(time).await;
        assert_eq!(bench.taken().await, [format!("marker {time}")], "a marker is not held up");
        pass(IDLE_AFTER / 10).await;
        assert_eq!(bench.taken().await, ["rows 1".to_owned(), format!("at {time}")]);
    }
    pass(IDLE_AFTER * 33 / 10).await;
    assert_eq!(bench.taken().await, ["idle"], "it was asked for a second, and had nothing");
}

#[tokio::test(start_paused = true)]
async fn a_source_hears_of_commits() {
    let mut bench = start(Duration::ZERO).await;
    bench.heard();
    bench.completed.send_replace(Epoch(3));
    settle().await;
    assert_eq!(bench.heard(), ["completed 3"]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_subtask_that_gets_a_split_reads_it_behind_the_next_marker() {
    let mut bench = Start::default().go();
    bench.fall_idle(1).await;
    assert_eq!(bench.taken().await, ["idle", "marker 1"]);
    pass(MINUTE).await;
    assert_eq!(bench.asked(), 0, "nothing waits for it");
    bench.announce(&["a"]).await;
    assert_eq!(bench.asked(), 1);
    bench.say(rows("a", 5, 0)).await;
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["at the beginning"]);
    assert!(bench.asked() > 1, "a marker that was asked for may have been lost with whoever heard it");
    pass(TICK * 10).await;
    bench.mark(2).await;
    assert_eq!(bench.taken().await, ["marker 2", "rows 1", "at 5"], "that nobody listens does not hold it up");
    bench.asked();
    bench.say(rows("a", 6, 0)).await;
    pass(TICK * 2).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 6"], "it is awake");
    assert_eq!(bench.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn rows_that_come_to_an_idle_subtask_belong_behind_the_next_marker() {
    let mut bench = Start::default().go();
    bench.announce(&["begun"]).await;
    bench.say(rows("begun", 5, 0)).await;
    let first = bench.checkpoint(1).await;
    bench.fall_idle(2).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 5", "marker 1", "idle", "marker 2"]);
    // The source stands behind these rows as soon as it has handed them over.
    bench.place.store(8, Relaxed);
    bench.say(rows("begun", 6, 0)).await;
    assert_eq!(bench.asked(), 1);
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["at 5"]);
    assert_eq!(bench.checkpoint(3).await, [], "the checkpoint would lose them");
    assert_eq!(bench.taken().await, ["marker 3", "rows 1", "at 6"]);
    assert_ne!(bench.checkpoint(4).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_subtask_that_has_woken_up_with_the_table_does_not_read_before_a_marker_either() {
    let mut bench = Start::default().go();
    bench.fall_idle(1).await;
    bench.tell(Element::Watermark(Watermark::At(EventTime(3)))).await;
    assert_eq!(bench.taken().await, ["idle", "marker 1", "at 3"]);
    assert_eq!(bench.asked(), 0, "nothing waits for it");
    bench.announce(&["a"]).await;
    assert_eq!(bench.asked(), 1);
    bench.say(rows("a", 5, 0)).await;
    assert_eq!(bench.taken().await, [""; 0], "nobody waits for this subtask yet");
    bench.mark(2).await;
    assert_eq!(bench.taken().await, ["marker 2", "rows 1", "at 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_subtask_that_says_that_it_is_idle_counts_until_the_next_marker_which_it_asks_for() {
    let mut bench = start(Duration::ZERO).await;
    bench.say(rows("a", 5, 0)).await;
    pass(IDLE_AFTER).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 5", "idle"]);
    assert!(bench.asked() > 0);
    bench.say(rows("a", 6, 0)).await;
    assert_eq!(bench.taken().await, ["rows 1", "at 6"], "others have waited for it all along");
    bench.mark(1).await;
    bench.say(rows("a", 7, 0)).await;
    assert_eq!(bench.taken().await, ["marker 1", "rows 1", "at 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_that_is_announced_while_its_reader_says_that_it_has_none_counts_for_the_table() {
    let mut bench = start(Duration::ZERO).await;
    let mut table = TableTime::new(2);
    table.announced(0);
    table.announced(1);
    bench.say(rows("a", 5, 0)).await;
    bench.finish("a").await;
    let under_way = bench.reports().await;
    assert_eq!(under_way.iter().map(word).collect::<Vec<_>>(), ["at 5", "idle"]);
    table.announced(0);
    bench.announce(&["b"]).await;
    pass(TICK * 2).await;
    for report in under_way.into_iter().chain(bench.reports().await) {
        let Element::Watermark(watermark) = report else { panic!("a report is {report:?}") };
        table.update(0, watermark);
    }
    assert_eq!(table.update(1, Watermark::At(EventTime(100))), Some(EventTime(5)), "b is unread");
}

/// A subtask that had finished the split "a" and sent on that time is at `emitted`.
fn restored(emitted: EventTime) -> Start {
    let finished = SplitState { finished: true, ..SplitState::new("a".into()) };
    Start { idle_after: None, restored: vec![finished], emitted, ..Start::default() }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_subtask_without_splits_goes_on_with_one_whose_splits_are_all_finished() {
    let (joined, _markers) = known_before(&["a"], 2);
    let mut starts = [restored(EventTime(5)), Start { idle_after: None, ..Start::default() }];
    for (start, joined) in starts.iter_mut().zip(joined) {
        start.joined = Some(joined);
    }
    let [mut reader, mut other] = starts.map(Start::go);
    pass(TICK * 2).await;
    assert_eq!(reader.taken().await, ["at 5"]);
    assert_eq!(other.taken().await, ["at 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_waits_for_a_slower_one_of_the_same_subtask_also_when_all_are_known() {
    let mut bench = Start { max_drift: Some(Duration::from_millis(10)), idle_after: None, ..Start::default() }.go();
    bench.announce(&["a", "of the other", "b"]).await;
    bench.tell(Element::Watermark(Watermark::At(EventTime::MAX))).await;
    bench.tell(Element::Watermark(Watermark::Idle)).await;
    bench.say(rows("a", 50, 0)).await;
    bench.say(rows("b", 5, 0)).await;
    assert_eq!(bench.heard(), ["a", "b", "held: a", "held: a b"]);
    bench.taken().await;
    assert_eq!(bench.reported().await, ["at 5"], "at once: others may wait for it");
    let table = |time| Element::Watermark(Watermark::At(EventTime(time)));
    bench.tell(table(5)).await;
    assert_eq!(bench.heard(), ["held: a"]);
    pass(TICK * 2).await;
    bench.tell(table(40)).await;
    assert_eq!(bench.heard(), ["held: "]);
    bench.finish("b").await;
    bench.finish("a").await;
    pass(TICK * 2).await;
    assert_eq!(bench.reported().await, ["at 50", "idle"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_waits_for_a_slower_one_of_another_subtask_until_that_has_come_nearer_or_is_idle() {
    let start = |joined| Start { max_drift: Some(Duration::from_millis(10)), joined: Some(joined), ..Start::default() };
    let (joined, _markers) = known_before(&["fast", "slow"], 2);
    let mut benches: Vec<Bench> = joined.into_iter().map(|joined| start(joined).go()).collect();
    settle().await;
    benches[0].say(rows("fast", 50, 0)).await;
    assert_eq!(benches[0].heard(), ["fast", "held: fast"], "nothing is known of the other");
    for time in [5, 39] {
        benches[1].say(rows("slow", time, 0)).await;
        benches[1].taken().await;
        assert_eq!(benches[0].heard(), [""; 0], "{time} is too far behind");
    }
    benches[1].say(rows("slow", 40, 0)).await;
    benches[0].taken().await;
    benches[1].taken().await;
    pass(TICK * 2).await;
    assert_eq!(benches[0].heard(), ["held: "]);
    benches[0].say(rows("fast", 60, 0)).await;
    benches[0].taken().await;
    assert_eq!(benches[0].heard(), ["held: fast"]);
    pass(IDLE_AFTER * 2).await;
    benches[1].taken().await;
    assert_eq!(benches[0].heard(), ["held: "], "the other is idle");
    assert_eq!(benches[1].heard().last().unwrap(), "held: ", "the slowest waits at most for what it has said itself");
}

#[tokio::test(start_paused = true)]
async fn that_a_table_is_at_its_end_is_not_for_a_reader_to_say() {
    let mut bench = restored(EventTime::MAX).go();
    bench.announce(&["a"]).await;
    pass(TICK * 2).await;
    assert_eq!(bench.reported().await, ["idle"], "the table may have grown since");
}
