//! The one hash function that spreads keys over subtasks and names them in state files. It is part of the state
//! format ([`VERSION`]): the same on every CPU and for ever.
//!
//! A key is hashed column by column, left to right, `h = mix(h ^ value)`. Fixed-width values enter as 64-bit words,
//! strings and bytes as their XXH3-64 hash, so that `Utf8`, `LargeUtf8` and `Utf8View` of the same text agree, and so
//! do all integer widths. Nulls enter as a constant of their own. Of what is nested its own hash enters: that of the fields
//! of a row as of the columns of a key; that of the elements of a list, each hashed as a key of one column, and then of their number, and that of a map
//! as of the sum of its entries' hashes, whatever order they are in, and their number.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, MapArray, OffsetSizeTrait, PrimitiveArray,
    StructArray, UInt32Array, types::*,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{sort_to_indices, take};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

/// Version of the hash function, written into every manifest.
pub const VERSION: u32 = 1;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const NULL: u64 = 0xa076_1d64_78bd_642f;

/// Bijective mixing of 64 bits (the finaliser of SplitMix64: Steele, Lea, Flood, OOPSLA 2014).
#[inline]
pub fn mix(mut word: u64) -> u64 {
    word ^= word >> 30;
    word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^= word >> 27;
    word = word.wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Hashes the rows of `columns` into `hashes`, which is cleared first and gets one value a row. Without columns every
/// row hashes to the same value.
///
/// # Errors
/// A user error for a column type that cannot be a key.
pub fn hash_rows(columns: &[ArrayRef], rows: usize, hashes: &mut Vec<u64>) -> Result<()> {
    hashes.clear();
    hashes.resize(rows, SEED);
    columns.iter().try_for_each(|column| hash_column(column, hashes))
}

/// Whether columns of this type can be keys.
pub fn is_hashable(data_type: &DataType) -> bool {
    hash_column(&arrow::array::new_empty_array(data_type), &mut []).is_ok()
}

fn hash_column(column: &ArrayRef, hashes: &mut [u64]) -> Result<()> {
    match column.data_type() {
        DataType::Null => hashes.iter_mut().for_each(|hash| *hash = mix(*hash ^ NULL)),
        DataType::Boolean => hash_booleans(column.as_boolean(), hashes),
        DataType::Int8 => hash_words(column.as_primitive::<Int8Type>(), hashes, |v| v as i64 as u64),
        DataType::Int16 => hash_words(column.as_primitive::<Int16Type>(), hashes, |v| v as i64 as u64),
        DataType::Int32 => hash_words(column.as_primitive::<Int32Type>(), hashes, |v| v as i64 as u64),
        DataType::Int64 => hash_words(column.as_primitive::<Int64Type>(), hashes, |v| v as u64),
        DataType::UInt8 => hash_words(column.as_primitive::<UInt8Type>(), hashes, u64::from),
        DataType::UInt16 => hash_words(column.as_primitive::<UInt16Type>(), hashes, u64::from),
        DataType::UInt32 => hash_words(column.as_primitive::<UInt32Type>(), hashes, u64::from),
        DataType::UInt64 => hash_words(column.as_primitive::<UInt64Type>(), hashes, |v| v),
        DataType::Float32 => hash_words(column.as_primitive::<Float32Type>(), hashes, |v| float_bits(f64::from(v))),
        DataType::Float64 => hash_words(column.as_primitive::<Float64Type>(), hashes, float_bits),
        DataType::Date32 => hash_words(column.as_primitive::<Date32Type>(), hashes, |v| v as i64 as u64),
        DataType::Date64 => hash_words(column.as_primitive::<Date64Type>(), hashes, |v| v as u64),
        DataType::Time32(TimeUnit::Second) => {
            hash_words(column.as_primitive::<Time32SecondType>(), hashes, |v| v as i64 as u64);
        }
        DataType::Time32(_) => {
            hash_words(column.as_primitive::<Time32MillisecondType>(), hashes, |v| v as i64 as u64);
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            hash_words(column.as_primitive::<Time64MicrosecondType>(), hashes, |v| v as u64);
        }
        DataType::Time64(_) => hash_words(column.as_primitive::<Time64NanosecondType>(), hashes, |v| v as u64),
        DataType::Timestamp(TimeUnit::Second, _) => {
            hash_words(column.as_primitive::<TimestampSecondType>(), hashes, |v| v as u64);
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            hash_words(column.as_primitive::<TimestampMillisecondType>(), hashes, |v| v as u64);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            hash_words(column.as_primitive::<TimestampMicrosecondType>(), hashes, |v| v as u64);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            hash_words(column.as_primitive::<TimestampNanosecondType>(), hashes, |v| v as u64);
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            hash_words(column.as_primitive::<IntervalMonthDayNanoType>(), hashes, |v| {
                mix((v.months as i64 as u64) << 32 ^ v.days as i64 as u64) ^ v.nanoseconds as u64
            });
        }
        DataType::Decimal128(..) => {
            hash_words(column.as_primitive::<Decimal128Type>(), hashes, |v| mix((v >> 64) as u64) ^ v as u64);
        }
        DataType::Utf8 => {
            let strings = column.as_string::<i32>();
            hash_bytes(column, hashes, |row| strings.value(row).as_bytes());
        }
        DataType::LargeUtf8 => {
            let strings = column.as_string::<i64>();
            hash_bytes(column, hashes, |row| strings.value(row).as_bytes());
        }
        DataType::Binary => {
            let bytes = column.as_binary::<i32>();
            hash_bytes(column, hashes, |row| bytes.value(row));
        }
        DataType::LargeBinary => {
            let bytes = column.as_binary::<i64>();
            hash_bytes(column, hashes, |row| bytes.value(row));
        }
        DataType::Utf8View => {
            let strings = column.as_string_view();
            hash_bytes(column, hashes, |row| strings.value(row).as_bytes());
        }
        DataType::BinaryView => {
            let bytes = column.as_binary_view();
            hash_bytes(column, hashes, |row| bytes.value(row));
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            hash_lists(lists.offsets(), lists.values(), lists.nulls(), hashes, in_order)?;
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            hash_lists(lists.offsets(), lists.values(), lists.nulls(), hashes, in_order)?;
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let entries: ArrayRef = Arc::new(maps.entries().clone());
            hash_lists(maps.offsets(), &entries, maps.nulls(), hashes, |hash, entry| hash.wrapping_add(*entry))?;
        }
        DataType::Struct(_) => {
            let mut fields = vec![SEED; hashes.len()];
            column.as_struct().columns().iter().try_for_each(|field| hash_column(field, &mut fields))?;
            hash_hashes(fields.into_iter(), column.nulls(), hashes);
        }
        other => {
            return Err(Error::user(format!("a column of type {other} cannot be a key"))
                .with_help("group, join or partition by other columns, or cast it to STRING"));
        }
    }
    Ok(())
}

fn in_order(hash: u64, element: &u64) -> u64 {
    mix(hash ^ element)
}

/// Hashes lists of values, each put together by `with`.
fn hash_lists<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    values: &ArrayRef,
    nulls: Option<&NullBuffer>,
    hashes: &mut [u64],
    with: impl Fn(u64, &u64) -> u64,
) -> Result<()> {
    // A piece of a column has the values of all of it.
    let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    let mut elements = vec![SEED; last - first];
    hash_column(&values.slice(first, last - first), &mut elements)?;
    let lists = offsets.windows(2).map(|ends| {
        let list = &elements[ends[0].as_usize() - first..ends[1].as_usize() - first];
        mix(list.iter().fold(SEED, &with) ^ list.len() as u64)
    });
    hash_hashes(lists, nulls, hashes);
    Ok(())
}

