//! What a row costs that comes alone, as slow sources make them, while the state of its operator grows: batches of one row, each with a
//! watermark behind it, through every operator with state. The cost must not grow with the state.
//!
//! Processor time of this thread, as Linux tells it, so that other load on the machine does not count.

#![allow(clippy::disallowed_methods, reason = "a measurement")]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, StructArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use clap::Parser;
use weir_core::{
    AggregateCall, AggregateFunction, Batch, Collector, EventTime, HashRange, InputStream, IntervalJoinSpec,
    JoinSpread, JoinType, NodeSpec, OpenContext, Operator, OperatorSpec, SortKey, WindowAggregateSpec, WindowJoinSpec,
    WindowKind, WindowSource, WindowTopNSpec,
};
use weir_functions::Functions;

/// That of the `weir` binary. Others take longer to find memory the more blocks of all sizes there are.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds of the one window that everything is in.
const WINDOW: i64 = 1 << 40;

/// Sends rows one by one through every operator with state, and prints what a row costs as the state grows.
#[derive(Debug, Parser)]
#[command(after_help = "Example: small-batches --rows 10000 --operators top-n,window-join")]
struct Arguments {
    /// Rows of state up to which is measured, tenfold from 1,000 on
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Operators, separated by commas; all without
    #[arg(long, value_delimiter = ',')]
    operators: Vec<String>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if stderr is gone too.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// An operator, and how rows come to it.
struct Measured {
    name: &'static str,
    spec: OperatorSpec,
    inputs: usize,
    output: SchemaRef,
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let sizes: Vec<usize> = (3..).map(|power| 10_usize.pow(power)).take_while(|size| *size <= arguments.rows).collect();
    write!(out, "{:<20}", "ns a row, state of")?;
    sizes.iter().try_for_each(|size| write!(out, "{size:>12}"))?;
    writeln!(out, "{:>12}", "at its end")?;
    for measured in operators() {
        if !arguments.operators.is_empty() && !arguments.operators.iter().any(|name| name == measured.name) {
            continue;
        }
        write!(out, "{:<20}", measured.name)?;
        let mut operator = opened(&measured)?;
        let mut collector = Collector::new(0);
        let mut rows = 0;
        for size in &sizes {
            // The second half of what leads to this size: the state has about that many rows.
            let half = rows + (size - rows) / 2;
            feed(&mut *operator, &measured, rows..half, &mut collector)?;
            let started = processor_time()?;
            feed(&mut *operator, &measured, half..*size, &mut collector)?;
            write!(out, "{:>12}", (processor_time()? - started) / (size - half) as u64)?;
            out.flush()?;
            rows = *size;
        }
        let started = processor_time()?;
        operator.watermark(EventTime::MAX, &mut collector)?;
        collector.take();
        writeln!(out, "{:>12}", (processor_time()? - started) / rows.max(1) as u64)?;
    }
    Ok(())
}

/// Rows one by one, in turn to each input, with a watermark behind each that closes nothing.
fn feed(
    operator: &mut dyn Operator,
    measured: &Measured,
    numbers: std::ops::Range<usize>,
    out: &mut Collector,
) -> Result<(), Failure> {
    for number in numbers {
        operator.process(number % measured.inputs, row(number as i64)?, out)?;
        operator.watermark(EventTime(number as i64), out)?;
        out.take();
    }
    Ok(())
}

/// Nanoseconds that this thread has had a processor.
fn processor_time() -> Result<u64, Failure> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(times.split(' ').next().unwrap_or_default().parse()?)
}

fn opened(measured: &Measured) -> Result<Box<dyn Operator>, Failure> {
    let node = NodeSpec::new(measured.name, measured.spec.clone(), Vec::new(), measured.output.clone());
    let mut operator =
        weir_operators::build(&node, &vec![InputStream::from(input()); measured.inputs], &Functions::built_in())?;
    operator.open(&OpenContext {
        range: HashRange::ALL,
        watermark: EventTime::MIN,
        restored: false,
        has_expired: false,
    })?;
    Ok(operator)
}

fn timestamp(name: &str) -> FieldRef {
    Arc::new(Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), true))
}

fn parts() -> Fields {
    vec![Field::new("word", DataType::Utf8View, true)].into()
}

