//! Expressions between sqlparser and the planner: Flink's spellings that DataFusion has under another form.
//!
//! | as written | as planned |
//! |---|---|
//! | `IF(a, b, c)` | `CASE WHEN a THEN b ELSE c END` |
//! | `MOD(a, b)` | `a % b` |
//! | `NTH_VALUE(x, 2 ORDER BY ts)` | `array_element(array_agg(x ORDER BY ts), 2)` |
//! | `LISTAGG(x)` | `listagg(x, ',')` |
//! | `LISTAGG(x, ';') WITHIN GROUP (ORDER BY y)` | `listagg(x, ';' ORDER BY y)` |
//! | `ARRAY_SLICE(a, 2)` | `array_slice(a, 2, 2147483647)` |
//! | `ARRAY_SORT(a, FALSE)` | `array_sort(a, 'DESC', 'NULLS LAST')` |
//! | `TIMESTAMPDIFF(DAY, a, b)` | `timestampdiff('day', a, b)` |
//! | `FLOOR(ts TO HOUR)`, `CEIL(ts TO HOUR)` | `time_floor('hour', ts)`, `time_ceil('hour', ts)` |
//! | `SUBSTRING(s FROM 2 FOR 3)` | `substr(s, 2, 3)` |
//! | `p LIKE 'C:\%'`, `p LIKE '5!%' ESCAPE '!'` | `p LIKE 'C:\\%'`, `p LIKE '5\%'` ([`super::like`]) |
//! | `TIMESTAMP '2013-01-05 17:04:09.5'` | the same as a `TIMESTAMP(1)` |
//! | `GROUPING(x)` | `CAST(grouping(x) AS BIGINT)` |
//! | `COLLECT(x)` | `multiset_of(array_agg(x) FILTER (WHERE x IS NOT NULL))` |
//! | `CAST(x AS CHAR(3))` | see [`super::cast`] |
//! | `INTERVAL '1-2' YEAR TO MONTH`, `(a, b) OVERLAPS (c, d)` | see [`super::interval`] |
//! | `(a, b) = (1, 2)` | see [`super::rows`] |
//! | `f(x).a`, `x[1].a` | fields by a text that is their name |
//! | `x SIMILAR TO p` | see [`super::similar`] |
//! | `x = ANY (SELECT …)`, `x <> ALL (SELECT …)` | `x IN (SELECT …)`, `x NOT IN (SELECT …)` |
//! | `EXISTS (SELECT … ORDER BY y)`, `x IN (SELECT … ORDER BY y)` | the same without an order, which chooses no rows |
//! | `1e3` | `CAST('1e3' AS DOUBLE)` |
//! | `UPPER(x)` | `upper(x)`: DataFusion knows some functions by their lower case |

use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, ExactNumberInfo, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Spanned, TypedString, Value, ValueWithSpan,
};
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Span as ParserSpan, Token, TokenWithSpan};
use weir_core::Result;
use weir_functions::refused;

use super::dialect::WeirDialect;
use super::{cast, interval, like, refuse, rows, similar};
use crate::diagnostics::{Source, from_parser};
use crate::statement::Span;
use crate::walk::{Change, Step, change};

/// Functions whose first argument names a unit of time.
const TAKE_A_UNIT: [&str; 4] = ["timestampdiff", "timestampadd", "datediff", "dateadd"];

/// Parses a lone expression, such as a watermark's, for tests and options.
///
/// # Errors
/// A user error if the text is no expression.
pub fn parse_expression(text: &str) -> Result<Expr> {
    let source = Source::new(text);
    let convert = |error| from_parser(&source, &[], text.len(), error);
    let dialect = WeirDialect::new(text.len());
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(convert)?;
    let expression = parser.parse_expr().map_err(convert)?;
    check(&source, Span { start: 0, end: text.len() }, expression)
}

/// Gives a parsed expression the form that the planner expects, or refuses it.
pub(super) fn check(source: &Source<'_>, span: Span, mut expression: Expr) -> Result<Expr> {
    let mut rewrite = Rewrite::new(source);
    let _ = change(&mut expression, &mut rewrite);
    rewrite.outcome?;
    refuse::check(source, &[], span, &expression)?;
    Ok(expression)
}

