//! Maps: `MAP[key, value, …]`, `MAP_FROM_ARRAYS`, `MAP_UNION`, `MAP_ENTRIES`. Of a key that is there twice the last value counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Field};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;
use datafusion_expr::type_coercion::binary::type_union_resolution;

use super::assemble::{Assembly, Origin};
use super::keys::Keys;
use super::{list_of, map_type};
use crate::conversion::parts::Ranges;
use crate::polymorphic::{Polymorphic, unchecked};

pub(crate) const MAP_OF: Polymorphic = Polymorphic {
    name: "map_of",
    usage: "MAP[key, value, …]",
    coerce: |types| {
        if types.is_empty() || !types.len().is_multiple_of(2) {
            return None;
        }
        let every_second = |first: usize| types.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>();
        let (key, value) = (common(&every_second(0))?, common(&every_second(1))?);
        Some((0..types.len()).map(|place| if place % 2 == 0 { key.clone() } else { value.clone() }).collect())
    },
    returns: |types| match types {
        [key, value, ..] => map_type(key.clone(), value.clone()),
        _ => map_type(DataType::Null, DataType::Null),
    },
    check: unchecked,
    compute: map_of,
};

pub(crate) const MAP_FROM_ARRAYS: Polymorphic = Polymorphic {
    name: "map_from_arrays",
    usage: "MAP_FROM_ARRAYS(keys, values)",
    coerce: |types| match types {
        [keys, values] => Some(vec![list_of(element(keys)?), list_of(element(values)?)]),
        _ => None,
    },
    returns: |types| match types {
        [keys, values] => map_type(element(keys).unwrap_or(DataType::Null), element(values).unwrap_or(DataType::Null)),
        _ => map_type(DataType::Null, DataType::Null),
    },
    check: unchecked,
    compute: map_from_arrays,
};

/// The entries of all; null if one is.
pub(crate) const MAP_UNION: Polymorphic = Polymorphic {
    name: "map_union",
    usage: "MAP_UNION(map, …)",
    coerce: |types| {
        let parts = types.iter().map(entry).collect::<Option<Vec<_>>>()?;
        let (keys, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let union = map_type(common(&keys)?, common(&values)?);
        Some(vec![union; types.len()])
    },
    returns: |types| types.first().cloned().unwrap_or(DataType::Null),
    check: unchecked,
    compute: map_union,
};

/// As an array of rows with the fields `key` and `value`.
pub(crate) const MAP_ENTRIES: Polymorphic = Polymorphic {
    name: "map_entries",
    usage: "MAP_ENTRIES(map)",
    coerce: |types| match types {
        [given] => entry(given).map(|(key, value)| vec![map_type(key, value)]),
        _ => None,
    },
    returns: |types| {
        let (key, value) = types.first().and_then(entry).unwrap_or((DataType::Null, DataType::Null));
        let fields = vec![Field::new("key", key, true), Field::new("value", value, true)];
        list_of(DataType::Struct(fields.into()))
    },
    check: unchecked,
    compute: map_entries,
};

fn common(types: &[DataType]) -> Option<DataType> {
    match types {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Some(first.clone()),
        _ => type_union_resolution(types),
    }
}

fn element(array: &DataType) -> Option<DataType> {
    match array {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type().clone())
        }
        _ => None,
    }
}

