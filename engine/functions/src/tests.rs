#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};

use super::{Functions, refused};

pub(crate) fn invoke(name: &str, arguments: Vec<ColumnarValue>, rows: usize) -> ArrayRef {
    let function = Functions::built_in().scalar(name).unwrap();
    let fields: Vec<_> =
        arguments.iter().map(|argument| Arc::new(Field::new("a", argument.data_type(), true))).collect();
    let constants: Vec<Option<&ScalarValue>> = arguments
        .iter()
        .map(|argument| match argument {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let planned = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants };
    let return_field = function.return_field_from_args(planned).unwrap();
    let result = function
        .invoke_with_args(ScalarFunctionArgs {
            args: arguments,
            arg_fields: fields,
            number_rows: rows,
            return_field: return_field.clone(),
            config_options: Arc::new(ConfigOptions::default()),
        })
        .unwrap()
        .into_array(rows)
        .unwrap();
    assert_eq!(result.data_type(), return_field.data_type());
    result
}

fn column(values: &[Option<&str>]) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(StringViewArray::from(values.to_vec())))
}

#[test]
fn columns_with_nulls_and_varying_patterns() {
    let text = column(&[Some("a1b2"), None, Some("x9"), Some("nothing here at all, and long")]);
    let patterns = column(&[Some("[a-z](\\d)"), Some("."), None, Some("(all), (a..)")]);
    let groups = ColumnarValue::Array(Arc::new(Int64Array::from(vec![1, 0, 0, 2])));
    let found = invoke("regexp_extract", vec![text, patterns, groups], 4);
    let found: Vec<_> = found.as_string_view().iter().collect();
    assert_eq!(found, [Some("1"), None, None, Some("and")]);

    let times = TimestampMillisecondArray::from(vec![Some(-1), None, Some(3_600_000)]);
    let hours = invoke("hour", vec![ColumnarValue::Array(Arc::new(times))], 3);
    let hours: Vec<_> = hours.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(hours, [Some(23), None, Some(1)]);

    let delimiter = ColumnarValue::Scalar(ScalarValue::Utf8View(Some("/".to_owned())));
    let index = ColumnarValue::Scalar(ScalarValue::Int64(Some(1)));
    let parts = invoke("split_index", vec![column(&[Some("a/b"), None, Some("a")]), delimiter, index], 3);
    let parts: Vec<_> = parts.as_string_view().iter().collect();
    assert_eq!(parts, [Some("b"), None, None]);

    let zone = Some("UTC".into());
    let count = ColumnarValue::Scalar(ScalarValue::Int64(Some(2)));
    let unit = ColumnarValue::Scalar(ScalarValue::Utf8View(Some("second".to_owned())));
    let times = TimestampMillisecondArray::from(vec![Some(5), None]).with_timezone_opt(zone.clone());
    let later = invoke("timestampadd", vec![unit, count, ColumnarValue::Array(Arc::new(times))], 2);
    assert_eq!(later.data_type(), &DataType::Timestamp(TimeUnit::Millisecond, zone));
    assert_eq!(later.len(), 2);
    assert!(later.is_null(1));
}

#[test]
fn a_name_in_a_graph_finds_its_function_again() {
    let functions = Functions::built_in();
    for name in functions.scalar_names() {
        let function = functions.scalar(&name).unwrap();
        let again = functions.scalar(function.name()).unwrap();
        assert_eq!(again, function, "{name}");
        assert_eq!(refused(&name), None, "{name}");
    }
    for name in functions.aggregate_names() {
        let function = functions.aggregate(&name).unwrap();
        assert_eq!(functions.aggregate(function.name()).unwrap(), function, "{name}");
    }
    for name in [
        "count",
        "SUM",
        "avg",
        "STDDEV_POP",
        "var_samp",
        "variance",
        "LISTAGG",
        "array_agg",
        "first_value",
        "last_value",
        "APPROX_COUNT_DISTINCT",
        "percentile_cont",
        "median",
        "bool_or",
        "corr",
    ] {
        assert!(functions.aggregate(name).is_some(), "{name}");
    }
}

#[test]
fn parts_are_those_between_delimiters() {
    let texts =
        ["/", "//", "a", "a/", "/a", "a//b/", "https://site.net/ä/ö/", "no delimiter in a text that is not short"];
    for index in 0..6 {
        for delimiter in ["/", "//", "ä"] {
            let rows: Vec<_> = texts.iter().copied().map(Some).collect();
            let scalar = |text: &str| ColumnarValue::Scalar(ScalarValue::Utf8View(Some(text.to_owned())));
            let number = ColumnarValue::Scalar(ScalarValue::Int64(Some(index)));
            let parts = invoke("split_index", vec![column(&rows), scalar(delimiter), number], texts.len());
            for (text, part) in texts.iter().zip(parts.as_string_view().iter()) {
                let expected = text.split(delimiter).nth(usize::try_from(index).unwrap());
                assert_eq!(part, expected, "part {index} of {text:?} at {delimiter:?}");
            }
        }
    }
}
