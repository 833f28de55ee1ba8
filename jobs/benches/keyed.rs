//! Speed of keyed steps on one thread: a counter over `u64` keys, written by rows and over batches, and a map with a filter. By
//! processor time, as Linux tells it.
//!
//! `cargo bench -p weir-jobs --bench keyed`

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a measurement")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use hashbrown::HashTable;
use weir_core::plugin::{JobStep, OperatorRequest, OperatorStep, Plugin};
use weir_core::{Batch, Collector, Operator};
use weir_jobs::JobPlugin;
use weir_jobs::prelude::*;
use weir_jobs::record::to_batch;

const BATCH: usize = 8192;
const ROWS: usize = 16 * 1024 * 1024;

#[derive(Record, Clone)]
struct Event {
    key: u64,
    value: i64,
}

#[derive(Record, Clone)]
struct Counted {
    key: u64,
    count: u64,
}

#[derive(Clone)]
struct Count;

impl KeyedProcess for Count {
    type Key = u64;
    type In = Event;
    type State = ValueState<u64>;
    type Out = Counted;

    fn process(
        &mut self,
        event: Event,
        count: &mut ValueState<u64>,
        ctx: &mut Context<'_, u64, Counted>,
    ) -> Result<()> {
        let count = count.or_default();
        *count += 1;
        let count = *count;
        ctx.emit(Counted { key: event.key, count });
        Ok(())
    }
}

fn job(job: &mut Job) -> Result<()> {
    job.table::<Event>("events").key_by(|event| event.key).process("counts", Count).insert_into("out");
    let mapped = job.table::<Event>("events").filter(|event| event.value % 4 != 0);
    mapped.map(|event| Counted { key: event.key * 2 + 1, count: event.value as u64 }).insert_into("mapped");
    Ok(())
}

/// Time that this thread has had a processor: other load on the machine does not count.
fn processor_time() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
}

fn operator(name: &str) -> Box<dyn Operator> {
    let plugin = JobPlugin::new("bench", "0", job);
    let step = plugin.job(&BTreeMap::new()).unwrap().steps.into_iter().find_map(|step| match step {
        JobStep::Operator(step) if step.view == name => Some(step),
        _ => None,
    });
    let OperatorStep { operator, config, inputs, output, .. } = step.unwrap();
    let inputs = inputs.into_iter().map(|input| input.columns).collect();
    plugin
        .operator(&OperatorRequest { operator, config, inputs, keys: vec![None], output, side_outputs: Vec::new() })
        .unwrap()
}

fn measure(name: &str, batches: &[RecordBatch], mut process: impl FnMut(RecordBatch) -> usize) {
    // Once more than counts: the first time makes the keys.
    let mut best = Duration::MAX;
    let mut emitted = 0;
    for _ in 0..4 {
        let start = processor_time();
        emitted = batches.iter().map(|batch| process(batch.clone())).sum();
        best = best.min(processor_time() - start);
    }
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    println!("{name:42} {:7.1} million rows/s, {emitted} out", rows as f64 / best.as_secs_f64() / 1e6);
}

fn run(operator: &mut dyn Operator, batch: RecordBatch) -> usize {
    let mut out = Collector::new(0);
    operator.process(0, Batch::append(batch), &mut out).unwrap();
    out.take().iter().map(|(_, batch)| batch.num_rows()).sum()
}

/// The counter as one would write it over batches.
#[derive(Default)]
struct OverBatches {
    table: HashTable<(u64, u64)>,
}

impl OverBatches {
    fn process(&mut self, batch: &RecordBatch) -> RecordBatch {
        let keys = batch.column(2).as_primitive::<UInt64Type>().values();
        let mut hashes = Vec::new();
        weir_core::hash::hash_rows(&[batch.column(2).clone()], keys.len(), &mut hashes).unwrap();
        let hash = |key: u64| weir_core::hash::mix(0x9e37_79b9_7f4a_7c15 ^ key).rotate_left(32);
        let counts: Vec<u64> = keys
            .iter()
            .zip(&hashes)
            .map(|(key, hashed)| {
                let entry = self.table.entry(hashed.rotate_left(32), |(other, _)| other == key, |(key, _)| hash(*key));
                let mut entry = entry.or_insert((*key, 0));
                entry.get_mut().1 += 1;
                entry.get().1
            })
            .collect();
        let columns: Vec<ArrayRef> = vec![batch.column(0).clone(), Arc::new(UInt64Array::from(counts))];
        RecordBatch::try_new(Counted::schema(), columns).unwrap()
    }
}

fn main() {
    for keys in [1_000_u64, 100_000, 1_000_000] {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % keys
        };
        let batch = |_| {
            let rows: Vec<Event> = (0..BATCH).map(|n| Event { key: random(), value: n as i64 }).collect();
            to_batch(&rows).unwrap()
        };
        let batches: Vec<RecordBatch> = (0..ROWS / BATCH).map(batch).collect();
        let mut input = operator("counts_input");
        let mut keyed = Vec::new();
        measure(&format!("{keys} keys: key_by"), &batches, |batch| run(&mut *input, batch));
        for batch in &batches {
            let mut out = Collector::new(0);
            input.process(0, Batch::append(batch.clone()), &mut out).unwrap();
            keyed.extend(out.take().into_iter().map(|(_, batch)| batch.into_parts().0));
        }
        let mut counts = operator("counts");
        measure(&format!("{keys} keys: count by rows"), &keyed, |batch| run(&mut *counts, batch));
        let start = processor_time();
        let captures = counts.capture().unwrap();
        let stall = processor_time() - start;
        let rows: usize =
            captures.into_iter().flat_map(|capture| (capture.rows)().unwrap()).map(|rows| rows.rows.num_rows()).sum();
        println!("{keys} keys: capture of {rows} rows stalls for {stall:?}");
        let mut over = OverBatches::default();
        measure(&format!("{keys} keys: count over batches"), &keyed, |batch| over.process(&batch).num_rows());
        if keys == 1_000 {
            let mut mapped = operator("mapped_rows");
            measure("map and filter", &batches, |batch| run(&mut *mapped, batch));
        }
    }
}
