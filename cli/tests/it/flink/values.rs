//! Types and values as Flink shows them, and whether two are equal.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};

/// The SQL type of a column.
pub fn type_of(kind: &DataType) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match kind {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "STRING".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(unit)),
        DataType::List(element) => format!("ARRAY<{}>", type_of(element.data_type())),
        DataType::Map(entries, _) => {
            let DataType::Struct(entry) = entries.data_type() else { panic!("a map of {entries}") };
            format!("MAP<{}, {}>", type_of(entry[0].data_type()), type_of(entry[1].data_type()))
        }
        DataType::Struct(fields) => {
            let field =
                |field: &arrow::datatypes::FieldRef| format!("`{}` {}", field.name(), type_of(field.data_type()));
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

/// A value as Flink's are written down.
pub fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let elements = |of: &ArrayRef| (0..of.len()).map(|row| value(of, row)).collect::<Vec<_>>();
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            serde_json::from_str(&shown(column, row)).unwrap()
        }
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).to_string().into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string().into(),
        DataType::Timestamp(unit, Some(_)) => {
            // In UTC, whatever zone the type names.
            let ticks = cast(column, &DataType::Int64).unwrap();
            let plain = cast(&ticks, &DataType::Timestamp(*unit, None)).unwrap();
            format!("{}Z", without_zeros(&shown(&plain, row))).into()
        }
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => {
            without_zeros(&shown(column, row)).into()
        }
        DataType::List(_) => elements(&column.as_list::<i32>().value(row)).into(),
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (elements(entries.column(0)), elements(entries.column(1)));
            json!({ "map": keys.into_iter().zip(values).map(|(key, value)| json!([key, value])).collect::<Vec<_>>() })
        }
        DataType::Struct(_) => {
            json!({ "row": column.as_struct().columns().iter().map(|field| value(field, row)).collect::<Vec<_>>() })
        }
        _ => shown(column, row).into(),
    }
}

/// A value as Arrow shows it.
fn shown(column: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string()
}

/// `12:00:01.5` for `12:00:01.500`.
fn without_zeros(time: &str) -> String {
    if time.contains('.') { time.trim_end_matches('0').trim_end_matches('.').to_owned() } else { time.to_owned() }
}

/// Whether a value of Weir is that of Flink, whose type is `kind`.
pub fn equal(kind: &str, weir: &Value, flink: &Value) -> bool {
    match (number(weir), number(flink)) {
        (Some(weir), Some(flink)) if kind == "FLOAT" => near(weir.parse::<f32>(), flink.parse::<f32>(), 0.000_000_2),
        (Some(weir), Some(flink)) if kind == "DOUBLE" => near(weir.parse::<f64>(), flink.parse::<f64>(), 4e-16),
        (Some(weir), Some(flink)) if is_exact(kind) => exact(&weir) == exact(&flink),
        _ if kind.starts_with("MAP<") => sorted(weir) == sorted(flink),
        _ => weir == flink,
    }
}

fn is_exact(kind: &str) -> bool {
    ["TINYINT", "SMALLINT", "INT", "BIGINT"].contains(&kind) || kind.starts_with("DECIMAL(")
}

fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The functions of two mathematical libraries may differ in the last digit of a binary fraction.
fn near<T: Into<f64> + Copy, E>(one: Result<T, E>, other: Result<T, E>, difference: f64) -> bool {
    let (Ok(one), Ok(other)) = (one, other) else { return false };
    let (one, other): (f64, f64) = (one.into(), other.into());
    one == other || (one.is_nan() && other.is_nan()) || (one - other).abs() <= one.abs() * difference
}

/// `1.5` for `1.500`.
fn exact(number: &str) -> String {
    let number = without_zeros(number);
    if number == "-0" { "0".to_owned() } else { number }
}

/// A map's entries in one order: they have none.
fn sorted(map: &Value) -> Value {
    let mut map = map.clone();
    if let Some(entries) = map.get_mut("map").and_then(Value::as_array_mut) {
        entries.sort_by_key(Value::to_string);
    }
    map
}