/// The columns of all inputs: a time, a key, a number, a row with text in it, and the window.
fn input() -> SchemaRef {
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
    Arc::new(Schema::new(vec![
        timestamp("time"),
        field("key", DataType::Utf8View),
        field("number", DataType::Int64),
        field("parts", DataType::Struct(parts())),
        timestamp("window_start"),
        timestamp("window_end"),
    ]))
}

/// A row with a key of its own.
fn row(number: i64) -> Result<Batch, Failure> {
    let times = |time: i64| Arc::new(TimestampMillisecondArray::from(vec![time])) as ArrayRef;
    let words = |word: String| Arc::new(StringViewArray::from_iter_values([word])) as ArrayRef;
    let parts = StructArray::try_new(parts(), vec![words(format!("a text that is no key {number}"))], None)?;
    let columns: Vec<ArrayRef> = vec![
        times(number),
        words(format!("a key with some letters {number}")),
        Arc::new(Int64Array::from(vec![number.wrapping_mul(7_919) % 1_000_003])),
        Arc::new(parts),
        times(0),
        times(WINDOW),
    ];
    Ok(Batch::append(RecordBatch::try_new(input(), columns)?))
}

fn operators() -> Vec<Measured> {
    let call = |function, arguments, data_type| AggregateCall {
        name: format!("{function:?}"),
        function,
        arguments,
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        data_type,
    };
    let aggregation = |window| WindowAggregateSpec {
        window,
        keys: vec![1],
        aggregates: vec![
            call(AggregateFunction::Count, Vec::new(), DataType::Int64),
            call(AggregateFunction::Max, vec![1], DataType::Utf8View),
        ],
        partial_input: false,
        spread: None,
    };
    let of_aggregation = || -> SchemaRef {
        let results = vec![
            input().fields()[1].clone(),
            Arc::new(Field::new("Count", DataType::Int64, true)),
            Arc::new(Field::new("Max", DataType::Utf8View, true)),
        ];
        let window = ["window_start", "window_end", "window_time"].map(timestamp);
        Arc::new(Schema::new(results.into_iter().chain(window).collect::<Vec<_>>()))
    };
    let assigned = |window| WindowSource::Assign { window, time: 0 };
    let aggregate = |name, window| Measured {
        name,
        spec: OperatorSpec::WindowAggregate(aggregation(window)),
        inputs: 1,
        output: of_aggregation(),
    };
    let top = |name, partition, limit| Measured {
        name,
        spec: OperatorSpec::WindowTopN(WindowTopNSpec {
            window_end: 5,
            partition,
            order: vec![SortKey { column: 2, descending: true, nulls_first: false }],
            limit,
            with_rank: false,
            ranking: weir_core::Ranking::RowNumber,
        }),
        inputs: 1,
        output: input(),
    };
    let both = || -> SchemaRef {
        let fields = input().fields().iter().chain(input().fields()).cloned().collect::<Vec<_>>();
        Arc::new(Schema::new(fields))
    };
    vec![
        aggregate("tumble", assigned(WindowKind::Tumble { size: WINDOW, offset: 0 })),
        aggregate("hop", assigned(WindowKind::Hop { slide: WINDOW / 4, size: WINDOW, offset: 0 })),
        aggregate("attached", WindowSource::Attached { start: 4, end: 5 }),
        aggregate("session", assigned(WindowKind::Session { gap: WINDOW })),
        top("top-n", vec![5], u64::MAX >> 1),
        top("deduplication", vec![5, 1], 1),
        Measured {
            name: "window-join",
            spec: OperatorSpec::WindowJoin(WindowJoinSpec {
                join_type: JoinType::Full,
                on: vec![(1, 1), (5, 5)],
                window_end: (5, 5),
                residual: None,
                spread: JoinSpread::Keys,
            }),
            inputs: 2,
            output: both(),
        },
        Measured {
            name: "interval-join",
            spec: OperatorSpec::IntervalJoin(IntervalJoinSpec {
                join_type: JoinType::Full,
                on: vec![(1, 1)],
                time: (0, 0),
                lower: -WINDOW,
                upper: WINDOW,
                residual: None,
                spread: JoinSpread::Keys,
            }),
            inputs: 2,
            output: both(),
        },
    ]
}
