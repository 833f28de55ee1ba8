//! What a function with `OVER` is, and over which rows.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion_expr::{Expr as LogicalExpr, ExprSchemable, WindowFrame, WindowFrameBound, WindowFrameUnits};
use weir_core::{Error, Expr, Literal, LiteralValue, OverFrame, OverFunction, Result};

use super::super::call::exact_average;
use super::super::error::from_planner;
use super::super::stream::{Stream, Typed, typed};
use super::Call;
use crate::coercion::compared_type;
use crate::parse::sql_type_name;

/// A function that the operator knows.
pub(super) enum Function {
    Aggregate(OverFunction),
    First { last: bool },
    Position(OverFunction),
    Distance { ahead: bool },
}

impl Function {
    pub(super) fn of(call: &WindowFunction) -> Result<Self> {
        Ok(match call.fun.name() {
            "count" => Self::Aggregate(OverFunction::Count),
            "sum" => Self::Aggregate(OverFunction::Sum),
            "avg" => Self::Aggregate(OverFunction::Avg),
            "min" => Self::Aggregate(OverFunction::Min),
            "max" => Self::Aggregate(OverFunction::Max),
            "first_value" => Self::First { last: false },
            "last_value" => Self::First { last: true },
            "row_number" => Self::Position(OverFunction::RowNumber),
            "rank" => Self::Position(OverFunction::Rank),
            "dense_rank" => Self::Position(OverFunction::DenseRank),
            "lag" => Self::Distance { ahead: false },
            "lead" => Self::Distance { ahead: true },
            other => return Err(refused(other)),
        })
    }

    pub(super) fn lowered(
        self,
        expression: &LogicalExpr,
        call: &WindowFunction,
        schema: &DFSchema,
        stream: &Stream,
    ) -> Result<Call> {
        let WindowFunctionParams { args, window_frame, filter, null_treatment, distinct, .. } = &call.params;
        let name = call.fun.name().to_uppercase();
        if *distinct {
            return Err(Error::user(format!("`{name}(DISTINCT …) OVER (…)` is not supported"))
                .with_help("leave DISTINCT out, or aggregate per window"));
        }
        if null_treatment.is_some() && !matches!(self, Self::First { .. }) {
            return Err(Error::user(format!(
                "IGNORE NULLS and RESPECT NULLS are not supported for `{name}(…) OVER (…)`"
            ))
            .with_help("LAG and LEAD count all rows, and aggregates pass over nulls"));
        }
        if filter.is_some() && !matches!(self, Self::Aggregate(_) | Self::First { .. }) {
            return Err(Error::user(format!("FILTER is not supported for `{name}(…) OVER (…)`"))
                .with_help("filter the rows in a subquery"));
        }
        let arguments = args.iter().filter(|argument| !is_star(argument));
        let mut arguments = arguments.map(|argument| typed(argument, schema, stream)).collect::<Result<Vec<_>>>()?;
        let mut result = Call {
            function: OverFunction::Count,
            frame: OverFrame::Range(None),
            argument: None,
            default: None,
            name: format!("{}(…)", call.fun.name()),
            data_type: expression.get_type(schema).map_err(from_planner)?,
        };
        match self {
            Self::Position(function) => result.function = function,
            Self::Distance { ahead } => distance(&mut result, arguments, ahead, &name)?,
            Self::Aggregate(function) => {
                result.frame = frame(window_frame, &name)?;
                result.function = function;
                let constant = |argument: &Typed| matches!(&argument.expression, Expr::Literal(literal) if literal.value != LiteralValue::Null);
                if function == OverFunction::Count {
                    if arguments.len() > 1 {
                        return Err(Error::user("COUNT of several columns is not supported yet")
                            .with_help("count one expression"));
                    }
                    arguments.retain(|argument| !constant(argument));
                }
                result.argument = arguments.pop();
                if let (OverFunction::Avg, Some(argument)) = (function, &mut result.argument) {
                    exact_average(argument, stream);
                }
                filtered(&mut result, filter.as_deref(), schema, stream)?;
            }
            Self::First { last } => {
                let respect_nulls = matches!(null_treatment, Some(NullTreatment::RespectNulls));
                result.frame = frame(window_frame, &name)?;
                result.function = match last {
                    false => OverFunction::FirstValue { respect_nulls },
                    true => OverFunction::LastValue { respect_nulls },
                };
                result.argument = arguments.pop();
                if filter.is_some() && respect_nulls {
                    return Err(Error::user(format!(
                        "FILTER and RESPECT NULLS of one `{name}(…) OVER (…)` are not supported"
                    ))
                    .with_help("filter the rows in a subquery"));
                }
                filtered(&mut result, filter.as_deref(), schema, stream)?;
            }
        }
        if let Some(argument) = &result.argument {
            result.name = format!("{}({})", call.fun.name(), shown(argument, stream));
        } else {
            result.name =
                format!("{}({})", call.fun.name(), if result.function == OverFunction::Count { "*" } else { "" });
        }
        Ok(result)
    }
}

/// The argument of `COUNT(*)`.
#[allow(deprecated, reason = "the planner still makes it of a star in a function with OVER")]
fn is_star(argument: &LogicalExpr) -> bool {
    matches!(argument, LogicalExpr::Wildcard { .. })
}

fn shown(argument: &Typed, stream: &Stream) -> String {
    argument.clone().wanted("…", &stream.columns).column.name
}

