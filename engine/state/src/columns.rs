//! From the columns that a table had when rows of it were written to those that it has now.
//!
//! A column is found by its id. It may be of a wider type now, may be null where it could not be, may be gone, or may be new:
//! then rows from before have its default, or null. The key has the same columns as ever, and what is hashed may only become
//! wider in a way that changes no hash: the runs are sorted by it, and subtasks own their keys by it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use weir_core::{Distribution, Error, Result, StateRows, TableSchema, state_column};

/// What has become of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChange {
    /// It is of a wider type.
    Widened {
        /// The column.
        name: String,
        /// Its type when it was written.
        from: DataType,
        /// Its type now.
        to: DataType,
    },
    /// It may be null now.
    Nullable {
        /// The column.
        name: String,
    },
    /// It is new.
    Added {
        /// The column.
        name: String,
        /// What it is in rows from before; `None` is null.
        default: Option<String>,
    },
    /// It is gone.
    Removed {
        /// The column.
        name: String,
    },
}

impl fmt::Display for ColumnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Widened { name, from, to } => write!(f, "{name}: {from} becomes {to}"),
            Self::Nullable { name } => write!(f, "{name} may be null"),
            Self::Added { name, default: None } => write!(f, "{name} is new, and null in what is there"),
            Self::Added { name, default: Some(default) } => {
                write!(f, "{name} is new, and {default} in what is there")
            }
            Self::Removed { name } => write!(f, "{name} is gone"),
        }
    }
}

/// What has changed between a table as it was stored and as an operator declares it.
///
/// # Errors
/// Why what is stored cannot be read as what is declared.
pub fn changes(stored: &TableSchema, declared: &TableSchema) -> Result<Vec<ColumnChange>, String> {
    if stored.version != declared.version {
        return Err(format!(
            "its layout has version {}, this program's has version {}",
            stored.version, declared.version
        ));
    }
    if ids(stored)[..stored.key_columns] != ids(declared)[..declared.key_columns] {
        let (before, now) = (names(stored, stored.key_columns), names(declared, declared.key_columns));
        return Err(format!("its key is ({before}), now it is ({now})"));
    }
    let time = |table: &TableSchema| table.time_column.map(|column| ids(table)[column]);
    // Rows that have no time in a column that is new do not expire, as they did not before.
    let begins_to_expire = stored.time_column.is_none()
        && time(declared)
            .is_some_and(|id| !ids(stored).contains(&id) && declared.time_column >= Some(declared.key_columns));
    if (time(stored) != time(declared) && !begins_to_expire) || stored.distribution != declared.distribution {
        return Err("its rows expire, or are spread over subtasks, by another rule".to_owned());
    }
    let mut changes = Vec::new();
    for (position, field) in declared.schema.fields().iter().enumerate() {
        let name = field.name().clone();
        let Some(before) = find(stored.schema.fields(), id(field)) else {
            let default = state_column::default(field).map(str::to_owned);
            if default.is_none() && !field.is_nullable() {
                return Err(format!("it has no column '{name}', which cannot be null and has no default"));
            }
            changes.push(ColumnChange::Added { name, default });
            continue;
        };
        let (from, to) = (before.data_type(), field.data_type());
        if from != to {
            let hashed = declared.distribution == Distribution::Keyed
                && (declared.key_columns == 0 || position < declared.key_columns);
            if declared.time_column == Some(position) || !widens(from, to, hashed) {
                return Err(format!("column '{name}' was {from} and is {to}"));
            }
            changes.push(ColumnChange::Widened { name: name.clone(), from: from.clone(), to: to.clone() });
        }
        match (before.is_nullable(), field.is_nullable()) {
            (true, false) => return Err(format!("column '{name}' could be null, and cannot be any more")),
            (false, true) => changes.push(ColumnChange::Nullable { name }),
            _ => {}
        }
    }
    let gone = stored.schema.fields().iter().filter(|field| find(declared.schema.fields(), id(field)).is_none());
    changes.extend(gone.map(|field| ColumnChange::Removed { name: field.name().clone() }));
    Ok(changes)
}

