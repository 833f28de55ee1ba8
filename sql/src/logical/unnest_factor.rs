//! `UNNEST` in a `FROM` clause reads columns of the relations before it, with or without the word LATERAL. DataFusion
//! lets only lateral subqueries do so, so it is written as one. What the columns are called is known once the type of the
//! array is: [`columns`]. `WITH ORDINALITY` unnests an array of numbers beside it.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr as LogicalExpr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr, TableFactor,
};
use weir_functions::Functions;

use crate::walk::{Change, Step, change};

/// Rewrites every `UNNEST` that stands in a `FROM` clause.
pub(super) fn make_lateral(query: &mut Query) {
    let _ = change(query, &mut Rewrite);
}

/// Name of the one column that the elements of one array make, until it is known what is in them.
const ELEMENT: &str = "$element";

/// What the numbers of the elements are called without another name.
const ORDINALITY: &str = "ordinality";

/// The lateral subquery without the name of its first column, if it unnests one array.
pub(super) fn one_array(relation: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Derived { lateral: true, subquery, .. } = relation else { return None };
    let SetExpr::Select(select) = &*subquery.body else { return None };
    let [SelectItem::ExprWithAlias { expr, alias }, ordinality @ ..] = select.projection.as_slice() else {
        return None;
    };
    if alias.value != ELEMENT {
        return None;
    }
    let element = SelectItem::UnnamedExpr(expr.clone());
    let projection = std::iter::once(element).chain(ordinality.iter().cloned()).collect();
    let mut subquery = subquery.clone();
    if let SetExpr::Select(select) = &mut *subquery.body {
        select.projection = projection;
    }
    Some(TableFactor::Derived { lateral: true, subquery, alias: None, sample: None })
}

/// The elements of one array under these names: a column for each field of a ROW if there are as many names or none, else a
/// column of elements; behind them their numbers, if they are there. `None` if there are more names than columns.
pub(super) fn columns(elements: LogicalPlan, names: &[Ident]) -> Result<Option<LogicalPlan>> {
    let Some(field) = elements.schema().fields().first().cloned() else { return Ok(None) };
    let mut columns = elements.schema().columns().into_iter().map(LogicalExpr::Column);
    let Some(column) = columns.next() else { return Ok(None) };
    let (names, number) = match (columns.next(), names.split_last()) {
        (Some(numbers), Some((name, others))) if !others.is_empty() => (others, Some(numbers.alias(&name.value))),
        (Some(_), Some(_)) => return Ok(None),
        (numbers, _) => (names, numbers),
    };
    let named: Vec<LogicalExpr> = match (field.data_type(), names) {
        (DataType::Struct(fields), names) if names.len() != 1 => {
            if !names.is_empty() && names.len() != fields.len() {
                return Ok(None);
            }
            let Some(func) = Functions::built_in().scalar("get_field") else { return Ok(None) };
            let get = |field: &str| {
                let args = vec![column.clone(), lit(field)];
                LogicalExpr::ScalarFunction(ScalarFunction { func: func.clone(), args })
            };
            let name = |index: usize, own: &str| names.get(index).map_or(own.to_owned(), |name| name.value.clone());
            let fields = fields.iter().enumerate();
            fields.map(|(index, field)| get(field.name()).alias(name(index, field.name()))).collect()
        }
        (_, []) => return Ok(Some(elements)),
        (_, [name]) => vec![column.alias(&name.value)],
        _ => return Ok(None),
    };
    LogicalPlanBuilder::from(elements).project(named.into_iter().chain(number))?.build().map(Some)
}

struct Rewrite;

impl Change for Rewrite {
    fn table_factor(&mut self, factor: &mut TableFactor) -> Step {
        if let TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } = factor {
            let mut alias = alias.take();
            let names: Vec<Ident> =
                alias.iter().flat_map(|alias| alias.columns.iter().map(|column| column.name.clone())).collect();
            let several = array_exprs.len() > 1;
            let named = several && names.len() == array_exprs.len();
            let item = |(index, expr): (usize, Expr)| match () {
                () if named => SelectItem::ExprWithAlias { expr: call("unnest", expr), alias: names[index].clone() },
                // A number of names that does not fit is refused where the alias is applied.
                () if several => SelectItem::UnnamedExpr(call("unnest", expr)),
                () => SelectItem::ExprWithAlias { expr: call("unnest", expr), alias: Ident::with_quote('`', ELEMENT) },
            };
            let numbers = array_exprs.first().filter(|_| *with_ordinality).map(|array| SelectItem::ExprWithAlias {
                expr: call("unnest", call("array_ordinals", array.clone())),
                alias: Ident::new(ORDINALITY),
            });
            let projection = array_exprs.drain(..).enumerate().map(item).chain(numbers).collect();
            if let Some(alias) = alias.as_mut().filter(|_| named) {
                alias.columns.clear();
            }
            let subquery = Box::new(select(projection));
            *factor = TableFactor::Derived { lateral: true, subquery, alias, sample: None };
        }
        Step::Continue(())
    }
}

fn call(name: &str, argument: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
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
