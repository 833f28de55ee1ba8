//! DataFusion's logical expressions in the engine's form: columns by position, functions by name. Whatever has no
//! counterpart is refused by name.

use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{Between, Like};
use datafusion_expr::{Expr as LogicalExpr, ExprSchemable, Operator};
use weir_core::plugin::PluginFunction;
use weir_core::{BinaryOperator, Error, Expr, Literal, LiteralValue, Result};
use weir_functions::arithmetic::Arithmetic;
use weir_functions::conversion::Conversion;

use super::error::from_planner;
use super::literal::literal;
use crate::guards::{marked, revealed};

/// `expression` over rows of `schema`; column `n` of the result is field `n` of the schema.
///
/// # Errors
/// A user error for an expression that cannot be computed row by row.
pub(super) fn expr(expression: &LogicalExpr, schema: &DFSchema) -> Result<Expr> {
    let child = |inner: &LogicalExpr| expr(inner, schema).map(Box::new);
    if let Some((_, condition)) = marked(expression) {
        return expr(condition, schema);
    }
    if let Some(cast) = revealed(expression) {
        return expr(cast, schema);
    }
    Ok(match expression {
        LogicalExpr::Alias(alias) => expr(&alias.expr, schema)?,
        LogicalExpr::Column(column) => Expr::Column(schema.index_of_column(column).map_err(from_planner)?),
        LogicalExpr::Literal(value, _) => Expr::Literal(literal(value)?),
        LogicalExpr::BinaryExpr(binary) => binary_expr(binary.op, child(&binary.left)?, child(&binary.right)?)?,
        LogicalExpr::Not(inner) => Expr::Not(child(inner)?),
        LogicalExpr::Negative(inner) => Expr::Negative(child(inner)?),
        LogicalExpr::IsNull(inner) | LogicalExpr::IsUnknown(inner) => Expr::IsNull(child(inner)?),
        LogicalExpr::IsNotNull(inner) | LogicalExpr::IsNotUnknown(inner) => Expr::IsNotNull(child(inner)?),
        LogicalExpr::IsTrue(inner) => truth(BinaryOperator::IsNotDistinctFrom, child(inner)?, true),
        LogicalExpr::IsFalse(inner) => truth(BinaryOperator::IsNotDistinctFrom, child(inner)?, false),
        LogicalExpr::IsNotTrue(inner) => truth(BinaryOperator::IsDistinctFrom, child(inner)?, true),
        LogicalExpr::IsNotFalse(inner) => truth(BinaryOperator::IsDistinctFrom, child(inner)?, false),
        LogicalExpr::Between(between) => between_expr(between, schema)?,
        LogicalExpr::Like(like) => like_expr(like, schema)?,
        LogicalExpr::InList(list) => Expr::InList {
            operand: child(&list.expr)?,
            list: list.list.iter().map(|item| expr(item, schema)).collect::<Result<_>>()?,
            negated: list.negated,
        },
        LogicalExpr::Case(case) => Expr::Case {
            operand: case.expr.as_deref().map(child).transpose()?,
            branches: case
                .when_then_expr
                .iter()
                .map(|(when, then)| Ok((expr(when, schema)?, expr(then, schema)?)))
                .collect::<Result<_>>()?,
            otherwise: case.else_expr.as_deref().map(child).transpose()?,
        },
        LogicalExpr::Cast(cast) => {
            Expr::Cast { operand: child(&cast.expr)?, data_type: cast.field.data_type().clone(), safe: false }
        }
        LogicalExpr::TryCast(cast) => {
            Expr::Cast { operand: child(&cast.expr)?, data_type: cast.field.data_type().clone(), safe: true }
        }
        LogicalExpr::ScalarFunction(call) => {
            if let (Some(conversion), [operand]) = (Conversion::of(&call.func), call.args.as_slice()) {
                let data_type = conversion.to.clone();
                return Ok(Expr::Cast { operand: child(operand)?, data_type, safe: conversion.safe });
            }
            match (Arithmetic::of_function(call.func.name()), call.args.as_slice()) {
                (Some(Arithmetic::Binary(operator)), [left, right]) => {
                    return binary_expr(operator, child(left)?, child(right)?);
                }
                (Some(Arithmetic::Negative), [operand]) => return Ok(Expr::Negative(child(operand)?)),
                _ => {}
            }
            if call.func.name() == "proctime" {
                return Err(Error::user("PROCTIME() in a query is not supported yet").with_help(
                    "declare it as a column of the table, as in `CREATE TABLE t (…, proc AS PROCTIME()) WITH (…)`",
                ));
            }
            if call.func.signature().volatility == datafusion_expr::Volatility::Volatile {
                let name = PluginFunction::name_in_sql(call.func.name());
                return Err(Error::user(format!("the function `{name}` gives another result each time"))
                    .with_help("a row that is computed again after a restart has to come out as before"));
            }
            Expr::Function {
                name: call.func.name().to_owned(),
                arguments: call.args.iter().map(|argument| expr(argument, schema)).collect::<Result<_>>()?,
                data_type: expression.get_type(schema).map_err(from_planner)?,
            }
        }
        other => return Err(refused(other)),
    })
}

