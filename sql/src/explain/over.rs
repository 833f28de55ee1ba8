//! What the operator of functions with `OVER` does, and what it keeps.

use weir_core::{OverCall, OverFrame, OverFunction, OverSpec};

use super::expression::length;

/// Its parameters.
pub(super) fn over_text(spec: &OverSpec, name: &dyn Fn(usize) -> String) -> String {
    let calls: Vec<String> = spec.calls.iter().map(|call| call_text(call, name)).collect();
    let partition: Vec<String> = spec.partition.iter().map(|column| name(*column)).collect();
    let partition = if partition.is_empty() { String::new() } else { format!("of each {} ", partition.join(", ")) };
    format!("{partition}by {}: {}", name(spec.time), calls.join(", "))
}

fn call_text(call: &OverCall, name: &dyn Fn(usize) -> String) -> String {
    let text = function_text(call.function, call.argument.map(name), call.default.map(name));
    match call.frame {
        _ if !has_frame(call.function) => text,
        OverFrame::Range(None) => text,
        OverFrame::Rows(None) => format!("{text} ROWS UNBOUNDED PRECEDING"),
        OverFrame::Rows(Some(rows)) => format!("{text} ROWS {rows} PRECEDING"),
        OverFrame::Range(Some(time)) => format!("{text} RANGE {} PRECEDING", length(time)),
    }
}

/// A function and its arguments.
pub(super) fn function_text(function: OverFunction, argument: Option<String>, default: Option<String>) -> String {
    let has_argument = argument.is_some();
    let argument = argument.unwrap_or_default();
    let respecting = |respect: bool| if respect { " RESPECT NULLS" } else { "" };
    let default = default.map(|default| format!(", {default}")).unwrap_or_default();
    match function {
        OverFunction::Count if !has_argument => "count(*)".to_owned(),
        OverFunction::Count => format!("count({argument})"),
        OverFunction::Sum => format!("sum({argument})"),
        OverFunction::Avg => format!("avg({argument})"),
        OverFunction::Min => format!("min({argument})"),
        OverFunction::Max => format!("max({argument})"),
        OverFunction::FirstValue { respect_nulls } => format!("first_value({argument}){}", respecting(respect_nulls)),
        OverFunction::LastValue { respect_nulls } => format!("last_value({argument}){}", respecting(respect_nulls)),
        OverFunction::RowNumber => "row_number()".to_owned(),
        OverFunction::Rank => "rank()".to_owned(),
        OverFunction::DenseRank => "dense_rank()".to_owned(),
        OverFunction::Lag(rows) => format!("lag({argument}, {rows}{default})"),
        OverFunction::Lead(rows) => format!("lead({argument}, {rows}{default})"),
        OverFunction::LastBefore => format!("lag({argument}, 1{default}) IGNORE NULLS"),
    }
}

/// Whether it keeps something of every partition for ever.
pub(super) fn grows(spec: &OverSpec) -> bool {
    let by_time = |call: &OverCall| matches!((call.function, call.frame), (function, OverFrame::Range(Some(_))) if has_frame(function));
    !spec.partition.is_empty() && !spec.calls.iter().all(by_time)
}

/// Whether it takes notice of a frame.
pub(super) fn has_frame(function: OverFunction) -> bool {
    !matches!(
        function,
        OverFunction::RowNumber
            | OverFunction::Rank
            | OverFunction::DenseRank
            | OverFunction::Lag(_)
            | OverFunction::Lead(_)
            | OverFunction::LastBefore
    )
}

/// What it keeps.
pub(super) fn over_state(spec: &OverSpec) -> String {
    let (mut rows, mut time, mut totals) = (0, None, false);
    for call in &spec.calls {
        match (call.function, call.frame) {
            (OverFunction::Lag(distance) | OverFunction::Lead(distance), _) => rows = rows.max(distance),
            (function, OverFrame::Rows(Some(preceding))) if has_frame(function) => rows = rows.max(preceding),
            (function, OverFrame::Range(Some(preceding))) if has_frame(function) => time = time.max(Some(preceding)),
            _ => totals = true,
        }
    }
    let mut kept = vec!["rows until the watermark passes them".to_owned()];
    kept.extend(time.map(|time| format!("until it is {} past them", length(time))));
    kept.extend((rows > 0).then(|| format!("the last {rows} of every partition that there was")));
    kept.extend(totals.then(|| "totals of every partition that there was".to_owned()));
    kept.join(", ")
}
