//! Text that is compared with a number. It would be read as one row by row, and the job would end with the first that is none: which is
//! hardly what was meant, and is better said when the query is planned. So is it of text in the query that says no value of the type of what
//! it meets: it is the same for all rows.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::expr::{Case, InList, InSubquery};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, Values};
use datafusion_sql::sqlparser::tokenizer::{Location, Span as ParserSpan};
use weir_core::{Error, Result};

use crate::coercion::{is_value_of, own_terms, written_text};
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
        if let LogicalPlan::Union(union) = node {
            refused = union.inputs.iter().skip(1).find_map(|input| mixed(source, statement, &union.inputs[0], input));
            if refused.is_some() {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        if let LogicalPlan::Values(rows) = node {
            refused = beside_others(source, statement, rows);
            if refused.is_some() {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                refused = in_one_place(source, statement, part, &schema);
                Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })?;
        if refused.is_some() {
            return Ok(TreeNodeRecursion::Stop);
        }
        let mut look = |comparisons: Vec<Comparison<'_>>| {
            let mut refusals = comparisons.into_iter().flat_map(Comparison::both_ways).filter_map(|comparison| {
                let Comparison(one, _, other) = &comparison;
                match one {
                    text if text.is_text_beside(other) => Some(error(source, statement, &comparison)),
                    text if text.says_nothing_beside(other) => Some(no_value(source, statement, &comparison)),
                    _ => None,
                }
            });
            refused = refusals.next();
            if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
        };
        if let LogicalPlan::Join(join) = node {
            let side = |expression| Side::of(expression, &schema);
            // `USING`, as `ON` is a condition.
            let keys = join.on.iter().map(|(left, right)| Comparison(side(left), Operator::Eq, side(right))).collect();
            if look(keys) == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| Ok(look([compared(part, &schema), chosen(part, &schema)].concat())))
        })
    });
    refused.map_or(Ok(()), Err)
}

/// Text and numbers that come to stand in one column: all of them would be text.
fn mixed(source: &Source<'_>, statement: Span, one: &LogicalPlan, other: &LogicalPlan) -> Option<Error> {
    let fields = one.schema().fields().iter().zip(other.schema().fields());
    let is_mixed =
        |one: &DataType, other: &DataType| one.is_string() && (other.is_numeric() || *other == DataType::Boolean);
    let (one, other) = fields.map(|(one, other)| (one.as_ref(), other.as_ref())).find(|(one, other)| {
        is_mixed(one.data_type(), other.data_type()) || is_mixed(other.data_type(), one.data_type())
    })?;
    let (from, to) = (sql_type_name(one.data_type()), sql_type_name(other.data_type()));
    let message =
        format!("`{}` is {from} on one side of UNION, INTERSECT or EXCEPT, and {to} on the other", one.name());
    Some(source.error(source.first_line(statement), message).with_help("CAST one of them to the type of the other"))
}

/// Text in `VALUES` that is no value of the type that the other rows give its column.
fn beside_others(source: &Source<'_>, statement: Span, rows: &Values) -> Option<Error> {
    let cells = rows.values.iter().flat_map(|row| row.iter().zip(rows.schema.fields()));
    cells
        .filter_map(|(cell, field)| {
            let Expr::Cast(cast) = cell else { return None };
            let text = Side { expression: Cow::Borrowed(&*cast.expr), data_type: DataType::Utf8 };
            let others = Side { expression: Cow::Borrowed(cell), data_type: field.data_type().clone() };
            Some(Comparison(text, Operator::Eq, others))
        })
        .find(|Comparison(text, _, others)| text.says_nothing_beside(others))
        .map(|comparison| no_value(source, statement, &comparison))
}

/// What is compared, how, and with what.
#[derive(Clone)]
struct Comparison<'a>(Side<'a>, Operator, Side<'a>);

impl Comparison<'_> {
    fn both_ways(self) -> [Self; 2] {
        let Comparison(left, operator, right) = self;
        [Comparison(left.clone(), operator, right.clone()), Comparison(right, mirrored(operator), left)]
    }
}

