//! Rows of `input` records as batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use weir_cli::test_file::row::{Operation, Value, operation, split};
use weir_cli::test_file::{Input, Mistake, values};

/// What a table has been given.
#[derive(Default)]
pub struct Changes {
    /// Batches, in order.
    pub batches: Vec<RecordBatch>,
    /// The line of the first of them.
    pub first: usize,
    /// Of a table of which rows are taken back: numbers of those that are there, by their values.
    there: BTreeMap<Vec<Value>, Vec<i64>>,
    /// How many rows it has been given.
    step: i64,
}

impl Changes {
    /// Nothing yet; the first of them stands in this line.
    pub fn from_line(first: usize) -> Self {
        Self { first, ..Self::default() }
    }
}

/// Whether a line says what happens to its row.
pub fn is_changelog(input: &Input) -> bool {
    input.rows.lines.iter().any(|(_, line)| operation(line).0.is_some())
}

/// The rows as the connector stores them, in columns of `schema`: with columns that say which row it is and what happens to it, if the
/// table is a changelog.
///
/// # Errors
/// If a line is no row of the table, or takes back a row that is not there.
pub fn changes(
    input: &Input,
    schema: &SchemaRef,
    is_changelog: bool,
    known: &mut Changes,
) -> Result<RecordBatch, Mistake> {
    let columns = schema.fields().len() - if is_changelog { 3 } else { 0 };
    let own = Arc::new(Schema::new(schema.fields()[..columns].to_vec()));
    let types: Vec<DataType> = own.fields().iter().map(|field| field.data_type().clone()).collect();
    let mut rows = Vec::new();
    let mut changes = Vec::new();
    for (line, text) in &input.rows.lines {
        let (operation, text) = if is_changelog { operation(text) } else { (None, text.as_str()) };
        rows.push(split(text, &types).map_err(|message| Mistake::new(*line, message))?);
        changes.push((*line, operation.map_or(1, Operation::weight)));
    }
    let batch = values::batch(&rows, &own).map_err(|(row, message)| Mistake::new(input.rows.lines[row].0, message))?;
    if !is_changelog {
        return Ok(batch);
    }
    // By the values, not by how they are written.
    let rows = values::rows(&batch).map_err(|error| Mistake::new(input.rows.lines[0].0, error.report()))?;
    let (mut ids, mut steps, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for (row, (line, weight)) in rows.into_iter().zip(changes) {
        known.step += 1;
        let numbers = known.there.entry(row).or_default();
        if weight > 0 {
            numbers.push(known.step);
            ids.push(known.step);
        } else {
            let Some(number) = numbers.pop() else {
                return Err(Mistake::new(line, "this row is not there, so it cannot be taken back"));
            };
            ids.push(number);
        }
        steps.push(known.step);
        added.push(weight > 0);
    }
    let mut columns = batch.columns().to_vec();
    let more: [ArrayRef; 3] =
        [Arc::new(Int64Array::from(ids)), Arc::new(Int64Array::from(steps)), Arc::new(BooleanArray::from(added))];
    columns.extend(more);
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|error| Mistake::new(input.rows.lines[0].0, error.to_string()))
}
