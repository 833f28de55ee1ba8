//! Functions that SQL calls, through the boundary. Another crate has the same done in processes of their own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::datatypes::Int64Type;
use weir_core::ErrorKind;
use weir_core::plugin::{AggregateGroup, FunctionCode, Plugin, ScalarFunction};

use super::plugin;

pub fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringViewArray::from(texts.to_vec()))
}

pub fn numbers(numbers: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(numbers.to_vec()))
}

pub fn scalar(plugin: &dyn Plugin, name: &str) -> Arc<dyn ScalarFunction> {
    let (_, FunctionCode::Scalar(code)) = plugin.function(name).unwrap() else { panic!("{name} adds rows up") };
    code
}

#[test]
fn results_are_those_of_the_arguments_and_outlive_the_plugin() {
    let loaded = plugin();
    let shout = scalar(&loaded, "shout");
    drop(loaded);
    let long = "a word that is too long to stand in its view";
    let results = shout.call(&[texts(&["a", long])], 2).unwrap();
    drop(shout);
    let results: Vec<_> = results.as_string_view().iter().flatten().collect();
    assert_eq!(results, ["a!", &format!("{long}!")]);
    let results = scalar(&plugin(), "or_zero").call(&[numbers(&[Some(4), None])], 2).unwrap();
    assert_eq!(results.as_primitive::<Int64Type>().values().as_ref(), [4, 0]);
    let results = scalar(&plugin(), "batch").call(&[], 3).unwrap();
    assert_eq!(results.as_primitive::<Int64Type>().values().as_ref(), [3, 3, 3]);
}

#[test]
fn several_threads_call_one_function() {
    let shout = scalar(&plugin(), "shout");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let shout = shout.clone();
            scope.spawn(move || {
                let text = format!("a word of thread {thread}, which is long");
                for _ in 0..200 {
                    let results = shout.call(&[texts(&[&text])], 1).unwrap();
                    assert_eq!(results.as_string_view().value(0), format!("{text}!"));
                }
            });
        }
    });
}

#[test]
fn what_goes_wrong_is_an_error() {
    let call = |name: &str, argument: ArrayRef| {
        let rows = argument.len();
        scalar(&plugin(), name).call(&[argument], rows).expect_err("it fails")
    };
    let error = call("fault", texts(&["panic"]));
    assert!(
        error.to_string().starts_with("the plugin panicked in the function 'fault': a word too many at "),
        "{error}"
    );
    assert!(error.to_string().contains("src/functions.rs:"), "{error}");
    let error = call("fault", texts(&["error"]));
    assert_eq!((error.kind(), error.help()), (ErrorKind::Data, Some("use another word")));
    let error = call("wrong_type", numbers(&[Some(1)]));
    assert!(error.to_string().contains("made 1 values of Int64 for 1 rows, and has declared Utf8View"), "{error}");
    let error = call("too_few", numbers(&[Some(1), Some(2)]));
    assert!(error.to_string().contains("made 1 values of Int64 for 2 rows"), "{error}");
    // The other side would read numbers as text.
    assert_eq!(call("shout", numbers(&[Some(1)])).kind(), ErrorKind::Internal);
}

pub fn group(plugin: &dyn Plugin) -> Box<dyn AggregateGroup> {
    let (_, FunctionCode::Aggregate(code)) = plugin.function("longest").unwrap() else { panic!("it adds no rows up") };
    code.group().unwrap()
}

pub fn text(values: &ArrayRef) -> Option<String> {
    assert_eq!(values.len(), 1);
    values.as_string_view().iter().next().unwrap().map(str::to_owned)
}

#[test]
fn groups_are_added_up_and_merged_and_outlive_the_plugin() {
    let loaded = plugin();
    let (mut one, mut other) = (group(&loaded), group(&loaded));
    drop(loaded);
    assert_eq!(text(&one.result().unwrap()), None);
    one.update(&[texts(&["a", "a text that is too long to stand in its view", "b"])], 3).unwrap();
    one.update(&[texts(&["short"])], 1).unwrap();
    other.update(&[texts(&["bb"])], 1).unwrap();
    let state = one.state().unwrap();
    assert_eq!(text(&state), text(&one.result().unwrap()), "asked twice it says the same");
    drop(one);
    other.merge(&state).unwrap();
    assert_eq!(text(&other.result().unwrap()).unwrap(), "a text that is too long to stand in its view");
    assert!(other.bytes() > 40);
}
