//! Functions of arrays that Flink gives other results, or other types, than DataFusion. Of a null array the result is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int32Array, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_expr::type_coercion::binary::type_union_resolution;

use super::assemble::Assembly;
use super::list_of;
use crate::conversion::parts::Ranges;
use crate::definition::{Integers, plan_error};
use crate::polymorphic::{Polymorphic, unchecked};

/// Also of maps.
pub(crate) const CARDINALITY: Polymorphic = Polymorphic {
    name: "cardinality",
    usage: "CARDINALITY(array or map)",
    coerce: |types| match types {
        [given @ DataType::Map(..)] => Some(vec![given.clone()]),
        [given] => Some(vec![list_of(element(given)?)]),
        _ => None,
    },
    returns: |_| DataType::Int32,
    check: unchecked,
    compute: |arguments, rows, _| {
        let array = arguments[0].to_array(rows)?;
        let ranges = Ranges::of(&array)?;
        let count = |row| array.is_valid(row).then(|| i32::try_from(ranges.of_row(row).len()).ok()).flatten();
        Ok(Arc::new((0..rows).map(count).collect::<Int32Array>()))
    },
};

/// `array[index]`: from 1; null if there is none there.
pub(crate) const ARRAY_ELEMENT: Polymorphic = Polymorphic {
    name: "array_element",
    usage: "array[index]",
    coerce: |types| match types {
        [array, index] if index.is_integer() || index.is_null() => {
            Some(vec![list_of(element(array)?), DataType::Int64])
        }
        _ => None,
    },
    returns: |types| types.first().and_then(element).unwrap_or(DataType::Null),
    check: |arguments| match arguments.get(1) {
        Some(Some(ScalarValue::Int64(Some(index @ ..=0)))) => {
            plan_error(format!("the elements of an array are counted from 1, and there is none at {index}"))
        }
        _ => Ok(()),
    },
    compute: |arguments, rows, _| {
        let (array, indexes) = (arguments[0].to_array(rows)?, Integers::of(&arguments[1])?);
        let ranges = Ranges::of(&array)?;
        let place = |row| {
            let before = usize::try_from(indexes.at(row)?).ok()?.checked_sub(1)?;
            u32::try_from(ranges.of_row(row).nth(before)?).ok()
        };
        let places: UInt32Array = (0..rows).map(place).collect();
        Ok(take(ranges.values(), &places, None)?)
    },
};

/// The only element; null if there is none.
pub(crate) const ELEMENT: Polymorphic = Polymorphic {
    name: "element",
    usage: "ELEMENT(array)",
    coerce: |types| match types {
        [given] => Some(vec![list_of(element(given)?)]),
        _ => None,
    },
    returns: |types| types.first().and_then(element).unwrap_or(DataType::Null),
    check: unchecked,
    compute: only_element,
};

pub(crate) const ARRAY_APPEND: Polymorphic = Polymorphic {
    name: "array_append",
    usage: "ARRAY_APPEND(array, element)",
    coerce: array_and_element,
    returns: first,
    check: unchecked,
    compute: |arguments, rows, result| added(arguments, rows, result, false),
};

pub(crate) const ARRAY_PREPEND: Polymorphic = Polymorphic {
    name: "array_prepend",
    usage: "ARRAY_PREPEND(array, element)",
    coerce: array_and_element,
    returns: first,
    check: unchecked,
    compute: |arguments, rows, result| added(arguments, rows, result, true),
};

pub(crate) const ARRAY_REMOVE: Polymorphic = Polymorphic {
    name: "array_remove",
    usage: "ARRAY_REMOVE(array, element)",
    coerce: array_and_element,
    returns: first,
    check: unchecked,
    compute: |arguments, rows, result| {
        let search = Search::of(arguments, rows)?;
        let left = Assembly::of(rows, |row, origins| {
            let others = search.elements(row).filter(|(_, equal)| !equal);
            origins.extend(others.map(|(element, _)| (0, element)));
            search.array.is_valid(row)
        });
        left.list(result, &[search.ranges.values().as_ref()])
    },
};

/// Null is an element like any other.
pub(crate) const ARRAY_CONTAINS: Polymorphic = Polymorphic {
    name: "array_contains",
    usage: "ARRAY_CONTAINS(array, element)",
    coerce: array_and_element,
    returns: |_| DataType::Boolean,
    check: unchecked,
    compute: |arguments, rows, _| {
        let search = Search::of(arguments, rows)?;
        let contains = |row| search.array.is_valid(row).then(|| search.elements(row).any(|(_, equal)| equal));
        Ok(Arc::new((0..rows).map(contains).collect::<BooleanArray>()))
    },
};

