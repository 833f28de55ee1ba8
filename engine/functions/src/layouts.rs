//! One layout for text and bytes: they travel as views, wherever they are nested. DataFusion's literals and some of its
//! functions make older layouts, and its kernels do not compare one with the other.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue};

/// The type that values of `data_type` travel as.
pub fn travelling(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| travelling_field(field);
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

/// A field with the type that its values travel as.
pub fn travelling_field(field: &FieldRef) -> FieldRef {
    let data_type = travelling(field.data_type());
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone()))
}

/// The constant as it travels.
///
/// # Errors
/// None that a value can cause.
pub fn travelling_scalar(value: ScalarValue) -> Result<ScalarValue> {
    Ok(match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) => ScalarValue::Utf8View(text),
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) => ScalarValue::BinaryView(bytes),
        other => {
            let data_type = other.data_type();
            let wanted = travelling(&data_type);
            if wanted == data_type {
                return Ok(other);
            }
            let converted = crate::conversion::convert(&other.to_array()?, &wanted, false)?;
            ScalarValue::try_from_array(&converted, 0)?
        }
    })
}
