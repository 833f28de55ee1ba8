//! Jobs are described, and rows of dictionaries go through the boundary as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{DictionaryArray, RecordBatch};
use arrow::datatypes::Int32Type;
use weir_core::ErrorKind;
use weir_core::plugin::{JobStep, Plugin};
use weir_test_plugin::count_input;

use super::operators::echoed;
use super::plugin;

#[test]
fn a_job_is_described() {
    let arguments = BTreeMap::from([("inputs".to_owned(), "/tmp".to_owned())]);
    let error = plugin().job(&arguments).expect_err("there is no such argument");
    assert_eq!((error.to_string().as_str(), error.kind()), ("there is no argument `inputs`", ErrorKind::User));
    let arguments = [("input", "/in"), ("output", "/out")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let job = plugin().job(&BTreeMap::from(arguments)).unwrap();
    assert_eq!(job.name, "counted-words");
    let JobStep::Operator(step) = &job.steps[2] else { panic!("{:?}", job.steps[2]) };
    assert_eq!(step.inputs[0].columns, count_input());
}

#[test]
fn rows_with_a_dictionary_come_back() {
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    let rows = RecordBatch::try_from_iter_with_nullable([("dictionary", Arc::new(dictionary) as _, true)]).unwrap();
    assert_eq!(echoed(&rows.clone().into()).unwrap().0.records(), &rows);
}
