//! Functions of plugins as DataFusion calls them: with a signature alone where a job is planned, with their code where it runs.
//!
//! Here are those that are computed row by row, and what they share with others.
//!
//! - `aggregate`: those that add rows up

mod aggregate;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, take};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use weir_core::Error;
use weir_core::plugin::{FunctionKind, FunctionSignature, PluginFunction, ScalarFunction};

use super::definition::plan_error;
use super::nulls::without_hidden;
use super::type_of::sql_type_name;

pub(super) use aggregate::AggregateOfPlugin;
pub use aggregate::group_of_plugin;

/// A function of a plugin.
pub(super) struct OfPlugin {
    function: PluginFunction,
    /// `None` where nothing is computed.
    code: Option<Arc<dyn ScalarFunction>>,
    signature: Signature,
}

impl OfPlugin {
    /// The function for DataFusion.
    pub fn udf(function: PluginFunction, code: Option<Arc<dyn ScalarFunction>>) -> Arc<ScalarUDF> {
        let volatility = if function.signature.deterministic { Volatility::Immutable } else { Volatility::Volatile };
        Arc::new(ScalarUDF::from(Self { function, code, signature: Signature::user_defined(volatility) }))
    }
}

impl fmt::Debug for OfPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OfPlugin").field(&self.function).finish()
    }
}

