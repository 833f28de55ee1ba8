//! What readers hear of a discovery, and when.
#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::task::JoinHandle;
use weir_core::{Epoch, MarkerKind, Split};

use super::*;
use crate::exchange::{ChannelSender, ExchangeLimits, LocalSender, Router, Target};
use crate::metrics::{Spent, SubtaskMetrics};

/// Finds what it is told to; nothing more when nobody can tell it anything. It forgets what has been read.
struct Script(mpsc::Receiver<Vec<Split>>, Vec<Arc<str>>);

#[async_trait]
impl SplitDiscovery for Script {
    async fn next(&mut self) -> weir_core::Result<Option<Vec<Split>>> {
        Ok(self.0.recv().await)
    }

    fn finished(&mut self, sequence: &Arc<str>) {
        self.1.push(sequence.clone());
    }

    fn forgotten(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.1)
    }
}

fn splits(names: &[&str]) -> Vec<Split> {
    let split = |name: &&str| Split { name: (*name).into(), sequence: (*name).into(), description: String::new() };
    names.iter().map(split).collect()
}

/// A discovery for a source of two subtasks.
struct Bench {
    readers: Vec<Gate>,
    reports: Vec<LocalSender>,
    found: Option<mpsc::Sender<Vec<Split>>>,
    markers: mpsc::Sender<Marker>,
    snapshots: mpsc::Receiver<SubtaskSnapshot>,
    metrics: Arc<SubtaskMetrics>,
    running: JoinHandle<Result<(), Interrupt>>,
}

impl Bench {
    fn new(state: DiscoveryState) -> Self {
        // Rows that wait for company would wait for the next marker.
        let limits = ExchangeLimits { linger: Duration::from_secs(3600), ..ExchangeLimits::default() };
        let (mut readers, mut channels) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (gate, mut inlets) = Gate::new(1, limits.credit_bytes);
            readers.push(gate);
            channels.push(ChannelSender::Local(LocalSender::from(inlets.remove(0))));
        }
        let (reports, inlets) = Gate::new(2, limits.credit_bytes);
        let (found, finding) = mpsc::channel(4);
        let (markers, marker_receiver) = mpsc::channel(4);
        let (snapshots, snapshot_receiver) = mpsc::channel(4);
        let metrics = Arc::new(SubtaskMetrics::default());
        let subtask = DiscoverySubtask {
            uid: OperatorUid("discover".to_owned()),
            discovery: Box::new(Script(finding, Vec::new())),
            state,
            reports,
            readers: vec![(0, 0), (0, 1)],
            outputs: Outputs {
                sink: None,
                main: vec![Router::new(Target::Broadcast, channels, 0, limits)],
                side: Vec::new(),
                metrics: metrics.clone(),
            },
            markers: marker_receiver,
            snapshots,
        };
        Self {
            readers,
            reports: inlets.into_iter().map(LocalSender::from).collect(),
            found: Some(found),
            markers,
            snapshots: snapshot_receiver,
            metrics: metrics.clone(),
            running: tokio::spawn(async move { metrics.running(subtask.run()).await }),
        }
    }

    async fn find(&self, names: &[&str]) {
        self.found.as_ref().unwrap().send(splits(names)).await.unwrap();
        settle().await;
    }

    async fn mark(&self, epoch: u64, kind: MarkerKind) {
        self.markers.send(Marker { epoch: Epoch(epoch), kind }).await.unwrap();
        settle().await;
    }

    async fn report(&mut self, reader: usize, watermark: Watermark) {
        self.reports[reader].send_control(Element::Watermark(watermark)).unwrap();
        settle().await;
    }

    /// What all readers have heard, which has to be the same.
    async fn heard(&mut self) -> Vec<String> {
        settle().await;
        let heard: Vec<Vec<String>> = self
            .readers
            .iter_mut()
            .map(|gate| std::iter::from_fn(|| gate.next().now_or_never()).map(|(_, element)| word(&element)).collect())
            .collect();
        assert_eq!(heard[0], heard[1]);
        heard[0].clone()
    }

    /// The splits that a checkpoint adds.
    fn captured(&mut self) -> Vec<String> {
        let mut snapshot = self.snapshots.try_recv().unwrap();
        let (_, capture) = snapshot.nodes.remove(0).tables.remove(0);
        let rows = (capture.rows)().unwrap();
        rows.iter()
            .flat_map(|rows| announcements::decode(&rows.rows).unwrap())
            .map(|announced| numbered(&announced))
            .collect()
    }
}

fn numbered(announced: &Announced) -> String {
    let forgotten = if announced.is_forgotten { "not " } else { "" };
    format!("{forgotten}{} {}", announced.number, announced.split.name)
}

fn word(element: &Element) -> String {
    match element {
        Element::Batch(batch) => {
            announcements::decode(batch.records()).unwrap().iter().map(numbered).collect::<Vec<_>>().join(", ")
        }
        Element::Watermark(Watermark::At(EventTime::MAX)) => "no more".to_owned(),
        Element::Watermark(watermark) => format!("{watermark:?}"),
        Element::Marker(marker) => format!("marker {}", marker.epoch),
        Element::End => "end".to_owned(),
    }
}