/// What is compared, and its type, if it has one.
#[derive(Clone)]
struct Side<'a> {
    expression: Cow<'a, Expr>,
    data_type: DataType,
}

impl<'a> Side<'a> {
    fn of(expression: &'a Expr, schema: &DFSchema) -> Self {
        let data_type = expression.get_type(schema).unwrap_or(DataType::Null);
        let expression =
            if expression.contains_outer() { Cow::Owned(as_written(expression)) } else { Cow::Borrowed(expression) };
        Self { expression, data_type }
    }

    /// What a subquery returns.
    fn returned(subquery: &LogicalPlan) -> Self {
        let (qualifier, field) = subquery.schema().qualified_field(0);
        let expression = match subquery {
            LogicalPlan::Projection(projection) if projection.expr.len() == 1 => projection.expr[0].clone().unalias(),
            _ => Expr::Column(Column::from((qualifier, field))),
        };
        Self { expression: Cow::Owned(expression), data_type: field.data_type().clone() }
    }

    fn is_text_beside(&self, number: &Side<'_>) -> bool {
        !matches!(*self.expression, Expr::Literal(..)) && self.data_type.is_string() && number.data_type.is_numeric()
    }

    /// Whether this is text in the query that is no value of the other side's type.
    fn says_nothing_beside(&self, other: &Side<'_>) -> bool {
        !other.data_type.is_string()
            && written_text(&self.expression).is_some_and(|text| !is_value_of(text, &other.data_type))
    }
}

/// The expression with columns of a query around it as columns.
fn as_written(expression: &Expr) -> Expr {
    let column = |part: Expr| match part {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    };
    expression.clone().transform(column).data().unwrap_or_else(|_| expression.clone())
}

/// What an expression compares.
fn compared<'a>(expression: &'a Expr, schema: &DFSchema) -> Vec<Comparison<'a>> {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    let pair = |left: &'a Expr, operator, right: &'a Expr| {
        Comparison(Side::of(left, schema), operator, Side::of(right, schema))
    };
    match expression {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom),
            right,
        }) => vec![pair(left, *op, right)],
        Expr::Between(Between { expr, low, high, .. }) => vec![pair(expr, GtEq, low), pair(expr, LtEq, high)],
        Expr::InList(InList { expr, list, .. }) => list.iter().map(|item| pair(expr, Eq, item)).collect(),
        Expr::InSubquery(InSubquery { expr, subquery, .. }) => {
            vec![Comparison(Side::of(expr, schema), Eq, Side::returned(&subquery.subquery))]
        }
        Expr::Case(Case { expr: Some(operand), when_then_expr, .. }) => {
            when_then_expr.iter().map(|(when, _)| pair(operand, Eq, when)).collect()
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" => match &call.args[..] {
            [value, other] => vec![pair(value, Eq, other)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Text of a column, or that is computed, beside values of another type, where a function returns one of them: all would be read as
/// that type.
fn in_one_place(source: &Source<'_>, statement: Span, expression: &Expr, schema: &DFSchema) -> Option<Error> {
    let Expr::ScalarFunction(call) = expression else { return None };
    if !RETURN_AN_ARGUMENT.contains(&call.name()) {
        return None;
    }
    let sides: Vec<Side<'_>> = call.args.iter().map(|argument| Side::of(argument, schema)).collect();
    let is_text = |side: &&Side<'_>| side.data_type.is_string() && written_text(&side.expression).is_none();
    let text = sides.iter().find(is_text)?;
    let other = sides.iter().find(|side| !side.data_type.is_string() && side.data_type != DataType::Null)?;
    let (place, function) = (place_of(source, &text.expression), call.name().to_uppercase());
    let place = place.unwrap_or_else(|| source.first_line(statement));
    let written = own_terms(other.expression.clone().into_owned()).ok();
    let data_type = match written {
        Some(Expr::Literal(value, _)) => sql_type_name(&value.data_type()),
        _ => sql_type_name(&other.data_type),
    };
    let what = if function == "MAKE_ARRAY" { "an ARRAY".to_owned() } else { format!("the arguments of {function}") };
    Some(
        source
            .error(place, format!("{what} cannot be STRING and {data_type} at once"))
            .with_help(format!("CAST one of them: `CAST(… AS STRING)`, or `TRY_CAST(… AS {data_type})`")),
    )
}

/// Functions that return one of their arguments, or all.
const RETURN_AN_ARGUMENT: [&str; 6] = ["coalesce", "ifnull", "nvl", "greatest", "least", "make_array"];

/// What stands beside each other as arguments of a function that returns one of them: with the first whose type is not that of text.
fn chosen<'a>(expression: &'a Expr, schema: &DFSchema) -> Vec<Comparison<'a>> {
    let Expr::ScalarFunction(call) = expression else { return Vec::new() };
    if !RETURN_AN_ARGUMENT.contains(&call.name()) {
        return Vec::new();
    }
    let sides: Vec<Side<'_>> = call.args.iter().map(|argument| Side::of(argument, schema)).collect();
    let written = |side: &&Side<'_>| written_text(&side.expression).is_some();
    if sides.iter().any(|side| side.data_type.is_string() && !written(&side)) {
        return Vec::new();
    }
    let other = sides.iter().find(|side| !side.data_type.is_string() && side.data_type != DataType::Null);
    let Some(other) = other else { return Vec::new() };
    sides.iter().filter(written).map(|text| Comparison(text.clone(), Operator::Eq, other.clone())).collect()
}

