//! The bytes of a datum, read from the front. Nothing here trusts a length.

use super::super::front;

/// What is left of a datum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// # Errors
    /// If there are not as many.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        front::take(&mut self.0, length)
    }

    /// # Errors
    /// If there are not as many.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        front::array(&mut self.0)
    }

    /// A number of variable length, zigzag.
    ///
    /// # Errors
    /// If it is cut off, or has more than 64 bits.
    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, String> {
        let value = front::varint(&mut self.0)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// # Errors
    /// As [`long`](Self::long), or if it has more than 32 bits.
    pub(super) fn int(&mut self) -> Result<i32, String> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| format!("{value} stands where an int should be"))
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// If there are not as many.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| format!("the length {length}"))?)
    }

    /// How many items of an array or map follow, and in how many bytes, if that is said; `None` behind the last.
    ///
    /// # Errors
    /// If it is cut off, or there are more than could be.
    pub(super) fn block(&mut self) -> Result<Option<(usize, Option<usize>)>, String> {
        /// Items may take no bytes at all; so many are taken for meant.
        const EMPTY_ITEMS: usize = 1 << 16;
        let count = self.long()?;
        let size = match count {
            0 => return Ok(None),
            1.. => None,
            _ => {
                let size = self.long()?;
                Some(usize::try_from(size).map_err(|_| format!("the size {size} of a block"))?)
            }
        };
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count > self.0.len().max(EMPTY_ITEMS) {
            return Err(format!("{count} items in {} bytes", self.0.len()));
        }
        Ok(Some((count, size)))
    }
}
