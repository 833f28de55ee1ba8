//! `EXTRACT(part FROM time)`: DataFusion's `date_part`, with the parts that it lacks, and without those that it would refuse
//! only when the first rows come.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::definition::plan_error;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct DatePart(Arc<ScalarUDF>);

impl DatePart {
    pub(super) fn function() -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self(datafusion_functions::datetime::date_part())))
    }
}

impl PartialEq for DatePart {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for DatePart {}

impl Hash for DatePart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// A part that is computed from the year: centuries and millennia begin with the year 1, decades with the year 0.
fn of_year(part: &str) -> Option<fn(i32) -> i32> {
    let lower = part.trim_matches(['\'', '"']).to_lowercase();
    match lower.as_str() {
        "decade" | "decades" => Some(|year| year.div_euclid(10)),
        "century" | "centuries" => Some(|year| counted_from_one(year, 100)),
        "millennium" | "millenniums" | "millennia" => Some(|year| counted_from_one(year, 1_000)),
        _ => None,
    }
}

/// There is no year 0 in which one could begin: the 20th century ends with the year 2000.
fn counted_from_one(year: i32, size: i32) -> i32 {
    if year > 0 { (year - 1) / size + 1 } else { -(-year / size + 1) }
}

fn text(value: Option<&ScalarValue>) -> Option<&str> {
    value.and_then(|value| value.try_as_str().flatten())
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let part = args.scalar_arguments.first().and_then(|part| text(*part));
        let (Some(part), Some(field)) = (part.map(str::to_owned), args.arg_fields.get(1).cloned()) else {
            return self.0.return_field_from_args(args);
        };
        let part = part.as_str();
        let arg_fields = args.arg_fields.to_vec();
        // Whether there is such a part shows when it is taken, of a null as well.
        let planned = match of_year(part) {
            Some(_) => Arc::new(Field::new(self.name(), DataType::Int32, field.is_nullable())),
            None => match self.0.return_field_from_args(args) {
                Ok(planned) => planned,
                Err(_) => return unknown(part, field.data_type()),
            },
        };
        let null = ColumnarValue::Scalar(ScalarValue::try_new_null(field.data_type())?);
        let taken = self.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(ScalarValue::from(part)), null],
            arg_fields,
            number_rows: 1,
            return_field: Arc::clone(&planned),
            config_options: Arc::new(ConfigOptions::default()),
        });
        if taken.is_ok() { Ok(planned) } else { unknown(part, field.data_type()) }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = match args.args.first() {
            Some(ColumnarValue::Scalar(part)) => text(Some(part)).and_then(of_year),
            _ => None,
        };
        let Some(compute) = part else { return self.0.invoke_with_args(args) };
        args.args[0] = ColumnarValue::Scalar(ScalarValue::from("year"));
        let apply = |years: &ArrayRef| -> Int32Array { years.as_primitive::<Int32Type>().unary(compute) };
        Ok(match self.0.invoke_with_args(args)? {
            ColumnarValue::Array(years) => ColumnarValue::Array(Arc::new(apply(&years))),
            ColumnarValue::Scalar(year) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&apply(&year.to_array()?), 0)?)
            }
        })
    }
}

fn unknown<T>(part: &str, data_type: &DataType) -> Result<T> {
    plan_error(format!(
        "a value of type {data_type} has no part `{part}`; parts are MILLENNIUM, CENTURY, DECADE, YEAR, ISOYEAR, QUARTER, MONTH, \
         WEEK, DAY, DOY, DOW, ISODOW, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, NANOSECOND and EPOCH"
    ))
}