/// Types of key and value, if it is a map.
fn entry(map: &DataType) -> Option<(DataType, DataType)> {
    match map {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                Some((fields[0].data_type().clone(), fields[1].data_type().clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A map for each row, whose entries `gather` lists in their order; null if there are none to list.
fn assembled(
    rows: usize,
    result: &DataType,
    keys: Vec<ArrayRef>,
    values: &[&dyn Array],
    gather: impl Fn(usize) -> Result<Option<Vec<Origin>>>,
) -> Result<ArrayRef> {
    let keys = Keys::of(keys)?;
    let mut failure = None;
    let maps = Assembly::of(rows, |row, origins| {
        let gathered = gather(row).and_then(|entries| {
            let Some(entries) = entries else { return Ok(false) };
            keys.put(entries, origins).map(|()| true)
        });
        gathered.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            false
        })
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    maps.map(result, &keys.sources(), values)
}

fn map_of(arguments: &[ColumnarValue], rows: usize, result: &DataType) -> Result<ArrayRef> {
    let columns = arguments.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let keys: Vec<ArrayRef> = columns.iter().step_by(2).cloned().collect();
    let values: Vec<&dyn Array> = columns.iter().skip(1).step_by(2).map(AsRef::as_ref).collect();
    let entries = keys.len();
    assembled(rows, result, keys, &values, |row| Ok(Some((0..entries).map(|source| (source, row)).collect())))
}

fn map_from_arrays(arguments: &[ColumnarValue], rows: usize, result: &DataType) -> Result<ArrayRef> {
    let (keys, values) = (arguments[0].to_array(rows)?, arguments[1].to_array(rows)?);
    let (key_ranges, value_ranges) = (Ranges::of(&keys)?, Ranges::of(&values)?);
    // Keys and values of a row stand at different places: both are moved, rows without a map left out.
    let is_valid = |row| keys.is_valid(row) && values.is_valid(row);
    let moved = |array: &ArrayRef, ranges: &Ranges| {
        let assembly = Assembly::of(rows, |row, origins| {
            origins.extend(ranges.of_row(row).filter(|_| is_valid(row)).map(|element| (0, element)));
            true
        });
        assembly.list(array.data_type(), &[ranges.values().as_ref()])
    };
    let (key_list, value_list) = (moved(&keys, &key_ranges)?, moved(&values, &value_ranges)?);
    let (key_list, value_list) = (key_list.as_list::<i32>(), value_list.as_list::<i32>());
    for row in 0..rows {
        let (wanted, given) = (key_list.value_length(row), value_list.value_length(row));
        if wanted != given {
            let message = format!("MAP_FROM_ARRAYS has {wanted} keys and {given} values in a row");
            return Err(DataFusionError::Execution(message));
        }
    }
    let offsets = key_list.value_offsets();
    assembled(rows, result, vec![key_list.values().clone()], &[value_list.values().as_ref()], |row| {
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        Ok(is_valid(row).then(|| range.map(|entry| (0, entry)).collect()))
    })
}

fn map_union(arguments: &[ColumnarValue], rows: usize, result: &DataType) -> Result<ArrayRef> {
    let maps = arguments.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let keys: Vec<ArrayRef> = maps.iter().map(|map| map.as_map().keys().clone()).collect();
    let values: Vec<&dyn Array> = maps.iter().map(|map| map.as_map().values().as_ref()).collect();
    let ranges = maps.iter().map(Ranges::of).collect::<Result<Vec<_>, _>>()?;
    assembled(rows, result, keys, &values, |row| {
        if maps.iter().any(|map| map.is_null(row)) {
            return Ok(None);
        }
        let entries = ranges.iter().enumerate();
        Ok(Some(entries.flat_map(|(source, ranges)| ranges.of_row(row).map(move |entry| (source, entry))).collect()))
    })
}

fn map_entries(arguments: &[ColumnarValue], rows: usize, result: &DataType) -> Result<ArrayRef> {
    let array = arguments[0].to_array(rows)?;
    let map = array.as_map();
    let DataType::List(item) = result else { return Err(DataFusionError::Internal("no array of entries".to_owned())) };
    let DataType::Struct(fields) = item.data_type() else {
        return Err(DataFusionError::Internal("no rows of entries".to_owned()));
    };
    let entries = StructArray::try_new(fields.clone(), vec![map.keys().clone(), map.values().clone()], None)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), map.offsets().clone(), Arc::new(entries), map.nulls().cloned())?))
}

#[cfg(test)]
mod tests;
