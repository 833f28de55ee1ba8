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
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _, TreeNodeRecursion};
use datafusion_common::{DFSchema, ExprSchema as _, Result, ScalarValue};
use datafusion_expr::expr::InList;
use datafusion_expr::{BinaryExpr, Expr, Operator, and, lit, not, or};

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
            let (left, right) = (apart(*left, position, schema, marker)?, apart(*right, position, schema, marker)?);
            let merge = |side: &Expr| op == Operator::Or && has(side, schema, is_negation);
            Ok(parted((left, op, right), merge, marker))
        }
        (expr, _) => {
            let parted = |expr| match expr {
                Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                    let one_list = op == Operator::Or && is_plain(&left) && is_plain(&right);
                    let merge = |side: &Expr| !one_list && has(side, schema, is_list);
                    Transformed::yes(parted((*left, op, *right), merge, marker))
                }
                other => Transformed::no(other),
            };
            expr.transform_up(|expr| Ok(parted(expr))).data()
        }
    }
}

/// Two conditions, with a mark on one of them if DataFusion might `merge` each with another.
fn parted((left, op, right): (Expr, Operator, Expr), merge: impl Fn(&Expr) -> bool, marker: &Marker) -> Expr {
    let (left, right) = match merge(&left) && merge(&right) {
        // A subquery is still to become a join, and no rule finds it behind a mark.
        true if !has_subquery(&right) => (left, mark(right, marker)),
        true if !has_subquery(&left) => (mark(left, marker), right),
        _ => (left, right),
    };
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
}

/// Whether this is among what DataFusion may see of the expression.
fn has(expr: &Expr, schema: &DFSchema, is_it: fn(&Expr, &DFSchema) -> bool) -> bool {
    let mut found = false;
    // The walk itself cannot fail.
    let _ = expr.apply(|expr| {
        found |= is_it(expr, schema);
        Ok(match (found, marked(expr)) {
            (true, _) => TreeNodeRecursion::Stop,
            (false, Some(_)) => TreeNodeRecursion::Jump,
            (false, None) => TreeNodeRecursion::Continue,
        })
    });
    found
}

/// Whether this is a list, or may become one.
fn is_list(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr, Expr::InList(_) | Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. })) || is_any(expr, schema)
}

/// Whether this is the negation of a list, or may become one.
fn is_negation(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr, Expr::InList(InList { negated: true, .. }) | Expr::Not(_)) || is_any(expr, schema)
}

/// Whether this is a column that may stand for any condition.
fn is_any(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Column(column) => {
            schema.field_from_column(column).is_ok_and(|field| field.data_type() == &DataType::Boolean)
        }
        Expr::OuterReferenceColumn(field, _) => field.data_type() == &DataType::Boolean,
        _ => false,
    }
}

/// Whether this is a list, an equality, or several of them of which one has to hold.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::InList(list) => !list.negated,
        Expr::BinaryExpr(BinaryExpr { op: Operator::Eq, .. }) => true,
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => is_plain(left) && is_plain(right),
        _ => marked(expr).is_some(),
    }
}