/// `FILTER (WHERE …)`: of other rows the argument is null, and counts for nothing.
fn filtered(call: &mut Call, filter: Option<&LogicalExpr>, schema: &DFSchema, stream: &Stream) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    let filter = typed(filter, schema, stream)?;
    let present = || Typed {
        expression: Expr::Literal(Literal { data_type: DataType::Boolean, value: LiteralValue::Boolean(true) }),
        data_type: DataType::Boolean,
    };
    let Typed { expression, data_type } = call.argument.take().unwrap_or_else(present);
    let expression = Expr::Case { operand: None, branches: vec![(filter.expression, expression)], otherwise: None };
    call.argument = Some(Typed { expression, data_type });
    Ok(())
}

/// `LAG` and `LEAD`: the value, how many rows away, and what stands in for it where there is none.
fn distance(call: &mut Call, arguments: Vec<Typed>, ahead: bool, name: &str) -> Result<()> {
    let mut arguments = arguments.into_iter();
    let value = arguments.next();
    let value =
        value.ok_or_else(|| Error::user(format!("{name} needs a value")).with_help(format!("write `{name}(x, 1)`")))?;
    let distance = match arguments.next().map(|argument| argument.expression) {
        None => 1,
        Some(Expr::Literal(Literal { value: LiteralValue::Int(rows @ 0..), .. })) => rows.unsigned_abs(),
        Some(_) => {
            return Err(Error::user(format!(
                "the number of rows of {name} has to be a whole number from 0 that is written out"
            ))
            .with_help(format!("write `{name}(x, 1)`")));
        }
    };
    if let Some(default) = arguments.next() {
        if arguments.next().is_some() {
            return Err(Error::user(format!("{name} has three arguments at most"))
                .with_help(format!("write `{name}(x, 1, 0)`")));
        }
        call.default = Some(as_type_of(&value, default, name)?);
    }
    call.function = if ahead { OverFunction::Lead(distance) } else { OverFunction::Lag(distance) };
    call.data_type = value.data_type.clone();
    call.argument = Some(value);
    Ok(())
}

fn as_type_of(value: &Typed, default: Typed, name: &str) -> Result<Typed> {
    if default.data_type == value.data_type {
        return Ok(default);
    }
    let are_numbers = value.data_type.is_numeric() && default.data_type.is_numeric();
    let has_room = || compared_type(&value.data_type, &default.data_type).as_ref() == Some(&value.data_type);
    let fits = default.data_type == DataType::Null || (are_numbers && has_room());
    if !fits {
        let (value, default) = (sql_type_name(&value.data_type), sql_type_name(&default.data_type));
        return Err(Error::user(format!("the default of {name} is {default}, and its value {value}"))
            .with_help("CAST one of them to the type of the other"));
    }
    let data_type = value.data_type.clone();
    Ok(Typed {
        expression: Expr::Cast { operand: Box::new(default.expression), data_type: data_type.clone(), safe: false },
        data_type,
    })
}

fn frame(frame: &WindowFrame, name: &str) -> Result<OverFrame> {
    if frame.end_bound != WindowFrameBound::CurrentRow {
        return Err(Error::user(format!("the frame of `{name}(…) OVER (…)` has to end at the current row")).with_help(
            "write `ROWS BETWEEN 10 PRECEDING AND CURRENT ROW` or `RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW`",
        ));
    }
    let wrong = || {
        Error::user(format!("the frame of `{name}(…) OVER (…)` begins in a way that is not supported")).with_help(
            "write UNBOUNDED PRECEDING, CURRENT ROW, for ROWS a number that is written out, as in `10 PRECEDING`, or for RANGE an interval \
             of days or shorter units, as in `INTERVAL '1' HOUR PRECEDING`",
        )
    };
    match (frame.units, &frame.start_bound) {
        (WindowFrameUnits::Rows, WindowFrameBound::CurrentRow) => Ok(OverFrame::Rows(Some(0))),
        (WindowFrameUnits::Range, WindowFrameBound::CurrentRow) => Ok(OverFrame::Range(Some(0))),
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(bound)) if bound.is_null() => Ok(OverFrame::Rows(None)),
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(bound)) if bound.is_null() => Ok(OverFrame::Range(None)),
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows)))) => {
            Ok(OverFrame::Rows(Some(*rows)))
        }
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(bound)) => {
            milliseconds(bound).filter(|time| *time >= 0).map(|time| OverFrame::Range(Some(time))).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// An interval of days and shorter units.
fn milliseconds(bound: &ScalarValue) -> Option<i64> {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    match bound {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            let time = interval.nanoseconds;
            (time % 1_000_000 == 0).then(|| i64::from(interval.days) * DAY + time / 1_000_000)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            Some(i64::from(interval.days) * DAY + i64::from(interval.milliseconds))
        }
        _ => None,
    }
}

fn refused(function: &str) -> Error {
    let name = function.to_uppercase();
    let needs_end = matches!(function, "ntile" | "percent_rank" | "cume_dist");
    let error = match needs_end {
        true => Error::user(format!(
            "`{name}(…) OVER (…)` would have to wait for the end of the stream, and is not supported"
        )),
        false => Error::user(format!("`{name}(…) OVER (…)` is not supported yet")),
    };
    error.with_help(
        "COUNT, SUM, AVG, MIN, MAX, FIRST_VALUE, LAST_VALUE, LAG, LEAD, ROW_NUMBER, RANK and DENSE_RANK are; other aggregates work per \
         window, with GROUP BY window_start, window_end",
    )
}
