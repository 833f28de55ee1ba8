//! Lists of values, kept apart. DataFusion merges two lists that are about the same value, and takes neither nulls nor anything but constants
//! into account: `a IN (1) AND a IN (2)` is false to it, also where `a` is null; `a NOT IN (1) OR a NOT IN (2)` is true; of `a IN (1, 2) AND
//! a NOT IN (3, NULL)` nothing is left but the first list; and `a IN (b) AND a IN (c)` is false, although `b` may be `c`. Chains of `=` are
//! lists to it as well.
//!
//! So a list has nothing but constants that are not null ([`plain`]), and where a merged one would not be the same there is a
//! [mark](super::marker) between the two ([`apart`]). Not needed is one
//! - between alternatives that are lists or equalities, none of them negated: one list of all is the same for nulls too;
//! - between conditions of a filter that all have to hold: false instead of null lets no row through that the other would not.
//!
//! Whether two lists are about the same value is not looked at. A column may stand for an expression below, and for a list too.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::InList;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable as _, Operator, and, lit, not, or};

use super::failure::can_fail;
use super::marker::{Marker, mark, marked};
use crate::coercion::literal_of;
use crate::rewrite::has_subquery;

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// It decides about rows: null is as good as false.
    Condition,
    /// Its value is looked at.
    Value,
}

/// The test of a list, with nothing in the list but constants that are not null: what is no constant becomes an equality, a null the answer where
/// nothing in the list is equal.
pub(super) fn plain(InList { expr, list, negated }: InList, schema: &DFSchema, marker: &Marker) -> Expr {
    let mut list: Vec<Expr> = list.into_iter().map(|item| literal_of(&item).unwrap_or(item)).collect();
    let before = list.len();
    list.retain(|item| !matches!(item, Expr::Literal(value, _) if value.is_null()));
    let has_null = list.len() < before;
    let test = if list.iter().all(|item| matches!(item, Expr::Literal(..))) {
        (!list.is_empty() || !has_null).then(|| Expr::InList(InList { expr, list, negated }))
    } else {
        let equal = |item: Expr| (*expr).clone().eq(item);
        let any = list.into_iter().map(equal).reduce(|known, equal| match can_fail(&equal, schema) {
            true => or(known, mark(equal, marker)),
            false => or(known, equal),
        });
        any.map(|any| if negated { not(any) } else { any })
    };
    let unknown = || lit(ScalarValue::Boolean(None));
    match test {
        None => unknown(),
        Some(test) if !has_null => test,
        Some(test) if negated => and(test, unknown()),
        Some(test) => or(test, unknown()),
    }
}

/// The expression over columns of `schema`, with marks between lists that are not to be merged.
pub(crate) fn apart(expr: Expr, position: Position, schema: &DFSchema, marker: &Marker) -> Result<Expr> {
    match (expr, position) {
        (
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }),
            Position::Condition,
        ) => {
            let (left, mut right) = (apart(*left, position, schema, marker)?, apart(*right, position, schema, marker)?);
            if op == Operator::Or && has(&left, schema, is_negation) {
                right = marked_parts(right, schema, marker);
            }
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        (expr, _) => {
            let parted = |expr| match expr {
                Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                    let one_list = op == Operator::Or && is_plain(&left, schema) && is_plain(&right, schema);
                    let merge = !one_list && has(&left, schema, is_list) && has(&right, schema, is_list);
                    let right = if merge { marked_apart(*right, marker) } else { *right };
                    Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right: Box::new(right) }))
                }
                other => Transformed::no(other),
            };
            expr.transform_up(|expr| Ok(parted(expr))).data()
        }
    }
}

/// The condition with marks on those of its parts that are negations. Parts that alternatives have in common are still found, among them what
/// joins two relations.
fn marked_parts(condition: Expr, schema: &DFSchema, marker: &Marker) -> Expr {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            and(marked_parts(*left, schema, marker), marked_parts(*right, schema, marker))
        }
        part if has(&part, schema, is_negation) => marked_apart(part, marker),
        part => part,
    }
}

/// The condition with a mark, unless it has a subquery: that is still to become a join, and no rule finds it behind a mark.
fn marked_apart(condition: Expr, marker: &Marker) -> Expr {
    match marked(&condition).is_some() || has_subquery(&condition) {
        true => condition,
        false => mark(condition, marker),
    }
}

/// Whether this is among the conditions that DataFusion may see in the expression.
fn has(expr: &Expr, schema: &DFSchema, is_it: fn(&Expr, &DFSchema) -> bool) -> bool {
    if marked(expr).is_some() {
        return false;
    }
    let below = |expr: &Expr| has(expr, schema, is_it);
    match expr {
        // A column may stand for any condition, where one stands.
        Expr::Column(_) | Expr::OuterReferenceColumn(..) => is_condition(expr, schema),
        expr if is_it(expr, schema) => true,
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => below(left) || below(right),
        Expr::Alias(alias) => below(&alias.expr),
        // Becomes a combination of its conditions.
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().flat_map(|(when, then)| [when, then]);
            branches.chain(&case.else_expr).any(|branch| below(branch))
        }
        // Whatever is computed of conditions is none of them.
        _ => false,
    }
}

/// Whether this is a list, or may become one.
fn is_list(expr: &Expr, schema: &DFSchema) -> bool {
    let is_any = matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }));
    matches!(expr, Expr::InList(_)) || is_any || is_negation(expr, schema)
}

/// Whether this is the negation of a list, or may become one.
fn is_negation(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::InList(list) => list.negated,
        Expr::Not(_) => true,
        // With TRUE or FALSE it is the condition, or its negation.
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            matches!(op, Operator::Eq | Operator::NotEq) && [left, right].iter().any(|side| is_condition(side, schema))
        }
        _ => false,
    }
}

/// Whether this is a list, an equality of values, or several of them of which one has to hold.
fn is_plain(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::InList(list) => !list.negated,
        Expr::BinaryExpr(BinaryExpr { op: Operator::Eq, .. }) => !is_negation(expr, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            is_plain(left, schema) && is_plain(right, schema)
        }
        _ => marked(expr).is_some(),
    }
}

/// Whether its value is true, false or null.
fn is_condition(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| data_type == DataType::Boolean)
}
