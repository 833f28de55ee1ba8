//! What sqlparser accepts and no planner reads.
//!
//! Every struct is taken apart field by field: a field that a new version of sqlparser adds does not compile until
//! somebody has decided here what becomes of it.

mod functions;
mod tables;

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    Cte, Distinct, Expr, Fetch, GroupByExpr, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SetExpr, Spanned, TableFactor, Values, Visit, WildcardAdditionalOptions, With,
};
use datafusion_sql::sqlparser::tokenizer::{Span as ParserSpan, Token, TokenWithSpan};
use weir_core::{Error, Result};

use self::functions::check_expression;
use self::tables::{check_alias, check_join, check_table_factor};
use super::scan::is_word;
use super::segments::is_word_of_the_script;
use crate::diagnostics::Source;
use crate::statement::Span;
use crate::walk::{Look, Step, look};

/// Something that is not planned.
#[derive(Debug)]
struct Refusal {
    what: &'static str,
    instead: &'static str,
    /// Where it stands, if the tree says so.
    span: ParserSpan,
    /// The words by which it is found in the text otherwise.
    words: &'static [&'static str],
}

type Check = ControlFlow<Box<Refusal>>;

fn refuse(what: &'static str, instead: &'static str, span: ParserSpan, words: &'static [&'static str]) -> Check {
    ControlFlow::Break(Box::new(Refusal { what, instead, span, words }))
}

/// Refuses it if `present`; the words say where it stands.
fn unless(present: bool, what: &'static str, instead: &'static str, words: &'static [&'static str]) -> Check {
    if present { refuse(what, instead, ParserSpan::empty(), words) } else { ControlFlow::Continue(()) }
}

/// Goes through a query or an expression that was read from `tokens`, within `span`.
pub(super) fn check(source: &Source<'_>, tokens: &[TokenWithSpan], span: Span, tree: &impl Visit) -> Result<()> {
    let mut checker = Checker { refusal: None };
    let _ = look(tree, &mut checker);
    checker.refusal.map_or(Ok(()), |refusal| Err(error(source, tokens, span, &refusal)))
}

fn error(source: &Source<'_>, tokens: &[TokenWithSpan], within: Span, refusal: &Refusal) -> Error {
    let span = source.span(refusal.span).or_else(|| find(source, tokens, refusal.words)).unwrap_or_else(|| {
        let text = source.slice(within);
        Span { start: within.start, end: within.start + text.find('\n').unwrap_or(text.len()) }
    });
    source.error(span, refusal.what).with_help(refusal.instead)
}

fn find(source: &Source<'_>, tokens: &[TokenWithSpan], words: &[&str]) -> Option<Span> {
    let tokens: Vec<&TokenWithSpan> = tokens.iter().filter(|token| is_word_of_the_script(token)).collect();
    let at = tokens
        .windows(words.len().max(1))
        .find(|window| !words.is_empty() && words.iter().zip(*window).all(|(word, token)| is_word(token, word)))?;
    let (first, last) = (at.first()?, at.last()?);
    debug_assert!(first.token != Token::EOF);
    Some(Span { start: source.span(first.span)?.start, end: source.span(last.span)?.end })
}

struct Checker {
    /// The first.
    refusal: Option<Box<Refusal>>,
}

impl Checker {
    fn found(&mut self, check: Check) -> Step {
        match check {
            Check::Continue(()) => Step::Continue(()),
            Check::Break(refusal) => {
                self.refusal = Some(refusal);
                Step::Break(())
            }
        }
    }
}

impl Look for Checker {
    fn query(&mut self, query: &Query) -> Step {
        self.found(check_query(query))
    }