fn truth(operator: BinaryOperator, operand: Box<Expr>, value: bool) -> Expr {
    let value = Literal { data_type: arrow::datatypes::DataType::Boolean, value: LiteralValue::Boolean(value) };
    Expr::Binary { operator, left: operand, right: Box::new(Expr::Literal(value)) }
}

fn between_expr(between: &Between, schema: &DFSchema) -> Result<Expr> {
    let operand = expr(&between.expr, schema)?;
    let binary =
        |operator, right: Expr| Expr::Binary { operator, left: Box::new(operand.clone()), right: Box::new(right) };
    let (low, high, both) = if between.negated {
        (BinaryOperator::Lt, BinaryOperator::Gt, BinaryOperator::Or)
    } else {
        (BinaryOperator::GtEq, BinaryOperator::LtEq, BinaryOperator::And)
    };
    Ok(Expr::Binary {
        operator: both,
        left: Box::new(binary(low, expr(&between.low, schema)?)),
        right: Box::new(binary(high, expr(&between.high, schema)?)),
    })
}

fn like_expr(like: &Like, schema: &DFSchema) -> Result<Expr> {
    // The kernels know the backslash only, which is also what SQL means without ESCAPE.
    if like.escape_char.is_some_and(|escape| escape != '\\') {
        return Err(Error::user("LIKE … ESCAPE with another character than the backslash is not supported")
            .with_help("escape `%` and `_` in the pattern with a backslash"));
    }
    Ok(Expr::Like {
        negated: like.negated,
        case_insensitive: like.case_insensitive,
        operand: Box::new(expr(&like.expr, schema)?),
        pattern: Box::new(expr(&like.pattern, schema)?),
    })
}

fn binary_expr(operator: Operator, left: Box<Expr>, right: Box<Expr>) -> Result<Expr> {
    let like =
        |negated, case_insensitive, operand, pattern| Ok(Expr::Like { negated, case_insensitive, operand, pattern });
    let operator = match operator {
        Operator::Eq => BinaryOperator::Eq,
        Operator::NotEq => BinaryOperator::NotEq,
        Operator::Lt => BinaryOperator::Lt,
        Operator::LtEq => BinaryOperator::LtEq,
        Operator::Gt => BinaryOperator::Gt,
        Operator::GtEq => BinaryOperator::GtEq,
        Operator::Plus => BinaryOperator::Plus,
        Operator::Minus => BinaryOperator::Minus,
        Operator::Multiply => BinaryOperator::Multiply,
        Operator::Divide => BinaryOperator::Divide,
        Operator::Modulo => BinaryOperator::Modulo,
        Operator::And => BinaryOperator::And,
        Operator::Or => BinaryOperator::Or,
        Operator::IsDistinctFrom => BinaryOperator::IsDistinctFrom,
        Operator::IsNotDistinctFrom => BinaryOperator::IsNotDistinctFrom,
        Operator::RegexMatch => BinaryOperator::RegexMatch,
        Operator::RegexIMatch => BinaryOperator::RegexIMatch,
        Operator::RegexNotMatch => BinaryOperator::RegexNotMatch,
        Operator::RegexNotIMatch => BinaryOperator::RegexNotIMatch,
        Operator::LikeMatch => return like(false, false, left, right),
        Operator::ILikeMatch => return like(false, true, left, right),
        Operator::NotLikeMatch => return like(true, false, left, right),
        Operator::NotILikeMatch => return like(true, true, left, right),
        Operator::BitwiseAnd => BinaryOperator::BitwiseAnd,
        Operator::BitwiseOr => BinaryOperator::BitwiseOr,
        Operator::BitwiseXor => BinaryOperator::BitwiseXor,
        Operator::BitwiseShiftLeft => BinaryOperator::BitwiseShiftLeft,
        Operator::BitwiseShiftRight => BinaryOperator::BitwiseShiftRight,
        Operator::StringConcat => BinaryOperator::StringConcat,
        other => {
            return Err(Error::user(format!("the operator `{other}` is not supported"))
                .with_help("write the function that does the same"));
        }
    };
    Ok(Expr::Binary { operator, left, right })
}