impl PartialEq for OfPlugin {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for OfPlugin {}

impl Hash for OfPlugin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl ScalarUDFImpl for OfPlugin {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Ok(format!("{}({})", self.name_in_sql(), arguments.join(", ")))
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.name_in_sql(), arguments.join(",")))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.function.signature.result.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let FunctionSignature { parameters, result, nullable, .. } = &self.function.signature;
        let is_left_out = parameters
            .iter()
            .zip(args.arg_fields)
            .any(|(parameter, given)| !parameter.is_nullable() && given.is_nullable());
        Ok(Arc::new(Field::new(self.name(), result.clone(), *nullable || is_left_out)))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerced(&self.function, given)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(code) = &self.code else {
            return Err(DataFusionError::Execution(format!(
                "the plugin of `{}` is not loaded here",
                self.name_in_sql()
            )));
        };
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let whole = |value: &ColumnarValue| {
            let array = value.to_array(rows)?;
            Ok(if array.data_type().is_nested() { without_hidden(&array)? } else { array })
        };
        let arguments = args.args.iter().map(whole).collect::<Result<Vec<_>>>()?;
        let result = self.computed(&**code, &arguments, rows)?;
        match is_constant {
            true => ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

impl OfPlugin {
    fn name_in_sql(&self) -> &str {
        PluginFunction::name_in_sql(&self.function.name)
    }

    /// The results, with null where an argument is that may not be.
    fn computed(&self, code: &dyn ScalarFunction, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let FunctionSignature { parameters, result, .. } = &self.function.signature;
        let Some(is_called) = given_to_strict(parameters, arguments) else {
            return self.called(code, arguments, rows);
        };
        let called = is_called.true_count();
        if called == 0 {
            return Ok(new_null_array(result, rows));
        }
        let kept = arguments.iter().map(|argument| filter(argument, &is_called)).collect::<Result<Vec<_>, _>>()?;
        let results = self.called(code, &kept, called)?;
        let mut next = 0;
        let places: UInt32Array = is_called
            .values()
            .iter()
            .map(|is_called| {
                is_called.then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        Ok(take(&results, &places, None)?)
    }

    fn called(&self, code: &dyn ScalarFunction, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let FunctionSignature { result, nullable, .. } = &self.function.signature;
        let results = code.call(arguments, rows).map_err(external)?;
        if results.len() != rows || results.data_type() != result {
            let made = format!("{} values of {}", results.len(), sql_type_name(results.data_type()));
            let declared = sql_type_name(result);
            return Err(external(Error::user(format!(
                "the function `{}` of a plugin made {made} for {rows} rows, and has declared {declared}",
                self.name_in_sql()
            ))));
        }
        if !nullable && results.null_count() > 0 {
            return Err(external(Error::user(format!(
                "the function `{}` of a plugin made a null, and has declared that it makes none",
                self.name_in_sql()
            ))));
        }
        Ok(results)
    }
}

/// The types of the parameters, if what is given fits them.
fn coerced(function: &PluginFunction, given: &[DataType]) -> Result<Vec<DataType>> {
    let parameters = &function.signature.parameters;
    let fits = given.len() == parameters.len()
        && given.iter().zip(parameters).all(|(given, parameter)| fits(given, parameter.data_type()));
    if fits {
        return Ok(parameters.iter().map(|parameter| parameter.data_type().clone()).collect());
    }
    let given: Vec<String> = given.iter().map(sql_type_name).collect();
    let name = PluginFunction::name_in_sql(&function.name);
    plan_error(format!("expected `{}`, found `{name}({})`", usage(function), given.join(", ")))
}

/// The rows where no argument is null whose parameter may not be; `None`: all of them.
fn given_to_strict(parameters: &[Field], arguments: &[ArrayRef]) -> Option<BooleanArray> {
    let strict = parameters.iter().zip(arguments).filter(|(parameter, _)| !parameter.is_nullable());
    let nulls: Vec<_> = strict.map(|(_, argument)| argument.logical_nulls()).collect();
    let nulls = NullBuffer::union_many(nulls.iter().map(Option::as_ref)).filter(|nulls| nulls.null_count() > 0)?;
    Some(BooleanArray::new(nulls.inner().clone(), None))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// How a function is called, as in `distance(a DOUBLE NOT NULL, b DOUBLE) RETURNS DOUBLE`.
pub fn usage(function: &PluginFunction) -> String {
    format!("{}{}", PluginFunction::name_in_sql(&function.name), in_sql(&function.signature))
}

/// A signature in SQL, as it stands behind the name in `CREATE FUNCTION`.
pub fn in_sql(signature: &FunctionSignature) -> String {
    let is_null = |nullable: bool| if nullable { "" } else { " NOT NULL" };
    let parameter = |field: &Field| {
        format!("{} {}{}", field.name(), sql_type_name(field.data_type()), is_null(field.is_nullable()))
    };
    let parameters: Vec<String> = signature.parameters.iter().map(parameter).collect();
    let result = sql_type_name(&signature.result);
    let kind = match &signature.kind {
        FunctionKind::Scalar => String::new(),
        FunctionKind::Aggregate { state } => format!(" AGGREGATE STATE {}", sql_type_name(state)),
    };
    format!("({}) RETURNS {result}{}{kind}", parameters.join(", "), is_null(signature.nullable))
}

/// Whether every value of the type `given` has a counterpart in the type `wanted`. A DOUBLE takes any number.
fn fits(given: &DataType, wanted: &DataType) -> bool {
    if given.is_null() || given.equals_datatype(wanted) {
        return true;
    }
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let bytes =
        |data_type: &DataType| matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    match (given, wanted) {
        (_, DataType::Utf8View) => text(given),
        (_, DataType::BinaryView) => bytes(given),
        (_, DataType::Float64) => given.is_numeric(),
        (DataType::Int8 | DataType::Int16, DataType::Float32) => true,
        (_, DataType::Int16 | DataType::Int32 | DataType::Int64) => {
            given.is_signed_integer() && given.primitive_width() < wanted.primitive_width()
        }
        (DataType::Decimal128(precision, scale), DataType::Decimal128(most, digits)) => {
            scale <= digits && i16::from(*precision) - i16::from(*scale) <= i16::from(*most) - i16::from(*digits)
        }
        (_, DataType::Decimal128(most, digits)) => {
            let whole = match given {
                DataType::Int8 => 3,
                DataType::Int16 => 5,
                DataType::Int32 => 10,
                DataType::Int64 => 19,
                _ => return false,
            };
            whole <= i16::from(*most) - i16::from(*digits)
        }
        (DataType::Date32 | DataType::Timestamp(TimeUnit::Second, None), DataType::Timestamp(_, None)) => true,
        _ => false,
    }
}
