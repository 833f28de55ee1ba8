//! Options of a table whose source are files.

use std::time::Duration;

use weir_core::connector::OptionInfo;
use weir_core::{Error, Result, TableSpec};

use crate::formats::decode::csv::CsvDialect;
use crate::formats::decode::options::{BadRecordPolicy, csv_dialect, policy};
use crate::options::Options;

pub(super) const fn option(name: &'static str, doc: &'static str) -> OptionInfo {
    OptionInfo { name, required: false, doc }
}

const SOURCE: &[OptionInfo] = &[
    OptionInfo {
        name: "path",
        required: true,
        doc: "A file, a folder (read recursively; names that begin with '.' or '_' are passed over), or a glob pattern.",
    },
    OptionInfo {
        name: "format",
        required: true,
        doc: "How files are written: 'json' (a line each), 'csv', 'parquet' or 'arrow'.",
    },
    option(
        "source.monitor-interval",
        "Look for new files every so often, and go on for ever, e.g. '1s'. Default: read what is there, then end.",
    ),
    option(
        "source.forget-after",
        "A file that was read and has left the folder for so long is forgotten; one of its name is read again. Default '1h'.",
    ),
    option(
        "source.max-file-age",
        "Files last modified so much earlier than the newest are neither read nor remembered. Default: they are.",
    ),
    option(
        "source.split-size",
        "Larger files are cut into ranges of this size, which are read in parallel. Default '16mb'; '0' never cuts.",
    ),
    option(
        "compression",
        "'none', 'gzip', 'zstd', or 'auto' (default): by the endings '.gz' and '.zst'. Compressed files are not cut.",
    ),
    option(
        "error-policy",
        "What to do with a record that cannot be decoded: 'fail' (default), 'skip' and count it, or 'dead-letter'.",
    ),
    option("dead-letter.table", "The table that gets undecodable records under 'error-policy' = 'dead-letter'."),
    option("max-record-size", "A longer record counts as undecodable. Default '16mb'."),
];

const JSON: &[OptionInfo] = &[
    option(
        "json.ignore-parse-errors",
        "'true': a value that is not of its column's type is null, and a record that is no JSON is left out.",
    ),
    option(
        "json.fail-on-missing-field",
        "Whether a record without one of the columns is undecodable; otherwise it is null. Default 'false'.",
    ),
];

const CSV: &[OptionInfo] = &[
    option(
        "csv.header",
        "'true' if the first record names the columns, which are then found by name. Default 'false': by position.",
    ),
    option("csv.field-delimiter", "The character between fields. Default ','; '\\t' is a tab."),
    option("csv.quote-character", "The character around fields. Default '\"'; '' makes quotes ordinary characters."),
    option(
        "csv.null-literal",
        "Unquoted text that stands for null, e.g. 'NA'. An empty field is null in any case, but for text.",
    ),
    option("csv.allow-comments", "Whether lines that begin with '#' are passed over. Default 'false'."),
    option(
        "csv.multiline",
        "Whether quoted fields may contain line breaks. Such files are not cut. Default 'false': that is an error.",
    ),
    option(
        "csv.ignore-parse-errors",
        "'true': a field that is not of its column's type is null, and a record that is no CSV is left out.",
    ),
];

/// All options of a source, with those of its format.
pub(super) fn known(format: Option<&str>) -> impl Iterator<Item = OptionInfo> {
    let own = match format.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => JSON,
        Some("csv") => CSV,
        _ => &[],
    };
    SOURCE.iter().chain(super::lookup::OPTIONS).chain(own).copied()
}

/// How files are written.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Json { fail_on_missing_field: bool, lenient: bool },
    Csv(CsvDialect),
    Parquet,
    Arrow,
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The options of a source, read.
#[derive(Debug, Clone)]
pub(super) struct SourceOptions {
    pub(super) path: String,
    pub(super) format: Format,
    pub(super) monitor_interval: Option<Duration>,
    /// After how long a file is forgotten that was read and is gone.
    pub(super) forget_after: Duration,
    /// How much earlier than the newest a file may have been modified, to be read and remembered; `None`: as much as it likes.
    pub(super) max_file_age: Option<Duration>,
    /// In bytes; 0: files are not cut.
    pub(super) split_size: u64,
    /// `None`: by the file's name.
    compression: Option<Compression>,
    pub(super) policy: BadRecordPolicy,
    pub(super) max_record_size: usize,
}

