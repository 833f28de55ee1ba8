//! How the values of one column are made.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, BinaryViewBuilder, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    StringViewBuilder, TimestampMillisecondArray, make_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, TimeUnit};
use weir_core::hash::mix;
use weir_core::{Error, Result};

use crate::numbered::random::{GOLDEN, Random};
use crate::options::Options;

/// What can be said of a column.
pub(super) const PROPERTIES: &[&str] =
    &["kind", "min", "max", "max-past", "length", "var-len", "null-rate", "start", "end"];

/// Field of [`Random`] that decides about null; the value comes from field 0.
const NULL_FIELD: u64 = 1;
const LENGTH_FIELD: u64 = 2;
const DEFAULT_LENGTH: u64 = 100;
const LONGEST: u64 = 1 << 20;
const DAY: i64 = 86_400_000;

/// A column and how it is made.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    data_type: DataType,
    values: Values,
    /// Of all 2^64 words, how many stand for null.
    nulls: u64,
    random: Random,
}

/// The kinds of values.
#[derive(Debug, Clone)]
enum Values {
    /// `start + n`, up to `end`.
    Sequence {
        start: i64,
        end: i64,
    },
    Boolean,
    /// Integers and decimals, by what their digits say without the point.
    Integer {
        min: i128,
        max: i128,
    },
    Float {
        min: f64,
        max: f64,
    },
    /// Hexadecimal digits, or as many bytes.
    Text {
        length: u64,
        is_variable: bool,
    },
    /// The row's time, less up to so many milliseconds.
    Time {
        max_past: u64,
    },
}

impl Rule {
    pub(super) fn of(options: Options<'_>, field: &Field, seed: u64, index: usize) -> Result<Self> {
        let data_type = field.data_type().clone();
        let name = |property: &str| format!("fields.{}.{property}", field.name());
        let is_sequence = options.choice(&name("kind"), &[("random", false), ("sequence", true)])?.unwrap_or(false);
        let values =
            if is_sequence { sequence(options, &data_type, &name)? } else { random(options, &data_type, &name)? };
        refuse_others(options, &values, &name)?;
        let null_rate = options.number(&name("null-rate"), 0.0f64, 1.0)?.unwrap_or(0.0);
        if null_rate > 0.0 && !field.is_nullable() {
            return Err(options.error(&name("null-rate"), "not possible for a column that is NOT NULL"));
        }
        let random = Random::new(seed ^ mix(GOLDEN.wrapping_mul(index as u64 + 1)));
        Ok(Self { data_type, values, nulls: (null_rate * u64::MAX as f64) as u64, random })
    }

    /// Rows after which the column has no more values.
    pub(super) fn rows(&self) -> Option<u64> {
        match self.values {
            Values::Sequence { start, end } => Some(end.abs_diff(start).saturating_add(1)),
            _ => None,
        }
    }

    /// The values of these rows; `time` says when a row is, in milliseconds.
    pub(super) fn column(&self, rows: &[u64], time: &dyn Fn(u64) -> i64) -> Result<ArrayRef> {
        let word = |row: u64| self.random.word(row, 0);
        let column: ArrayRef = match &self.values {
            Values::Sequence { start, .. } => {
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| start.wrapping_add(*row as i64))))
            }
            Values::Boolean => Arc::new(rows.iter().map(|row| Some(word(*row) >> 63 == 1)).collect::<BooleanArray>()),
            Values::Integer { min, max } => {
                let value = |row: &u64| within(*min, *max, word(*row));
                match self.data_type {
                    DataType::Decimal128(precision, scale) => Arc::new(
                        Decimal128Array::from_iter_values(rows.iter().map(value))
                            .with_precision_and_scale(precision, scale)?,
                    ),
                    _ => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| value(row) as i64))),
                }
            }
            Values::Float { min, max } => Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| {
                let uniform = (word(*row) >> 11) as f64 / (1u64 << 53) as f64;
                // Weighted, because the distance of the greatest numbers is none.
                min * (1.0 - uniform) + max * uniform
            }))),
            Values::Text { length, is_variable } => self.texts(rows, *length, *is_variable),
            Values::Time { max_past } => {
                let moment = |row: &u64| {
                    let past = (u128::from(word(*row)) * (u128::from(*max_past) + 1)) >> 64;
                    time(*row).saturating_sub(past as i64)
                };
                match self.data_type {
                    DataType::Date32 => Arc::new(Date32Array::from_iter_values(
                        rows.iter().map(|row| i32::try_from(moment(row).div_euclid(DAY)).unwrap_or(i32::MAX)),
                    )),
                    DataType::Timestamp(_, ref zone) => Arc::new(
                        TimestampMillisecondArray::from_iter_values(rows.iter().map(moment))
                            .with_timezone_opt(zone.clone()),
                    ),
                    _ => return Err(Error::internal("a column of times has another type")),
                }
            }
        };
        self.with_nulls(cast(&column, &self.data_type)?, rows)
    }

    fn texts(&self, rows: &[u64], length: u64, is_variable: bool) -> ArrayRef {
        let mut bytes = Vec::new();
        if self.data_type == DataType::BinaryView {
            let mut column = BinaryViewBuilder::with_capacity(rows.len());
            for row in rows {
                self.fill(&mut bytes, *row, length, is_variable, |word, out| out.extend(word.to_le_bytes()));
                column.append_value(&bytes);
            }
            Arc::new(column.finish())
        } else {
            let mut column = StringViewBuilder::with_capacity(rows.len());
            for row in rows {
                self.fill(&mut bytes, *row, length, is_variable, |word, out| {
                    out.extend((0..16).map(|digit| b"0123456789abcdef"[(word >> (4 * digit)) as usize & 15]));
                });
                column.append_value(String::from_utf8_lossy(&bytes));
            }
            Arc::new(column.finish())
        }
    }

    /// The bytes of a row's text, out of as many words as it takes.
    fn fill(&self, out: &mut Vec<u8>, row: u64, length: u64, is_variable: bool, push: impl Fn(u64, &mut Vec<u8>)) {
        let length = match is_variable {
            true => 1 + within(0, i128::from(length) - 1, self.random.word(row, LENGTH_FIELD)) as usize,
            false => length as usize,
        };
        let mut state = self.random.word(row, 0);
        out.clear();
        while out.len() < length {
            state = state.wrapping_add(GOLDEN);
            push(mix(state), out);
        }
        out.truncate(length);
    }

    fn with_nulls(&self, column: ArrayRef, rows: &[u64]) -> Result<ArrayRef> {
        if self.nulls == 0 {
            return Ok(column);
        }
        let valid: NullBuffer = rows.iter().map(|row| self.random.word(*row, NULL_FIELD) > self.nulls).collect();
        Ok(make_array(column.to_data().into_builder().nulls(Some(valid.into_inner().into())).build()?))
    }
}

