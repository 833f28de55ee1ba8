//! Of which time `FOR SYSTEM_TIME AS OF` speaks. That is known once the left side of the join is planned: until then the condition has
//! the function `$as_of(n, time, time of the versions)` in it, where `n` is the number of the join in its query.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult};
use datafusion_common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    ColumnarValue, Expr, Extension, Join, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, binary_expr,
};
use datafusion_sql::sqlparser::ast::{
    Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    Value,
};
use weir_core::Error;
use weir_core::connector::Role;

use super::ScannedTable;
use super::newest_rows;
use super::versions::{Versions, VersionsOf};
use crate::catalog::{ColumnSource, Table};
use crate::diagnostics::Source;
use crate::statement::Span;

/// No user's name has a blank in front.
const NAME: &str = " as of";

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Marker { signature: Signature::user_defined(Volatility::Volatile) })));

/// A join that a marker is about.
pub(super) struct AsOf {
    /// The table behind it; `None`: a view.
    pub table: Option<Arc<Table>>,
    /// Where that stands.
    pub span: Span,
    /// Why its rows are no versions in event time, if they are not.
    pub refusal: Option<Error>,
}

/// The marker of the join number `number`, which meets the versions at `as_of`; they have the time `time`, if they have one.
pub(super) fn marker(number: usize, as_of: Ast, time: Option<Ast>) -> Ast {
    let number = Ast::Value(Value::Number(number.to_string(), false).into());
    let args = [Some(number), Some(as_of), time].into_iter().flatten();
    Ast::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', NAME)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The function of a marker, if that is its name.
pub(super) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    (name == NAME).then(|| FUNCTION.clone())
}

/// The plan without markers: each has become a comparison of times, or says of the right side that it is looked up in.
///
/// # Errors
/// A user error at the place of a table that has no versions.
pub(super) fn resolved(plan: LogicalPlan, source: &Source<'_>, marked: &mut [AsOf]) -> Result<LogicalPlan> {
    if marked.is_empty() {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => resolve(join, source, marked),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn resolve(mut join: Join, source: &Source<'_>, marked: &mut [AsOf]) -> Result<Transformed<LogicalPlan>> {
    let Some(filter) = join.filter.take() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
    let (mut conditions, mut is_changed) = (Vec::new(), false);
    for condition in split_conjunction_owned(filter) {
        let Some((number, as_of, time)) = parts(&condition) else {
            conditions.push(condition);
            continue;
        };
        is_changed = true;
        let Some(marked) = marked.get_mut(number) else { return internal_err!("a join is about no time") };
        if is_processing_time(as_of, &join.left) {
            check(source, marked).map_err(|error| DataFusionError::External(Box::new(error)))?;
            join.right = Arc::new(looked_up(&join.right)?);
        } else if let Some(refusal) = marked.refusal.take() {
            return Err(DataFusionError::External(Box::new(refusal)));
        } else if let Some(time) = time {
            conditions.push(binary_expr(as_of.clone(), Operator::GtEq, time.clone()));
        } else {
            let time = newest_rows::time_of(&join.right).ok_or_else(|| {
                let error = source.error(marked.span, "the view does not select the time that its rows are ordered by");
                DataFusionError::External(Box::new(error.with_help(
                    "add the column of its ORDER BY to the SELECT of the view: it says since when a version is there",
                )))
            })?;
            conditions.push(binary_expr(as_of.clone(), Operator::GtEq, Expr::Column(time)));
        }
    }
    join.filter = conjunction(conditions);
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), is_changed))
}

/// The number of a marker's join, the time that it speaks of, and that of the versions.
fn parts(condition: &Expr) -> Option<(usize, &Expr, Option<&Expr>)> {
    let Expr::ScalarFunction(call) = condition else { return None };
    match call.args.as_slice() {
        [number, as_of, rest @ ..] if call.func.name() == NAME => {
            let Expr::Literal(number, _) = number else { return None };
            let number = number.cast_to(&DataType::UInt64).ok()?;
            let ScalarValue::UInt64(Some(number)) = number else { return None };
            Some((usize::try_from(number).ok()?, as_of, rest.first()))
        }
        _ => None,
    }
}

/// Whether an expression over `plan` is `PROCTIME()` and nothing else.
fn is_processing_time(expression: &Expr, plan: &LogicalPlan) -> bool {
    match expression {
        Expr::Alias(alias) => is_processing_time(&alias.expr, plan),
        Expr::ScalarFunction(call) => call.func.name() == "proctime",
        Expr::Column(column) => plan.schema().index_of_column(column).is_ok_and(|column| is_clock(plan, column)),
        _ => false,
    }
}

/// Whether a column of a plan is processing time.
fn is_clock(plan: &LogicalPlan, column: usize) -> bool {
    let inputs = plan.inputs();
    match plan {
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<ScannedTable>().is_some_and(|scanned| {
            let column = scan.projection.as_ref().map_or(Some(column), |read| read.get(column).copied());
            let column = column.and_then(|column| scanned.table.columns.get(column));
            column.is_some_and(|column| column.source == ColumnSource::ProcessingTime)
        }),
        LogicalPlan::Projection(projection) => {
            projection.expr.get(column).is_some_and(|made| is_processing_time(made, &projection.input))
        }
        LogicalPlan::Union(_) => inputs.iter().all(|input| is_clock(input, column)),
        LogicalPlan::Join(join) => match column.checked_sub(join.left.schema().fields().len()) {
            None => is_clock(&join.left, column),
            Some(column) => is_clock(&join.right, column),
        },
        // Their own columns come behind those of the input.
        LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Extension(_) => {
            inputs.first().is_some_and(|input| column < input.schema().fields().len() && is_clock(input, column))
        }
        _ => false,
    }
}

/// Whether rows can be looked up in the table.
fn check(source: &Source<'_>, AsOf { table, span, .. }: &AsOf) -> weir_core::Result<()> {
    let Some(table) = table else {
        return Err(source
            .error(*span, "rows cannot be looked up in a view")
            .with_help("look them up in the table below it, and write the view's conditions behind ON"));
    };
    if !table.connector.supports(Role::Lookup) {
        let (name, connector) = (&table.name, table.connector.name());
        return Err(source
            .error(*span, format!("rows cannot be looked up in `{name}`: its connector is `{connector}`"))
            .with_help(
                "join with its versions in event time, `FOR SYSTEM_TIME AS OF a.ts`, or with all its rows, without FOR SYSTEM_TIME",
            ));
    }
    table.lookup_spec(source, *span).map(drop)
}

/// The right side of a lookup join.
fn looked_up(right: &LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Extension(extension) = right else { return internal_err!("a table is looked up that is none") };
    let Some(versions) = extension.node.as_any().downcast_ref::<Versions>() else {
        return internal_err!("a table is looked up that has no versions");
    };
    let versions = Versions { of: VersionsOf::Now, input: versions.input.clone() };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(versions) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Marker {
    signature: Signature,
}

impl ScalarUDFImpl for Marker {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a marker was computed")
    }
}
