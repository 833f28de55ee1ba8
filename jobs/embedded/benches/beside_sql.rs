//! What rows cost: the same steps written in SQL and in Rust, planned as any job and run on one thread, the Rust ones with the
//! checks that plugins go through. By processor time, as Linux tells it.
//!
//! `cargo bench -p weir-embedded --bench beside_sql`; with `--check` it fails where Rust takes more than 1.5 times as long.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a measurement")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_core::plugin::{Linked, Plugin};
use weir_core::{Batch, Collector, Operator, OperatorSpec};
use weir_embedded::settings::{Layers, Settings};
use weir_embedded::{connectors, planning};
use weir_functions::Functions;
use weir_jobs::JobPlugin;
use weir_jobs::prelude::*;
use weir_jobs::record::to_batch;
use weir_sql::{Script, parse, script_of};

const BATCH: usize = 8192;
const ROWS: usize = 4 * 1024 * 1024;
const ALLOWED: f64 = 1.5;

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
    CREATE TABLE some_pairs (id BIGINT NOT NULL, value BIGINT NOT NULL) WITH ('connector' = 'blackhole');
    CREATE TABLE some_lines (id BIGINT NOT NULL, text STRING NOT NULL) WITH ('connector' = 'blackhole');
";

/// A step in both languages.
struct Case {
    name: &'static str,
    sql: &'static str,
    rust: fn(&mut Job) -> Result<()>,
    batch: fn(i64) -> Result<RecordBatch>,
}

const CASES: [Case; 3] = [
    Case {
        name: "filter of numbers",
        sql: "INSERT INTO some_pairs SELECT id, value FROM pairs WHERE value % 4 <> 0",
        rust: |job| {
            job.table::<Pair>("pairs").filter(|pair| pair.value % 4 != 0).insert_into("some_pairs");
            Ok(())
        },
        batch: pairs,
    },
    Case {
        name: "map and filter of numbers",
        sql: "INSERT INTO some_pairs SELECT id * 2 + 1, value - id FROM pairs WHERE value % 4 <> 0",
        rust: |job| {
            let some = job.table::<Pair>("pairs").filter(|pair| pair.value % 4 != 0);
            some.map(|pair| Pair { id: pair.id * 2 + 1, value: pair.value - pair.id }).insert_into("some_pairs");
            Ok(())
        },
        batch: pairs,
    },
    Case {
        name: "map and filter of text",
        sql: "INSERT INTO some_lines SELECT id, UPPER(text) FROM lines WHERE CHAR_LENGTH(text) > 18",
        rust: |job| {
            let some = job.table::<Line>("lines").filter(|line| line.text.chars().count() > 18);
            some.map(|line| Line { text: line.text.to_uppercase(), ..line }).insert_into("some_lines");
            Ok(())
        },
        batch: |number| {
            let line = |id| Line { id, text: format!("line {id} of many{}", &"!!!!!!!!"[(id % 8) as usize..]) };
            to_batch(&rows_of(number).map(line).collect::<Vec<_>>())
        },
    },
];

fn rows_of(batch: i64) -> std::ops::Range<i64> {
    batch * BATCH as i64..(batch + 1) * BATCH as i64
}

fn pairs(number: i64) -> Result<RecordBatch> {
    to_batch(&rows_of(number).map(|id| Pair { id, value: id * 7 % 1000 }).collect::<Vec<_>>())
}

/// The operators of a job that is a line from its source to its sink, and the columns that the first one reads.
fn operators(script: &Script, plugins: Arc<Linked>) -> (Vec<Box<dyn Operator>>, SchemaRef) {
    let settings = Settings::resolve(&Layers::default(), 1);
    let planned = planning::plan(script, &settings, Arc::new(connectors::builtin())).unwrap_or_else(|error| {
        panic!("{}", error.report());
    });
    let graph = planned.graph.unwrap();
    let functions = Functions::built_in().of_job(&graph, plugins).unwrap();
    let inner = graph.iter().filter(|(_, node)| {
        !matches!(node.spec.operator, OperatorSpec::Discover(_) | OperatorSpec::Source(_) | OperatorSpec::Sink(_))
    });
    let built = inner.map(|(id, node)| {
        let inputs = graph.inputs_of(id).unwrap();
        assert_eq!(inputs.len(), 1, "{} is no step of a line", node.spec.name);
        (weir_operators::build(&node.spec, &inputs, &functions).unwrap(), inputs[0].schema.clone())
    });
    let (operators, schemas): (Vec<_>, Vec<_>) = built.unzip();
    (operators, schemas.into_iter().next().expect("the job has an operator"))
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

fn main() {
    let check = std::env::args().any(|argument| argument == "--check");
    let mut is_slow = false;
    for case in &CASES {
        let nothing = Arc::new(Linked(Arc::new(JobPlugin::without_job("bench", "0"))));
        let mut sql = operators(&parse(&format!("{TABLES}{};", case.sql)).unwrap(), nothing);
        let plugin = Arc::new(JobPlugin::new("bench", "0", case.rust).declaring(|job| job.sql(TABLES)));
        let script = script_of(&plugin.job(&BTreeMap::new()).unwrap(), None).unwrap();
        let mut rust = operators(&script, Arc::new(Linked(plugin)));
        let ((by_sql, sql_rows), (by_rust, rust_rows)) = (measured(&mut sql, case), measured(&mut rust, case));
        assert_eq!(sql_rows, rust_rows, "{}: not the same step", case.name);
        let (speed, ratio) =
            (|time: Duration| ROWS as f64 / time.as_secs_f64() / 1e6, by_rust.as_secs_f64() / by_sql.as_secs_f64());
        println!(
            "{:28} SQL {:6.1}, Rust {:6.1} million rows/s: {ratio:.2} times as long",
            case.name,
            speed(by_sql),
            speed(by_rust)
        );
        is_slow |= ratio > ALLOWED;
    }
    assert!(!(check && is_slow), "a step in Rust takes more than {ALLOWED} times as long as in SQL");
}
