//! Joins on `IS NOT DISTINCT FROM`: keys of which null is a value like any other.
//!
//! An operator joins by keys that are equal, and null is equal to nothing. So a key that may be null on both sides becomes two that
//! are never null: whether it is null, and the key with some value in the place of null.

use std::sync::Arc;

use arrow::array::{AsArray, MapArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, NullEquality, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, Join, lit, when};
use weir_core::{Error, Result};

use crate::lower::error::from_planner;
use crate::parse::sql_type_name;

/// The pairs of keys of a join that are equal where its own are the same.
///
/// # Errors
/// A user error for keys of a type that has no value to stand for null.
pub(super) fn pairs(join: &Join) -> Result<Vec<(Expr, Expr)>> {
    if join.null_equality == NullEquality::NullEqualsNothing {
        return Ok(join.on.clone());
    }
    let mut pairs = Vec::new();
    for (left, right) in &join.on {
        // What is null on one side alone is like nothing on the other.
        if may_be_null(left, join.left.schema())? && may_be_null(right, join.right.schema())? {
            pairs.push((filled(left, join.left.schema())?, filled(right, join.right.schema())?));
            pairs.push((left.clone().is_null(), right.clone().is_null()));
        } else {
            pairs.push((left.clone(), right.clone()));
        }
    }
    Ok(pairs)
}

fn may_be_null(key: &Expr, schema: &DFSchema) -> Result<bool> {
    key.nullable(schema).map_err(from_planner)
}

/// The key, with some value in the place of null.
fn filled(key: &Expr, schema: &DFSchema) -> Result<Expr> {
    let data_type = key.get_type(schema).map_err(from_planner)?;
    let some = some_value(&data_type).ok_or_else(|| {
        Error::user(format!("{} cannot be compared by IS NOT DISTINCT FROM in a join", sql_type_name(&data_type)))
            .with_help("compare with `=`, or CAST both sides to STRING")
    })?;
    when(key.clone().is_null(), lit(some)).otherwise(key.clone()).map_err(from_planner)
}

/// A value of the type that is not null. (DataFusion knows none of a `MAP`.)
fn some_value(data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Map(entries, is_sorted) => {
            let none = new_empty_array(entries.data_type()).as_struct_opt()?.clone();
            let map = MapArray::try_new(entries.clone(), OffsetBuffer::new_zeroed(1), none, None, *is_sorted);
            Some(ScalarValue::Map(Arc::new(map.ok()?)))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| some_value(field.data_type())?.to_array().ok());
            let row = StructArray::try_new(fields.clone(), columns.collect::<Option<_>>()?, None);
            Some(ScalarValue::Struct(Arc::new(row.ok()?)))
        }
        data_type => ScalarValue::new_default(data_type).ok(),
    }
}