fn refused(expression: &LogicalExpr) -> Error {
    match expression {
        LogicalExpr::Exists(_) => subquery("EXISTS", EQUALITY),
        LogicalExpr::InSubquery(_) => {
            subquery("IN (SELECT …)", "write it as EXISTS with an equality, and that of a UNION as two with OR")
        }
        LogicalExpr::ScalarSubquery(_) => subquery("a subquery for a value", EQUALITY),
        LogicalExpr::SetComparison(_) => subquery(
            "ANY or ALL of a subquery",
            "write `= ANY` as IN, `<> ALL` as NOT IN, and others as a comparison with `(SELECT MIN(y) FROM b)` or MAX",
        ),
        LogicalExpr::OuterReferenceColumn(_, column) => Error::user(format!(
            "a subquery refers to the column `{}` of the query around it in a way that cannot be made a join",
            column.name
        ))
        .with_help("write it as a join with a condition"),
        LogicalExpr::AggregateFunction(call) => {
            Error::user(format!("the aggregate `{}` stands where a value of a single row is wanted", call.func.name()))
        }
        LogicalExpr::WindowFunction(call) => {
            let name = call.fun.to_string().to_uppercase();
            Error::user(format!("`{name}(…) OVER (…)` is not supported here"))
                .with_help("compute it in a subquery, and use its column")
        }
        LogicalExpr::Unnest(_) => Error::user("UNNEST cannot stand inside another expression")
            .with_help("write it in FROM: `FROM t CROSS JOIN UNNEST(t.items) AS x(item)`"),
        LogicalExpr::SimilarTo(_) => {
            Error::user("SIMILAR TO is not supported").with_help("use `regexp_like(text, pattern)` or LIKE")
        }
        LogicalExpr::Placeholder(placeholder) => {
            Error::user(format!("the query has a parameter, `{}`, and nothing to fill it with", placeholder.id))
        }
        LogicalExpr::GroupingSet(_) => Error::user("GROUPING SETS, ROLLUP and CUBE can stand in GROUP BY only"),
        LogicalExpr::HigherOrderFunction(call) => {
            Error::user(format!("the function `{}` takes a lambda, which is not supported yet", call.name()))
                .with_help("UNNEST the array and compute on its rows")
        }
        other => Error::user(format!("the expression `{other}` is not supported in a streaming query")),
    }
}

const EQUALITY: &str =
    "compare the two queries with `=` alone, as in `WHERE b.k = a.k`, or write a join of them with a condition";

fn subquery(what: &str, help: &str) -> Error {
    Error::user(format!("{what} cannot be made a join here")).with_help(help)
}

/// Whether a condition lets every row pass.
pub(super) fn is_true(expression: &LogicalExpr) -> bool {
    matches!(expression, LogicalExpr::Literal(ScalarValue::Boolean(Some(true)), _))
}
