//! Hints of a `SELECT`, given to what they are about.
//!
//! `STATE_TTL('a' = '1 d')` is about the relation of that name in the `FROM` of its `SELECT`: a mark is put on it here, and when it has been
//! planned a node around it, from which lowering learns how long what is kept of its rows is to be kept. Options of a table that stand in
//! its name go there with a name for the relation: that of the table.

use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_common::{DFSchemaRef, Result, internal_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion_sql::sqlparser::ast::{
    Expr as Ast, Ident, Query, Select, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleModifier,
    TableSampleQuantity, Value,
};
use weir_core::Error;

use crate::catalog::parse_duration;
use crate::diagnostics::{Source, did_you_mean};
use crate::parse::{STATE_TTL, hints, with_options};
use crate::statement::Span;
use crate::walk::{Change, Step, change};

/// A relation that a hint is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeptFor {
    /// Milliseconds; 0: for ever.
    pub length: u64,
    /// Its name.
    pub name: String,
    /// Its rows.
    pub input: Arc<LogicalPlan>,
}

/// Plans have no order that would mean anything here.
impl PartialOrd for KeptFor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for KeptFor {
    fn name(&self) -> &str {
        "KeptFor"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        std::collections::HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptFor: {} ms", self.length)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("a hint is about one relation");
        };
        Ok(Self { input: Arc::new(input), ..self.clone() })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

/// The relation as it is without its mark, and what the mark says; `None`: it has none.
pub(super) fn unmarked(relation: &TableFactor) -> Option<(TableFactor, u64)> {
    let mut relation = relation.clone();
    let mark = match &mut relation {
        TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => sample.take(),
        _ => None,
    };
    let Some(TableSampleKind::BeforeTableAlias(mark)) = mark else { return None };
    match mark.quantity?.value {
        Ast::Value(value) => match value.value {
            Value::Number(length, _) => Some((relation, length.parse().ok()?)),
            _ => None,
        },
        _ => None,
    }
}

/// The node around a planned relation.
pub(super) fn node(input: LogicalPlan, length: u64, relation: &TableFactor) -> LogicalPlan {
    let name = name_of(relation).unwrap_or_default();
    LogicalPlan::Extension(Extension { node: Arc::new(KeptFor { length, name, input: Arc::new(input) }) })
}

/// Puts marks and names into a query.
///
/// # Errors
/// A user error at a hint that is about nothing.
pub(super) fn write_out(query: &mut Query, source: &Source<'_>, statement: Span) -> weir_core::Result<()> {
    let mut hinted = Hinted { source, statement, error: None };
    let _ = change(query, &mut hinted);
    hinted.error.map_or(Ok(()), Err)
}

struct Hinted<'a> {
    source: &'a Source<'a>,
    statement: Span,
    error: Option<Error>,
}

impl Change for Hinted<'_> {
    fn table_factor(&mut self, factor: &mut TableFactor) -> Step {
        if let TableFactor::Table { name, alias: alias @ None, .. } = factor
            && let Some(named) = name.0.last().and_then(|part| part.as_ident())
            && let (base, [_, ..]) = (with_options(&named.value).0, with_options(&named.value).1.as_slice())
        {
            let ident = Ident { value: base.to_owned(), ..named.clone() };
            *alias = Some(TableAlias { explicit: false, name: ident, columns: Vec::new(), at: None });
        }
        Step::Continue(())
    }

    fn select(&mut self, select: &mut Select) -> Step {
        let texts: Vec<String> = select.optimizer_hints.drain(..).map(|hint| hint.text).collect();
        for text in texts {
            if let Err(error) = self.obey(&text, select) {
                self.error = Some(error);
                return ControlFlow::Break(());
            }
        }
        Step::Continue(())
    }
}

impl Hinted<'_> {
    fn obey(&self, text: &str, select: &mut Select) -> weir_core::Result<()> {
        let start = self.source.text().find(text);
        let span = start.map_or(self.statement, |start| Span { start, end: start + text.len() });
        for hint in hints(text).into_iter().flatten().filter(|hint| hint.name == STATE_TTL) {
            for (name, length) in hint.pairs {
                let duration = parse_duration(&length).ok_or_else(|| {
                    self.source
                        .error(span, format!("'{length}' is no length of time"))
                        .with_help("write it like '30 min', '12 h', '1 d'; '0 s' keeps rows for ever")
                })?;
                let relations = select.from.iter_mut().flat_map(|tables| {
                    let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
                    std::iter::once(&mut tables.relation).chain(joined)
                });
                let mut names = Vec::new();
                let mut found = false;
                for relation in relations {
                    let Some(own) = name_of(relation) else { continue };
                    if own.eq_ignore_ascii_case(&name) {
                        found = true;
                        mark(relation, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
                    }
                    names.push(own);
                }
                if !found {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    return Err(self
                        .source
                        .error(span, format!("STATE_TTL is about `{name}`, and this SELECT reads no such relation"))
                        .with_help(did_you_mean(&name, &names, "it reads")));
                }
            }
        }
        Ok(())
    }
}

/// What a relation is called in its `SELECT`.
fn name_of(relation: &TableFactor) -> Option<String> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.value.clone())
        }
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().map(|ident| ident.value.clone()),
        _ => None,
    }
}

/// A sample is refused wherever a user writes one, so that it can stand for something else.
fn mark(relation: &mut TableFactor, length: u64) {
    if let TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } = relation {
        let value = Ast::Value(Value::Number(length.to_string(), false).into());
        *sample = Some(TableSampleKind::BeforeTableAlias(Box::new(TableSample {
            modifier: TableSampleModifier::TableSample,
            name: None,
            quantity: Some(TableSampleQuantity { parenthesized: false, value, unit: None }),
            seed: None,
            bucket: None,
            offset: None,
        })));
    }
}
