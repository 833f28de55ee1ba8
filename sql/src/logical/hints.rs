//! Hints of a `SELECT`, given to what they are about.
//!
//! `STATE_TTL('a' = '1 d')` is about the relation of that name in the `FROM` of its `SELECT`: a mark is put on it here, and when it has been
//! planned a node around it, from which lowering learns how long what is kept of its rows is to be kept. `EMIT` and `ALLOWED LATENESS`,
//! which the parser makes a hint of, are about what is aggregated of the one relation in `FROM`, and take the same way. Options of a
//! table that stand in its name go there with a name for the relation: that of the table. `BROADCAST(a)` goes with `STATE_TTL`.

use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use datafusion_common::{DFSchemaRef, Result, internal_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion_sql::sqlparser::ast::{
    Expr as Ast, Ident, Query, Select, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleModifier,
    TableSampleQuantity, Value,
};
use weir_core::Error;

use super::shared_columns::Place;
use crate::catalog::parse_duration;
use crate::diagnostics::{Source, did_you_mean};
use crate::parse::{BROADCAST, EMISSION, EVERY, Hint, LATENESS, ON_UPDATE, hints, with_options};
use crate::statement::Span;
use crate::walk::{Change, Step, change};

/// When the results of an aggregation come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Emission {
    /// As they change, before their window closes.
    pub on_update: bool,
    /// Milliseconds behind the end of their window in which rows still count.
    pub lateness: u64,
    /// Changes come out so many milliseconds after each other at least; `None`: at each marker.
    pub every: Option<u64>,
}

/// What hints say of a relation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Said {
    /// How long what is kept of it is kept, in milliseconds; 0: for ever.
    pub life: Option<u64>,
    /// When what is aggregated of it comes out.
    pub emission: Option<Emission>,
    /// Whether a join is to have its rows in every subtask.
    pub broadcast: bool,
    /// Whose columns they are, where a join goes by their names.
    pub place: Option<Place>,
}

/// A relation that hints are about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Hinted {
    /// What they say.
    pub said: Said,
    /// Its name.
    pub name: String,
    /// Its rows.
    pub input: Arc<LogicalPlan>,
}

/// Plans have no order that would mean anything here.
impl PartialOrd for Hinted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for Hinted {
    fn name(&self) -> &str {
        "Hinted"
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
        write!(f, "Hinted: {:?}", self.said)
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
pub(super) fn unmarked(relation: &TableFactor) -> Option<(TableFactor, Said)> {
    let mut relation = relation.clone();
    let said = read(mark(&mut relation)?.take()?)?;
    Some((relation, said))
}

/// The node around a planned relation, if there is something to be said of it.
pub(super) fn node(input: LogicalPlan, said: Said, relation: &TableFactor) -> LogicalPlan {
    if (Said { place: None, ..said }) == Said::default() {
        return input;
    }
    let said = Said { place: None, ..said };
    let name = name_of(relation).unwrap_or_default();
    LogicalPlan::Extension(Extension { node: Arc::new(Hinted { said, name, input: Arc::new(input) }) })
}

/// Puts marks and names into a query.
///
/// # Errors
/// A user error at a hint that is about nothing.
pub(super) fn write_out(query: &mut Query, source: &Source<'_>, statement: Span) -> weir_core::Result<()> {
    let mut hinted = Obey { source, statement, error: None };
    let _ = change(query, &mut hinted);
    hinted.error.map_or(Ok(()), Err)
}

struct Obey<'a> {
    source: &'a Source<'a>,
    statement: Span,
    error: Option<Error>,
}

impl Change for Obey<'_> {
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

impl Obey<'_> {
    /// The clauses are about what is aggregated of the one relation that there is.
    fn emission(&self, hint: &Hint, select: &mut Select) -> weir_core::Result<()> {
        let of = |key: &str| hint.pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        let lateness = of(LATENESS).and_then(|lateness| lateness.parse().ok()).unwrap_or_default();
        let every = of(EVERY).and_then(|every| every.parse().ok());
        let emission = Emission { on_update: of(ON_UPDATE) == Some("true"), lateness, every };
        let said = match select.from.as_mut_slice() {
            [tables] if tables.joins.is_empty() => say(&mut tables.relation, |said| said.emission = Some(emission)),
            _ => false,
        };
        if said {
            return Ok(());
        }
        Err(self.source.error(self.source.first_line(self.statement), "EMIT and ALLOWED LATENESS are about an aggregation of one table, view or subquery").with_help(
            "put what is in FROM into a view or subquery, with its windows; without windows results are shown as they change: leave EMIT out",
        ))
    }

