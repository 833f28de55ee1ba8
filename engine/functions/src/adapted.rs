//! DataFusion's functions as Weir calls them: text and bytes in the one layout that everything here has, and arguments without
//! what their nulls hide. Arguments that a function would refuse only when it sees them are refused when it is planned: it is
//! tried with nulls. What the optimiser would know of a function's inverse is kept from it: DataFusion's holds for the years
//! that nanoseconds reach, and not for others.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, cast,
};

use super::conversion::convert;
use super::definition::plan_error;
use super::layouts::{travelling, travelling_field, travelling_scalar};
use super::nulls::without_hidden;
use crate::Functions;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Adapted {
    function: Arc<ScalarUDF>,
    signature: Signature,
}

impl Adapted {
    pub(super) fn function(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(function.signature().volatility);
        Arc::new(ScalarUDF::from(Self { function, signature }))
    }

    /// What the function itself converts arguments of these types to.
    fn taken(&self, fields: &[FieldRef]) -> Result<Vec<FieldRef>> {
        fields_with_udf(fields, self.function.as_ref())
    }

    /// Calls the function with nulls for all that is not constant.
    fn try_out(&self, fields: &[FieldRef], constants: &[Option<ScalarValue>], planned: &FieldRef) -> Result<()> {
        let argument = |(field, constant): (&FieldRef, &Option<ScalarValue>)| match constant {
            Some(constant) => ColumnarValue::Scalar(constant.clone()),
            None => ColumnarValue::Array(new_null_array(field.data_type(), 1)),
        };
        let outcome = self.function.invoke_with_args(ScalarFunctionArgs {
            args: fields.iter().zip(constants).map(argument).collect(),
            arg_fields: fields.to_vec(),
            number_rows: 1,
            return_field: planned.clone(),
            config_options: Arc::new(ConfigOptions::default()),
        });
        let Err(error) = outcome else { return Ok(()) };
        let root = error.find_root();
        let message = root.strip_backtrace();
        let refuses = matches!(root, DataFusionError::Internal(_) | DataFusionError::NotImplemented(_))
            || message.contains("nsupported")
            || message.contains("not supported");
        // COALESCE and its like exist in a plan only.
        if !refuses || message.contains("should have been simplified") {
            return Ok(());
        }
        let types: Vec<String> = fields.iter().map(|field| field.data_type().to_string()).collect();
        let why = message.lines().next().unwrap_or_default();
        plan_error(format!("`{}` cannot be computed of {}: {why}", self.name(), types.join(", ")))
    }
}

impl PartialEq for Adapted {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Adapted {}

impl Hash for Adapted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl ScalarUDFImpl for Adapted {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(travelling(&self.function.return_type(types)?))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let fields = self.taken(args.arg_fields)?;
        let given = args.scalar_arguments.iter().copied().chain(std::iter::repeat(None));
        // What cannot be converted is said where it is.
        let constants: Vec<Option<ScalarValue>> = fields
            .iter()
            .zip(given)
            .map(|(field, constant)| converted_scalar(constant?, field.data_type()).ok())
            .collect();
        let scalar_arguments: Vec<Option<&ScalarValue>> = constants.iter().map(Option::as_ref).collect();
        let planned = self
            .function
            .return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &scalar_arguments })?;
        self.try_out(&fields, &constants, &planned)?;
        Ok(travelling_field(&planned))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fields: Vec<FieldRef> =
            types.iter().map(|data_type| Arc::new(Field::new("argument", data_type.clone(), true))).collect();
        Ok(self.taken(&fields)?.iter().map(|field| travelling(field.data_type())).collect())
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let call = ScalarFunction::new_udf(Adapted::function(self.function.clone()), args.clone());
        let wanted = info.get_data_type(&Expr::ScalarFunction(call));
        match (self.function.simplify(args, info)?, wanted) {
            (ExprSimplifyResult::Simplified(expr), Ok(wanted)) => {
                let expr = in_own_terms(expr)?;
                let same = info.get_data_type(&expr)? == wanted;
                Ok(ExprSimplifyResult::Simplified(if same { expr } else { cast(expr, wanted) }))
            }
            (unchanged, _) => Ok(unchanged),
        }
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wanted = args.return_field.data_type().clone();
        let texts = has_texts(&wanted) || args.arg_fields.iter().any(|field| has_texts(field.data_type()));
        if texts {
            // The function's own idea of its arguments and its result.
            args.arg_fields = self.taken(&args.arg_fields)?;
        }
        for (arg, field) in args.args.iter_mut().zip(&args.arg_fields) {
            *arg = match std::mem::replace(arg, ColumnarValue::Scalar(ScalarValue::Null)) {
                ColumnarValue::Array(array) => {
                    let array = convert(&array, field.data_type(), false)?;
                    ColumnarValue::Array(if array.data_type().is_nested() { without_hidden(&array)? } else { array })
                }
                ColumnarValue::Scalar(value) => ColumnarValue::Scalar(converted_scalar(&value, field.data_type())?),
            };
        }
        if texts {
            let constants: Vec<Option<&ScalarValue>> = args
                .args
                .iter()
                .map(|arg| match arg {
                    ColumnarValue::Scalar(value) => Some(value),
                    ColumnarValue::Array(_) => None,
                })
                .collect();
            args.return_field = self.function.return_field_from_args(ReturnFieldArgs {
                arg_fields: &args.arg_fields,
                scalar_arguments: &constants,
            })?;
        }
        match self.function.invoke_with_args(args)? {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(convert(&array, &wanted, false)?)),
            ColumnarValue::Scalar(value) => converted_scalar(&value, &wanted).map(ColumnarValue::Scalar),
        }
    }
}

fn converted_scalar(value: &ScalarValue, to: &DataType) -> Result<ScalarValue> {
    if value.data_type() == *to {
        return Ok(value.clone());
    }
    ScalarValue::try_from_array(&convert(&value.to_array()?, to, false)?, 0)
}

/// Whether values of this type may be in another layout than the function's own.
fn has_texts(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::BinaryView) || data_type.is_nested()
}

/// The expression with the functions of the registry in the place of DataFusion's own, which its planner and optimiser know by
/// themselves, and with constants as they travel.
///
/// # Errors
/// None that an expression can cause.
pub fn in_own_terms(expr: Expr) -> Result<Expr> {
    let functions = Functions::built_in();
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::ScalarFunction(ScalarFunction { func, args }) => match functions.scalar(func.name()) {
                Some(own) if own != func => Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: own, args })),
                _ => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
            },
            Expr::Literal(value, metadata) if travelling(&value.data_type()) != value.data_type() => {
                Transformed::yes(Expr::Literal(travelling_scalar(value)?, metadata))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}
