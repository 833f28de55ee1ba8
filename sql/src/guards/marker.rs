//! The function `$guarded(n, condition)`: the condition as it is. Its number says where it stands among others: those with
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

/// Gives each guarded condition of a query a number of its own.
#[derive(Debug, Default)]
pub(crate) struct Marker(Cell<u64>);

impl Marker {
    fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

/// The condition, marked as one that can fail.
pub(crate) fn mark(condition: Expr, marker: &Marker) -> Expr {
    FUNCTION.call(vec![lit(marker.next()), condition])
}

/// The number and the condition, if it is marked.
pub(crate) fn marked(expr: &Expr) -> Option<(u64, &Expr)> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == NAME => match call.args.as_slice() {
            [Expr::Literal(ScalarValue::UInt64(Some(number)), _), condition] => Some((*number, condition)),
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

    /// The condition's: a column is called after what was written.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.last().map(|condition| condition.schema_name().to_string()).unwrap_or_default())
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

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.pop() {
            Some(condition) => Ok(condition),
            None => internal_err!("`{NAME}` has no argument"),
        }
    }
}
