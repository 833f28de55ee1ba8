//! What a process of its own costs an operator, a function and an aggregate of a plugin: rows a second in this process and in a child, over batches of several
//! sizes.
//!
//! `cargo bench -p weir-cli --bench isolation`, with `-- longest` for one of them

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a measurement")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_core::plugin::{Artifact, ArtifactHash, FunctionCode, OperatorRequest, Plugin};
use weir_core::{Batch, Collector};
use weir_plugin_abi::host::load;
use weir_worker::isolated::{Children, IsolatedPlugin};

const ROWS: usize = 4 * 1024 * 1024;
const KEYS: usize = 1000;

/// The plugin for tests, as cargo has built it for this.
fn file() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let names = ["libweir_test_plugin.so", "../libweir_test_plugin.so"].map(|name| bench.parent().unwrap().join(name));
    names.into_iter().find(|path| path.exists()).unwrap()
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Vec<_>>(),
    ))
}

fn batches(rows: usize, schema: &SchemaRef) -> Vec<Batch> {
    let batch = |first: usize| {
        let words = (first..first + rows).map(|row| format!("word {}", row % KEYS));
        let times = TimestampMillisecondArray::from_iter_values(first as i64..(first + rows) as i64);
        let columns: Vec<ArrayRef> = vec![Arc::new(StringViewArray::from_iter_values(words)), Arc::new(times)];
        RecordBatch::try_new(schema.clone(), columns).unwrap().into()
    };
    (0..ROWS / rows).map(|number| batch(number * rows)).collect()
}

fn measure(what: &str, plugin: &dyn Plugin, request: &OperatorRequest, rows: usize) -> Duration {
    let mut operator = plugin.operator(request).unwrap();
    let mut best = Duration::MAX;
    let batches = batches(rows, &request.inputs[0]);
    for _ in 0..3 {
        let start = Instant::now();
        let mut out = Collector::new(0);
        let mut emitted = 0;
        for batch in &batches {
            operator.process(0, batch.clone(), &mut out).unwrap();
            emitted += out.take().iter().map(|(_, batch)| batch.num_rows()).sum::<usize>();
        }
        assert_eq!(emitted, ROWS);
        best = best.min(start.elapsed());
    }
    let (million, batch) = (ROWS as f64 / best.as_secs_f64() / 1e6, best.as_secs_f64() * 1e6 / batches.len() as f64);
    println!("{:5} of {rows:4} rows, {what:12} {million:8.2} million rows/s, {batch:8.1} us a batch", request.operator);
    best
}

/// A function of one text, or an aggregate: each batch is added to groups, all of which say then what they have come to, as with results that are shown
/// at once.
fn measure_function(what: &str, plugin: &dyn Plugin, name: &str, rows: usize) -> Duration {
    const ROWS: usize = 256 * 1024;
    let text = |row: usize| format!("word {}", row % KEYS);
    let batches = ROWS / rows;
    let (_, code) = plugin.function(name).unwrap();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let elapsed = match &code {
            FunctionCode::Scalar(code) => {
                let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..rows).map(text)));
                let start = Instant::now();
                for _ in 0..batches {
                    assert_eq!(code.call(std::slice::from_ref(&texts), rows).unwrap().len(), rows);
                }
                start.elapsed()
            }
            FunctionCode::Aggregate(code) => {
                let mut groups: Vec<_> = (0..KEYS.min(rows)).map(|_| code.group().unwrap()).collect();
                let of_group = rows / groups.len();
                let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..of_group).map(text)));
                let start = Instant::now();
                for _ in 0..batches {
                    for group in &mut groups {
                        group.update(std::slice::from_ref(&texts), of_group).unwrap();
                    }
                    // As operators do.
                    groups.iter_mut().for_each(|group| group.announce(true));
                    for group in &mut groups {
                        assert_eq!(group.result().unwrap().len(), 1);
                    }
                }
                start.elapsed()
            }
        };
        best = best.min(elapsed);
    }
    let (million, batch) = (ROWS as f64 / best.as_secs_f64() / 1e6, best.as_secs_f64() * 1e6 / batches as f64);
    println!("{name:7} of {rows:4} rows, {what:12} {million:8.2} million rows/s, {batch:8.1} us a batch");
    best
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let words = [("word", DataType::Utf8View), ("ts", DataType::Timestamp(TimeUnit::Millisecond, None))];
    let input = schema(&words);
    let artifact =
        Artifact { hash: ArtifactHash::from_bytes([7; 32]), name: "test".into(), version: "1".into(), folder: None };
    let (here, children) = (load(&file()).unwrap(), Arc::<Children>::default());
    let apart = IsolatedPlugin::new(&artifact, &file(), None, children).in_program(env!("CARGO_BIN_EXE_weir").as_ref());
    // One that does nothing, and one that does what a simple plugin does.
    let counted = schema(&[words[0].clone(), ("n", DataType::Int64), words[1].clone()]);
    for (operator, output) in
        [("echo", input.clone()), ("count", counted)].into_iter().filter(|(name, _)| is_wanted(name))
    {
        for rows in [64, 1024, 8192] {
            let request = OperatorRequest {
                operator: operator.into(),
                config: Vec::new(),
                inputs: vec![input.clone()],
                keys: vec![Some(vec![0])],
                output: output.clone(),
                side_outputs: vec![input.clone()],
            };
            let here = measure("in process", &here, &request, rows);
            let apart = measure("isolated", &apart, &request, rows);
            println!("{:46}{:8.2} times as long", "", apart.as_secs_f64() / here.as_secs_f64());
        }
    }
    for name in ["shout", "longest"].into_iter().filter(|name| is_wanted(name)) {
        for rows in [64, 1024, 8192] {
            let here = measure_function("in process", &here, name, rows);
            let apart = measure_function("isolated", &apart, name, rows);
            println!("{:46}{:8.2} times as long", "", apart.as_secs_f64() / here.as_secs_f64());
        }
    }
}
