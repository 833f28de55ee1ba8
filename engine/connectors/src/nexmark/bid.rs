//! Bids: 46 of 50 events, so these columns decide how fast the generator is.

use arrow::array::ArrayRef;
use weir_core::Result;

use super::model::Model;
use super::text::{COLD_CHANNELS, HOT_CHANNELS, Pool, Texts, channels, padding_length, urls};
use super::{INTEGER, TEXT, TIME, integers, times};
use crate::numbered::random::{below, high, low};

/// Names and types of the columns, in order.
pub(super) const COLUMNS: &[(&str, super::Kind)] = &[
    ("auction", INTEGER),
    ("bidder", INTEGER),
    ("price", INTEGER),
    ("channel", TEXT),
    ("url", TEXT),
    ("dateTime", TIME),
    ("extra", TEXT),
];

/// Bytes that a bid has on average.
const SIZE: usize = 100;
/// Bytes of its numbers.
const NUMBERS: usize = 32;
/// All but one in so many bids come in by a hot channel.
const HOT_CHANNEL_RATIO: u64 = 2;

/// What columns of bids are made of.
#[derive(Debug)]
pub(super) struct Bids {
    channels: Texts,
    urls: Texts,
}

impl Bids {
    pub(super) fn new(model: &Model) -> Self {
        Self { channels: channels(), urls: urls(model.random) }
    }

    pub(super) fn column(&self, column: usize, model: &Model, pool: &Pool, events: &[u64]) -> Result<ArrayRef> {
        let random = model.random;
        Ok(match column {
            0 => integers(events, |event| model.auction(event, random.word(event, 0))),
            1 => integers(events, |event| model.bidder(event, random.word(event, 1))),
            2 => integers(events, |event| model.price(random.word(event, 2))),
            3 => self.channels.column(events.iter().map(|event| channel(random.word(*event, 3))))?,
            4 => self.urls.column(events.iter().map(|event| channel(random.word(*event, 3))))?,
            5 => times(model, events),
            _ => pool.column(
                events.len(),
                SIZE - NUMBERS,
                events.iter().map(|event| {
                    let word = random.word(*event, 4);
                    (word, padding_length(word, NUMBERS, SIZE))
                }),
            ),
        })
    }
}

/// Index of a bid's channel, the hot ones first.
#[inline]
fn channel(word: u64) -> u32 {
    let hot = HOT_CHANNELS.len() as u32;
    if below(low(word), HOT_CHANNEL_RATIO) > 0 {
        below(high(word), u64::from(hot)) as u32
    } else {
        hot + below(high(word), u64::from(COLD_CHANNELS)) as u32
    }
}
