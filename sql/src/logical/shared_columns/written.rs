//! A `SELECT` with such joins, written out.

use arrow::datatypes::FieldRef;
use datafusion_common::{DFSchemaRef, TableReference};
use datafusion_sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderByKind, Query, Select,
    SelectItem, SetExpr, Spanned, TableFactor, TableWithJoins, Value, VisitMut, WildcardAdditionalOptions,
};
use weir_core::{Error, Result};

use super::{constraint, is_shared};
use crate::diagnostics::{Source, did_you_mean};
use crate::statement::Span;
use crate::walk::{Change, Step, change};

/// Writes out the so many-th `SELECT` with such joins, whose relations have these columns.
///
/// # Errors
/// A user error at a name that no column has, or several.
pub(in crate::logical) fn write_out(
    query: &mut Query,
    source: &Source<'_>,
    statement: Span,
    (select, relations): (usize, Vec<DFSchemaRef>),
) -> Result<()> {
    let mut written =
        WriteOut { source, statement, until: select, relations, order: None, queries: Vec::new(), error: None };
    let _ = change(query, &mut written);
    written.error.map_or(Ok(()), Err)
}

struct WriteOut<'a> {
    source: &'a Source<'a>,
    statement: Span,
    /// How many such `SELECT`s come before.
    until: usize,
    relations: Vec<DFSchemaRef>,
    /// What an `ORDER BY` behind the `SELECT` reads: its rows, and names of the results. It is that of the query whose body the `SELECT` is, at
    /// this depth.
    order: Option<(usize, Vec<Column>, Vec<String>)>,
    /// The queries around, the innermost last: whether a `SELECT` is the body.
    queries: Vec<bool>,
    error: Option<Error>,
}

impl Change for WriteOut<'_> {
    fn select(&mut self, select: &mut Select) -> Step {
        if !is_shared(select) || self.relations.is_empty() {
            return Step::Continue(());
        }
        if self.until > 0 {
            self.until -= 1;
            return Step::Continue(());
        }
        match self.written(select) {
            Ok(columns) => {
                let names = select.projection.iter().filter_map(|item| match item {
                    SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                        names.last().map(|name| name.value.clone())
                    }
                    _ => None,
                });
                let names = names.collect();
                if self.queries.last() == Some(&true) {
                    self.order = Some((self.queries.len(), columns, names));
                }
                Step::Continue(())
            }
            Err(error) => {
                self.error = Some(error);
                Step::Break(())
            }
        }
    }

    fn query_before_parts(&mut self, query: &mut Query) -> Step {
        self.queries.push(matches!(*query.body, SetExpr::Select(_)));
        Step::Continue(())
    }

    fn query(&mut self, query: &mut Query) -> Step {
        let depth = self.queries.len();
        self.queries.pop();
        let Some((_, columns, results)) = self.order.take_if(|order| order.0 == depth) else {
            return Step::Continue(());
        };
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            // The name of a result goes before that of a column.
            let columns: Vec<Column> =
                columns.into_iter().filter(|column| !results.iter().any(|name| same(name, &column.name))).collect();
            for key in keys {
                if let Err(error) = self.replaced(&mut key.expr, &columns) {
                    self.error = Some(error);
                    return Step::Break(());
                }
            }
        }
        Step::Continue(())
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// A column that a name without a table may be of.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    value: Expr,
    /// Whether it is one of several.
    shared: bool,
}

/// What becomes of the rows of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Each row of the left side is there, whole.
    Left,
    Right,
    Full,
    LeftAlone,
    RightAlone,
}

