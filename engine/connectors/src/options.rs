//! Options of a table as typed values. A value that cannot be read is a user error that names table, option and what
//! would be right. Spellings of durations and sizes are Flink's.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use weir_core::{Error, Result, TableSpec};

/// Where generated event time begins by default: 2026-01-01T00:00:00Z, in milliseconds. Fixed, so that what is generated
/// is the same whenever it is.
pub(crate) const DEFAULT_START: i64 = 1_767_225_600_000;

/// The options of one table.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    table: &'a str,
    values: &'a BTreeMap<String, String>,
    /// What stands before the names that are asked for.
    prefix: &'a str,
}

impl<'a> Options<'a> {
    /// The options of `table`.
    pub fn of(table: &'a TableSpec) -> Self {
        Self::new(&table.name, &table.options)
    }

    /// Options of a table that has only a name so far.
    pub fn new(table: &'a str, values: &'a BTreeMap<String, String>) -> Self {
        Self { table, values, prefix: "" }
    }

    /// Those options whose names begin with `prefix`, by what follows it. Errors have the whole names.
    #[must_use]
    pub fn under(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }

    /// The option's whole name.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The value as written.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.prefix {
            "" => self.values.get(name),
            _ => self.values.get(&self.name(name)),
        }
        .map(String::as_str)
    }

    /// The value as written.
    ///
    /// # Errors
    /// If the option is missing.
    pub fn required(&self, name: &str) -> Result<&'a str> {
        self.text(name).ok_or_else(|| {
            let name = self.name(name);
            Error::user(format!("table '{}' has no option '{name}'", self.table))
                .with_help(format!("add '{name}' = '…' to its WITH (…)"))
        })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.parse(name, "neither 'true' nor 'false'", |text| text.to_ascii_lowercase().parse().ok())
    }

    /// A number of type `T`, between `minimum` and `maximum`.
    ///
    /// # Errors
    /// If it is no such number.
    pub fn number<T>(&self, name: &str, minimum: T, maximum: T) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.parse(name, format!("not a number from {minimum} to {maximum}"), |text| {
            text.replace('_', "").parse().ok().filter(|value| (minimum..=maximum).contains(value))
        })
    }

    /// A duration: see [`parse_duration`].
    ///
    /// # Errors
    /// If it is none.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        self.parse(name, "not a duration; write it like '500ms', '10s', '5min', '1h'", parse_duration)
    }

    /// A size in bytes: see [`parse_bytes`].
    ///
    /// # Errors
    /// If it is none.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>> {
        self.parse(name, "not a size; write it like '64kb', '16mb', '1gb'", parse_bytes)
    }

    /// A point in time, UTC unless it says otherwise, in milliseconds since 1970.
    ///
    /// # Errors
    /// If it is none.
    pub fn timestamp(&self, name: &str) -> Result<Option<i64>> {
        self.parse(name, "not a time; write it like '2026-01-31 12:00:00'", |text| {
            string_to_timestamp_nanos(text).ok().map(|nanos| nanos.div_euclid(1_000_000))
        })
    }

    /// One of several words, in any case.
    ///
    /// # Errors
    /// If it is none of them; the error names the nearest.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some((_, value)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            return Ok(Some(*value));
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("'{word}'")).collect();
        let error = self.error(name, format!("not one of {}", words.join(", ")));
        Err(match nearest(text, choices.iter().map(|(word, _)| *word)) {
            Some(word) => error.with_help(format!("did you mean '{word}'?")),
            None => error,
        })
    }

    /// The value through `parse`; `None` if the option is not given.
    ///
    /// # Errors
    /// If `parse` finds nothing in it: "option 'x' of table 't' is 'value', which is `wrong`".
    pub fn parse<T>(
        &self,
        name: &str,
        wrong: impl Display,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => parse(text.trim()).map(Some).ok_or_else(|| self.error(name, wrong)),
        }
    }

    /// A user error about the value of an option, which is `wrong`.
    pub fn error(&self, name: &str, wrong: impl Display) -> Error {
        let (table, whole) = (self.table, self.name(name));
        Error::user(match self.text(name) {
            Some(text) => format!("option '{whole}' of table '{table}' is '{text}', which is {wrong}"),
            None => format!("option '{whole}' of table '{table}' is not given, which is {wrong}"),
        })
    }
}