    fn select(&mut self, select: &Select) -> Step {
        self.found(check_select(select))
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Step {
        self.found(check_table_factor(factor))
    }

    fn expression(&mut self, expression: &Expr) -> Step {
        self.found(check_expression(expression))
    }
}

fn check_query(query: &Query) -> Check {
    let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, format_clause, pipe_operators } =
        query;
    if let Some(With { with_token: _, recursive, cte_tables }) = with {
        unless(
            *recursive,
            "recursive queries are not supported: a stream has no end that a recursion could reach",
            "join the table with itself once for each level",
            &["RECURSIVE"],
        )?;
        for Cte { alias, query: _, from, materialized, closing_paren_token: _ } in cte_tables {
            check_alias(alias)?;
            unless(from.is_some(), "FROM behind a WITH query is not supported", "leave it out", &["FROM"])?;
            unless(
                materialized.is_some(),
                "MATERIALIZED is not supported",
                "leave it out: what several parts of a job share runs once anyway",
                &["MATERIALIZED"],
            )?;
        }
    }
    if let Some(order_by) = order_by {
        check_order_by(order_by)?;
    }
    match limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit: _, offset: _, limit_by }) => {
            unless(
                !limit_by.is_empty(),
                "LIMIT … BY is not supported",
                "write `QUALIFY ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) <= n`",
                &["LIMIT"],
            )?;
        }
        Some(LimitClause::OffsetCommaLimit { .. }) => {
            unless(true, "LIMIT with two numbers is not supported", "write `LIMIT n OFFSET m`", &["LIMIT"])?;
        }
    }
    if let Some(Fetch { with_ties, percent, quantity: _ }) = fetch {
        unless(
            *with_ties,
            "WITH TIES stands behind a SELECT with ORDER BY, without OFFSET, DISTINCT, QUALIFY or UNION, and without expressions of names that the SELECT makes",
            "put the rest into a subquery: `SELECT * FROM (…) ORDER BY x FETCH FIRST n ROWS WITH TIES`",
            &["WITH", "TIES"],
        )?;
        unless(*percent, "FETCH of a percentage is not supported", "write `LIMIT n`", &["PERCENT"])?;
        unless(true, "FETCH says again what LIMIT says", "leave one of them out", &["FETCH"])?;
    }
    unless(
        !locks.is_empty(),
        "FOR UPDATE and FOR SHARE are not supported",
        "leave it out: streams have no locks",
        &["FOR"],
    )?;
    unless(for_clause.is_some(), "FOR is not supported behind a query", "leave it out", &["FOR"])?;
    unless(
        settings.is_some(),
        "SETTINGS is not supported",
        "write `SET 'key' = 'value'` before the query",
        &["SETTINGS"],
    )?;
    unless(
        format_clause.is_some(),
        "FORMAT is not supported behind a query",
        "the command line's --output says how results are printed",
        &["FORMAT"],
    )?;
    unless(!pipe_operators.is_empty(), "pipe syntax (|>) is not supported", "write a subquery", &[])?;
    check_set_expression(body)
}

fn check_set_expression(body: &SetExpr) -> Check {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            check_set_expression(left)?;
            check_set_expression(right)
        }
        SetExpr::Values(Values { explicit_row, value_keyword, rows: _ }) => {
            unless(*explicit_row, "ROW in VALUES is not supported", "write `VALUES (1, 2), (3, 4)`", &["ROW"])?;
            unless(*value_keyword, "VALUE is not supported", "write VALUES", &["VALUE"])
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => unless(
            true,
            "a change of a table is no query",
            "write the WITH behind the INSERT INTO, as in `INSERT INTO t WITH x AS (…) SELECT …`",
            &["INSERT|UPDATE|DELETE|MERGE"],
        ),
        SetExpr::Table(_) => unless(true, "TABLE is not a query here", "write `SELECT * FROM t`", &["TABLE"]),
    }
}

