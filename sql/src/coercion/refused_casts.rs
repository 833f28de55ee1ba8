//! What is said of a cast that there is none of, and what to write instead.

use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Diagnostic};
use datafusion_expr::Expr;
use weir_functions::sql_type_name;

/// The error at the first column of what is cast, if it has one.
pub(super) fn refused(operand: &Expr, from: &DataType, to: &DataType) -> DataFusionError {
    let message = format!("{} cannot be cast to {}", sql_type_name(from), sql_type_name(to));
    let place = operand.column_refs().into_iter().find_map(|column| column.spans().first());
    let mut diagnostic = Diagnostic::new_error(message.clone(), place);
    if let Some(help) = instead(from, to) {
        diagnostic.add_help(help, None);
    }
    DataFusionError::Plan(message).with_diagnostic(diagnostic)
}

fn instead(from: &DataType, to: &DataType) -> Option<String> {
    use DataType::{Date32, List, Time64, Timestamp};
    Some(match (from, to) {
        (number, Timestamp(_, zone)) if number.is_numeric() => {
            let instant = "TO_TIMESTAMP_LTZ(n, 3)";
            let written = match zone {
                Some(_) => instant.to_owned(),
                None => format!("CAST({instant} AS {})", sql_type_name(to)),
            };
            format!("`{written}` takes milliseconds since 1970, and with 0 in the place of 3 seconds")
        }
        (Timestamp(..), number) if number.is_numeric() => {
            "`UNIX_TIMESTAMP(CAST(ts AS STRING))` counts seconds since 1970, and `TIMESTAMPDIFF(SECOND, a, b)` those between two times"
                .to_owned()
        }
        (number, Date32) if number.is_numeric() => {
            "`TIMESTAMPADD(DAY, n, DATE '1970-01-01')` takes days since 1970".to_owned()
        }
        (Date32, number) if number.is_numeric() => {
            "`TIMESTAMPDIFF(DAY, DATE '1970-01-01', d)` counts days since 1970".to_owned()
        }
        (Time64(_), number) if number.is_numeric() => {
            "`EXTRACT(HOUR FROM t)`, MINUTE and SECOND are its parts".to_owned()
        }
        (one, List(_)) if !matches!(one, List(_)) => "`ARRAY[x]` has one element".to_owned(),
        _ => return None,
    })
}