    fn obey(&self, text: &str, select: &mut Select) -> weir_core::Result<()> {
        let start = self.source.text().find(text);
        let span = start.map_or(self.statement, |start| Span { start, end: start + text.len() });
        for hint in hints(text).into_iter().flatten() {
            if hint.name == EMISSION {
                self.emission(&hint, select)?;
                continue;
            }
            for (name, length) in hint.pairs {
                let duration = match hint.name == BROADCAST {
                    true => None,
                    false => Some(parse_duration(&length).ok_or_else(|| {
                        self.source
                            .error(span, format!("'{length}' is no length of time"))
                            .with_help("write it like '30 min', '12 h', '1 d'; '0 s' keeps rows for ever")
                    })?),
                };
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
                        let length = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                        say(relation, |said| match duration {
                            Some(duration) => said.life = Some(length(duration)),
                            None => said.broadcast = true,
                        });
                    }
                    names.push(own);
                }
                if !found {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    return Err(self
                        .source
                        .error(span, format!("{} is about `{name}`, and this SELECT reads no such relation", hint.name))
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
fn mark(relation: &mut TableFactor) -> Option<&mut Option<TableSampleKind>> {
    match relation {
        TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => Some(sample),
        _ => None,
    }
}

/// Says of a relation where it stands. Returns whether it can bear a mark.
pub(super) fn mark_place(relation: &mut TableFactor, place: Place) -> bool {
    say(relation, |said| said.place = Some(place))
}

/// Changes what is said of a relation. Returns whether it can bear a mark.
fn say(relation: &mut TableFactor, change: impl Fn(&mut Said)) -> bool {
    let Some(mark) = mark(relation) else { return false };
    let mut said = mark.take().and_then(read).unwrap_or_default();
    change(&mut said);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (on_update, lateness, every) = match said.emission {
        Some(Emission { on_update, lateness, every }) => (u8::from(on_update).to_string(), lateness, every),
        None => ("-".to_owned(), 0, None),
    };
    let place = said.place.map_or_else(|| "-".to_owned(), |(select, relation)| format!("{select}:{relation}"));
    let broadcast = u8::from(said.broadcast);
    let text = format!("{} {on_update} {lateness} {} {place} {broadcast}", number(said.life), number(every));
    *mark = Some(TableSampleKind::BeforeTableAlias(Box::new(TableSample {
        modifier: TableSampleModifier::TableSample,
        name: None,
        quantity: Some(TableSampleQuantity {
            parenthesized: false,
            value: Ast::Value(Value::SingleQuotedString(text).into()),
            unit: None,
        }),
        seed: None,
        bucket: None,
        offset: None,
    })));
    true
}

/// What a mark says.
fn read(mark: TableSampleKind) -> Option<Said> {
    let TableSampleKind::BeforeTableAlias(mark) = mark else { return None };
    let Ast::Value(value) = mark.quantity?.value else { return None };
    let Value::SingleQuotedString(text) = value.value else { return None };
    let mut parts = text.split(' ');
    let life = parts.next()?.parse().ok();
    let on_update = parts.next()?;
    let lateness = parts.next()?.parse().ok()?;
    let every = parts.next()?.parse().ok();
    let place = parts.next()?.split_once(':');
    let place = place.and_then(|(select, relation)| Some((select.parse().ok()?, relation.parse().ok()?)));
    let broadcast = parts.next()? == "1";
    let emission = (on_update != "-").then_some(Emission { on_update: on_update == "1", lateness, every });
    Some(Said { life, emission, broadcast, place })
}
