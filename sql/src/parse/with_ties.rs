//! `ORDER BY … FETCH FIRST n ROWS WITH TIES`: the first rows, and all that are equal to the last of them in the order. Those are the rows
//! whose rank is n at most, so it becomes `QUALIFY RANK() OVER (ORDER BY …) <= n`.

use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Fetch, Function, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Value, WindowSpec, WindowType,
};

/// Writes it out where it can be; what is left is refused.
pub(super) fn write_out(query: &mut Query) {
    let Some(Fetch { with_ties: true, percent: false, quantity }) = &query.fetch else { return };
    let rows = quantity.clone().unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    let (SetExpr::Select(select), None, Some(order_by)) = (&mut *query.body, &query.limit_clause, &query.order_by)
    else {
        return;
    };
    let OrderByKind::Expressions(keys) = &order_by.kind else { return };
    // They come behind QUALIFY.
    if select.qualify.is_some() || matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_))) {
        return;
    }
    let Some(keys) = keys.iter().map(|key| written_out(key, select)).collect::<Option<Vec<_>>>() else { return };
    let (rank, rows) = (Box::new(rank(keys)), Box::new(rows));
    select.qualify = Some(Expr::BinaryOp { left: rank, op: BinaryOperator::LtEq, right: rows });
    query.fetch = None;
}

/// A key over what the `SELECT` reads, where it names what the `SELECT` makes; `None` if that is not known.
fn written_out(key: &OrderByExpr, select: &Select) -> Option<OrderByExpr> {
    let item = match &key.expr {
        Expr::Identifier(name) => select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(&name.value) => {
                Some(expr.clone())
            }
            _ => None,
        }),
        Expr::Value(value) => {
            let Value::Number(place, false) = &value.value else { return None };
            match select.projection.get(place.parse::<usize>().ok()?.checked_sub(1)?)? {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
                _ => return None,
            }
        }
        // What it means depends on where it stands: an alias hides a column of that name in ORDER BY, and does not in QUALIFY.
        expr => {
            let aliases = || {
                select.projection.iter().filter_map(|item| match item {
                    SelectItem::ExprWithAlias { alias, .. } => Some(&alias.value),
                    _ => None,
                })
            };
            let text = expr.to_string();
            let mut words = text.split(|character: char| !character.is_alphanumeric() && character != '_');
            if words.any(|word| aliases().any(|alias| alias.eq_ignore_ascii_case(word))) {
                return None;
            }
            None
        }
    };
    let has_window = |expr: &Expr| expr.to_string().to_uppercase().contains(" OVER ");
    if item.as_ref().is_some_and(has_window) {
        return None;
    }
    Some(OrderByExpr { expr: item.unwrap_or_else(|| key.expr.clone()), ..key.clone() })
}

fn rank(order_by: Vec<OrderByExpr>) -> Expr {
    let over = WindowSpec { window_name: None, partition_by: Vec::new(), order_by, window_frame: None };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("RANK")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: Some(WindowType::WindowSpec(over)),
        within_group: Vec::new(),
    })
}
