//! Functions that SQL calls, as the engine calls them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use weir_core::plugin::{AggregateGroup, FunctionCode, FunctionKind, FunctionSignature, Plugin};
use weir_jobs::JobPlugin;
use weir_jobs::prelude::*;
use weir_jobs::testing::exported;

/// The mean of values that count more or less.
#[derive(Clone)]
struct WeightedMean;

#[derive(Record)]
struct Weighted {
    value: f64,
    weight: i64,
}

impl Aggregate for WeightedMean {
    type In = Weighted;
    type Accumulator = (f64, i64);
    type Out = Result<Option<f64>>;

    fn add(&self, (sum, weights): &mut (f64, i64), row: &Weighted) {
        *sum += row.value * row.weight as f64;
        *weights += row.weight;
    }

    fn merge(&self, (sum, weights): &mut (f64, i64), other: (f64, i64)) {
        *sum += other.0;
        *weights += other.1;
    }

    fn result(&self, (sum, weights): &(f64, i64)) -> Result<Option<f64>> {
        match weights {
            0 => Ok(None),
            1.. => Ok(Some(sum / *weights as f64)),
            _ => Err(Error::data("weights are less than nothing")),
        }
    }
}

/// Counts values, nulls among them.
#[derive(Clone)]
struct CountAll;

impl Aggregate for CountAll {
    type In = Option<String>;
    type Accumulator = i64;
    type Out = i64;

    fn add(&self, count: &mut i64, _: &Option<String>) {
        *count += 1;
    }

    fn merge(&self, count: &mut i64, other: i64) {
        *count += other;
    }

    fn result(&self, count: &i64) -> i64 {
        *count
    }
}

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
    functions.aggregate("weighted_mean", WeightedMean);
    functions.aggregate("count_all", CountAll).parameters(["value"]);
}

fn plugin() -> JobPlugin {
    JobPlugin::without_job("maths", "1.0.0").with_functions(functions)
}

fn signature(name: &str) -> FunctionSignature {
    plugin().functions().unwrap().into_iter().find(|signature| signature.name == name).unwrap()
}

fn call(name: &str, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (_, FunctionCode::Scalar(code)) = plugin().function(name)? else { panic!("{name} adds rows up") };
    code.call(arguments, rows)
}

#[test]
fn signatures_are_those_of_the_closures() {
    let names = ["answer", "count_all", "dice", "half", "length", "name_or", "parsed", "parts", "weighted_mean"];
    assert_eq!(exported(functions).unwrap(), names);
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
    assert_eq!(both.functions().unwrap().len(), 9);
    assert_eq!(both.job(&Default::default()).unwrap().name, "both");
    let alone = JobPlugin::new("alone", "1.0.0", copies);
    assert_eq!(alone.functions().unwrap(), []);
    assert!(alone.function("half").is_err());
}

fn group(name: &str) -> Box<dyn AggregateGroup> {
    let (_, FunctionCode::Aggregate(code)) = plugin().function(name).unwrap() else { panic!("{name} adds no rows up") };
    code.group().unwrap()
}

fn weighted(values: &[f64], weights: &[i64]) -> [ArrayRef; 2] {
    [Arc::new(Float64Array::from(values.to_vec())), Arc::new(Int64Array::from(weights.to_vec()))]
}

#[test]
fn rows_of_a_group_are_added_up() -> Result<()> {
    let mean = |group: &mut dyn AggregateGroup| -> Result<Option<f64>> {
        Ok(group.result()?.as_primitive::<Float64Type>().iter().next().unwrap())
    };
    let mut first = group("weighted_mean");
    assert_eq!(mean(&mut *first)?, None);
    first.update(&weighted(&[1.0, 4.0], &[2, 1]), 2)?;
    assert_eq!(mean(&mut *first)?, Some(2.0));
    // What was kept goes on in another group.
    let mut second = group("weighted_mean");
    second.update(&weighted(&[10.0], &[3]), 1)?;
    second.merge(&first.state()?)?;
    assert_eq!((mean(&mut *second)?, mean(&mut *first)?), (Some(6.0), Some(2.0)));
    assert!(second.bytes() > 0);
    second.update(&weighted(&[0.0], &[-10]), 1)?;
    assert_eq!(second.result().unwrap_err().to_string(), "weights are less than nothing");
    let mut all = group("count_all");
    all.update(&[Arc::new(StringViewArray::from(vec![Some("a"), None]))], 2)?;
    assert_eq!(all.result()?.as_primitive::<Int64Type>().value(0), 2);
    Ok(())
}

#[test]
fn an_aggregate_says_what_it_takes_keeps_and_gives() {
    let mean = signature("weighted_mean");
    let parameters: Vec<_> =
        mean.parameters.iter().map(|field| (field.name().as_str(), field.data_type(), field.is_nullable())).collect();
    assert_eq!(parameters, [("value", &DataType::Float64, false), ("weight", &DataType::Int64, false)]);
    let FunctionKind::Aggregate { state: DataType::Struct(state) } = &mean.kind else { panic!("{:?}", mean.kind) };
    assert_eq!((state.len(), state[1].data_type(), mean.nullable), (2, &DataType::Int64, true));
    let all = signature("count_all");
    assert!(all.parameters[0].name() == "value" && all.parameters[0].is_nullable() && !all.nullable);
    let unsigned = exported(|functions| {
        functions.aggregate("f", Unsigned);
    })
    .unwrap_err()
    .report();
    assert!(unsigned.contains("the function 'f' keeps UInt64, and SQL has no such type"), "{unsigned}");
}

#[derive(Clone)]
struct Unsigned;

impl Aggregate for Unsigned {
    type In = i64;
    type Accumulator = u64;
    type Out = i64;

    fn add(&self, _: &mut u64, _: &i64) {}

    fn merge(&self, _: &mut u64, _: u64) {}

    fn result(&self, _: &u64) -> i64 {
        0
    }
}
