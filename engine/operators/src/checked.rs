//! Checks, around any operator, what operators promise each other. Debug builds run every operator inside it.

use std::sync::Arc;
use std::task::Waker;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Distribution, Error, EventTime, HashRange, LookupRows, OpenContext,
    Operator, OutputPort, Outstanding, Result, TableSchema,
};

/// An operator whose contract is checked: rows in are of a key that the subtask owns, rows have weights only where the plan says so, rows out
/// have the declared schema, watermarks in and out never go back, epochs end in order, captures fit the declared tables.
pub struct Checked {
    inner: Box<dyn Operator>,
    name: String,
    schema: SchemaRef,
    inputs: Vec<SchemaRef>,
    /// Kinds of the inputs, and of the main output.
    changelogs: (Vec<ChangelogKind>, ChangelogKind),
    side_outputs: Vec<SchemaRef>,
    range: HashRange,
    seen: EventTime,
    sent: EventTime,
    place: Place,
    hashes: Vec<u64>,
}

/// Where in an epoch an operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Within,
    Released,
    Flushed,
}

impl Checked {
    /// Wraps the operator `name`, which reads `inputs` and emits `schema`.
    pub fn new(inner: Box<dyn Operator>, name: &str, inputs: &[SchemaRef], schema: SchemaRef) -> Self {
        Self {
            inner,
            name: name.to_owned(),
            schema,
            inputs: inputs.to_vec(),
            changelogs: (vec![ChangelogKind::Append; inputs.len()], ChangelogKind::Append),
            side_outputs: Vec::new(),
            range: HashRange::ALL,
            seen: EventTime::MIN,
            sent: EventTime::MIN,
            place: Place::Within,
            hashes: Vec::new(),
        }
    }

    /// For an operator that reads or emits other streams than those to which rows are only added.
    #[must_use]
    pub fn with_changelogs(mut self, inputs: Vec<ChangelogKind>, output: ChangelogKind) -> Self {
        self.changelogs = (inputs, output);
        self
    }

    /// For an operator with further outputs.
    #[must_use]
    pub fn with_side_outputs(mut self, side_outputs: Vec<SchemaRef>) -> Self {
        self.side_outputs = side_outputs;
        self
    }

    /// The operator without the checks.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn unchecked(&mut self) -> &mut dyn Operator {
        self.inner.as_mut()
    }

    fn broken(&self, what: impl std::fmt::Display) -> Error {
        Error::internal(format!("contract of {} broken: {what}", self.name))
    }

    fn check_input(&mut self, ordinal: usize, batch: &Batch) -> Result<()> {
        let Some(expected) = self.inputs.get(ordinal) else {
            return Err(self.broken(format_args!("it has no input {ordinal}")));
        };
        if batch.num_rows() == 0 {
            return Err(self.broken("an empty batch came in"));
        }
        if batch.weights().is_some() && self.changelogs.0.get(ordinal).is_none_or(ChangelogKind::is_append) {
            return Err(self.broken("rows with weights came where rows are only added"));
        }
        if !same_types(expected, &batch.schema()) {
            return Err(self.broken(format_args!("input {ordinal} is {:?}, not {expected:?}", batch.schema())));
        }
        let Some(keys) = self.inner.key_columns(ordinal) else { return Ok(()) };
        let columns: Vec<ArrayRef> = keys.iter().map(|key| batch.records().column(*key).clone()).collect();
        hash_rows(&columns, batch.num_rows(), &mut self.hashes)?;
        if self.hashes.iter().any(|hash| !self.range.contains(*hash)) {
            return Err(self.broken("a row came to a subtask that does not own its key"));
        }
        Ok(())
    }

    fn check_output(&self, out: &mut Collector) -> Result<()> {
        for (port, batch) in out.take() {
            let expected = match port {
                OutputPort::Main => self.schema.clone(),
                OutputPort::Late => Collector::late_schema(),
                OutputPort::Rejected => return Err(self.broken("it rejected rows")),
                OutputPort::Side(number) => {
                    let schema = self.side_outputs.get(usize::from(number));
                    schema.cloned().ok_or_else(|| self.broken(format_args!("it has no side output {number}")))?
                }
            };
            if batch.weights().is_some() && (port != OutputPort::Main || self.changelogs.1.is_append()) {
                return Err(self.broken("it emitted rows with weights where rows are only added"));
            }
            if batch.schema() != expected {
                return Err(self.broken(format_args!("it emitted {:?}, not {expected:?}", batch.schema())));
            }
            out.emit_to(port, batch);
        }
        Ok(())
    }

    fn check_sent(&mut self, time: Option<EventTime>) -> Result<Option<EventTime>> {
        let Some(time) = time else { return Ok(None) };
        if time < self.sent {
            return Err(self.broken(format_args!("its watermark went back from {} to {time}", self.sent)));
        }
        self.sent = time;
        Ok(Some(time))
    }
}

