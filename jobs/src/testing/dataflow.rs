//! The operators of a job, in subtasks, and what goes from one to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use weir_core::hash::owner;
use weir_core::plugin::{OperatorStep, Spread, StepInput, check_dropped};
use weir_core::{
    Batch, Collector, Distribution, Error, EventTime, HashRange, OpenContext, Operator, OutputPort, Outstanding, Result,
};

use crate::job::{OperatorPlan, Plan, Step};
use crate::operator::hash_of;

use super::snapshot::{Snapshot, StepState, Stored};
use super::tables::{StoredTables, Tables};

pub(super) struct Dataflow {
    steps: Vec<Running>,
    /// Relations, and the tables that they are inserted into.
    inserts: Vec<(String, String, Vec<String>)>,
    /// What was inserted, or emitted and read by nothing.
    taken: BTreeMap<String, Vec<RecordBatch>>,
    late: Vec<RecordBatch>,
    /// How far event time has come in what the job reads, and in what its steps emit.
    watermarks: BTreeMap<String, EventTime>,
    now: i64,
    /// Those whose sources and sinks are the job's own.
    pub(super) tables: Tables,
    pub(super) is_partly_in_memory: bool,
}

/// A step in all its subtasks.
struct Running {
    step: OperatorStep,
    subtasks: Vec<Subtask>,
    stored: Vec<Stored>,
    watermark: EventTime,
    /// Batches that went to any subtask.
    batches: usize,
}

struct Subtask {
    operator: Box<dyn Operator>,
    woken: Arc<Woken>,
    /// Hashes of the keys in memory; `None`: all are.
    resident: Option<BTreeSet<u64>>,
}

/// Whether there are answers.
#[derive(Default)]
struct Woken {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}

