//! How far a split has been read: where to go on, and what stood right before that, so that a file whose content has become another is
//! noticed when reading goes on.

use std::fmt;
use std::str::FromStr;

/// Bytes before the place that are remembered by their checksum, at most.
const TAIL: usize = 4 << 10;

/// Where to go on in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Text: the offset of the next record; columnar: rows that have been read.
    pub(super) offset: u64,
    /// The bytes before it; none in columnar files.
    pub(super) tail: Option<Tail>,
}

/// The last bytes that were read before a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// How many.
    pub(super) length: u64,
    /// Their CRC-32.
    pub(super) crc32: u32,
}

impl Tail {
    /// Of what was `read` just before the place.
    pub(super) fn of(read: &[u8]) -> Option<Self> {
        let tail = &read[read.len().saturating_sub(TAIL)..];
        (!tail.is_empty()).then(|| Self { length: tail.len() as u64, crc32: crc32fast::hash(tail) })
    }
}

/// `<offset>[:<length>:<crc32>]`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.offset)?;
        match self.tail {
            Some(Tail { length, crc32 }) => write!(f, ":{length}:{crc32:08x}"),
            None => Ok(()),
        }
    }
}

/// What is no place.
#[derive(Debug)]
pub(super) struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut words = text.split(':');
        let mut number = || words.next().map(|word| word.parse::<u64>().map_err(|_| NoPlace)).transpose();
        let (offset, length) = (number()?.ok_or(NoPlace)?, number()?);
        let crc32 = words.next().map(|word| u32::from_str_radix(word, 16).map_err(|_| NoPlace)).transpose()?;
        let tail = match (length, crc32, words.next()) {
            (None, None, None) => None,
            (Some(length), Some(crc32), None) if length <= offset && length <= TAIL as u64 => {
                Some(Tail { length, crc32 })
            }
            _ => return Err(NoPlace),
        };
        Ok(Self { offset, tail })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let tail = Tail::of(&[7; 5000]).unwrap();
        assert_eq!(tail.length, 4096);
        for place in [Place { offset: 12, tail: None }, Place { offset: 5000, tail: Some(tail) }] {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        for strange in ["", "x", "1:2", "1:2:3:4", "1:2:3", "9:2:x", "99999:9999:3"] {
            assert!(strange.parse::<Place>().is_err(), "{strange}");
        }
        assert_eq!(Tail::of(&[]), None);
    }
}