fn check_select(select: &Select) -> Check {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    unless(
        matches!(distinct, Some(Distinct::On(_))),
        "DISTINCT ON is not supported",
        "write `QUALIFY ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) = 1`",
        &["DISTINCT", "ON"],
    )?;
    unless(select_modifiers.is_some(), "this modifier of SELECT is not supported", "leave it out", &["SELECT"])?;
    unless(top.is_some(), "TOP is not supported", "write `LIMIT n`", &["TOP"])?;
    unless(exclude.is_some(), "EXCLUDE is supported behind `*` only", "write `* EXCLUDE (…)`", &["EXCLUDE"])?;
    unless(into.is_some(), "SELECT INTO is not supported", "write `INSERT INTO t SELECT …`", &["INTO"])?;
    unless(
        !lateral_views.is_empty(),
        "LATERAL VIEW is not supported",
        "write `CROSS JOIN UNNEST(array)`",
        &["LATERAL"],
    )?;
    unless(prewhere.is_some(), "PREWHERE is not supported", "write WHERE", &["PREWHERE"])?;
    unless(!connect_by.is_empty(), "CONNECT BY is not supported", "join the table with itself", &["CONNECT"])?;
    unless(!cluster_by.is_empty(), "CLUSTER BY is not supported", "leave it out", &["CLUSTER", "BY"])?;
    unless(!distribute_by.is_empty(), "DISTRIBUTE BY is not supported", "leave it out", &["DISTRIBUTE", "BY"])?;
    unless(!sort_by.is_empty(), "SORT BY is not supported", "leave it out", &["SORT", "BY"])?;
    unless(value_table_mode.is_some(), "SELECT AS is not supported", "name the columns", &["SELECT", "AS"])?;
    unless(
        !matches!(flavor, SelectFlavor::Standard),
        "a query begins with SELECT",
        "write `SELECT … FROM …`",
        &["FROM"],
    )?;
    match group_by {
        GroupByExpr::All(_) => unless(true, "GROUP BY ALL is not supported", "name the columns", &["GROUP", "BY"])?,
        GroupByExpr::Expressions(_, modifiers) => unless(
            !modifiers.is_empty(),
            "WITH ROLLUP, WITH CUBE and WITH TOTALS are not supported",
            "write `GROUP BY window_start, window_end, ROLLUP (a, b)`, and the same with CUBE or GROUPING SETS",
            &["WITH|GROUPING", "ROLLUP|CUBE|TOTALS|SETS"],
        )?,
    }
    projection.iter().try_for_each(check_select_item)?;
    from.iter().flat_map(|table| &table.joins).try_for_each(check_join)
}

fn check_select_item(item: &SelectItem) -> Check {
    match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => ControlFlow::Continue(()),
        SelectItem::ExprWithAliases { expr, .. } => {
            refuse("several names for one expression are not supported", "give it one name", expr.span(), &[])
        }
        SelectItem::QualifiedWildcard(_, options) | SelectItem::Wildcard(options) => {
            let WildcardAdditionalOptions {
                wildcard_token,
                opt_ilike,
                opt_exclude: _,
                opt_except: _,
                opt_replace: _,
                opt_rename,
                opt_alias,
            } = options;
            if opt_ilike.is_some() || opt_rename.is_some() || opt_alias.is_some() {
                return refuse(
                    "ILIKE, RENAME and AS behind `*` are not supported",
                    "name the columns; `* EXCEPT (…)` and `* REPLACE (…)` are supported",
                    wildcard_token.0.span,
                    &[],
                );
            }
            ControlFlow::Continue(())
        }
    }
}

fn check_order_by(order_by: &OrderBy) -> Check {
    let OrderBy { kind, interpolate } = order_by;
    unless(interpolate.is_some(), "INTERPOLATE is not supported", "leave it out", &["INTERPOLATE"])?;
    match kind {
        OrderByKind::All(_) => unless(true, "ORDER BY ALL is not supported", "name the columns", &["ORDER", "BY"]),
        OrderByKind::Expressions(keys) => keys.iter().try_for_each(check_order_key),
    }
}

fn check_order_key(key: &OrderByExpr) -> Check {
    let OrderByExpr { expr: _, options: _, with_fill } = key;
    unless(with_fill.is_some(), "WITH FILL is not supported", "leave it out", &["WITH", "FILL"])
}
