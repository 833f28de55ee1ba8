//! Speed of window aggregation on one thread, beside that of a bare hash map, and how long a capture stalls. Speed is by
//! processor time, as Linux tells it; stalls are too short for that and are by the clock on the wall.
//!
//! `cargo bench -p weir-operators --bench aggregate`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a measurement")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use weir_core::{
    AggregateCall, AggregateFunction, Batch, Collector, EventTime, Operator, WindowAggregateSpec, WindowKind,
    WindowSource,
};
use weir_functions::Functions;
use weir_operators::aggregate::{full, partial};

/// Time that this thread has had a processor: other load on the machine does not count.
struct Clock(Duration);

impl Clock {
    fn now() -> Duration {
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
    }

    fn start() -> Self {
        Self(Self::now())
    }

    fn elapsed(&self) -> Duration {
        Self::now() - self.0
    }
}

const BATCH: usize = 8192;
const ROWS: usize = 16 * 1024 * 1024;

fn timestamp(name: &str) -> FieldRef {
    Arc::new(Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), false))
}

fn input() -> SchemaRef {
    let number = |name: &str| Arc::new(Field::new(name, DataType::Int64, true));
    Arc::new(Schema::new(vec![timestamp("time"), number("key"), number("value")]))
}

/// Pseudo-random numbers below `bound`.
fn random(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 32) * bound) >> 32
}

/// `rows_a_second` rows for each second of event time.
fn batches(rows: usize, keys: u64, rows_a_second: i64) -> Vec<RecordBatch> {
    let mut state = 7;
    let batch = |first: usize| {
        let times = (first..first + BATCH).map(|row| row as i64 * 1000 / rows_a_second);
        let keys = (0..BATCH).map(|_| random(&mut state, keys) as i64).collect::<Vec<_>>();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from_iter_values(times)),
            Arc::new(Int64Array::from(keys.clone())),
            Arc::new(Int64Array::from(keys)),
        ];
        RecordBatch::try_new(input(), columns).unwrap()
    };
    (0..rows).step_by(BATCH).map(batch).collect()
}

fn call(function: AggregateFunction, arguments: Vec<usize>) -> AggregateCall {
    AggregateCall {
        name: format!("{function:?}"),
        function,
        arguments,
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        data_type: DataType::Int64,
    }
}

fn spec(window: WindowKind, keys: Vec<usize>, aggregates: Vec<AggregateCall>) -> WindowAggregateSpec {
    WindowAggregateSpec {
        window: WindowSource::Assign { window, time: 0 },
        keys,
        aggregates,
        partial_input: false,
        spread: None,
    }
}

fn output(spec: &WindowAggregateSpec) -> SchemaRef {
    let keys = spec.keys.iter().map(|key| input().fields()[*key].clone());
    let results = spec.aggregates.iter().map(|call| Arc::new(Field::new(&call.name, DataType::Int64, true)));
    let window = ["window_start", "window_end", "window_time"].map(timestamp);
    Arc::new(Schema::new(keys.chain(results).chain(window).collect::<Vec<_>>()))
}

fn operator(spec: &WindowAggregateSpec) -> Box<dyn Operator> {
    full(spec, &input(), &output(spec), "bench", &Functions::built_in()).unwrap()
}

/// Runs all rows through, a watermark behind each batch, and returns the time and the rows that came out.
fn run(operator: &mut dyn Operator, batches: &[RecordBatch]) -> (Duration, usize) {
    let mut out = Collector::new(0);
    let mut emitted = 0;
    let start = Clock::start();
    for batch in batches {
        operator.process(0, Batch::append(batch.clone()), &mut out).unwrap();
        let times = batch.column(0).as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
        operator.watermark(EventTime(times.value(BATCH - 1) - 1), &mut out).unwrap();
        emitted += out.take().iter().map(|(_, batch)| batch.num_rows()).sum::<usize>();
    }
    operator.watermark(EventTime::MAX, &mut out).unwrap();
    emitted += out.take().iter().map(|(_, batch)| batch.num_rows()).sum::<usize>();
    (start.elapsed(), emitted)
}

fn report(name: &str, batches: &[RecordBatch], time: Duration, emitted: usize) {
    let rows = batches.len() * BATCH;
    println!("{name:48} {:8.1} M rows/s, {emitted} rows out", rows as f64 / time.as_secs_f64() / 1e6);
}

fn bare(name: &str, batches: &[RecordBatch]) {
    let start = Clock::start();
    let mut counts: hashbrown::HashMap<i64, i64, foldhash::fast::FixedState> = hashbrown::HashMap::default();
    for batch in batches {
        let keys = batch.column(1).as_any().downcast_ref::<Int64Array>().unwrap();
        keys.values().iter().for_each(|key| *counts.entry(*key).or_default() += 1);
    }
    report(name, batches, start.elapsed(), counts.len());
}

