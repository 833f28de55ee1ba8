//! A panic in a plugin is an error like any other, and says where it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray, UInt64Array};
use weir_core::plugin::Plugin;
use weir_core::{Collector, ErrorKind, EventTime};
use weir_test_plugin::count_input;

use super::operators::count;
use super::plugin;

#[test]
fn a_panic_has_its_message_and_backtrace_and_the_plugin_lives_on() {
    let plugin = plugin();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringViewArray::from(vec!["a"])), Arc::new(TimestampMillisecondArray::from(vec![1]))];
    let batch = RecordBatch::try_new(count_input(), columns).unwrap();
    let mut operator = count(&plugin, "panic");
    let error = operator.process(0, batch.clone().into(), &mut Collector::new(0)).expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::User);
    let report = error.report();
    assert!(report.starts_with("the plugin panicked in `process`: a word too many at "), "{report}");
    assert!(report.contains("src/fault.rs:"), "where: {report}");
    assert!(report.contains("src/count.rs:"), "by which way: {report}");
    assert!(!report.contains("catch_unwind"), "what caught it says nothing: {report}");
    drop(operator);
    let mut other = count(&plugin, "");
    assert!(other.process(0, batch.into(), &mut Collector::new(0)).is_ok());
}

#[test]
fn a_panic_in_a_call_that_cannot_fail_is_told_by_the_next_that_can() {
    let mut operator = count(&plugin(), "panic");
    let words: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b"]));
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let rows = RecordBatch::try_from_iter([("word", words), ("n", counts)]).unwrap();
    operator.load(0, &rows, &UInt64Array::from(vec![1, 2])).unwrap();
    assert_eq!(operator.expired(0, EventTime(1)), None);
    let error = operator.watermark(EventTime(1), &mut Collector::new(0)).expect_err("it has panicked");
    assert!(error.to_string().contains("two words too many"), "{error}");
    assert!(operator.watermark(EventTime(1), &mut Collector::new(0)).is_ok(), "it is told once");
}

#[test]
fn a_panic_where_the_job_is_described_is_an_error_too() {
    let arguments = [("fault", "panic"), ("where", "plan")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let error = plugin().job(&BTreeMap::from(arguments)).expect_err("it panics");
    assert!(
        error.to_string().starts_with("the plugin panicked in the description of its job: a word too many"),
        "{error}"
    );
}
