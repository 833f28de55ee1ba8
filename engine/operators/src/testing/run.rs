//! Runs a script over as many subtasks as its plan says, with real state files in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use weir_core::hash::{hash_rows, owner};
use weir_core::{
    Attempt, Batch, Capture, ChangelogKind, Collector, Epoch, Error, EventTime, HashRange, InputWatermarks, LookupRows,
    NodeSpec, OpenContext, Operator, OperatorSpec, OperatorUid, OutputPort, Result, TableSchema, Watermark,
};
use weir_functions::Functions;
use weir_state::{
    CapturedTable, Manifest, ManifestHeader, MemoryStorage, Partial, StateStore, Storage, encode, layout, read_table,
};

use super::plan::Plan;
use super::script::{Script, Step};
use super::text::{changes, text, time_text};
use crate::build::bare;
use crate::{Checked, LookupSide};

/// What came out between two markers; rows are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interval {
    /// Rows of the main output.
    pub rows: Vec<String>,
    /// Late rows: time, watermark, row.
    pub late: Vec<String>,
    /// Where downstream stands at its end.
    pub sent: Option<String>,
}

/// Runs `script` and returns what came out, per marker.
///
/// # Errors
/// What the operator or the state says.
pub fn run(node: &NodeSpec, inputs: &[SchemaRef], script: &Script, plan: Plan) -> Result<Vec<Interval>> {
    run_with(&Functions::built_in(), node, inputs, script, plan)
}

/// As [`run`], with these functions.
///
/// # Errors
/// What the operator or the state says.
pub fn run_with(
    functions: &Functions,
    node: &NodeSpec,
    inputs: &[SchemaRef],
    script: &Script,
    plan: Plan,
) -> Result<Vec<Interval>> {
    let mut job = Job::new((functions, node), (inputs, script.changelogs(inputs.len())), plan)?;
    let padded = plan == Plan::Padded;
    for step in &script.steps {
        if padded {
            job.flush()?;
            job.no_rows()?;
        }
        match step {
            Step::Rows(ordinal, batch) => job.rows(*ordinal, batch)?,
            Step::Watermark(input, watermark) => job.input_watermark(*input, *watermark)?,
            Step::Table(rows) => job.table(rows)?,
            Step::Tick(now) => job.tick(*now)?,
            Step::Marker => job.marker()?,
        }
        job.evict()?;
        if padded && matches!(step, Step::Marker) {
            job.no_rows()?;
            job.marker()?;
            job.join_intervals();
        }
    }
    if padded {
        job.no_rows()?;
    }
    Ok(job.finish())
}

struct Job<'a> {
    functions: &'a Functions,
    node: &'a NodeSpec,
    inputs: &'a [SchemaRef],
    changelogs: Vec<ChangelogKind>,
    /// What rows are looked up in.
    table: Option<Arc<LookupRows>>,
    plan: Plan,
    subtasks: Vec<Subtask>,
    watermarks: InputWatermarks,
    /// What each input said last: it says so again after a restore.
    said: Vec<Option<Watermark>>,
    batches: usize,
    now: i64,
    markers: usize,
    storage: Arc<MemoryStorage>,
    /// What subtasks share that have only a part of their state in memory.
    store: Option<Arc<StateStore>>,
    manifest: Option<Manifest>,
    /// What checkpoints that were given up have captured.
    given_up: Vec<(TableSchema, Vec<Capture>)>,
    intervals: Vec<Interval>,
    /// How often each row has come out and was not taken back.
    shown: BTreeMap<String, usize>,
    sent: EventTime,
}

struct Subtask {
    operator: Checked,
    /// Which part of its state is in memory; `None`: all of it.
    partial: Option<Partial>,
    watermark: EventTime,
    sent: EventTime,
}

