//! Strings travel as views. DataFusion's literals and some of its functions make the older layout, so what a projection
//! or a group key makes of it is converted where it leaves the expression.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, cast};
use datafusion_optimizer::AnalyzerRule;
use weir_functions::layouts::travelling;

use crate::rewrite::{each_key, nodes_of_plan};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct StringsAsViews;

/// The layout that a column of this type travels in, if it is another.
pub(crate) fn travelling_type(data_type: &DataType) -> Option<DataType> {
    let travelling = travelling(data_type);
    (travelling != *data_type).then_some(travelling)
}

impl AnalyzerRule for StringsAsViews {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        nodes_of_plan(plan, &convert)
    }

    fn name(&self) -> &str {
        "strings_as_views"
    }
}

fn convert(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan.recompute_schema()? {
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let expr = expr.into_iter().map(|expr| as_view(expr, &input)).collect::<Result<_>>()?;
            Projection::try_new(expr, input).map(LogicalPlan::Projection)
        }
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            let keys = group_expr.into_iter().map(|expr| each_key(expr, &|key| as_view(key, &input)));
            let group_expr = keys.collect::<Result<_>>()?;
            Aggregate::try_new(input, group_expr, aggr_expr).map(LogicalPlan::Aggregate)
        }
        other => Ok(other),
    }
}

fn as_view(expr: Expr, input: &LogicalPlan) -> Result<Expr> {
    let Some(view) = travelling_type(&expr.get_type(input.schema())?) else { return Ok(expr) };
    let (qualifier, name) = expr.qualified_name();
    let inner = match expr {
        Expr::Alias(alias) => *alias.expr,
        other => other,
    };
    Ok(cast(inner, view).alias_qualified(qualifier, name))
}
