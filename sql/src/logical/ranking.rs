//! Functions with an `OVER` clause, as far as the planner has to know them: their names and the types of their results.
//! Those that are not lowered are known so that they can be refused by what they are, not as unknown names.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{
    Expr, LogicalPlan, PartitionEvaluator, Signature, TypeSignature, Volatility, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowUDF, WindowUDFImpl,
};
use datafusion_optimizer::AnalyzerRule;

use crate::rewrite;

/// The number of a row.
pub(crate) const ROW_NUMBER: &str = "row_number";

/// Those that a limit makes a Top-N.
const RANKINGS: [&str; 3] = [ROW_NUMBER, "rank", "dense_rank"];

/// Those that take no notice of a frame.
const WITHOUT_FRAME: [&str; 8] =
    [ROW_NUMBER, "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"];

const NAMES: [&str; 11] = [
    ROW_NUMBER,
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

static FUNCTIONS: LazyLock<Vec<Arc<WindowUDF>>> = LazyLock::new(|| {
    let function = |name: &&'static str| {
        let signature = match *name {
            ranking if RANKINGS.contains(&ranking) => Signature::nullary(Volatility::Immutable),
            _ => Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable),
        };
        Arc::new(WindowUDF::from(PlannedOnly { name, signature }))
    };
    NAMES.iter().map(function).collect()
});

/// The function of that name, whatever its case.
pub(super) fn window_function(name: &str) -> Option<Arc<WindowUDF>> {
    FUNCTIONS.iter().find(|function| function.name().eq_ignore_ascii_case(name)).cloned()
}

/// Their names.
pub(crate) fn names() -> Vec<String> {
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}

/// Row numbers, and others that have no frame, are counted from the first row, whatever the frame. DataFusion gives them the default one, which is a range, and refuses
/// to order ranges by types that it cannot subtract.
#[derive(Debug)]
pub(super) struct RowNumbersWithoutFrame;

impl AnalyzerRule for RowNumbersWithoutFrame {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions_of_plan(plan, |expr, _| expr.transform_up(without_frame).data())
    }

    fn name(&self) -> &str {
        "row_numbers_without_frame"
    }
}

fn without_frame(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::WindowFunction(mut call) if WITHOUT_FRAME.contains(&call.fun.name()) => {
            call.params.window_frame = WindowFrame::new_bounds(
                WindowFrameUnits::Rows,
                WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
                WindowFrameBound::CurrentRow,
            );
            Transformed::yes(Expr::WindowFunction(call))
        }
        other => Transformed::no(other),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PlannedOnly {
    name: &'static str,
    signature: Signature,
}

impl WindowUDFImpl for PlannedOnly {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _arguments: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        internal_err!("{} is lowered to an operator of its own", self.name)
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let data_type = match self.name {
            "lag" | "lead" | "first_value" | "last_value" | "nth_value" => {
                arguments.get_input_field(0).map_or(DataType::Null, |field| field.data_type().clone())
            }
            "percent_rank" | "cume_dist" => DataType::Float64,
            // BIGINT, as all whole numbers. DataFusion's own is unsigned, and with a BIGINT beside it a DECIMAL.
            _ => DataType::Int64,
        };
        Ok(Arc::new(Field::new(arguments.name(), data_type, !RANKINGS.contains(&self.name))))
    }
}
