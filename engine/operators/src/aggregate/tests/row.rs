//! Rows of the tests, and how they look as text.

use std::sync::Arc;

use arrow::array::TimestampMillisecondArray;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Columns of a row.
pub(super) const COLUMNS: [(&str, DataType); 6] = [
    ("time", TIMESTAMP),
    ("id", DataType::Int64),
    ("name", DataType::Utf8View),
    ("number", DataType::Int64),
    ("float", DataType::Float64),
    ("flag", DataType::Boolean),
];

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) time: Option<i64>,
    pub(super) id: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) number: Option<i64>,
    pub(super) float: Option<f64>,
    pub(super) flag: Option<bool>,
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// A double as Arrow prints it.
pub(super) fn double(value: Option<f64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("{value:?}"))
}

pub(super) fn time(millis: Option<i64>) -> String {
    let array: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![millis]));
    lines(&[array], 1).swap_remove(0)
}

impl Row {
    /// A key column as text: zeros of both signs are one.
    pub(super) fn key(&self, column: usize) -> String {
        match column {
            1 => text(self.id),
            2 => text(self.name.as_ref()),
            4 => double(self.float.map(|float| float + 0.0)),
            5 => text(self.flag),
            _ => unreachable!("not a key of the tests"),
        }
    }
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(COLUMNS.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.time).collect::<TimestampMillisecondArray>()),
        Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.name.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.number).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Rows as text, values separated by bars.
pub(super) fn lines(columns: &[ArrayRef], rows: usize) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let formatters: Vec<_> = columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let line = |row| formatters.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..rows).map(line).collect()
}
