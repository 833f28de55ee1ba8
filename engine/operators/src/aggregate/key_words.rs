//! Fixed-width key columns as 64-bit words and back.
//!
//! Values of all fixed-width types travel as their bits, so that one table serves them all. Floating-point zeros of
//! both signs are one key, and so are all NaNs.

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use weir_core::hash::canonical_keys;
use weir_core::{Error, Result};

/// Whether values of this type fit a word.
pub(crate) fn is_word(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Boolean) || data_type.primitive_width().is_some_and(|width| width <= 8)
}

/// Writes the values of `column` as words. What stands for a null is not said.
pub(crate) fn encode(column: &ArrayRef, words: &mut Vec<u64>) -> Result<()> {
    words.clear();
    match column.data_type() {
        DataType::Boolean => words.extend(column.as_boolean().values().iter().map(u64::from)),
        data_type => {
            let data = canonical_keys(column).to_data();
            let rows = column.len();
            match data_type.primitive_width() {
                Some(1) => words.extend(data.buffer::<u8>(0)[..rows].iter().copied().map(u64::from)),
                Some(2) => words.extend(data.buffer::<u16>(0)[..rows].iter().copied().map(u64::from)),
                Some(4) => words.extend(data.buffer::<u32>(0)[..rows].iter().copied().map(u64::from)),
                Some(8) => words.extend_from_slice(&data.buffer::<u64>(0)[..rows]),
                _ => return Err(Error::internal(format!("a key of type {data_type} is no word"))),
            }
        }
    }
    Ok(())
}

/// The array of `data_type` whose values were encoded as `words`.
pub(crate) fn decode(
    data_type: &DataType,
    words: impl ExactSizeIterator<Item = u64>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let rows = words.len();
    let values: Buffer = match data_type {
        DataType::Boolean => {
            return Ok(std::sync::Arc::new(BooleanArray::new(words.map(|word| word != 0).collect(), nulls)));
        }
        data_type => match data_type.primitive_width() {
            Some(1) => Buffer::from_vec(words.map(|word| word as u8).collect()),
            Some(2) => Buffer::from_vec(words.map(|word| word as u16).collect()),
            Some(4) => Buffer::from_vec(words.map(|word| word as u32).collect()),
            Some(8) => Buffer::from_vec(words.collect()),
            _ => return Err(Error::internal(format!("a key of type {data_type} is no word"))),
        },
    };
    let data = ArrayData::builder(data_type.clone()).len(rows).add_buffer(values).nulls(nulls).build()?;
    Ok(make_array(data))
}
