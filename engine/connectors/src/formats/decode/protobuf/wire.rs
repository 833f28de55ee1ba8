//! The bytes of a message, read from the front. Nothing here trusts a length.

use super::super::front::{self, CUT_OFF};

/// What is left of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

/// How many bytes a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Varint,
    Fixed64,
    /// Behind their length.
    Bytes,
    GroupStart,
    GroupEnd,
    Fixed32,
}

/// Groups in groups; more have no meaning.
const DEPTH: usize = 100;
/// The greatest number of a field.
const GREATEST: u64 = (1 << 29) - 1;

impl<'a> Cursor<'a> {
    /// # Errors
    /// If there are not as many.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        front::take(&mut self.0, length)
    }

    /// A number of variable length.
    ///
    /// # Errors
    /// If it is cut off, or has more than 64 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, String> {
        front::varint(&mut self.0)
    }

    /// The number of a field, and how its value is written.
    ///
    /// # Errors
    /// If it is cut off, or none.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, Wire), String> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32,
            other => return Err(format!("a wire type {other}")),
        };
        match tag >> 3 {
            number @ 1..=GREATEST => Ok((number as u32, wire)),
            number => Err(format!("a field with the number {number}")),
        }
    }

    /// A number as its bits.
    ///
    /// # Errors
    /// If it is cut off, or the wire type is none of a number.
    #[inline]
    pub(super) fn number(&mut self, wire: Wire) -> Result<u64, String> {
        match wire {
            Wire::Varint => self.varint(),
            Wire::Fixed64 => front::array(&mut self.0).map(u64::from_le_bytes),
            Wire::Fixed32 => front::array(&mut self.0).map(u32::from_le_bytes).map(u64::from),
            Wire::Bytes | Wire::GroupStart | Wire::GroupEnd => Err("it is no number".to_owned()),
        }
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// If there are not as many.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.varint()?;
        self.take(usize::try_from(length).map_err(|_| CUT_OFF.to_owned())?)
    }

    /// Passes over the value of a field.
    ///
    /// # Errors
    /// If it is cut off, or a group that does not end as it begins.
    pub(crate) fn skip(&mut self, number: u32, wire: Wire) -> Result<(), String> {
        match wire {
            Wire::Bytes => self.bytes().map(drop),
            Wire::Varint | Wire::Fixed64 | Wire::Fixed32 => self.number(wire).map(drop),
            Wire::GroupEnd => Err(format!("the end of a group {number} that has not begun")),
            Wire::GroupStart => {
                let mut open = vec![number];
                while let Some(last) = open.last() {
                    match self.tag()? {
                        (number, Wire::GroupEnd) if number == *last => drop(open.pop()),
                        (number, Wire::GroupEnd) => {
                            return Err(format!("the end of a group {number} in a group {last}"));
                        }
                        (_, Wire::GroupStart) if open.len() >= DEPTH => {
                            return Err(format!("more than {DEPTH} groups in each other"));
                        }
                        (number, Wire::GroupStart) => open.push(number),
                        (number, wire) => self.skip(number, wire)?,
                    }
                }
                Ok(())
            }
        }
    }
}