impl WriteOut<'_> {
    fn written(&mut self, select: &mut Select) -> Result<Vec<Column>> {
        let mut relations = std::mem::take(&mut self.relations).into_iter();
        let mut columns = Vec::new();
        for tables in &mut select.from {
            columns.extend(self.tables(tables, &mut relations)?);
        }
        let items = std::mem::take(&mut select.projection);
        for item in items {
            match item {
                SelectItem::Wildcard(options) => select.projection.extend(self.all(options, &columns)?),
                SelectItem::UnnamedExpr(mut expr) => {
                    let name = match &expr {
                        Expr::Identifier(name) => self.find(name, &columns)?.map(|column| column.name.clone()),
                        _ => None,
                    };
                    self.replaced(&mut expr, &columns)?;
                    select.projection.push(match name {
                        Some(name) => SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) },
                        None => SelectItem::UnnamedExpr(expr),
                    });
                }
                mut other => {
                    self.replaced(&mut other, &columns)?;
                    select.projection.push(other);
                }
            }
        }
        self.replaced(&mut select.selection, &columns)?;
        self.replaced(&mut select.group_by, &columns)?;
        self.replaced(&mut select.having, &columns)?;
        self.replaced(&mut select.qualify, &columns)?;
        self.replaced(&mut select.named_window, &columns)?;
        Ok(columns)
    }

    /// The columns of relations that are joined, whose conditions are written out.
    fn tables(
        &self,
        tables: &mut TableWithJoins,
        relations: &mut impl Iterator<Item = DFSchemaRef>,
    ) -> Result<Vec<Column>> {
        let mut columns = self.factor(&mut tables.relation, relations)?;
        for join in &mut tables.joins {
            let right = self.factor(&mut join.relation, relations)?;
            columns = self.joined(columns, right, &mut join.join_operator)?;
        }
        Ok(columns)
    }

    fn factor(
        &self,
        factor: &mut TableFactor,
        relations: &mut impl Iterator<Item = DFSchemaRef>,
    ) -> Result<Vec<Column>> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            return self.tables(table_with_joins, relations);
        }
        let schema = relations.next().ok_or_else(|| Error::internal("the columns of a relation are not known"))?;
        let quoted = |name: &str| Ident::with_quote('`', name);
        let column = |(qualifier, field): (Option<&TableReference>, &FieldRef)| {
            let value = match qualifier {
                None => Expr::Identifier(quoted(field.name())),
                Some(table) => {
                    let parts = [table.catalog(), table.schema(), Some(table.table()), Some(field.name().as_str())];
                    Expr::CompoundIdentifier(parts.into_iter().flatten().map(quoted).collect())
                }
            };
            Column { name: field.name().clone(), value, shared: false }
        };
        Ok(schema.iter().map(column).collect())
    }

    fn joined(&self, left: Vec<Column>, right: Vec<Column>, operator: &mut JoinOperator) -> Result<Vec<Column>> {
        let kind = match operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Kind::Right,
            JoinOperator::FullOuter(_) => Kind::Full,
            JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_) => Kind::LeftAlone,
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => Kind::RightAlone,
            _ => Kind::Left,
        };
        let natural = matches!(constraint(operator), Some(JoinConstraint::Natural));
        let names: Vec<Ident> = match constraint(operator) {
            Some(JoinConstraint::Using(names)) => names.iter().map(|name| self.name(name)).collect::<Result<_, _>>()?,
            Some(JoinConstraint::Natural) => {
                let in_both = left.iter().filter(|column| right.iter().any(|other| other.name == column.name));
                in_both.map(|column| Ident::with_quote('`', column.name.clone())).collect()
            }
            _ => Vec::new(),
        };
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for name in &names {
            let pair = (self.one(name, &left, "left")?, self.one(name, &right, "right")?);
            if pairs.iter().any(|known| known.0 == pair.0 || known.1 == pair.1) {
                return Err(self.error(name, format!("`{}` is named twice", name.value)).with_help("name it once"));
            }
            pairs.push(pair);
        }
        let rest = |columns: &[Column], used: &dyn Fn(usize) -> bool| {
            let rest = columns.iter().enumerate().filter(|(index, _)| !used(*index));
            rest.map(|(_, column)| column.clone()).collect::<Vec<_>>()
        };
        let equal = pairs.iter().map(|(one, other)| equality(&left[*one].value, &right[*other].value));
        let condition = equal.reduce(|left, right| binary(left, BinaryOperator::And, right));
        let shared = pairs.iter().map(|(one, other)| {
            let (one, other) = (&left[*one], &right[*other]);
            let value = match kind {
                Kind::Left | Kind::LeftAlone => one.value.clone(),
                Kind::Right | Kind::RightAlone => other.value.clone(),
                Kind::Full => coalesce(one.value.clone(), other.value.clone()),
            };
            Column { name: one.name.clone(), value, shared: true }
        });
        let shared: Vec<Column> = shared.collect();
        let columns = match kind {
            Kind::LeftAlone => left.clone(),
            Kind::RightAlone => right.clone(),
            _ => {
                let left = rest(&left, &|index| pairs.iter().any(|pair| pair.0 == index));
                let right = rest(&right, &|index| pairs.iter().any(|pair| pair.1 == index));
                shared.into_iter().chain(left).chain(right).collect()
            }
        };
        match constraint(operator) {
            Some(JoinConstraint::On(condition)) => {
                let both: Vec<Column> = left.into_iter().chain(right).collect();
                self.replaced(condition, &both)?;
            }
            Some(constraint @ (JoinConstraint::Using(_) | JoinConstraint::Natural)) => {
                let everything = || Expr::Value(Value::Boolean(true).into());
                *constraint = JoinConstraint::On(condition.clone().unwrap_or_else(everything));
            }
            _ => {}
        }
        if natural && condition.is_none() && matches!(operator, JoinOperator::Join(_) | JoinOperator::Inner(_)) {
            *operator = JoinOperator::CrossJoin(JoinConstraint::None);
        }
        Ok(columns)
    }

    fn name(&self, name: &ObjectName) -> Result<Ident> {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => Ok(name.clone()),
            _ => {
                let span = self.source.span(name.span()).unwrap_or(self.statement);
                Err(self
                    .source
                    .error(span, "USING names columns without their tables")
                    .with_help("write `USING (k)`, or ON"))
            }
        }
    }

    /// The place of the only column of that name on one side of a join.
    fn one(&self, name: &Ident, columns: &[Column], side: &str) -> Result<usize> {
        match matching(name, columns)[..] {
            [place] => Ok(place),
            [] => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                Err(self
                    .error(name, format!("there is no column `{}` on the {side} side of this join", name.value))
                    .with_help(did_you_mean(&name.value, &names, "its columns are")))
            }
            _ => Err(self
                .error(name, format!("several tables on the {side} side of this join have a column `{}`", name.value))
                .with_help("write ON, and the columns by the names of their tables")),
        }
    }

    /// The column of several that a name is of; `None`: it is of none, or of none in this query.
    fn find<'a>(&self, name: &Ident, columns: &'a [Column]) -> Result<Option<&'a Column>> {
        let places = matching(name, columns);
        let mut found = places.iter().map(|place| &columns[*place]);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(Some(column).filter(|column| column.shared)),
            (Some(_), Some(_)) if places.iter().any(|place| columns[*place].shared) => Err(self
                .error(name, format!("`{}` is a column of several tables", name.value))
                .with_help("write the name of its table in front")),
            _ => Ok(None),
        }
    }

    fn error(&self, name: &Ident, message: String) -> Error {
        self.source.error(self.source.span(name.span).unwrap_or(self.statement), message)
    }

    /// What `*` stands for.
    fn all(&self, options: WildcardAdditionalOptions, columns: &[Column]) -> Result<Vec<SelectItem>> {
        let WildcardAdditionalOptions { opt_exclude, opt_except, opt_replace, .. } = options;
        let mut excluded: Vec<Ident> = match opt_exclude {
            None => Vec::new(),
            Some(ExcludeSelectItem::Single(name)) => vec![self.name(&name)?],
            Some(ExcludeSelectItem::Multiple(names)) => {
                names.iter().map(|name| self.name(name)).collect::<Result<_, _>>()?
            }
        };
        if let Some(except) = opt_except {
            excluded.extend(std::iter::once(except.first_element).chain(except.additional_elements));
        }
        let mut values: Vec<Option<Expr>> = columns.iter().map(|column| Some(column.value.clone())).collect();
        for name in &excluded {
            values[self.one(name, columns, "inner")?] = None;
        }
        for replaced in opt_replace.into_iter().flat_map(|replace| replace.items) {
            let mut value = replaced.expr;
            self.replaced(&mut value, columns)?;
            values[self.one(&replaced.column_name, columns, "inner")?] = Some(value);
        }
        let item = |(column, value): (&Column, Option<Expr>)| {
            Some(SelectItem::ExprWithAlias { expr: value?, alias: Ident::with_quote('`', column.name.clone()) })
        };
        Ok(columns.iter().zip(values).filter_map(item).collect())
    }

    /// Writes the columns for their names. Queries within are left as they are: their own columns go first, and those of this one cannot be
    /// told from here.
    fn replaced(&self, tree: &mut impl VisitMut, columns: &[Column]) -> Result<()> {
        let mut replace = Replace { within: self, columns, depth: 0, error: None };
        let _ = change(tree, &mut replace);
        replace.error.map_or(Ok(()), Err)
    }
}

