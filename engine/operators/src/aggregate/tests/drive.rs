//! Runs an aggregation as a job does: rows spread by key, watermarks to every subtask, and at a checkpoint everything
//! captured, stored, and restored into new subtasks; or with only a part of the keys in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt64Array, types::TimestampMillisecondType};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use weir_core::{
    AggregateCall, Batch, Capture, Collector, Epoch, EventTime, HashRange, OpenContext, Operator, OutputPort,
    TableSchema, WindowAggregateSpec, WindowAssignSpec, WindowKind, WindowSource, hash,
};
use weir_functions::Functions;

use weir_state::Residency;

use super::super::{full, partial};
use super::row::{COLUMNS, Row, batch, lines, schema};
use crate::window_assign::WindowAssign;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Rows(Vec<Row>),
    Watermark(i64),
    /// A checkpoint, and a restore with this parallelism.
    Checkpoint(usize),
}

/// What came out: rows, sorted, and how many came late.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) rows: Vec<String>,
    pub(super) late: u64,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) kind: WindowKind,
    pub(super) keys: Vec<usize>,
    pub(super) aggregates: Vec<AggregateCall>,
    pub(super) two_phases: bool,
    pub(super) attached: bool,
    /// So many of the keys spread the groups; `None`: all of them.
    pub(super) spread: Option<usize>,
    /// Whether keys are loaded when they are touched, and evicted once they are stored.
    pub(super) evicting: bool,
}

/// Rows of a state table by key, as checkpoints leave them.
#[derive(Default)]
struct Store {
    rows: BTreeMap<String, (RecordBatch, u64)>,
}

fn timestamp(name: &str) -> FieldRef {
    Arc::new(Field::new(name, COLUMNS[0].1.clone(), false))
}

impl Store {
    fn apply(&mut self, table: &TableSchema, capture: Capture) {
        for state in (capture.rows)().unwrap() {
            assert_eq!(state.rows.schema(), table.schema);
            let keys = lines(&state.rows.columns()[..table.key_columns], state.rows.num_rows());
            for (row, key) in keys.into_iter().enumerate() {
                match state.deleted.as_ref().is_some_and(|deleted| deleted.value(row)) {
                    true => self.rows.remove(&key),
                    false => self.rows.insert(key, (state.rows.slice(row, 1), state.hashes.value(row))),
                };
            }
        }
        if let Some(expired) = capture.expired {
            let column = table.time_column.unwrap();
            self.rows.retain(|_, (row, _)| {
                row.column(column).as_primitive::<TimestampMillisecondType>().value(0) > expired.0
            });
        }
    }

    /// Loads the rows that are meant, by time and key hash.
    fn load(&self, table: &TableSchema, operator: &mut dyn Operator, meant: impl Fn(EventTime, u64) -> bool) {
        let time = |row: &RecordBatch| {
            EventTime(row.column(table.time_column.unwrap()).as_primitive::<TimestampMillisecondType>().value(0))
        };
        let owned: Vec<_> = self.rows.values().filter(|(row, hash)| meant(time(row), *hash)).collect();
        // In two calls, as from two files.
        for part in owned.chunks(owned.len().div_ceil(2).max(1)) {
            let rows = concat_batches(&table.schema, part.iter().map(|(row, _)| row)).unwrap();
            let hashes = UInt64Array::from_iter_values(part.iter().map(|(_, hash)| *hash));
            operator.load(0, &rows, &hashes).unwrap();
        }
    }
}

impl Job {
    pub(super) fn new(kind: WindowKind, keys: Vec<usize>, aggregates: Vec<AggregateCall>) -> Self {
        Self { kind, keys, aggregates, two_phases: false, attached: false, spread: None, evicting: false }
    }

    fn spec(&self, partial_input: bool) -> WindowAggregateSpec {
        let window = match self.attached {
            true => WindowSource::Attached { start: COLUMNS.len(), end: COLUMNS.len() + 1 },
            false => WindowSource::Assign { window: self.kind, time: 0 },
        };
        let (keys, aggregates) = (self.keys.clone(), self.aggregates.clone());
        let spread = self.spread.map(|spread| spread.min(keys.len()));
        let whole = WindowAggregateSpec { window, keys, aggregates, partial_input: false, spread };
        if partial_input { whole.second_phase().unwrap() } else { whole }
    }

