//! `DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')` and `FROM_UNIXTIME(seconds, 'yyyy-MM-dd')`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use super::definition::{Definition, Integers, Parameter, Text};
use super::pattern::{self, Compiled, Pattern, Reading};
use super::times::{Moment, Times, moment};

/// How times are written where no pattern says otherwise.
pub(super) const USUAL: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) const DATE_FORMAT: Definition = Definition {
    name: "date_format",
    usage: "DATE_FORMAT(timestamp, 'yyyy-MM-dd HH:mm:ss')",
    parameters: &[Parameter::TimeOrText, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| pattern::check(constants, 1),
    compute: date_format,
};

pub(super) const FROM_UNIXTIME: Definition = Definition {
    name: "from_unixtime",
    usage: "FROM_UNIXTIME(seconds[, 'yyyy-MM-dd HH:mm:ss'])",
    parameters: &[Parameter::Integer, Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| pattern::check(constants, 1),
    compute: from_unixtime,
};

/// Text that is no time, as `yyyy-MM-dd HH:mm:ss` says it, is null.
fn date_format(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let patterns = Text::of(&arguments[1])?;
    if arguments[0].data_type().is_string() {
        let (texts, usual) = (Text::of(&arguments[0])?, Pattern::new(USUAL)?);
        return written(|row| usual.read(texts.at(row)?, Reading::Prefix), &patterns, rows);
    }
    let times = Times::of(&arguments[0])?;
    written(|row| times.moment(row), &patterns, rows)
}

fn from_unixtime(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let seconds = Integers::of(&arguments[0])?;
    let patterns = arguments.get(1).map_or(Ok(Text::Constant(Some(USUAL))), Text::of)?;
    written(|row| seconds.at(row).map(|seconds| moment(seconds, 86_400)), &patterns, rows)
}

fn written(time: impl Fn(usize) -> Option<Moment>, patterns: &Text<'_>, rows: usize) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut compiled = Compiled::default();
    let mut text = String::new();
    for row in 0..rows {
        let (Some(moment), Some(pattern)) = (time(row), patterns.at(row)) else {
            builder.append_null();
            continue;
        };
        text.clear();
        compiled.of(pattern)?.write(&mut text, moment);
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}
