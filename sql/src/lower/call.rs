//! Calls of aggregate functions.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::NullTreatment;
use datafusion_expr::{Expr as LogicalExpr, ExprSchemable, Volatility};
use weir_core::plugin::PluginFunction;
use weir_core::{AggregateCall, AggregateFunction, BinaryOperator, Error, Expr, Literal, LiteralValue, Result};
use weir_functions::Functions;
use weir_functions::failure::values;

use super::error::from_planner;
use super::stream::{Stream, StreamColumn, Typed, typed};

/// A call whose inputs are expressions over a stream's base and pending columns.
#[derive(Debug)]
pub(super) struct Call {
    function: AggregateFunction,
    name: String,
    arguments: Vec<Typed>,
    constants: Vec<Literal>,
    distinct: bool,
    filter: Option<Typed>,
    /// Expression, descending, nulls first.
    order_by: Vec<(Typed, bool, bool)>,
    data_type: DataType,
}

/// The call that `expression` is.
///
/// # Errors
/// A user error for what no accumulator does.
pub(super) fn call(expression: &LogicalExpr, schema: &DFSchema, stream: &Stream) -> Result<Call> {
    let inner = match expression {
        LogicalExpr::Alias(alias) => &*alias.expr,
        other => other,
    };
    let LogicalExpr::AggregateFunction(aggregate) = inner else {
        return Err(Error::internal(format!("`{expression}` is not an aggregate")));
    };
    let name = aggregate.func.name();
    let params = &aggregate.params;
    let mut arguments =
        params.args.iter().map(|argument| typed(argument, schema, stream)).collect::<Result<Vec<_>>>()?;
    let mut filter = params.filter.as_deref().map(|filter| typed(filter, schema, stream)).transpose()?;
    let lets_all_through = |filter: &Typed| matches!(&filter.expression, Expr::Literal(literal) if literal.value == LiteralValue::Boolean(true));
    filter = filter.filter(|filter| !lets_all_through(filter));
    let order_by = params
        .order_by
        .iter()
        .map(|sort| Ok((typed(&sort.expr, schema, stream)?, !sort.asc, sort.nulls_first)))
        .collect::<Result<Vec<_>>>()?;
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "first_value" => AggregateFunction::FirstValue,
        "last_value" => AggregateFunction::LastValue,
        other => AggregateFunction::Other(other.to_owned()),
    };
    let function = match &mut arguments[..] {
        [argument] if function == AggregateFunction::Avg && !params.distinct && order_by.is_empty() => {
            exact_average(argument, stream)
        }
        _ => function,
    };
    if function == AggregateFunction::Count {
        if arguments.len() > 1 {
            return Err(Error::user("COUNT of several columns is not supported yet")
                .with_help("count one expression, such as `COUNT(DISTINCT concat_ws('|', a, b))`"));
        }
        // COUNT(*) arrives as COUNT of a constant.
        let constant = |argument: &Typed| matches!(&argument.expression, Expr::Literal(literal) if literal.value != LiteralValue::Null);
        if !params.distinct && arguments.first().is_some_and(constant) {
            arguments.clear();
        }
    }
    if params.distinct && !takes_distinct(name) {
        return Err(Error::user(format!(
            "{}(DISTINCT …) is not supported",
            PluginFunction::name_in_sql(name).to_uppercase()
        ))
        .with_help(
            "remove what is there twice before: aggregate `SELECT DISTINCT window_start, window_end, x` of a subquery",
        ));
    }
    let shown = PluginFunction::name_in_sql(name);
    if Functions::is_of_plugin(&aggregate.func) {
        if !order_by.is_empty() {
            return Err(Error::user(format!("ORDER BY in a call of `{shown}` is not supported"))
                .with_help("a function of a plugin adds rows in the order in which they come"));
        }
        if aggregate.func.signature().volatility == Volatility::Volatile {
            return Err(Error::user(format!("the function `{shown}` gives another result each time"))
                .with_help("a result that is computed again after a restart has to come out as before"));
        }
    }
    let mut constants = Vec::new();
    if matches!(function, AggregateFunction::Other(_)) {
        while let [_, .., Typed { expression: Expr::Literal(literal), .. }] = arguments.as_slice() {
            constants.insert(0, literal.clone());
            arguments.pop();
        }
    }
    refuse_arguments(name, &arguments, &constants)?;
    // Their result is the same in every order.
    let order_by = if matches!(name, "count" | "sum" | "avg" | "min" | "max") { Vec::new() } else { order_by };
    match (&params.null_treatment, &function) {
        // As in Flink, nulls count for nothing unless the query says so.
        (None | Some(NullTreatment::IgnoreNulls), AggregateFunction::FirstValue | AggregateFunction::LastValue) => {
            // The first value that is not null is the first value of the rows where it is not.
            let nullable = params.args.first().is_some_and(|argument| argument.nullable(schema).unwrap_or(true));
            if let Some(argument) = arguments.first().filter(|_| nullable) {
                let present = Expr::IsNotNull(Box::new(argument.expression.clone()));
                let expression = match filter {
                    None => present,
                    Some(filter) => Expr::Binary {
                        operator: BinaryOperator::And,
                        left: Box::new(filter.expression),
                        right: Box::new(present),
                    },
                };
                filter = Some(Typed { expression, data_type: DataType::Boolean });
            }
        }
        (None | Some(NullTreatment::RespectNulls), _) => {}
        (Some(NullTreatment::IgnoreNulls), _) => {
            return Err(Error::user(format!("IGNORE NULLS is not supported for `{name}`"))
                .with_help(format!("filter them out: `{name}(x) FILTER (WHERE x IS NOT NULL)`")));
        }
    }
    Ok(Call {
        function,
        name: shown.to_owned(),
        arguments,
        constants,
        distinct: params.distinct,
        filter,
        order_by,
        data_type: inner.get_type(schema).map_err(from_planner)?,
    })
}