/// Names may differ along a plan; types and their order must not.
fn same_types(a: &SchemaRef, b: &SchemaRef) -> bool {
    a.fields().len() == b.fields().len()
        && a.fields().iter().zip(b.fields()).all(|(a, b)| a.data_type() == b.data_type())
}

#[deny(clippy::missing_trait_methods)]
impl Operator for Checked {
    fn tables(&self) -> Vec<TableSchema> {
        self.inner.tables()
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.range = context.range;
        self.seen = context.watermark;
        self.inner.open(context)
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        if rows.num_rows() != hashes.len() {
            return Err(self.broken("loaded rows and hashes differ in number"));
        }
        let keyed = self.inner.tables().get(table).is_some_and(|table| table.distribution == Distribution::Keyed);
        if keyed && hashes.values().iter().any(|hash| !self.range.contains(*hash)) {
            return Err(self.broken("it was given state of a key that the subtask does not own"));
        }
        self.inner.load(table, rows, hashes)
    }

    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.inner.expired(table, watermark)
    }

    fn due(&self, table: usize, time: EventTime) -> Option<EventTime> {
        self.inner.due(table, time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.inner.settled(table, watermark)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let least = self.inner.evict(leaves)?;
        let tables = self.inner.tables().len();
        if least.len() != tables {
            return Err(self.broken(format_args!("rows of {} tables of {tables} left", least.len())));
        }
        Ok(least)
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        self.inner.key_columns(ordinal)
    }

    fn takes(&self, ordinal: usize, stream: &ChangelogKind) -> bool {
        self.inner.takes(ordinal, stream)
    }

    fn lookup_keys(&self, batch: &Batch) -> Result<RecordBatch> {
        self.inner.lookup_keys(batch)
    }

    fn look_up_in(&mut self, rows: Arc<LookupRows>) -> Result<()> {
        self.inner.look_up_in(rows)
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        self.place = Place::Within;
        self.check_input(ordinal, &batch)?;
        self.inner.process(ordinal, batch, out)?;
        self.check_output(out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if time < self.seen {
            return Err(self.broken(format_args!("event time went from {} to {time}", self.seen)));
        }
        self.seen = time;
        self.place = Place::Within;
        let sent = self.inner.watermark(time, out)?;
        self.check_output(out)?;
        self.check_sent(sent)
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.place = Place::Within;
        let sent = self.inner.tick(out)?;
        self.check_output(out)?;
        self.check_sent(sent)
    }

    fn outstanding(&self) -> Outstanding {
        self.inner.outstanding()
    }

    fn wake_by(&mut self, waker: &Waker) -> Result<()> {
        self.inner.wake_by(waker)
    }

    fn answers(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.place = Place::Within;
        let sent = self.inner.answers(out)?;
        self.check_output(out)?;
        if sent.is_some_and(|sent| sent > self.seen) {
            return Err(self.broken("it sent a watermark with its answers that it was not given"));
        }
        self.check_sent(sent)
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        self.place = Place::Released;
        self.inner.release(out)?;
        self.check_output(out)
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        if self.place != Place::Released {
            return Err(self.broken("an epoch ends before what is held back was released"));
        }
        self.place = Place::Flushed;
        self.inner.flush(out)?;
        self.check_output(out)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        if self.place != Place::Flushed {
            return Err(self.broken("state is captured elsewhere than at the end of an epoch"));
        }
        let captures = self.inner.capture()?;
        let tables = self.inner.tables().len();
        if captures.len() != tables {
            return Err(self.broken(format_args!("{} captures of {tables} tables", captures.len())));
        }
        if (0..tables).any(|table| captures[table].expired != self.inner.expired(table, self.seen)) {
            return Err(self.broken("a capture says otherwise of what has expired than the operator"));
        }
        Ok(captures)
    }

    fn state_bytes(&self) -> usize {
        self.inner.state_bytes()
    }
}
