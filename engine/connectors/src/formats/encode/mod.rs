//! From rows to bytes: formats whose rows are lines of text, in files and in messages ([`message`]).
//!
//! Times are written as SQL has them, `2013-01-01 10:00:00.000`, or as ISO 8601 (`T` for the space); a
//! `TIMESTAMP_LTZ` ends in `Z`. Bytes are base64, decimals have all their digits, and a floating point number is the
//! shortest text that reads back as the same one, or `NaN`, `Infinity` or `-Infinity`, which are strings in JSON.

mod avro;
pub(crate) mod cells;
mod csv;
mod json;
pub mod message;
mod protobuf;
#[cfg(test)]
mod tests;
mod text;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use weir_core::connector::OptionInfo;
use weir_core::{Error, Result, TableSpec};

pub use protobuf::ProtobufEncoder;
pub use text::{Style, Texts};

use crate::formats::decode::sql_name;
use crate::options::Options;

/// Options of `'format' = 'json'` when it is written.
pub const JSON_OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "json.timestamp-format.standard",
        required: false,
        doc: "How times are written: 'SQL' (2013-01-01 10:00:00.000, the default) or 'ISO-8601' (2013-01-01T10:00:00.000).",
    },
    OptionInfo {
        name: "json.encode.ignore-null-fields",
        required: false,
        doc: "Whether fields that are null are left out; 'false' by default.",
    },
];

/// Options of `'format' = 'csv'` when it is written.
pub const CSV_OPTIONS: &[OptionInfo] = &[
    OptionInfo { name: "csv.field-delimiter", required: false, doc: "What stands between fields; ',' by default." },
    OptionInfo { name: "csv.quote-character", required: false, doc: "What fields are quoted with; '\"' by default." },
    OptionInfo { name: "csv.null-literal", required: false, doc: "What null is written as; nothing by default." },
    OptionInfo {
        name: "csv.header",
        required: false,
        doc: "Whether each file begins with the names of the columns; 'false' by default.",
    },
];

/// Encodes rows as lines.
#[derive(Debug, Clone)]
pub struct LineEncoder {
    notation: Notation,
}

#[derive(Debug, Clone)]
enum Notation {
    Json(json::Json),
    Csv(csv::Csv),
}

impl LineEncoder {
    /// JSON, an object a line.
    ///
    /// # Errors
    /// A user error about an option.
    pub fn json(options: Options<'_>) -> Result<Self> {
        Ok(Self { notation: Notation::Json(json::Json::from_options(options)?) })
    }

    /// JSON without options.
    pub fn plain_json() -> Self {
        Self { notation: Notation::Json(json::Json::PLAIN) }
    }

    /// CSV.
    ///
    /// # Errors
    /// A user error about an option.
    pub fn csv(options: Options<'_>) -> Result<Self> {
        Ok(Self { notation: Notation::Csv(csv::Csv::from_options(options)?) })
    }

    /// Checks that columns of these types can be written.
    ///
    /// # Errors
    /// A user error that names the column.
    pub fn check(&self, schema: &Schema, table: &TableSpec) -> Result<()> {
        let (name, flat) = match self.notation {
            Notation::Json(_) => ("json", false),
            Notation::Csv(_) => ("csv", true),
        };
        match schema.fields().iter().find(|field| !cells::is_writable(field.data_type(), flat)) {
            None => Ok(()),
            Some(field) => Err(Error::user(format!(
                "column '{}' of table '{}' cannot be written as {name}: its type is {}",
                field.name(),
                table.name,
                sql_name(field.data_type())
            ))
            .with_help("use the format 'json' or 'parquet', or CAST the column")),
        }
    }

    /// Appends what a file begins with.
    pub fn header(&self, schema: &Schema, out: &mut Vec<u8>) {
        if let Notation::Csv(csv) = &self.notation {
            csv.header(schema, out);
        }
    }

    /// Appends the rows, each with its line end.
    ///
    /// # Errors
    /// If a type cannot be written, which [`check`](LineEncoder::check) finds earlier.
    pub fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.rows(batch, out, |out| out.push(b'\n'))
    }

    fn rows(&self, batch: &RecordBatch, out: &mut Vec<u8>, end: impl FnMut(&mut Vec<u8>)) -> Result<()> {
        match &self.notation {
            Notation::Json(json) => json.encode(batch, out, end),
            Notation::Csv(csv) => csv.encode(batch, out, end),
        }
    }
}

fn timestamp_separator(options: Options<'_>) -> Result<u8> {
    let standards = [("SQL", b' '), ("ISO-8601", b'T')];
    Ok(options.choice("json.timestamp-format.standard", &standards)?.unwrap_or(b' '))
}