    fn key_fields(&self) -> impl Iterator<Item = FieldRef> + '_ {
        self.keys.iter().map(|key| schema().fields()[*key].clone())
    }

    fn output(&self) -> SchemaRef {
        let results = self.aggregates.iter().map(|call| Field::new(&call.name, call.data_type.clone(), true));
        let window = ["window_start", "window_end", "window_time"].map(timestamp);
        Arc::new(Schema::new(self.key_fields().chain(results.map(Arc::new)).chain(window).collect::<Vec<_>>()))
    }

    fn partial_output(&self) -> SchemaRef {
        let states = self.aggregates.iter().flat_map(|call| call.partial_fields().unwrap());
        let mut fields: Vec<FieldRef> = self.key_fields().chain(states.map(Arc::new)).collect();
        fields.push(timestamp("pane_start"));
        fields.extend(self.attached.then(|| timestamp("pane_end")));
        fields.push(Arc::new(Field::new("rows", DataType::Int64, false)));
        Arc::new(Schema::new(fields))
    }

    fn assigned(&self) -> SchemaRef {
        let window = ["window_start", "window_end", "window_time"].map(timestamp);
        Arc::new(Schema::new(schema().fields().iter().cloned().chain(window).collect::<Vec<_>>()))
    }

    fn operator(&self) -> Box<dyn Operator> {
        let input = match (self.two_phases, self.attached) {
            (true, _) => self.partial_output(),
            (_, true) => self.assigned(),
            _ => schema(),
        };
        full(&self.spec(self.two_phases), &input, &self.output(), "test", &Functions::built_in()).unwrap()
    }

    /// Runs the job over the events.
    pub(super) fn run(&self, events: &[Event]) -> Outcome {
        let mut run = Run {
            job: self,
            subtasks: vec![self.operator()],
            residents: vec![Residency::new(1, Epoch(0))],
            epoch: Epoch(0),
            front: self.two_phases.then(|| {
                let input = if self.attached { self.assigned() } else { schema() };
                partial(&self.spec(false), &input, &self.partial_output(), &Functions::built_in()).unwrap()
            }),
            assign: self.attached.then(|| {
                let spec = WindowAssignSpec { window: self.kind, time: 0, lateness: 0 };
                WindowAssign::new(&spec, &self.assigned(), "assign").unwrap()
            }),
            store: Store::default(),
            watermark: EventTime::MIN,
            outcome: Outcome { rows: Vec::new(), late: 0 },
        };
        for event in events {
            run.take(event);
            run.evict();
        }
        run.outcome.rows.sort();
        run.outcome
    }
}

struct Run<'a> {
    job: &'a Job,
    subtasks: Vec<Box<dyn Operator>>,
    /// Of each subtask, the keys in its memory.
    residents: Vec<Residency>,
    epoch: Epoch,
    front: Option<Box<dyn Operator>>,
    assign: Option<WindowAssign>,
    store: Store,
    watermark: EventTime,
    outcome: Outcome,
}