impl Woken {
    fn wait(&self) {
        let is_woken = self.is_woken.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.changed.wait_while(is_woken, |is_woken| !*is_woken);
        *woken.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

impl Dataflow {
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        let inserts = plan.steps.iter().filter_map(|step| match step {
            Step::Insert { relation, table, columns } => Some((relation.clone(), table.clone(), columns.clone())),
            _ => None,
        });
        let mut dataflow = Self {
            steps: Vec::new(),
            inserts: inserts.collect(),
            taken: BTreeMap::new(),
            late: Vec::new(),
            watermarks: BTreeMap::new(),
            now: 0,
            tables: Tables::default(),
            is_partly_in_memory: false,
        };
        dataflow.restore(plan, &Snapshot::default(), 1)?;
        Ok(dataflow)
    }

    pub(super) fn restore(&mut self, plan: &Plan, snapshot: &Snapshot, parallelism: usize) -> Result<()> {
        if parallelism == 0 {
            return Err(Error::user("a job has at least one subtask"));
        }
        let named: BTreeSet<&String> = plan.operators().map(|operator| &operator.step.view).collect();
        if let Some(lost) = snapshot.steps.keys().find(|name| !named.contains(name)) {
            return Err(Error::user(format!("there is state of a step '{lost}', which the job does not have"))
                .with_help("a step keeps its state by its name"));
        }
        self.steps.clear();
        for operator in plan.operators() {
            let state = snapshot.steps.get(&operator.step.view).cloned().unwrap_or_default();
            self.steps.push(Running::start(operator, &state, parallelism)?);
        }
        self.tables.restore(plan, &snapshot.tables)?;
        self.watermarks.clone_from(&snapshot.watermarks);
        for step in 0..self.steps.len() {
            let watermark = self.steps[step].watermark;
            if watermark > EventTime::MIN {
                self.advance(step, watermark)?;
            }
        }
        Ok(())
    }

    /// Rows of a relation that no step emits.
    pub(super) fn send(&mut self, relation: &str, rows: &RecordBatch) -> Result<()> {
        let is_read =
            self.steps.iter().any(|running| running.step.inputs.iter().any(|input| input.relation == relation))
                || self.inserts.iter().any(|(read, ..)| read == relation);
        if !is_read || self.is_emitted(relation) {
            let known: Vec<String> = self.sources().into_iter().collect();
            return Err(Error::user(format!("the job reads no table '{relation}'"))
                .with_help(format!("it reads {}", known.join(", "))));
        }
        if rows.num_rows() > 0 {
            self.deliver(relation, rows)?;
        }
        if self.is_partly_in_memory {
            self.checkpoint()?;
            self.steps.iter_mut().try_for_each(Running::evict)?;
        }
        Ok(())
    }

    /// What the job reads.
    fn sources(&self) -> BTreeSet<String> {
        let read = self.steps.iter().flat_map(|running| &running.step.inputs).map(|input| &input.relation);
        let all = read.chain(self.inserts.iter().map(|(relation, ..)| relation));
        all.filter(|relation| !self.is_emitted(relation)).cloned().collect()
    }

    fn is_emitted(&self, relation: &str) -> bool {
        self.steps.iter().any(|running| {
            running.step.view == relation || running.step.side_outputs.iter().any(|side| side.view == relation)
        })
    }

    /// Gives rows of a relation to all that read it.
    fn deliver(&mut self, relation: &str, rows: &RecordBatch) -> Result<()> {
        let mut is_read = false;
        for (_, table, columns) in self.inserts.iter().filter(|(read, ..)| read == relation) {
            is_read = true;
            let rows = named_columns(rows, columns.iter().map(String::as_str), table)?;
            self.tables.insert(table, &rows);
            self.taken.entry(table.clone()).or_default().push(rows);
        }
        for step in 0..self.steps.len() {
            for ordinal in 0..self.steps[step].step.inputs.len() {
                let input = &self.steps[step].step.inputs[ordinal];
                if input.relation != relation {
                    continue;
                }
                is_read = true;
                let names = input.columns.fields().iter().map(|field| field.name().as_str());
                let rows = named_columns(rows, names, relation)?.with_schema(input.columns.clone())?;
                for (subtask, rows) in self.steps[step].spread(ordinal, &rows)? {
                    self.steps[step].load(subtask, ordinal, &rows)?;
                    self.call(step, subtask, |operator, out| {
                        operator.process(ordinal, Batch::append(rows), out).map(|()| None)
                    })?;
                }
            }
        }
        if !is_read {
            self.taken.entry(relation.to_owned()).or_default().push(rows.clone());
        }
        Ok(())
    }

    /// Calls an operator, and gives what it emits to those who read it. Returns the watermark that it returns.
    fn call(
        &mut self,
        step: usize,
        subtask: usize,
        action: impl FnOnce(&mut dyn Operator, &mut Collector) -> Result<Option<EventTime>>,
    ) -> Result<Option<EventTime>> {
        let mut out = Collector::new(self.now);
        let sent = action(&mut *self.steps[step].subtasks[subtask].operator, &mut out)?;
        for (port, batch) in out.take() {
            let rows = batch.into_appended()?;
            let described = &self.steps[step].step;
            let relation = match port {
                OutputPort::Main => Some((&described.view, &described.output)),
                OutputPort::Side(number) => {
                    described.side_outputs.get(usize::from(number)).map(|side| (&side.view, &side.columns))
                }
                OutputPort::Late => {
                    self.late.push(rows);
                    continue;
                }
                OutputPort::Rejected => None,
            };
            let Some((relation, columns)) = relation.map(|(view, columns)| (view.clone(), columns)) else {
                return Err(Error::internal(format!("step '{}' emits on an output that it has not", described.view)));
            };
            if rows.schema() != *columns {
                return Err(Error::internal(format!("step '{relation}' emits {:?}, not {columns:?}", rows.schema())));
            }
            self.deliver(&relation, &rows)?;
        }
        Ok(sent)
    }

    pub(super) fn watermark(&mut self, relation: Option<&str>, time: EventTime) -> Result<()> {
        let sources = self.sources();
        if let Some(unknown) = relation.filter(|relation| !sources.contains(*relation)) {
            return Err(Error::user(format!("the job reads no table '{unknown}'")));
        }
        for source in sources.into_iter().filter(|source| relation.is_none_or(|relation| relation == source)) {
            let before = self.watermarks.entry(source).or_insert(EventTime::MIN);
            *before = time.max(*before);
        }
        self.advance_behind(0)
    }

    /// Tells steps, from this one on, how far event time has come in what they read.
    fn advance_behind(&mut self, first: usize) -> Result<()> {
        for step in first..self.steps.len() {
            // What has no event time holds nothing up. Where nothing has it there is none, up to the end.
            let inputs = || self.steps[step].step.inputs.iter();
            let of = |input: &StepInput| self.time_of(&input.relation);
            let is_over = || inputs().map(of).all(|time| time == EventTime::MAX);
            let time = inputs().filter(|input| input.event_time.is_some()).map(of).min();
            let time = time.unwrap_or_else(|| if is_over() { EventTime::MAX } else { EventTime::MIN });
            if time > self.steps[step].watermark {
                self.advance(step, time)?;
            }
        }
        Ok(())
    }

    /// How far event time has come in a relation; in a side output, in its step.
    fn time_of(&self, relation: &str) -> EventTime {
        let has_side = |running: &&Running| running.step.side_outputs.iter().any(|side| side.view == relation);
        let step = self.steps.iter().find(has_side).map(|running| running.step.view.as_str());
        self.watermarks.get(step.unwrap_or(relation)).copied().unwrap_or(EventTime::MIN)
    }

    fn advance(&mut self, step: usize, time: EventTime) -> Result<()> {
        self.steps[step].watermark = time;
        let mut least = EventTime::MAX;
        for subtask in 0..self.steps[step].subtasks.len() {
            let sent = self.call(step, subtask, |operator, out| operator.watermark(time, out))?;
            least = least.min(sent.unwrap_or(EventTime::MIN));
        }
        let view = self.steps[step].step.view.clone();
        self.watermarks.insert(view, least);
        Ok(())
    }

    pub(super) fn clock(&mut self, now: i64) -> Result<()> {
        self.now = now;
        for step in (0..self.steps.len()).filter(|step| self.steps[*step].step.wants_ticks).collect::<Vec<_>>() {
            for subtask in 0..self.steps[step].subtasks.len() {
                self.call(step, subtask, |operator, out| operator.tick(out))?;
            }
        }
        Ok(())
    }

    /// Waits until no row waits for an answer. What comes of one step may wait in the next.
    pub(super) fn settle(&mut self) -> Result<()> {
        for step in 0..self.steps.len() {
            for subtask in 0..self.steps[step].subtasks.len() {
                while self.steps[step].subtasks[subtask].operator.outstanding() != Outstanding::None {
                    self.steps[step].subtasks[subtask].woken.wait();
                    self.call(step, subtask, |operator, out| operator.answers(out))?;
                }
            }
            let Running { step: OperatorStep { view, awaits_answers, .. }, watermark, .. } = &self.steps[step];
            if *awaits_answers && *watermark > self.time_of(view) {
                let view = view.clone();
                self.watermarks.insert(view, *watermark);
                self.advance_behind(step + 1)?;
            }
        }
        Ok(())
    }

    /// A marker passes.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        for step in 0..self.steps.len() {
            for subtask in 0..self.steps[step].subtasks.len() {
                self.call(step, subtask, |operator, out| operator.release(out).map(|()| None))?;
                self.call(step, subtask, |operator, out| operator.flush(out).map(|()| None))?;
            }
            self.steps[step].capture()?;
        }
        Ok(())
    }

    pub(super) fn snapshot(&self, tables: StoredTables) -> Snapshot {
        let with_state = self.steps.iter().filter(|running| !running.stored.is_empty());
        let state =
            |running: &Running| StepState { tables: running.stored.clone(), watermark: Some(running.watermark) };
        Snapshot {
            steps: with_state.map(|running| (running.step.view.clone(), state(running))).collect(),
            watermarks: self.watermarks.clone(),
            tables,
        }
    }

    pub(super) fn take(&mut self, table: &str) -> Vec<RecordBatch> {
        self.taken.remove(table).unwrap_or_default()
    }

    pub(super) fn take_late(&mut self) -> Vec<String> {
        let batches = std::mem::take(&mut self.late);
        let texts =
            batches.iter().filter_map(|rows| rows.column(3).as_any().downcast_ref::<arrow::array::StringViewArray>());
        texts.flat_map(|texts| texts.iter().flatten().map(str::to_owned)).collect()
    }
}