impl<'a> Job<'a> {
    fn new(
        (functions, node): (&'a Functions, &'a NodeSpec),
        (inputs, changelogs): (&'a [SchemaRef], Vec<ChangelogKind>),
        plan: Plan,
    ) -> Result<Self> {
        let mut job = Self {
            functions,
            node,
            inputs,
            changelogs,
            table: None,
            plan,
            subtasks: Vec::new(),
            watermarks: InputWatermarks::new(inputs.len(), EventTime::MIN),
            said: vec![None; inputs.len()],
            batches: 0,
            now: 0,
            markers: 0,
            storage: Arc::default(),
            store: None,
            manifest: None,
            given_up: Vec::new(),
            intervals: vec![Interval::default()],
            shown: BTreeMap::new(),
            sent: EventTime::MIN,
        };
        job.start()?;
        Ok(job)
    }

    fn uid(&self) -> OperatorUid {
        OperatorUid("tested".to_owned())
    }

    fn operator(&self) -> Result<Checked> {
        checked((self.functions, self.node), self.inputs, &self.changelogs)
    }

    fn start(&mut self) -> Result<()> {
        let parallelism = self.plan.parallelism(self.markers);
        self.subtasks.clear();
        let tables = self.operator()?.tables();
        let stored =
            self.manifest.as_ref().and_then(|manifest| Some((manifest.epoch, manifest.operator(&self.uid())?)));
        self.store = match self.plan.leaving() {
            Some(_) if Partial::is_possible(&tables) => {
                Some(Arc::new(StateStore::new(self.storage.clone(), (self.uid(), Attempt(1)), tables.clone(), stored)?))
            }
            _ => None,
        };
        for index in 0..parallelism {
            let mut operator = self.operator()?;
            let range = HashRange::of_subtask(index, parallelism);
            let watermark = self.watermarks.combined();
            let has_expired =
                stored.is_some_and(|(_, stored)| stored.tables.iter().any(|table| table.expired.is_some()));
            operator.open(&OpenContext { range, watermark, restored: stored.is_some(), has_expired })?;
            let partial = self.store.clone().map(|store| Partial::new(store, tables.len(), range));
            let load = if partial.is_some() { &[] } else { tables.as_slice() };
            for (number, table) in load.iter().enumerate() {
                let stored = stored.and_then(|(_, stored)| stored.tables.iter().find(|t| t.schema.name == table.name));
                let Some(stored) = stored else { continue };
                for (rows, hashes) in read_table(&*self.storage, &stored.declared_as(table)?, range)? {
                    operator.load(number, &rows, &hashes)?;
                }
            }
            self.table.iter().try_for_each(|table| operator.look_up_in(table.clone()))?;
            self.subtasks.push(Subtask { operator, partial, watermark, sent: EventTime::MIN });
        }
        Ok(())
    }

    /// The table that rows are looked up in has other rows.
    fn table(&mut self, rows: &RecordBatch) -> Result<()> {
        let OperatorSpec::LookupJoin(spec) = &self.node.operator else {
            return Err(Error::internal("a table was given to an operator that looks nothing up"));
        };
        let side = LookupSide::new(spec.clone(), Functions::built_in());
        let table = Arc::new(side.rows(vec![rows.clone()])?);
        self.table = Some(table.clone());
        self.subtasks.iter_mut().try_for_each(|subtask| subtask.operator.look_up_in(table.clone()))
    }

    /// Lets the subtasks' memory have no more than their plan says.
    fn evict(&mut self) -> Result<()> {
        let Some(share) = self.plan.leaving() else { return Ok(()) };
        for Subtask { operator, partial, .. } in &mut self.subtasks {
            partial.as_mut().map_or(Ok(false), |partial| partial.evict(operator, share))?;
        }
        Ok(())
    }

    fn rows(&mut self, ordinal: usize, batch: &Batch) -> Result<()> {
        self.batches += 1;
        let records = batch.records();
        let parallelism = self.subtasks.len();
        let rows_of = match self.subtasks[0].operator.key_columns(ordinal) {
            None if self.node.operator.broadcast_input() == Some(ordinal) => {
                vec![(0..records.num_rows() as u32).collect(); parallelism]
            }
            None => {
                let mut rows_of = vec![Vec::new(); parallelism];
                rows_of[self.batches % parallelism] = (0..records.num_rows() as u32).collect();
                rows_of
            }
            Some(keys) => {
                let columns: Vec<ArrayRef> = keys.iter().map(|key| records.column(*key).clone()).collect();
                let mut hashes = Vec::new();
                hash_rows(&columns, records.num_rows(), &mut hashes)?;
                let mut rows_of = vec![Vec::new(); parallelism];
                hashes.iter().enumerate().for_each(|(row, hash)| rows_of[owner(*hash, parallelism)].push(row as u32));
                rows_of
            }
        };
        for (subtask, rows) in rows_of.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let part = batch.take(&UInt32Array::from(rows))?;
            let Subtask { operator, partial, watermark, .. } = &mut self.subtasks[subtask];
            if let Some(partial) = partial
                && let Some(read) = partial.touch(operator, ordinal, part.records(), *watermark)?
            {
                Partial::load(operator, &read()?)?;
            }
            self.call(subtask, |operator, out| operator.process(ordinal, part, out))?;
        }
        Ok(())
    }

