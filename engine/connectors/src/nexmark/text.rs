//! The benchmark's strings: words of random letters, padding to a size, and the few texts that repeat.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, StringViewBuilder, UInt32Array};
use weir_core::Result;
use weir_core::hash::mix;

use crate::numbered::random::{GOLDEN, Random, below, high, low};

/// Words have at least so many letters.
const SHORTEST_WORD: u64 = 3;
const LONGEST_WORD: usize = 100;
/// Of 256 characters inside a word so many are the special one: one in 13.
const SPECIAL: u8 = 20;
/// Letters that padding is cut out of.
const POOL: usize = 1 << 16;
/// Channels beside the four hot ones.
pub(super) const COLD_CHANNELS: u32 = 10_000;
pub(super) const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// Length of a word of less than `longest` letters.
#[inline]
pub(super) fn word_length(word: u64, longest: u64) -> usize {
    (SHORTEST_WORD + below(low(word), longest - SHORTEST_WORD)) as usize
}

/// Appends a word of less than `longest` letters (100 at most), some of those inside it replaced by `special`.
pub(super) fn push_word(out: &mut String, word: u64, longest: u64, special: Option<u8>) {
    let mut letters = [0; LONGEST_WORD];
    let letters = &mut letters[..word_length(word, longest).min(LONGEST_WORD)];
    let mut state = word;
    for eight in letters.chunks_mut(8) {
        state = state.wrapping_add(GOLDEN);
        for (place, byte) in eight.iter_mut().zip(mix(state).to_le_bytes()) {
            *place = match special {
                Some(special) if byte < SPECIAL => special,
                _ => letter(byte),
            };
        }
    }
    // Words neither begin nor end with it.
    if let ([first, .., last], Some(special)) = (&mut *letters, special) {
        for edge in [first, last] {
            if *edge == special {
                *edge = letter(high(word) as u8);
            }
        }
    }
    out.push_str(std::str::from_utf8(letters).expect("all of it is ASCII"));
}

fn letter(byte: u8) -> u8 {
    b'a' + (u16::from(byte) * 26 / 256) as u8
}

/// How much padding brings `present` bytes to about `average`.
#[inline]
pub(super) fn padding_length(word: u64, present: usize, average: usize) -> usize {
    let missing = average.saturating_sub(present);
    let delta = (missing + 2) / 5;
    missing - delta + below(low(word), 2 * delta as u64) as usize
}

/// Random letters to cut padding out of: making each anew would cost more than the queries that read it.
#[derive(Debug)]
pub(super) struct Pool(String);

impl Pool {
    pub(super) fn new(random: Random) -> Self {
        let letters = (0..POOL as u64).map(|index| char::from(letter(random.word(index, 15) as u8)));
        Self(letters.collect())
    }

    /// A column of padding, from a word and a length per row.
    pub(super) fn column(&self, rows: usize, average: usize, padding: impl Iterator<Item = (u64, usize)>) -> ArrayRef {
        let block = u32::try_from(rows * average * 5 / 4).unwrap_or(u32::MAX).clamp(1 << 12, 1 << 24);
        let mut column = StringViewBuilder::with_capacity(rows).with_fixed_block_size(block);
        for (word, length) in padding {
            let length = length.min(POOL);
            let start = below(high(word), (POOL - length + 1) as u64) as usize;
            column.append_value(&self.0[start..start + length]);
        }
        Arc::new(column.finish())
    }
}

/// Texts that repeat, so that a column of them is a column of references.
#[derive(Debug)]
pub(super) struct Texts(StringViewArray);

impl Texts {
    pub(super) fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut all = StringViewBuilder::new().with_fixed_block_size(1 << 20);
        texts.into_iter().for_each(|text| all.append_value(text));
        Self(all.finish())
    }

    pub(super) fn get(&self, index: u32) -> &str {
        self.0.value(index as usize)
    }

    pub(super) fn column(&self, indices: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        let indices = UInt32Array::from_iter_values(indices);
        Ok(arrow::compute::take(&self.0, &indices, None)?)
    }
}

/// Names of the channels: the hot ones, then the others.
pub(super) fn channels() -> Texts {
    let hot = HOT_CHANNELS.iter().map(|channel| (*channel).to_owned());
    Texts::new(hot.chain((0..COLD_CHANNELS).map(|channel| format!("channel-{channel}"))))
}

/// The address of each channel. Of those that are not hot, nine in ten carry the channel's id, whose digits are those
/// of its number's bits in reverse.
pub(super) fn urls(random: Random) -> Texts {
    let hot = HOT_CHANNELS.len() as u32;
    Texts::new((0..hot + COLD_CHANNELS).map(|channel| {
        let mut url = "https://www.nexmark.com/".to_owned();
        for part in 0..3 {
            push_word(&mut url, random.word(u64::from(channel), 8 + part), 5, Some(b'_'));
            url.push('/');
        }
        url.push_str("item.htm?query=1");
        if channel >= hot && below(low(random.word(u64::from(channel), 11)), 10) > 0 {
            let id = ((channel - hot).reverse_bits() as i32).unsigned_abs();
            url.push_str(&format!("&channel_id={id}"));
        }
        url
    }))
}