/// Whether every value of one type is one of the other. `hashed`: and has the same hash.
fn widens(from: &DataType, to: &DataType, hashed: bool) -> bool {
    use DataType::{
        Binary, BinaryView, Decimal128, Decimal256, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary,
        LargeList, LargeUtf8, List, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let bits = |data_type: &DataType| match data_type {
        Int8 => Some((true, 8)),
        Int16 => Some((true, 16)),
        Int32 => Some((true, 32)),
        Int64 => Some((true, 64)),
        UInt8 => Some((false, 8)),
        UInt16 => Some((false, 16)),
        UInt32 => Some((false, 32)),
        UInt64 => Some((false, 64)),
        _ => None,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Float32, Float64) => true,
        (Decimal128(precision, scale), Decimal128(to_precision, to_scale))
        | (Decimal256(precision, scale), Decimal256(to_precision, to_scale))
        | (Decimal128(precision, scale), Decimal256(to_precision, to_scale)) => {
            let whole = |precision: &u8, scale: &i8| i16::from(*precision) - i16::from(*scale);
            to_scale >= scale
                && whole(to_precision, to_scale) >= whole(precision, scale)
                && (!hashed || (to_scale == scale && matches!(to, Decimal128(..))))
        }
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => true,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => true,
        // Lists are no keys.
        (List(from) | LargeList(from), List(to) | LargeList(to)) => {
            widens(from.data_type(), to.data_type(), false) && (to.is_nullable() || !from.is_nullable())
        }
        (from, to) => match (bits(from), bits(to)) {
            (Some((true, from)), Some((true, to))) | (Some((false, from)), Some((false, to))) => from <= to,
            (Some((false, from)), Some((true, to))) => from < to,
            _ => false,
        },
    }
}

/// Rows that were read from a file, in the columns that the table has now. Costs nothing where nothing has changed.
///
/// # Errors
/// If the table was changed in a way that [`changes`] refuses.
pub(crate) fn conform(rows: StateRows, table: &TableSchema) -> Result<StateRows> {
    let written = rows.rows.schema();
    if same_columns(&written, &table.schema) {
        return Ok(rows);
    }
    let count = rows.rows.num_rows();
    let column = |field: &FieldRef| -> Result<ArrayRef> {
        let position = written.fields().iter().position(|before| id(before).is_some() && id(before) == id(field));
        match position.map(|position| rows.rows.column(position)) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => converted(column, field),
            None => match state_column::default(field) {
                Some(default) => repeated(default, field, count),
                None => Ok(new_null_array(field.data_type(), count)),
            },
        }
    };
    let columns = table.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let columns = RecordBatch::try_new_with_options(table.schema.clone(), columns, &options).map_err(|error| {
        Error::data(format!("rows of state table '{}' do not fit it", table.name)).with_source(error)
    })?;
    Ok(StateRows { rows: columns, ..rows })
}

fn same_columns(written: &SchemaRef, wanted: &SchemaRef) -> bool {
    written.fields().len() == wanted.fields().len()
        && written.fields().iter().zip(wanted.fields()).all(|(before, now)| {
            id(before) == id(now)
                && before.data_type() == now.data_type()
                && (now.is_nullable() || !before.is_nullable())
        })
}

/// A value that does not fit is an error, and not null.
const EXACT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

fn converted(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    cast_with_options(column, field.data_type(), &EXACT).map_err(|error| {
        let (from, to) = (column.data_type(), field.data_type());
        Error::data(format!("column '{}' of type {from} cannot be read as {to}", field.name())).with_source(error)
    })
}

fn repeated(default: &str, field: &Field, count: usize) -> Result<ArrayRef> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![default]));
    let one = cast_with_options(&text, field.data_type(), &EXACT).map_err(|error| {
        let (name, to) = (field.name(), field.data_type());
        Error::internal(format!("the default '{default}' of column '{name}' is no {to}")).with_source(error)
    })?;
    Ok(take(&one, &UInt32Array::from(vec![0; count]), None)?)
}

fn id(field: &Field) -> Option<u32> {
    state_column::id(field)
}

fn ids(table: &TableSchema) -> Vec<Option<u32>> {
    table.schema.fields().iter().map(|field| id(field)).collect()
}

fn find(fields: &[FieldRef], wanted: Option<u32>) -> Option<&FieldRef> {
    wanted.and_then(|wanted| fields.iter().find(|field| id(field) == Some(wanted)))
}

fn names(table: &TableSchema, count: usize) -> String {
    let names: Vec<&str> = table.schema.fields().iter().take(count).map(|field| field.name().as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
