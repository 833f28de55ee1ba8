//! Which message of its file a record is, as Confluent's serializers write it: how many numbers follow, and the place of the message in
//! the file, that of the message in it, and so on. They are zigzag numbers; nothing at all is the first message.

use std::borrow::Cow;

use super::wire::Cursor;

/// Messages in each other; a compiler takes not many more.
const DEPTH: u64 = 32;

/// The place, and the message.
///
/// # Errors
/// If there is none.
pub(in crate::formats::decode) fn place(bytes: &[u8]) -> Result<(Cow<'static, [usize]>, &[u8]), String> {
    let mut at = Cursor(bytes);
    let number = |at: &mut Cursor<'_>| -> Result<u64, String> {
        let bits = at.varint()?;
        match bits & 1 {
            0 => Ok(bits >> 1),
            _ => Err("the place of its message is negative".to_owned()),
        }
    };
    match number(&mut at)? {
        0 => Ok((Cow::Borrowed(&[0]), at.0)),
        count @ 1..=DEPTH => {
            let mut place = Vec::new();
            for _ in 0..count {
                place.push(
                    usize::try_from(number(&mut at)?).map_err(|_| "the place of its message is none".to_owned())?,
                );
            }
            Ok((Cow::Owned(place), at.0))
        }
        count => Err(format!("its message is in {count} others")),
    }
}
