//! What functions do at once in the process that calls them.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use weir_core::ErrorKind;
use weir_core::plugin::{FunctionCode, Plugin};

use super::functions::{group, numbers, texts};
use super::plugin;

#[test]
fn a_plugin_says_what_it_exports() {
    let signatures = plugin().functions().unwrap();
    let shout = signatures.iter().find(|signature| signature.name == "shout").unwrap();
    assert_eq!(shout.parameters[0].data_type(), &DataType::Utf8View);
    assert!(!shout.parameters[0].is_nullable() && !shout.nullable && shout.deterministic);
    assert!(!signatures.iter().find(|signature| signature.name == "batch").unwrap().deterministic);
    let Err(error) = plugin().function("whisper") else { panic!("there is none") };
    assert!(error.to_string().contains("exports no function 'whisper'"), "{error}");
}

/// Rows that are read as another type than they have are memory that is read where there is none.
#[test]
fn what_a_function_makes_is_what_was_said_with_its_code() {
    let plugin = plugin();
    for _ in 0..5 {
        let (signature, code) = plugin.function("fickle").unwrap();
        let FunctionCode::Scalar(code) = code else { panic!("it adds rows up") };
        plugin.functions().unwrap();
        let results = code.call(&[], 2).unwrap();
        assert_eq!(results.data_type(), &signature.result);
        match results.as_primitive_opt::<Int64Type>() {
            Some(numbers) => assert_eq!(numbers.values().as_ref(), [7, 7]),
            None => assert_eq!(results.as_string_view().value(1), "a text that is too long to stand in its view"),
        }
        plugin.functions().unwrap();
    }
}

#[test]
fn what_goes_wrong_in_a_group_is_an_error() {
    let mut group = group(&plugin());
    let error = group.update(&[texts(&["panic"])], 1).unwrap_err();
    assert!(
        error.to_string().starts_with("the plugin panicked in the function 'longest': a word too many at "),
        "{error}"
    );
    let error = group.update(&[texts(&["error"])], 1).unwrap_err();
    assert_eq!((error.kind(), error.help()), (ErrorKind::Data, Some("use another word")));
    // The other side would read numbers as text.
    assert_eq!(group.update(&[numbers(&[Some(1)])], 1).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(group.merge(&numbers(&[Some(1)])).unwrap_err().kind(), ErrorKind::Internal);
    group.update(&[texts(&["a number, which is no text"])], 1).unwrap();
    let error = group.result().unwrap_err();
    assert!(error.to_string().contains("made 1 values of Int64, and has declared one of Utf8View"), "{error}");
}
