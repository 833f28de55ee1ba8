//! Records of comma-separated values (RFC 4180).
//!
//! A field that begins with the quote character is quoted: it ends at the next single quote, and a doubled quote
//! stands for one. A quote anywhere else, and text behind a closing quote, is an error rather than a guess.
//!
//! An empty field is null, but for text, where it is the empty text. With a null literal, unquoted fields that equal it are null,
//! text too.

use arrow::datatypes::FieldRef;
use weir_core::{Error, Result};

use super::{Column, quoted, sql_name};

/// How CSV is written.
#[derive(Debug, Clone)]
pub(crate) struct CsvDialect {
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Around fields that need it; `None`: quotes are ordinary characters.
    pub(crate) quote: Option<u8>,
    /// What stands for null.
    pub(crate) null_literal: Option<String>,
    /// Whether lines that begin with `#` are passed over.
    pub(crate) comments: bool,
    /// Whether the first record names the columns.
    pub(crate) header: bool,
    /// Whether quoted fields may contain line breaks.
    pub(crate) multiline: bool,
    /// Whether a field that is not of its column's type is null.
    pub(crate) lenient: bool,
}

/// Reads CSV records.
pub(crate) struct CsvRecords {
    dialect: CsvDialect,
    /// For each column of the file, which field it is decoded into.
    targets: Vec<Option<usize>>,
    /// Number of file columns up to the last one that is decoded.
    needed: usize,
    scratch: String,
}

impl CsvRecords {
    /// A reader of files whose columns are `file_columns` (from the header or, without one, the declared ones), of
    /// which `fields` are decoded.
    ///
    /// # Errors
    /// A data error that names the field which the file does not have.
    pub(crate) fn new(dialect: CsvDialect, file_columns: &[String], fields: &[FieldRef]) -> Result<Self> {
        let mut targets = vec![None; file_columns.len()];
        for (index, field) in fields.iter().enumerate() {
            let place = file_columns.iter().position(|name| name == field.name()).ok_or_else(|| {
                let error = Error::data(format!("there is no column '{}' in the header", field.name()));
                let known = crate::options::nearest(field.name(), file_columns.iter().map(String::as_str));
                error.with_help(match known {
                    Some(name) => format!("did you mean '{name}'? The header has: {}", file_columns.join(", ")),
                    None => format!("the header has: {}", file_columns.join(", ")),
                })
            })?;
            targets[place] = Some(index);
        }
        let needed = targets.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        Ok(Self { dialect, targets, needed, scratch: String::new() })
    }

    pub(super) fn multiline(&self) -> bool {
        self.dialect.multiline
    }

    pub(super) fn is_comment(&self, record: &[u8]) -> bool {
        self.dialect.comments && record.first() == Some(&b'#')
    }

    pub(super) fn record_length(&self, bytes: &[u8]) -> usize {
        QuotedLines::new(&self.dialect).first_end(bytes).unwrap_or(bytes.len())
    }

    pub(super) fn decode(&mut self, record: &str, fields: &[FieldRef], columns: &mut [Column]) -> Result<(), String> {
        let Self { dialect, targets, needed, scratch } = self;
        let mut walk = Fields { record, at: 0, dialect, ended: false };
        let mut count = 0;
        while let Some(field) = walk.next(scratch, count, *needed)? {
            match field {
                Field::Rest(more) => count += more,
                Field::Value { text, is_quoted } => {
                    if let Some(Some(target)) = targets.get(count) {
                        append(&mut columns[*target], &fields[*target], text, is_quoted, dialect)?;
                    }
                    count += 1;
                }
            }
        }
        if count == targets.len() { Ok(()) } else { Err(format!("it has {count} fields instead of {}", targets.len())) }
    }
}

/// The fields of a header.
///
/// # Errors
/// What is wrong with its quotes.
pub(crate) fn header(record: &str, dialect: &CsvDialect) -> Result<Vec<String>, String> {
    let mut walk = Fields { record, at: 0, dialect, ended: false };
    let (mut names, mut scratch) = (Vec::new(), String::new());
    while let Some(field) = walk.next(&mut scratch, 0, usize::MAX)? {
        if let Field::Value { text, .. } = field {
            names.push(text.to_owned());
        }
    }
    Ok(names)
}

enum Field<'a> {
    Value {
        text: &'a str,
        is_quoted: bool,
    },
    /// So many fields that nobody reads.
    Rest(usize),
}

struct Fields<'a> {
    record: &'a str,
    at: usize,
    dialect: &'a CsvDialect,
    ended: bool,
}

