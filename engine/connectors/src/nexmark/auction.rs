//! Auctions: three of 50 events.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use weir_core::Result;

use super::model::{FIRST_ID, Model, last_auction};
use super::text::{Pool, padding_length, push_word, word_length};
use super::{INTEGER, TEXT, TIME, integers, times};

/// Names and types of the columns, in order.
pub(super) const COLUMNS: &[(&str, super::Kind)] = &[
    ("id", INTEGER),
    ("itemName", TEXT),
    ("description", TEXT),
    ("initialBid", INTEGER),
    ("reserve", INTEGER),
    ("dateTime", TIME),
    ("expires", TIME),
    ("seller", INTEGER),
    ("category", INTEGER),
    ("extra", TEXT),
];

/// Bytes that an auction has on average.
const SIZE: usize = 500;
/// Bytes of its numbers.
const NUMBERS: usize = 48;
const LONGEST_NAME: u64 = 20;
const LONGEST_DESCRIPTION: u64 = 100;

pub(super) fn column(column: usize, model: &Model, pool: &Pool, events: &[u64]) -> Result<ArrayRef> {
    let random = model.random;
    let words = |field: u64, longest: u64| -> ArrayRef {
        let mut text = String::new();
        let mut column = StringViewBuilder::with_capacity(events.len());
        for event in events {
            text.clear();
            push_word(&mut text, random.word(*event, field), longest, Some(b' '));
            column.append_value(&text);
        }
        Arc::new(column.finish())
    };
    let initial_bid = |event: u64| model.price(random.word(event, 2));
    Ok(match column {
        0 => integers(events, |event| (FIRST_ID + last_auction(event)) as i64),
        1 => words(0, LONGEST_NAME),
        2 => words(1, LONGEST_DESCRIPTION),
        3 => integers(events, initial_bid),
        4 => integers(events, |event| initial_bid(event) + model.price(random.word(event, 3))),
        5 => times(model, events),
        6 => Arc::new(arrow::array::TimestampMillisecondArray::from_iter_values(
            events.iter().map(|event| model.expires(*event, random.word(*event, 4))),
        )),
        7 => integers(events, |event| model.seller(event, random.word(event, 5))),
        8 => integers(events, |event| model.category(random.word(event, 6))),
        _ => pool.column(
            events.len(),
            SIZE - NUMBERS,
            events.iter().map(|event| {
                let name = word_length(random.word(*event, 0), LONGEST_NAME);
                let description = word_length(random.word(*event, 1), LONGEST_DESCRIPTION);
                let word = random.word(*event, 7);
                (word, padding_length(word, NUMBERS + name + description, SIZE))
            }),
        ),
    })
}
