//! What goes from one subtask to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::FutureExt;
use weir_core::{Batch, Element, EventTime, Watermark};
use weir_worker::ExchangeLimits;
use weir_worker::testing::{ChannelSender, Gate, LocalSender, Origin, Router, Target};

fn rows() -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    Batch::append(RecordBatch::try_from_iter([("n", column)]).unwrap())
}

/// The elements that wait in a gate, in a word each.
fn arrived(gate: &mut Gate) -> Vec<String> {
    let next = || gate.next().now_or_never();
    let word = |(_, element)| match element {
        Element::Batch(_) => "rows".to_owned(),
        Element::Watermark(Watermark::At(time)) => time.0.to_string(),
        Element::Watermark(Watermark::Idle) => "idle".to_owned(),
        other => format!("{other:?}"),
    };
    std::iter::from_fn(next).map(word).collect()
}

/// What a sender in another process hears of its reader.
#[derive(Debug, Default)]
struct Credit(AtomicUsize);

impl Origin for Credit {
    fn taken(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn abandoned(&self) {}
}

/// Else it never sends more than fits into one window.
pub fn a_sender_hears_what_its_reader_has_taken() {
    let (mut gate, inlets) = Gate::new(1, 100);
    let credit = Arc::new(Credit::default());
    inlets[0].attach(credit.clone()).unwrap();
    for bytes in [60, 70] {
        inlets[0].deliver(Element::Batch(rows()), bytes).unwrap();
    }
    assert_eq!(arrived(&mut gate), ["rows", "rows"]);
    assert_eq!(credit.0.load(Ordering::Relaxed), 130);
}

/// If all inputs of a reader are idle, it is how far they have come that counts.
pub fn a_sender_that_falls_idle_says_how_far_it_has_come() {
    let (mut gate, mut inlets) = Gate::new(1, 100);
    let sender = ChannelSender::Local(LocalSender::from(inlets.remove(0)));
    let mut router = Router::new(Target::One, vec![sender], 0, ExchangeLimits::default());
    let says = [Element::Batch(rows()), Element::Watermark(Watermark::At(EventTime(10)))];
    for element in says.into_iter().chain([Element::Watermark(Watermark::Idle)]) {
        router.send(element).now_or_never().unwrap().unwrap();
    }
    assert!(arrived(&mut gate).is_empty(), "rows wait for company");
    router.flush().now_or_never().unwrap().unwrap();
    assert_eq!(arrived(&mut gate), ["rows", "10", "idle"]);
}
