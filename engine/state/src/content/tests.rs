//! Contents of several workers and epochs become one manifest.
#![allow(clippy::unwrap_used, reason = "tests")]

use weir_core::{EventTime, OperatorUid};

use super::*;
use crate::testing::header;

fn content(epoch: u64, watermark: i64, committable: u8) -> EpochContent {
    let delta = OperatorDelta { uid: OperatorUid("sum".into()), watermark: EventTime(watermark), tables: Vec::new() };
    let mut sink = crate::testing::committables().remove(0);
    sink.committables = vec![vec![committable]];
    EpochContent { epoch: Epoch(epoch), operators: vec![delta], committables: vec![sink], bytes: 1 }
}

#[test]
fn within_an_epoch_the_least_watermark_counts_and_from_one_to_the_next_the_later() {
    let contents = [content(1, 5, 1), content(2, 30, 2), content(1, 7, 3), content(2, 20, 4)];
    let manifest = Manifest::with_contents(None, header(2), &contents);
    assert_eq!(manifest.operators[0].watermark, EventTime(20));
    let first = Manifest::with_contents(None, header(1), &[content(1, 7, 3), content(1, 5, 1)]);
    assert_eq!(first.operators[0].watermark, EventTime(5));
}

#[test]
fn an_epoch_of_which_not_all_have_reported_says_nothing_of_time() {
    // One worker has no splits, so its source is at the end; the report of the one that has some was lost.
    let contents = [content(1, i64::MAX, 1), content(2, i64::MAX, 2), content(2, 20, 3)];
    let manifest = Manifest::with_contents(None, header(2), &contents);
    assert_eq!(manifest.operators[0].watermark, EventTime(20));
}

#[test]
fn a_sinks_committables_stand_together_in_order_of_their_epochs() {
    let contents = [content(2, 1, 30), content(1, 1, 10), content(1, 1, 20)];
    let manifest = Manifest::with_contents(None, header(2), &contents);
    assert_eq!(manifest.committables.len(), 1);
    assert_eq!(manifest.committables[0].committables, [vec![10], vec![20], vec![30]]);
}