    /// A batch without rows from each input, to each subtask.
    fn no_rows(&mut self) -> Result<()> {
        for (ordinal, input) in self.inputs.iter().enumerate() {
            for subtask in 0..self.subtasks.len() {
                let batch = RecordBatch::new_empty(input.clone());
                self.unchecked(subtask, |operator, out| operator.process(ordinal, batch.into(), out))?;
            }
        }
        Ok(())
    }

    fn input_watermark(&mut self, input: usize, watermark: Watermark) -> Result<()> {
        self.said[input] = Some(watermark);
        let news = self.watermarks.update(input, watermark);
        self.tell(news)
    }

    fn tell(&mut self, news: Vec<Watermark>) -> Result<()> {
        for watermark in news {
            match watermark {
                Watermark::At(time) => self.advance(time)?,
                Watermark::Idle => self.release()?,
            }
        }
        Ok(())
    }

    fn advance(&mut self, time: EventTime) -> Result<()> {
        for subtask in 0..self.subtasks.len() {
            let due = self.show_due(subtask, time)?;
            self.file(due)?;
            let sent = self.call(subtask, |operator, out| operator.watermark(time, out))?;
            self.sent(subtask, sent);
        }
        Ok(())
    }

    /// What twins of a subtask's operator emit at `time` of keys that are not in memory.
    fn show_due(&mut self, subtask: usize, time: EventTime) -> Result<Collector> {
        let mut out = Collector::new(self.now);
        let (node, inputs, changelogs) = ((self.functions, self.node), self.inputs, &self.changelogs);
        let Subtask { operator, partial, watermark, .. } = &mut self.subtasks[subtask];
        let before = std::mem::replace(watermark, time);
        if let Some(partial) = partial
            && let Some(mut search) = partial.due(operator, before, time)
        {
            for slice in search.found(search.slices()()?) {
                let rows = search.rows(slice)()?;
                partial.show(&mut search, rows, &mut checked(node, inputs, changelogs)?, &mut out)?;
            }
            partial.shown(&search);
        }
        Ok(out)
    }

    fn tick(&mut self, now: i64) -> Result<()> {
        self.now = now;
        for subtask in 0..self.subtasks.len() {
            let sent = self.call(subtask, |operator, out| operator.tick(out))?;
            self.sent(subtask, sent);
        }
        Ok(())
    }

    fn sent(&mut self, subtask: usize, time: Option<EventTime>) {
        let subtask = &mut self.subtasks[subtask];
        subtask.sent = subtask.sent.max(time.unwrap_or(EventTime::MIN));
        let least = self.subtasks.iter().map(|subtask| subtask.sent).min().unwrap_or(EventTime::MIN);
        self.sent = self.sent.max(least);
    }

    /// Calls one subtask's operator and files what it emits.
    fn call<R>(
        &mut self,
        subtask: usize,
        action: impl FnOnce(&mut dyn Operator, &mut Collector) -> Result<R>,
    ) -> Result<R> {
        let mut out = Collector::new(self.now);
        let result = action(&mut self.subtasks[subtask].operator, &mut out)?;
        self.file(out)?;
        Ok(result)
    }

    /// Calls one subtask's operator with what its contract rules out.
    fn unchecked(
        &mut self,
        subtask: usize,
        action: impl FnOnce(&mut dyn Operator, &mut Collector) -> Result<()>,
    ) -> Result<()> {
        let mut out = Collector::new(self.now);
        action(self.subtasks[subtask].operator.unchecked(), &mut out)?;
        self.file(out)
    }

    fn file(&mut self, mut out: Collector) -> Result<()> {
        let mut late_rows = 0;
        let interval = self.intervals.last_mut().ok_or_else(|| Error::internal("there is always an interval"))?;
        for (port, batch) in out.take() {
            match port {
                OutputPort::Main => {
                    for change in changes(&batch) {
                        match change.strip_prefix("- ") {
                            None => *self.shown.entry(change.clone()).or_default() += 1,
                            Some(row) => match self.shown.get_mut(row).filter(|count| **count > 0) {
                                Some(count) => *count -= 1,
                                None => return Err(Error::internal(format!("{row} was taken back and is not there"))),
                            },
                        }
                        interval.rows.push(change);
                    }
                }
                _ => {
                    late_rows += batch.num_rows() as u64;
                    interval.late.extend(text(&batch.records().project(&[1, 2, 3])?));
                }
            }
        }
        if out.take_late_rows() != late_rows {
            return Err(Error::internal("late rows were emitted that were not counted, or the reverse"));
        }
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        (0..self.subtasks.len()).try_for_each(|subtask| self.call(subtask, |operator, out| operator.release(out)))
    }

