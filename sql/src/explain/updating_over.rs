//! What the operator of functions with `OVER` does whose results change.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use weir_core::{FramedCall, FramedFunction, OverBound, OverRows, UpdatingOverSpec};

use super::expression::length;
use super::operator::order_text;
use super::over::{function_text, has_frame};

/// Its parameters, over rows of `input`.
pub(super) fn updating_over_text(spec: &UpdatingOverSpec, input: &Schema, name: &dyn Fn(usize) -> String) -> String {
    let unit = spec.order.first().map_or(&DataType::Null, |key| input.field(key.column).data_type());
    let calls: Vec<String> =
        spec.calls.iter().map(|call| call_text(call, (!spec.order.is_empty(), unit), name)).collect();
    let partition: Vec<String> = spec.partition.iter().map(|column| name(*column)).collect();
    let partition =
        if partition.is_empty() { "of all rows".to_owned() } else { format!("of each {}", partition.join(", ")) };
    let order = if spec.order.is_empty() { String::new() } else { format!(" by {}", order_text(&spec.order, name)) };
    format!("{partition}{order}: {}", calls.join(", "))
}

fn call_text(call: &FramedCall, (is_ordered, unit): (bool, &DataType), name: &dyn Fn(usize) -> String) -> String {
    let argument = call.argument.map(name);
    let (text, frame) = match &call.function {
        FramedFunction::Over(function) => {
            (function_text(*function, argument, call.default.map(name)), has_frame(*function))
        }
        FramedFunction::PercentRank => ("percent_rank()".to_owned(), false),
        FramedFunction::CumeDist => ("cume_dist()".to_owned(), false),
        FramedFunction::Ntile(parts) => (format!("ntile({parts})"), false),
        FramedFunction::NthValue(number) => (format!("nth_value({}, {number})", argument.unwrap_or_default()), true),
        FramedFunction::NthPresent { number, from_last } => {
            let default = call.default.map(|column| format!(", {}", name(column))).unwrap_or_default();
            let from_last = if *from_last { " FROM LAST" } else { "" };
            (format!("nth_value({}, {number}{default}){from_last} IGNORE NULLS", argument.unwrap_or_default()), true)
        }
        FramedFunction::Aggregate(call) => (super::operator::call_text(call, false, name), true),
    };
    let default = match is_ordered {
        true => OverRows { by_range: true, start: OverBound::Unbounded, end: OverBound::Current },
        false => OverRows::ALL,
    };
    if !frame || call.frame == default { text } else { format!("{text} {}", frame_text(call.frame, unit)) }
}

fn frame_text(frame: OverRows, unit: &DataType) -> String {
    let distance = |distance: u64| match (frame.by_range, unit) {
        (true, DataType::Date32) => format!("{distance} d"),
        (true, DataType::Timestamp(TimeUnit::Second, _)) => milliseconds(distance.saturating_mul(1000)),
        (true, DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64) => milliseconds(distance),
        (true, DataType::Timestamp(TimeUnit::Microsecond, _)) if distance.is_multiple_of(1000) => {
            milliseconds(distance / 1000)
        }
        (true, DataType::Timestamp(TimeUnit::Nanosecond, _)) if distance.is_multiple_of(1_000_000) => {
            milliseconds(distance / 1_000_000)
        }
        (true, DataType::Timestamp(TimeUnit::Microsecond, _)) => format!("{distance} us"),
        (true, DataType::Timestamp(TimeUnit::Nanosecond, _)) => format!("{distance} ns"),
        (true, DataType::Decimal128(_, scale @ 1..)) => format!("{distance}e-{scale}"),
        _ => distance.to_string(),
    };
    let bound = |bound: OverBound, is_start: bool| match bound {
        OverBound::Unbounded if is_start => "UNBOUNDED PRECEDING".to_owned(),
        OverBound::Unbounded => "UNBOUNDED FOLLOWING".to_owned(),
        OverBound::Current => "CURRENT ROW".to_owned(),
        OverBound::Whole(by @ ..=0) => format!("{} PRECEDING", distance(by.unsigned_abs())),
        OverBound::Whole(by) => format!("{} FOLLOWING", distance(by.unsigned_abs())),
        OverBound::Double(bits) => {
            let by = f64::from_bits(bits);
            format!("{} {}", by.abs(), if by.is_sign_negative() { "PRECEDING" } else { "FOLLOWING" })
        }
    };
    let unit = if frame.by_range { "RANGE" } else { "ROWS" };
    format!("{unit} BETWEEN {} AND {}", bound(frame.start, true), bound(frame.end, false))
}

fn milliseconds(time: u64) -> String {
    length(i64::try_from(time).unwrap_or(i64::MAX))
}
