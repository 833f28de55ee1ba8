//! Windows in `GROUP BY`, as queries had them before there were window functions in `FROM`:
//!
//! | as written | as planned |
//! |---|---|
//! | `FROM t GROUP BY k, TUMBLE(ts, INTERVAL '1' MINUTE)` | `FROM TUMBLE(t, DESCRIPTOR(ts), INTERVAL '1' MINUTE) AS t GROUP BY k, window_start, window_end` |
//! | `FROM t WHERE p GROUP BY …` | `FROM TUMBLE((SELECT * FROM t WHERE p), …) AS t GROUP BY …`: rows that are left out hold no session together |
//! | `FROM t GROUP BY k, SESSION(ts, INTERVAL '1' MINUTE)` | `FROM SESSION(t, "$partition_by" => k, …) AS t GROUP BY …` |
//! | `TUMBLE_START(ts, …)`, `TUMBLE_END(ts, …)`, `TUMBLE_ROWTIME(ts, …)` | `window_start`, `window_end`, `window_time` |

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, GroupByExpr, Ident, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, SetExpr, Spanned, TableAlias, TableFactor, TableFunctionArgs,
    TableWithJoins, WildcardAdditionalOptions,
};
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;
use weir_core::Result;

use super::expression::call;
use super::window_function::PARTITION_BY;
use crate::diagnostics::Source;
use crate::walk::change_expressions;

/// The functions that `GROUP BY` may have.
const WINDOWS: [&str; 3] = ["tumble", "hop", "session"];

/// What is asked of a window, and the column that has it.
const COLUMNS: [(&str, &str); 3] = [("start", "window_start"), ("end", "window_end"), ("rowtime", WINDOW_TIME)];
const WINDOW_TIME: &str = "window_time";

/// Writes the window in `GROUP BY`, if there is one, as a function in `FROM`.
///
/// # Errors
/// A user error at its place, if it is not one window over one table.
pub(super) fn write_out(source: &Source<'_>, select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return Ok(()) };
    let Some((at, window)) = keys.iter().enumerate().find_map(|(at, key)| Some((at, GroupWindow::of(key)?))) else {
        return Ok(());
    };
    let refuse = |span: ParserSpan, message: String, help: &str| {
        source.error(source.span(span).unwrap_or_default(), message).with_help(help)
    };
    if let Some(second) = keys[at + 1..].iter().find_map(GroupWindow::of) {
        return Err(refuse(second.span, "GROUP BY has two windows".to_owned(), "leave one of them out"));
    }
    let one_table = match select.from.as_slice() {
        [TableWithJoins { relation, joins }] if joins.is_empty() => named(relation),
        _ => None,
    };
    let (table, alias) = one_table.ok_or_else(|| {
        refuse(
            window.span,
            format!("{} in GROUP BY reads one table", window.name.to_uppercase()),
            "write what is in FROM as a subquery or view with a name, and group its rows",
        )
    })?;
    let time = column_of(&window.time, &alias).ok_or_else(|| {
        refuse(
            window.time.span(),
            format!("the first argument of {} is the table's time attribute", window.name.to_uppercase()),
            "name the column that the table declares a WATERMARK for",
        )
    })?;

    keys.remove(at);
    let partition: Vec<Expr> =
        keys.iter().map(|key| column_of(key, &alias).map_or_else(|| key.clone(), Expr::Identifier)).collect();
    let uses_time = window.replace_questions(select);
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        let columns = COLUMNS.iter().map(|(_, column)| *column).filter(|column| uses_time || *column != WINDOW_TIME);
        keys.splice(at..at, columns.map(|column| identifier(column, window.span)));
    }
    let rows = match select.selection.take() {
        None => table.unwrap_or_else(|| Expr::Subquery(Box::new(all_rows(select, None)))),
        condition => Expr::Subquery(Box::new(all_rows(select, condition))),
    };
    select.from = vec![TableWithJoins { relation: window.over(rows, time, partition, alias), joins: Vec::new() }];
    Ok(())
}

/// Whether a function of that name asks for a window of `GROUP BY`: those that there are have been replaced.
pub(super) fn asks_for_a_window(function: &str) -> bool {
    let lower = function.to_lowercase();
    let asked = WINDOWS.iter().find_map(|window| lower.strip_prefix(window)?.strip_prefix('_'));
    asked.is_some_and(|asked| asked == "proctime" || COLUMNS.iter().any(|(question, _)| *question == asked))
}

/// A window in `GROUP BY`.
struct GroupWindow {
    /// `tumble`, `hop` or `session`.
    name: String,
    span: ParserSpan,
    time: Expr,
    /// Its lengths.
    lengths: Vec<Expr>,
}

