//! `CREATE FUNCTION name(parameter TYPE, …) [RETURNS TYPE] [LANGUAGE SQL] RETURN expression`; `AS` instead of `RETURN` as well. Functions of plugins
//! are read by [`super::exported_function`].

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion_sql::sqlparser::ast::{Expr, Spanned as _};
use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;
use weir_core::plugin::FunctionKind;

use super::cursor::Cursor;
use super::exported_function::{self, Declared};
use super::expression::parse_expression;
use super::types::data_type;
use crate::diagnostics::did_you_mean;
use crate::statement::{CreateFunction, FunctionDefinition, Parameter, Span, Spanned};
use crate::walk::look_at_expressions;

/// What follows `CREATE FUNCTION`.
pub(super) fn create_function(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<CreateFunction> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = cursor.identifier("the name of a function")?;
    let is = |definition| CreateFunction { name: name.clone(), definition, or_replace, if_not_exists };
    if exported_function::follows(cursor) {
        return exported_function::read(cursor, None).map(FunctionDefinition::Exported).map(is);
    }
    if cursor.sees(&["AS"]) {
        return Err(cursor
            .error_here("a function is an expression over its parameters, or one that a plugin exports")
            .with_help(format!(
                "write `CREATE FUNCTION {0}(x BIGINT) RETURN x + 1`, or `CREATE FUNCTION {0} AS 'name' USING ARTIFACT 'file'`",
                name.value
            )));
    }
    let parameters = parameters(cursor)?;
    if cursor.sees(&["RETURNS", "TABLE|SETOF|VOID"]) {
        return Err(cursor
            .error_here("a function has one value as its result")
            .with_help("write a view for several rows, as in `CREATE VIEW v AS SELECT …`"));
    }
    let result = if cursor.take(&["RETURNS"]) { Some(type_of(cursor)?) } else { None };
    let not_null = cursor.here();
    let nullable = !cursor.take(&["NOT", "NULL"]);
    let deterministic = !cursor.take(&["NOT", "DETERMINISTIC"]);
    let aggregate = cursor.here();
    let kind = match cursor.take(&["AGGREGATE", "STATE"]) {
        true => FunctionKind::Aggregate { state: data_type(cursor)? },
        false => FunctionKind::Scalar,
    };
    if exported_function::follows(cursor) {
        let declared = Declared { parameters: &parameters, result, nullable, deterministic, kind };
        return exported_function::read(cursor, Some(declared)).map(FunctionDefinition::Exported).map(is);
    }
    if kind != FunctionKind::Scalar {
        return Err(cursor
            .source
            .error(aggregate, "what aggregates is a function of a plugin")
            .with_help("aggregate in a query, or write `AS 'exported_name' USING ARTIFACT 'file'`"));
    }
    if !nullable {
        return Err(cursor
            .source
            .error(not_null, "the result of an expression is null where the expression is")
            .with_help("leave NOT NULL out, and write COALESCE in the body"));
    }
    if let Some(not_null) = parameters.iter().find_map(|parameter| parameter.not_null) {
        return Err(cursor
            .source
            .error(not_null, "a parameter may be null")
            .with_help("leave NOT NULL out, and say in the body what the function gives for null"));
    }
    if !deterministic {
        return Err(cursor
            .error_here("a function that is an expression always gives the same result")
            .with_help("leave NOT DETERMINISTIC out"));
    }
    if cursor.take(&["LANGUAGE"]) && !cursor.take(&["SQL"]) {
        return Err(cursor
            .error_here("a function has a body in SQL, or is one that a plugin exports")
            .with_help("write `RETURN` and an expression, or `AS 'name' USING ARTIFACT 'file'`"));
    }
    while cursor.take(&["IMMUTABLE"]) || cursor.take(&["DETERMINISTIC"]) {}
    if cursor.sees(&["STABLE|VOLATILE|STRICT|CALLED|NOT|PARALLEL|COST|SECURITY|COMMENT"]) {
        return Err(cursor.error_here("this property of a function is not supported").with_help(
            "leave it out: a function is its expression written out, which says what it gives for nulls; the same arguments always \
             give the same result",
        ));
    }
    if !cursor.take(&["RETURN"]) && !cursor.take(&["AS"]) {
        return Err(cursor.unexpected("RETURN and an expression"));
    }
    if let Token::SingleQuotedString(_) | Token::DollarQuotedString(_) = cursor.parser().peek_token_ref().token
        && result.is_none()
    {
        return Err(cursor
            .error_here("the body of a function is an expression here, and no text that holds one")
            .with_help("leave the quotes out, as in `RETURN x + 1`"));
    }
    if cursor.sees(&["SELECT|WITH|BEGIN"]) || cursor.sees(&["(", "SELECT|WITH"]) {
        return Err(cursor
            .error_here("the body of a function is an expression over its parameters, and reads no table")
            .with_help("write an expression, as in `RETURN x + 1`; what reads a table is a view, which is joined"));
    }
    let body = cursor.expression()?;
    check_names(cursor, &body, &name, &parameters)?;
    let body = match result {
        Some((result, _)) => in_place_of(&converted("x", &result)?, &[("x", body)]),
        None => body,
    };
    Ok(is(FunctionDefinition::Sql { parameters, body }))
}

