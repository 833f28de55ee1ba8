//! What a source subtask says of time while others keep it waiting.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures::FutureExt;
use tokio::time::advance;
use weir_core::connector::SplitPosition;
use weir_core::{Epoch, Expr, OperatorSpec, SourceSpec, TableSpec, WatermarkSpec};

use super::*;
use crate::exchange::{ChannelSender, ExchangeLimits, Gate, LocalSender, Router, Target};
use crate::metrics::JobMetrics;
use crate::subtask::SideOutput;

const IDLE_AFTER: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Says what it is told to.
struct Script(mpsc::Receiver<SourceEvent>);

#[async_trait]
impl Source for Script {
    async fn next(&mut self) -> Result<SourceEvent> {
        Ok(self.0.recv().await.unwrap())
    }

    fn positions(&self) -> Vec<SplitPosition> {
        Vec::new()
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
    let table = TableSpec {
        name: "t".to_owned(),
        connector: "script".to_owned(),
        options: BTreeMap::new(),
        schema: schema(),
        projection: None,
        partitioned_by: Vec::new(),
    };
    let watermark = Some(WatermarkSpec { expression: Expr::Column(0), idle_timeout_ms: None });
    SourceSpec { table, projection: None, filter: None, watermark }
}

fn rows(split: &str, time: i64, rejected: usize) -> SourceEvent {
    let records = RecordBatch::try_new(schema(), vec![Arc::new(TimestampMillisecondArray::from(vec![time]))]).unwrap();
    let record = Rejected { origin: "a".into(), offset: 0, raw: Vec::new(), reason: "it is none".to_owned() };
    SourceEvent::Rows { split: split.into(), records, rejected: vec![record; rejected] }
}

/// A subtask whose reader takes a row at a time, and what it needs to live.
struct Bench {
    gate: Gate,
    rejects: Gate,
    events: mpsc::Sender<SourceEvent>,
    commands: mpsc::Sender<Command>,
    _exhausted: mpsc::Receiver<()>,
    _snapshots: mpsc::Receiver<SubtaskSnapshot>,
}

fn router(limits: ExchangeLimits) -> (Gate, Router) {
    let (gate, mut inlets) = Gate::new(1, limits.credit_bytes);
    let sender = ChannelSender::Local(LocalSender::from(inlets.remove(0)));
    (gate, Router::new(Target::One, vec![sender], 0, limits))
}

async fn start(linger: Duration) -> Bench {
    let limits = ExchangeLimits { credit_bytes: 1, piece_rows: 100, linger, ..ExchangeLimits::default() };
    let (gate, main) = router(limits);
    let (rejects, side) = router(ExchangeLimits { piece_rows: 1, ..limits });
    let side = vec![SideOutput { position: 0, port: OutputPort::Rejected, router: side }];
    let (commands, command_receiver) = mpsc::channel(4);
    let (exhausted, exhausted_receiver) = mpsc::channel(1);
    let (snapshots, snapshot_receiver) = mpsc::channel(4);
    let (events, event_receiver) = mpsc::channel(4);
    let uid = OperatorUid("source".to_owned());
    let subtask = SourceSubtask {
        uid: uid.clone(),
        table: "t".to_owned(),
        source: Box::new(Script(event_receiver)),
        scan: Scan::new(&spec(), schema()).unwrap(),
        watermarks: Some(SplitWatermarks::new(EventTime::MIN, Some(IDLE_AFTER))),
        listened: Duration::ZERO,
        restored: Vec::new(),
        state: SourceState::default(),
        metrics: JobMetrics::default().register(&uid, &OperatorSpec::Source(spec())),
        chain: OperatorChain::new(Vec::new(), 1),
        outputs: Outputs { sink: None, main: vec![main], side },
        commands: command_receiver,
        exhausted,
        snapshots,
        clock: Arc::new(TestClock(Instant::now())),
        emitted: EventTime::MIN,
    };
    tokio::spawn(subtask.run());
    let bench =
        Bench { gate, rejects, events, commands, _exhausted: exhausted_receiver, _snapshots: snapshot_receiver };
    bench.say(SourceEvent::SplitAdded { split: "a".into(), holds_watermark: true }).await;
    bench
}

impl Bench {
    async fn say(&self, event: SourceEvent) {
        self.events.send(event).await.unwrap();
        settle().await;
    }

    async fn mark(&self, epoch: u64) {
        let marker = Marker { epoch: Epoch(epoch), kind: MarkerKind::Flush };
        self.commands.send(Command::Marker(marker)).await.unwrap();
        settle().await;
    }

    /// Everything that is there, in a few letters.
    async fn taken(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        // The subtask goes on when there is credit again, and then there may be more.
        loop {
            settle().await;
            let Some((_, element)) = self.gate.next().now_or_never() else { return all };
            all.push(match element {
                Element::Batch(batch) => format!("rows {}", batch.num_rows()),
                Element::Watermark(Watermark::At(time)) => format!("at {}", time.0),
                Element::Watermark(Watermark::Idle) => "idle".to_owned(),
                Element::Marker(marker) => format!("marker {}", marker.epoch),
                Element::End => "end".to_owned(),
            });
        }
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
    bench.say(SourceEvent::SplitAdded { split: "b".into(), holds_watermark: true }).await;
    bench.say(rows("a", 1, 1)).await;
    bench.say(rows("b", 9, 1)).await;
    pass(MINUTE).await;
    assert_eq!(bench.taken().await, ["rows 1"]);
    assert!(bench.rejects.next().now_or_never().is_some());
    assert_eq!(bench.taken().await, ["rows 1", "at 1"], "a is as far as it was");
}
