//! Tables as files: what a case's rows look like to the `filesystem` connector.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use weir_core::{Error, Result};

use crate::arrays::column;
use crate::script::json_line;
use crate::table::Table;
use crate::types::Type;
use crate::value::{Row, Value};

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Arrow IPC.
    Arrow,
    /// Parquet.
    Parquet,
    /// A JSON object a line.
    Json,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Arrow, Format::Parquet, Format::Json];

    /// In `'format' = '…'`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
            Format::Json => "json",
        }
    }

    /// Whether it can hold the rows: JSON knows no numbers that are not finite.
    pub fn holds(self, table: &Table) -> bool {
        self != Format::Json || table.rows().flatten().all(is_finite)
    }
}

fn is_finite(value: &Value) -> bool {
    match value {
        Value::Array(values) | Value::Row(values) => values.iter().all(is_finite),
        Value::Map(entries) => entries.iter().all(|(_, value)| is_finite(value)),
        other => other.as_double().is_none_or(f64::is_finite),
    }
}

/// Writes each split of a table as a file of its own into a folder.
///
/// # Errors
/// If it cannot be written.
pub fn write(table: &Table, format: Format, folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::environment("a file of a case cannot be written").with_source(error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (number, rows) in table.splits.iter().enumerate() {
        let path = folder.join(format!("{number}.{}", format.name()));
        match format {
            Format::Json => {
                let lines: String = rows.iter().map(|row| json_line(row, table) + "\n").collect();
                std::fs::write(&path, lines).map_err(failed)?;
            }
            Format::Arrow => {
                let records = records(table, rows)?;
                let mut writer = FileWriter::try_new(File::create(&path).map_err(failed)?, &records.schema())?;
                writer.write(&records)?;
                writer.finish()?;
            }
            Format::Parquet => {
                let records = records(table, rows)?;
                let file = File::create(&path).map_err(failed)?;
                let parquet = |error| Error::environment("a file of a case cannot be written").with_source(error);
                let mut writer = ArrowWriter::try_new(file, records.schema(), None).map_err(parquet)?;
                writer.write(&records).map_err(parquet)?;
                writer.close().map_err(parquet)?;
            }
        }
    }
    Ok(())
}

fn records(table: &Table, rows: &[Row]) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (place, own) in table.columns.iter().enumerate() {
        let data_type = data_type(&own.data_type);
        let values: Vec<Value> = rows.iter().map(|row| row[place].clone()).collect();
        columns.push(column(&values, &data_type)?);
        fields.push(Field::new(&own.name, data_type, own.nullable));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// As other programs write it.
fn data_type(own: &Type) -> DataType {
    let field = |name: &str, own: &Type| Arc::new(Field::new(name, data_type(own), true));
    match own {
        Type::Boolean => DataType::Boolean,
        Type::Integer(8) => DataType::Int8,
        Type::Integer(16) => DataType::Int16,
        Type::Integer(32) => DataType::Int32,
        Type::Integer(_) => DataType::Int64,
        Type::Float => DataType::Float32,
        Type::Double => DataType::Float64,
        Type::Decimal(precision, scale) => DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(0)),
        Type::String => DataType::Utf8,
        Type::Bytes => DataType::Binary,
        Type::Date => DataType::Date32,
        Type::Time => DataType::Time64(TimeUnit::Nanosecond),
        Type::Timestamp { digits, local } => {
            let unit = match digits {
                0 => TimeUnit::Second,
                3 => TimeUnit::Millisecond,
                6 => TimeUnit::Microsecond,
                _ => TimeUnit::Nanosecond,
            };
            DataType::Timestamp(unit, local.then(|| "UTC".into()))
        }
        Type::Array(element) => DataType::List(field("item", element)),
        Type::Map(key, value) => {
            let entries = Fields::from(vec![
                Field::new("key", data_type(key), false),
                Field::new("value", data_type(value), true),
            ]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
        }
        Type::Row(fields) => {
            let fields = fields.iter().enumerate().map(|(place, own)| field(&format!("f{place}"), own));
            DataType::Struct(fields.collect())
        }
    }
}
