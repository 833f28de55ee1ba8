//! The schema that follows from a table's columns.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use serde_json::{Value, json};
use weir_core::{Error, Result};

use crate::formats::sql_name;

/// The schema of a record with these fields: one that may be null is a union with null, which is its default.
///
/// # Errors
/// A user error that names a field that Avro has no name or type for.
pub fn schema_of(fields: &[FieldRef]) -> Result<String> {
    Ok(record("record", fields)?.to_string())
}

fn record(name: &str, fields: &[FieldRef]) -> Result<Value> {
    let field = |field: &FieldRef| -> Result<Value> {
        let column = field.name();
        let is_name = !column.starts_with(|first: char| first.is_ascii_digit())
            && !column.is_empty()
            && column.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name {
            return Err(Error::user(format!("column '{column}': Avro has no such names"))
                .with_help("names are made of letters, digits and '_', and begin with no digit"));
        }
        let inner = nullable(&format!("{name}_{column}"), field)
            .map_err(|error| error.context(format!("column '{column}'")))?;
        Ok(match field.is_nullable() {
            true => json!({"name": column, "type": inner, "default": null}),
            false => json!({"name": column, "type": inner}),
        })
    };
    let fields = fields.iter().map(field).collect::<Result<Vec<_>>>()?;
    Ok(json!({"type": "record", "name": name, "namespace": "weir", "fields": fields}))
}

fn nullable(name: &str, field: &Field) -> Result<Value> {
    let inner = type_of(name, field.data_type())?;
    Ok(if field.is_nullable() { json!(["null", inner]) } else { inner })
}

fn type_of(name: &str, data_type: &DataType) -> Result<Value> {
    let logical = |plain: &str, logical: &str| json!({"type": plain, "logicalType": logical});
    Ok(match data_type {
        DataType::Boolean => json!("boolean"),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => json!("int"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Decimal128(precision, scale) => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        DataType::Utf8View => json!("string"),
        DataType::BinaryView => json!("bytes"),
        DataType::Date32 => logical("int", "date"),
        // Avro has no nanoseconds of a day; that a value has none is seen when it is written.
        DataType::Time64(_) => logical("long", "time-micros"),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second | TimeUnit::Millisecond => "millis",
                TimeUnit::Microsecond => "micros",
                TimeUnit::Nanosecond => "nanos",
            };
            let local = if zone.is_some() { "" } else { "local-" };
            logical("long", &format!("{local}timestamp-{unit}"))
        }
        DataType::List(item) => json!({"type": "array", "items": nullable(&format!("{name}_item"), item)?}),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 && *pair[0].data_type() == DataType::Utf8View => {
                json!({"type": "map", "values": nullable(&format!("{name}_value"), &pair[1])?})
            }
            _ => return Err(Error::user("the keys of a map are STRING in Avro")),
        },
        DataType::Struct(fields) => record(name, fields)?,
        other => return Err(Error::user(format!("Avro has no type for {}", sql_name(other)))),
    })
}
