//! `GROUP_ID()`, which numbers grouping sets that are equal: where there are no such, it is 0.

use datafusion_sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArguments, GroupByExpr, Query, Select, Value, ValueWithSpan,
};
use datafusion_sql::sqlparser::tokenizer::Span;

use crate::walk::{Change, Step, change, change_expressions};

/// Writes the number in the place of the calls in `query`, whose grouping sets are written out.
pub(super) fn number(query: &mut Query) {
    let _ = change(query, &mut Number);
}

struct Number;

impl Change for Number {
    fn select(&mut self, select: &mut Select) -> Step {
        let GroupByExpr::Expressions(keys, _) = &select.group_by else { return Step::Continue(()) };
        if keys.is_empty() || !keys.iter().all(has_different_sets) {
            return Step::Continue(());
        }
        let mut edit = |expression: &mut Expr| {
            if let Some(span) = call(expression) {
                let zero = Expr::Value(ValueWithSpan { value: Value::Number("0".to_owned(), false), span });
                *expression = Expr::Cast {
                    kind: CastKind::Cast,
                    data_type: DataType::BigInt(None),
                    array: false,
                    format: None,
                    expr: Box::new(zero),
                };
            }
            Step::Continue(())
        };
        let _ = change_expressions(&mut select.projection, &mut edit);
        let _ = change_expressions(&mut select.having, &mut edit);
        Step::Continue(())
    }
}

fn has_different_sets(key: &Expr) -> bool {
    match key {
        Expr::GroupingSets(sets) => sets.iter().enumerate().all(|(index, set)| !sets[..index].contains(set)),
        // Of ROLLUP and CUBE no two are the same, unless a part is there twice.
        Expr::Rollup(parts) | Expr::Cube(parts) => {
            parts.iter().enumerate().all(|(index, part)| !parts[..index].contains(part))
        }
        _ => true,
    }
}

/// Where it stands, if it is one.
fn call(expression: &Expr) -> Option<Span> {
    let Expr::Function(function) = expression else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let name = function.name.0.first()?.as_ident().filter(|_| function.name.0.len() == 1)?;
    (list.args.is_empty() && name.value == "group_id").then_some(name.span)
}
