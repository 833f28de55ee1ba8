//! What rows cost: the same steps written in SQL and in Rust, planned as any job and run on one thread, the Rust ones with the
//! checks that plugins go through. By processor time, as Linux tells it.
//!
//! `cargo bench -p weir-embedded --bench beside_sql`; with `-- --check` it fails where rows take more than 1.5 times as long as SQL, or twice as
//! long as batches.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a measurement")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, BooleanArray, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::neq;
use arrow::compute::kernels::numeric::{add, mul, rem, sub};
use arrow::datatypes::SchemaRef;
use weir_core::plugin::{Linked, Plugin};
use weir_core::{Batch, CalcSpec, Collector, Expr, Operator, OperatorSpec};
use weir_embedded::settings::{Layers, Settings};
use weir_embedded::{connectors, planning};
use weir_functions::Functions;
use weir_jobs::JobPlugin;
use weir_jobs::prelude::*;
use weir_jobs::record::to_batch;
use weir_sql::{Script, parse, script_of};

const BATCH: usize = 8192;
const ROWS: usize = 4 * 1024 * 1024;
/// How many times as long rows may take as SQL.
const BESIDE_SQL: f64 = 1.5;
/// How many times as long rows may take as batches.
const BESIDE_BATCHES: f64 = 2.0;

#[derive(Record, Clone)]
struct Pair {
    id: i64,
    value: i64,
}

#[derive(Record, Clone)]
struct Line {
    id: i64,
    text: String,
}

const TABLES: &str = "
    CREATE TABLE pairs (id BIGINT NOT NULL, value BIGINT NOT NULL) WITH ('connector' = 'datagen');
    CREATE TABLE lines (id BIGINT NOT NULL, text STRING NOT NULL) WITH ('connector' = 'datagen');
    CREATE TABLE some_pairs (id BIGINT, value BIGINT) WITH ('connector' = 'blackhole');
    CREATE TABLE some_lines (id BIGINT, text STRING) WITH ('connector' = 'blackhole');
";

/// A step in SQL, in Rust by rows, and in Rust over batches.
struct Case {
    name: &'static str,
    sql: &'static str,
    rows: fn(&mut Job) -> Result<()>,
    batches: fn(&mut Job) -> Result<()>,
    batch: fn(i64) -> Result<RecordBatch>,
}

const CASES: [Case; 3] = [
    Case {
        name: "filter of numbers",
        sql: "INSERT INTO some_pairs SELECT id, value FROM pairs WHERE value % 4 <> 0",
        rows: |job| {
            job.table::<Pair>("pairs").filter(|pair| pair.value % 4 != 0).insert_into("some_pairs");
            Ok(())
        },
        batches: |job| {
            let some = job.table::<Pair>("pairs").map_batches::<Pair>("some", |pairs| kept(&pairs));
            some.insert_into("some_pairs");
            Ok(())
        },
        batch: pairs,
    },
    Case {
        name: "map and filter of numbers",
        sql: "INSERT INTO some_pairs SELECT id * 2 + 1, value - id FROM pairs WHERE value % 4 <> 0",
        rows: |job| {
            let some = job.table::<Pair>("pairs").filter(|pair| pair.value % 4 != 0);
            some.map(|pair| Pair { id: pair.id * 2 + 1, value: pair.value - pair.id }).insert_into("some_pairs");
            Ok(())
        },
        batches: |job| {
            let some = job.table::<Pair>("pairs").map_batches::<Pair>("some", |pairs| {
                let pairs = kept(&pairs)?;
                let number = Int64Array::new_scalar;
                let odd = add(&mul(pairs.column(0), &number(2))?, &number(1))?;
                let columns = vec![odd, sub(pairs.column(1), pairs.column(0))?];
                Ok(RecordBatch::try_new(pairs.schema(), columns)?)
            });
            some.insert_into("some_pairs");
            Ok(())
        },
        batch: pairs,
    },
    Case {
        name: "map and filter of text",
        sql: "INSERT INTO some_lines SELECT id, UPPER(text) FROM lines WHERE CHAR_LENGTH(text) > 18",
        rows: |job| {
            let some = job.table::<Line>("lines").filter(|line| line.text.chars().count() > 18);
            some.map(|line| Line { text: line.text.to_uppercase(), ..line }).insert_into("some_lines");
            Ok(())
        },
        batches: |job| {
            let some = job.table::<Line>("lines").map_batches::<Line>("some", |lines| {
                let texts = lines.column(1).as_string_view();
                let long: BooleanArray = texts.iter().map(|text| text.map(|text| text.chars().count() > 18)).collect();
                let lines = filter_record_batch(&lines, &long)?;
                let texts = lines.column(1).as_string_view();
                let upper: StringViewArray = texts.iter().map(|text| text.map(str::to_uppercase)).collect();
                Ok(RecordBatch::try_new(lines.schema(), vec![lines.column(0).clone(), Arc::new(upper)])?)
            });
            some.insert_into("some_lines");
            Ok(())
        },
        batch: |number| {
            let line = |id| Line { id, text: format!("line {id} of many{}", &"!!!!!!!!"[(id % 8) as usize..]) };
            to_batch(&rows_of(number).map(line).collect::<Vec<_>>())
        },
    },
];