fn hash_hashes(values: impl Iterator<Item = u64>, nulls: Option<&NullBuffer>, hashes: &mut [u64]) {
    for (row, (value, hash)) in values.zip(hashes).enumerate() {
        let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
        *hash = mix(*hash ^ if is_null { NULL } else { value });
    }
}

/// The column with one representation of all values that are one key: `-0.0` and `0.0` are, and so are all NaNs, and maps of the same
/// entries. A column that holds none of them is returned as it is.
pub fn canonical_keys(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            let floats = column.as_primitive::<Float32Type>();
            if !floats.values().iter().any(|value| value.is_nan() | (value.to_bits() == (-0_f32).to_bits())) {
                return column.clone();
            }
            Arc::new(floats.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }))
        }
        DataType::Float64 => {
            let floats = column.as_primitive::<Float64Type>();
            if !floats.values().iter().any(|value| value.is_nan() | (value.to_bits() == (-0_f64).to_bits())) {
                return column.clone();
            }
            Arc::new(floats.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }))
        }
        DataType::List(element) if is_ambiguous(element.data_type()) => {
            let lists = column.as_list::<i32>();
            let (element, offsets, values, nulls) = lists.clone().into_parts();
            ListArray::try_new(element, offsets, canonical_keys(&values), nulls)
                .map_or(column.clone(), |lists| Arc::new(lists))
        }
        DataType::Struct(_) if is_ambiguous(column.data_type()) => {
            let (fields, children, nulls) = column.as_struct().clone().into_parts();
            let children = children.iter().map(canonical_keys).collect();
            StructArray::try_new(fields, children, nulls).map_or(column.clone(), |rows| Arc::new(rows))
        }
        DataType::Map(..) => in_order_of_keys(column.as_map()).map_or(column.clone(), |maps| Arc::new(maps)),
        _ => column.clone(),
    }
}

