//! Joins with the versions of a table: `FOR SYSTEM_TIME AS OF` and `ASOF JOIN`, in words that the planner knows.
//!
//! | as written | as planned |
//! |---|---|
//! | `a JOIN b FOR SYSTEM_TIME AS OF a.ts ON c` | `a JOIN versions(b) ON c AND a.ts >= b.ts`, `b.ts` being the time attribute of `b` |
//! | `a ASOF JOIN b MATCH_CONDITION (a.ts >= b.ts) ON c` | `a LEFT JOIN versions(b) ON c AND a.ts >= b.ts` |
//! | `a JOIN b FOR SYSTEM_TIME AS OF a.proc ON c`, a processing time | `a JOIN versions(b) ON c`, `b` being looked up in |
//!
//! The node around the right side keeps conditions from going below the choice of the version, and says to lowering what the join is.
//! Whether a time is processing time is known once the query is planned: until then a [marker](super::as_of) stands in the condition.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_common::{Column, DFSchemaRef, Result, internal_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr as Ast, Ident, Join, JoinConstraint, JoinOperator, Query, Select, Spanned, TableFactor,
    TableVersion, TableWithJoins, Value,
};
use weir_core::Error;

use super::as_of::{self, AsOf};
use super::newest_rows;
use crate::catalog::{Catalog, Relation, Table};
use crate::diagnostics::Source;
use crate::logical::ScannedTable;
use crate::statement::Span;
use crate::walk::{Change, Step, change};

/// A table whose rows are versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Which of them a row meets.
    pub of: VersionsOf,
    /// The rows.
    pub input: Arc<LogicalPlan>,
}

/// Which versions a row meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum VersionsOf {
    /// That of each row of the table, the columns of its key.
    Key(Vec<String>),
    /// The same of rows of which a view keeps the newest of each key, by this column.
    Newest {
        /// The columns of its key.
        key: Vec<String>,
        /// The time that they are ordered by.
        time: Column,
    },
    /// The last one of all rows that the join says are equal.
    EqualRows,
    /// All that there are when it comes.
    Now,
}

/// Plans have no order that would mean anything here.
impl PartialOrd for Versions {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl Hash for Versions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.of, &self.input).hash(state);
    }
}

