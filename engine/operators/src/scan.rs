//! What a source node does to the rows of its connector, apart from reading them: computed columns, event time, filter.

use arrow::array::{Array, RecordBatch};
use arrow::compute::{is_not_null, is_null, max};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use weir_core::{
    Batch, BinaryOperator, Error, EventTime, Expr, LiteralValue, NullTimes, Result, SourceSpec, TimeColumn,
};
use weir_functions::Functions;

use crate::batches::{event_times, keep, with_schema};
use crate::expr::CompiledExpr;

/// The stateless part of a source node. The loop that reads the source calls it with each batch.
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    projection: Option<Vec<CompiledExpr>>,
    watermark: Option<Watermark>,
    time: Option<TimeColumn>,
    filter: Option<CompiledExpr>,
    table: String,
}

/// What a source node makes of the rows of its connector.
#[derive(Debug)]
pub struct Scanned {
    /// The node's output.
    pub rows: Batch,
    /// The greatest value of the watermark expression over all rows, those included that are filtered out. `None` without a
    /// watermark, or if all values are null.
    pub time: Option<EventTime>,
    /// Rows that are left out because they have no event time.
    pub without_time: Option<RecordBatch>,
}

impl Scan {
    /// For a source node with output `schema`, whose expressions call `functions`.
    ///
    /// # Errors
    /// If an expression cannot be compiled.
    pub fn new(spec: &SourceSpec, schema: SchemaRef, functions: &Functions) -> Result<Self> {
        let read = spec.table.output_schema();
        let projection = match &spec.projection {
            None => {
                let types =
                    |schema: &SchemaRef| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
                if types(&read) != types(&schema) {
                    return Err(Error::internal("a source node without computed columns has a schema of its own"));
                }
                None
            }
            Some(exprs) => Some(crate::calc::compile_projection(exprs, &read, &schema, functions)?),
        };
        let watermark = spec.watermark.as_ref();
        let watermark =
            watermark.map(|watermark| Watermark::new(&watermark.expression, &schema, functions)).transpose()?;
        let filter =
            spec.filter.as_ref().map(|filter| CompiledExpr::condition(filter, &schema, functions)).transpose()?;
        let time = spec.watermark.as_ref().and_then(|watermark| watermark.time);
        if time.is_some_and(|time| time.column >= schema.fields().len()) {
            return Err(Error::internal("the time attribute of a source is none of its columns"));
        }
        Ok(Self { schema, projection, watermark, time, filter, table: spec.table.name.clone() })
    }

    /// The node's output for rows that the connector has read.
    ///
    /// # Errors
    /// A data error if a row has no value for an expression, or no event time where it has to have one.
    pub fn rows(&mut self, records: RecordBatch) -> Result<Scanned> {
        let rows = records.num_rows();
        let columns = match &self.projection {
            None => records.columns().to_vec(),
            Some(exprs) => exprs.iter().map(|expr| expr.evaluate(&records)).collect::<Result<Vec<_>>>()?,
        };
        let output = with_schema(&self.schema, columns, rows)?;
        let (output, without_time) = self.with_times(output)?;
        let time = match &self.watermark {
            None => None,
            Some(watermark) => watermark.greatest(&output)?,
        };
        let output = match &self.filter {
            None => output,
            Some(filter) => {
                let condition = filter.evaluate_condition(&output)?;
                keep(output, &condition)?
            }
        };
        Ok(Scanned { rows: Batch::append(output), time, without_time })
    }

    /// The time attribute, if rows in which it is null are to be kept elsewhere.
    pub fn kept_without_time(&self) -> Option<&str> {
        let time = self.time.filter(|time| time.nulls == NullTimes::DeadLetter)?;
        Some(self.schema.field(time.column).name())
    }

    /// The rows that have an event time, and the others.
    fn with_times(&self, rows: RecordBatch) -> Result<(RecordBatch, Option<RecordBatch>)> {
        let Some(time) = self.time else { return Ok((rows, None)) };
        let times = rows.column(time.column);
        if times.null_count() == 0 {
            return Ok((rows, None));
        }
        if time.nulls == NullTimes::Fail {
            let name = self.schema.field(time.column).name();
            return Err(Error::data(format!("a row of table {} has no event time: {name} is null", self.table)).with_help(
                "'scan.watermark.null-policy' = 'skip' counts such rows and leaves them out, 'dead-letter' keeps them; a computed \
                 time column can fill the gap, as in `ts AS COALESCE(a, b)`",
            ));
        }
        let without = keep(rows.clone(), &is_null(times)?)?;
        Ok((keep(rows.clone(), &is_not_null(times)?)?, Some(without)))
    }
}

/// The watermark expression.
#[derive(Debug)]
struct Watermark {
    expression: CompiledExpr,
    /// The column that it rises with: then its greatest value is that of the row with the greatest time. Arithmetic with intervals
    /// goes over the calendar, and would be done for each row to keep one.
    rises_with: Option<usize>,
}

impl Watermark {
    fn new(expression: &Expr, schema: &SchemaRef, functions: &Functions) -> Result<Self> {
        let compiled = CompiledExpr::new(expression, schema, functions)?;
        Ok(Self { expression: compiled, rises_with: rises_with(expression, schema) })
    }

    fn greatest(&self, records: &RecordBatch) -> Result<Option<EventTime>> {
        let all = |records: &RecordBatch| Ok(max(event_times(&self.expression.evaluate(records)?)?).map(EventTime));
        let Some(column) = self.rises_with else { return all(records) };
        let times = event_times(records.column(column))?;
        let latest = max(times).and_then(|greatest| times.iter().position(|time| time == Some(greatest)));
        latest.map_or(Ok(None), |row| all(&records.slice(row, 1)))
    }
}

/// The column, if the expression is an event time in milliseconds, more or less a constant.
fn rises_with(expression: &Expr, schema: &SchemaRef) -> Option<usize> {
    let Expr::Binary { operator: BinaryOperator::Minus | BinaryOperator::Plus, left, right } = expression else {
        return None;
    };
    let (Expr::Column(column), Expr::Literal(constant)) = (&**left, &**right) else { return None };
    // Months and, with a time zone, days are not of one length; to add them need not keep the order.
    let steady = match (schema.field(*column).data_type(), &constant.value) {
        (DataType::Timestamp(TimeUnit::Millisecond, None), LiteralValue::Interval { months, .. }) => *months == 0,
        (DataType::Timestamp(TimeUnit::Millisecond, _), LiteralValue::Interval { months, days, .. }) => {
            (*months, *days) == (0, 0)
        }
        _ => false,
    };
    steady.then_some(*column)
}

#[cfg(test)]
mod tests;
