#![allow(clippy::unwrap_used)]
use std::collections::{BTreeMap, BTreeSet};
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

/// Positions of splits, and those that are at their end.
#[derive(Default, Clone)]
struct Stored {
    positions: BTreeMap<Arc<str>, String>,
    finished: BTreeSet<Arc<str>>,
}

impl Stored {
    fn add(&mut self, reader: &Reader) {
        let positions = reader.source.positions().into_iter();
        self.positions.extend(positions.map(|position| (position.split, position.position)));
        self.finished.extend(reader.finished.iter().cloned());
    }
}

/// A source with its share of the splits.
struct Reader {
    source: NumberedSource,
    open: usize,
    finished: BTreeSet<Arc<str>>,
}

impl Reader {
    async fn next(&mut self) -> Option<SourceEvent> {
        if self.open == 0 {
            return None;
        }
        let event = self.source.next().await.unwrap();
        if let SourceEvent::SplitFinished { split } = &event {
            self.open -= 1;
            assert!(self.finished.insert(split.clone()));
        }
        Some(event)
    }
}

fn bounded(total: u64) -> Delivery {
    Delivery { total: Some(total), ..Delivery::default() }
}

async fn open(delivery: &Delivery, subtask: usize, parallelism: usize, from: &Stored) -> Reader {
    let context = SourceContext { subtask, parallelism, batch_rows: 50 };
    let mut source = NumberedSource::open(Arc::new(Thirds), delivery.clone(), &context).await.unwrap();
    let all = FixedSplits::new(&DiscoveryContext::default()).next().await.unwrap().unwrap();
    let own = all.into_iter().skip(subtask).step_by(parallelism);
    let (finished, open): (Vec<Split>, Vec<Split>) = own.partition(|split| from.finished.contains(&split.name));
    let assigned = |split: Split| AssignedSplit { position: from.positions.get(&split.name).cloned(), split };
    let count = open.len();
    source.assign(open.into_iter().map(assigned).collect()).unwrap();
    Reader { source, open: count, finished: finished.into_iter().map(|split| split.name).collect() }
}

async fn fresh(delivery: &Delivery, subtask: usize, parallelism: usize) -> Reader {
    open(delivery, subtask, parallelism, &Stored::default()).await
}

