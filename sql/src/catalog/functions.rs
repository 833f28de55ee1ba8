//! Functions with a body in SQL: a call is the body with the call's arguments in the place of its parameters, before anything is planned.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, Value, VisitMut,
};
use weir_core::{Error, Result};
use weir_functions::Functions;

use super::expression::scalar_expression;
use crate::diagnostics::Source;
use crate::parse::in_place_of;
use crate::statement::{Parameter, Span, Spanned as Placed};
use crate::walk::{Change, Step, change, look_at_expressions};

/// What calls are written out to may have so many expressions: a body that names its parameter twice doubles with each level.
const MOST_PARTS: usize = 10_000;

/// Functions of the script's own, by their name in lower case.
#[derive(Debug, Clone, Default)]
pub struct SqlFunctions(BTreeMap<String, SqlFunction>);

#[derive(Debug, Clone)]
struct SqlFunction {
    /// How it is declared, as in `f(x BIGINT)`.
    usage: String,
    parameters: Vec<String>,
    /// The statement that created it.
    span: Span,
    /// Its parameters are converted to their types in it.
    body: Expr,
}

impl SqlFunctions {
    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The statement that created the function of that name.
    pub fn statement(&self, name: &str) -> Option<Span> {
        self.0.get(&name.to_lowercase()).map(|function| function.span)
    }

    /// Whether there is a function of that name, in lower case.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// `CREATE FUNCTION`, in the place of one that has the name. The body may call functions that are there already.
    ///
    /// # Errors
    /// A user error if the body cannot be computed.
    pub(super) fn create(
        &mut self,
        source: &Source<'_>,
        name: &Placed<String>,
        (parameters, body): (&[Parameter], &Expr),
        span: Span,
        built_in: &Functions,
    ) -> Result<()> {
        let key = name.value.to_lowercase();
        refuse_aggregates(source, body, span, built_in)?;
        let mut body = body.clone();
        self.write_out(source, &mut body)?;
        let converted: Vec<(&str, Expr)> =
            parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.argument.clone())).collect();
        let body = in_place_of(&body, &converted);
        // What can be computed of nulls has types that fit.
        let names: Vec<String> = parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let nulls: Vec<(&str, Expr)> = names.iter().map(|name| (name.as_str(), Expr::value(Value::Null))).collect();
        scalar_expression(source, span, &in_place_of(&body, &nulls), &[], built_in)?;
        let declared: Vec<String> =
            parameters.iter().map(|parameter| format!("{} {}", parameter.name, parameter.type_name)).collect();
        let usage = format!("{}({})", name.value, declared.join(", "));
        self.0.insert(key, SqlFunction { usage, parameters: names, span, body });
        Ok(())
    }

    /// Takes the function of that name, in lower case, away, and says whether there was one.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// Puts bodies in the place of all calls.
    ///
    /// # Errors
    /// A user error at a call that does not fit.
    pub fn write_out(&self, source: &Source<'_>, tree: &mut impl VisitMut) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut calls = Calls { functions: self, source, parts: 0, outcome: Ok(()) };
        let _ = change(tree, &mut calls);
        calls.outcome
    }

    fn called<'a>(&'a self, expression: &'a Expr) -> Option<(&'a SqlFunction, &'a Function)> {
        let Expr::Function(call) = expression else { return None };
        Some((self.0.get(&lower_case(call)?)?, call))
    }
}

/// The name that is called, without quotes.
fn lower_case(call: &Function) -> Option<String> {
    let [name] = call.name.0.as_slice() else { return None };
    Some(name.as_ident()?.value.to_lowercase())
}

struct Calls<'a> {
    functions: &'a SqlFunctions,
    source: &'a Source<'a>,
    /// Expressions that have been written out so far.
    parts: usize,
    outcome: Result<()>,
}

impl Change for Calls<'_> {
    fn expression(&mut self, expression: &mut Expr) -> Step {
        let Some((function, call)) = self.functions.called(expression) else { return Step::Continue(()) };
        let written = body(self.source, function, call).and_then(|body| {
            let _ = look_at_expressions(&body, |_| {
                self.parts += 1;
                ControlFlow::Continue(())
            });
            if self.parts <= MOST_PARTS {
                return Ok(body);
            }
            let what = format!("with `{}` written out, this has more than {MOST_PARTS} parts", call.name);
            Err(self.source.error(self.source.span(call.name.span()).unwrap_or_default(), what).with_help(
                "a parameter that a body names twice is computed twice: name the result in a subquery first",
            ))
        });
        match written {
            Ok(body) => {
                *expression = body;
                Step::Continue(())
            }
            Err(error) => {
                self.outcome = Err(error);
                Step::Break(())
            }
        }
    }
}

fn body(source: &Source<'_>, function: &SqlFunction, call: &Function) -> Result<Expr> {
    let refuse = |message: String| -> Error {
        source
            .error(source.span(call.name.span()).unwrap_or_default(), message)
            .with_help(format!("it is declared as `{}`", function.usage))
    };
    let name = call.name.to_string();
    let FunctionArguments::List(list) = &call.args else { return Err(refuse(format!("`{name}` takes arguments"))) };
    let is_plain = call.over.is_none()
        && call.filter.is_none()
        && call.within_group.is_empty()
        && call.null_treatment.is_none()
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty();
    if !is_plain {
        return Err(refuse(format!("`{name}` is no aggregate: it takes arguments alone")));
    }
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    };
    let given: Option<Vec<Expr>> = list.args.iter().map(argument).collect();
    let given = given.ok_or_else(|| refuse(format!("the arguments of `{name}` have no names")))?;
    if given.len() != function.parameters.len() {
        return Err(refuse(format!(
            "`{name}` takes {} arguments, and here are {}",
            function.parameters.len(),
            given.len()
        )));
    }
    let given: Vec<(&str, Expr)> = function.parameters.iter().map(String::as_str).zip(given).collect();
    Ok(Expr::Nested(Box::new(in_place_of(&function.body, &given))))
}

fn refuse_aggregates(source: &Source<'_>, body: &Expr, span: Span, functions: &Functions) -> Result<()> {
    let mut found = None;
    let _ = look_at_expressions(body, |part| match part {
        Expr::Function(call)
            if call.over.is_some() || lower_case(call).is_some_and(|name| functions.aggregate(&name).is_some()) =>
        {
            found = Some(call.name.span());
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        None => Ok(()),
        Some(at) => Err(source
            .error(source.span(at).unwrap_or(span), "a function of its own cannot aggregate")
            .with_help("aggregate in the query, and call the function with the result")),
    }
}
