//! Operators that are functions: `->` and `->>`.

use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_expr::{Expr, ExprSchemable, cast};
use datafusion_sql::sqlparser::ast::BinaryOperator;

/// Plans the operators on JSON.
#[derive(Debug)]
pub(super) struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let name = match raw.op {
            BinaryOperator::Arrow => "json_get",
            BinaryOperator::LongArrow => "json_get_text",
            _ => return Ok(PlannerResult::Original(raw)),
        };
        let Some(function) = super::scalar(name) else { return Ok(PlannerResult::Original(raw)) };
        // An index is a key that looks like a number.
        let is_index = raw.right.get_type(schema)?.is_integer();
        let right = if is_index { cast(raw.right, arrow::datatypes::DataType::Utf8View) } else { raw.right };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![raw.left, right]))))
    }
}
