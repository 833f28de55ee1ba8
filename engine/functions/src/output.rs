//! Text that a function writes, value by value, within bounds: a short argument such as the count of `REPEAT` must not fill the memory.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use datafusion_common::{DataFusionError, Result};

/// Bytes that a value may have which a function writes.
pub(super) const LONGEST_VALUE: usize = 16 << 20;

/// Bytes that the values of a batch may have together.
const LONGEST_BATCH: usize = 1 << 30;

/// A value that is being written.
#[derive(Default)]
pub(super) struct Value {
    text: String,
}

impl Value {
    pub(super) fn push_str(&mut self, text: &str) -> Result<()> {
        if self.text.len() + text.len() > LONGEST_VALUE {
            return too_long();
        }
        self.text.push_str(text);
        Ok(())
    }

    pub(super) fn push(&mut self, character: char) -> Result<()> {
        self.push_str(character.encode_utf8(&mut [0; 4]))
    }

    /// The text so far, for what makes it at most a few times as long as its arguments are together: its length is looked at in the end.
    pub(super) fn text(&mut self) -> &mut String {
        &mut self.text
    }
}

/// The values of `rows`: what `write` leaves in the empty value that it gets, or null if it says `false`.
pub(super) fn texts(rows: usize, mut write: impl FnMut(usize, &mut Value) -> Result<bool>) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut value = Value::default();
    let mut written = 0;
    for row in 0..rows {
        value.text.clear();
        if !write(row, &mut value)? {
            builder.append_null();
            continue;
        }
        written += value.text.len();
        check_lengths(value.text.len(), written)?;
        builder.append_value(&value.text);
    }
    Ok(Arc::new(builder.finish()))
}

/// Whether a value of so many bytes is within bounds, and those of a batch up to it.
pub(super) fn check_lengths(value: usize, batch: usize) -> Result<()> {
    if value > LONGEST_VALUE || batch > LONGEST_BATCH { too_long() } else { Ok(()) }
}

/// The values of `rows`, each a part of an argument.
pub(super) fn parts<'a>(rows: usize, part: impl Fn(usize) -> Option<&'a str>) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    (0..rows).for_each(|row| builder.append_option(part(row)));
    Ok(Arc::new(builder.finish()))
}

fn too_long<T>() -> Result<T> {
    Err(DataFusionError::Execution(format!(
        "a text would have more than {} MiB, or the texts of a batch more than {} MiB",
        LONGEST_VALUE >> 20,
        LONGEST_BATCH >> 20
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_and_a_batch_have_bounds() {
        let half = "x".repeat(LONGEST_VALUE / 2);
        assert!(texts(1, |_, value| value.push_str(&half).and(value.push_str(&half)).map(|()| true)).is_ok());
        let longer =
            texts(1, |_, value| value.push_str(&half).and(value.push_str(&half)).and(value.push('x')).map(|()| true));
        assert!(longer.is_err_and(|error| error.to_string().contains("16 MiB")));
        let unchecked = texts(1, |_, value| {
            value.text().push_str(&half);
            value.text().push_str(&half);
            value.text().push('x');
            Ok(true)
        });
        assert!(unchecked.is_err());
        assert!(texts(1000, |_, value| value.push_str(&half).map(|()| true)).is_err());
    }
}