/// `word` scaled to `min..=max`.
fn within(min: i128, max: i128, word: u64) -> i128 {
    let span = max.abs_diff(min) + 1;
    let offset = if span <= 1 << 64 {
        (span * u128::from(word)) >> 64
    } else {
        (u128::from(word) << 64 | u128::from(mix(word))) % span
    };
    min.wrapping_add(offset as i128)
}

fn sequence(options: Options<'_>, data_type: &DataType, name: &dyn Fn(&str) -> String) -> Result<Values> {
    let range = match data_type {
        DataType::Utf8View => (i64::MIN, i64::MAX),
        _ => match integer_range(data_type) {
            Some(range) => range,
            None => return Err(options.error(&name("kind"), "possible for integers and STRING only")),
        },
    };
    let bound = |property: &str| -> Result<i64> {
        options.required(&name(property))?;
        let value = options.number(&name(property), range.0, range.1)?;
        value.ok_or_else(|| Error::internal("a required option is missing"))
    };
    let (start, end) = (bound("start")?, bound("end")?);
    if start > end {
        return Err(options.error(&name("end"), "before the start"));
    }
    Ok(Values::Sequence { start, end })
}

fn random(options: Options<'_>, data_type: &DataType, name: &dyn Fn(&str) -> String) -> Result<Values> {
    if let Some((lowest, highest)) = integer_range(data_type) {
        let min = options.number(&name("min"), lowest, highest)?.unwrap_or(lowest);
        let max = options.number(&name("max"), lowest, highest)?.unwrap_or(highest);
        ordered(options, min <= max, name)?;
        return Ok(Values::Integer { min: min.into(), max: max.into() });
    }
    match data_type {
        DataType::Boolean => Ok(Values::Boolean),
        DataType::Float32 | DataType::Float64 => {
            let greatest = if *data_type == DataType::Float32 { f64::from(f32::MAX) } else { f64::MAX };
            let min = options.number(&name("min"), -greatest, greatest)?.unwrap_or(-greatest);
            let max = options.number(&name("max"), -greatest, greatest)?.unwrap_or(greatest);
            ordered(options, min <= max, name)?;
            Ok(Values::Float { min, max })
        }
        DataType::Decimal128(precision, scale) => {
            let digits = (*precision).min(DECIMAL128_MAX_PRECISION);
            let greatest = 10i128.pow(u32::from(digits)) - 1;
            let bound = |property: &str| {
                options.parse(&name(property), format!("not a DECIMAL({precision}, {scale})"), |text| {
                    parse_decimal::<Decimal128Type>(text, digits, *scale).ok()
                })
            };
            let (min, max) = (bound("min")?.unwrap_or(-greatest), bound("max")?.unwrap_or(greatest));
            ordered(options, min <= max, name)?;
            Ok(Values::Integer { min, max })
        }
        DataType::Utf8View | DataType::BinaryView => Ok(Values::Text {
            length: options.number(&name("length"), 1, LONGEST)?.unwrap_or(DEFAULT_LENGTH),
            is_variable: options.boolean(&name("var-len"))?.unwrap_or(false),
        }),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date32 => {
            let past = options.duration(&name("max-past"))?.unwrap_or(Duration::ZERO);
            Ok(Values::Time { max_past: u64::try_from(past.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64) })
        }
        _ => Err(options.error(&name("kind"), "not possible: datagen makes no values of the column's type")),
    }
}

fn ordered(options: Options<'_>, is_ordered: bool, name: &dyn Fn(&str) -> String) -> Result<()> {
    if is_ordered { Ok(()) } else { Err(options.error(&name("min"), "above the maximum")) }
}

/// A property that means nothing for the column would be a mistake that nobody sees.
fn refuse_others(options: Options<'_>, values: &Values, name: &dyn Fn(&str) -> String) -> Result<()> {
    let meant: &[&str] = match values {
        Values::Sequence { .. } => &["start", "end"],
        Values::Boolean => &[],
        Values::Integer { .. } | Values::Float { .. } => &["min", "max"],
        Values::Text { .. } => &["length", "var-len"],
        Values::Time { .. } => &["max-past"],
    };
    let others = PROPERTIES.iter().filter(|property| !["kind", "null-rate"].contains(*property));
    for property in others.filter(|property| !meant.contains(*property)) {
        if options.text(&name(property)).is_some() {
            return Err(options.error(&name(property), "without meaning for a column of this type and kind"));
        }
    }
    Ok(())
}

fn integer_range(data_type: &DataType) -> Option<(i64, i64)> {
    match data_type {
        DataType::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
        DataType::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
        DataType::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
        DataType::Int64 => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}
