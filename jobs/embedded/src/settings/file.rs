//! Settings from a TOML file. A key may be written out, quoted, or spread over tables: all of
//! `parallelism.default = 2`, `"parallelism.default" = 2` and `[parallelism]` with `default = 2` say the same.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use weir_core::{Error, Result};

/// One value of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, with dots.
    pub key: String,
    /// The value as text, as it would be written behind `-D key=`.
    pub value: String,
    /// The line that it stands in, from 1.
    pub line: usize,
}

/// The values of the file `path` with the content `text`.
///
/// # Errors
/// If it is no TOML, or has values that no setting can have.
pub fn entries(path: &Path, text: &str) -> Result<Vec<Entry>> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Error::user(format!("{}, line {line}: {}", path.display(), error.message()))
            .with_help("settings are written like: parallelism.default = 2")
    })?;
    let mut entries = Vec::new();
    collect(path, text, "", table.get_ref(), &mut entries)?;
    Ok(entries)
}

fn collect(path: &Path, text: &str, prefix: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) -> Result<()> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        let line = line_of(text, name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => collect(path, text, &key, inner, entries)?,
            DeValue::Array(_) => {
                return Err(Error::user(format!("{}, line {line}: {key} cannot be a list", path.display())));
            }
            DeValue::String(value) => entries.push(Entry { key, value: value.to_string(), line }),
            _ => entries.push(Entry { key, value: source_text(text, value), line }),
        }
    }
    Ok(())
}

/// Numbers, truth values and dates are passed on as they are written.
fn source_text(text: &str, value: &Spanned<DeValue<'_>>) -> String {
    text.get(value.span()).unwrap_or_default().to_owned()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
