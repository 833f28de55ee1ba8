//! What a subtask makes of rows that wait for answers.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::pin::pin;
use std::sync::Mutex;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::FutureExt;
use weir_core::{Batch, Collector, Epoch, EventTime, MarkerKind, Operator, OperatorSpec, OperatorUid, Result};

use super::*;
use crate::chain::Stage;
use crate::exchange::{ChannelSender, ExchangeLimits, LocalSender, Router, Target};
use crate::metrics::{JobMetrics, Position, Subtask};

/// Answers every row that it has when it is asked to.
#[derive(Default)]
struct Asking {
    rows: Vec<Batch>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Operator for Asking {
    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        self.rows.push(batch);
        Ok(())
    }

    fn outstanding(&self) -> Outstanding {
        if self.rows.is_empty() { Outstanding::None } else { Outstanding::Some }
    }

    fn wake_by(&mut self, waker: &Waker) -> Result<()> {
        *self.waker.lock().unwrap() = Some(waker.clone());
        Ok(())
    }

    fn answers(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.rows.drain(..).for_each(|batch| out.emit(batch));
        Ok(None)
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> i64 {
        0
    }
}

fn channel() -> (Gate, LocalSender) {
    let (gate, mut inlets) = Gate::new(1, ExchangeLimits::default().credit_bytes);
    (gate, LocalSender::from(inlets.remove(0)))
}

fn row() -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1));
    Batch::append(RecordBatch::try_from_iter([("n", column)]).unwrap())
}

/// What comes out if the answer comes behind a marker of this kind, and in front of the end.
async fn answered_behind(kind: MarkerKind) -> Vec<&'static str> {
    let (gate, mut input) = channel();
    let (mut output, sender) = channel();
    // A row leaves at once.
    let limits = ExchangeLimits { piece_rows: 1, ..ExchangeLimits::default() };
    let main = vec![Router::new(Target::One, vec![ChannelSender::Local(sender)], 0, limits)];
    let uid = OperatorUid("asking".into());
    let place = Position { vertex: "v".to_owned(), subtask: 0 };
    let metrics = JobMetrics::default().register(place, Subtask::default(), &uid, &OperatorSpec::ProcessingTime);
    let asking = Asking::default();
    let waker = asking.waker.clone();
    let stage = Stage {
        uid,
        operator: Box::new(asking),
        tables: Vec::new(),
        partial: None,
        lookup: None,
        watermark: EventTime::MIN,
        told: false,
        makes_watermarks: false,
        wants_ticks: false,
        awaits_answers: true,
        metrics,
    };
    let (snapshots, mut snapshot) = mpsc::channel(4);
    let subtask = OperatorSubtask {
        gate,
        ordinals: vec![0],
        watermarks: InputWatermarks::new(1, EventTime::MIN),
        chain: OperatorChain::new(vec![stage], 0),
        outputs: Outputs { sink: None, main, side: Vec::new(), metrics: Arc::default() },
        checkpoints: Arc::default(),
        snapshots,
        clock: Arc::new(Still),
    };
    let mut running = pin!(subtask.run());
    input.send(row()).await.unwrap();
    input.send_control(Element::Marker(Marker { epoch: Epoch(1), kind })).unwrap();
    assert!(running.as_mut().now_or_never().is_none(), "it waits for its input");
    snapshot.try_recv().unwrap();
    waker.lock().unwrap().as_ref().unwrap().wake_by_ref();
    assert!(running.as_mut().now_or_never().is_none(), "it waits for its input");
    input.send_control(Element::End).unwrap();
    assert!(running.await.is_ok());
    let mut elements = Vec::new();
    while elements.last() != Some(&"end") {
        elements.push(match output.next().await.1 {
            Element::Batch(_) => "rows",
            Element::Marker(_) => "marker",
            Element::End => "end",
            Element::Watermark(_) => "watermark",
        });
    }
    elements
}

#[tokio::test]
async fn no_answer_leaves_between_the_marker_behind_which_a_job_ends_and_its_end() {
    assert_eq!(answered_behind(MarkerKind::Checkpoint).await, ["marker", "rows", "end"]);
    assert_eq!(answered_behind(MarkerKind::Stop).await, ["marker", "end"], "its call is made again");
}
