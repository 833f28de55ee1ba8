//! What calls a function without looking like it: `EXTRACT`, `POSITION`, `SUBSTRING … FROM`, literals of arrays and structs, access
//! to fields, and the operators `->` and `->>`.

use std::sync::Arc;

use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion_expr::{Expr, ExprSchemable, GetFieldAccess, cast};
use datafusion_sql::sqlparser::ast::BinaryOperator;

/// What `SqlToRel` asks to plan it.
pub(crate) fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(JsonOperators),
        Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
        Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
        Arc::new(ElementOfAggregate),
        Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
        Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
        Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
        Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
    ]
}

/// Plans `ARRAY_AGG(…)[n]` as what it says. DataFusion would take `NTH_VALUE` for it, whose order no group keeps here.
#[derive(Debug)]
struct ElementOfAggregate;

impl ExprPlanner for ElementOfAggregate {
    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let element = weir_functions::scalar("array_element");
        Ok(match (raw.field_access, raw.expr, element) {
            (GetFieldAccess::ListIndex { key }, expr @ Expr::AggregateFunction(_), Some(element)) => {
                PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(element, vec![expr, *key])))
            }
            (field_access, expr, _) => PlannerResult::Original(RawFieldAccessExpr { field_access, expr }),
        })
    }
}

/// Plans the operators on JSON.
#[derive(Debug)]
struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let name = match raw.op {
            BinaryOperator::Arrow => "json_get",
            BinaryOperator::LongArrow => "json_get_text",
            _ => return Ok(PlannerResult::Original(raw)),
        };
        let Some(function) = weir_functions::scalar(name) else { return Ok(PlannerResult::Original(raw)) };
        // An index is a key that looks like a number.
        let is_index = raw.right.get_type(schema)?.is_integer();
        let right = if is_index { cast(raw.right, arrow::datatypes::DataType::Utf8View) } else { raw.right };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![raw.left, right]))))
    }
}
