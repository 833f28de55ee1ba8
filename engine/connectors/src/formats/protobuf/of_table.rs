//! The schema that follows from a table's columns.

use std::fmt::Write;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use weir_core::{Error, Result};

use crate::formats::sql_name;

/// The file of a message `weir.Record` with these fields, numbered as they come: one that may be null is `optional`.
///
/// # Errors
/// A user error that names a field that Protobuf has no name or type for.
pub(crate) fn schema_of(fields: &[FieldRef]) -> Result<String> {
    let mut file = "syntax = \"proto3\";\npackage weir;\nimport \"google/protobuf/timestamp.proto\";\n".to_owned();
    message(&mut file, "Record", fields, 0)?;
    if !file.contains(TIMESTAMP) {
        file = file.replace("import \"google/protobuf/timestamp.proto\";\n", "");
    }
    Ok(file)
}

const TIMESTAMP: &str = ".google.protobuf.Timestamp";

fn message(file: &mut String, name: &str, fields: &[FieldRef], depth: usize) -> Result<()> {
    let indent = "  ".repeat(depth);
    let _ = writeln!(file, "{indent}message {name} {{");
    for (number, field) in (1..).zip(fields) {
        let column = field.name();
        let of_column = |error: Error| error.context(format!("column '{column}'"));
        let is_name = !column.starts_with(|first: char| first.is_ascii_digit())
            && !column.is_empty()
            && column.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name {
            return Err(Error::user(format!("column '{column}': Protobuf has no such names"))
                .with_help("names are made of letters, digits and '_', and begin with no digit"));
        }
        // Messages and fields share their names.
        let mut inner = format!("{column}_row");
        while fields.iter().any(|other| *other.name() == inner) {
            inner.push('_');
        }
        let declared = match field.data_type() {
            DataType::List(item) => format!("repeated {}", of_item(file, &inner, item, depth).map_err(of_column)?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let key = of_key(&pair[0]).map_err(of_column)?;
                    format!("map<{key}, {}>", of_item(file, &inner, &pair[1], depth).map_err(of_column)?)
                }
                _ => return Err(Error::internal("a map whose entries are not pairs")),
            },
            DataType::Struct(_) => of_item(file, &inner, field, depth).map_err(of_column)?,
            other => {
                let of = scalar(other).map_err(of_column)?;
                if field.is_nullable() && of != TIMESTAMP { format!("optional {of}") } else { of.to_owned() }
            }
        };
        let _ = writeln!(file, "{indent}  {declared} {column} = {number};");
    }
    let _ = writeln!(file, "{indent}}}");
    Ok(())
}

/// The type of what stands in a list or map, or for itself if it is a row, whose message is written before it.
fn of_item(file: &mut String, name: &str, item: &Field, depth: usize) -> Result<String> {
    match item.data_type() {
        DataType::Struct(fields) => {
            message(file, name, &fields.iter().cloned().collect::<Vec<_>>(), depth + 1)?;
            Ok(name.to_owned())
        }
        other => scalar(other).map(str::to_owned),
    }
}

fn of_key(key: &Field) -> Result<&'static str> {
    match key.data_type() {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Utf8View => scalar(key.data_type()),
        other => Err(Error::user(format!(
            "the keys of a map are whole numbers, BOOLEAN or STRING in Protobuf, and not {}",
            sql_name(other)
        ))),
    }
}

fn scalar(data_type: &DataType) -> Result<&'static str> {
    Ok(match data_type {
        DataType::Boolean => "bool",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::BinaryView => "bytes",
        // Protobuf has none of these, and everybody reads their text.
        DataType::Utf8View | DataType::Decimal128(..) | DataType::Date32 | DataType::Time64(_) => "string",
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            _,
        ) => TIMESTAMP,
        other => return Err(Error::user(format!("Protobuf has no type for {} here", sql_name(other)))),
    })
}
