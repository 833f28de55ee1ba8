//! Persons: one of 50 events.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use weir_core::Result;

use super::model::{FIRST_ID, Model, last_person};
use super::text::{Pool, Texts, padding_length, push_word, word_length};
use super::{INTEGER, TEXT, TIME, integers, times};
use crate::numbered::random::{below, high, low};

/// Names and types of the columns, in order.
pub(super) const COLUMNS: &[(&str, super::Kind)] = &[
    ("id", INTEGER),
    ("name", TEXT),
    ("emailAddress", TEXT),
    ("creditCard", TEXT),
    ("city", TEXT),
    ("state", TEXT),
    ("dateTime", TIME),
    ("extra", TEXT),
];

/// Bytes that a person has on average.
const SIZE: usize = 200;
/// Bytes of its number and of its card.
const FIXED: usize = 8 + 19;
const LONGEST_MAILBOX: u64 = 7;
const LONGEST_DOMAIN: u64 = 5;

pub(super) const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
pub(super) const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
pub(super) const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
pub(super) const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

/// What columns of persons are made of.
#[derive(Debug)]
pub(super) struct Persons {
    names: Texts,
    cities: Texts,
    states: Texts,
}

impl Persons {
    pub(super) fn new() -> Self {
        let names = FIRST_NAMES.iter().flat_map(|first| LAST_NAMES.iter().map(move |last| format!("{first} {last}")));
        Self { names: Texts::new(names), cities: Texts::new(CITIES), states: Texts::new(STATES) }
    }

    pub(super) fn column(&self, column: usize, model: &Model, pool: &Pool, events: &[u64]) -> Result<ArrayRef> {
        let random = model.random;
        let written = |write: &dyn Fn(&mut String, u64)| -> ArrayRef {
            let mut text = String::new();
            let mut column = StringViewBuilder::with_capacity(events.len());
            for event in events {
                text.clear();
                write(&mut text, *event);
                column.append_value(&text);
            }
            Arc::new(column.finish())
        };
        let name = |event: u64| {
            let word = random.word(event, 0);
            let (first, last) = (FIRST_NAMES.len() as u64, LAST_NAMES.len() as u64);
            (below(low(word), first) * last + below(high(word), last)) as u32
        };
        let city = |event: u64| below(low(random.word(event, 4)), CITIES.len() as u64) as u32;
        let state = |event: u64| below(high(random.word(event, 4)), STATES.len() as u64) as u32;
        Ok(match column {
            0 => integers(events, |event| (FIRST_ID + last_person(event)) as i64),
            1 => self.names.column(events.iter().map(|event| name(*event)))?,
            2 => written(&|text, event| {
                push_word(text, random.word(event, 1), LONGEST_MAILBOX, None);
                text.push('@');
                push_word(text, random.word(event, 2), LONGEST_DOMAIN, None);
                text.push_str(".com");
            }),
            3 => written(&|text, event| push_card(text, random.word(event, 3))),
            4 => self.cities.column(events.iter().map(|event| city(*event)))?,
            5 => self.states.column(events.iter().map(|event| state(*event)))?,
            6 => times(model, events),
            _ => pool.column(
                events.len(),
                SIZE - FIXED,
                events.iter().map(|event| {
                    let address = word_length(random.word(*event, 1), LONGEST_MAILBOX)
                        + word_length(random.word(*event, 2), LONGEST_DOMAIN)
                        + "@.com".len();
                    let names =
                        [self.names.get(name(*event)), self.cities.get(city(*event)), self.states.get(state(*event))];
                    let present = FIXED + address + names.iter().map(|text| text.len()).sum::<usize>();
                    let word = random.word(*event, 5);
                    (word, padding_length(word, present, SIZE))
                }),
            ),
        })
    }
}

/// Four groups of four digits.
fn push_card(text: &mut String, word: u64) {
    for group in 0..4 {
        let digits = below(((word >> (16 * group)) as u32 & 0xffff) << 16, 10_000);
        if group > 0 {
            text.push(' ');
        }
        for power in [1000, 100, 10, 1] {
            text.push(char::from(b'0' + (digits / power % 10) as u8));
        }
    }
}
