//! Columns of one `SELECT` list that have one name: `SELECT a, a`, `COUNT(*), COUNT(*)`.
//!
//! DataFusion refuses them. As in Flink, the later one gets another name: a column its own with a number behind it
//! (`a0`), anything else `EXPR$` and its position in the list.

use std::collections::BTreeSet;

use datafusion_sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, WildcardAdditionalOptions};

use crate::walk::{Change, Step, change, change_expressions};

/// Gives names to the columns in all lists of `query` that DataFusion could not tell from others.
pub(super) fn rename(query: &mut Query) {
    let _ = change(query, &mut Rename);
}

/// A name that is not in `taken`: `wanted`, or the first of `wanted0`, `wanted1`, … that is free.
pub(crate) fn free_name(wanted: &str, mut taken: impl FnMut(&str) -> bool) -> String {
    if !taken(wanted) {
        return wanted.to_owned();
    }
    let mut numbered = (0u64..).map(|number| format!("{wanted}{number}"));
    numbered.find(|name| !taken(name)).unwrap_or_else(|| wanted.to_owned())
}

struct Rename;

impl Change for Rename {
    fn select(&mut self, select: &mut Select) -> Step {
        rename_in(&mut select.projection);
        Step::Continue(())
    }
}

fn rename_in(items: &mut [SelectItem]) {
    let mut names: BTreeSet<String> = items.iter().filter_map(given_name).collect();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut everything = false;
    for (position, item) in items.iter_mut().enumerate() {
        let (key, wanted) = match item {
            SelectItem::Wildcard(options) => {
                everything |= is_whole(options);
                continue;
            }
            SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => continue,
            SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), alias.value.clone()),
            SelectItem::UnnamedExpr(expr) => {
                let wanted = column(expr).map_or_else(|| format!("EXPR${position}"), |name| name.value.clone());
                (key(expr), wanted)
            }
        };
        // `*` has all columns there are, so a column behind it is there for the second time.
        let repeats = everything && matches!(&*item, SelectItem::UnnamedExpr(expr) if column(&uncast(expr)).is_some());
        if seen.insert(key) && !repeats {
            continue;
        }
        let name = free_name(&wanted, |name| (repeats && name == wanted) || names.contains(name));
        names.insert(name.clone());
        seen.insert(name.clone());
        match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value = name,
            SelectItem::UnnamedExpr(expr) => {
                let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
            }
            _ => {}
        }
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

/// What DataFusion tells columns apart by, or less: a name too many is better than a refusal.
fn key(expr: &Expr) -> String {
    let expr = uncast(expr);
    match column(&expr) {
        Some(name) => name.value.clone(),
        None => expr.to_string().to_lowercase(),
    }
}

/// The expression without what does not show in DataFusion's names: casts, parentheses.
fn uncast(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    let _ = change_expressions(&mut expr, |expr| {
        if let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
            *expr = std::mem::replace(inner, Expr::Identifier(Ident::new("")));
        }
        Step::Continue(())
    });
    expr
}
