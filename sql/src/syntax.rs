//! What calls a function without looking like it: `EXTRACT`, `POSITION`, `SUBSTRING … FROM`, literals of arrays and structs, access
//! to fields, the operators `->` and `->>`, and `INTERVAL '1' DAY * n`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion_expr::{Expr, ExprSchemable, GetFieldAccess, cast};
use datafusion_sql::sqlparser::ast::BinaryOperator;
use weir_functions::Functions;

/// What `SqlToRel` asks to plan it.
pub(crate) fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(JsonOperators),
        Arc::new(IntervalTimesNumber),
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
        let element = Functions::built_in().scalar("array_element");
        Ok(match (raw.field_access, raw.expr, element) {
            (GetFieldAccess::ListIndex { key }, expr @ Expr::AggregateFunction(_), Some(element)) => {
                PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(element, vec![expr, *key])))
            }
            (field_access, expr, _) => PlannerResult::Original(RawFieldAccessExpr { field_access, expr }),
        })
    }
}

/// Plans the product of an interval and a whole number.
#[derive(Debug)]
struct IntervalTimesNumber;

impl ExprPlanner for IntervalTimesNumber {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if raw.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(raw));
        }
        let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let args = match Functions::built_in().scalar("interval_times") {
            Some(function) if is_interval(&left) && right.is_integer() => (function, vec![raw.left, raw.right]),
            Some(function) if left.is_integer() && is_interval(&right) => (function, vec![raw.right, raw.left]),
            _ => return Ok(PlannerResult::Original(raw)),
        };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(args.0, args.1))))
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
        let Some(function) = Functions::built_in().scalar(name) else { return Ok(PlannerResult::Original(raw)) };
        // An index is a key that looks like a number.
        let is_index = raw.right.get_type(schema)?.is_integer();
        let right = if is_index { cast(raw.right, arrow::datatypes::DataType::Utf8View) } else { raw.right };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![raw.left, right]))))
    }
}
