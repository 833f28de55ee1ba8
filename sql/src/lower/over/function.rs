//! What a function with `OVER` is, and over which rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::{AggregateFunction, NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion_expr::{Expr as LogicalExpr, ExprSchemable, WindowFunctionDefinition};
use weir_core::plugin::PluginFunction;
use weir_core::{Error, Expr, FramedFunction, Literal, LiteralValue, OverFunction, OverRows, Result};
use weir_functions::Functions;

use super::super::call as aggregate;
use super::super::error::from_planner;
use super::super::stream::{Stream, Typed, typed};
use super::frame::{BEFORE, BEHIND, frame};
use super::{Call, Computed};
use crate::coercion::compared_type;
use crate::parse::sql_type_name;

/// A function that the operator knows.
pub(super) enum Function {
    Aggregate(OverFunction),
    First { last: bool },
    Position(OverFunction),
    Distance { ahead: bool },
    Share(FramedFunction),
    Ntile,
    Nth,
    Other,
}

impl Function {
    pub(super) fn of(call: &WindowFunction) -> Self {
        let known = match call.fun.name() {
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
            "percent_rank" => Self::Share(FramedFunction::PercentRank),
            "cume_dist" => Self::Share(FramedFunction::CumeDist),
            "ntile" => Self::Ntile,
            "nth_value" => Self::Nth,
            _ => Self::Other,
        };
        // The least and the greatest value are the same of different values; of other aggregates values are told apart.
        let told_apart = matches!(known, Self::Aggregate(OverFunction::Count | OverFunction::Sum | OverFunction::Avg));
        if call.params.distinct && told_apart { Self::Other } else { known }
    }

