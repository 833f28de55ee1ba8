//! The benchmark's rules: which event is what, whose ids there are at an event, what is hot, what things cost.
//! The numbers are those that Apache Beam's and Flink's generators use by default.

use crate::numbered::random::{Random, below, high, low};

/// Events of one round: one person, then three auctions, then the bids.
pub(super) const ROUND: u64 = 50;
pub(super) const PERSONS: u64 = 1;
pub(super) const AUCTIONS: u64 = 3;

/// Ids of persons and auctions start here.
pub(super) const FIRST_ID: u64 = 1000;
/// Categories are this and the next four.
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// One in so many auctions is hot, and one in so many persons a hot seller or bidder, at a time.
const HOT_STRIDE: u64 = 100;
/// All but one in so many bids are on the hot auction, by the hot bidder; all but one in so many auctions are the hot
/// seller's.
const HOT_AUCTION_RATIO: u64 = 2;
const HOT_BIDDER_RATIO: u64 = 4;
const HOT_SELLER_RATIO: u64 = 4;
/// Persons that are not hot come from so many of the latest, and a few that are yet to register.
const ACTIVE_PERSONS: u64 = 1000;
const PERSON_LEAD: u64 = 10;
/// The same for auctions.
const AUCTIONS_IN_FLIGHT: u64 = 100;
const AUCTION_LEAD: u64 = 10;

/// Resolution of the price curve: its logarithm is looked up in two steps of so many bits.
const PRICE_BITS: u32 = 12;

/// The rules with a seed and a time scale.
#[derive(Debug)]
pub(super) struct Model {
    pub random: Random,
    /// Event time of event 0, in milliseconds.
    pub start: i64,
    /// Events per second of event time.
    pub rate: u64,
    coarse: Vec<f64>,
    fine: Vec<f64>,
}

impl Model {
    pub(super) fn new(seed: u64, start: i64, rate: u64) -> Self {
        let steps = 1u32 << PRICE_BITS;
        let power = |exponent: f64| 10f64.powf(6.0 * exponent);
        let coarse = (0..steps).map(|step| 100.0 * power(f64::from(step) / f64::from(steps))).collect();
        let fine = (0..steps).map(|step| power(f64::from(step) / f64::from(steps) / f64::from(steps))).collect();
        Self { random: Random::new(seed), start, rate, coarse, fine }
    }

    /// Event time in milliseconds.
    #[inline]
    pub(super) fn time(&self, event: u64) -> i64 {
        self.start.saturating_add((event.saturating_mul(1000) / self.rate) as i64)
    }

    /// 10^(6u) dollars in cents, for u uniform in [0, 1): as many bids between 1 and 10 dollars as between 10 and 100.
    #[inline]
    pub(super) fn price(&self, word: u64) -> i64 {
        let mask = (1 << PRICE_BITS) - 1;
        let coarse = self.coarse[(word >> (64 - PRICE_BITS)) as usize & mask];
        let fine = self.fine[(word >> (64 - 2 * PRICE_BITS)) as usize & mask];
        (coarse * fine).round() as i64
    }

    /// Whom an auction is by.
    #[inline]
    pub(super) fn seller(&self, event: u64, word: u64) -> i64 {
        let hot = below(low(word), HOT_SELLER_RATIO) > 0;
        let seller = if hot { last_person(event) / HOT_STRIDE * HOT_STRIDE } else { any_person(event, high(word)) };
        (FIRST_ID + seller) as i64
    }

    /// Who bids. The hot bidder is the person after the hot seller.
    #[inline]
    pub(super) fn bidder(&self, event: u64, word: u64) -> i64 {
        let hot = below(low(word), HOT_BIDDER_RATIO) > 0;
        let bidder = if hot { last_person(event) / HOT_STRIDE * HOT_STRIDE + 1 } else { any_person(event, high(word)) };
        (FIRST_ID + bidder) as i64
    }

    /// What is bid on.
    #[inline]
    pub(super) fn auction(&self, event: u64, word: u64) -> i64 {
        let hot = below(low(word), HOT_AUCTION_RATIO) > 0;
        let last = last_auction(event);
        let auction = if hot {
            last / HOT_STRIDE * HOT_STRIDE
        } else {
            let oldest = last.saturating_sub(AUCTIONS_IN_FLIGHT);
            oldest + below(high(word), last - oldest + 1 + AUCTION_LEAD)
        };
        (FIRST_ID + auction) as i64
    }

    /// What is sold.
    #[inline]
    pub(super) fn category(&self, word: u64) -> i64 {
        (FIRST_CATEGORY + below(high(word), CATEGORIES)) as i64
    }

    /// When an auction ends: on average when as many new ones have begun as are in flight.
    #[inline]
    pub(super) fn expires(&self, event: u64, word: u64) -> i64 {
        let begins = self.time(event);
        let horizon = self.time(event.saturating_add(AUCTIONS_IN_FLIGHT * ROUND / AUCTIONS)) - begins;
        begins + 1 + below(high(word), (2 * horizon).max(1) as u64) as i64
    }
}

/// The latest person that is known at an event, counted from 0.
#[inline]
pub(super) fn last_person(event: u64) -> u64 {
    event / ROUND
}

/// The latest auction that is known at an event, which is not before the first auction, counted from 0.
#[inline]
pub(super) fn last_auction(event: u64) -> u64 {
    event / ROUND * AUCTIONS + (event % ROUND).saturating_sub(PERSONS).min(AUCTIONS - 1)
}

#[inline]
fn any_person(event: u64, word: u32) -> u64 {
    let known = last_person(event) + 1;
    let active = known.min(ACTIVE_PERSONS);
    known - active + below(word, active + PERSON_LEAD)
}
