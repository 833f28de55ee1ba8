//! From [`weir_core::Expr`] to DataFusion's physical expressions, and to those of this crate where DataFusion's would wrap,
//! evaluate too much, or go by the bits of floating-point numbers.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Schema};
use datafusion_common::DataFusionError;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::Operator;
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_physical_expr::expressions::{
    BinaryExpr, Column, Literal, case, in_list, is_not_null, is_null, like, negative, not,
};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use weir_core::{BinaryOperator, Error, Expr, Literal as Constant, LiteralValue, Result};
use weir_functions::Functions;
use weir_functions::arithmetic::{Arithmetic, is_exact, operator};
use weir_functions::failure::values;
use weir_functions::floats::compares_arguments;

use super::arithmetic::{Exact, align};
use super::canonical::canonical;
use super::convert::convert;
use super::guard::{Connective, Guarded};
use super::{literal, no_column, refused};

type Kernel = Arc<dyn PhysicalExpr>;

/// The rows' time zone is UTC; nothing else of the configuration matters to a kernel.
static CONFIG: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| {
    let mut config = ConfigOptions::default();
    config.execution.time_zone = Some("+00:00".to_owned());
    Arc::new(config)
});

/// What an expression may name.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub input: &'a Schema,
    pub functions: &'a Functions,
}

/// The kernel of an expression; of a `condition` only the rows are wanted where it is true.
pub(super) fn compile(expr: &Expr, scope: Scope<'_>, condition: bool) -> Result<Kernel> {
    let input = scope.input;
    let one = |expr: &Expr| compile(expr, scope, false);
    let comparable = |expr: &Expr| canonical(one(expr)?, input).map_err(refused);
    match expr {
        Expr::Column(index) => {
            let field = input.fields().get(*index).ok_or_else(|| no_column(*index, input))?;
            Ok(Arc::new(Column::new(field.name(), *index)))
        }
        Expr::Literal(literal) => Ok(Arc::new(Literal::new(literal::scalar(literal)?))),
        Expr::Binary { operator: BinaryOperator::And | BinaryOperator::Or, .. } => connected(expr, scope, condition),
        Expr::Binary { operator, left, right } => binary(*operator, left, right, scope),
        Expr::Not(operand) => not(one(operand)?).map_err(refused),
        Expr::Negative(operand) => {
            let operand = one(operand)?;
            match is_exact(&operand.data_type(input).map_err(refused)?) {
                true => Ok(Arc::new(Exact { arithmetic: Arithmetic::Negative, operands: vec![operand] })),
                false => negative(operand, input).map_err(refused),
            }
        }
        Expr::IsNull(operand) => is_null(one(operand)?).map_err(refused),
        Expr::IsNotNull(operand) => is_not_null(one(operand)?).map_err(refused),
        Expr::Like { negated, case_insensitive, operand, pattern } => {
            like(*negated, *case_insensitive, one(operand)?, one(pattern)?, input).map_err(refused)
        }
        Expr::InList { operand, list, negated } if list.iter().any(|item| !matches!(item, Expr::Literal(_))) => {
            one(&equal_to_any(operand, list, *negated))
        }
        Expr::InList { operand, list, negated } => {
            let mut operand = comparable(operand)?;
            let mut list = list.iter().map(comparable).collect::<Result<Vec<_>>>()?;
            align(std::iter::once(&mut operand).chain(&mut list), input).map_err(refused)?;
            in_list(operand, list, negated, input).map_err(refused)
        }
        Expr::Case { operand, branches, otherwise } => {
            let when = |expr: &Expr| if operand.is_some() { comparable(expr) } else { compile(expr, scope, true) };
            let mut branches: Vec<(Kernel, Kernel)> =
                branches.iter().map(|(condition, then)| Ok((when(condition)?, one(then)?))).collect::<Result<_>>()?;
            let mut otherwise = otherwise.as_deref().map(one).transpose()?;
            let mut operand = operand.as_deref().map(comparable).transpose()?;
            align(branches.iter_mut().map(|(_, then)| then).chain(&mut otherwise), input).map_err(refused)?;
            if let Some(operand) = &mut operand {
                let conditions = branches.iter_mut().map(|(condition, _)| condition);
                align(std::iter::once(operand).chain(conditions), input).map_err(refused)?;
            }
            case(operand, branches, otherwise).map_err(refused)
        }
        Expr::Cast { operand, data_type, safe } => convert(one(operand)?, input, data_type, *safe).map_err(refused),
        Expr::Function { name, arguments, data_type } => match (name.as_str(), arguments.as_slice()) {
            ("coalesce", _) => {
                convert(one(&first_that_is_not_null(arguments))?, input, data_type, false).map_err(refused)
            }
            ("nullif", [value, other]) => {
                convert(one(&null_if_equal(value, other, data_type))?, input, data_type, false).map_err(refused)
            }
            _ if compares_arguments(name) => {
                let arguments = arguments.iter().map(comparable).collect::<Result<_>>()?;
                function(name, arguments, data_type, scope)
            }
            _ => function(name, arguments.iter().map(one).collect::<Result<_>>()?, data_type, scope),
        },
    }
}

