//! Whole numbers are signed. Some of DataFusion's functions return an unsigned number, which with a BIGINT beside it is a DECIMAL;
//! here it is a BIGINT, as numbers in a query are.

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, Projection, cast};
use datafusion_optimizer::AnalyzerRule;

use crate::rewrite;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SignedNumbers;

impl AnalyzerRule for SignedNumbers {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::nodes_of_plan(plan, &|node| signed_aggregates(rewrite::expressions_of_node(node, signed_numbers)?))
    }

    fn name(&self) -> &str {
        "signed_numbers"
    }
}

/// The same expression without scalar functions that return an unsigned number.
///
/// # Errors
/// If a part of it has no type.
pub(crate) fn signed_numbers(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        // One that cannot be typed yet is refused when it is coerced.
        Expr::ScalarFunction(_) if expr.get_type(schema).is_ok_and(|data_type| data_type == DataType::UInt64) => {
            Ok(Transformed::yes(cast(expr, DataType::Int64)))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Aggregates are converted behind the aggregation.
fn signed_aggregates(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(plan) };
    let columns = || aggregate.schema.iter();
    if !columns().any(|(_, field)| *field.data_type() == DataType::UInt64) {
        return Ok(plan);
    }
    let signed = columns().map(|(qualifier, field)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match field.data_type() {
            DataType::UInt64 => cast(column, DataType::Int64).alias_qualified(qualifier.cloned(), field.name()),
            _ => column,
        }
    });
    let signed = signed.collect();
    Projection::try_new(signed, plan.into()).map(LogicalPlan::Projection)
}
