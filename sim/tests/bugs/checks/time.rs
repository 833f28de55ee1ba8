//! What is made of what inputs say of event time.

use std::time::Duration;

use weir_core::{EventTime, InputWatermarks, SplitWatermarks, TableTime, Watermark};

const fn at(time: i64) -> Watermark {
    Watermark::At(EventTime(time))
}

pub fn inputs_fall_idle_and_wake_up_with_a_marker() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    inputs.update(0, at(10));
    assert!(inputs.update(1, Watermark::Idle).is_empty(), "the marker is to come");
    assert_eq!(inputs.marker(), [at(10)]);
    inputs.update(1, at(12));
    inputs.marker();
    inputs.marker_sent();
    assert_eq!(inputs.update(0, at(40)), [at(12)], "the second one counts again");
}

pub fn splits_are_idle_after_their_timeout_and_hold_time_until_they_are_read() {
    let second = Duration::from_secs(1);
    let mut splits = SplitWatermarks::new(EventTime::MIN, Some(second));
    splits.add("a".into(), "a".into(), EventTime::MIN);
    splits.observe("a", EventTime(5), second);
    assert_eq!(splits.advance(second), Some(at(5)), "there is something to say");
    splits.add("b".into(), "b".into(), EventTime::MIN);
    splits.observe("a", EventTime(9), second);
    assert_eq!(splits.advance(second), None, "b is unread");
}

pub fn a_table_is_where_its_slowest_reader_is() {
    let mut table = TableTime::new(2);
    table.announced(0);
    table.announced(1);
    assert_eq!(table.update(0, at(10)), None);
    assert_eq!(table.update(1, at(5)), Some(EventTime(5)));
}