/// The maps with their entries in the order of their keys; `None` if those have none.
fn in_order_of_keys(maps: &MapArray) -> Option<MapArray> {
    let (keys, values) = (canonical_keys(maps.keys()), canonical_keys(maps.values()));
    let (mut order, mut ends) = (Vec::with_capacity(keys.len()), vec![0]);
    for (row, bounds) in maps.offsets().windows(2).enumerate() {
        if maps.is_valid(row) {
            let (first, length) = (bounds[0] as usize, (bounds[1] - bounds[0]) as usize);
            let sorted = sort_to_indices(&keys.slice(first, length), None, None).ok()?;
            order.extend(sorted.values().iter().map(|entry| bounds[0] as u32 + entry));
        }
        ends.push(i32::try_from(order.len()).ok()?);
    }
    let DataType::Map(field, is_sorted) = maps.data_type() else { return None };
    let DataType::Struct(fields) = field.data_type() else { return None };
    let order = UInt32Array::from(order);
    let entries =
        [&keys, &values].map(|column| take(column, &order, None)).into_iter().collect::<Result<_, _>>().ok()?;
    let entries = StructArray::try_new(fields.clone(), entries, None).ok()?;
    MapArray::try_new(field.clone(), OffsetBuffer::new(ends.into()), entries, maps.nulls().cloned(), *is_sorted).ok()
}

/// Whether some values of the type have several representations: floating-point numbers, maps, and what has such in it.
pub fn is_ambiguous(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(element) => is_ambiguous(element.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_ambiguous(field.data_type())),
        data_type => data_type.is_floating(),
    }
}

/// The bits of what [`canonical_keys`] makes of a value.
fn float_bits(value: f64) -> u64 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

fn hash_words<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, hashes: &mut [u64], word: impl Fn(T::Native) -> u64) {
    let values = column.values().iter().zip(hashes);
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => values.for_each(|(value, hash)| *hash = mix(*hash ^ word(*value))),
        Some(nulls) => values.zip(nulls.iter()).for_each(|((value, hash), valid)| {
            *hash = mix(*hash ^ if valid { word(*value) } else { NULL });
        }),
    }
}

fn hash_booleans(column: &BooleanArray, hashes: &mut [u64]) {
    for (value, hash) in column.iter().zip(hashes) {
        *hash = mix(*hash ^ value.map_or(NULL, u64::from));
    }
}

fn hash_bytes<'a>(column: &'a ArrayRef, hashes: &mut [u64], value: impl Fn(usize) -> &'a [u8]) {
    for (row, hash) in hashes.iter_mut().enumerate() {
        let word = if column.is_null(row) { NULL } else { xxh3_64(value(row)) };
        *hash = mix(*hash ^ word);
    }
}

/// A contiguous part of the hash space, both ends included. Subtask `i` of `p` owns `[i*2^64/p, (i+1)*2^64/p)`; there
/// is no maximum parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashRange {
    /// Smallest hash in the range.
    pub first: u64,
    /// Greatest hash in the range.
    pub last: u64,
}

impl HashRange {
    /// The whole hash space.
    pub const ALL: HashRange = HashRange { first: 0, last: u64::MAX };

