//! Functions that SQL calls, as the engine calls them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};
use weir_core::plugin::{FunctionCode, FunctionSignature, Plugin};
use weir_jobs::JobPlugin;
use weir_jobs::prelude::*;
use weir_jobs::testing::exported;

#[derive(Record)]
struct Parts {
    whole: i64,
    rest: Option<f64>,
}

fn functions(functions: &mut Functions) {
    functions.scalar("half", |number: f64| number / 2.0).parameters(["number"]);
    functions.scalar("name_or", |name: Option<String>, other: String| name.unwrap_or(other));
    functions.scalar("length", |words: Vec<String>| words.iter().map(String::len).sum::<usize>() as i64);
    functions.scalar("parts", |number: f64| Parts {
        whole: number as i64,
        rest: Some(number.fract()).filter(|rest| *rest != 0.0),
    });
    functions.scalar("parsed", |text: String| {
        text.parse::<i64>().map(Some).map_err(|_| Error::data(format!("{text} is no number")))
    });
    functions.scalar("answer", || 42_i64);
    functions.scalar("dice", || 4_i64).not_deterministic();
}

fn plugin() -> JobPlugin {
    JobPlugin::without_job("maths", "1.0.0").with_functions(functions)
}

fn signature(name: &str) -> FunctionSignature {
    plugin().functions().unwrap().into_iter().find(|signature| signature.name == name).unwrap()
}

fn call(name: &str, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (_, FunctionCode::Scalar(code)) = plugin().function(name)?;
    code.call(arguments, rows)
}

#[test]
fn signatures_are_those_of_the_closures() {
    assert_eq!(exported(functions).unwrap(), ["answer", "dice", "half", "length", "name_or", "parsed", "parts"]);
    let half = signature("half");
    assert_eq!((half.parameters[0].name().as_str(), half.parameters[0].data_type()), ("number", &DataType::Float64));
    assert!(!half.parameters[0].is_nullable() && !half.nullable && half.deterministic);
    let name_or = signature("name_or");
    let nullable: Vec<bool> = name_or.parameters.iter().map(|parameter| parameter.is_nullable()).collect();
    assert_eq!((nullable, name_or.nullable), (vec![true, false], false));
    assert_eq!(name_or.parameters.iter().map(|parameter| parameter.name().as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(signature("parsed").nullable, "a Result of an Option");
    assert!(!signature("dice").deterministic);
    assert!(matches!(signature("parts").result, DataType::Struct(fields) if fields.len() == 2));
}

#[test]
fn rows_are_computed_one_by_one() {
    let halves = call("half", &[Arc::new(Float64Array::from(vec![1.0, 5.0]))], 2).unwrap();
    assert_eq!(halves.as_primitive::<arrow::datatypes::Float64Type>().values().as_ref(), [0.5, 2.5]);
    let names: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None]));
    let others: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "y"]));
    let named = call("name_or", &[names, others], 2).unwrap();
    assert_eq!(named.as_string_view().iter().flatten().collect::<Vec<_>>(), ["a", "y"]);
    let answers = call("answer", &[], 3).unwrap();
    assert_eq!(answers.as_primitive::<Int64Type>().values().as_ref(), [42, 42, 42]);
    let parts = call("parts", &[Arc::new(Float64Array::from(vec![2.5, 3.0]))], 2).unwrap();
    let parts = parts.as_struct();
    assert_eq!(parts.column(0).as_ref(), &Int64Array::from(vec![2, 3]) as &dyn arrow::array::Array);
    assert_eq!(parts.column(1).as_ref(), &Float64Array::from(vec![Some(0.5), None]) as &dyn arrow::array::Array);
}

#[test]
fn an_error_of_one_row_is_that_of_the_call() {
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["1", "one"]));
    let error = call("parsed", &[texts], 2).expect_err("the second is none");
    assert_eq!((error.kind(), error.to_string().as_str()), (weir_jobs::ErrorKind::Data, "one is no number"));
}

#[test]
fn what_sql_cannot_call_is_refused() {
    let refused = |functions: fn(&mut Functions)| exported(functions).expect_err("it is refused").report();
    let report = refused(|functions| {
        functions.scalar("f", |number: u64| number as i64);
    });
    assert!(report.contains("'f' takes or makes UInt64") && report.contains("`i64` is BIGINT"), "{report}");
    let report = refused(|functions| {
        functions.scalar("f", |number: i64| vec![number as u8]);
    });
    assert!(report.contains("UInt8"), "{report}");
    let report = refused(|functions| {
        functions.scalar("f", || 1_i64);
        functions.scalar("f", || 2_i64);
    });
    assert!(report.contains("two functions are called 'f'"), "{report}");
    assert!(
        refused(|functions| {
            functions.scalar("f g", || 1_i64);
        })
        .contains("cannot be called 'f g'")
    );
}

#[test]
fn a_plugin_of_functions_is_no_job_and_a_job_may_export_some() {
    let report = plugin().job(&Default::default()).expect_err("it is none").report();
    assert!(report.contains("maths is no job") && report.contains("CREATE FUNCTION"), "{report}");
    fn copies(job: &mut Job) -> Result<()> {
        job.sql("INSERT INTO copies SELECT half(n) FROM originals;");
        Ok(())
    }
    let both = JobPlugin::new("both", "1.0.0", copies).with_functions(functions);
    assert_eq!(both.functions().unwrap().len(), 7);
    assert_eq!(both.job(&Default::default()).unwrap().name, "both");
    let alone = JobPlugin::new("alone", "1.0.0", copies);
    assert_eq!(alone.functions().unwrap(), []);
    assert!(alone.function("half").is_err());
}
