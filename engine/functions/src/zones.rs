//! Time zones by name, and `CONVERT_TZ`.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, TimeUnit, TimestampSecondType};
use arrow::temporal_conversions::as_datetime_with_timezone;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::date_format::USUAL;
use super::definition::{Definition, Parameter, Text, plan_error};
use super::pattern::{Pattern, Reading};
use super::times::{Moment, moment, ticks};

pub(super) const CONVERT_TZ: Definition = Definition {
    name: "convert_tz",
    usage: "CONVERT_TZ('2024-01-31 10:00:00', 'Europe/Berlin', 'UTC')",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Text],
    required: 3,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| check(constants, 1).and_then(|()| check(constants, 2)),
    compute: convert_tz,
};

/// The zone of that name.
///
/// # Errors
/// If there is none.
pub(super) fn named(name: &str) -> Result<Tz> {
    name.parse().or_else(|_| {
        plan_error(format!("there is no time zone `{name}`; zones are such as `Europe/Berlin` or `+02:00`"))
    })
}

/// Refuses a constant argument at `index` that names no zone.
pub(super) fn check(constants: &[Option<&ScalarValue>], index: usize) -> Result<()> {
    match constants.get(index) {
        Some(Some(value)) => value.try_as_str().flatten().map_or(Ok(()), |name| named(name).map(|_| ())),
        _ => Ok(()),
    }
}

/// The instant at which clocks of the zone show `local`. One that they leap over is counted from an hour before.
pub(super) fn to_utc(local: Moment, zone: Tz) -> Option<Moment> {
    const HOUR: i64 = 3_600;
    let seconds = ticks(Moment { nanos: 0, ..local }, 86_400)? + local.nanos / 1_000_000_000;
    let at = |seconds: i64| {
        let mut text = Vec::new();
        weir_core::time_text::push_timestamp(&mut text, seconds, TimeUnit::Second, b' ');
        string_to_datetime(&zone, std::str::from_utf8(&text).ok()?).ok().map(|time| time.timestamp())
    };
    let utc = at(seconds).or_else(|| Some(at(seconds - HOUR)? + HOUR))?;
    let part = local.nanos % 1_000_000_000;
    let whole = moment(utc, 86_400);
    Some(Moment { nanos: whole.nanos + part, ..whole })
}

/// Text that is no time, as `yyyy-MM-dd HH:mm:ss` says it, is null.
fn convert_tz(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (texts, from, to) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?, Text::of(&arguments[2])?);
    let usual = Pattern::new(USUAL)?;
    let mut zones = [Zone::default(), Zone::default()];
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut written = String::new();
    for row in 0..rows {
        let (Some(text), Some(from), Some(to)) = (texts.at(row), from.at(row), to.at(row)) else {
            builder.append_null();
            continue;
        };
        let (from, to) = (zones[0].of(from)?, zones[1].of(to)?);
        let utc = usual.read(text, Reading::Prefix).and_then(|local| ticks(to_utc(local, from)?, 86_400));
        match utc.and_then(|utc| shown(utc, to)) {
            Some(local) => {
                written.clear();
                usual.write(&mut written, moment(local, 86_400));
                builder.append_value(&written);
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// The zone that was named last. One serves a batch nearly always.
#[derive(Default)]
struct Zone<'a>(Option<(&'a str, Tz)>);

impl<'a> Zone<'a> {
    fn of(&mut self, name: &'a str) -> Result<Tz> {
        match self.0 {
            Some((known, zone)) if known == name => Ok(zone),
            _ => Ok(self.0.insert((name, named(name)?)).1),
        }
    }
}

/// What clocks of the zone show at an instant, both in seconds.
fn shown(utc: i64, zone: Tz) -> Option<i64> {
    let local = as_datetime_with_timezone::<TimestampSecondType>(utc, zone)?.naive_local();
    Some(local.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{AsArray, StringViewArray};

    use super::*;

    fn converted(text: &str, from: &str, to: &str) -> String {
        let argument = |text: &str| ColumnarValue::Scalar(ScalarValue::Utf8View(Some(text.to_owned())));
        let result = convert_tz(&[argument(text), argument(from), argument(to)], 1).unwrap();
        result.as_string_view().value(0).to_owned()
    }

    #[test]
    fn clocks_of_another_zone() {
        assert_eq!(converted("1970-01-01 00:00:00", "UTC", "America/Los_Angeles"), "1969-12-31 16:00:00");
        assert_eq!(converted("2024-07-01 12:00:00", "Europe/Berlin", "UTC"), "2024-07-01 10:00:00");
        assert_eq!(converted("2024-03-10 02:30:00", "America/New_York", "UTC"), "2024-03-10 07:30:00", "leapt over");
        assert!(named("Nowhere/Town").is_err());
    }

    #[test]
    fn zones_of_each_row() {
        let column = |texts: Vec<&str>| ColumnarValue::Array(Arc::new(StringViewArray::from(texts)));
        let texts = column(vec!["2024-01-01 12:00:00"; 4]);
        let from = column(vec!["UTC", "UTC", "Asia/Tokyo", "UTC"]);
        let to = column(vec!["Asia/Tokyo", "Asia/Tokyo", "UTC", "America/New_York"]);
        let result = convert_tz(&[texts.clone(), from, to], 4).unwrap();
        let shown: Vec<&str> = result.as_string_view().iter().flatten().collect();
        assert_eq!(shown, ["2024-01-01 21:00:00", "2024-01-01 21:00:00", "2024-01-01 03:00:00", "2024-01-01 07:00:00"]);
        let (from, to) = (column(vec!["UTC"; 4]), column(vec!["UTC", "UTC", "UTC", "Nowhere/Town"]));
        assert!(convert_tz(&[texts, from, to], 4).is_err());
    }
}
