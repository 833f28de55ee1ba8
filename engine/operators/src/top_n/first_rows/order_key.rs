//! What rows are ordered by, as bytes that compare as the rows do.

use std::cmp::Ordering;

use arrow::datatypes::DataType;

/// The bytes, held in one way or another.
pub(in super::super) trait OrderKey: Ord + Clone + Send + 'static {
    fn of(bytes: &[u8]) -> Self;

    /// How bytes compare with a key.
    fn compare(bytes: &[u8], key: &Self) -> Ordering;
}

/// Few bytes, always as many: in two words, the first ones in front.
impl OrderKey for [u64; 2] {
    fn of(bytes: &[u8]) -> Self {
        let mut all = [0; 16];
        all[..bytes.len()].copy_from_slice(bytes);
        let both = u128::from_be_bytes(all);
        [(both >> 64) as u64, both as u64]
    }

    fn compare(bytes: &[u8], key: &Self) -> Ordering {
        Self::of(bytes).cmp(key)
    }
}

impl OrderKey for Box<[u8]> {
    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }

    fn compare(bytes: &[u8], key: &Self) -> Ordering {
        bytes.cmp(key)
    }
}

/// Whether the bytes of columns of these types fit two words.
pub(super) fn is_short<'a>(mut types: impl Iterator<Item = &'a DataType>) -> bool {
    let width = types.try_fold(0, |width, data_type| {
        let value = if *data_type == DataType::Boolean { 1 } else { data_type.primitive_width()? };
        // In front of each value stands whether it is null.
        Some(width + 1 + value)
    });
    width.is_some_and(|width| width <= size_of::<[u64; 2]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_the_order_of_their_bytes() {
        let rows: [&[u8]; 6] = [&[], &[0, 1], &[1; 7], &[1; 9], &[1, 1, 1, 1, 1, 1, 1, 1, 2], &[255; 16]];
        assert!(rows.map(<[u64; 2]>::of).is_sorted());
        assert_ne!(<[u64; 2]>::of(rows[3]), <[u64; 2]>::of(rows[4]));
        assert!(is_short([DataType::Int64, DataType::Int16, DataType::Boolean].iter()));
        assert!(!is_short([DataType::Int64, DataType::Int64].iter()));
        assert!(!is_short([DataType::Utf8View].iter()));
    }
}
