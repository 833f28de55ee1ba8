#![allow(clippy::unwrap_used)]
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use weir_core::{EventTime, SplitWatermarks, Watermark};

use super::*;

/// Every third number is a row that holds the number.
struct Thirds;

impl Generator for Thirds {
    fn numbers_for(&self, rows: usize) -> u64 {
        rows as u64 * 3
    }

    fn generate(&self, numbers: &[Range<u64>]) -> Result<RecordBatch> {
        let rows = numbers.iter().cloned().flatten().filter(|number| number % 3 == 0).map(|number| number as i64);
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
        Ok(RecordBatch::try_from_iter([("number", column)])?)
    }
}

fn context(subtask: usize, parallelism: usize, restored: &[SplitPosition]) -> SourceContext {
    SourceContext { subtask, parallelism, restored: restored.to_vec(), batch_rows: 50 }
}

fn bounded(total: u64) -> Delivery {
    Delivery { total: Some(total), ..Delivery::default() }
}

async fn open(delivery: &Delivery, context: &SourceContext) -> NumberedSource {
    NumberedSource::open(Arc::new(Thirds), delivery.clone(), context).await.unwrap()
}

fn numbers(records: &RecordBatch) -> Vec<i64> {
    records.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// Reads up to `most` batches; the rows, and whether the end was reached.
async fn read(source: &mut NumberedSource, most: usize) -> (Vec<i64>, bool) {
    let (mut rows, mut batches) = (Vec::new(), 0);
    while batches < most {
        match source.next().await.unwrap() {
            SourceEvent::Rows { records, .. } => {
                rows.extend(numbers(&records));
                batches += 1;
            }
            SourceEvent::End => return (rows, true),
            SourceEvent::SplitAdded { .. } | SourceEvent::SplitFinished { .. } => {}
        }
    }
    (rows, false)
}

fn every_third(total: i64) -> Vec<i64> {
    (0..total).step_by(3).collect()
}

#[tokio::test]
async fn every_number_is_read_once_under_every_parallelism_and_in_order_within_a_subtask() {
    for total in [0, 1, 999, 1000, 1001, 64_000, 64_001, 150_123] {
        for parallelism in [1, 2, 3, 5, 70] {
            let mut all = Vec::new();
            for subtask in 0..parallelism {
                let mut source = open(&bounded(total), &context(subtask, parallelism, &[])).await;
                let (rows, ended) = read(&mut source, usize::MAX).await;
                assert!(ended && rows.is_sorted(), "total {total}, subtask {subtask} of {parallelism}");
                all.extend(rows);
            }
            all.sort_unstable();
            assert_eq!(all, every_third(total as i64), "total {total}, parallelism {parallelism}");
        }
    }
}

#[tokio::test]
async fn rows_made_in_advance_are_the_same() {
    let delivery = Delivery { preload: true, ..bounded(10_500) };
    let mut source = open(&delivery, &context(0, 1, &[])).await;
    assert_eq!(read(&mut source, usize::MAX).await.0, every_third(10_500));
}

/// Stops every subtask after a different number of batches, goes on with another parallelism, and again.
#[tokio::test]
async fn a_rescale_reads_every_number_once() {
    let total = 130_000;
    for batches in 0..12 {
        let (mut all, mut positions) = (Vec::new(), Vec::new());
        for (round, parallelism) in [2, 5, 1, 3].into_iter().enumerate() {
            let last = round == 3;
            let mut reached = Vec::new();
            for subtask in 0..parallelism {
                let mut source = open(&bounded(total), &context(subtask, parallelism, &positions)).await;
                let most = if last { usize::MAX } else { batches * (subtask + 1) };
                let (rows, _) = read(&mut source, most).await;
                all.extend(rows);
                reached.extend(source.positions());
            }
            positions = reached;
            assert_eq!(positions.len(), 64, "every split has a position");
        }
        assert!(positions.iter().all(|position| position.finished));
        all.sort_unstable();
        assert_eq!(all, every_third(total as i64), "stopped after {batches} batches");
    }
}

/// What the subtask loop makes of the source's events: no row may come at or behind the watermark.
#[tokio::test]
async fn the_lead_speaks_for_all_splits_also_after_a_rescale() {
    let total = 200_000;
    let mut stored: Vec<(Arc<str>, EventTime)> = Vec::new();
    let (mut positions, mut watermark) = (Vec::new(), EventTime::MIN);
    for parallelism in [3, 2, 4, 1] {
        let (mut reached, mut times, mut lowest) = (Vec::new(), Vec::new(), EventTime::MAX);
        for subtask in 0..parallelism {
            let mut source = open(&bounded(total), &context(subtask, parallelism, &positions)).await;
            let mut splits = SplitWatermarks::new(watermark, None);
            let mut current = watermark;
            // Subtasks get differently far.
            let mut batches = if parallelism == 1 { usize::MAX } else { 40 + 90 * subtask };
            while batches > 0 {
                match source.next().await.unwrap() {
                    SourceEvent::SplitAdded { split, holds_watermark } => {
                        let time =
                            stored.iter().find(|(name, _)| *name == split).map_or(EventTime::MIN, |(_, time)| *time);
                        splits.add(split, holds_watermark, time);
                    }
                    SourceEvent::Rows { split, records, .. } => {
                        let rows = numbers(&records);
                        assert!(rows[0] > current.0, "row {} at watermark {current:?}", rows[0]);
                        splits.observe(&split, EventTime(*rows.last().unwrap()), Duration::ZERO);
                        batches -= 1;
                    }
                    SourceEvent::SplitFinished { split } => splits.finish(&split),
                    SourceEvent::End => break,
                }
                match splits.advance(Duration::ZERO) {
                    Some(Watermark::At(time)) => current = time,
                    Some(Watermark::Idle) => assert!(source.positions().iter().all(|position| position.finished)),
                    None => {}
                }
            }
            lowest = lowest.min(current);
            reached.extend(source.positions());
            times
                .extend(source.positions().iter().map(|position| (position.split.clone(), splits.of(&position.split))));
        }
        (positions, stored, watermark) = (reached, times, lowest);
        assert!(watermark > EventTime::MIN, "the watermark advances with every subtask");
    }
    // The very last blocks were read by the subtask that was ahead in the round before.
    assert!(watermark.0 >= total as i64 - 5_000, "{watermark}");
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_kept_and_giving_up_a_wait_loses_nothing() {
    let delivery = Delivery { pace: Some(600), ..bounded(6_000) };
    let mut source = open(&delivery, &context(0, 1, &[])).await;
    let begin = tokio::time::Instant::now();
    let mut rows = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(7), source.next()).await {
            Err(_) => {}
            Ok(Ok(SourceEvent::Rows { records, .. })) => {
                rows.extend(numbers(&records));
                let due = *rows.last().unwrap() as u128 * 1000 / 600;
                assert!(begin.elapsed().as_millis() >= due, "not before its time");
                assert!(begin.elapsed().as_millis() <= due + 60, "not long after it");
            }
            Ok(Ok(SourceEvent::End)) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(rows, every_third(6_000));
}

#[tokio::test]
async fn a_foreign_position_is_refused() {
    let position =
        |position: &str| vec![SplitPosition { split: "1".into(), position: position.to_owned(), finished: false }];
    for wrong in ["", "x", "0", "2000", "-1"] {
        let opened = NumberedSource::open(Arc::new(Thirds), bounded(9), &context(0, 1, &position(wrong))).await;
        assert_eq!(opened.err().map(|error| error.kind()), Some(weir_core::ErrorKind::Data), "{wrong}");
    }
}