    /// The range of subtask `index` of `parallelism`.
    ///
    /// # Panics
    /// If `index` is not below `parallelism`.
    pub fn of_subtask(index: usize, parallelism: usize) -> Self {
        assert!(index < parallelism, "subtask {index} of {parallelism}");
        let start = |index: usize| ((index as u128) << 64).div_ceil(parallelism as u128);
        Self { first: start(index) as u64, last: (start(index + 1) - 1) as u64 }
    }

    /// Whether `hash` lies in the range.
    pub fn contains(&self, hash: u64) -> bool {
        (self.first..=self.last).contains(&hash)
    }

    /// Whether the two ranges share a hash.
    pub fn overlaps(&self, other: &HashRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The subtask of `parallelism` that owns `hash`: the inverse of [`HashRange::of_subtask`].
#[inline]
pub fn owner(hash: u64, parallelism: usize) -> usize {
    ((u128::from(hash) * parallelism as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn hashes(columns: &[ArrayRef]) -> Vec<u64> {
        let mut hashes = Vec::new();
        hash_rows(columns, columns[0].len(), &mut hashes).expect("hashable");
        hashes
    }

    /// The values were computed by a separate program from the definition at the head of this file.
    #[test]
    fn the_function_never_changes() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(-1), None]));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some(""), Some("weir"), Some("0123456789abcdef"), None]));
        assert_eq!(
            hashes(&[numbers, words]),
            [1440505297329901505, 5074350175546307683, 12335508293026462216, 11414098957231753161]
        );
    }

    #[test]
    fn representations_of_one_value_agree() {
        let narrow: ArrayRef = Arc::new(Int32Array::from(vec![7, -7]));
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![7, -7]));
        assert_eq!(hashes(&[narrow]), hashes(&[wide]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "a string that does not fit a view"]));
        let view: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "a string that does not fit a view"]));
        assert_eq!(hashes(&[text]), hashes(&[view]));
    }

    /// As above: by a separate program.
    #[test]
    fn what_is_nested_has_a_hash_of_its_own() {
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(2), Some(1)]),
            Some(vec![]),
            Some(vec![None]),
            None,
        ]));
        let expected =
            [7880840284876594201, 12695592561092383190, 258863698125685209, 13476300648168153361, 2158426699711260966];
        assert_eq!(hashes(std::slice::from_ref(&lists)), expected);
        assert_eq!(hashes(&[lists.slice(1, 3)]), expected[1..4]);
        let fields = arrow_schema::Fields::from(vec![
            arrow_schema::Field::new("a", DataType::Int64, true),
            arrow_schema::Field::new("b", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(1), None, Some(1)])),
            Arc::new(StringArray::from(vec![Some("x"), None, Some("x")])),
        ];
        let rows = StructArray::new(fields, columns, Some(NullBuffer::from(vec![true, true, false])));
        assert_eq!(hashes(&[Arc::new(rows)]), [673898693990234782, 11952232693364768605, 2158426699711260966]);
    }

    #[test]
    fn maps_of_the_same_entries_are_one_key() {
        let maps = |entries: &[(&str, i32)]| -> ArrayRef {
            let text = arrow::array::StringBuilder::new();
            let mut maps = arrow::array::MapBuilder::new(None, text, arrow::array::Int32Builder::new());
            for (key, value) in entries {
                maps.keys().append_value(key);
                maps.values().append_value(*value);
            }
            maps.append(true).expect("as many keys as values");
            maps.append(false).expect("as many keys as values");
            Arc::new(maps.finish())
        };
        let (one, other) = (maps(&[("a", 1), ("b", 2)]), maps(&[("b", 2), ("a", 1)]));
        assert_ne!(one.to_data(), other.to_data());
        assert_eq!(canonical_keys(&one).to_data(), canonical_keys(&other).to_data());
        assert_eq!(hashes(std::slice::from_ref(&one)), hashes(&[other]));
        assert_ne!(hashes(&[one]), hashes(&[maps(&[("a", 2), ("b", 1)])]));
    }

    #[test]
    fn ranges_cover_the_space_and_agree_with_owner() {
        for parallelism in 1..40 {
            let mut next = 0_u64;
            for index in 0..parallelism {
                let range = HashRange::of_subtask(index, parallelism);
                assert_eq!(range.first, next);
                assert_eq!(owner(range.first, parallelism), index);
                assert_eq!(owner(range.last, parallelism), index);
                next = range.last.wrapping_add(1);
            }
            assert_eq!(next, 0, "the last range ends at 2^64 - 1");
        }
    }
}