impl SourceOptions {
    /// # Errors
    /// A user error that names the wrong option.
    pub(super) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        options.required("format")?;
        let format =
            options.choice("format", &[("json", 0), ("csv", 1), ("parquet", 2), ("arrow", 3)])?.unwrap_or_default();
        let format = match format {
            0 => Format::Json {
                fail_on_missing_field: options.boolean("json.fail-on-missing-field")?.unwrap_or(false),
                lenient: options.boolean("json.ignore-parse-errors")?.unwrap_or(false),
            },
            1 => Format::Csv(csv_dialect(&options)?),
            2 => Format::Parquet,
            _ => Format::Arrow,
        };
        let compression = options
            .choice(
                "compression",
                &[
                    ("auto", None),
                    ("none", Some(Compression::None)),
                    ("gzip", Some(Compression::Gzip)),
                    ("zstd", Some(Compression::Zstd)),
                ],
            )?
            .flatten();
        let is_text = matches!(format, Format::Json { .. } | Format::Csv(_));
        if !is_text && compression.is_some_and(|compression| compression != Compression::None) {
            return Err(options.error("compression", "not for files of this format; they are compressed inside"));
        }
        let monitor_interval = options.duration("source.monitor-interval")?;
        if monitor_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(options.error("source.monitor-interval", "too short"));
        }
        Ok(Self {
            path: options.required("path")?.to_owned(),
            format,
            monitor_interval,
            forget_after: options.duration("source.forget-after")?.unwrap_or(Duration::from_secs(3600)),
            max_file_age: options.duration("source.max-file-age")?,
            split_size: options.bytes("source.split-size")?.unwrap_or(16 << 20),
            compression,
            policy: policy(&options, &["json.ignore-parse-errors", "csv.ignore-parse-errors"])?,
            max_record_size: match options.bytes("max-record-size")?.unwrap_or(16 << 20) {
                size if (1..=1 << 30).contains(&size) => usize::try_from(size).unwrap_or(1 << 30),
                _ => return Err(options.error("max-record-size", "not between '1b' and '1gb'")),
            },
        })
    }

    /// How the file of that name is packed.
    pub(super) fn compression(&self, name: &str) -> Compression {
        self.compression.unwrap_or_else(|| {
            if name.ends_with(".gz") {
                Compression::Gzip
            } else if name.ends_with(".zst") {
                Compression::Zstd
            } else {
                Compression::None
            }
        })
    }

    /// Whether a file of that name can be cut into ranges at all.
    pub(super) fn can_be_cut(&self, name: &str) -> bool {
        match &self.format {
            Format::Csv(dialect) if dialect.multiline => false,
            Format::Json { .. } | Format::Csv(_) => self.compression(name) == Compression::None,
            Format::Parquet | Format::Arrow => true,
        }
    }
}

/// An error about a file, with its name in front.
pub(super) fn file_error(path: &str, what: &str, error: std::io::Error) -> Error {
    let message = format!("{path}: {what}");
    let wrapped = match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput => {
            Error::data(message)
        }
        _ => Error::environment(message),
    };
    wrapped.with_source(error)
}

/// An error of a file whose text was to be read behind so many bytes of it.
pub(super) fn unpacking_error(path: &str, compression: Compression, behind: u64, error: std::io::Error) -> Error {
    let name = match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::None => return file_error(path, &format!("cannot read behind byte {behind}"), error),
    };
    let damaged = file_error(path, &format!("cannot be unpacked as {name}, behind byte {behind} of its text"), error);
    if damaged.kind() != weir_core::ErrorKind::Data {
        return damaged;
    }
    damaged.with_help(
        "the file is damaged or incomplete, and has to be written again; one that is not compressed is read with 'compression' = 'none'",
    )
}
