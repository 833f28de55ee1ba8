//! `DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')` and `FROM_UNIXTIME(seconds, 'yyyy-MM-dd')`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use super::definition::{Definition, Integers, Parameter, Text};
use super::pattern::{self, Compiled, Pattern, Reading};
use super::times::{DAY, Times, moment};

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
    if !arguments[0].data_type().is_string() {
        let times = Times::of(&arguments[0])?;
        return written(|row| times.at(row), times.per_day(), &patterns, rows);
    }
    let (texts, usual) = (Text::of(&arguments[0])?, Pattern::new(USUAL)?);
    let mut builder = StringViewBuilder::with_capacity(rows);
    let (mut compiled, mut text) = (Compiled::default(), String::new());
    for row in 0..rows {
        let moment = texts.at(row).and_then(|text| usual.read(text, Reading::Prefix));
        let (Some(moment), Some(pattern)) = (moment, patterns.at(row)) else {
            builder.append_null();
            continue;
        };
        text.clear();
        compiled.of(pattern)?.write(&mut text, moment);
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

fn from_unixtime(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let seconds = Integers::of(&arguments[0])?;
    let patterns = arguments.get(1).map_or(Ok(Text::Constant(Some(USUAL))), Text::of)?;
    written(|row| seconds.at(row), 86_400, &patterns, rows)
}

/// Times in ticks, of which a day has so many. Rows that come one after the other are often of the same day, or hour: text is made
/// only where it changes.
fn written(ticks: impl Fn(usize) -> Option<i64>, per_day: i64, patterns: &Text<'_>, rows: usize) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut compiled = Compiled::default();
    // What was written last, by which pattern, and the ticks that it stands for.
    #[expect(clippy::reversed_empty_ranges, reason = "nothing has been written yet: no ticks are in it")]
    let (mut text, mut by, mut same) = (String::new(), "", 1..=0);
    for row in 0..rows {
        let (Some(ticks), Some(pattern)) = (ticks(row), patterns.at(row)) else {
            builder.append_null();
            continue;
        };
        if !same.contains(&ticks) || by != pattern {
            let pattern = compiled.of(pattern)?;
            text.clear();
            pattern.write(&mut text, moment(ticks, per_day));
            let step = i64::max(pattern.step() / (DAY / per_day), 1);
            let begun = ticks.rem_euclid(step);
            same = ticks.saturating_sub(begun)..=ticks.saturating_add(step - 1 - begun);
        }
        by = pattern;
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringViewArray, TimestampMillisecondArray};
    use datafusion_common::ScalarValue;

    use super::*;

    fn formatted(times: Vec<Option<i64>>, patterns: ColumnarValue) -> Vec<Option<String>> {
        let rows = times.len();
        let times = ColumnarValue::Array(Arc::new(TimestampMillisecondArray::from(times)));
        let texts = date_format(&[times, patterns], rows).unwrap();
        texts.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn a_row_is_written_as_it_is_alone_whatever_was_written_before_it() {
        const HOUR: i64 = 3_600_000;
        let steps = [1, 10, 100, 1_000, 60_000, HOUR, 12 * HOUR, 24 * HOUR, 31 * 24 * HOUR, 366 * 24 * HOUR];
        let around = |time: i64| [Some(time - 1), Some(time), Some(time), None, Some(time + 1)];
        let mut times: Vec<Option<i64>> =
            steps.iter().flat_map(|step| [-*step, *step, 5 * step]).flat_map(around).collect();
        times.extend([i64::MIN, i64::MIN, i64::MAX, i64::MAX, 0].map(Some));
        let patterns = [
            "yyyy-MM-dd",
            "D E",
            "G",
            "'text'",
            "a",
            "HH",
            "hh a",
            "mm",
            "HH:mm:ss",
            "S",
            "ss.SS",
            "SSS",
            "SSSSSS",
            "A",
        ];
        for pattern in patterns {
            let constant = || ColumnarValue::Scalar(ScalarValue::from(pattern));
            let alone = times.iter().flat_map(|time| formatted(vec![*time], constant()));
            assert_eq!(formatted(times.clone(), constant()), alone.collect::<Vec<_>>(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_may_change_while_the_time_does_not() {
        let patterns = ColumnarValue::Array(Arc::new(StringViewArray::from(vec!["dd", "HH", "HH", "dd"])));
        let texts = formatted(vec![Some(0); 4], patterns);
        assert_eq!(texts, ["01", "00", "00", "01"].map(|text| Some(text.to_owned())));
    }
}