impl<'a> Fields<'a> {
    /// The next field, which is number `index`; from number `needed` on, fields are only counted.
    #[inline]
    fn next<'b>(&mut self, scratch: &'b mut String, index: usize, needed: usize) -> Result<Option<Field<'b>>, String>
    where
        'a: 'b,
    {
        if self.ended {
            return Ok(None);
        }
        let rest = &self.record.as_bytes()[self.at..];
        let delimiter = self.dialect.delimiter;
        let quote = self.dialect.quote;
        if index >= needed && quote.is_none_or(|quote| memchr::memchr(quote, rest).is_none()) {
            self.ended = true;
            return Ok(Some(Field::Rest(1 + rest.iter().filter(|byte| **byte == delimiter).count())));
        }
        if quote.is_some() && rest.first().copied() == quote {
            return self.quoted_field(scratch).map(Some);
        }
        let special = quote.unwrap_or(delimiter);
        let end = rest.iter().position(|byte| *byte == delimiter || *byte == special).unwrap_or(rest.len());
        if rest.get(end).is_some_and(|byte| *byte != delimiter) {
            return Err(format!(
                "there is a quote inside of field {} that does not begin with one; \
                 'csv.quote-character' = '' takes quotes as ordinary characters",
                index + 1
            ));
        }
        let text = &self.record[self.at..self.at + end];
        self.ended = end == rest.len();
        self.at += end + 1;
        Ok(Some(Field::Value { text, is_quoted: false }))
    }

    #[cold]
    fn unclosed(&self) -> String {
        let reason = "a quote is not closed";
        if self.dialect.multiline {
            reason.to_owned()
        } else {
            format!("{reason} at the end of the line; if fields contain line breaks, set 'csv.multiline' = 'true'")
        }
    }

    fn quoted_field<'b>(&mut self, scratch: &'b mut String) -> Result<Field<'b>, String>
    where
        'a: 'b,
    {
        let quote = self.dialect.quote.unwrap_or(b'"');
        let bytes = self.record.as_bytes();
        let begin = self.at + 1;
        let mut end = begin;
        let mut piece = begin;
        scratch.clear();
        loop {
            end += memchr::memchr(quote, &bytes[end..]).ok_or_else(|| self.unclosed())?;
            if bytes.get(end + 1) != Some(&quote) {
                break;
            }
            scratch.push_str(&self.record[piece..=end]);
            end += 2;
            piece = end;
        }
        match bytes.get(end + 1) {
            None => self.ended = true,
            Some(byte) if *byte == self.dialect.delimiter => {}
            Some(_) => return Err("there is text behind a closing quote".to_owned()),
        }
        self.at = end + 2;
        let text = if piece == begin {
            &self.record[begin..end]
        } else {
            scratch.push_str(&self.record[piece..end]);
            scratch.as_str()
        };
        Ok(Field::Value { text, is_quoted: true })
    }
}

#[inline]
fn append(
    column: &mut Column,
    field: &FieldRef,
    text: &str,
    is_quoted: bool,
    dialect: &CsvDialect,
) -> Result<(), String> {
    let is_text = matches!(column, Column::Text(_) | Column::Bytes(_));
    let is_null = match &dialect.null_literal {
        _ if text.is_empty() && !is_text => true,
        Some(literal) => !is_quoted && text == literal,
        None => false,
    };
    if is_null {
        if !field.is_nullable() {
            return Err(format!("column '{}' is NOT NULL and has no value", field.name()));
        }
        column.append_null();
        return Ok(());
    }
    let text = if is_text { text } else { text.trim_matches(' ') };
    if column.append_text(text) {
        return Ok(());
    }
    if dialect.lenient && field.is_nullable() {
        column.append_null();
        return Ok(());
    }
    let mut reason =
        format!("column '{}': {} is not a valid {}", field.name(), quoted(text), sql_name(field.data_type()));
    if text == field.name() && !dialect.header {
        reason.push_str("; if the first line names the columns, set 'csv.header' = 'true'");
    }
    if text == "NA" || text.eq_ignore_ascii_case("null") || text == "\\N" {
        reason.push_str(&format!("; if that stands for a missing value, set 'csv.null-literal' = '{text}'"));
    }
    Err(reason)
}

/// Finds the ends of records whose quoted fields may contain line breaks, piece of file by piece of file.
#[derive(Debug, Clone)]
pub(crate) struct QuotedLines {
    quote: Option<u8>,
    comments: bool,
    state: LineState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineState {
    /// The next byte begins a record.
    Start,
    Plain,
    Quoted,
    Comment,
}

impl QuotedLines {
    /// At the beginning of a record.
    pub(crate) fn new(dialect: &CsvDialect) -> Self {
        Self { quote: dialect.quote, comments: dialect.comments, state: LineState::Start }
    }

    /// How many of `bytes`, which follow those of the last call, belong to records that end in them, given by the last
    /// such end.
    pub(crate) fn last_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut last = None;
        let mut at = 0;
        while let Some(end) = self.first_end(&bytes[at..]) {
            at += end;
            last = Some(at);
        }
        last
    }

    /// The first end of a record in `bytes`, which follow those of the last call.
    pub(crate) fn first_end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            if self.state == LineState::Start {
                self.state = if self.comments && *byte == b'#' { LineState::Comment } else { LineState::Plain };
            }
            match (self.state, *byte) {
                (LineState::Quoted, byte) if Some(byte) == self.quote => self.state = LineState::Plain,
                (LineState::Plain, byte) if Some(byte) == self.quote => self.state = LineState::Quoted,
                (LineState::Plain | LineState::Comment, b'\n') => {
                    self.state = LineState::Start;
                    return Some(index + 1);
                }
                _ => {}
            }
        }
        None
    }
}
