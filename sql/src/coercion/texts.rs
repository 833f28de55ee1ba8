//! Text that is written in a query beside other values. It says a value of their type, once and for all rows, so it is read when the
//! query is planned: beside numbers as the number that it says, with its own digits. A cast to the type of the others would cut them
//! off, and `i = '1.9'` would be true of 1.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable};
use weir_functions::conversion::{Written, convert, converts};

use super::written::exact;

/// The text that an expression is, if it is one that is written.
pub(crate) fn written_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// Whether `text` says a value that can meet values of this type.
pub(crate) fn is_value_of(text: &str, data_type: &DataType) -> bool {
    if data_type.is_numeric() {
        return number(text, data_type.is_floating()).is_some();
    }
    let array: ArrayRef = Arc::new(StringViewArray::from(vec![text]));
    !converts(array.data_type(), data_type) || convert(&array, data_type, false).is_ok()
}

/// Puts numbers in the places of texts that are written beside numbers, if there is nothing else.
pub(super) fn as_numbers(expressions: &mut [&mut Expr], schema: &DFSchema) {
    let types: Vec<DataType> = expressions.iter().map(|expr| expr.get_type(schema).unwrap_or(DataType::Null)).collect();
    let are_numbers = expressions.iter().zip(&types).all(|(expr, data_type)| {
        data_type.is_numeric() || *data_type == DataType::Null || written_text(expr).is_some()
    });
    if !are_numbers || !types.iter().any(DataType::is_numeric) {
        return;
    }
    let floating = types.iter().any(DataType::is_floating);
    for expr in expressions.iter_mut() {
        // What says no number is refused elsewhere.
        if let Some(number) = written_text(expr).and_then(|text| number(text, floating)) {
            **expr = Expr::Literal(number, None);
        }
    }
}

fn number(text: &str, floating: bool) -> Option<ScalarValue> {
    if floating {
        return text.trim().parse().ok().map(|number| ScalarValue::Float64(Some(number)));
    }
    Written::of(text).map(|Written { unscaled, scale }| exact(unscaled, scale))
}