/// The average of an argument. One of whole numbers takes them as they are, and not as the DOUBLEs that the planner made of
/// them.
pub(super) fn exact_average(argument: &mut Typed, stream: &Stream) -> AggregateFunction {
    let Expr::Cast { operand, data_type: DataType::Float64, safe: false } = &argument.expression else {
        return AggregateFunction::Avg;
    };
    let columns = stream.columns_with_pending();
    let column = |index: usize| columns.get(index).map_or(DataType::Null, |column| column.data_type.clone());
    let data_type = values(operand, &column).data_type;
    if !data_type.is_integer() {
        return AggregateFunction::Avg;
    }
    *argument = Typed { expression: (**operand).clone(), data_type };
    AggregateFunction::ExactAvg
}

/// Refuses what DataFusion's accumulators would refuse when the job starts.
fn refuse_arguments(name: &str, arguments: &[Typed], constants: &[Literal]) -> Result<()> {
    match (name, arguments, constants) {
        ("approx_distinct", [argument], _) if argument.data_type.is_floating() => {
            Err(Error::user("APPROX_DISTINCT of floating-point numbers is not supported")
                .with_help("write COUNT(DISTINCT x), or CAST x to DECIMAL or STRING"))
        }
        ("string_agg", [_, _, ..], _) => Err(Error::user("the separator of LISTAGG has to be a constant")
            .with_help("append it to the values: `LISTAGG(x || separator, '')`")),
        ("min" | "max", [argument], _) if matches!(argument.data_type, DataType::Map(..)) => {
            Err(Error::user(format!("{} of a MAP is not supported, since maps have no order", name.to_uppercase()))
                .with_help("take one of its values, as in `m['key']`"))
        }
        ("min" | "max", [argument], _) if matches!(argument.data_type, DataType::List(_)) => {
            Err(Error::user(format!("{} of an ARRAY is not supported", name.to_uppercase()))
                .with_help("take one of its elements, as in `a[1]`"))
        }
        ("percentile_cont" | "approx_percentile_cont", [_, _, ..], _) => {
            Err(Error::user("a percentile has to be a constant").with_help("write 0.5 for the median"))
        }
        ("percentile_cont" | "approx_percentile_cont", _, [share, ..]) => {
            let share = match &share.value {
                LiteralValue::Float(bits) => f64::from_bits(*bits),
                LiteralValue::Int(0) => 0.0,
                LiteralValue::Int(1) => 1.0,
                _ => f64::NAN,
            };
            if (0.0..=1.0).contains(&share) {
                return Ok(());
            }
            Err(Error::user("a percentile is a number from 0 to 1").with_help("write 0.5 for the median"))
        }
        _ => Ok(()),
    }
}

/// Whether DataFusion's accumulator of that name sees each value once with `DISTINCT`. Of the others some refuse it when the job
/// starts, and some take no notice.
fn takes_distinct(name: &str) -> bool {
    matches!(
        name,
        "count"
            | "sum"
            | "avg"
            | "min"
            | "max"
            | "median"
            | "percentile_cont"
            | "var"
            | "var_pop"
            | "array_agg"
            | "string_agg"
            | "bool_and"
            | "bool_or"
            | "bit_and"
            | "bit_or"
            | "bit_xor"
            | "approx_distinct"
            | "first_value"
            | "last_value"
    )
}

impl Call {
    /// What the call reads, in the order in which [`placed`](Self::placed) expects the columns.
    pub fn typed_inputs(&self) -> impl Iterator<Item = &Typed> {
        self.arguments.iter().chain(&self.filter).chain(self.order_by.iter().map(|(order, ..)| order))
    }

    /// The call over the columns that its inputs have become, taken from `positions` in their order. Its name follows
    /// from what it computes, so that equal calls of differently written queries are equal.
    pub fn placed(self, positions: &mut dyn Iterator<Item = usize>, columns: &[StreamColumn]) -> AggregateCall {
        let mut next = || positions.next().unwrap_or_default();
        let arguments: Vec<usize> = self.arguments.iter().map(|_| next()).collect();
        let filter = self.filter.as_ref().map(|_| next());
        let order_by =
            self.order_by.iter().map(|(_, descending, nulls_first)| (next(), *descending, *nulls_first)).collect();
        let shown: Vec<&str> = arguments.iter().map(|argument| columns[*argument].name.as_str()).collect();
        let shown = if shown.is_empty() { "*".to_owned() } else { shown.join(", ") };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        AggregateCall {
            name: format!("{}({distinct}{shown})", self.name),
            function: self.function,
            arguments,
            constants: self.constants,
            distinct: self.distinct,
            filter,
            order_by,
            data_type: self.data_type,
        }
    }
}
