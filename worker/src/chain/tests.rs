use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::FutureExt;
use weir_core::{Batch, EventTime, OperatorSpec, Watermark};

use super::*;
use crate::metrics::{JobMetrics, Position, Subtask};

/// Holds every batch back until it is released, or until time has come to 100, and owes a row at the end of an epoch.
#[derive(Default)]
struct Holding(Vec<Batch>);

impl Operator for Holding {
    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        self.0.push(batch);
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if time >= EventTime(100) {
            self.release(out)?;
        }
        Ok(Some(time))
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        self.0.drain(..).for_each(|batch| out.emit(batch));
        Ok(())
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        out.emit(rows(1));
        Ok(())
    }
}

fn chain() -> OperatorChain {
    let uid = OperatorUid("holding".into());
    let metrics = JobMetrics::default().register(
        Position { vertex: "v".to_owned(), subtask: 0 },
        Subtask::default(),
        &uid,
        &OperatorSpec::ProcessingTime,
    );
    let operator = Box::<Holding>::default();
    let watermark = EventTime::MIN;
    OperatorChain::new(
        vec![Stage {
            uid,
            operator,
            tables: Vec::new(),
            partial: None,
            lookup: None,
            watermark,
            told: false,
            makes_watermarks: false,
            wants_ticks: false,
            awaits_answers: false,
            metrics,
        }],
        0,
    )
}

fn rows(count: i64) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    Batch::append(RecordBatch::try_from_iter([("n", column)]).unwrap())
}

fn shown(emissions: &[Emission]) -> Vec<String> {
    emissions
        .iter()
        .map(|emission| match emission {
            Emission::Rows { batch, .. } => format!("rows {}", batch.num_rows()),
            Emission::Watermark(watermark) => format!("{watermark:?}"),
        })
        .collect()
}

#[test]
fn rows_leave_before_the_watermark_that_lets_them_go() {
    let (mut chain, mut out) = (chain(), Vec::new());
    chain.process(0, rows(3), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::At(EventTime(99)), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::At(EventTime(100)), &mut out).now_or_never().unwrap().unwrap();
    assert_eq!(shown(&out), ["At(EventTime(99))", "rows 3", "At(EventTime(100))"]);
}

/// Others' time goes on while this input is idle: rows that were held back would be late behind it.
#[test]
fn what_is_held_back_leaves_before_the_word_that_the_input_is_idle() {
    let (mut chain, mut out) = (chain(), Vec::new());
    chain.process(0, rows(3), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::Idle, &mut out).now_or_never().unwrap().unwrap();
    assert_eq!(shown(&out), ["rows 3", "Idle"]);
}

/// What an epoch owes would show a state that no prefix of the input had.
#[test]
fn what_is_owed_at_the_end_of_an_epoch_waits_for_a_marker_though_the_input_is_idle() {
    let (mut chain, mut out) = (chain(), Vec::new());
    chain.process(0, rows(3), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::Idle, &mut out).now_or_never().unwrap().unwrap();
    chain.process(0, rows(2), &mut out).now_or_never().unwrap().unwrap();
    chain.flush(&mut out).now_or_never().unwrap().unwrap();
    assert_eq!(shown(&out), ["rows 3", "Idle", "rows 3"], "two that were held back, and one that is owed");
}

#[test]
fn an_operator_hears_of_each_time_once() {
    let (mut chain, mut out) = (chain(), Vec::new());
    chain.watermark(Watermark::At(EventTime(5)), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::At(EventTime(5)), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::At(EventTime(4)), &mut out).now_or_never().unwrap().unwrap();
    assert_eq!(shown(&out), ["At(EventTime(5))"]);
}

#[test]
fn where_an_earlier_execution_stood_is_passed_on_once() {
    let (mut chain, mut out) = (chain(), Vec::new());
    chain.stages[0].watermark = EventTime(5);
    chain.watermark(Watermark::At(EventTime(4)), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::At(EventTime(5)), &mut out).now_or_never().unwrap().unwrap();
    chain.watermark(Watermark::At(EventTime(5)), &mut out).now_or_never().unwrap().unwrap();
    assert_eq!(shown(&out), ["At(EventTime(5))"]);
}

#[tokio::test]
async fn a_chain_that_is_idle_no_longer_says_so_though_time_is_where_it_was() {
    let mut chain = chain();
    let mut said = Vec::new();
    let at = |time| Watermark::At(EventTime(time));
    for watermark in [at(5), at(5), Watermark::Idle, at(5), at(5)] {
        let mut out = Vec::new();
        chain.watermark(watermark, &mut out).await.unwrap();
        said.push(shown(&out));
    }
    assert_eq!(said[..2], [vec!["At(EventTime(5))".to_owned()], vec![]]);
    assert_eq!(said[2..], [vec!["Idle".to_owned()], vec!["At(EventTime(5))".to_owned()], vec![]]);
}