/// The pairs that are not left out.
fn kept(pairs: &RecordBatch) -> Result<RecordBatch> {
    let number = Int64Array::new_scalar;
    let kept = neq(&rem(pairs.column(1), &number(4))?, &number(0))?;
    Ok(filter_record_batch(pairs, &kept)?)
}

fn rows_of(batch: i64) -> std::ops::Range<i64> {
    batch * BATCH as i64..(batch + 1) * BATCH as i64
}

fn pairs(number: i64) -> Result<RecordBatch> {
    to_batch(&rows_of(number).map(|id| Pair { id, value: id * 7 % 1000 }).collect::<Vec<_>>())
}

/// The operators of a job that is a line from its source to its sink, and the columns that the source gives them. What a source would keep of its
/// rows is kept by an operator here.
fn operators(script: &Script, plugins: Arc<Linked>) -> (Vec<Box<dyn Operator>>, SchemaRef) {
    let settings = Settings::resolve(&Layers::default(), 1);
    let planned = planning::plan(script, &settings, Arc::new(connectors::builtin())).unwrap_or_else(|error| {
        panic!("{}", error.report());
    });
    let graph = planned.graph.unwrap();
    let functions = Functions::built_in().of_job(&graph, plugins).unwrap();
    let mut operators = Vec::new();
    let mut read = None;
    let mut filter = None;
    for (id, node) in graph.iter() {
        let mut spec = node.spec.clone();
        match &mut spec.operator {
            OperatorSpec::Discover(_) => continue,
            OperatorSpec::Source(source) => {
                (read, filter) = (Some(spec.schema.clone()), source.filter.take());
                continue;
            }
            OperatorSpec::Sink(_) if filter.is_none() => continue,
            OperatorSpec::Sink(_) => {
                let projection = (0..spec.schema.fields().len()).map(Expr::Column).collect();
                spec.operator = OperatorSpec::Calc(CalcSpec { predicate: filter.take(), projection });
            }
            OperatorSpec::Calc(calc) => calc.predicate = calc.predicate.take().or(filter.take()),
            _ => {}
        }
        operators.push(weir_operators::build(&spec, &graph.inputs_of(id).unwrap(), &functions).unwrap());
    }
    assert!(!operators.is_empty(), "the job does nothing");
    (operators, read.expect("the job has a source"))
}

/// Time that this thread has had a processor: other load on the machine does not count.
fn processor_time() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
}

fn through(operators: &mut [Box<dyn Operator>], batch: Batch) -> usize {
    let Some((first, others)) = operators.split_first_mut() else { return batch.num_rows() };
    let mut out = Collector::new(0);
    first.process(0, batch, &mut out).unwrap();
    out.take().into_iter().map(|(_, batch)| through(others, batch)).sum()
}

/// The least time of some runs over all rows, and how many came out.
fn measured((operators, schema): &mut (Vec<Box<dyn Operator>>, SchemaRef), case: &Case) -> (Duration, usize) {
    let batches: Vec<RecordBatch> = (0..(ROWS / BATCH) as i64)
        .map(|number| RecordBatch::try_new(schema.clone(), (case.batch)(number).unwrap().columns().to_vec()).unwrap())
        .collect();
    let run = |_| {
        let start = processor_time();
        let rows = batches.iter().map(|batch| through(operators, Batch::append(batch.clone()))).sum();
        (processor_time() - start, rows)
    };
    (0..5).map(run).min().unwrap()
}

fn of_job(job: fn(&mut Job) -> Result<()>) -> (Vec<Box<dyn Operator>>, SchemaRef) {
    let plugin = Arc::new(JobPlugin::new("bench", "0", job).declaring(|job| job.sql(TABLES)));
    let script = script_of(&plugin.job(&BTreeMap::new()).unwrap(), None).unwrap();
    operators(&script, Arc::new(Linked(plugin)))
}

fn main() {
    let check = std::env::args().any(|argument| argument == "--check");
    let mut is_slow = false;
    for case in &CASES {
        let nothing = Arc::new(Linked(Arc::new(JobPlugin::without_job("bench", "0"))));
        let mut sql = operators(&parse(&format!("{TABLES}{};", case.sql)).unwrap(), nothing);
        let (sql, of_sql) = measured(&mut sql, case);
        let (rows, of_rows) = measured(&mut of_job(case.rows), case);
        let (batches, of_batches) = measured(&mut of_job(case.batches), case);
        assert_eq!([of_rows, of_batches], [of_sql; 2], "{}: not the same step", case.name);
        let speed = |time: Duration| ROWS as f64 / time.as_secs_f64() / 1e6;
        let times = |other: Duration| rows.as_secs_f64() / other.as_secs_f64();
        let (to_sql, to_batches) = (times(sql), times(batches));
        println!(
            "{:26} million rows/s: SQL {:6.1}, Rust by rows {:6.1}, over batches {:6.1}; rows take {to_sql:.2} times as long as SQL, {to_batches:.2} as batches",
            case.name,
            speed(sql),
            speed(rows),
            speed(batches),
        );
        is_slow |= to_sql > BESIDE_SQL || to_batches > BESIDE_BATCHES;
    }
    assert!(
        !(check && is_slow),
        "rows take more than {BESIDE_SQL} times as long as SQL, or {BESIDE_BATCHES} times as batches"
    );
}
