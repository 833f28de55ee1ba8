//! What is made of what inputs say of event time.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use weir_core::connector::SplitPosition;
use weir_core::{EventTime, InputWatermarks, SourceEvent, SplitWatermarks, TableTime, Watermark};
use weir_worker::testing::Presence;

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
    splits.add("b".into(), "b".into(), EventTime::MIN);
    splits.observe("b", EventTime(3), second / 2);
    splits.observe("a", EventTime(5), second);
    assert_eq!(splits.advance(second), Some(at(3)), "b is not idle yet");
    splits.add("c".into(), "c".into(), EventTime::MIN);
    splits.observe("b", EventTime(9), second);
    assert_eq!(splits.advance(second), None, "c is unread");
}

pub fn a_table_is_where_its_slowest_reader_is() {
    let mut table = TableTime::new(2);
    table.announced(0);
    table.announced(1);
    assert_eq!(table.update(0, at(10)), None);
    assert_eq!(table.update(1, at(5)), Some(EventTime(5)));
}

/// They would be late behind others whose time has gone on.
pub fn rows_wait_until_those_behind_wait_for_their_source() {
    let mut presence = idle();
    assert!(presence.is_idle(), "rows that come now are kept");
    presence.keep(rows(), vec![position("7")]);
    presence.says(at(10));
    assert!(!presence.may_read(), "and no others read");
    assert!(presence.marker().is_some(), "they are sent behind the marker");
    assert!(presence.counts() && presence.may_read());
    let mut presence = idle();
    presence.says(at(10));
    assert!(!presence.may_read(), "also if it has a time to tell and no rows");
}

/// A checkpoint that a marker takes in front of them has them read again.
pub fn kept_rows_are_behind_the_checkpoint() {
    let mut presence = idle();
    assert_eq!(presence.positions(), None, "where the source stands");
    presence.keep(rows(), vec![position("7")]);
    assert_eq!(presence.positions(), Some(vec![position("7")]));
    presence.marker();
    assert_eq!(presence.positions(), None);
}

/// Of a source behind whose idleness a marker has passed.
fn idle() -> Presence {
    let mut presence = Presence::default();
    presence.says(Watermark::Idle);
    assert!(!presence.is_idle() && presence.counts(), "the marker is to come");
    assert!(presence.marker().is_none());
    presence
}

fn rows() -> SourceEvent {
    let records = RecordBatch::new_empty(Schema::empty().into());
    SourceEvent::Rows { split: "split".into(), records, rejected: Vec::new() }
}

fn position(position: &str) -> SplitPosition {
    SplitPosition { split: "split".into(), position: position.to_owned() }
}