fn at(time: i64) -> Watermark {
    Watermark::At(EventTime(time))
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_checkpoint_holds_what_was_announced_in_front_of_its_marker() {
    let mut bench = Bench::new(DiscoveryState::default());
    bench.find(&["a", "b"]).await;
    bench.mark(1, MarkerKind::Checkpoint).await;
    bench.find(&["c"]).await;
    bench.mark(2, MarkerKind::Flush).await;
    bench.mark(3, MarkerKind::Checkpoint).await;
    assert_eq!(bench.heard().await, ["0 a, 1 b", "marker 1", "2 c", "marker 2", "marker 3"]);
    assert_eq!(bench.captured(), ["0 a", "1 b"]);
    assert_eq!(bench.captured(), ["2 c"]);
}

#[tokio::test]
async fn what_was_announced_before_a_restart_is_announced_again() {
    let mut state = DiscoveryState::default();
    state.announce(splits(&["a", "b"]));
    let mut bench = Bench::new(DiscoveryState::restored(state.announced().cloned().collect()));
    bench.mark(1, MarkerKind::Checkpoint).await;
    bench.find(&[]).await;
    bench.find(&["c"]).await;
    assert_eq!(bench.heard().await, ["marker 1", "0 a, 1 b", "2 c"]);
    assert_eq!(bench.captured(), [""; 0]);
}

#[tokio::test]
async fn what_came_while_nothing_ran_is_announced_with_what_was_known() {
    let mut state = DiscoveryState::default();
    state.announce(splits(&["a", "b"]));
    let mut bench = Bench::new(DiscoveryState::restored(state.announced().cloned().collect()));
    assert_eq!(bench.heard().await, [""; 0], "it has not been looked for more");
    bench.find(&["c"]).await;
    assert_eq!(bench.heard().await, ["0 a, 1 b, 2 c"]);
    bench.mark(1, MarkerKind::Checkpoint).await;
    assert_eq!(bench.captured(), ["2 c"]);
}

#[tokio::test]
async fn what_all_have_read_is_forgotten_in_front_of_a_marker_that_captures() {
    let mut bench = Bench::new(DiscoveryState::default());
    bench.find(&["a", "b", "c"]).await;
    bench.mark(1, MarkerKind::Checkpoint).await;
    assert_eq!(bench.captured(), ["0 a", "1 b", "2 c"]);
    let finished = announcements::encode_finished(&[0, 2]).unwrap();
    bench.reports[0].send(Batch::append(finished)).await.unwrap();
    bench.mark(2, MarkerKind::Flush).await;
    bench.mark(3, MarkerKind::Checkpoint).await;
    let heard = bench.heard().await;
    assert_eq!(heard, ["0 a, 1 b, 2 c", "marker 1", "marker 2", "not 0 a, not 2 c", "marker 3"]);
    assert_eq!(bench.captured(), ["0 a", "2 c"], "that they are gone");
    bench.find(&["a"]).await;
    assert_eq!(bench.heard().await, ["3 a"], "it has come again");
}

#[tokio::test]
async fn readers_hear_how_far_the_table_is() {
    let mut bench = Bench::new(DiscoveryState::default());
    bench.find(&["a", "b"]).await;
    bench.report(0, at(10)).await;
    assert_eq!(bench.heard().await, ["0 a, 1 b"], "the other has not read anything");
    bench.report(1, at(5)).await;
    assert_eq!(bench.heard().await, ["At(EventTime(5))"]);
    bench.report(1, Watermark::Idle).await;
    assert_eq!(bench.heard().await, ["At(EventTime(10))"]);
    bench.found = None;
    bench.report(0, at(20)).await;
    let heard = bench.heard().await;
    assert_eq!(heard, ["no more", "Idle", "At(EventTime(20))"], "aligned readers go on to wait for each other");
}

#[tokio::test]
async fn it_ends_when_all_readers_have_ended() {
    let mut bench = Bench::new(DiscoveryState::default());
    bench.mark(1, MarkerKind::Stop).await;
    assert_eq!(bench.heard().await, ["marker 1", "end"]);
    bench.report(0, at(3)).await;
    bench.reports[0].send_control(Element::End).unwrap();
    settle().await;
    assert!(!bench.running.is_finished());
    bench.reports[1].send_control(Element::End).unwrap();
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_finds_nothing_is_idle() {
    let mut bench = Bench::new(DiscoveryState::default());
    bench.find(&["a"]).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    bench.report(0, Watermark::At(EventTime(5))).await;
    let Spent { busy, idle, backpressured } = bench.metrics.spent();
    assert_eq!((busy, backpressured), (Duration::ZERO, Duration::ZERO));
    assert!(idle >= Duration::from_secs(60));
}
