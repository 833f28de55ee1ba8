//! The function `$guarded(n, expression)`: the expression as it is. Its number says where a condition stands among others: those with
//! lower numbers are evaluated before it.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

const NAME: &str = "$guarded";

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Guarded { signature: Signature::user_defined(Volatility::Immutable) })));

/// Gives each guarded expression of a query a number of its own.
#[derive(Debug, Default)]
pub(crate) struct Marker(Cell<u64>);

impl Marker {
    fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

/// The expression, marked as one that can fail, or that no rule is to have in common with another.
pub(crate) fn mark(expr: Expr, marker: &Marker) -> Expr {
    FUNCTION.call(vec![lit(marker.next()), expr])
}

/// The number and the expression, if it is marked.
pub(crate) fn marked(expr: &Expr) -> Option<(u64, &Expr)> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == NAME => match call.args.as_slice() {
            [Expr::Literal(ScalarValue::UInt64(Some(number)), _), expr] => Some((*number, expr)),
            _ => None,
        },
        _ => None,
    }
}

/// The conditions that `predicate` is the conjunction of, in their order and without marks.
pub(crate) fn conjuncts(predicate: &Expr, into: &mut Vec<Expr>) {
    match (predicate, marked(predicate)) {
        (_, Some((_, condition))) => conjuncts(condition, into),
        (Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }), None) => {
            conjuncts(left, into);
            conjuncts(right, into);
        }
        (other, None) => into.push(other.clone()),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    signature: Signature,
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        NAME
    }

    /// The expression's: a column is called after what was written.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.last().map(|expr| expr.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// So that nothing of it is computed ahead as a common part of several expressions.
    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        Some((Vec::new(), args.iter().collect()))
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.last() {
            Some(data_type) => Ok(data_type.clone()),
            None => internal_err!("`{NAME}` has no argument"),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.pop() {
            Some(values) => Ok(values),
            None => internal_err!("`{NAME}` has no argument"),
        }
    }
}
