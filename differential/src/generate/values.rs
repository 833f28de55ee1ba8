//! Values of each type, those at the edges among them.

use super::{Generator, Topic};
use crate::calendar::{DAY, SECOND};
use crate::random::Random;
use crate::types::Type;
use crate::value::Value;

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "b",
    "A",
    "ab",
    "abc",
    "Ab ",
    "%",
    "_",
    "a_b",
    "50%",
    "\\",
    "a\\b",
    "C:\\logs\\x",
    "'",
    "\"",
    ",",
    ";",
    "null",
    "NULL",
    "é",
    "ß",
    "日本",
    "😀",
    "a\tb",
    "0",
    "-0",
    "12",
    "-7",
    "3.5",
    "true",
    "2023-11-09",
    "x -- y",
    "/*",
    "a string that is longer than twelve bytes",
    "a string that is longer than twelve bytes!",
];

const DOUBLES: &[f64] = &[0.0, -0.0, 1.0, -1.0, 0.5, -2.25, 3.75, 100.125, 1e6, -4096.5];
const ODD_DOUBLES: &[f64] = &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// Instants in seconds, around which the time does something: 1970, before it, a leap day, the end of what nanoseconds can say,
/// and far from it.
pub const INSTANTS: &[i64] = &[
    0,
    -86_400,
    -1,
    1_699_524_000,
    1_709_164_790,
    1_709_251_190,
    9_223_372_000,
    9_223_400_000,
    95_617_584_000,
    -62_135_510_400,
    -2_208_988_800,
];

impl Generator {
    /// A type of a column.
    pub(super) fn column_type(&mut self) -> Type {
        match self.random.below(24) {
            0..=16 => self.scalar_type(),
            17..=18 => Type::Array(Box::new(self.scalar_type())),
            19..=21 => {
                let fields = self.random.between(1, 3);
                Type::Row((0..fields).map(|_| self.field_type()).collect())
            }
            22 => Type::Map(Box::new(Type::String), Box::new(self.scalar_type())),
            _ => Type::Array(Box::new(Type::Row(vec![Type::Integer(32), self.scalar_type()]))),
        }
    }

    fn field_type(&mut self) -> Type {
        if self.random.chance(15) { Type::Array(Box::new(self.scalar_type())) } else { self.scalar_type() }
    }

    pub(super) fn scalar_type(&mut self) -> Type {
        match self.random.below(24) {
            0..=1 => Type::Boolean,
            2..=8 => Type::Integer(*self.random.pick(&[8, 16, 32, 32, 64, 64, 64])),
            9 => Type::Float,
            10..=12 => Type::Double,
            13..=15 => {
                let (precision, scale) = *self.random.pick(&[(10, 2), (5, 5), (18, 0), (20, 4), (38, 0), (38, 10)]);
                Type::Decimal(precision, scale)
            }
            16..=18 => Type::String,
            19 => Type::Bytes,
            20 => Type::Date,
            21 => Type::Time,
            _ => Type::Timestamp { digits: *self.random.pick(&[0, 3, 3, 6, 6, 9]), local: self.random.chance(20) },
        }
    }

    /// A value that is not null.
    pub(super) fn value(&mut self, data_type: &Type, large: bool) -> Value {
        let mut value = value(&mut self.random, data_type, large);
        if !self.may(Topic::NegativeZero) {
            without_negative_zero(&mut value);
        }
        value
    }
}

/// A value that is not null; `large`: numbers may be as great as the type allows.
fn value(random: &mut Random, data_type: &Type, large: bool) -> Value {
    match data_type {
        Type::Boolean => Value::Boolean(random.chance(50)),
        Type::Integer(bits) => {
            let greatest = i64::MAX >> (64 - bits);
            Value::Integer(match random.below(8) {
                0 if large => greatest,
                1 if large => -greatest - 1,
                2 if large => 9_007_199_254_740_993.min(greatest),
                _ => random.between(-5, 20),
            })
        }
        Type::Float => Value::Float(double(random, large) as f32),
        Type::Double => Value::Double(double(random, large)),
        Type::Decimal(precision, scale) => {
            let limit = 10_i128.pow(u32::from(*precision)) - 1;
            let units = match random.below(8) {
                0 if large => limit,
                1 if large => -limit,
                _ => i128::from(random.between(-3000, 9000)),
            };
            Value::Decimal(units.clamp(-limit, limit), *scale)
        }
        Type::String => Value::String((*random.pick(TEXTS)).to_owned()),
        Type::Bytes => {
            let length = random.below(4);
            Value::Bytes((0..length).map(|_| *random.pick(&[0, 1, 0x7f, 0x80, 0xff, b'a'])).collect())
        }
        Type::Date => Value::Date(random.pick(INSTANTS).div_euclid(86_400) + random.between(-1, 1)),
        Type::Time => Value::Time(*random.pick(&[
            0,
            1,
            86_399_999_999_999,
            43_200_000_000_000,
            3_723_004_005_006,
            3_723_004_000_000,
        ])),
        Type::Timestamp { digits, .. } => {
            // Nanoseconds reach from 1677 to 2262 only.
            let within = |seconds: &i64| *digits < 9 || (-9_223_000_000..9_223_000_000).contains(seconds);
            let instants: Vec<i64> = INSTANTS.iter().copied().filter(within).collect();
            let unit = SECOND / 10_i128.pow(u32::from(*digits));
            let instant = i128::from(*random.pick(&instants)) * SECOND
                + i128::from(*random.pick(&[0_i64, 0, 1, 999_999_999, 123_456_789, -1, 86_399_999_999_999]));
            Value::Timestamp(instant.clamp(-700_000 * DAY, 2_000_000 * DAY).div_euclid(unit) * unit)
        }
        Type::Array(element) => {
            let length = random.below(4);
            Value::Array((0..length).map(|_| nullable(random, element, 20)).collect())
        }
        Type::Map(key, of) => {
            let keys = ["a", "b", "", "a key that is longer than twelve bytes"];
            let key_of = |text: &str| if **key == Type::String { Value::String(text.to_owned()) } else { Value::Null };
            let wanted = random.word();
            let chosen = keys.iter().enumerate().filter(|(place, _)| wanted >> place & 1 == 1);
            Value::Map(chosen.map(|(_, text)| (key_of(text), nullable(random, of, 20))).collect())
        }
        Type::Row(fields) => Value::Row(fields.iter().map(|field| nullable(random, field, 20)).collect()),
    }
}

fn nullable(random: &mut Random, data_type: &Type, percent: usize) -> Value {
    if random.chance(percent) { Value::Null } else { value(random, data_type, false) }
}

fn double(random: &mut Random, large: bool) -> f64 {
    if large && random.chance(25) { *random.pick(ODD_DOUBLES) } else { *random.pick(DOUBLES) }
}

/// 0.0 in the place of -0.0.
pub(super) fn without_negative_zero(value: &mut Value) {
    match value {
        Value::Float(number) if *number == 0.0 => *number = 0.0,
        Value::Double(number) if *number == 0.0 => *number = 0.0,
        Value::Array(values) | Value::Row(values) => values.iter_mut().for_each(without_negative_zero),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| without_negative_zero(value)),
        _ => {}
    }
}
