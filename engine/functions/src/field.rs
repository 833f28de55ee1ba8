//! `r.name` and `m['key']`. A field of a null ROW is null, whatever Arrow keeps for it, and the key of a MAP is looked up in the
//! keys' own type.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar, UInt64Array, make_comparator};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use weir_core::hash::canonical_keys;

use super::conversion::convert;
use super::definition::plan_error;
use super::nulls::seen_through;

/// The function `get_field`, as DataFusion's planner calls it.
#[derive(Debug)]
pub(super) struct GetField {
    /// Knows names and types.
    planned: Arc<ScalarUDF>,
}

impl GetField {
    pub(super) fn function() -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self { planned: datafusion_functions::core::get_field() }))
    }
}

impl PartialEq for GetField {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for GetField {}

impl Hash for GetField {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for GetField {
    fn name(&self) -> &str {
        "get_field"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.planned.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.planned.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.planned.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.planned.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut coerced = types.to_vec();
        if let [DataType::Map(entries, _), given, ..] = types
            && let DataType::Struct(fields) = entries.data_type()
            && let Some(key) = fields.first()
        {
            let is_text = |data_type: &DataType| data_type.is_string();
            let key = key.data_type();
            let fits = given == key
                || given.is_null()
                || (is_text(given) && is_text(key))
                || (given.is_numeric() && key.is_numeric())
                || (is_text(given) && key.is_temporal());
            if !fits {
                return plan_error(format!("the keys of this map are {key}, and the key that is looked up is {given}"));
            }
            coerced[1] = key.clone();
        }
        Ok(coerced)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((base, path)) = args.args.split_first() else { return internal_err!("a field is taken of nothing") };
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut current = base.to_array(rows)?;
        for step in path {
            current = match current.data_type() {
                DataType::Struct(_) => field(&current, step)?,
                DataType::Map(..) => value(&current, step)?,
                DataType::Null => return Ok(ColumnarValue::Scalar(ScalarValue::Null)),
                other => return internal_err!("a value of type {other} has no fields"),
            };
        }
        if constant {
            return ScalarValue::try_from_array(&current, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(current))
    }
}

fn field(rows: &ArrayRef, name: &ColumnarValue) -> Result<ArrayRef> {
    let rows = rows.as_struct();
    let name = match name {
        ColumnarValue::Scalar(name) => name.try_as_str().flatten(),
        ColumnarValue::Array(_) => None,
    };
    match name.and_then(|name| rows.column_by_name(name)) {
        Some(column) => Ok(seen_through(column, rows.nulls())?),
        None => internal_err!("a row has no field {name:?}"),
    }
}

fn value(maps: &ArrayRef, key: &ColumnarValue) -> Result<ArrayRef> {
    let maps = maps.as_map();
    let offsets = maps.offsets();
    let found = is_key(maps, key)?;
    let place = |row: usize| {
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        let found = |entry: &usize| found.is_valid(*entry) && found.value(*entry);
        if maps.is_null(row) { None } else { entries.into_iter().find(found).map(|entry| entry as u64) }
    };
    let places: UInt64Array = (0..maps.len()).map(place).collect();
    Ok(take(maps.values(), &places, None)?)
}

/// Of each entry of `maps`, whether it has the key that is looked up in its row.
fn is_key(maps: &arrow::array::MapArray, key: &ColumnarValue) -> Result<BooleanArray> {
    let keys = &canonical_keys(maps.keys());
    let nested = keys.data_type().is_nested();
    if let (ColumnarValue::Scalar(key), false) = (key, nested) {
        // A constant may be in another layout than the keys.
        return Ok(eq(keys, &Scalar::new(canonical_keys(&convert(&key.to_array()?, keys.data_type(), false)?)))?);
    }
    // The key of an entry's row beside each entry.
    let mut row_of_entry = vec![0_u64; keys.len()];
    for (row, bounds) in maps.offsets().windows(2).enumerate() {
        row_of_entry[bounds[0] as usize..bounds[1] as usize].fill(row as u64);
    }
    let wanted = take(&canonical_keys(&key.to_array(maps.len())?), &UInt64Array::from(row_of_entry), None)?;
    if !nested {
        return Ok(eq(keys, &wanted)?);
    }
    let compare = make_comparator(keys.as_ref(), wanted.as_ref(), SortOptions::default())?;
    Ok((0..keys.len()).map(|entry| Some(wanted.is_valid(entry) && compare(entry, entry).is_eq())).collect())
}