impl Running {
    fn start(plan: &OperatorPlan, state: &StepState, parallelism: usize) -> Result<Self> {
        let mut subtasks = Vec::new();
        let mut stored: Vec<Stored> = Vec::new();
        let watermark = state.watermark.unwrap_or(EventTime::MIN);
        for index in 0..parallelism {
            let mut operator = (plan.make)(&plan.sides)?;
            let tables = operator.tables();
            if index == 0 {
                for table in &tables {
                    let before = state.tables.iter().find(|stored| stored.schema.name == table.name);
                    stored.push(
                        before.map_or_else(|| Ok(Stored::new(table.clone())), |before| before.declared_as(table))?,
                    );
                }
                let before = state.tables.iter().map(|stored| &stored.schema);
                check_dropped(before, &tables, &plan.step.drops)
                    .map_err(|why| Error::user(format!("step '{}': {why}", plan.step.view)))?;
            }
            let range = HashRange::of_subtask(index, parallelism);
            let restored = state.watermark.is_some();
            operator.open(&OpenContext { range, watermark, restored, has_expired: false })?;
            for (position, table) in stored.iter().enumerate() {
                if let Some((rows, hashes)) = table.read_range(range)? {
                    operator.load(position, &rows, &hashes)?;
                }
            }
            let woken = Arc::new(Woken::default());
            operator.wake_by(&Waker::from(woken.clone()))?;
            subtasks.push(Subtask { operator, woken, resident: None });
        }
        Ok(Self { step: plan.step.clone(), subtasks, stored, watermark, batches: 0 })
    }