impl Run<'_> {
    fn take(&mut self, event: &Event) {
        let mut out = Collector::new(0);
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                let batch = Batch::append(batch(rows));
                match &mut self.assign {
                    Some(assign) => assign.process(0, batch, &mut out).unwrap(),
                    None => out.emit(batch),
                }
                if let Some(front) = &mut self.front {
                    let batches = out.take();
                    batches.into_iter().for_each(|(_, batch)| front.process(0, batch, &mut out).unwrap());
                }
                self.send(out);
            }
            Event::Watermark(time) if *time <= self.watermark.0 => {}
            Event::Watermark(time) => {
                if let Some(front) = &mut self.front {
                    front.watermark(EventTime(*time), &mut out).unwrap();
                }
                self.send(out);
                let before = std::mem::replace(&mut self.watermark, EventTime(*time));
                for subtask in 0..self.subtasks.len() {
                    let mut out = Collector::new(0);
                    self.show_due(subtask, before, &mut out);
                    let said = self.subtasks[subtask].watermark(self.watermark, &mut out).unwrap();
                    assert!(said.unwrap() <= self.watermark);
                    self.receive(out);
                }
            }
            Event::Checkpoint(parallelism) => {
                if let Some(front) = &mut self.front {
                    front.release(&mut out).unwrap();
                }
                self.send(out);
                self.checkpoint(*parallelism);
            }
        }
    }

    fn checkpoint(&mut self, parallelism: usize) {
        let table = self.subtasks[0].tables().swap_remove(0);
        self.epoch = self.epoch.next();
        for (subtask, residents) in self.subtasks.iter_mut().zip(&mut self.residents) {
            self.store.apply(&table, subtask.capture().unwrap().swap_remove(0));
            residents.captured(self.epoch);
        }
        // Goes on with the old subtasks if parallelism stays: then the next capture has to hold what is new alone.
        if parallelism != self.subtasks.len() {
            let new = (0..parallelism).map(|index| {
                let mut operator = self.job.operator();
                let range = HashRange::of_subtask(index, parallelism);
                operator
                    .open(&OpenContext {
                        range,
                        watermark: self.watermark,
                        restored: self.watermark > EventTime::MIN,
                        has_expired: false,
                    })
                    .unwrap();
                if !self.job.evicting {
                    self.store.load(&table, &mut *operator, |_, hash| range.contains(hash));
                }
                operator
            });
            self.subtasks = new.collect();
            self.residents = self.subtasks.iter().map(|_| Residency::new(1, self.epoch)).collect();
        }
    }

    /// Loads the keys that a batch touches, if only a part of them is in memory.
    fn load(&mut self, subtask: usize, touched: impl Iterator<Item = u64>) {
        if !self.job.evicting {
            return;
        }
        let missing = self.residents[subtask].touch(&touched.collect::<Vec<_>>());
        let operator = &mut *self.subtasks[subtask];
        let expired = operator.expired(0, self.watermark);
        let table = operator.tables().swap_remove(0);
        let meant = |time, hash| Some(time) > expired && missing.contains(&hash);
        self.store.load(&table, operator, meant);
    }

    /// Shows a twin of a subtask what is due of keys that are not in its memory.
    fn show_due(&mut self, subtask: usize, before: EventTime, out: &mut Collector) {
        let operator = &self.subtasks[subtask];
        let Some(due) = operator.due(0, self.watermark).filter(|_| self.job.evicting) else { return };
        let expired = operator.expired(0, before);
        let table = operator.tables().swap_remove(0);
        let range = HashRange::of_subtask(subtask, self.subtasks.len());
        let residents = &self.residents[subtask];
        let mut twin = self.job.operator();
        twin.open(&OpenContext { range, watermark: before, restored: true, has_expired: false }).unwrap();
        let meant =
            |time, hash| Some(time) > expired && time <= due && range.contains(hash) && !residents.contains(hash);
        self.store.load(&table, &mut *twin, meant);
        twin.watermark(self.watermark, out).unwrap();
    }

    /// Lets half of the keys go, as far as they are stored.
    fn evict(&mut self) {
        for (operator, residents) in self.subtasks.iter_mut().zip(&mut self.residents) {
            let leaving = residents.leave(self.epoch, 0.5);
            operator.evict(&|hash| leaving.contains(hash)).unwrap();
        }
    }

    /// Sends rows to the subtasks that own them.
    fn send(&mut self, mut out: Collector) {
        let parallelism = self.subtasks.len();
        for (port, batch) in out.take() {
            assert_eq!(port, OutputPort::Main);
            let records = batch.into_appended().unwrap();
            let keys: Vec<_> = self.subtasks[0].key_columns(0).unwrap().to_vec();
            let keys: Vec<_> = keys.iter().map(|key| records.column(*key).clone()).collect();
            let mut hashes = Vec::new();
            hash::hash_rows(&keys, records.num_rows(), &mut hashes).unwrap();
            for subtask in 0..parallelism {
                let owned = hashes.iter().map(|hash| Some(hash::owner(*hash, parallelism) == subtask));
                let rows = filter_record_batch(&records, &owned.collect::<BooleanArray>()).unwrap();
                let mut out = Collector::new(0);
                if rows.num_rows() > 0 {
                    self.load(subtask, hashes.iter().copied().filter(|h| hash::owner(*h, parallelism) == subtask));
                    self.subtasks[subtask].process(0, Batch::append(rows), &mut out).unwrap();
                }
                self.receive(out);
            }
        }
    }

    fn receive(&mut self, mut out: Collector) {
        self.outcome.late += out.take_late_rows();
        for (port, batch) in out.take() {
            if port == OutputPort::Main {
                assert_eq!(batch.schema(), self.job.output());
                self.outcome.rows.extend(lines(batch.records().columns(), batch.num_rows()));
            }
        }
    }
}
