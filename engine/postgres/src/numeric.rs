//! Decimals in PostgreSQL's binary format: groups of four digits, whose first stands `weight` groups before the point.
//!
//! ```text
//!   int16 groups, int16 weight, uint16 sign, int16 digits behind the point, int16 group…
//! ```

const BASE: u128 = 10_000;
const NEGATIVE: u16 = 0x4000;
/// NaN and both infinities have these bits.
const SPECIAL: u16 = 0xC000;

/// Writes `value` · 10^-`scale`.
pub(crate) fn write(value: i128, scale: u32, out: &mut Vec<u8>) {
    let magnitude = value.unsigned_abs();
    let unit = 10_u128.pow(scale);
    let (mut whole, mut fraction, mut left) = (magnitude / unit, magnitude % unit, scale);
    let mut groups: Vec<u16> = Vec::new();
    while whole > 0 {
        groups.push((whole % BASE) as u16);
        whole /= BASE;
    }
    groups.reverse();
    let mut weight = groups.len() as i16 - 1;
    while left > 0 {
        // A group that the scale cuts short is filled up with zeros.
        let digits = left.min(4);
        left -= digits;
        let unit = 10_u128.pow(left);
        groups.push((fraction / unit * 10_u128.pow(4 - digits)) as u16);
        fraction %= unit;
    }
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= zeros as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    out.extend_from_slice(&(groups.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&if value < 0 { NEGATIVE } else { 0 }.to_be_bytes());
    out.extend_from_slice(&(scale as i16).to_be_bytes());
    groups.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
}

/// The value in units of 10^-`scale`, which has at most `precision` digits.
///
/// # Errors
/// Why it is no such value.
pub(crate) fn read(bytes: &[u8], precision: u8, scale: u32) -> Result<i128, String> {
    let mut words = bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let mut word = || words.next().ok_or_else(|| "a numeric that is cut off".to_owned());
    let (groups, weight, sign, _) = (word()?, word()? as i16, word()?, word()?);
    if sign & SPECIAL == SPECIAL {
        return Err("a numeric that is no number".to_owned());
    }
    let too_large = || format!("a numeric that DECIMAL({precision}, {scale}) has no room for");
    let mut value = 0_i128;
    for place in 0..groups {
        let group = i128::from(word()?);
        // Of the last digit of the group, in units of the scale.
        let exponent = (i32::from(weight) - i32::from(place)) * 4 + scale as i32;
        let part = if group == 0 {
            0
        } else if let Ok(exponent) = u32::try_from(exponent) {
            10_i128.checked_pow(exponent).and_then(|unit| unit.checked_mul(group)).ok_or_else(too_large)?
        } else {
            let unit = 10_i128.checked_pow(exponent.unsigned_abs()).filter(|unit| group % unit == 0);
            group / unit.ok_or_else(|| format!("a numeric with more than {scale} digits behind the point"))?
        };
        value = value.checked_add(part).ok_or_else(too_large)?;
    }
    if value >= 10_i128.pow(u32::from(precision)) {
        return Err(too_large());
    }
    Ok(if sign == NEGATIVE { -value } else { value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes(value: i128, scale: u32) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, scale, &mut out);
        out
    }

    #[test]
    fn what_is_written_is_read_again() {
        let longest = 10_i128.pow(38) - 1;
        for value in [0, 1, -1, 10, 9999, 10_000, 123_456_789, longest, -longest, 10_i128.pow(37)] {
            for scale in [0, 1, 2, 3, 4, 5, 10, 37, 38] {
                assert_eq!(read(&bytes(value, scale), 38, scale), Ok(value), "{value} {scale}");
            }
        }
    }

    #[test]
    fn the_format_is_that_of_the_server() {
        // `SELECT numeric_send(…)` of PostgreSQL 15.
        assert_eq!(bytes(0, 2), [0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(bytes(12_345_678, 2), [0, 3, 0, 1, 0, 0, 0, 2, 0, 12, 0x0d, 0x80, 0x1e, 0x78]);
        assert_eq!(bytes(-5, 5), [0, 1, 0xff, 0xfe, 0x40, 0, 0, 5, 0x13, 0x88]);
    }

    #[test]
    fn what_has_no_room_is_refused() {
        assert_eq!(read(&bytes(1234, 2), 4, 1).unwrap_err(), "a numeric with more than 1 digits behind the point");
        assert_eq!(read(&bytes(1230, 2), 4, 1), Ok(123));
        assert!(read(&bytes(12_345, 0), 4, 0).unwrap_err().contains("DECIMAL(4, 0) has no room"));
        assert!(read(&bytes(1, 0), 38, 38).unwrap_err().contains("no room"));
        assert!(read(&[0, 0, 0, 0, 0xc0, 0, 0, 0], 4, 0).unwrap_err().contains("no number"));
        assert!(read(&[0, 1, 0, 0, 0, 0, 0, 0], 4, 0).unwrap_err().contains("cut off"));
    }
}