impl GroupWindow {
    fn of(expression: &Expr) -> Option<Self> {
        let (name, span, mut arguments) = plain_call(expression)?;
        if !WINDOWS.contains(&name.as_str()) || arguments.len() < 2 {
            return None;
        }
        let time = arguments.remove(0);
        Some(Self { name, span, time, lengths: arguments })
    }

    /// The column that `TUMBLE_START(…)` and its like ask for, if they mean this window.
    fn column(&self, expression: &Expr) -> Option<&'static str> {
        let (name, _, arguments) = plain_call(expression)?;
        let (time, lengths) = arguments.split_first()?;
        let question = name.strip_prefix(&self.name)?.strip_prefix('_')?;
        let (_, column) = COLUMNS.iter().find(|(asked, _)| *asked == question)?;
        (*time == self.time && lengths == self.lengths).then_some(*column)
    }

    /// Puts columns in the place of `TUMBLE_START(…)` and its like. Returns whether one is the time attribute.
    fn replace_questions(&self, select: &mut Select) -> bool {
        let mut uses_time = false;
        let mut replace = |expression: &mut Expr| {
            if let Some(column) = self.column(expression) {
                uses_time |= column == WINDOW_TIME;
                *expression = identifier(column, expression.span());
            }
            ControlFlow::Continue(())
        };
        let _ = change_expressions(&mut select.projection, &mut replace);
        let _ = change_expressions(&mut select.having, &mut replace);
        let _ = change_expressions(&mut select.qualify, &mut replace);
        uses_time
    }

    /// The same as a function in `FROM`.
    fn over(&self, rows: Expr, time: Ident, partition: Vec<Expr>, alias: TableAlias) -> TableFactor {
        let unnamed = |value: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(value));
        let mut args = vec![unnamed(rows)];
        if self.name == "session" && !partition.is_empty() {
            args.push(FunctionArg::Named {
                name: Ident::with_quote('"', PARTITION_BY),
                arg: FunctionArgExpr::Expr(Expr::Tuple(partition)),
                operator: FunctionArgOperator::RightArrow,
            });
        }
        args.push(unnamed(call("DESCRIPTOR", vec![Expr::Identifier(time)], &self.time)));
        args.extend(self.lengths.iter().cloned().map(unnamed));
        let name = Ident { value: self.name.clone(), quote_style: None, span: self.span };
        TableFactor::Table {
            name: ObjectName::from(vec![name]),
            alias: Some(alias),
            args: Some(TableFunctionArgs { args, settings: None }),
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        }
    }
}

/// Name in lower case, place and arguments of a function that is called with nothing but those.
fn plain_call(expression: &Expr) -> Option<(String, ParserSpan, Vec<Expr>)> {
    let Expr::Function(function) = expression else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    if function.over.is_some() || function.filter.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    };
    let arguments = list.args.iter().map(argument).collect::<Option<_>>()?;
    Some((function.name.to_string().to_lowercase(), function.name.span(), arguments))
}

/// What a window function reads, if it can name it, and the name that its columns have.
fn named(relation: &TableFactor) -> Option<(Option<Expr>, TableAlias)> {
    let plain = |name: &Ident| TableAlias { explicit: true, name: name.clone(), columns: Vec::new(), at: None };
    match relation {
        TableFactor::Table { name, alias, args: None, version: None, .. } => {
            let parts: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
            let own = plain(parts.last()?);
            let table = if let [one] = parts.as_slice() {
                Expr::Identifier(one.clone())
            } else {
                Expr::CompoundIdentifier(parts)
            };
            match alias {
                None => Some((Some(table), own)),
                Some(alias) if alias.columns.is_empty() => Some((Some(table), plain(&alias.name))),
                Some(alias) => Some((None, plain(&alias.name))),
            }
        }
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some((None, plain(&alias.name)))
        }
        TableFactor::Derived { alias: None, .. } => Some((None, plain(&Ident::new("grouped")))),
        _ => None,
    }
}

/// A column of the table, without the table's name.
fn column_of(expression: &Expr, alias: &TableAlias) -> Option<Ident> {
    match expression {
        Expr::Identifier(column) => Some(column.clone()),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, column] if table.value.eq_ignore_ascii_case(&alias.name.value) => Some(column.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The rows that the query reads, all of their columns.
fn all_rows(select: &Select, condition: Option<Expr>) -> Query {
    let rows = Select {
        distinct: None,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        selection: condition,
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        // They are about the query that groups.
        optimizer_hints: Vec::new(),
        ..select.clone()
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(rows))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn identifier(name: &str, span: ParserSpan) -> Expr {
    Expr::Identifier(Ident { value: name.to_owned(), quote_style: None, span })
}
