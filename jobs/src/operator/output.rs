//! Rows on their way out.

use std::any::{Any, TypeId};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{SchemaRef, TimestampMillisecondType};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use weir_core::{Batch, Collector, Error, EventTime, OutputPort, Result};

use crate::record::{Column, Record};

/// A side output that somebody reads.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) schema: SchemaRef,
    /// The name of the rows' type.
    pub(crate) record: &'static str,
    of: TypeId,
    rows: fn() -> Box<dyn AnyBuilder>,
}

impl Side {
    pub(crate) fn of<R: Record>(name: &'static str) -> Self {
        let rows: fn() -> Box<dyn AnyBuilder> = || Box::new(RowBuilder::<R>::new());
        Self { name, schema: R::schema(), record: R::NAME, of: TypeId::of::<R>(), rows }
    }

    pub(crate) fn has_rows_of(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

struct RowBuilder<R: Column> {
    rows: R::Builder,
    count: usize,
}

impl<R: Column> RowBuilder<R> {
    fn new() -> Self {
        Self { rows: R::builder(0), count: 0 }
    }

    #[inline]
    fn push(&mut self, row: &R) {
        row.append_to(&mut self.rows);
        self.count += 1;
    }
}

trait AnyBuilder: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    /// The columns, if there are rows.
    fn finish(&mut self) -> Option<Vec<ArrayRef>>;
}

impl<R: Column> AnyBuilder for RowBuilder<R> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn finish(&mut self) -> Option<Vec<ArrayRef>> {
        (std::mem::take(&mut self.count) > 0).then(|| R::finish_columns(&mut self.rows))
    }
}

/// Collects the rows that a step emits, until the batch that it was given has been worked off.
pub(crate) struct Output<R: Record> {
    schema: SchemaRef,
    main: RowBuilder<R>,
    sides: Sides,
    /// By the type of the rows: a step that reads two streams may have late rows of both.
    late: Vec<LateRows>,
    /// How many rows were late since the last batch left.
    late_count: usize,
}

/// The side outputs of a step that are read.
pub(crate) struct Sides {
    /// The step.
    name: String,
    outputs: Vec<(Side, Box<dyn AnyBuilder>)>,
    /// What went wrong where nothing could be returned.
    problem: Option<Error>,
}

impl Sides {
    /// Drops the row where nothing reads that output.
    pub(crate) fn emit_to<S: Record>(&mut self, name: &str, row: &S) {
        let Some((side, rows)) = self.outputs.iter_mut().find(|(side, _)| side.name == name) else { return };
        match rows.as_any().downcast_mut::<RowBuilder<S>>() {
            Some(rows) => rows.push(row),
            None => {
                let (step, record) = (&self.name, side.record);
                self.problem.get_or_insert_with(|| {
                    Error::user(format!(
                        "step '{step}' emits rows of {} on side output '{name}', which is read as rows of {record}",
                        S::NAME
                    ))
                    .with_help("emit and read it by the same constant")
                });
            }
        }
    }
}

/// Rows of one type that came too late.
struct LateRows {
    of: TypeId,
    schema: SchemaRef,
    event_time: Option<usize>,
    rows: Box<dyn AnyBuilder>,
}

impl<R: Record> Output<R> {
    /// For the step of that name.
    pub(crate) fn new(name: &str, sides: &[Side]) -> Self {
        let outputs = sides.iter().map(|side| (side.clone(), (side.rows)())).collect();
        Self {
            schema: R::schema(),
            main: RowBuilder::new(),
            sides: Sides { name: name.to_owned(), outputs, problem: None },
            late: Vec::new(),
            late_count: 0,
        }
    }

    #[inline]
    pub(crate) fn emit(&mut self, row: &R) {
        self.main.push(row);
    }

    /// The other outputs.
    pub(crate) fn sides(&mut self) -> &mut Sides {
        &mut self.sides
    }

    /// The row came too late. It leaves on the side output of that name, if something reads it, and with the job's late rows otherwise.
    pub(crate) fn late<S: Record>(&mut self, side: Option<&str>, row: &S) {
        self.late_count += 1;
        if let Some(name) = side.filter(|name| self.sides.outputs.iter().any(|(side, _)| side.name == *name)) {
            return self.sides.emit_to(name, row);
        }
        let of = TypeId::of::<S>();
        let position = self.late.iter().position(|late| late.of == of).unwrap_or_else(|| {
            let rows = Box::new(RowBuilder::<S>::new());
            self.late.push(LateRows { of, schema: S::schema(), event_time: S::EVENT_TIME, rows });
            self.late.len() - 1
        });
        if let Some(rows) = self.late[position].rows.as_any().downcast_mut::<RowBuilder<S>>() {
            rows.push(row);
        }
    }

    /// Hands everything over. Event time stands at `watermark`.
    pub(crate) fn send(&mut self, watermark: EventTime, out: &mut Collector) -> Result<()> {
        if let Some(problem) = self.sides.problem.take() {
            return Err(problem);
        }
        if let Some(columns) = self.main.finish() {
            out.emit(Batch::append(RecordBatch::try_new(self.schema.clone(), columns)?));
        }
        for (port, (side, rows)) in (0..).map(OutputPort::Side).zip(&mut self.sides.outputs) {
            if let Some(columns) = rows.finish() {
                let batch = RecordBatch::try_new(side.schema.clone(), columns)?;
                out.emit_to(port, Batch::append(batch));
            }
        }
        match std::mem::take(&mut self.late_count) {
            0 => {}
            count => out.count_late(count),
        }
        for late in &mut self.late {
            if let Some(columns) = late.rows.finish() {
                let rows = RecordBatch::try_new(late.schema.clone(), columns)?;
                let late = late_rows(&self.sides.name, &rows, late.event_time, watermark)?;
                out.emit_to(OutputPort::Late, Batch::append(late));
            }
        }
        Ok(())
    }
}

/// Late rows in the form that all have.
fn late_rows(name: &str, rows: &RecordBatch, time: Option<usize>, watermark: EventTime) -> Result<RecordBatch> {
    let unwritable = |error| Error::internal("a row cannot be written as JSON").with_source(error);
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(rows).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    let objects = String::from_utf8(writer.into_inner())
        .map_err(|error| Error::internal("JSON is not UTF-8").with_source(error))?;
    let count = rows.num_rows();
    let times = time.and_then(|time| rows.column(time).as_primitive_opt::<TimestampMillisecondType>());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(name, count))),
        Arc::new(times.cloned().unwrap_or_else(|| TimestampMillisecondArray::new_null(count))),
        Arc::new(TimestampMillisecondArray::from_value(watermark.0, count)),
        Arc::new(StringViewArray::from_iter_values(objects.lines())),
    ];
    Ok(RecordBatch::try_new(Collector::late_schema(), columns)?)
}