struct Replace<'a, 'b> {
    within: &'a WriteOut<'b>,
    columns: &'a [Column],
    /// In how many queries that are parts of this one.
    depth: usize,
    error: Option<Error>,
}

impl Change for Replace<'_, '_> {
    fn query_before_parts(&mut self, _query: &mut Query) -> Step {
        self.depth += 1;
        Step::Continue(())
    }

    fn query(&mut self, _query: &mut Query) -> Step {
        self.depth -= 1;
        Step::Continue(())
    }

    fn expression(&mut self, expression: &mut Expr) -> Step {
        if self.depth > 0 {
            return Step::Continue(());
        }
        let found = match &*expression {
            Expr::Identifier(name) => self.within.find(name, self.columns).map(|column| (column, &[][..])),
            // A field of it, unless the name is that of a table.
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [name, fields @ ..] if !self.is_table(name) => {
                    self.within.find(name, self.columns).map(|column| (column, fields))
                }
                _ => Ok((None, &[][..])),
            },
            _ => Ok((None, &[][..])),
        };
        match found {
            Ok((None, _)) => {}
            Ok((Some(column), [])) => *expression = Expr::Nested(Box::new(column.value.clone())),
            Ok((Some(column), fields)) => {
                let text = |name: &Ident| Expr::Value(Value::SingleQuotedString(name.value.clone()).into());
                let access_chain = fields.iter().map(|name| AccessExpr::Dot(text(name))).collect();
                let root = Box::new(Expr::Nested(Box::new(column.value.clone())));
                *expression = Expr::CompoundFieldAccess { root, access_chain };
            }
            Err(error) => {
                self.error = Some(error);
                return Step::Break(());
            }
        }
        Step::Continue(())
    }
}

impl Replace<'_, '_> {
    fn is_table(&self, name: &Ident) -> bool {
        let mut tables = self.columns.iter().filter_map(|column| match &column.value {
            Expr::CompoundIdentifier(names) => names.iter().rev().nth(1),
            _ => None,
        });
        tables.any(|table| same(&table.value, &name.value))
    }
}

/// The places of columns of that name: those that are written so, or else in other capitals.
fn matching(name: &Ident, columns: &[Column]) -> Vec<usize> {
    let places = |is_it: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..columns.len()).filter(|place| is_it(&columns[*place].name)).collect()
    };
    let exact = places(&|known| known == name.value);
    match exact.is_empty() && name.quote_style.is_none() {
        true => places(&|known| same(known, &name.value)),
        false => exact,
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn equality(left: &Expr, right: &Expr) -> Expr {
    binary(left.clone(), BinaryOperator::Eq, right.clone())
}

fn coalesce(left: Expr, right: Expr) -> Expr {
    let argument = |value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![argument(left), argument(right)],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
