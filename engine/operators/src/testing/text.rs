//! Rows as text: `1 | a | 12:00:05`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch,
    StringViewBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::datatypes::{TimestampMillisecondType, UInt64Type};
use weir_core::Batch;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A schema from `id BIGINT, name STRING, at TIMESTAMP`. All columns are nullable; times are of 1970-01-01.
///
/// # Panics
/// If a type is not known here.
pub fn schema(columns: &str) -> SchemaRef {
    let field = |column: &str| {
        let (name, type_name) = column.trim().split_once(' ').expect("a column has a name and a type");
        let (type_name, nullable) = match type_name.trim().strip_suffix(" NOT NULL") {
            Some(type_name) => (type_name, false),
            None => (type_name, true),
        };
        let data_type = match type_name.trim() {
            "BIGINT" => DataType::Int64,
            "BIGINT UNSIGNED" => DataType::UInt64,
            "INT" => DataType::Int32,
            "DOUBLE" => DataType::Float64,
            "BOOLEAN" => DataType::Boolean,
            "STRING" => DataType::Utf8View,
            "TIMESTAMP" => DataType::Timestamp(TimeUnit::Millisecond, None),
            "TIMESTAMP_LTZ" => DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
            "ARRAY<BIGINT>" => DataType::List(Arc::new(Field::new("item", DataType::Int64, true))),
            other => panic!("no type {other} in tests"),
        };
        Field::new(name, data_type, nullable)
    };
    Arc::new(Schema::new(columns.split(',').map(field).collect::<Vec<_>>()))
}

/// Rows of `schema` from lines of text.
///
/// # Panics
/// If a line does not fit the schema.
pub fn rows(schema: &SchemaRef, lines: &[&str]) -> RecordBatch {
    let cells: Vec<Vec<&str>> = lines.iter().map(|line| line.split('|').map(str::trim).collect()).collect();
    for (line, cells) in lines.iter().zip(&cells) {
        assert_eq!(cells.len(), schema.fields().len(), "number of values in: {line}");
    }
    let columns = schema.fields().iter().enumerate();
    let columns = columns.map(|(index, field)| {
        column(field.data_type(), cells.iter().map(|row| Some(row[index]).filter(|cell| *cell != "NULL")).collect())
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("columns are made for the schema")
}

fn column(data_type: &DataType, cells: Vec<Option<&str>>) -> ArrayRef {
    macro_rules! parsed {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            cells.into_iter().for_each(|cell| builder.append_option(cell.map($parse)));
            Arc::new(builder.finish())
        }};
    }
    let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("not an integer: {cell}"));
    match data_type {
        DataType::Int64 => parsed!(Int64Builder::new(), number),
        DataType::UInt64 => parsed!(UInt64Builder::new(), |cell: &str| number(cell) as u64),
        DataType::Int32 => parsed!(Int32Builder::new(), |cell: &str| number(cell) as i32),
        DataType::Float64 => parsed!(Float64Builder::new(), |cell: &str| cell.parse().expect("a number")),
        DataType::Boolean => parsed!(BooleanBuilder::new(), |cell: &str| cell == "true"),
        DataType::Utf8View => parsed!(StringViewBuilder::new(), |cell: &str| cell.to_owned()),
        DataType::Timestamp(_, zone) => {
            parsed!(TimestampMillisecondBuilder::new().with_timezone_opt(zone.clone()), time)
        }
        DataType::List(_) => {
            let mut builder = ListBuilder::new(Int64Builder::new());
            for cell in cells {
                let items = cell.map(|cell| cell.trim_matches(['[', ']']).split_whitespace());
                let items = items.map(|items| items.map(|item| (item != "NULL").then(|| number(item))));
                builder.append_option(items.map(Iterator::collect::<Vec<_>>));
            }
            Arc::new(builder.finish())
        }
        other => panic!("no type {other} in tests"),
    }
}

/// Milliseconds since 1970 of `12:00:05`, `12:00:05.001`, or of a bare number of milliseconds.
///
/// # Panics
/// If the text is neither.
pub(super) fn time(text: &str) -> i64 {
    if let Ok(millis) = text.parse() {
        return millis;
    }
    let (clock, millis) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().expect("a time is HH:MM:SS.mmm")).collect();
    let [hours, minutes, seconds] = parts[..] else { panic!("not a time: {text}") };
    ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis.parse::<i64>().expect("three digits")
}

/// A time as it is written in scripts; beyond 1970-01-01, in milliseconds.
pub fn time_text(millis: i64) -> String {
    if !(0..DAY_MS).contains(&millis) {
        return millis.to_string();
    }
    let seconds = millis / 1000;
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if millis % 1000 == 0 { clock } else { format!("{clock}.{:03}", millis % 1000) }
}

/// A line of text for each row.
///
/// # Panics
/// If a column's type is not known here.
pub fn text(records: &RecordBatch) -> Vec<String> {
    let line = |row: usize| {
        let cells: Vec<String> = records.columns().iter().map(|column| cell(column, row)).collect();
        cells.join(" | ")
    };
    (0..records.num_rows()).map(line).collect()
}

/// A row that is added or, with a minus in front, taken back.
pub(super) fn change(weight: i8, row: String) -> String {
    if weight < 0 { format!("- {row}") } else { row }
}

/// A line of text for each row, which says so if the row is taken back.
///
/// # Panics
/// If a column's type is not known here.
pub fn changes(batch: &Batch) -> Vec<String> {
    let rows = text(batch.records());
    match batch.weights() {
        None => rows,
        Some(weights) => weights.values().iter().zip(rows).map(|(weight, row)| change(*weight, row)).collect(),
    }
}

fn cell(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Utf8View => column.as_string_view().value(row).to_owned(),
        DataType::Timestamp(..) => time_text(column.as_primitive::<TimestampMillisecondType>().value(row)),
        DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            format!("[{}]", (0..values.len()).map(|value| cell(&values, value)).collect::<Vec<_>>().join(", "))
        }
        other => panic!("no type {other} in tests"),
    }
}