impl UserDefinedLogicalNodeCore for Versions {
    fn name(&self) -> &str {
        "Versions"
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

    /// A condition says something about the version that was chosen, not about those to choose from.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Versions: {:?}", self.of)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("versions are of one table");
        };
        Ok(Self { of: self.of.clone(), input: Arc::new(input) })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

/// The versions that a plan is of, if it is of some, and nothing but conditions and columns stands over them.
pub(crate) fn versions_of(plan: &LogicalPlan) -> Option<&Versions> {
    match plan {
        LogicalPlan::Filter(filter) => versions_of(&filter.input),
        LogicalPlan::Projection(projection) => versions_of(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => versions_of(&alias.input),
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}

/// The relation as it is without its version, and whether it is the table of an `ASOF JOIN`; `None`: it has no version.
pub(super) fn unversioned(relation: &TableFactor) -> Option<(TableFactor, bool)> {
    let mut relation = relation.clone();
    let TableFactor::Table { version, .. } = &mut relation else { return None };
    match version.take()? {
        TableVersion::VersionAsOf(Ast::Value(value)) => Some((relation, value.value == Value::Boolean(true))),
        _ => None,
    }
}

/// The node around a planned table, or the node in a view; `None`: the view has no versions.
pub(super) fn node(input: LogicalPlan, is_asof: bool) -> Option<LogicalPlan> {
    let of = match is_asof {
        true => VersionsOf::EqualRows,
        false if is_table(&input) => VersionsOf::Key(primary_key(&input)),
        false => return newest_rows::versions(&input),
    };
    Some(LogicalPlan::Extension(Extension { node: Arc::new(Versions { of, input: Arc::new(input) }) }))
}

fn is_table(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_table(&alias.input),
        LogicalPlan::TableScan(_) => true,
        _ => false,
    }
}

fn primary_key(plan: &LogicalPlan) -> Vec<String> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => primary_key(&alias.input),
        LogicalPlan::TableScan(scan) => {
            let Some(scanned) = scan.source.downcast_ref::<ScannedTable>() else { return Vec::new() };
            let table = &scanned.table;
            table.primary_key.iter().map(|column| table.columns[*column].name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// Writes the joins of a query as the module's documentation says, whose names are in that database of the catalog. Returns what their markers are about, by their numbers.
///
/// # Errors
/// A user error for joins that cannot be.
pub(super) fn write_out(
    query: &mut Query,
    source: &Source<'_>,
    (catalog, database): (&Catalog, &str),
    statement: Span,
) -> weir_core::Result<Vec<AsOf>> {
    let mut joins = Joins { source, catalog, database, statement, marked: Vec::new(), error: None };
    let _ = change(query, &mut joins);
    joins.error.map_or(Ok(joins.marked), Err)
}

struct Joins<'a> {
    source: &'a Source<'a>,
    catalog: &'a Catalog,
    database: &'a str,
    statement: Span,
    marked: Vec<AsOf>,
    error: Option<Error>,
}

impl Change for Joins<'_> {
    fn select(&mut self, select: &mut Select) -> Step {
        for tables in &mut select.from {
            if let Err(error) = self.tables(tables) {
                self.error = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

impl Joins<'_> {
    fn error(&self, factor: &TableFactor, what: impl Into<String>) -> Error {
        self.source.error(self.source.span(factor.span()).unwrap_or(self.statement), what.into())
    }

    fn tables(&mut self, tables: &mut TableWithJoins) -> weir_core::Result<()> {
        self.left(&mut tables.relation)?;
        tables.joins.iter_mut().try_for_each(|join| self.join(join))
    }

    fn left(&mut self, relation: &mut TableFactor) -> weir_core::Result<()> {
        match relation {
            TableFactor::NestedJoin { table_with_joins, .. } => self.tables(table_with_joins),
            TableFactor::Table { version: Some(version), .. } if !is_written(version) => Err(self
                .error(relation, "FOR SYSTEM_TIME AS OF stands behind the right table of a JOIN")
                .with_help("write `FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k`")),
            _ => Ok(()),
        }
    }

    fn join(&mut self, join: &mut Join) -> weir_core::Result<()> {
        if let JoinOperator::AsOf { match_condition, constraint } = &join.join_operator {
            let (match_condition, constraint) = (match_condition.clone(), constraint.clone());
            return self.asof(join, match_condition, constraint);
        }
        let TableFactor::Table { version: Some(version), .. } = &join.relation else {
            return self.left(&mut join.relation);
        };
        if is_written(version) {
            return Ok(());
        }
        let as_of = match version {
            TableVersion::ForSystemTimeAsOf(as_of) => as_of.clone(),
            _ => {
                return Err(self
                    .error(&join.relation, "this way to name a version of a table is not supported")
                    .with_help("write `FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k`"));
            }
        };
        let table = self.versioned(&join.relation)?;
        let refused = self
            .error(&join.relation, "FOR SYSTEM_TIME AS OF stands in a JOIN or LEFT JOIN with ON")
            .with_help("write `FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k`");
        let (JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on))
        | JoinOperator::Left(JoinConstraint::On(on))
        | JoinOperator::LeftOuter(JoinConstraint::On(on))) = &mut join.join_operator
        else {
            return Err(refused);
        };
        let time = table.as_ref().map(|table| self.time_of(&join.relation, table)).transpose();
        let (time, refusal) = time.map_or_else(|refusal| (None, Some(refusal)), |time| (time, None));
        *on = both(on.clone(), as_of::marker(self.marked.len(), as_of, time));
        let span = self.source.span(join.relation.span()).unwrap_or(self.statement);
        self.marked.push(AsOf { table, span, refusal });
        mark(&mut join.relation, false);
        Ok(())
    }

    /// The table behind a join; `None`: it is a view.
    fn versioned(&self, relation: &TableFactor) -> weir_core::Result<Option<Arc<Table>>> {
        let TableFactor::Table { name, .. } = relation else {
            return Err(self.error(relation, "FOR SYSTEM_TIME AS OF stands behind a table"));
        };
        let span = self.source.span(name.span()).unwrap_or(self.statement);
        let parts: Vec<&str> =
            name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
        match self.catalog.resolve_hinted(self.source, self.database, &parts.join("."), span)? {
            Relation::Table(table) => Ok(Some(table)),
            Relation::View(_) => Ok(None),
            Relation::Operator(view) => Err(self
                .error(relation, format!("`{}` is made by an operator of a plugin, and has no versions", view.name))
                .with_help("with ASOF JOIN its rows are versions by the columns that are equal")),
        }
    }

    /// The time attribute of a table that has versions in event time.
    fn time_of(&self, relation: &TableFactor, table: &Table) -> weir_core::Result<Ast> {
        let name = &table.name;
        let Some(time) = &table.time_attribute else {
            return Err(self.error(relation, format!("`{name}` has no WATERMARK, so its versions have no time")).with_help(
                "declare `WATERMARK FOR ts AS ts` in its CREATE TABLE; what a table is at the moment is joined `FOR SYSTEM_TIME AS OF` \
                 a processing time, such as a column `proc AS PROCTIME()` of the left side",
            ));
        };
        if table.primary_key.is_empty() {
            return Err(self
                .error(relation, format!("`{name}` has no PRIMARY KEY, which says what its rows are versions of"))
                .with_help("declare `PRIMARY KEY (k) NOT ENFORCED` in its CREATE TABLE"));
        }
        let qualifier = match relation {
            TableFactor::Table { alias: Some(alias), .. } => alias.name.clone(),
            TableFactor::Table { name, .. } => {
                name.0.last().and_then(|part| part.as_ident()).cloned().unwrap_or_else(|| Ident::new(&table.name))
            }
            _ => Ident::new(name),
        };
        Ok(Ast::CompoundIdentifier(vec![qualifier, Ident::with_quote('"', table.columns[time.column].name.clone())]))
    }

    fn asof(&self, join: &mut Join, match_condition: Ast, constraint: JoinConstraint) -> weir_core::Result<()> {
        let JoinConstraint::On(on) = constraint else {
            return Err(self
                .error(&join.relation, "ASOF JOIN needs a column that is equal on both sides")
                .with_help("write `ASOF JOIN b MATCH_CONDITION (a.ts >= b.ts) ON a.k = b.k`"));
        };
        if !matches!(&join.relation, TableFactor::Table { version: None, args: None, .. }) {
            return Err(self
                .error(&join.relation, "ASOF JOIN is with a table or a view")
                .with_help("give the subquery a name with CREATE VIEW or WITH"));
        }
        if !is_of_equalities(&on) {
            return Err(self
                .error(&join.relation, "the ON of an ASOF JOIN says which columns are equal, and nothing else")
                .with_help("write other conditions behind WHERE, or in a view of the right table"));
        }
        join.join_operator = JoinOperator::LeftOuter(JoinConstraint::On(both(on, match_condition)));
        mark(&mut join.relation, true);
        Ok(())
    }
}

/// Whether a version is one of [`mark`]'s.
fn is_written(version: &TableVersion) -> bool {
    matches!(version, TableVersion::VersionAsOf(Ast::Value(_)))
}

fn mark(relation: &mut TableFactor, is_asof: bool) {
    if let TableFactor::Table { version, .. } = relation {
        *version = Some(TableVersion::VersionAsOf(Ast::Value(Value::Boolean(is_asof).into())));
    }
}

fn is_of_equalities(condition: &Ast) -> bool {
    match condition {
        Ast::Nested(inner) => is_of_equalities(inner),
        Ast::BinaryOp { left, op: BinaryOperator::And, right } => is_of_equalities(left) && is_of_equalities(right),
        Ast::BinaryOp { op: BinaryOperator::Eq, .. } => true,
        _ => false,
    }
}

fn binary(left: Ast, op: BinaryOperator, right: Ast) -> Ast {
    Ast::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn both(left: Ast, right: Ast) -> Ast {
    binary(Ast::Nested(Box::new(left)), BinaryOperator::And, Ast::Nested(Box::new(right)))
}
