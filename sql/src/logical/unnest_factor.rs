//! `UNNEST` in a `FROM` clause reads columns of the relations before it, with or without the word LATERAL. DataFusion
//! lets only lateral subqueries do so, so it is written as one.

use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr, TableFactor,
};

use crate::walk::{Change, Step, change};

/// Rewrites every `UNNEST` that stands in a `FROM` clause.
pub(super) fn make_lateral(query: &mut Query) {
    let _ = change(query, &mut Rewrite);
}

struct Rewrite;

impl Change for Rewrite {
    fn table_factor(&mut self, factor: &mut TableFactor) -> Step {
        if let TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality: false, .. } = factor {
            let names = alias.iter().flat_map(|alias| alias.columns.iter().map(|column| column.name.clone()));
            let mut names = names.map(Some).chain(std::iter::repeat(None));
            let projection = array_exprs
                .drain(..)
                .map(|expr| {
                    let call = unnest(expr);
                    match names.next().flatten() {
                        Some(alias) => SelectItem::ExprWithAlias { expr: call, alias },
                        None => SelectItem::UnnamedExpr(call),
                    }
                })
                .collect();
            let alias = alias.take().map(|mut alias| {
                alias.columns.clear();
                alias
            });
            let subquery = Box::new(select(projection));
            *factor = TableFactor::Derived { lateral: true, subquery, alias, sample: None };
        }
        Step::Continue(())
    }
}

fn unnest(expr: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("unnest")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn select(projection: Vec<SelectItem>) -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(Select {
            select_token: AttachedToken::empty(),
            optimizer_hints: Vec::new(),
            distinct: None,
            select_modifiers: None,
            top: None,
            top_before_distinct: false,
            projection,
            exclude: None,
            into: None,
            from: Vec::new(),
            lateral_views: Vec::new(),
            prewhere: None,
            selection: None,
            connect_by: Vec::new(),
            group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
            cluster_by: Vec::new(),
            distribute_by: Vec::new(),
            sort_by: Vec::new(),
            having: None,
            named_window: Vec::new(),
            qualify: None,
            window_before_qualify: false,
            value_table_mode: None,
            flavor: SelectFlavor::Standard,
        }))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