fn captures(keys: i64) {
    use AggregateFunction::{Avg, Count, Max, Sum};
    let average = AggregateCall { data_type: DataType::Float64, ..call(Avg, vec![2]) };
    for (name, calls) in [
        ("count", vec![call(Count, vec![])]),
        ("count, sum, max, avg", vec![call(Count, vec![]), call(Sum, vec![2]), call(Max, vec![2]), average]),
    ] {
        let spec = spec(WindowKind::Tumble { size: 1 << 50, offset: 0 }, vec![1], calls);
        let output = {
            let mut fields = output(&spec).fields().to_vec();
            for (index, call) in spec.aggregates.iter().enumerate() {
                fields[index + 1] = Arc::new(Field::new(&call.name, call.data_type.clone(), true));
            }
            Arc::new(Schema::new(fields))
        };
        let mut operator = full(&spec, &input(), &output, "bench", &Functions::built_in()).unwrap();
        let mut out = Collector::new(0);
        let mut touch = |operator: &mut Box<dyn Operator>, step: usize| {
            let touched: Vec<i64> = (0..keys).step_by(step).collect();
            for keys in touched.chunks(BATCH) {
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(TimestampMillisecondArray::from(vec![0; keys.len()])),
                    Arc::new(Int64Array::from(keys.to_vec())),
                    Arc::new(Int64Array::from(keys.to_vec())),
                ];
                let batch = RecordBatch::try_new(input(), columns).unwrap();
                operator.process(0, Batch::append(batch), &mut out).unwrap();
            }
        };
        for (step, share) in [(1, "all"), (100, "1 %"), (1, "all again"), (3, "every third")] {
            touch(&mut operator, step);
            let start = Instant::now();
            let capture = operator.capture().unwrap().remove(0);
            let stall = start.elapsed();
            // What a write costs while the capture is still held: the chunks are copied.
            let start = Instant::now();
            touch(&mut operator, 1000);
            let copying = start.elapsed();
            let start = Instant::now();
            let rows: usize = (capture.rows)().unwrap().iter().map(|rows| rows.rows.num_rows()).sum();
            println!(
                "capture of {keys} keys ({name}), {share} changed: stall {:.2} ms, then {:.2} ms in writes, \
                 {rows} rows encoded in {:.1} ms",
                stall.as_secs_f64() * 1e3,
                copying.as_secs_f64() * 1e3,
                start.elapsed().as_secs_f64() * 1e3,
            );
            operator.capture().unwrap();
        }
    }
}

fn main() {
    let count = || vec![call(AggregateFunction::Count, vec![])];
    let tumble = WindowKind::Tumble { size: 10_000, offset: 0 };
    let long = WindowKind::Tumble { size: 1 << 50, offset: 0 };
    for (name, keys) in [("10 k keys", 10_000), ("1 M keys", 1_000_000)] {
        let batches = batches(ROWS, keys, 500_000);
        bare(&format!("bare hash map, {name}"), &batches);
        for (window, length) in [(long, "one window"), (tumble, "a window each 5 M rows")] {
            let (time, emitted) = run(&mut *operator(&spec(window, vec![1], count())), &batches);
            report(&format!("tumble, count, {name}, {length}"), &batches, time, emitted);
        }
        let calls = vec![
            call(AggregateFunction::Count, vec![]),
            call(AggregateFunction::Sum, vec![2]),
            call(AggregateFunction::Max, vec![2]),
        ];
        let (time, emitted) = run(&mut *operator(&spec(tumble, vec![1], calls)), &batches);
        report(&format!("tumble, count sum max, {name}"), &batches, time, emitted);
        let (time, emitted) = run(&mut *operator(&spec(tumble, vec![1, 2], count())), &batches);
        report(&format!("tumble, count, two keys, {name}"), &batches, time, emitted);
        let first = spec(tumble, vec![1], count());
        let schema = {
            let states = Arc::new(Field::new("Count$count", DataType::Int64, true));
            let rows = Arc::new(Field::new("rows", DataType::Int64, false));
            Arc::new(Schema::new(vec![input().fields()[1].clone(), states, timestamp("pane_start"), rows]))
        };
        let (time, emitted) = run(&mut *partial(&first, &input(), &schema, &Functions::built_in()).unwrap(), &batches);
        report(&format!("first phase, count, {name}"), &batches, time, emitted);
    }
    let maximum = spec(tumble, vec![], vec![call(AggregateFunction::Max, vec![2])]);
    let hot = batches(ROWS, 10_000, 10_000);
    let (time, emitted) = run(&mut *operator(&maximum), &hot);
    report("tumble, max, no key", &hot, time, emitted);
    let hop = WindowKind::Hop { slide: 2000, size: 10_000, offset: 0 };
    let wide = WindowKind::Hop { slide: 1000, size: 60_000, offset: 0 };
    for (name, window, function) in [
        ("hop 10 s by 2 s, count", hop, AggregateFunction::Count),
        ("hop 10 s by 2 s, max", hop, AggregateFunction::Max),
        ("hop 60 s by 1 s, count", wide, AggregateFunction::Count),
        ("hop 60 s by 1 s, max", wide, AggregateFunction::Max),
    ] {
        let arguments = if function == AggregateFunction::Count { vec![] } else { vec![2] };
        let (time, emitted) = run(&mut *operator(&spec(window, vec![1], vec![call(function, arguments)])), &hot);
        report(&format!("{name}, 10 k rows a second, 10 k keys"), &hot, time, emitted);
    }
    for keys in [10_000, 100_000, 1_000_000] {
        let rows = batches(ROWS / 4, keys, 10_000);
        let session = spec(WindowKind::Session { gap: 10_000 }, vec![1], count());
        let (time, emitted) = run(&mut *operator(&session), &rows);
        report(&format!("session, count, {keys} keys"), &rows, time, emitted);
    }
    captures(1_000_000);
}
