//! Which of DataFusion's expressions can fail. What is known about operators, casts and functions is in
//! [`weir_functions::failure`].

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ExprSchemable};
use weir_functions::arithmetic::Arithmetic;
use weir_functions::conversion::Conversion;
use weir_functions::failure::Values;

use super::lossy::revealed;
use super::marker::marked;

/// Whether evaluating `expr` over rows of `schema` can fail because of a row. Times that leave what their type has room
/// for do not count.
pub(crate) fn can_fail(expr: &Expr, schema: &DFSchema) -> bool {
    values(expr, schema).can_fail
}

fn values(expr: &Expr, schema: &DFSchema) -> Values {
    let of = |expr: &Expr| values(expr, schema);
    let data_type = || expr.get_type(schema).unwrap_or(DataType::Null);
    if let Some((_, condition)) = marked(expr) {
        return of(condition);
    }
    if let Some(cast) = revealed(expr) {
        return of(cast);
    }
    match expr {
        Expr::Alias(alias) => of(&alias.expr),
        Expr::Column(_) | Expr::OuterReferenceColumn(..) => Values::of_type(data_type()),
        Expr::Literal(value, _) => Values::scalar(value),
        Expr::BinaryExpr(binary) => of(&binary.left).binary(binary.op, of(&binary.right)),
        Expr::Negative(operand) => of(operand).negative(),
        Expr::Not(operand)
        | Expr::IsNull(operand)
        | Expr::IsNotNull(operand)
        | Expr::IsUnknown(operand)
        | Expr::IsNotUnknown(operand)
        | Expr::IsTrue(operand)
        | Expr::IsNotTrue(operand)
        | Expr::IsFalse(operand)
        | Expr::IsNotFalse(operand) => Values::condition([&of(operand)]),
        Expr::Between(between) => Values::condition([&of(&between.expr), &of(&between.low), &of(&between.high)]),
        Expr::Like(like) => Values::condition([&of(&like.expr), &of(&like.pattern)]),
        Expr::InList(list) => {
            Values::condition(std::iter::once(&*list.expr).chain(&list.list).map(of).collect::<Vec<_>>().iter())
        }
        Expr::Case(case) => {
            let branches = || case.when_then_expr.iter();
            let conditions = case.expr.as_deref().into_iter().chain(branches().map(|(when, _)| &**when));
            let condition = Values::condition(conditions.map(of).collect::<Vec<_>>().iter());
            let results = branches().map(|(_, then)| &**then).chain(case.else_expr.as_deref());
            let mut result = Values::any_of(&results.map(of).collect::<Vec<_>>());
            result.can_fail |= condition.can_fail;
            result
        }
        Expr::Cast(cast) => of(&cast.expr).cast(cast.field.data_type(), false),
        Expr::TryCast(cast) => of(&cast.expr).cast(cast.field.data_type(), true),
        Expr::ScalarFunction(call) => {
            if let (Some(conversion), [operand]) = (Conversion::of(&call.func), call.args.as_slice()) {
                return of(operand).cast(&conversion.to, conversion.safe);
            }
            let mut arguments: Vec<Values> = call.args.iter().map(of).collect();
            match Arithmetic::of_function(call.func.name()) {
                Some(Arithmetic::Binary(operator)) if arguments.len() == 2 => {
                    let right = arguments.remove(1);
                    arguments.remove(0).binary(operator, right)
                }
                Some(Arithmetic::Negative) if arguments.len() == 1 => arguments.remove(0).negative(),
                _ => Values::function(call.func.name(), &arguments, &data_type()),
            }
        }
        _ => Values::unknown(data_type()),
    }
}