    /// A flush marker passes, or the first half of what a checkpoint's does.
    fn flush(&mut self) -> Result<()> {
        self.release()?;
        (0..self.subtasks.len()).try_for_each(|subtask| self.call(subtask, |operator, out| operator.flush(out)))
    }

    fn marker(&mut self) -> Result<()> {
        self.settle()?;
        self.flush()?;
        let mut tables = std::mem::take(&mut self.given_up);
        if tables.is_empty() {
            tables = self.subtasks[0].operator.tables().into_iter().map(|table| (table, Vec::new())).collect();
        }
        let epoch = Epoch(self.markers as u64 + 1);
        for subtask in &mut self.subtasks {
            let captures = subtask.operator.capture()?;
            tables.iter_mut().zip(captures).for_each(|(table, capture)| table.1.push(capture));
            subtask.partial.iter_mut().for_each(|partial| partial.captured(epoch));
        }
        self.markers += 1;
        self.end_interval();
        self.intervals.push(Interval::default());
        if self.plan == Plan::Halved && self.markers % 2 == 1 {
            self.given_up = tables;
            return self.marker_sent();
        }
        let attempt = Attempt(self.markers as u64);
        let (uid, watermark) = (self.uid(), self.watermarks.combined());
        let captured = tables
            .into_iter()
            .map(|(schema, capture)| CapturedTable { uid: uid.clone(), watermark, schema, capture })
            .collect();
        let snapshot = encode(captured, &layout::runs_prefix(epoch, attempt, "test"))?;
        snapshot.files.iter().try_for_each(|(path, bytes)| self.storage.put(path, bytes))?;
        let header = ManifestHeader {
            job: "test".to_owned(),
            identity: Default::default(),
            epoch,
            attempt,
            savepoint: false,
            finished: false,
            parallelism: self.subtasks.len(),
            places: Default::default(),
        };
        if let Some(store) = &self.store {
            snapshot.operators.iter().for_each(|operator| store.add(epoch, &operator.tables));
        }
        let manifest = Manifest::following(self.manifest.as_ref(), header, snapshot.operators, Vec::new());
        self.manifest = Some(Manifest::from_bytes(&manifest.to_bytes()?, "test")?);
        if self.plan.restores() {
            self.watermarks = InputWatermarks::new(self.inputs.len(), watermark);
            self.start()?;
            for (input, said) in self.said.clone().into_iter().enumerate() {
                if let Some(said) = said {
                    self.input_watermark(input, said)?;
                }
            }
            // Inputs that were idle are so from the beginning.
            self.settle()?;
        }
        self.marker_sent()
    }

    fn marker_sent(&mut self) -> Result<()> {
        let news = self.watermarks.marker_sent();
        self.tell(news)
    }

    /// Inputs that say so are idle, and the others count.
    fn settle(&mut self) -> Result<()> {
        let news = self.watermarks.marker();
        self.tell(news)
    }

    /// Makes the last two intervals one, as if the marker between them had not been.
    fn join_intervals(&mut self) {
        if let Some(last) = self.intervals.pop()
            && let Some(before) = self.intervals.last_mut()
        {
            before.rows.extend(last.rows);
            before.late.extend(last.late);
        }
    }

    fn end_interval(&mut self) {
        let sent = (self.sent > EventTime::MIN)
            .then(|| if self.sent == EventTime::MAX { "end".to_owned() } else { time_text(self.sent.0) });
        if let Some(interval) = self.intervals.last_mut() {
            interval.rows.sort();
            interval.late.sort();
            interval.sent = sent;
        }
    }

    fn finish(mut self) -> Vec<Interval> {
        self.end_interval();
        self.intervals
    }
}

fn checked(
    (functions, node): (&Functions, &NodeSpec),
    inputs: &[SchemaRef],
    changelogs: &[ChangelogKind],
) -> Result<Checked> {
    let checked = Checked::new(bare(node, inputs, functions)?, &node.name, inputs, node.schema.clone());
    Ok(checked.with_changelogs(changelogs.to_vec(), node.changelog.clone()))
}
