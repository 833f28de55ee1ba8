#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, ListArray, MapArray, StringViewArray, StructArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampSecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit};

use super::{convert, converts};

fn texts(array: impl Array + 'static) -> Vec<Option<String>> {
    let array: ArrayRef = Arc::new(array);
    assert!(converts(array.data_type(), &DataType::Utf8View));
    let texts = convert(&array, &DataType::Utf8View, false).unwrap();
    texts.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
}

fn text(array: impl Array + 'static) -> String {
    texts(array)[0].clone().unwrap()
}

fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, None)
}

fn ticks(array: &ArrayRef) -> Option<i64> {
    let integers = arrow::compute::cast(array, &DataType::Int64).unwrap();
    integers.as_primitive::<Int64Type>().iter().next().unwrap()
}

#[test]
fn times_are_written_as_in_flink() {
    assert_eq!(text(TimestampSecondArray::from(vec![1_699_524_000])), "2023-11-09 10:00:00");
    assert_eq!(text(TimestampMillisecondArray::from(vec![1_699_524_000_000])), "2023-11-09 10:00:00.000");
    assert_eq!(text(TimestampMicrosecondArray::from(vec![-1])), "1969-12-31 23:59:59.999999");
    let zoned = TimestampMillisecondArray::from(vec![Some(5), None]).with_timezone("UTC");
    assert_eq!(texts(zoned), [Some("1970-01-01 00:00:00.005".to_owned()), None]);
    assert_eq!(text(Date32Array::from(vec![2_932_896])), "9999-12-31");
    assert_eq!(text(Time64NanosecondArray::from(vec![36_000_000_000_000])), "10:00:00");
    assert_eq!(text(Time64NanosecondArray::from(vec![36_000_120_000_000])), "10:00:00.12");
}

#[test]
fn arrays_maps_and_rows_are_written_as_in_flink() {
    let numbers = Int64Array::from(vec![Some(1), None, Some(3)]);
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 1]), Arc::new(numbers.clone()), None);
    assert_eq!(texts(lists), [Some("[1, NULL]".to_owned()), Some("[3]".to_owned())]);
    let names: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b", "c"]));
    let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0, 1, 2]));
    let fields =
        vec![Field::new("key", DataType::Utf8View, false), Field::new("value", timestamp(TimeUnit::Second), true)];
    let entries = StructArray::new(fields.into(), vec![names.clone(), times], None);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let maps = MapArray::new(entry, OffsetBuffer::from_lengths([1, 2]), entries, None, false);
    assert_eq!(texts(maps)[1].as_deref(), Some("{b=1970-01-01 00:00:01, c=1970-01-01 00:00:02}"));
    let fields = vec![Field::new("n", DataType::Int64, true), Field::new("s", DataType::Utf8View, true)];
    let nulls = Some(NullBuffer::from(vec![true, true, false]));
    let rows = StructArray::new(fields.into(), vec![Arc::new(numbers), names], nulls);
    assert_eq!(texts(rows), [Some("(1, a)".to_owned()), Some("(NULL, b)".to_owned()), None]);
}

#[test]
fn what_is_finer_is_cut_off_towards_the_past() {
    let before: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1]));
    assert_eq!(ticks(&convert(&before, &timestamp(TimeUnit::Millisecond), false).unwrap()), Some(-1));
    assert_eq!(ticks(&convert(&before, &timestamp(TimeUnit::Second), false).unwrap()), Some(-1));
    let day = convert(&before, &DataType::Date32, false).unwrap();
    assert_eq!(day.as_primitive::<arrow::datatypes::Date32Type>().value(0), -1);
    let text: ArrayRef = Arc::new(StringViewArray::from(vec!["1969-12-31 23:59:59.999999"]));
    assert_eq!(ticks(&convert(&text, &timestamp(TimeUnit::Millisecond), false).unwrap()), Some(-1));
}

#[test]
fn no_year_is_out_of_reach_but_of_nanoseconds() {
    let text: ArrayRef = Arc::new(StringViewArray::from(vec!["9999-12-31 00:00:00"]));
    assert_eq!(
        ticks(&convert(&text, &timestamp(TimeUnit::Microsecond), false).unwrap()),
        Some(253_402_214_400_000_000)
    );
    let date: ArrayRef = Arc::new(Date32Array::from(vec![2_932_896]));
    assert_eq!(ticks(&convert(&date, &timestamp(TimeUnit::Millisecond), false).unwrap()), Some(253_402_214_400_000));
    for late in [text, date] {
        let nanoseconds = timestamp(TimeUnit::Nanosecond);
        let error = convert(&late, &nanoseconds, false).unwrap_err();
        assert!(error.to_string().contains("is out of the range of TIMESTAMP(9)"), "{error}");
        assert_eq!(ticks(&convert(&late, &nanoseconds, true).unwrap()), None);
    }
}

#[test]
fn rows_are_converted_by_place_and_hidden_values_do_not_fail() {
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["7", "no number"]));
    let fields = vec![Field::new("a", DataType::Utf8View, true)];
    let rows: ArrayRef =
        Arc::new(StructArray::new(fields.into(), vec![texts], Some(NullBuffer::from(vec![true, false]))));
    let to = DataType::Struct(vec![Field::new("n", DataType::Int64, true)].into());
    let converted = convert(&rows, &to, false).unwrap();
    assert_eq!(converted.data_type(), &to);
    let values: Vec<_> = converted.as_struct().column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(values, [Some(7), None]);
}
