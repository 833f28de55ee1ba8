//! Bounds of `RANGE` frames that fall between two values of the type that rows are ordered by.
//!
//! DataFusion makes of a bound a value of that type, and rounds it to the nearest one: a frame would hold rows that are further away than it
//! says. Here it becomes the outermost value within the frame instead, while it is still the text that was written.

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion_common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::{Expr, ExprSchemable as _, LogicalPlan, WindowFrameBound, WindowFrameUnits};
use datafusion_optimizer::AnalyzerRule;

use crate::rewrite;

/// See the module's documentation. Runs in front of the coercion, which makes values of the texts.
#[derive(Debug)]
pub(super) struct ExactFrameBounds;

impl AnalyzerRule for ExactFrameBounds {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions_of_plan(plan, |expr, schema| expr.transform_up(|expr| exact(expr, schema)).data())
    }

    fn name(&self) -> &str {
        "exact_frame_bounds"
    }
}

fn exact(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
    let params = &mut call.params;
    let is_range = params.window_frame.units == WindowFrameUnits::Range;
    // What has no type yet is refused by the coercion that follows.
    let order = params.order_by.first().filter(|_| is_range).and_then(|order| order.expr.get_type(schema).ok());
    let places = match order {
        Some(DataType::Decimal128(_, places)) => usize::try_from(places).unwrap_or_default(),
        Some(order) if order.is_integer() => 0,
        _ => return Ok(Transformed::no(Expr::WindowFunction(call))),
    };
    let frame = &mut params.window_frame;
    for (bound, is_start) in [(&mut frame.start_bound, true), (&mut frame.end_bound, false)] {
        // Nearer to the current row, from the side on which the bound is.
        let (value, up) = match bound {
            WindowFrameBound::Preceding(value) => (value, !is_start),
            WindowFrameBound::Following(value) => (value, is_start),
            WindowFrameBound::CurrentRow => continue,
        };
        let ScalarValue::Utf8(Some(text)) = value else { continue };
        match rounded(text, places, up) {
            Some(within) => *text = within,
            None => {
                return plan_err!(
                    "a bound of a RANGE frame over numbers cannot be '{text}'; write it with digits alone, as in 2.5"
                );
            }
        }
    }
    Ok(Transformed::yes(Expr::WindowFunction(call)))
}

/// A number that is no less than 0, with so many decimal places: the next one up or down if it has more. `None`: it is not written so.
fn rounded(text: &str, places: usize, up: bool) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let (kept, rest) = fraction.split_at(places.min(fraction.len()));
    if rest.bytes().all(|digit| digit == b'0') {
        return Some(if kept.is_empty() { format!("0{whole}") } else { format!("0{whole}.{kept}") });
    }
    let number: u128 = format!("0{whole}{kept}").parse().ok()?;
    let number = format!("{:0>width$}", number.checked_add(u128::from(up))?, width = places + 1);
    let (whole, kept) = number.split_at(number.len() - places);
    Some(if kept.is_empty() { whole.to_owned() } else { format!("{whole}.{kept}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_values_becomes_one_of_them() {
        let of = |text, places| [false, true].map(|up| rounded(text, places, up).unwrap());
        assert_eq!(of("0.005", 2), ["0.00", "0.01"]);
        assert_eq!(of(".995", 2), ["0.99", "1.00"]);
        assert_eq!(of("1.5", 0), ["1", "2"]);
        assert_eq!(of("9.99", 1), ["9.9", "10.0"]);
        assert_eq!(of("12", 2), ["012", "012"], "those that are values stay");
        assert_eq!(of("1.50", 1), ["01.5", "01.5"]);
        assert_eq!(of("1.", 0), ["01", "01"]);
        for text in ["", ".", "1e-3", "-1", "1 day"] {
            assert_eq!(rounded(text, 2, true), None, "{text}");
        }
    }
}