    /// The call over the stream's base. `order` is the type of what rows are ordered by, if that is one expression.
    pub(super) fn lowered(
        self,
        expression: &LogicalExpr,
        call: &WindowFunction,
        order: Option<&DataType>,
        (schema, stream): (&DFSchema, &Stream),
    ) -> Result<Call> {
        let WindowFunctionParams { args, window_frame, filter, null_treatment, .. } = &call.params;
        let name = call.fun.name().to_uppercase();
        self.check(call, &name)?;
        let arguments = args.iter().filter(|argument| !is_star(argument));
        let mut arguments = arguments.map(|argument| typed(argument, schema, stream)).collect::<Result<Vec<_>>>()?;
        let mut result = Call {
            computed: Computed::Known(FramedFunction::Over(OverFunction::Count)),
            frame: OverRows::ALL,
            argument: None,
            default: None,
            name: String::new(),
            data_type: expression.get_type(schema).map_err(from_planner)?,
        };
        let known = |function| Computed::Known(FramedFunction::Over(function));
        let ignores_nulls = matches!(null_treatment, Some(NullTreatment::IgnoreNulls));
        let mut shown_as = None;
        match self {
            Self::Position(function) => result.computed = known(function),
            Self::Share(function) => result.computed = Computed::Known(function),
            Self::Ntile => {
                let parts = number(arguments.pop(), &name, "NTILE(4)")?;
                shown_as = Some(parts.to_string());
                result.computed = Computed::Known(FramedFunction::Ntile(parts));
            }
            Self::Nth => {
                result.frame = frame(window_frame, order, &name)?;
                let nth = number(arguments.pop(), &name, "NTH_VALUE(x, 2)")?;
                result.argument = arguments.pop();
                result.computed = Computed::Known(match ignores_nulls {
                    true => FramedFunction::NthPresent { number: nth, from_last: false },
                    false => FramedFunction::NthValue(nth),
                });
            }
            Self::Distance { ahead } => distance(&mut result, arguments, (ahead, ignores_nulls), &name)?,
            Self::Aggregate(function) => {
                result.frame = frame(window_frame, order, &name)?;
                result.computed = known(function);
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
                    aggregate::exact_average(argument, stream);
                }
                filtered(&mut result, filter.as_deref(), schema, stream)?;
            }
            Self::First { last } => {
                let respect_nulls = matches!(null_treatment, Some(NullTreatment::RespectNulls));
                result.frame = frame(window_frame, order, &name)?;
                result.computed = known(match last {
                    false => OverFunction::FirstValue { respect_nulls },
                    true => OverFunction::LastValue { respect_nulls },
                });
                result.argument = arguments.pop();
                if filter.is_some() && respect_nulls {
                    return Err(Error::user(format!(
                        "FILTER and RESPECT NULLS of one `{name}(…) OVER (…)` are not supported"
                    ))
                    .with_help("filter the rows in a subquery"));
                }
                filtered(&mut result, filter.as_deref(), schema, stream)?;
            }
            Self::Other => {
                result.frame = frame(window_frame, order, &name)?;
                let distinct = if call.params.distinct { "DISTINCT " } else { "" };
                shown_as = arguments.first().map(|argument| format!("{distinct}{}", shown(argument, stream)));
                result.computed = Computed::Aggregate(self::aggregate(call, schema, stream)?);
            }
        }
        let is_count = matches!(&result.computed, Computed::Known(FramedFunction::Over(OverFunction::Count)));
        let argument = result.argument.as_ref().map(|argument| shown(argument, stream)).or(shown_as);
        let argument = argument.unwrap_or_else(|| if is_count { "*" } else { "" }.to_owned());
        result.name = format!("{}({argument})", call.fun.name());
        Ok(result)
    }

    /// Refuses the clauses that the function does not take.
    fn check(&self, call: &WindowFunction, name: &str) -> Result<()> {
        let WindowFunctionParams { filter, null_treatment, distinct, .. } = &call.params;
        if *distinct && !matches!(self, Self::Aggregate(OverFunction::Min | OverFunction::Max) | Self::Other) {
            return Err(
                Error::user(format!("`{name}(DISTINCT …) OVER (…)` is not supported")).with_help("leave DISTINCT out")
            );
        }
        let may_pass_over = matches!(self, Self::First { .. } | Self::Nth | Self::Distance { .. } | Self::Other);
        if null_treatment.is_some() && !may_pass_over {
            let what = "IGNORE NULLS and RESPECT NULLS are not supported";
            return Err(Error::user(format!("{what} for `{name}(…) OVER (…)`"))
                .with_help("leave them out: aggregates pass over nulls, and row numbers count all rows"));
        }
        if filter.is_some() && !matches!(self, Self::Aggregate(_) | Self::First { .. } | Self::Other) {
            return Err(Error::user(format!("FILTER is not supported for `{name}(…) OVER (…)`"))
                .with_help("filter the rows in a subquery"));
        }
        Ok(())
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

/// `LAG` and `LEAD`: the value, how many rows away, or how many values, and what stands in for it where there is none.
fn distance(call: &mut Call, arguments: Vec<Typed>, (ahead, ignores_nulls): (bool, bool), name: &str) -> Result<()> {
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
    call.computed = Computed::Known(match (ignores_nulls, ahead) {
        (true, _) if distance == 0 => {
            return Err(Error::user(format!("the number of {name} with IGNORE NULLS has to be 1 or more"))
                .with_help("the value of the row itself is `x`"));
        }
        (true, ahead) => {
            call.frame = if ahead { BEHIND } else { BEFORE };
            FramedFunction::NthPresent { number: distance, from_last: !ahead }
        }
        (false, true) => FramedFunction::Over(OverFunction::Lead(distance)),
        (false, false) => FramedFunction::Over(OverFunction::Lag(distance)),
    });
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
    let fits =
        default.data_type == DataType::Null || (are_numbers && (has_room() || is_whole_and_fits(&default, value)));
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

/// Whether a number that is written out, as `0` is, is one of the value's type too.
fn is_whole_and_fits(number: &Typed, value: &Typed) -> bool {
    let Expr::Literal(Literal { value: LiteralValue::Int(number), .. }) = number.expression else { return false };
    match value.data_type {
        DataType::Int8 => i8::try_from(number).is_ok(),
        DataType::Int16 => i16::try_from(number).is_ok(),
        DataType::Decimal128(precision, scale) => {
            let digits = number.unsigned_abs().checked_ilog10().map_or(0, |digits| digits + 1);
            i64::from(digits) <= i64::from(precision) - i64::from(scale)
        }
        _ => false,
    }
}

/// `NTILE` and `NTH_VALUE`: a number from 1.
fn number(argument: Option<Typed>, name: &str, example: &str) -> Result<u64> {
    match argument.map(|argument| argument.expression) {
        Some(Expr::Literal(Literal { value: LiteralValue::Int(number @ 1..), .. })) => Ok(number.unsigned_abs()),
        _ => Err(Error::user(format!("the number of {name} has to be a whole number from 1 that is written out"))
            .with_help(format!("write `{example}`"))),
    }
}

/// Any other aggregate, as where there are groups.
fn aggregate(call: &WindowFunction, schema: &DFSchema, stream: &Stream) -> Result<aggregate::Call> {
    let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return Err(refused(call.fun.name())) };
    if Functions::is_of_plugin(function) {
        let name = PluginFunction::name_in_sql(function.name());
        return Err(Error::user(format!("`{name}(…) OVER (…)` is not supported: the function is of a plugin"))
            .with_help("aggregate with GROUP BY, and join what comes of it"));
    }
    let WindowFunctionParams { args, filter, distinct, null_treatment, .. } = &call.params;
    let group = AggregateFunction::new_udf(
        Arc::clone(function),
        args.clone(),
        *distinct,
        filter.clone(),
        Vec::new(),
        *null_treatment,
    );
    aggregate::call(&LogicalExpr::AggregateFunction(group), schema, stream)
}

fn refused(function: &str) -> Error {
    Error::user(format!("`{}(…) OVER (…)` is not supported", function.to_uppercase())).with_help(
        "aggregates are, and FIRST_VALUE, LAST_VALUE, NTH_VALUE, LAG, LEAD, ROW_NUMBER, RANK, DENSE_RANK, PERCENT_RANK, CUME_DIST and NTILE",
    )
}
