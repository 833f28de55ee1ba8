//! Joins on `IS NOT DISTINCT FROM`: keys of which null is a value like any other.
//!
//! An operator joins by keys that are equal, and null is equal to nothing. So a key that may be null on both sides becomes two that
//! are never null: whether it is null, and the key with some value in the place of null.

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
    let some = ScalarValue::new_default(&data_type).map_err(|_| {
        Error::user(format!("{} cannot be compared by IS NOT DISTINCT FROM in a join", sql_type_name(&data_type)))
            .with_help("compare with `=`, or CAST both sides to STRING")
    })?;
    when(key.clone().is_null(), lit(some)).otherwise(key.clone()).map_err(from_planner)
}
