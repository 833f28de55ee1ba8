//! Keys of GROUP BY that differ in a cast alone, as `CAST(b AS INT)` and `CAST(b AS STRING)` do. DataFusion knows a key by what it is called,
//! and a cast does not show there, so that it takes the two for one. A choice without an alternative shows, and the optimiser takes it
//! away again.

use std::collections::BTreeMap;

use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{CaseWhen, Expr, GroupByExpr, Select, SelectItem, Value};

use super::duplicates::uncast;
use crate::walk::{Step, change_expressions};

/// Makes keys of `select` differ in what they are called.
pub(super) fn tell_apart(select: &mut Select) {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else { return };
    let mut variants: BTreeMap<String, BTreeMap<(usize, String), Expr>> = BTreeMap::new();
    for key in parts(keys).into_iter().filter_map(|key| meant(key, &select.projection)) {
        let text = key.to_string();
        variants.entry(uncast(key)).or_default().insert((text.len(), text), key.clone());
    }
    // The shortest is none, which is a column if there is one among them.
    let mut numbered: Vec<(Expr, usize)> =
        variants.into_values().flat_map(|keys| keys.into_values().zip(0..).skip(1)).collect();
    if numbered.is_empty() {
        return;
    }
    // A key may be part of a longer one.
    numbered.sort_by_key(|(key, _)| key.to_string().len());
    let mut choices = Choices::default();
    for (mut key, number) in numbered {
        let _ = change_expressions(&mut key, |expression| choices.make(expression));
        choices.0.insert(key.to_string(), number);
    }
    let _ = change_expressions(&mut select.projection, |expression| choices.make(expression));
    let _ = change_expressions(&mut select.group_by, |expression| choices.make(expression));
    let _ = change_expressions(&mut select.having, |expression| choices.make(expression));
    let _ = change_expressions(&mut select.qualify, |expression| choices.make(expression));
}

/// How many choices become of an expression, by its text when those of its parts are made.
#[derive(Default)]
struct Choices(BTreeMap<String, usize>);

impl Choices {
    fn make(&self, expression: &mut Expr) -> Step {
        for _ in 0..self.0.get(&expression.to_string()).copied().unwrap_or_default() {
            *expression = chosen(expression.clone());
        }
        Step::Continue(())
    }
}

/// The keys, also those in grouping sets.
fn parts(keys: &[Expr]) -> Vec<&Expr> {
    let mut parts = Vec::new();
    for key in keys {
        match key {
            Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets) => parts.extend(sets.iter().flatten()),
            other => parts.push(other),
        }
    }
    parts
}

/// What a key stands for, by its position or its name.
fn meant<'a>(key: &'a Expr, items: &'a [SelectItem]) -> Option<&'a Expr> {
    match key {
        Expr::Value(value) => {
            let Value::Number(number, _) = &value.value else { return Some(key) };
            let place: usize = number.parse().ok()?;
            match items.get(place.checked_sub(1)?)? {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                _ => None,
            }
        }
        Expr::Identifier(name) => {
            let named = items.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if alias.value == name.value => Some(expr),
                _ => None,
            });
            Some(named.unwrap_or(key))
        }
        other => Some(other),
    }
}

/// `CASE WHEN TRUE THEN expression END`.
fn chosen(expression: Expr) -> Expr {
    let condition = Expr::Value(Value::Boolean(true).into());
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: expression }],
        else_result: None,
    }
}
