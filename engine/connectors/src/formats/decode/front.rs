//! Binary formats are read from the front, byte by byte. Nothing here trusts a length.

pub(super) const CUT_OFF: &str = "it is cut off";

/// Takes the first bytes away.
///
/// # Errors
/// If there are not as many.
#[inline]
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(CUT_OFF)?;
    *bytes = rest;
    Ok(taken)
}

/// Takes the first bytes away.
///
/// # Errors
/// If there are not as many.
pub(super) fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(CUT_OFF)?;
    *bytes = rest;
    Ok(*taken)
}

/// Takes a number of variable length away: seven bits a byte, the lowest first.
///
/// # Errors
/// If it is cut off, or has more than 64 bits.
#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    // Tags, lengths, branches of unions and many a number have one byte.
    match *bytes {
        [byte @ ..0x80, rest @ ..] => {
            *bytes = rest;
            Ok(u64::from(*byte))
        }
        _ => longer(bytes),
    }
}

fn longer(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if place == 9 && part > 1 {
            break;
        }
        value |= part << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { CUT_OFF.to_owned() } else { "a number of more than 64 bits".to_owned() })
}