/// A duration: a number and a unit (`ns`, `us`, `ms`, `s`, `min`, `h`, `d` or their long names); a number alone counts
/// milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let nanos: u64 = match unit.as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * 1_000_000_000,
        "h" | "hour" | "hours" => 3_600 * 1_000_000_000,
        "d" | "day" | "days" => 86_400 * 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(nanos).map(Duration::from_nanos)
}

/// A size: a number and a unit (`b`, `kb`, `mb`, `gb`, `tb`, with or without the `b`), counted in powers of 1024; a
/// number alone counts bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit.as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// The candidate that `text` was probably meant to be.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (likeness(&text, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Less than that is another word: `avro` is no slip of `arrow`.
const LIKE_ENOUGH: f64 = 0.65;
/// A part of a key is a slip of another one if it is as like it as that.
const SLIP: f64 = 0.8;

/// How like each other two names are, from 0 to 1. Of keys in several parts the last one says what is set: who writes
/// `execution.paralelism` has the word right and its place wrong.
fn likeness<'a>(text: &'a str, candidate: &'a str) -> f64 {
    let last_of = |key: &'a str| key.rsplit_once('.').map_or(key, |(_, last)| last);
    let last = last_of(text);
    let ends = strsim::normalized_damerau_levenshtein(last, last_of(candidate));
    // Keys that share what stands before have most of their letters in common by that alone.
    let is_other = text.contains('.') && ends < LIKE_ENOUGH;
    let whole = if is_other { 0.0 } else { strsim::normalized_damerau_levenshtein(text, candidate) };
    let parts = candidate.split('.').map(|part| strsim::normalized_damerau_levenshtein(last, part));
    match parts.fold(0.0, f64::max) {
        part if part >= SLIP => whole.max(part * 0.9),
        _ => whole,
    }
}

fn split_unit(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let number = text[..end].replace('_', "").parse().ok()?;
    Some((number, text[end..].trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn another_word_is_no_slip() {
        let formats = ["json", "csv", "parquet", "arrow"];
        assert_eq!(nearest("avro", formats), None);
        let settings = ["execution.checkpointing.interval", "execution.checkpointing.timeout", "parallelism.default"];
        assert_eq!(nearest("execution.checkpointing.mode", settings), None);
        assert_eq!(nearest("execution.checkpointing.intervall", settings), Some(settings[0]));
        assert_eq!(nearest("execution.paralelism", settings), Some(settings[2]));
        assert_eq!((nearest("jsn", formats), nearest("parket", formats)), (Some("json"), Some("parquet")));
    }

    #[test]
    fn durations_and_sizes_have_flinks_spellings() {
        assert_eq!(parse_duration("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_duration("2min"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("1 day"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse_duration("s"), None);
        assert_eq!(parse_duration("-1s"), None);
        assert_eq!(parse_duration("999999999999d"), None, "too large");
        assert_eq!(parse_bytes("16mb"), Some(16 << 20));
        assert_eq!(parse_bytes("1_000"), Some(1000));
        assert_eq!(parse_bytes("1.5mb"), None);
        assert_eq!(parse_bytes("99999999999tb"), None, "too large");
    }

    #[test]
    fn an_error_names_table_option_value_and_a_remedy() {
        let values = given(&[("rate", "fast"), ("format", "jsno"), ("flag", "yes"), ("n", "7")]);
        let options = Options::new("bids", &values);
        let error = options.number("rate", 1u64, 10).unwrap_err();
        assert_eq!(error.to_string(), "option 'rate' of table 'bids' is 'fast', which is not a number from 1 to 10");
        let error = options.choice("format", &[("csv", 1), ("json", 2)]).unwrap_err();
        assert_eq!(error.help(), Some("did you mean 'json'?"));
        assert!(options.boolean("flag").unwrap_err().to_string().contains("'yes'"));
        assert!(options.number("n", 1u64, 5).is_err());
        assert_eq!(options.number("n", 1u64, 7).unwrap(), Some(7));
        assert_eq!(options.duration("absent").unwrap(), None);
        assert!(options.required("absent").unwrap_err().to_string().contains("'absent'"));
    }
}
