//! The columns of some rows as the fields of a message.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use protox::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use weir_core::{Error, Result};

use super::value::{Write, value, wrong};
use super::wire::{sized, tag};
use crate::formats::decode::{ProtobufWire as Wire, protobuf_wire_of as wire_of};

/// Fields that are ready to be written row by row.
pub(super) struct Record {
    parts: Vec<Part>,
    /// Names, and those of `parts` that are members of it, of which one at most has a value.
    oneofs: Vec<(String, Vec<usize>)>,
}

struct Part {
    name: String,
    required: bool,
    nulls: Option<NullBuffer>,
    /// With what stands in front of the value.
    write: Write,
}

impl Record {
    /// The columns of some rows.
    ///
    /// # Errors
    /// A user error if the message does not have one, or has none of its type.
    pub(super) fn new(rows: &RecordBatch, message: &MessageDescriptor) -> Result<Self> {
        Self::of(rows.schema().fields(), rows.columns(), message)
    }

    pub(super) fn of(fields: &[FieldRef], columns: &[ArrayRef], message: &MessageDescriptor) -> Result<Self> {
        let mut parts = Vec::with_capacity(fields.len());
        for (column, array) in fields.iter().zip(columns) {
            let of_column = |error: Error| error.context(format!("column '{}'", column.name()));
            let field = message.get_field_by_name(column.name()).ok_or_else(|| {
                of_column(Error::user(format!("the message '{}' has no such field", message.full_name())))
            })?;
            let write = write(array, &field).map_err(of_column)?;
            let (name, required) = (field.name().to_owned(), field.is_required());
            parts.push(Part { name, required, nulls: array.logical_nulls(), write });
        }
        let is_there = |field: &FieldDescriptor| parts.iter().position(|part| part.name == field.name());
        if let Some(field) = message.fields().find(|field| field.is_required() && is_there(field).is_none()) {
            let (field, message) = (field.name(), message.full_name());
            return Err(Error::user(format!(
                "field '{field}' of the message '{message}' is required, and there is no such column"
            )));
        }
        let oneofs = message.oneofs().map(|oneof| {
            let members: Vec<usize> = oneof.fields().filter_map(|field| is_there(&field)).collect();
            (oneof.name().to_owned(), members)
        });
        let oneofs = oneofs.filter(|(_, members)| members.len() > 1).collect();
        Ok(Self { parts, oneofs })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// What of it has no place in the message.
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) -> std::result::Result<(), String> {
        for part in &self.parts {
            match part.is_null(row) {
                false => (part.write)(row, out).map_err(|what| format!("field '{}': {what}", part.name))?,
                true if part.required => return Err(format!("field '{}' is required, and null", part.name)),
                true => {}
            }
        }
        for (name, members) in &self.oneofs {
            let mut there = members.iter().map(|member| &self.parts[*member]).filter(|part| !part.is_null(row));
            if let (Some(first), Some(second)) = (there.next(), there.next()) {
                return Err(format!(
                    "of '{name}' both '{}' and '{}' have values, and one can",
                    first.name, second.name
                ));
            }
        }
        Ok(())
    }
}

impl Part {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// What writes the values of a field.
fn write(array: &ArrayRef, of: &FieldDescriptor) -> Result<Write> {
    let kind = of.kind();
    if of.is_group() {
        return Err(Error::user("it is a group, which cannot be written"));
    }
    let front = tag(of.number(), wire_of(&kind));
    if let (true, Kind::Message(entry)) = (of.is_map(), &kind) {
        return map(array, entry, front);
    }
    if of.is_list() {
        return list(array, of, front);
    }
    let write = value(array, &kind)?;
    let has_presence = of.supports_presence();
    Ok(Box::new(move |row, out| {
        let start = out.len();
        out.extend_from_slice(&front);
        let content = out.len();
        write(row, out)?;
        // A default value is not written, if its absence means the same.
        if !has_presence && out[content..].iter().all(|byte| *byte == 0) {
            out.truncate(start);
        }
        Ok(())
    }))
}

fn range(offsets: &[i32], row: usize) -> Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

fn list(array: &ArrayRef, of: &FieldDescriptor, front: Vec<u8>) -> Result<Write> {
    let kind = of.kind();
    let list = array.as_list_opt::<i32>().ok_or_else(|| wrong(array, "a repeated field"))?;
    let (offsets, nulls) = (list.offsets().clone(), list.values().logical_nulls());
    let write = value(list.values(), &kind)?;
    let whole = tag(of.number(), Wire::Bytes);
    let is_packed = of.is_packed();
    Ok(Box::new(move |row, out| {
        let items = range(&offsets, row);
        if nulls.as_ref().is_some_and(|nulls| items.clone().any(|item| nulls.is_null(item))) {
            return Err("a null among its items, which a repeated field has no place for".to_owned());
        }
        if is_packed && !items.is_empty() {
            out.extend_from_slice(&whole);
            return sized(out, |out| items.into_iter().try_for_each(|item| write(item, out)));
        }
        items.into_iter().try_for_each(|item| {
            out.extend_from_slice(&front);
            write(item, out)
        })
    }))
}

fn map(array: &ArrayRef, entry: &MessageDescriptor, front: Vec<u8>) -> Result<Write> {
    if !matches!(array.data_type(), DataType::Map(..)) {
        return Err(wrong(array, "a map"));
    }
    let map = array.as_map();
    let (offsets, nulls) = (map.offsets().clone(), map.values().logical_nulls());
    let parts = [(entry.map_entry_key_field(), map.keys()), (entry.map_entry_value_field(), map.values())].map(
        |(field, array)| {
            let kind = field.kind();
            Ok::<_, Error>((tag(field.number(), wire_of(&kind)), value(array, &kind)?))
        },
    );
    let [key, item] = parts;
    let (key, item) = (key?, item?);
    Ok(Box::new(move |row, out| {
        for entry in range(&offsets, row) {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(entry)) {
                return Err("a null among its values, which a map has no place for".to_owned());
            }
            out.extend_from_slice(&front);
            sized(out, |out| {
                for (front, write) in [&key, &item] {
                    out.extend_from_slice(front);
                    write(entry, out)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }))
}