/// Gives expressions the form that the planner expects, up to the first one that it refuses.
pub(super) struct Rewrite<'a> {
    source: &'a Source<'a>,
    /// What came of it.
    pub outcome: Result<()>,
}

impl<'a> Rewrite<'a> {
    /// For a tree of this script.
    pub fn new(source: &'a Source<'a>) -> Self {
        Self { source, outcome: Ok(()) }
    }
}

impl Change for Rewrite<'_> {
    fn expression(&mut self, expression: &mut Expr) -> Step {
        self.outcome = rewrite(self.source, expression);
        if self.outcome.is_ok() { Step::Continue(()) } else { Step::Break(()) }
    }
}

/// Rewrites one expression whose parts are rewritten already.
fn rewrite(source: &Source<'_>, expression: &mut Expr) -> Result<()> {
    match expression {
        Expr::Function(function) => {
            refuse_function(source, function)?;
            if let Some(rewritten) = rewrite_function(source, function)? {
                *expression = rewritten;
            }
        }
        Expr::Value(ValueWithSpan { value: value @ Value::UnicodeStringLiteral(_), .. }) => {
            if let Some(text) = value.clone().into_string() {
                *value = Value::SingleQuotedString(text);
            }
        }
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if has_exponent(digits) => {
            *expression = double(digits.clone(), expression);
        }
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(field) } if *field != DateTimeField::NoDateTime => {
            *expression = to_unit("time_floor", field, expr);
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(field) } if *field != DateTimeField::NoDateTime => {
            *expression = to_unit("time_ceil", field, expr);
        }
        // A literal has the digits that are written, as in Flink.
        Expr::TypedString(TypedString { data_type: DataType::Timestamp(precision @ None, _), value, .. }) => {
            if let Some(text) = value.value.clone().into_string() {
                let digits = text.split_once('.').map_or("", |(_, behind)| behind);
                let digits = digits.bytes().take_while(u8::is_ascii_digit).count();
                *precision = u64::try_from(digits.min(9)).ok();
            }
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            like::rewrite(source, pattern, escape_char)?;
        }
        Expr::Cast { .. } => {
            if let Some(cast) = cast::rewritten(expression) {
                *expression = cast;
            }
        }
        Expr::Interval(written) => interval::rewrite(source, written)?,
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => {
            if let Some(overlap) = interval::overlap(left, right) {
                *expression = overlap;
            }
        }
        Expr::BinaryOp { left, op, right } => {
            if let Some(comparison) = rows::compared(left, op, right) {
                *expression = comparison;
            }
        }
        Expr::InList { expr, list, negated } => {
            if let Some(comparison) = rows::in_list(expr, list, *negated) {
                *expression = comparison;
            }
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            if let Expr::Subquery(subquery) = &mut **right {
                *expression = in_subquery(left, subquery, false);
            }
        }
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
            if let Expr::Subquery(subquery) = &mut **right {
                *expression = in_subquery(left, subquery, true);
            }
        }
        Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. } => without_order(subquery),
        Expr::CompoundFieldAccess { root, access_chain } => name_fields(root, access_chain),
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            *expression = similar::rewritten(source, expr, pattern, escape_char.as_ref(), *negated)?;
        }
        Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
            let one = Expr::Value(ValueWithSpan { value: Value::Number("1".to_owned(), false), span: expr.span() });
            let from = substring_from.take().map_or(one, |from| *from);
            let length = substring_for.take().map(|length| *length);
            let arguments = [(**expr).clone(), from].into_iter().chain(length).collect();
            let beside = (**expr).clone();
            *expression = call("substr", arguments, &beside);
        }
        _ => {}
    }
    Ok(())
}

fn in_subquery(value: &Expr, subquery: &mut Box<Query>, negated: bool) -> Expr {
    without_order(subquery);
    Expr::InSubquery { expr: Box::new(value.clone()), subquery: subquery.clone(), negated }
}

