//! `USING` and `NATURAL`: joins on columns of one name, which are one column then.
//!
//! | as written | the condition | the column |
//! |---|---|---|
//! | `a JOIN b USING (k)`, `a LEFT JOIN b USING (k)` | `a.k = b.k` | `a.k` |
//! | `a RIGHT JOIN b USING (k)` | `a.k = b.k` | `b.k` |
//! | `a FULL JOIN b USING (k)` | `a.k = b.k` | `COALESCE(a.k, b.k)` |
//! | one of these, `FULL JOIN c USING (k)` | `column = c.k` | `COALESCE(column, c.k)` |
//!
//! `NATURAL` is `USING` of all names that both sides have. In `*` these columns come first, as in Flink and in the standard. `k` is the column, and
//! `a.k` is what it is in `a`.
//!
//! Which columns there are is known once the relations of a `FROM` have been planned, and what the query says of them has to be written out before
//! the rest is. So such relations are [marked], the query is planned until all those of one `SELECT` have been [seen](Seen), and is
//! planned again with that `SELECT` [written out](write_out).

mod written;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion_common::{DFSchemaRef, DataFusionError, Result};
use datafusion_sql::sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, Query, Select, Spanned, TableFactor, TableWithJoins,
};
use weir_core::Error;

pub(super) use self::written::write_out;
use super::hints;
use crate::diagnostics::Source;
use crate::walk::{Change, Step, change};

/// Which relation of which `SELECT` with such joins, both counted from 0.
pub(super) type Place = (usize, usize);

/// The columns of marked relations.
#[derive(Debug, Default)]
pub(super) struct Seen {
    selects: BTreeMap<usize, BTreeMap<usize, DFSchemaRef>>,
    /// How many relations each `SELECT` has.
    relations: Vec<usize>,
    complete: Option<usize>,
}

impl Seen {
    /// Of a query whose `SELECT`s have so many relations.
    pub fn of(relations: Vec<usize>) -> Self {
        Self { relations, ..Self::default() }
    }

    /// Notes the columns of a relation.
    ///
    /// # Errors
    /// When those of all relations of a `SELECT` are known: nothing is to be planned on.
    pub fn note(&mut self, (select, relation): Place, columns: &DFSchemaRef) -> Result<()> {
        let known = self.selects.entry(select).or_default();
        known.insert(relation, columns.clone());
        if self.relations.get(select) == Some(&known.len()) {
            self.complete = Some(select);
            return Err(DataFusionError::Plan("the columns of a join are known".to_owned()));
        }
        Ok(())
    }

    /// The `SELECT` that is complete, and the columns of its relations.
    pub fn complete(&mut self) -> Option<(usize, Vec<DFSchemaRef>)> {
        let select = self.complete.take()?;
        Some((select, self.selects.remove(&select)?.into_values().collect()))
    }
}

/// The query with marks on the relations of joins with `USING` and `NATURAL`, and how many there are in each `SELECT`; `None` if it has none.
///
/// # Errors
/// A user error if such a join is with what cannot be marked.
pub(super) fn marked(query: &Query, source: &Source<'_>) -> weir_core::Result<Option<(Query, Vec<usize>)>> {
    let mut query = query.clone();
    let mut mark = Mark { source, relations: Vec::new(), error: None };
    let _ = change(&mut query, &mut mark);
    match mark.error {
        Some(error) => Err(error),
        None => Ok((!mark.relations.is_empty()).then_some((query, mark.relations))),
    }
}

struct Mark<'a> {
    source: &'a Source<'a>,
    relations: Vec<usize>,
    error: Option<Error>,
}

impl Change for Mark<'_> {
    fn select(&mut self, select: &mut Select) -> Step {
        if !is_shared(select) {
            return Step::Continue(());
        }
        let number = self.relations.len();
        let mut count = 0;
        for factor in select.from.iter_mut().flat_map(factors) {
            if !hints::mark_place(factor, (number, count)) {
                let span = self.source.span(factor.span()).unwrap_or_default();
                let error = self.source.error(span, "this cannot stand beside a join with USING or a NATURAL one");
                self.error = Some(error.with_help("write ON, and the columns by the names of their tables"));
                return ControlFlow::Break(());
            }
            count += 1;
        }
        self.relations.push(count);
        Step::Continue(())
    }
}

fn is_shared(select: &mut Select) -> bool {
    fn shares(tables: &mut TableWithJoins) -> bool {
        let nested = |factor: &mut TableFactor| match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => shares(table_with_joins),
            _ => false,
        };
        let is_shared = |join: &mut Join| {
            matches!(constraint(&mut join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
        };
        nested(&mut tables.relation)
            || tables.joins.iter_mut().any(|join| is_shared(join) || nested(&mut join.relation))
    }
    select.from.iter_mut().any(shares)
}

/// The relations in their order, those of joins in parentheses too.
fn factors(tables: &mut TableWithJoins) -> Vec<&mut TableFactor> {
    let mut found = Vec::new();
    for factor in std::iter::once(&mut tables.relation).chain(tables.joins.iter_mut().map(|join| &mut join.relation)) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => found.extend(factors(table_with_joins)),
            factor => found.push(factor),
        }
    }
    found
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}
