//! Queries between sqlparser and the planner.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    Expr, FunctionArguments, Query, TableFactor, TableFunctionArgs, VisitMut, VisitorMut,
};
use weir_core::Result;

use super::expression::rewrite;
use super::refuse;
use super::segments::Segment;
use super::window_function::is_window_function;
use crate::diagnostics::Source;

/// Gives a parsed query the form that the planner expects, or refuses it.
pub(super) fn check(source: &Source<'_>, segment: &Segment, mut query: Box<Query>) -> Result<Box<Query>> {
    let mut normalise = Normalise { source };
    if let ControlFlow::Break(error) = VisitMut::visit(&mut *query, &mut normalise) {
        return Err(*error);
    }
    refuse::check(source, &segment.tokens, segment.span, &*query)?;
    Ok(query)
}

struct Normalise<'a> {
    source: &'a Source<'a>,
}

impl VisitorMut for Normalise<'_> {
    type Break = Box<weir_core::Error>;

    /// `TABLE(TUMBLE(…))` is `TUMBLE(…)`.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::TableFunction { expr: Expr::Function(function), alias } = factor
            && is_window_function(&function.name.to_string())
            && let FunctionArguments::List(list) = &function.args
            && list.clauses.is_empty()
            && list.duplicate_treatment.is_none()
            && function.over.is_none()
            && function.filter.is_none()
        {
            *factor = TableFactor::Table {
                name: function.name.clone(),
                alias: alias.clone(),
                args: Some(TableFunctionArgs { args: list.args.clone(), settings: None }),
                with_hints: Vec::new(),
                version: None,
                with_ordinality: false,
                partitions: Vec::new(),
                json_path: None,
                sample: None,
                index_hints: Vec::new(),
            };
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        match rewrite(self.source, expression) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}