fn parameters(cursor: &mut Cursor<'_>) -> Result<Vec<Parameter>> {
    cursor.expect_token(&Token::LParen)?;
    let mut parameters: Vec<Parameter> = Vec::new();
    if cursor.take_token(&Token::RParen) {
        return Ok(parameters);
    }
    loop {
        if cursor.sees(&["IN|OUT|INOUT|VARIADIC"]) {
            return Err(cursor
                .error_here("parameters are given in, and there are as many arguments as parameters")
                .with_help("write the name and its type alone, as in `f(x BIGINT)`"));
        }
        let name = cursor.identifier("a parameter and its type")?;
        if parameters.iter().any(|other| other.name.eq_ignore_ascii_case(&name.value)) {
            return Err(cursor.source.error(name.span, format!("two parameters are called `{}`", name.value)));
        }
        let (type_name, data_type) = type_of(cursor)?;
        let argument = converted(&name.value, &type_name)?;
        let here = cursor.here();
        let not_null = cursor.take(&["NOT", "NULL"]).then_some(here);
        parameters.push(Parameter { name: name.value, type_name, data_type, not_null, argument });
        if cursor.sees(&["DEFAULT"]) || cursor.sees_token(&Token::Eq) {
            return Err(cursor.error_here("a parameter has no default: a call gives every argument").with_help(
                "write a second function with fewer parameters that calls the first, or COALESCE in the body and NULL in the call",
            ));
        }
        if cursor.take_token(&Token::Comma) {
            continue;
        }
        cursor.expect_token(&Token::RParen)?;
        return Ok(parameters);
    }
}

/// A type, as it is written and as it is.
fn type_of(cursor: &mut Cursor<'_>) -> Result<(String, DataType)> {
    let start = cursor.here().start;
    let data_type = data_type(cursor)?;
    let end = cursor.here().start;
    Ok((cursor.source.slice(Span { start, end }).trim_end().to_owned(), data_type))
}

fn converted(name: &str, type_name: &str) -> Result<Expr> {
    parse_expression(&format!("CAST(`{name}` AS {type_name})"))
}

/// A body reads its parameters and nothing else.
fn check_names(cursor: &Cursor<'_>, body: &Expr, name: &Spanned<String>, parameters: &[Parameter]) -> Result<()> {
    let mut outcome = Ok(());
    let _ = look_at_expressions(body, |part| {
        let (written, span) = match part {
            Expr::Identifier(ident) => (&ident.value, ident.span),
            Expr::CompoundIdentifier(idents) => (&idents[0].value, part.span()),
            _ => return ControlFlow::Continue(()),
        };
        let span = cursor.source.span(span).unwrap_or(name.span);
        let is_known = parameters.iter().any(|parameter| parameter.name.eq_ignore_ascii_case(written));
        outcome = match part {
            Expr::Identifier(_) if is_known => return ControlFlow::Continue(()),
            Expr::CompoundIdentifier(idents) if is_known => Err(cursor
                .source
                .error(span, format!("`{written}` is a parameter here, and `{part}` is read as a column of a table"))
                .with_help(format!("write `({written}).{}`", idents[1]))),
            _ => {
                let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
                let known = if names.is_empty() { "it has none" } else { "its parameters are" };
                Err(cursor
                    .source
                    .error(span, format!("`{written}` is no parameter of `{}`", name.value))
                    .with_help(did_you_mean(written, &names, known)))
            }
        };
        ControlFlow::Break(())
    });
    outcome
}

/// `body` with expressions in the place of names.
pub fn in_place_of(body: &Expr, given: &[(&str, Expr)]) -> Expr {
    let mut body = body.clone();
    let _ = crate::walk::change_expressions(&mut body, |part| {
        if let Expr::Identifier(ident) = part
            && let Some((_, expression)) = given.iter().find(|(name, _)| name.eq_ignore_ascii_case(&ident.value))
        {
            *part = Expr::Nested(Box::new(expression.clone()));
        }
        ControlFlow::Continue(())
    });
    body
}