/// Of rows of which only is asked whether there are any, or one of a value, the order is of no matter.
fn without_order(query: &mut Query) {
    if query.limit_clause.is_none() && query.fetch.is_none() {
        query.order_by = None;
    }
}

/// Behind names, which may be those of a table and its column, what follows a point is a field.
fn name_fields(root: &Expr, accesses: &mut [AccessExpr]) {
    let mut is_name = matches!(root, Expr::Identifier(_));
    for access in accesses {
        is_name &= matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
        if let AccessExpr::Dot(field @ Expr::Identifier(_)) = access
            && let Expr::Identifier(name) = &*field
            && !is_name
        {
            *field = string_literal(name.value.clone(), field);
        }
    }
}

/// `FLOOR` or `CEIL` of a time.
fn to_unit(function: &str, unit: &DateTimeField, time: &Expr) -> Expr {
    call(function, vec![string_literal(unit.to_string().to_lowercase(), time), time.clone()], time)
}

fn refuse_function(source: &Source<'_>, function: &Function) -> Result<()> {
    let name = function.name.to_string();
    // Of text it is a time, and by itself the clock.
    let of_clock = name.eq_ignore_ascii_case("unix_timestamp") && has_no_arguments(function);
    let Some(reason) = refused(if of_clock { "now" } else { &name }) else { return Ok(()) };
    let span = source.span(function.name.span()).unwrap_or_default();
    let (why, instead) = reason.split_once("; ").unwrap_or((reason, ""));
    Err(source.error(span, format!("`{name}` cannot be used in a job: {why}")).with_help(instead))
}

fn has_no_arguments(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.args.is_empty())
}

