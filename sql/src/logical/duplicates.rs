//! Names of the columns of a `SELECT` list, as Flink gives them: a column keeps its own, and anything else that has none is `EXPR$` and
//! its position in the list, from 0. Of two columns of one name, as in `SELECT a, a`, which DataFusion refuses, the later one has a
//! number behind its name (`a0`).

use std::collections::{BTreeMap, BTreeSet};

use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, Value, WildcardAdditionalOptions,
};
use weir_functions::Functions;

use crate::walk::{Change, Step, change, change_expressions};

/// Gives names to the columns in all lists of `query` that have none of their own, or one that another has.
pub(super) fn rename(query: &mut Query, functions: &Functions) {
    let _ = change(query, &mut Rename(functions));
}

/// A name that is not in `taken`: `wanted`, or the first of `wanted0`, `wanted1`, … that is free.
pub(crate) fn free_name(wanted: &str, mut taken: impl FnMut(&str) -> bool) -> String {
    if !taken(wanted) {
        return wanted.to_owned();
    }
    let mut numbered = (0u64..).map(|number| format!("{wanted}{number}"));
    numbered.find(|name| !taken(name)).unwrap_or_else(|| wanted.to_owned())
}

struct Rename<'a>(&'a Functions);

impl Change for Rename<'_> {
    fn select(&mut self, select: &mut Select) -> Step {
        let relations = relations(select);
        rename_in(&mut select.projection, &relations);
        super::keys::tell_apart(select);
        tell_aggregates_apart(select, self.0);
        Step::Continue(())
    }

    /// The column of an `IN (SELECT …)` gets a name that no other has: where it is converted to be compared, it is there twice.
    fn expression(&mut self, expression: &mut Expr) -> Step {
        if let Expr::InSubquery { subquery, .. } = expression
            && let SetExpr::Select(select) = &mut *subquery.body
            && let [item @ SelectItem::UnnamedExpr(_)] = select.projection.as_mut_slice()
        {
            named(item, "EXPR$0".to_owned());
        }
        Step::Continue(())
    }
}

fn rename_in(items: &mut [SelectItem], relations: &BTreeSet<String>) {
    let mut names: BTreeSet<String> = items.iter().filter_map(given_name).collect();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut everything = false;
    for (position, item) in items.iter_mut().enumerate() {
        let (wanted, is_named) = match item {
            SelectItem::Wildcard(options) => {
                everything |= is_whole(options);
                continue;
            }
            SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => continue,
            SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), true),
            SelectItem::UnnamedExpr(expr) => match column(expr) {
                Some(name) => (name.value.clone(), true),
                None => (format!("EXPR${position}"), false),
            },
        };
        // `*` has all columns there are, so a column behind it is there for the second time.
        let repeats = everything && matches!(&*item, SelectItem::UnnamedExpr(expr) if column(expr).is_some());
        if is_named && seen.insert(wanted.clone()) && !repeats {
            if matches!(&*item, SelectItem::UnnamedExpr(expr) if is_field(expr, relations)) {
                named(item, wanted);
            }
            continue;
        }
        let name = free_name(&wanted, |name| (repeats && name == wanted) || names.contains(name));
        names.insert(name.clone());
        seen.insert(name.clone());
        named(item, name);
    }
}

/// What relations of a `SELECT` are called, in small letters.
fn relations(select: &Select) -> BTreeSet<String> {
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let name = |factor: &TableFactor| match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.value.clone())
        }
        TableFactor::Table { name, .. } => {
            name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.clone())
        }
        _ => None,
    };
    factors.filter_map(name).map(|name| name.to_lowercase()).collect()
}

/// Whether the expression is a field of a `ROW`, as in `payload.n`: it is called as the field is, and DataFusion has another name for it.
fn is_field(expr: &Expr, relations: &BTreeSet<String>) -> bool {
    match expr {
        Expr::CompoundIdentifier(names) => match names.as_slice() {
            [relation, _] => !relations.contains(&relation.value.to_lowercase()),
            names => names.len() > 2,
        },
        _ => false,
    }
}

fn named(item: &mut SelectItem, name: String) {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.value = name,
        SelectItem::UnnamedExpr(expr) => {
            let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
        }
        _ => {}
    }
}

fn is_whole(options: &WildcardAdditionalOptions) -> bool {
    options.opt_except.is_none() && options.opt_exclude.is_none()
}

/// The name that an item has without our doing.
fn given_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(expr) => column(expr).map(|name| name.value.clone()),
        _ => None,
    }
}

/// The column's own name, if the expression is one.
fn column(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    }
}

/// DataFusion knows a call of an aggregate by what it is called, and a cast does not show there: `MAX(k)` and `MAX(CAST(k AS DOUBLE))`
/// are one name for it. A filter that lets everything through does show.
fn tell_aggregates_apart(select: &mut Select, functions: &Functions) {
    let mut variants: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut edit = |expression: &mut Expr| {
        let Expr::Function(call) = &*expression else { return Step::Continue(()) };
        let is_aggregate = functions.aggregate(&call.name.to_string()).is_some();
        if !is_aggregate || call.over.is_some() || call.filter.is_some() {
            return Step::Continue(());
        }
        let texts = variants.entry(uncast(expression)).or_default();
        let text = expression.to_string();
        let number = texts.iter().position(|known| *known == text).unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        });
        if let (Expr::Function(call), Some(filter)) = (expression, all_rows(number)) {
            call.filter = Some(Box::new(filter));
        }
        Step::Continue(())
    };
    let _ = change_expressions(&mut select.projection, &mut edit);
    let _ = change_expressions(&mut select.having, &mut edit);
    let _ = change_expressions(&mut select.qualify, &mut edit);
}

/// `TRUE AND TRUE …`, so many times.
fn all_rows(count: usize) -> Option<Expr> {
    let all = || Expr::Value(Value::Boolean(true).into());
    (0..count).map(|_| all()).reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    })
}

/// The expression as text, without what does not show in DataFusion's names: casts, parentheses, capitals.
pub(super) fn uncast(expression: &Expr) -> String {
    let mut expression = expression.clone();
    let _ = change_expressions(&mut expression, |expression| {
        if let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expression {
            *expression = std::mem::replace(inner, Expr::Identifier(Ident::new("")));
        }
        Step::Continue(())
    });
    expression.to_string().to_lowercase()
}
