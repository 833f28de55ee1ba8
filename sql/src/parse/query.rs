//! Queries between sqlparser and the planner.

use datafusion_sql::sqlparser::ast::{
    Expr, Fetch, FunctionArguments, LimitClause, Query, Select, SetExpr, SetOperator, TableFactor, TableFunctionArgs,
    Value,
};
use weir_core::Result;

use super::expression::Rewrite;
use super::segments::Segment;
use super::window_function::is_window_function;
use super::{group_window, named_windows, refuse, rows_in_query, with_ties};
use crate::diagnostics::Source;
use crate::walk::{Change, Step, change};

/// Gives a parsed query the form that the planner expects, or refuses it.
pub(super) fn check(source: &Source<'_>, segment: &Segment, mut query: Box<Query>) -> Result<Box<Query>> {
    let mut normalise = Normalise { source, expressions: Rewrite::new(source), outcome: Ok(()) };
    let _ = change(&mut *query, &mut normalise);
    normalise.expressions.outcome.and(normalise.outcome)?;
    refuse::check(source, &segment.tokens, segment.span, &*query)?;
    Ok(query)
}

struct Normalise<'a> {
    source: &'a Source<'a>,
    expressions: Rewrite<'a>,
    outcome: Result<()>,
}

impl Change for Normalise<'_> {
    /// `FETCH FIRST n ROWS ONLY` is `LIMIT n`, and `MINUS` is `EXCEPT`.
    fn query(&mut self, query: &mut Query) -> Step {
        self.outcome = named_windows::write_out_order(self.source, query);
        if self.outcome.is_err() {
            return Step::Break(());
        }
        differences(&mut query.body);
        with_ties::write_out(query);
        let fetched = match &query.fetch {
            Some(Fetch { with_ties: false, percent: false, quantity }) => quantity.clone(),
            _ => return Step::Continue(()),
        };
        let clause = LimitClause::LimitOffset { limit: None, offset: None, limit_by: Vec::new() };
        if let LimitClause::LimitOffset { limit: limit @ None, .. } = query.limit_clause.get_or_insert(clause) {
            *limit = Some(fetched.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false))));
            query.fetch = None;
        }
        Step::Continue(())
    }

    /// `TABLE(TUMBLE(…))` is `TUMBLE(…)`.
    fn table_factor_before_parts(&mut self, factor: &mut TableFactor) -> Step {
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
        Step::Continue(())
    }

    /// `GROUP BY TUMBLE(…)` is `FROM TUMBLE(…)`; what the planner would not understand of windows and `IN` is written out.
    fn select(&mut self, select: &mut Select) -> Step {
        self.outcome = named_windows::write_out(self.source, select)
            .and_then(|()| rows_in_query::write_out(self.source, select))
            .and_then(|()| group_window::write_out(self.source, select));
        if self.outcome.is_ok() { Step::Continue(()) } else { Step::Break(()) }
    }

    fn expression(&mut self, expression: &mut Expr) -> Step {
        self.expressions.expression(expression)
    }
}

fn differences(rows: &mut SetExpr) {
    if let SetExpr::SetOperation { op, left, right, .. } = rows {
        if *op == SetOperator::Minus {
            *op = SetOperator::Except;
        }
        differences(left);
        differences(right);
    }
}