fn rewrite_function(source: &Source<'_>, function: &mut Function) -> Result<Option<Expr>> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() else { return Ok(None) };
    if name.quote_style.is_none() {
        name.value = name.value.to_lowercase();
    }
    let (name, span) = (name.value.clone(), name.span);
    let FunctionArguments::List(list) = &mut function.args else { return Ok(None) };
    let plain = function.over.is_none() && function.filter.is_none() && list.duplicate_treatment.is_none();
    match name.as_str() {
        "if" if plain => {
            let [condition, then, otherwise] = arguments::<3>(source, span, "IF(condition, then, else)", list)?;
            let token = |span| AttachedToken(TokenWithSpan { token: Token::make_keyword("CASE"), span });
            Ok(Some(Expr::Case {
                case_token: token(span),
                end_token: token(span),
                operand: None,
                conditions: vec![CaseWhen { condition, result: then }],
                else_result: Some(Box::new(otherwise)),
            }))
        }
        "mod" if plain => {
            let [left, right] = arguments::<2>(source, span, "MOD(a, b)", list)?;
            let nested = |expression| Box::new(Expr::Nested(Box::new(expression)));
            Ok(Some(Expr::Nested(Box::new(Expr::BinaryOp {
                left: nested(left),
                op: BinaryOperator::Modulo,
                right: nested(right),
            }))))
        }
        "nth_value" if function.over.is_none() => {
            let ordered = list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
            let place = match list.args.as_slice() {
                [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(place))] if ordered => place.clone(),
                _ => {
                    let span = source.span(span).unwrap_or_default();
                    return Err(source
                        .error(span, "NTH_VALUE has a value, its place and an order")
                        .with_help("write `NTH_VALUE(x, 2 ORDER BY ts)`"));
                }
            };
            list.args.truncate(1);
            let beside = place.clone();
            let mut values = function.clone();
            values.name = ObjectName::from(vec![Ident { value: "array_agg".to_owned(), quote_style: None, span }]);
            Ok(Some(call("array_element", vec![Expr::Function(values), place], &beside)))
        }
        "collect" if function.over.is_none() && list.args.len() == 1 && list.clauses.is_empty() => {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) = &list.args[0] else { return Ok(None) };
            let beside = value.clone();
            let present = Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone()))));
            let mut values = function.clone();
            values.name = ObjectName::from(vec![Ident { value: "array_agg".to_owned(), quote_style: None, span }]);
            values.filter = Some(Box::new(match values.filter.take() {
                None => present,
                Some(filter) => Expr::BinaryOp {
                    left: Box::new(Expr::Nested(filter)),
                    op: BinaryOperator::And,
                    right: Box::new(present),
                },
            }));
            Ok(Some(call("multiset_of", vec![Expr::Function(values)], &beside)))
        }
        "grouping" => {
            let beside = Expr::Function(function.clone());
            Ok(Some(Expr::Cast {
                kind: CastKind::Cast,
                data_type: DataType::BigInt(None),
                array: false,
                format: None,
                expr: Box::new(beside),
            }))
        }
        "listagg" | "string_agg" | "array_agg" => {
            if list.args.len() == 1 && name != "array_agg" {
                let separator = Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(",".to_owned()), span });
                list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(separator)));
            }
            let keys = std::mem::take(&mut function.within_group);
            list.clauses.extend((!keys.is_empty()).then_some(FunctionArgumentClause::OrderBy(keys)));
            Ok(None)
        }
        "to_char"
            if let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(pattern)))] = list.args.as_slice()
                && let Value::SingleQuotedString(text) = &pattern.value
                && !text.is_empty()
                && !text.contains('%') =>
        {
            let span = source.span(pattern.span).unwrap_or_default();
            Err(source
                .error(span, format!("'{text}' says nothing of a time to TO_CHAR, whose patterns are like '%Y-%m-%d'"))
                .with_help("DATE_FORMAT takes patterns such as 'yyyy-MM-dd HH:mm:ss'"))
        }
        "array_slice" if list.args.len() == 2 => {
            let longest = Value::Number(i32::MAX.to_string(), false);
            let end = Expr::Value(ValueWithSpan { value: longest, span });
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(end)));
            Ok(None)
        }
        "array_sort" if list.args.len() > 1 => {
            sort_order(list);
            Ok(None)
        }
        _ if TAKE_A_UNIT.contains(&name.as_str()) => {
            if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
                && let Expr::Identifier(Ident { value, .. }) = unit
            {
                *unit = string_literal(value.to_lowercase(), unit);
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn arguments<const N: usize>(
    source: &Source<'_>,
    span: ParserSpan,
    form: &str,
    list: &FunctionArgumentList,
) -> Result<[Expr; N]> {
    let expressions: Vec<Expr> = list
        .args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
            _ => None,
        })
        .collect();
    let wrong = |_| source.error(source.span(span).unwrap_or_default(), format!("expected `{form}`"));
    if list.args.len() != N || !list.clauses.is_empty() {
        return Err(wrong(Vec::new()));
    }
    <[Expr; N]>::try_from(expressions).map_err(wrong)
}

/// A number with an exponent is a DOUBLE, and no DECIMAL.
fn has_exponent(digits: &str) -> bool {
    digits.contains(['e', 'E'])
}

/// Flink's order of `ARRAY_SORT`, two truth values (ascending, nulls first), in DataFusion's words.
fn sort_order(list: &mut FunctionArgumentList) {
    let truth = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan {
            value: Value::Boolean(truth),
            ..
        }))) => Some(*truth),
        _ => None,
    };
    let Some(given) = list.args[1..].iter().map(truth).collect::<Option<Vec<bool>>>() else { return };
    let (ascending, nulls_first) = match given.as_slice() {
        [ascending] => (*ascending, *ascending),
        [ascending, nulls_first] => (*ascending, *nulls_first),
        _ => return,
    };
    let words = [if ascending { "ASC" } else { "DESC" }, if nulls_first { "NULLS FIRST" } else { "NULLS LAST" }];
    let span = Spanned::span(&list.args[1]);
    list.args.truncate(1);
    list.args.extend(words.map(|word| {
        let value = Value::SingleQuotedString(word.to_owned());
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value, span })))
    }));
}

fn double(digits: String, beside: &Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
        expr: Box::new(string_literal(digits, beside)),
    }
}

pub(super) fn string_literal(value: String, beside: &Expr) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(value), span: beside.span() })
}

pub(super) fn call(name: &str, arguments: Vec<Expr>, beside: &Expr) -> Expr {
    let name = Ident { value: name.to_owned(), quote_style: None, span: beside.span() };
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
