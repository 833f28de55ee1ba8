//! Timestamps and dates as text, each with the digits of its own type, wherever it is nested: Arrow's printers know one pattern for
//! all columns, which would cut some of them, and no years beyond 262142. Keys of maps are text, too, as JSON has no others.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StringViewBuilder, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Fields, Int64Type, Schema};
use weir_core::Result;
use weir_core::time_text::{push_date, push_timestamp};

/// The rows with text in the place of times and of keys: `2013-01-01 10:00:00.000`, with a `Z` behind it for those in UTC.
pub fn as_text(records: &RecordBatch) -> Result<RecordBatch> {
    if !records.schema_ref().fields().iter().any(|field| changes(field.data_type())) {
        return Ok(records.clone());
    }
    let columns = records.columns().iter().map(text).collect::<Result<Vec<_>>>()?;
    let fields = records.schema_ref().fields().iter().zip(&columns).map(|(field, column)| retyped(field, column));
    let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.collect::<Fields>())), columns, &options)?)
}

fn changes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(..) | DataType::Date32 => true,
        DataType::Map(field, _) if !has_texts_as_keys(field) => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => changes(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| changes(field.data_type())),
        _ => false,
    }
}

fn has_texts_as_keys(entries: &Field) -> bool {
    match entries.data_type() {
        DataType::Struct(fields) => fields.first().is_some_and(|key| key.data_type().is_string()),
        _ => false,
    }
}

fn retyped(field: &FieldRef, column: &ArrayRef) -> FieldRef {
    Arc::new(Field::new(field.name(), column.data_type().clone(), field.is_nullable()))
}

fn text(column: &ArrayRef) -> Result<ArrayRef> {
    if !changes(column.data_type()) {
        return Ok(column.clone());
    }
    Ok(match column.data_type() {
        DataType::Timestamp(unit, zone) => {
            let ticks = cast(column, &DataType::Int64)?;
            let mut builder = StringViewBuilder::with_capacity(column.len());
            let mut text = Vec::new();
            for ticks in ticks.as_primitive::<Int64Type>() {
                text.clear();
                if let Some(ticks) = ticks {
                    push_timestamp(&mut text, ticks, *unit, b' ');
                    text.extend(zone.as_ref().map(|_| b'Z'));
                }
                builder.append_option(ticks.map(|_| String::from_utf8_lossy(&text)));
            }
            Arc::new(builder.finish())
        }
        DataType::Date32 => {
            let mut builder = StringViewBuilder::with_capacity(column.len());
            let mut text = Vec::new();
            for days in column.as_primitive::<Date32Type>() {
                text.clear();
                if let Some(days) = days {
                    push_date(&mut text, i64::from(days));
                }
                builder.append_option(days.map(|_| String::from_utf8_lossy(&text)));
            }
            Arc::new(builder.finish())
        }
        DataType::List(field) => list::<i32>(column, field)?,
        DataType::LargeList(field) => list::<i64>(column, field)?,
        DataType::FixedSizeList(field, width) => {
            let list = column.as_fixed_size_list();
            let values = text(list.values())?;
            Arc::new(FixedSizeListArray::try_new(retyped(field, &values), *width, values, list.nulls().cloned())?)
        }
        DataType::Map(field, sorted) => {
            let map = column.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = texts_as_keys(text(&entries)?.as_struct())?;
            let field = retyped(field, &entries);
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(field, offsets, entries.as_struct().clone(), nulls, *sorted)?)
        }
        DataType::Struct(fields) => {
            let row = column.as_struct();
            let columns = row.columns().iter().map(text).collect::<Result<Vec<_>>>()?;
            let fields = fields.iter().zip(&columns).map(|(field, column)| retyped(field, column)).collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, row.nulls().cloned(), row.len())?)
        }
        _ => column.clone(),
    })
}

fn texts_as_keys(entries: &StructArray) -> Result<ArrayRef> {
    let columns: Vec<ArrayRef> = entries.columns().to_vec();
    let Some((key, values)) = columns.split_first() else { return Ok(Arc::new(entries.clone())) };
    let key = if key.data_type().is_string() { key.clone() } else { cast(key, &DataType::Utf8View)? };
    let columns: Vec<ArrayRef> = std::iter::once(key).chain(values.iter().cloned()).collect();
    let fields = entries.fields().iter().zip(&columns).map(|(field, column)| retyped(field, column)).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, entries.nulls().cloned())?))
}

fn list<O: OffsetSizeTrait>(column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    let list = column.as_list::<O>();
    let values = text(list.values())?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(retyped(field, &values), offsets, values, nulls)?))
}
