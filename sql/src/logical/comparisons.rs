//! Text that is compared with a number. It would be read as one row by row, and the job would end with the first that is none: which is
//! hardly what was meant, and is better said when the query is planned.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion_expr::expr::InList;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion_sql::sqlparser::tokenizer::{Location, Span as ParserSpan};
use weir_core::{Error, Result};

use crate::diagnostics::Source;
use crate::parse::sql_type_name;
use crate::statement::Span;

/// Refuses comparisons of text with numbers in the plan of a statement. Text that is written in the query is a constant, and a number
/// or not when it is planned.
///
/// # Errors
/// A user error at the text.
pub(super) fn check(source: &Source<'_>, statement: Span, plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    // The visitor itself has no errors.
    let _ = plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                match compared(part).into_iter().find(|(text, _, number)| is_text_and_number(text, number, &schema)) {
                    None => Ok(TreeNodeRecursion::Continue),
                    Some(comparison) => {
                        refused = Some(error(source, statement, comparison, &schema));
                        Ok(TreeNodeRecursion::Stop)
                    }
                }
            })
        })
    });
    refused.map_or(Ok(()), Err)
}

/// A comparison: what is compared, how, and with what.
type Comparison<'a> = (&'a Expr, Operator, &'a Expr);

/// What an expression compares, each pair both ways round.
fn compared(expression: &Expr) -> Vec<Comparison<'_>> {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let pairs: Vec<Comparison<'_>> = match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Eq | NotEq | Lt | LtEq | Gt | GtEq), right }) => {
            vec![(left, *op, right)]
        }
        Expr::Between(Between { expr, low, high, .. }) => vec![(expr, GtEq, low), (expr, LtEq, high)],
        Expr::InList(InList { expr, list, .. }) => list.iter().map(|item| (&**expr, Eq, item)).collect(),
        _ => Vec::new(),
    };
    let both = |(left, operator, right)| [(left, operator, right), (right, mirrored(operator), left)];
    pairs.into_iter().flat_map(both).collect()
}

fn mirrored(operator: Operator) -> Operator {
    operator.swap().unwrap_or(operator)
}

fn is_text_and_number(text: &Expr, number: &Expr, schema: &DFSchema) -> bool {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    !matches!(text, Expr::Literal(..))
        && text.get_type(schema).is_ok_and(|data_type| is_text(&data_type))
        && number.get_type(schema).is_ok_and(|data_type| data_type.is_numeric())
}

fn error(source: &Source<'_>, statement: Span, (text, operator, number): Comparison<'_>, schema: &DFSchema) -> Error {
    let place = text.column_refs().into_iter().find_map(|column| column.spans().first()).and_then(|span| {
        let location = |line, column| Location { line, column };
        source.span(ParserSpan {
            start: location(span.start.line, span.start.column),
            end: location(span.end.line, span.end.column),
        })
    });
    let name = match (text, place) {
        (Expr::Column(_), Some(place)) => source.slice(place).to_owned(),
        _ => text.to_string(),
    };
    let data_type = sql_type_name(&number.get_type(schema).unwrap_or(DataType::Null));
    let constant = match number {
        Expr::Literal(value, _) => value.to_string(),
        _ => "1".to_owned(),
    };
    let first_line = source.slice(statement).find('\n').map_or(statement.end, |length| statement.start + length);
    let place = place.unwrap_or(Span { start: statement.start, end: first_line });
    source.error(place, format!("`{name}` is STRING, and cannot be compared with a number ({data_type})")).with_help(format!(
        "compare text with text, as in `{name} {operator} '{constant}'`, or read it as a number: `CAST({name} AS {data_type})`"
    ))
}