/// `AND` and `OR`.
fn connected(expr: &Expr, scope: Scope<'_>, condition: bool) -> Result<Kernel> {
    let Expr::Binary { operator: connected, .. } = expr else { return compile(expr, scope, condition) };
    let connective = Connective { or: *connected == BinaryOperator::Or, condition };
    let mut parts = Vec::new();
    operands(expr, *connected, &mut parts);
    let column =
        |index: usize| scope.input.fields().get(index).map_or(DataType::Null, |field| field.data_type().clone());
    let (partial, total): (Vec<&Expr>, Vec<&Expr>) =
        parts.into_iter().partition(|part| values(part, &column).may_be_missing());
    let all =
        |parts: Vec<&Expr>| parts.into_iter().map(|part| compile(part, scope, condition)).collect::<Result<Vec<_>>>();
    let (total, partial) = (all(total)?, all(partial)?);
    if partial.is_empty() {
        let both = |left, right| Arc::new(BinaryExpr::new(left, connective.operator(), right)) as Kernel;
        let connected = total.into_iter().reduce(both);
        return connected.ok_or_else(|| Error::internal("AND and OR of nothing"));
    }
    Ok(Arc::new(Guarded::new(connective, total, partial).map_err(refused)?))
}

/// What `expr` connects with that operator.
fn operands<'a>(expr: &'a Expr, connected: BinaryOperator, into: &mut Vec<&'a Expr>) {
    match expr {
        Expr::Binary { operator, left, right } if *operator == connected => {
            operands(left, connected, into);
            operands(right, connected, into);
        }
        other => into.push(other),
    }
}

fn binary(binary: BinaryOperator, left: &Expr, right: &Expr, scope: Scope<'_>) -> Result<Kernel> {
    let input = scope.input;
    let (left, right) = (compile(left, scope, false)?, compile(right, scope, false)?);
    let operator = operator(binary);
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    if matches!(operator, Plus | Minus | Multiply | Divide | Modulo) {
        let exact = |operand: &Kernel| operand.data_type(input).map(|data_type| is_exact(&data_type)).map_err(refused);
        if exact(&left)? && exact(&right)? {
            return Ok(Arc::new(Exact { arithmetic: Arithmetic::Binary(operator), operands: vec![left, right] }));
        }
        return Ok(Arc::new(BinaryExpr::new(left, operator, right).with_fail_on_overflow(true)));
    }
    let (mut left, mut right) = (canonical(left, input).map_err(refused)?, canonical(right, input).map_err(refused)?);
    align([&mut left, &mut right].into_iter(), input).map_err(refused)?;
    Ok(Arc::new(BinaryExpr::new(left, operator, right)))
}

/// `IN` with parts that are no constants. DataFusion's own takes for one what is one over no rows, as a `CASE` may be.
fn equal_to_any(operand: &Expr, list: &[Expr], negated: bool) -> Expr {
    let (constants, computed): (Vec<&Expr>, Vec<&Expr>) =
        list.iter().partition(|item| matches!(item, Expr::Literal(_)));
    let operand = Box::new(operand.clone());
    let constants = constants.into_iter().cloned().collect::<Vec<_>>();
    let of_constants = Expr::InList { operand: operand.clone(), list: constants.clone(), negated: false };
    let equal = |item: &Expr| Expr::Binary {
        operator: BinaryOperator::Eq,
        left: operand.clone(),
        right: Box::new(item.clone()),
    };
    let parts = (!constants.is_empty()).then_some(of_constants).into_iter().chain(computed.into_iter().map(equal));
    let any = parts.reduce(|left, right| Expr::Binary {
        operator: BinaryOperator::Or,
        left: Box::new(left),
        right: Box::new(right),
    });
    let any = any.unwrap_or(Expr::InList { operand, list: Vec::new(), negated: false });
    if negated { Expr::Not(Box::new(any)) } else { any }
}

/// `COALESCE`, which computes no value behind the one that it returns.
fn first_that_is_not_null(arguments: &[Expr]) -> Expr {
    let (last, others) = match arguments {
        [others @ .., last] => (last, others),
        [] => return null(&DataType::Null),
    };
    if others.is_empty() {
        return last.clone();
    }
    let branches = others.iter().map(|value| (Expr::IsNotNull(Box::new(value.clone())), value.clone()));
    Expr::Case { operand: None, branches: branches.collect(), otherwise: Some(Box::new(last.clone())) }
}

/// `NULLIF`.
fn null_if_equal(value: &Expr, other: &Expr, data_type: &DataType) -> Expr {
    let (left, right) = (Box::new(value.clone()), Box::new(other.clone()));
    let equal = Expr::Binary { operator: BinaryOperator::Eq, left, right };
    Expr::Case { operand: None, branches: vec![(equal, null(data_type))], otherwise: Some(Box::new(value.clone())) }
}

fn null(data_type: &DataType) -> Expr {
    Expr::Literal(Constant { data_type: data_type.clone(), value: LiteralValue::Null })
}

fn function(name: &str, arguments: Vec<Kernel>, data_type: &DataType, scope: Scope<'_>) -> Result<Kernel> {
    let Scope { input, functions } = scope;
    let function = functions
        .scalar(name)
        .ok_or_else(|| Error::user(format!("this version of Weir has no scalar function `{name}`")))?;
    let fields = arguments
        .iter()
        .map(|argument| argument.return_field(input))
        .collect::<Result<Vec<_>, DataFusionError>>()
        .map_err(refused)?;
    let wanted = fields_with_udf(&fields, function.as_ref()).map_err(refused)?;
    let arguments = arguments
        .into_iter()
        .zip(wanted)
        .map(|(argument, field)| convert(argument, input, field.data_type(), false))
        .collect::<Result<Vec<_>, DataFusionError>>()
        .map_err(refused)?;
    let call = ScalarFunctionExpr::try_new(function, arguments, input, CONFIG.clone()).map_err(refused)?;
    convert(Arc::new(call), input, data_type, false).map_err(refused)
}