fn mirrored(operator: Operator) -> Operator {
    operator.swap().unwrap_or(operator)
}

/// Text in the query that is no value of what it meets, where it stands; or at the column that it meets, if it stands there more than once.
fn no_value(source: &Source<'_>, statement: Span, Comparison(text, _, other): &Comparison<'_>) -> Error {
    let written = format!("'{}'", written_text(&text.expression).unwrap_or_default().replace('\'', "''"));
    let found: Vec<usize> =
        source.slice(statement).match_indices(&written).map(|(at, _)| statement.start + at).collect();
    let place = match found[..] {
        [start] => Some(Span { start, end: start + written.len() }),
        _ => place_of(source, &other.expression),
    };
    let place = place.unwrap_or_else(|| source.first_line(statement));
    let data_type = sql_type_name(&other.data_type);
    let error = source.error(place, format!("{written} is no {data_type}, which it stands beside"));
    match form(&other.data_type) {
        Some(form) => error.with_help(format!("write it as in {form}")),
        None => error,
    }
}

/// How values of a type are written as text.
fn form(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Timestamp(..) => "'2024-01-31 10:11:12.5'",
        DataType::Date32 => "'2024-01-31'",
        DataType::Time64(_) => "'10:11:12.5'",
        number if number.is_numeric() => "'12.5'",
        _ => return None,
    })
}

fn place_of(source: &Source<'_>, expression: &Expr) -> Option<Span> {
    let columns = expression.column_refs();
    let span = columns.into_iter().find_map(|column| column.spans().first())?;
    let location = |line, column| Location { line, column };
    source.span(ParserSpan {
        start: location(span.start.line, span.start.column),
        end: location(span.end.line, span.end.column),
    })
}

fn error(source: &Source<'_>, statement: Span, Comparison(text, operator, number): &Comparison<'_>) -> Error {
    let (text, written) = (&*text.expression, &*number.expression);
    let place = place_of(source, text);
    let name = match (text, place) {
        (Expr::Column(_), Some(place)) => source.slice(place).to_owned(),
        _ => text.to_string(),
    };
    let data_type = sql_type_name(&number.data_type);
    let constant = match written {
        Expr::Literal(value, _) => value.to_string(),
        _ => "1".to_owned(),
    };
    let place = place.unwrap_or_else(|| source.first_line(statement));
    source.error(place, format!("`{name}` is STRING, and cannot be compared with a number ({data_type})")).with_help(format!(
        "compare text with text, as in `{name} {operator} '{constant}'`, or read it as a number: `CAST({name} AS {data_type})`"
    ))
}
