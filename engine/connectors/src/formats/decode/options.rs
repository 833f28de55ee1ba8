//! Options of formats that are text, which whatever delivers the text has in common.

use weir_core::Result;

use super::csv::CsvDialect;
use crate::options::Options;

/// What happens to a record that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRecordPolicy {
    /// The job fails.
    Fail,
    /// It is reported beside the rows.
    PutAside,
}

/// The policy of a table; `lenient` are the options of its formats that leave such records out.
///
/// # Errors
/// A user error if it is none, or two options contradict each other.
pub fn policy(options: &Options<'_>, lenient: &[&str]) -> Result<BadRecordPolicy> {
    use BadRecordPolicy::{Fail, PutAside};
    let given = options.choice("error-policy", &[("fail", Fail), ("skip", PutAside), ("dead-letter", PutAside)])?;
    for name in lenient {
        if options.boolean(name)?.unwrap_or(false) {
            return match given {
                Some(Fail) => Err(options.error(name, "in conflict with 'error-policy' = 'fail'")),
                _ => Ok(PutAside),
            };
        }
    }
    Ok(given.unwrap_or(Fail))
}

/// # Errors
/// A user error that names the wrong option.
pub(crate) fn csv_dialect(options: &Options<'_>) -> Result<CsvDialect> {
    let character = |name: &str| -> Result<Option<u8>> {
        let Some(text) = options.text(name) else { return Ok(None) };
        match text {
            "\\t" => Ok(Some(b'\t')),
            text => match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(Some(*byte)),
                _ => Err(options.error(name, "not a single ASCII character")),
            },
        }
    };
    let delimiter = character("csv.field-delimiter")?.unwrap_or(b',');
    let quote = match options.text("csv.quote-character") {
        Some("") => None,
        _ => Some(character("csv.quote-character")?.unwrap_or(b'"')),
    };
    if quote == Some(delimiter) {
        return Err(options.error("csv.quote-character", "also the delimiter"));
    }
    Ok(CsvDialect {
        delimiter,
        quote,
        null_literal: options.text("csv.null-literal").map(str::to_owned),
        comments: options.boolean("csv.allow-comments")?.unwrap_or(false),
        header: options.boolean("csv.header")?.unwrap_or(false),
        multiline: options.boolean("csv.multiline")?.unwrap_or(false),
        lenient: options.boolean("csv.ignore-parse-errors")?.unwrap_or(false),
    })
}
