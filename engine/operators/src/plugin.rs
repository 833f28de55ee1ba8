//! An operator of a plugin, which the engine does not trust with its contracts: what comes out of it is checked in every build, and what is
//! wrong is the plugin's mistake, told as such. What goes in has the columns that the plugin has asked for, by name too.

use std::sync::Arc;
use std::task::Waker;

use arrow::array::{Array, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use weir_core::plugin::PluginSpec;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Error, EventTime, OpenContext, Operator, OutputPort, Outstanding, Result,
    TableSchema, state_column,
};
use weir_functions::Functions;

/// An operator of a plugin.
pub struct PluginOperator {
    inner: Box<dyn Operator>,
    name: String,
    spec: Arc<PluginSpec>,
    tables: Vec<TableSchema>,
    sent: EventTime,
}

impl PluginOperator {
    /// Has the plugin make the operator of the node `name`.
    ///
    /// # Errors
    /// If the plugin is not here, cannot make it, or declares state that cannot be kept.
    pub fn new(spec: &PluginSpec, name: &str, functions: &Functions) -> Result<Self> {
        let plugin = functions.plugins().find(spec.artifact.as_ref())?;
        let inner = plugin.operator(&spec.request())?;
        let tables = inner.tables();
        let spec = Arc::new(spec.clone());
        let operator = Self { inner, name: name.to_owned(), spec, tables, sent: EventTime::MIN };
        operator.check_tables()?;
        Ok(operator)
    }

    fn broken(&self, what: impl std::fmt::Display) -> Error {
        let Self { name, spec, .. } = self;
        Error::user(format!("the plugin's operator `{}` ({name}) does what it must not: {what}", spec.operator))
    }

    fn check_tables(&self) -> Result<()> {
        for (index, table) in self.tables.iter().enumerate() {
            if self.tables[..index].iter().any(|other| other.name == table.name) {
                return Err(self.broken(format_args!("it has two tables `{}`", table.name)));
            }
            if let Some(field) = table.schema.fields().iter().find(|field| state_column::id(field).is_none()) {
                let (column, name) = (field.name(), &table.name);
                return Err(self.broken(format_args!("column `{column}` of its table `{name}` has no id")));
            }
        }
        Ok(())
    }

    fn check_output(&self, out: &mut Collector) -> Result<()> {
        for (port, batch) in out.take() {
            let expected = match port {
                OutputPort::Main => &self.spec.output,
                OutputPort::Late => &Collector::late_schema(),
                OutputPort::Rejected => return Err(self.broken("it rejects records, as a source does")),
                OutputPort::Side(number) => self
                    .spec
                    .side_outputs
                    .get(usize::from(number))
                    .ok_or_else(|| self.broken(format_args!("it has no side output {number}")))?,
            };
            if batch.weights().is_some() && (port != OutputPort::Main || self.spec.changelog.is_append()) {
                return Err(self.broken("it emits rows with weights where it has said that rows are only added"));
            }
            out.emit_to(port, self.with_columns(batch, expected)?);
        }
        Ok(())
    }

    /// The batch with the names that its columns are declared with, if it has the types.
    fn with_columns(&self, batch: Batch, expected: &SchemaRef) -> Result<Batch> {
        if Arc::ptr_eq(batch.records().schema_ref(), expected) {
            return Ok(batch);
        }
        let schema = batch.records().schema();
        let same = schema.fields().len() == expected.fields().len()
            && schema.fields().iter().zip(expected.fields()).all(|(one, other)| one.data_type() == other.data_type());
        if !same {
            return Err(self.broken(format_args!(
                "it emits rows of {}, and has declared {}",
                types(&schema),
                types(expected)
            )));
        }
        let null = expected.fields().iter().zip(batch.records().columns());
        if let Some((field, _)) = null.clone().find(|(field, column)| !field.is_nullable() && column.null_count() > 0) {
            return Err(self.broken(format_args!("it emits a null in `{}`, which is declared not to be", field.name())));
        }
        batch.with_columns(expected, batch.records().columns().to_vec())
    }

    fn check_sent(&mut self, sent: Option<EventTime>) -> Result<Option<EventTime>> {
        let Some(time) = sent else { return Ok(None) };
        if time < self.sent {
            return Err(self.broken(format_args!("its watermark goes back from {} to {time}", self.sent)));
        }
        self.sent = time;
        Ok(Some(time))
    }
}

fn types(schema: &SchemaRef) -> String {
    let types: Vec<String> = schema.fields().iter().map(|field| field.data_type().to_string()).collect();
    format!("({})", types.join(", "))
}

impl Operator for PluginOperator {
    fn tables(&self) -> Vec<TableSchema> {
        self.tables.clone()
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.inner.open(context)
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
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
        if least.len() != self.tables.len() {
            return Err(self.broken(format_args!("rows of {} tables of {} left", least.len(), self.tables.len())));
        }
        Ok(least)
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        self.spec.inputs.get(ordinal)?.spread.keys()
    }

    /// What it takes was said where the job was planned.
    fn takes(&self, ordinal: usize, stream: &ChangelogKind) -> bool {
        let takes = |retractions| stream.is_append() || (*stream == ChangelogKind::Retract && retractions);
        self.spec.inputs.get(ordinal).is_some_and(|input| takes(input.takes_retractions))
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let input = self.spec.inputs.get(ordinal);
        let columns = &input.ok_or_else(|| Error::internal(format!("{} has no input {ordinal}", self.name)))?.columns;
        let batch = if Arc::ptr_eq(batch.records().schema_ref(), columns) {
            batch
        } else {
            batch.with_columns(columns, batch.records().columns().to_vec())?
        };
        self.inner.process(ordinal, batch, out)?;
        self.check_output(out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        let sent = self.inner.watermark(time, out)?;
        self.check_output(out)?;
        if sent.is_some_and(|sent| sent > time) {
            return Err(self.broken(format_args!("it sends a watermark that it was not given: it was given {time}")));
        }
        self.check_sent(sent)
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
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
        let sent = self.inner.answers(out)?;
        self.check_output(out)?;
        self.check_sent(sent)
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        self.inner.release(out)?;
        self.check_output(out)
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        self.inner.flush(out)?;
        self.check_output(out)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let captures = self.inner.capture()?;
        if captures.len() != self.tables.len() {
            return Err(self.broken(format_args!("{} captures of {} tables", captures.len(), self.tables.len())));
        }
        Ok(captures)
    }

    fn state_bytes(&self) -> usize {
        self.inner.state_bytes()
    }
}

#[cfg(test)]
mod rust_jobs;
#[cfg(test)]
mod tests;
