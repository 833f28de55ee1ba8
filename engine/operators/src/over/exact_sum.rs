//! Sums of DOUBLEs without an error: values can be taken out again, and the order in which they came does not matter. Rounded where
//! they are read, once, to the nearest DOUBLE.
//!
//! A sum is a whole number of 2^-1074, the least DOUBLE there is, in digits of 32 bits. Digits are kept in 64 bits with a sign, so that
//! many values are added before anything is carried.

/// Exponent of the last bit of the least DOUBLE.
const LEAST_EXPONENT: i32 = -1074;

const DIGIT_BITS: usize = 32;
/// The greatest digit.
const GREATEST_DIGIT: i64 = (1 << DIGIT_BITS) - 1;

/// So many values can be added before digits have to be carried: each adds less than 2^32.
const ADDED_BEFORE_CARRY: u32 = 1 << 30;

/// An exact sum of DOUBLEs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ExactSum {
    /// Place of the first digit.
    first: usize,
    digits: Vec<i64>,
    added: u32,
    nan: i64,
    infinite: i64,
    negative_infinite: i64,
}

impl ExactSum {
    /// Adds `value` so many times, which may be fewer than none.
    pub(super) fn add(&mut self, value: f64, times: i64) {
        if value.is_nan() {
            self.nan += times;
            return;
        }
        if value.is_infinite() {
            *(if value > 0.0 { &mut self.infinite } else { &mut self.negative_infinite }) += times;
            return;
        }
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        // A DOUBLE below the normal ones has the exponent of the first normal one, and no bit in front.
        let (mantissa, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        if mantissa == 0 {
            return;
        }
        let sign = if value < 0.0 { -times } else { times };
        let place = shift / DIGIT_BITS;
        self.make_room(place, place + 3);
        let wide = u128::from(mantissa) << (shift % DIGIT_BITS);
        for digit in 0..3 {
            self.digits[place - self.first + digit] += sign * i64::from((wide >> (digit * DIGIT_BITS)) as u32);
        }
        self.added += sign.unsigned_abs() as u32;
        if self.added >= ADDED_BEFORE_CARRY {
            self.carry();
        }
    }

    fn make_room(&mut self, from: usize, to: usize) {
        if self.digits.is_empty() {
            self.first = from;
        }
        if from < self.first {
            self.digits.splice(0..0, std::iter::repeat_n(0, self.first - from));
            self.first = from;
        }
        if to > self.first + self.digits.len() {
            self.digits.resize(to - self.first, 0);
        }
    }

    /// Makes all digits but the last one positive and less than 2^32. The last one stands for all that would follow, with a sign. There
    /// are as few as the sum needs, so that equal sums have equal digits.
    fn carry(&mut self) {
        let mut carried = 0;
        for digit in &mut self.digits {
            let sum = *digit + carried;
            carried = sum >> DIGIT_BITS;
            *digit = sum & GREATEST_DIGIT;
        }
        while !(-1..=0).contains(&carried) {
            self.digits.push(carried & GREATEST_DIGIT);
            carried >>= DIGIT_BITS;
        }
        match self.digits.last_mut() {
            // What is left over is a sign: that of the last digit.
            Some(last) => *last += carried << DIGIT_BITS,
            None => debug_assert_eq!(carried, 0),
        }
        while let [.., before, last @ (0 | -1)] = &mut self.digits[..] {
            *before += *last << DIGIT_BITS;
            self.digits.pop();
        }
        let nothing = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..nothing);
        self.first = if self.digits.is_empty() { 0 } else { self.first + nothing };
        self.added = 0;
    }

    /// The nearest DOUBLE.
    pub(super) fn value(&mut self) -> f64 {
        if self.nan > 0 || (self.infinite > 0 && self.negative_infinite > 0) {
            return f64::NAN;
        }
        if self.infinite > 0 {
            return f64::INFINITY;
        }
        if self.negative_infinite > 0 {
            return f64::NEG_INFINITY;
        }
        self.carry();
        let negative = self.digits.last().is_some_and(|digit| *digit < 0);
        let mut digits: Vec<u32> = Vec::with_capacity(self.digits.len() + 2);
        let mut carried = 0;
        for digit in &self.digits {
            let sum = if negative { carried - *digit } else { *digit };
            digits.push(sum as u32);
            carried = sum >> DIGIT_BITS;
        }
        // The last digit may have had more than 32 bits.
        digits.extend([carried as u32, (carried >> DIGIT_BITS) as u32]);
        let magnitude = nearest(&digits, self.first);
        if negative { -magnitude } else { magnitude }
    }

    /// As bytes, the same for the same sum.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        self.carry();
        let head = [self.nan, self.infinite, self.negative_infinite, self.first as i64];
        head.iter().chain(&self.digits).flat_map(|number| number.to_le_bytes()).collect()
    }

    /// The sum that was made bytes of; `None`: these are others.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: Vec<i64> = numbers.iter().map(|number| i64::from_le_bytes(*number)).collect();
        let (head, digits) = numbers.split_first_chunk::<4>()?;
        let [nan, infinite, negative_infinite, first] = *head;
        let first = usize::try_from(first).ok().filter(|_| rest.is_empty())?;
        Some(Self { first, digits: digits.to_vec(), added: 0, nan, infinite, negative_infinite })
    }
}

