//! Compiles [`weir_core::Expr`] into kernels: DataFusion's physical expressions, evaluated a batch at a time.
//!
//! A column is not evaluated at all, its array is shared. What fails at run time (a division by zero, a cast of a value
//! that has no counterpart) fails because of a row, so it is a data error that quotes the expression.

mod arithmetic;
mod canonical;
mod compile;
mod convert;
mod guard;
mod literal;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use datafusion_common::DataFusionError;
use datafusion_physical_expr::PhysicalExpr;
use weir_core::{Error, Expr, Result};
use weir_functions::{Functions, types_in_sql};

use self::compile::{Scope, compile};
use self::convert::convert;

/// An expression, ready to be evaluated over batches of the schema that it was compiled against.
#[derive(Debug, Clone)]
pub struct CompiledExpr {
    kernel: Kernel,
    data_type: DataType,
}

#[derive(Debug, Clone)]
enum Kernel {
    Column(usize),
    Computed(Arc<dyn PhysicalExpr>),
}

impl CompiledExpr {
    /// Compiles `expr` over columns of `input`, with calls of `functions`.
    ///
    /// # Errors
    /// An internal error if the planner let through what does not type-check, a user error for an unknown function.
    pub fn new(expr: &Expr, input: &Schema, functions: &Functions) -> Result<Self> {
        if let Expr::Column(index) = expr {
            let field = input.fields().get(*index).ok_or_else(|| no_column(*index, input))?;
            return Ok(Self { kernel: Kernel::Column(*index), data_type: field.data_type().clone() });
        }
        let computed = compile(expr, Scope { input, functions }, false)?;
        let data_type = computed.data_type(input).map_err(refused)?;
        Ok(Self { kernel: Kernel::Computed(computed), data_type })
    }

    /// Like [`new`](Self::new), of a condition of which only the rows are wanted where it is true. A part of an `AND` is not
    /// evaluated for rows for which another one is null.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn condition(expr: &Expr, input: &Schema, functions: &Functions) -> Result<Self> {
        match expr {
            Expr::Column(_) => Self::new(expr, input, functions),
            _ => {
                let computed = compile(expr, Scope { input, functions }, true)?;
                Ok(Self { kernel: Kernel::Computed(computed), data_type: DataType::Boolean })
            }
        }
    }

    /// Like [`new`](Self::new), with a result of type `data_type`: a function may well give `Utf8` where the plan's
    /// schema says `STRING`, and the schema is what downstream relies on.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if there is no cast.
    pub fn with_type(expr: &Expr, input: &Schema, data_type: &DataType, functions: &Functions) -> Result<Self> {
        let compiled = Self::new(expr, input, functions)?;
        if compiled.data_type == *data_type {
            return Ok(compiled);
        }
        let computed =
            convert(compile(expr, Scope { input, functions }, false)?, input, data_type, false).map_err(refused)?;
        Ok(Self { kernel: Kernel::Computed(computed), data_type: data_type.clone() })
    }

    /// Type of the result.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The column, if the expression is no more than one.
    pub fn as_column(&self) -> Option<usize> {
        match self.kernel {
            Kernel::Column(index) => Some(index),
            Kernel::Computed(_) => None,
        }
    }

    /// One value per row; constants are expanded.
    ///
    /// # Errors
    /// A data error if a row has no value.
    pub fn evaluate(&self, records: &RecordBatch) -> Result<ArrayRef> {
        match &self.kernel {
            Kernel::Column(index) => Ok(records.column(*index).clone()),
            // A constant division by zero fails for the rows that there are.
            Kernel::Computed(_) if records.num_rows() == 0 => Ok(new_empty_array(&self.data_type)),
            Kernel::Computed(expr) => expr
                .evaluate(records)
                .and_then(|value| value.into_array(records.num_rows()))
                .map_err(|error| failed(expr, error)),
        }
    }

    /// The rows where a condition holds.
    ///
    /// # Errors
    /// A data error if a row has no value, an internal error if the expression is no condition.
    pub fn evaluate_condition(&self, records: &RecordBatch) -> Result<BooleanArray> {
        let value = self.evaluate(records)?;
        let condition = value.as_boolean_opt();
        condition.cloned().ok_or_else(|| Error::internal(format!("a condition has type {}", value.data_type())))
    }
}

struct Sql<'a>(&'a dyn PhysicalExpr);

impl fmt::Display for Sql<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

fn failed(expr: &Arc<dyn PhysicalExpr>, error: DataFusionError) -> Error {
    let message = types_in_sql(&format!("cannot compute {}", Sql(expr.as_ref())));
    if let Some(told) = told_by_plugin(&error, &message) {
        return told;
    }
    match error.find_root() {
        DataFusionError::Internal(_) | DataFusionError::NotImplemented(_) => Error::internal(message),
        _ => Error::data(message).with_help("TRY_CAST, NULLIF or a WHERE clause can guard against such rows"),
    }
    .with_source(reason(error.find_root()))
}

/// What a function of a plugin has told, if that is the error.
pub(crate) fn told_by_plugin(error: &DataFusionError, message: &str) -> Option<Error> {
    let DataFusionError::External(inner) = error.find_root() else { return None };
    let told = inner.downcast_ref::<Error>()?;
    let error = Error::new(told.kind(), message).with_source(told.chain());
    Some(match told.help() {
        Some(help) => error.with_help(help),
        None => error,
    })
}

/// What went wrong, once and in SQL's words: each layer would say it again, behind its own name.
fn reason(root: &DataFusionError) -> String {
    types_in_sql(&match root {
        DataFusionError::ArrowError(error, _) => match &**error {
            ArrowError::CastError(message)
            | ArrowError::ComputeError(message)
            | ArrowError::InvalidArgumentError(message)
            | ArrowError::ParseError(message)
            | ArrowError::ArithmeticOverflow(message) => message.clone(),
            ArrowError::ExternalError(inner) => inner.to_string(),
            other => other.to_string(),
        },
        DataFusionError::Execution(message) => message.clone(),
        DataFusionError::External(inner) => inner.to_string(),
        other => other.strip_backtrace(),
    })
}

fn refused(error: DataFusionError) -> Error {
    Error::internal("the plan holds an expression that has no kernel").with_source(error)
}

fn no_column(index: usize, input: &Schema) -> Error {
    Error::internal(format!("the plan reads column {index} of {}", input.fields().len()))
}

#[cfg(test)]
mod tests;