    /// Which rows of a batch go to which subtask.
    fn spread(&mut self, ordinal: usize, rows: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
        let parallelism = self.subtasks.len();
        self.batches += 1;
        match &self.step.inputs[ordinal].spread {
            Spread::Stay => Ok(vec![(self.batches % parallelism, rows.clone())]),
            Spread::Broadcast => Ok((0..parallelism).map(|subtask| (subtask, rows.clone())).collect()),
            Spread::Keys(_) => {
                let mut rows_of = vec![Vec::new(); parallelism];
                for (row, hash) in self.hashes(ordinal, rows)?.into_iter().enumerate() {
                    rows_of[owner(hash, parallelism)].push(row as u32);
                }
                let parts = rows_of.into_iter().enumerate().filter(|(_, positions)| !positions.is_empty());
                parts
                    .map(|(subtask, positions)| Ok((subtask, take_record_batch(rows, &UInt32Array::from(positions))?)))
                    .collect()
            }
        }
    }

    fn hashes(&self, ordinal: usize, rows: &RecordBatch) -> Result<Vec<u64>> {
        let keys = self.subtasks[0].operator.key_columns(ordinal).unwrap_or_default();
        let columns: Vec<ArrayRef> = keys.iter().map(|key| rows.column(*key).clone()).collect();
        hash_of(&columns, rows.num_rows())
    }

    /// Brings the keys of the rows into memory.
    fn load(&mut self, subtask: usize, ordinal: usize, rows: &RecordBatch) -> Result<()> {
        if self.subtasks[subtask].resident.is_none() || self.subtasks[subtask].operator.key_columns(ordinal).is_none() {
            return Ok(());
        }
        let hashes = self.hashes(ordinal, rows)?;
        let Subtask { operator, resident, .. } = &mut self.subtasks[subtask];
        let Some(resident) = resident else { return Ok(()) };
        let missing: BTreeSet<u64> = hashes.into_iter().filter(|hash| resident.insert(*hash)).collect();
        for (position, table) in self.stored.iter().enumerate() {
            if let Some((rows, hashes)) = table.read(|hash| missing.contains(&hash))? {
                operator.load(position, &rows, &hashes)?;
            }
        }
        Ok(())
    }

    /// Lets go of all keys, if the operator can do without.
    fn evict(&mut self) -> Result<()> {
        let can =
            !self.stored.is_empty() && self.stored.iter().all(|table| table.schema.distribution == Distribution::Keyed);
        for Subtask { operator, resident, .. } in self.subtasks.iter_mut().filter(|_| can) {
            operator.evict(&|_| true)?;
            *resident = Some(BTreeSet::new());
        }
        Ok(())
    }

    fn capture(&mut self) -> Result<()> {
        for Subtask { operator, .. } in &mut self.subtasks {
            let captures = operator.capture()?;
            if captures.len() != self.stored.len() {
                return Err(Error::internal(format!("step '{}' captures other tables than it has", self.step.view)));
            }
            self.stored.iter_mut().zip(captures).try_for_each(|(table, capture)| table.add(capture))?;
        }
        Ok(())
    }
}

/// The columns of these names.
fn named_columns<'a>(rows: &RecordBatch, names: impl Iterator<Item = &'a str>, relation: &str) -> Result<RecordBatch> {
    let schema = rows.schema();
    let position = |name: &str| {
        schema.index_of(name).map_err(|_| Error::user(format!("'{relation}' was sent without a column '{name}'")))
    };
    Ok(rows.project(&names.map(position).collect::<Result<Vec<_>>>()?)?)
}
