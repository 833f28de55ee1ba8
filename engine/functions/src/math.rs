//! Roots, powers and logarithms: DOUBLE of every number, as in Flink, and NaN where there is no result. DataFusion's compute FLOATs and
//! DECIMALs in types of their own, and fail where there is none.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use super::definition::{Definition, Doubles, Parameter, unchecked};

/// A function of one number.
macro_rules! of_one {
    ($constant:ident, $name:literal, $compute:expr) => {
        pub(super) const $constant: Definition = Definition {
            name: $name,
            usage: concat!($name, "(number)"),
            parameters: &[Parameter::Double],
            required: 1,
            returns: |_, _| DataType::Float64,
            check: unchecked,
            compute: |arguments, rows| {
                let numbers = arguments[0].to_array(rows)?;
                Ok(Arc::new(numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>($compute)))
            },
        };
    };
}

of_one!(SQRT, "sqrt", f64::sqrt);
of_one!(EXP, "exp", f64::exp);
of_one!(LN, "ln", f64::ln);
of_one!(LOG2, "log2", |number| number.ln() / 2_f64.ln());
of_one!(LOG10, "log10", f64::log10);

pub(super) const LOG: Definition = Definition {
    name: "log",
    usage: "LOG([base, ]number)",
    parameters: &[Parameter::Double, Parameter::Double],
    required: 1,
    returns: |_, _| DataType::Float64,
    check: unchecked,
    compute: log,
};

pub(super) const POWER: Definition = Definition {
    name: "power",
    usage: "POWER(number, exponent)",
    parameters: &[Parameter::Double, Parameter::Double],
    required: 2,
    returns: |_, _| DataType::Float64,
    check: unchecked,
    compute: |arguments, rows| of_two(arguments, rows, f64::powf),
};

pub(super) const E: Definition = Definition {
    name: "e",
    usage: "E()",
    parameters: &[],
    required: 0,
    returns: |_, _| DataType::Float64,
    check: unchecked,
    compute: |_, rows| Ok(Arc::new(Float64Array::from(vec![std::f64::consts::E; rows]))),
};

/// Without a base the natural logarithm.
fn log(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    match arguments {
        [_] => (LN.compute)(arguments, rows),
        _ => of_two(arguments, rows, |base, number| number.ln() / base.ln()),
    }
}

fn of_two(arguments: &[ColumnarValue], rows: usize, compute: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (left, right) = (Doubles::of(&arguments[0])?, Doubles::of(&arguments[1])?);
    let compute = |row| Some(compute(left.at(row)?, right.at(row)?));
    Ok(Arc::new((0..rows).map(compute).collect::<Float64Array>()))
}
