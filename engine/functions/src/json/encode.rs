//! Values of all types as JSON.

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_core::time_text::push_timestamp;

use super::write::{push_float, push_text};
use crate::conversion::convert;
use crate::conversion::parts::Ranges;

/// Writes the value of a row, `null` if there is none.
pub(super) type Writer = Box<dyn Fn(usize, &mut String)>;

/// A writer of the array's values.
pub(super) fn writer(array: &ArrayRef) -> Result<Writer, ArrowError> {
    let (write, nulls) = (writer_of_values(array)?, array.logical_nulls());
    Ok(Box::new(move |row, out| match &nulls {
        Some(nulls) if nulls.is_null(row) => out.push_str("null"),
        _ => write(row, out),
    }))
}

fn writer_of_values(array: &ArrayRef) -> Result<Writer, ArrowError> {
    Ok(match array.data_type() {
        DataType::Null => Box::new(|_, out| out.push_str("null")),
        DataType::Boolean => {
            let truths = array.as_boolean().clone();
            Box::new(move |row, out| out.push_str(if truths.value(row) { "true" } else { "false" }))
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().clone();
            Box::new(move |row, out| {
                let number = numbers.value(row);
                push_float(out, &format!("{number:e}"), &format!("{number:.1e}"));
            })
        }
        DataType::Float32 => {
            let numbers = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row, out| {
                let number = numbers.value(row);
                push_float(out, &format!("{number:e}"), &format!("{number:.1e}"));
            })
        }
        DataType::Timestamp(unit, zone) => {
            let (unit, instant) = (*unit, zone.is_some());
            let ticks = cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
            Box::new(move |row, out| {
                let mut text = Vec::new();
                push_timestamp(&mut text, ticks.value(row), unit, b'T');
                let text = String::from_utf8_lossy(&text);
                let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
                out.push('"');
                out.push_str(text);
                out.push_str(if instant { "Z\"" } else { "\"" });
            })
        }
        DataType::BinaryView => {
            let bytes = array.as_binary_view().clone();
            Box::new(move |row, out| {
                out.push('"');
                STANDARD.encode_string(bytes.value(row), out);
                out.push('"');
            })
        }
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            writer_of_values(&cast(array, &DataType::BinaryView)?)?
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().map(writer).collect::<Result<Vec<_>, _>>()?;
            let names: Vec<String> = fields.iter().map(|field| key(field.name())).collect();
            Box::new(move |row, out| {
                out.push('{');
                for (index, (name, column)) in names.iter().zip(&columns).enumerate() {
                    separate(index, out);
                    out.push_str(name);
                    column(row, out);
                }
                out.push('}');
            })
        }
        DataType::Map(..) => {
            let entries = array.as_map().entries();
            let keys = texts(entries.column(0))?;
            let (values, ranges) = (writer(entries.column(1))?, Ranges::of(array)?);
            Box::new(move |row, out| {
                out.push('{');
                for (index, entry) in ranges.of_row(row).enumerate() {
                    separate(index, out);
                    push_text(out, keys.value(entry));
                    out.push(':');
                    values(entry, out);
                }
                out.push('}');
            })
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let ranges = Ranges::of(array)?;
            let values = writer(ranges.values())?;
            Box::new(move |row, out| {
                out.push('[');
                for (index, element) in ranges.of_row(row).enumerate() {
                    separate(index, out);
                    values(element, out);
                }
                out.push(']');
            })
        }
        data_type => {
            let quoted = !data_type.is_numeric();
            let texts = texts(array)?;
            Box::new(move |row, out| match quoted {
                true => push_text(out, texts.value(row)),
                false => out.push_str(texts.value(row)),
            })
        }
    })
}

/// A name as the key of a member.
pub(super) fn key(name: &str) -> String {
    let mut key = String::new();
    push_text(&mut key, name);
    key.push(':');
    key
}

fn texts(array: &ArrayRef) -> Result<StringViewArray, ArrowError> {
    Ok(convert(array, &DataType::Utf8View, false)?.as_string_view().clone())
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}