/// From 1; 0 if it is not there; null if null is looked for.
pub(crate) const ARRAY_POSITION: Polymorphic = Polymorphic {
    name: "array_position",
    usage: "ARRAY_POSITION(array, element)",
    coerce: array_and_element,
    returns: |_| DataType::Int32,
    check: unchecked,
    compute: |arguments, rows, _| {
        let search = Search::of(arguments, rows)?;
        let position = |row| {
            if search.array.is_null(row) || search.wanted.is_null(row) {
                return None;
            }
            let place = search.elements(row).position(|(_, equal)| equal).map_or(0, |place| place + 1);
            i32::try_from(place).ok()
        };
        Ok(Arc::new((0..rows).map(position).collect::<Int32Array>()))
    },
};

pub(crate) const ARRAY_CONCAT: Polymorphic = Polymorphic {
    name: "array_concat",
    usage: "ARRAY_CONCAT(array, …)",
    coerce: |types| {
        let elements = types.iter().map(element).collect::<Option<Vec<_>>>()?;
        let common = type_union_resolution(&elements)?;
        Some(vec![list_of(common); types.len()])
    },
    returns: first,
    check: unchecked,
    compute: |arguments, rows, result| {
        let arrays = arguments.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let ranges = arrays.iter().map(Ranges::of).collect::<Result<Vec<_>, _>>()?;
        let all = Assembly::of(rows, |row, origins| {
            for (source, ranges) in ranges.iter().enumerate() {
                origins.extend(ranges.of_row(row).map(|element| (source, element)));
            }
            arrays.iter().all(|array| array.is_valid(row))
        });
        let sources: Vec<&dyn Array> = ranges.iter().map(|ranges| ranges.values().as_ref()).collect();
        all.list(result, &sources)
    },
};

/// Type of the elements, if it is an array.
fn element(array: &DataType) -> Option<DataType> {
    match array {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type().clone())
        }
        DataType::Null => Some(DataType::Null),
        _ => None,
    }
}

fn first(types: &[DataType]) -> DataType {
    types.first().cloned().unwrap_or(DataType::Null)
}

fn array_and_element(types: &[DataType]) -> Option<Vec<DataType>> {
    let [array, given] = types else { return None };
    let inner = element(array)?;
    let common = match (inner.is_null(), given.is_null()) {
        (true, _) => given.clone(),
        (_, true) => inner,
        _ if inner == *given => inner,
        _ => type_union_resolution(&[inner, given.clone()])?,
    };
    Some(vec![list_of(common.clone()), common])
}

fn only_element(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let array = arguments[0].to_array(rows)?;
    let ranges = Ranges::of(&array)?;
    let mut places = Vec::with_capacity(rows);
    for row in 0..rows {
        let range = ranges.of_row(row);
        if array.is_null(row) || range.is_empty() {
            places.push(None);
            continue;
        }
        if range.len() > 1 {
            let message = format!("ELEMENT takes an array of one element, and one has {}", range.len());
            return Err(DataFusionError::Execution(message));
        }
        places.push(u32::try_from(range.start).ok());
    }
    Ok(take(ranges.values(), &UInt32Array::from(places), None)?)
}

fn added(arguments: &[ColumnarValue], rows: usize, result: &DataType, in_front: bool) -> Result<ArrayRef> {
    let (array, element) = (arguments[0].to_array(rows)?, arguments[1].to_array(rows)?);
    let ranges = Ranges::of(&array)?;
    let longer = Assembly::of(rows, |row, origins| {
        if in_front {
            origins.push((1, row));
        }
        origins.extend(ranges.of_row(row).map(|element| (0, element)));
        if !in_front {
            origins.push((1, row));
        }
        array.is_valid(row)
    });
    longer.list(result, &[ranges.values().as_ref(), element.as_ref()])
}

/// An element that is looked for in the array of its row.
struct Search {
    array: ArrayRef,
    ranges: Ranges,
    wanted: ArrayRef,
    /// Compares an element with what is wanted in a row; null equals null.
    compare: Box<dyn Fn(usize, usize) -> std::cmp::Ordering + Send + Sync>,
}

impl Search {
    fn of(arguments: &[ColumnarValue], rows: usize) -> Result<Self> {
        let (array, wanted) = (arguments[0].to_array(rows)?, arguments[1].to_array(rows)?);
        let ranges = Ranges::of(&array)?;
        let compare = make_comparator(ranges.values().as_ref(), wanted.as_ref(), SortOptions::default())?;
        Ok(Self { array, ranges, wanted, compare })
    }

    /// The elements of a row, and whether they are what is wanted.
    fn elements(&self, row: usize) -> impl Iterator<Item = (usize, bool)> {
        self.ranges.of_row(row).map(move |element| (element, (self.compare)(element, row).is_eq()))
    }
}
