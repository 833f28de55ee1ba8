//! Rows that are written out beside each other are compared field by field, so that a null among them is not known to be equal:
//!
//! | as written | as planned |
//! |---|---|
//! | `(a, b) = (1, 2)`, `ROW(a, b) = ROW(1, 2)` | `a = 1 AND b = 2` |
//! | `(a, b) <> (1, 2)` | `NOT (a = 1 AND b = 2)` |
//! | `(a, b) IN ((1, 2), (3, 4))` | `a = 1 AND b = 2 OR a = 3 AND b = 4` |

use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
};

/// The comparison of two rows; `None` if it is no such.
pub(super) fn compared(left: &Expr, operator: &BinaryOperator, right: &Expr) -> Option<Expr> {
    match operator {
        BinaryOperator::Eq => equal(left, right),
        BinaryOperator::NotEq => equal(left, right).map(not),
        _ => None,
    }
}

/// `row IN (row, …)`; `None` if it is no such.
pub(super) fn in_list(row: &Expr, list: &[Expr], negated: bool) -> Option<Expr> {
    let equal = list.iter().map(|other| equal(row, other)).collect::<Option<Vec<_>>>()?;
    let any = joined(equal, &BinaryOperator::Or)?;
    Some(if negated { not(any) } else { any })
}

fn equal(left: &Expr, right: &Expr) -> Option<Expr> {
    let (left, right) = (fields(left)?, fields(right)?);
    if left.len() != right.len() {
        return None;
    }
    let equal = left.into_iter().zip(right).map(|(left, right)| Expr::BinaryOp {
        left: nested(left),
        op: BinaryOperator::Eq,
        right: nested(right),
    });
    joined(equal.collect(), &BinaryOperator::And)
}

/// The fields of a row that is written out.
fn fields(row: &Expr) -> Option<Vec<Expr>> {
    match row {
        Expr::Nested(inner) => fields(inner),
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Function(call) if call.name.to_string() == "row" => match &call.args {
            FunctionArguments::List(list) => {
                let field = |argument: &FunctionArg| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(field)) => Some(field.clone()),
                    _ => None,
                };
                list.args.iter().map(field).collect()
            }
            _ => None,
        },
        _ => None,
    }
}

/// As a tree that is as flat as can be: what goes through it does so recursively.
fn joined(mut parts: Vec<Expr>, operator: &BinaryOperator) -> Option<Expr> {
    match parts.len() {
        0 | 1 => parts.pop(),
        length => {
            let behind = parts.split_off(length / 2);
            let (left, right) = (joined(parts, operator)?, joined(behind, operator)?);
            let joined = Expr::BinaryOp { left: nested(left), op: operator.clone(), right: nested(right) };
            Some(Expr::Nested(Box::new(joined)))
        }
    }
}

fn nested(expression: Expr) -> Box<Expr> {
    Box::new(Expr::Nested(Box::new(expression)))
}

fn not(condition: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: nested(condition) }))
}