fn numbers(records: &RecordBatch) -> Vec<i64> {
    records.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// Reads up to `most` batches; the rows, and whether the end was reached.
async fn read(reader: &mut Reader, most: usize) -> (Vec<i64>, bool) {
    let (mut rows, mut batches) = (Vec::new(), 0);
    while batches < most {
        match reader.next().await {
            Some(SourceEvent::Rows { records, .. }) => {
                rows.extend(numbers(&records));
                batches += 1;
            }
            Some(SourceEvent::SplitFinished { .. } | SourceEvent::Time { .. }) => {}
            None => return (rows, true),
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
                let mut source = fresh(&bounded(total), subtask, parallelism).await;
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
    let mut source = fresh(&delivery, 0, 1).await;
    assert!(source.source.preloaded.is_some());
    assert_eq!(read(&mut source, usize::MAX).await.0, every_third(10_500));
    // Those of a restart are made as they are read.
    let mut first = fresh(&delivery, 0, 1).await;
    let mut rows = read(&mut first, 7).await.0;
    let mut stored = Stored::default();
    stored.add(&first);
    for subtask in 0..2 {
        let mut restored = open(&delivery, subtask, 2, &stored).await;
        assert!(restored.source.preloaded.is_none());
        rows.extend(read(&mut restored, usize::MAX).await.0);
    }
    rows.sort_unstable();
    assert_eq!(rows, every_third(10_500));
}

/// Stops every subtask after a different number of batches, goes on with another parallelism, and again.
#[tokio::test]
async fn a_rescale_reads_every_number_once() {
    let total = 130_000;
    for batches in 0..12 {
        let (mut all, mut stored) = (Vec::new(), Stored::default());
        for (round, parallelism) in [2, 5, 1, 3].into_iter().enumerate() {
            let last = round == 3;
            let mut reached = Stored::default();
            for subtask in 0..parallelism {
                let mut source = open(&bounded(total), subtask, parallelism, &stored).await;
                let most = if last { usize::MAX } else { batches * (subtask + 1) };
                let (rows, _) = read(&mut source, most).await;
                all.extend(rows);
                reached.add(&source);
            }
            stored = reached;
            assert_eq!(stored.positions.len() + stored.finished.len(), 64, "every split has a position");
        }
        assert_eq!(stored.finished.len(), 64);
        all.sort_unstable();
        assert_eq!(all, every_third(total as i64), "stopped after {batches} batches");
    }
}

/// What the subtask loop makes of the source's events: no row may come at or behind the watermark.
#[tokio::test]
async fn one_sequence_speaks_for_all_splits_also_after_a_rescale() {
    let total = 200_000;
    let mut times: BTreeMap<Arc<str>, EventTime> = BTreeMap::new();
    let (mut stored, mut watermark) = (Stored::default(), EventTime::MIN);
    for parallelism in [3, 2, 4, 1] {
        let (mut reached, mut arrived, mut lowest) = (Stored::default(), BTreeMap::new(), EventTime::MAX);
        for subtask in 0..parallelism {
            let mut reader = open(&bounded(total), subtask, parallelism, &stored).await;
            let mut splits = SplitWatermarks::new(watermark, None);
            for position in reader.source.positions() {
                let time = times.get(&position.split).copied().unwrap_or(EventTime::MIN);
                splits.add(position.split, "numbers".into(), time);
            }
            let mut current = watermark;
            // Subtasks get differently far.
            let mut batches = if parallelism == 1 { usize::MAX } else { 40 + 90 * subtask };
            while batches > 0
                && let Some(event) = reader.next().await
            {
                match event {
                    SourceEvent::Rows { split, records, .. } => {
                        let rows = numbers(&records);
                        assert!(rows[0] > current.0, "row {} at watermark {current:?}", rows[0]);
                        splits.observe(&split, EventTime(*rows.last().unwrap()), Duration::ZERO);
                        batches -= 1;
                    }
                    SourceEvent::SplitFinished { split } => splits.finish(&split, Duration::ZERO),
                    SourceEvent::Time { .. } => panic!("its rows say what time it is"),
                }
                match splits.advance(Duration::ZERO) {
                    Some(Watermark::At(time)) => current = time,
                    Some(Watermark::Idle) => panic!("nothing is ever idle"),
                    None => {}
                }
            }
            lowest = lowest.min(current);
            let positions = reader.source.positions().into_iter();
            arrived.extend(positions.map(|position| (position.split.clone(), splits.of(&position.split))));
            reached.add(&reader);
        }
        (stored, times, watermark) = (reached, arrived, lowest);
        assert!(watermark > EventTime::MIN, "the watermark advances with every subtask");
    }
    // The very last blocks were read by the subtask that was ahead in the round before.
    assert!(watermark.0 >= total as i64 - 5_000, "{watermark}");
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_kept_and_giving_up_a_wait_loses_nothing() {
    let delivery = Delivery { pace: Some(600), ..bounded(6_000) };
    let mut reader = fresh(&delivery, 0, 1).await;
    let begin = tokio::time::Instant::now();
    let mut rows = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(7), reader.next()).await {
            Err(_) => {}
            Ok(Some(SourceEvent::Rows { records, .. })) => {
                rows.extend(numbers(&records));
                // The first batch, of 30 numbers, comes at once.
                let due = (*rows.last().unwrap() as u128 * 1000 / 600).saturating_sub(50);
                assert!(begin.elapsed().as_millis() >= due, "not before its time");
                assert!(begin.elapsed().as_millis() <= due + 60, "not long after it");
            }
            Ok(Some(SourceEvent::SplitFinished { .. } | SourceEvent::Time { .. })) => {}
            Ok(None) => break,
        }
    }
    assert_eq!(rows, every_third(6_000));
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_gets_on_however_often_it_is_started() {
    let delivery = Delivery { pace: Some(1), ..Delivery::default() };
    for _ in 0..3 {
        let mut reader = fresh(&delivery, 0, 1).await;
        let first = tokio::time::timeout(Duration::from_millis(10), reader.next()).await;
        assert!(matches!(first, Ok(Some(SourceEvent::Rows { .. }))), "{first:?}");
        let second = tokio::time::timeout(Duration::from_millis(990), reader.next()).await;
        assert!(second.is_err(), "the next row is three numbers, and as many seconds, later: {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_paced_source_that_nobody_asks_falls_behind_its_pace() {
    let delivery = Delivery { pace: Some(60_000), ..Delivery::default() };
    let mut reader = fresh(&delivery, 0, 2).await;
    let lag = async |reader: &mut Reader, pass: u64| {
        assert!(matches!(reader.next().await, Some(SourceEvent::Rows { .. })));
        tokio::time::advance(Duration::from_millis(pass)).await;
        let lag = reader.source.lag();
        let longest = lag.iter().filter_map(|split| split.time).max().unwrap_or_default();
        (lag.iter().filter_map(|split| split.records).sum::<u64>(), longest.as_millis())
    };
    assert!(lag(&mut reader, 0).await.0 <= 60, "timers have steps of a millisecond");
    let (records, time) = lag(&mut reader, 2000).await;
    // Half of what two seconds bring, but for a block at the edge.
    assert!((59_000..=61_000).contains(&records), "{records}");
    assert!((1990..=2010).contains(&time), "{time} ms");
}

#[tokio::test]
async fn a_foreign_position_is_refused() {
    for (name, position) in [("1", ""), ("1", "x"), ("1", "0"), ("1", "2000"), ("1", "-1"), ("64", "64000"), ("x", "0")]
    {
        let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: 50 };
        let mut source = NumberedSource::open(Arc::new(Thirds), bounded(9), &context).await.unwrap();
        let split = Split { name: name.into(), sequence: "numbers".into(), description: String::new() };
        let assigned = source.assign(vec![AssignedSplit { split, position: Some(position.to_owned()) }]);
        let kind = assigned.err().map(|error| error.kind());
        assert_eq!(kind, Some(weir_core::ErrorKind::Data), "{position} of {name}");
    }
}
