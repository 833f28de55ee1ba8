use std::collections::VecDeque;
use std::sync::Mutex;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use tokio::sync::oneshot;
use weir_core::{Collector, JoinType, LookupJoinSpec, SourceSpec, TableSpec};
use weir_functions::Functions;

use super::*;
use crate::blocking::Work;

/// Answers in order, and what it was asked.
struct Answers {
    answers: VecDeque<Found>,
    asked: Arc<Mutex<Vec<Option<Vec<i64>>>>>,
    wants_keys: bool,
}

#[async_trait]
impl LookupTable for Answers {
    fn wants_keys(&self) -> bool {
        self.wants_keys
    }

    async fn look_up(&mut self, _now: i64, keys: Option<&RecordBatch>) -> Result<Found> {
        self.asked.lock().unwrap().push(keys.map(numbers));
        Ok(self.answers.pop_front().unwrap_or(Found::AsBefore))
    }
}

/// Notes how many rows it is to look up in.
#[derive(Default)]
struct Looking(Vec<usize>);

impl Operator for Looking {
    fn lookup_keys(&self, batch: &Batch) -> Result<RecordBatch> {
        Ok(batch.records().clone())
    }

    fn look_up_in(&mut self, rows: Arc<LookupRows>) -> Result<()> {
        self.0.push(rows.records().num_rows());
        Ok(())
    }

    fn process(&mut self, _ordinal: usize, _batch: Batch, _out: &mut Collector) -> Result<()> {
        Ok(())
    }
}

/// Work that is done when the test says so.
#[derive(Default)]
struct Held(Mutex<Vec<(Work, oneshot::Sender<()>)>>);

impl Held {
    fn release(&self) {
        for (work, done) in self.0.lock().unwrap().drain(..) {
            work();
            let _ = done.send(());
        }
    }
}

impl Blocking for Held {
    fn run(&self, work: Work) -> BoxFuture<'static, Result<()>> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push((work, sender));
        async move { receiver.await.map_err(|_| weir_core::Error::internal("work was given up")) }.boxed()
    }
}

fn records(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

fn numbers(records: &RecordBatch) -> Vec<i64> {
    records.column(0).as_primitive::<Int64Type>().values().to_vec()
}

type Asked = Arc<Mutex<Vec<Option<Vec<i64>>>>>;

fn lookup(answers: impl IntoIterator<Item = Found>, wants_keys: bool) -> (Lookup, Arc<Held>, Asked) {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let table = TableSpec::new("side", "files", Default::default(), schema.clone());
    let source = SourceSpec { table, projection: None, filter: None, watermark: None, rows_per_second: None };
    let spec = LookupJoinSpec {
        join_type: JoinType::Inner,
        on: vec![(0, 0)],
        source,
        calcs: Vec::new(),
        schemas: vec![schema],
        residual: None,
        retracts: false,
    };
    let (held, asked) = (Arc::new(Held::default()), Asked::default());
    let table = Answers { answers: answers.into_iter().collect(), asked: asked.clone(), wants_keys };
    let side = LookupSide::new(spec, Functions::built_in());
    (Lookup::new(Box::new(table), side, held.clone()), held, asked)
}

fn table(rows: i64, at_once: bool) -> Found {
    Found::Table { rows: vec![records(0..rows)], at_once }
}

#[test]
fn only_the_first_table_is_waited_for() {
    let answers = [table(2, false), table(3, false)];
    let (mut lookup, held, asked) = lookup(answers, false);
    let (mut operator, batch) = (Looking::default(), Batch::append(records([7])));
    let mut first = Box::pin(lookup.prepare(&mut operator, &batch, 0));
    assert!((&mut first).now_or_never().is_none(), "there is nothing to look up in yet");
    held.release();
    first.now_or_never().unwrap().unwrap();
    assert_eq!(operator.0, [2]);
    lookup.prepare(&mut operator, &batch, 0).now_or_never().unwrap().unwrap();
    lookup.prepare(&mut operator, &batch, 0).now_or_never().unwrap().unwrap();
    assert_eq!(operator.0, [2], "rows go on while the next one is made ready");
    held.release();
    lookup.prepare(&mut operator, &batch, 0).now_or_never().unwrap().unwrap();
    assert_eq!(operator.0, [2, 3]);
    assert_eq!(*asked.lock().unwrap(), vec![None; 4], "nobody computes keys that are not wanted");
}

#[test]
fn a_table_that_counts_at_once_is_waited_for() {
    let (mut lookup, held, _) = lookup([table(2, false), table(3, true)], false);
    let (mut operator, batch) = (Looking::default(), Batch::append(records([7])));
    for rows in [vec![2], vec![2, 3]] {
        let mut waiting = Box::pin(lookup.prepare(&mut operator, &batch, 0));
        assert!((&mut waiting).now_or_never().is_none(), "it is not ready yet");
        held.release();
        waiting.now_or_never().unwrap().unwrap();
        assert_eq!(operator.0, rows);
    }
}

#[test]
fn rows_of_keys_are_there_before_the_batch_that_looks_for_them() {
    let answers = [Found::OfKeys(vec![records([7])]), Found::OfKeys(vec![records([8, 9]), records([9])])];
    let (mut lookup, _, asked) = lookup(answers, true);
    let mut operator = Looking::default();
    for key in [7, 8] {
        let batch = Batch::append(records([key]));
        lookup.prepare(&mut operator, &batch, 0).now_or_never().unwrap().unwrap();
    }
    assert_eq!(operator.0, [1, 3]);
    assert_eq!(*asked.lock().unwrap(), [Some(vec![7]), Some(vec![8])]);
}
