//! Compiles [`weir_core::Expr`] into kernels: DataFusion's physical expressions, evaluated a batch at a time.
//!
//! A column is not evaluated at all, its array is shared. What fails at run time (a division by zero, a cast of a value
//! that has no counterpart) fails because of a row, so it is a data error that quotes the expression.

mod literal;

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::DataFusionError;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::Operator;
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_physical_expr::expressions::{
    BinaryExpr, Column, Literal, case, cast, in_list, is_not_null, is_null, like, negative, not, try_cast,
};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use weir_core::{BinaryOperator, Error, Expr, Result};

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
    /// Compiles `expr` over columns of `input`.
    ///
    /// # Errors
    /// An internal error if the planner let through what does not type-check, a user error for an unknown function.
    pub fn new(expr: &Expr, input: &Schema) -> Result<Self> {
        if let Expr::Column(index) = expr {
            let field = input.fields().get(*index).ok_or_else(|| no_column(*index, input))?;
            return Ok(Self { kernel: Kernel::Column(*index), data_type: field.data_type().clone() });
        }
        let computed = compile(expr, input)?;
        let data_type = computed.data_type(input).map_err(refused)?;
        Ok(Self { kernel: Kernel::Computed(computed), data_type })
    }

    /// Like [`new`](Self::new), with a result of type `data_type`: a function may well give `Utf8` where the plan's
    /// schema says `STRING`, and the schema is what downstream relies on.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if there is no cast.
    pub fn with_type(expr: &Expr, input: &Schema, data_type: &DataType) -> Result<Self> {
        let compiled = Self::new(expr, input)?;
        if compiled.data_type == *data_type {
            return Ok(compiled);
        }
        let computed = cast(compile(expr, input)?, input, data_type.clone()).map_err(refused)?;
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

/// The rows' time zone is UTC; nothing else of the configuration matters to a kernel.
static CONFIG: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| {
    let mut config = ConfigOptions::default();
    config.execution.time_zone = Some("+00:00".to_owned());
    Arc::new(config)
});

struct Sql<'a>(&'a dyn PhysicalExpr);

impl fmt::Display for Sql<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

fn failed(expr: &Arc<dyn PhysicalExpr>, error: DataFusionError) -> Error {
    let message = format!("cannot compute {}", Sql(expr.as_ref()));
    match error.find_root() {
        DataFusionError::Internal(_) | DataFusionError::NotImplemented(_) => Error::internal(message),
        _ => Error::data(message).with_help("TRY_CAST, NULLIF or a WHERE clause can guard against such rows"),
    }
    .with_source(error)
}

fn refused(error: DataFusionError) -> Error {
    Error::internal("the plan holds an expression that has no kernel").with_source(error)
}

fn no_column(index: usize, input: &Schema) -> Error {
    Error::internal(format!("the plan reads column {index} of {}", input.fields().len()))
}

fn compile(expr: &Expr, input: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let compile_all = |exprs: &[Expr]| exprs.iter().map(|expr| compile(expr, input)).collect::<Result<Vec<_>>>();
    match expr {
        Expr::Column(index) => {
            let field = input.fields().get(*index).ok_or_else(|| no_column(*index, input))?;
            Ok(Arc::new(Column::new(field.name(), *index)))
        }
        Expr::Literal(literal) => Ok(Arc::new(Literal::new(literal::scalar(literal)?))),
        Expr::Binary { operator, left, right } => {
            Ok(Arc::new(BinaryExpr::new(compile(left, input)?, binary_operator(*operator), compile(right, input)?)))
        }
        Expr::Not(operand) => not(compile(operand, input)?).map_err(refused),
        Expr::Negative(operand) => negative(compile(operand, input)?, input).map_err(refused),
        Expr::IsNull(operand) => is_null(compile(operand, input)?).map_err(refused),
        Expr::IsNotNull(operand) => is_not_null(compile(operand, input)?).map_err(refused),
        Expr::Like { negated, case_insensitive, operand, pattern } => {
            let (operand, pattern) = (compile(operand, input)?, compile(pattern, input)?);
            like(*negated, *case_insensitive, operand, pattern, input).map_err(refused)
        }
        Expr::InList { operand, list, negated } => {
            in_list(compile(operand, input)?, compile_all(list)?, negated, input).map_err(refused)
        }
        Expr::Case { operand, branches, otherwise } => {
            let compile_part = |part: &Option<Box<Expr>>| part.as_ref().map(|part| compile(part, input)).transpose();
            let branches = branches
                .iter()
                .map(|(when, then)| Ok((compile(when, input)?, compile(then, input)?)))
                .collect::<Result<Vec<_>>>()?;
            case(compile_part(operand)?, branches, compile_part(otherwise)?).map_err(refused)
        }
        Expr::Cast { operand, data_type, safe } => {
            let operand = compile(operand, input)?;
            let cast = if *safe { try_cast } else { cast };
            cast(operand, input, data_type.clone()).map_err(refused)
        }
        Expr::Function { name, arguments, data_type } => {
            compile_function(name, compile_all(arguments)?, data_type, input)
        }
    }
}

fn compile_function(
    name: &str,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    data_type: &DataType,
    input: &Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let function = weir_functions::scalar(name)
        .ok_or_else(|| Error::user(format!("this version of Weir has no scalar function `{name}`")))?;
    let fields = arguments
        .iter()
        .map(|argument| argument.return_field(input))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let wanted = fields_with_udf(&fields, function.as_ref()).map_err(refused)?;
    let arguments = arguments
        .into_iter()
        .zip(wanted)
        .map(|(argument, field)| cast(argument, input, field.data_type().clone()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let call = ScalarFunctionExpr::try_new(function, arguments, input, CONFIG.clone()).map_err(refused)?;
    cast(Arc::new(call), input, data_type.clone()).map_err(refused)
}

fn binary_operator(operator: BinaryOperator) -> Operator {
    match operator {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::And => Operator::And,
        BinaryOperator::Or => Operator::Or,
        BinaryOperator::IsDistinctFrom => Operator::IsDistinctFrom,
        BinaryOperator::IsNotDistinctFrom => Operator::IsNotDistinctFrom,
        BinaryOperator::RegexMatch => Operator::RegexMatch,
        BinaryOperator::RegexIMatch => Operator::RegexIMatch,
        BinaryOperator::RegexNotMatch => Operator::RegexNotMatch,
        BinaryOperator::RegexNotIMatch => Operator::RegexNotIMatch,
        BinaryOperator::BitwiseAnd => Operator::BitwiseAnd,
        BinaryOperator::BitwiseOr => Operator::BitwiseOr,
        BinaryOperator::BitwiseXor => Operator::BitwiseXor,
        BinaryOperator::BitwiseShiftLeft => Operator::BitwiseShiftLeft,
        BinaryOperator::BitwiseShiftRight => Operator::BitwiseShiftRight,
        BinaryOperator::StringConcat => Operator::StringConcat,
    }
}

#[cfg(test)]
mod tests;