/// The DOUBLE that is nearest to these digits, the first of which stands at place `first`; of two the even one.
fn nearest(digits: &[u32], first: usize) -> f64 {
    let bit = |index: usize| digits.get(index / DIGIT_BITS).is_some_and(|digit| digit >> (index % DIGIT_BITS) & 1 == 1);
    let Some(top) = digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
    // Bits are counted from the first digit here, and from 2^-1074 in `offset`.
    let (length, offset) = ((top + 1) * DIGIT_BITS - digits[top].leading_zeros() as usize, first * DIGIT_BITS);
    let dropped = length.saturating_sub(53);
    let mut mantissa = (dropped..length).rev().fold(0_u64, |mantissa, index| mantissa << 1 | u64::from(bit(index)));
    if dropped > 0 && bit(dropped - 1) && (mantissa & 1 == 1 || (0..dropped - 1).any(bit)) {
        mantissa += 1;
    }
    scaled(mantissa, (offset + dropped) as i32 + LEAST_EXPONENT)
}

/// `mantissa`, which has no more than 53 bits or is 2^53, times a power of two: exact, or infinite.
fn scaled(mantissa: u64, mut exponent: i32) -> f64 {
    let mut value = mantissa as f64;
    while exponent != 0 {
        // A power of two that is a normal DOUBLE.
        let step = exponent.clamp(-1000, 1000);
        value *= f64::from_bits(((1023 + step) as u64) << 52);
        exponent -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value, 1));
        let bytes = sum.bytes();
        assert_eq!(ExactSum::from_bytes(&bytes).map(|mut sum| sum.value().to_bits()), Some(sum.value().to_bits()));
        sum.value()
    }

    #[test]
    fn a_sum_is_rounded_once() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[1e300, 1.0, -1e300]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0, "one by one it would be 0.9999999999999999");
        assert_eq!(sum(&[1e16, 1.0, 1.0]), 1e16 + 2.0);
        assert_eq!(sum(&[9007199254740992.0, 1.0]), 9007199254740992.0, "a tie goes to the even one");
        assert_eq!(sum(&[9007199254740992.0, 1.0, f64::from_bits(1)]), 9007199254740994.0);
        assert_eq!(sum(&[-9007199254740992.0, -3.0]), -9007199254740996.0);
        assert_eq!(sum(&[f64::from_bits(1), f64::from_bits(2)]), f64::from_bits(3));
        assert_eq!(sum(&[-f64::MIN_POSITIVE, f64::from_bits(1)]), -(f64::MIN_POSITIVE - f64::from_bits(1)));
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(sum(&[-0.0]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn what_is_taken_out_was_never_there() {
        let mut sum = ExactSum::default();
        for value in [f64::NAN, f64::INFINITY, 1e-300, 2.5, -1e250, f64::NEG_INFINITY] {
            sum.add(value, 1);
        }
        for value in [f64::NEG_INFINITY, 1e-300, f64::NAN, f64::INFINITY, -1e250] {
            sum.add(value, -1);
        }
        assert_eq!(sum.value(), 2.5);
        sum.add(2.5, -1);
        assert_eq!(sum.bytes(), ExactSum::default().bytes());
    }

    #[test]
    fn a_sum_that_is_read_often_does_not_grow() {
        for value in [-5.0, 5.0, -1e300, f64::MIN_POSITIVE, -f64::from_bits(1), -4294967296.0, 4294967295.0] {
            let mut sum = ExactSum::default();
            sum.add(value, 1);
            let bytes = sum.bytes();
            for _ in 0..1000 {
                assert_eq!(sum.value(), value);
            }
            assert_eq!(sum.bytes(), bytes, "{value}");
            sum.add(value, 999);
            sum.value();
            sum.add(value, -999);
            assert_eq!(sum.bytes(), bytes, "{value}: equal sums have equal bytes");
        }
    }

    proptest! {
        /// Multiples of a small number in 128 bits are the reference.
        #[test]
        fn sums_are_those_of_whole_numbers(values in prop::collection::vec(-1_i64 << 52..1_i64 << 52, 0..50), scale in -40..40_i32) {
            let unit = 2_f64.powi(scale);
            let values: Vec<f64> = values.iter().map(|value| *value as f64 * unit).collect();
            let exact: i128 = values.iter().map(|value| (*value / unit) as i128).sum();
            prop_assert_eq!(sum(&values), exact as f64 * unit);
        }

        #[test]
        fn two_values_are_added_as_the_processor_does(a in any::<f64>(), b in any::<f64>()) {
            let (found, expected) = (sum(&[a, b]), a + b);
            prop_assert!(found == expected || (found.is_nan() && expected.is_nan()), "{found} {expected}");
        }
    }
}
