//! Expressions, and above all calls of functions with their clauses.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    Spanned, WindowSpec, WindowType,
};
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;

use super::{Check, check_order_key, refuse, unless};
use crate::parse::group_window::asks_for_a_window;
use crate::parse::window_function::is_window_function;

pub(super) fn check_expression(expression: &Expr) -> Check {
    match expression {
        Expr::Function(function) => check_function(function),
        Expr::MatchAgainst { .. } => {
            unless(true, "MATCH … AGAINST is not supported", "write LIKE or REGEXP_LIKE", &["MATCH"])
        }
        Expr::Prior(_) | Expr::OuterJoin(_) => {
            refuse("this expression is not supported", "write a JOIN", expression.span(), &[])
        }
        Expr::Lambda(_) => refuse(
            "lambdas are not supported yet",
            "UNNEST the array, and aggregate with ARRAY_AGG",
            expression.span(),
            &[],
        ),
        Expr::Collate { .. } => refuse("COLLATE is not supported", "leave it out", expression.span(), &["COLLATE"]),
        Expr::TypedString(string) => {
            unless(string.uses_odbc_syntax, "this literal is not supported", "write DATE '…'", &[])
        }
        Expr::Case { .. } | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Continue(()),
        _ => ControlFlow::Continue(()),
    }
}

fn check_function(function: &Function) -> Check {
    let Function { name, uses_odbc_syntax, parameters, args, filter: _, null_treatment: _, over, within_group } =
        function;
    let span = name.span();
    if *uses_odbc_syntax || !matches!(parameters, FunctionArguments::None) {
        return refuse("this form of a function call is not supported", "write `name(arguments)`", span, &[]);
    }
    // The planner's own functions have such names.
    if name.0.iter().any(|part| part.as_ident().is_some_and(|ident| ident.value.starts_with(' '))) {
        return refuse("there is no function whose name begins with a blank", "leave the blank out", span, &[]);
    }
    let called = name.to_string();
    if is_window_function(&called) {
        return refuse(
            "window functions stand in the FROM clause here",
            "write `FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end`",
            span,
            &[],
        );
    }
    if asks_for_a_window(&called) {
        return refuse(
            "this function asks for a window that GROUP BY has, and there is none with these arguments",
            "write the same arguments in both: `SELECT TUMBLE_START(ts, INTERVAL '1' MINUTE) AS s … GROUP BY TUMBLE(ts, \
             INTERVAL '1' MINUTE)`; in ORDER BY write `s`",
            span,
            &[],
        );
    }
    within_group.iter().try_for_each(check_order_key)?;
    match over {
        Some(WindowType::WindowSpec(WindowSpec { window_name: _, partition_by: _, order_by, window_frame: _ })) => {
            order_by.iter().try_for_each(check_order_key)?;
        }
        Some(WindowType::NamedWindow(_)) | None => {}
    }
    match args {
        FunctionArguments::None => ControlFlow::Continue(()),
        FunctionArguments::Subquery(_) => {
            refuse("a query as an argument is not supported", "write ARRAY_AGG in a subquery", span, &[])
        }
        FunctionArguments::List(FunctionArgumentList { duplicate_treatment: _, args, clauses }) => {
            if args.iter().any(|argument| {
                matches!(
                    argument,
                    FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(_)) | FunctionArg::ExprNamed { .. }
                )
            }) {
                return refuse("this argument is not supported", "name the columns", span, &[]);
            }
            clauses.iter().try_for_each(|clause| check_function_clause(clause, span))
        }
    }
}

fn check_function_clause(clause: &FunctionArgumentClause, span: ParserSpan) -> Check {
    let (what, instead) = match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(_) => return ControlFlow::Continue(()),
        FunctionArgumentClause::OrderBy(keys) => return keys.iter().try_for_each(check_order_key),
        FunctionArgumentClause::Limit(_) => ("LIMIT in a function is not supported", "leave it out"),
        FunctionArgumentClause::OnOverflow(_) => ("ON OVERFLOW is not supported", "leave it out: text has no limit"),
        FunctionArgumentClause::Having(_) => ("HAVING in a function is not supported", "write FILTER (WHERE …)"),
        FunctionArgumentClause::Separator(_) => {
            ("SEPARATOR is not supported", "write the separator as the second argument of LISTAGG")
        }
        FunctionArgumentClause::JsonNullClause(_) => ("ON NULL is not supported", "leave it out"),
        FunctionArgumentClause::JsonReturningClause(_) => {
            ("RETURNING is not supported", "cast the result, as in `CAST(JSON_VALUE(…) AS BIGINT)`")
        }
    };
    refuse(what, instead, span, &[])
}
